"""A small file that several processes write loses nothing and tells nobody."""

import multiprocessing
import sqlite3
import stat
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tasks.shared_sqlite import transaction

_TABLE = "CREATE TABLE IF NOT EXISTS words (word TEXT NOT NULL)"
_ROUNDS = 40
_WRITERS = 4


def _write(folder: str, together: Barrier) -> None:
    for number in range(_ROUNDS):
        together.wait()
        with transaction(Path(folder) / f"{number}.sqlite", _TABLE) as con:
            con.execute("INSERT INTO words VALUES ('a word')")


def _count(path: Path) -> int:
    with transaction(path, _TABLE) as con:
        return con.execute("SELECT count(*) FROM words").fetchone()[0]


def test_processes_that_open_a_new_file_together_wait_for_each_other(tmp_path: Path) -> None:
    """Making the file is the moment in which two of them are most easily told that it is locked."""
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(_WRITERS, timeout=60)
    writers = [context.Process(target=_write, args=(str(tmp_path), together)) for _ in range(_WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [_count(tmp_path / f"{number}.sqlite") for number in range(_ROUNDS)] == [_WRITERS] * _ROUNDS


def test_a_block_that_raises_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """Half a change is no change."""
    path = tmp_path / "words.sqlite"
    with pytest.raises(sqlite3.IntegrityError), transaction(path, _TABLE) as con:
        con.executemany("INSERT INTO words VALUES (?)", [("half",), (None,)])
    assert _count(path) == 0


def test_only_its_owner_reads_the_file_and_its_journal(tmp_path: Path) -> None:
    """What a person orders, and to which address alarms go, is nobody else's."""
    path = tmp_path / "words.sqlite"
    with transaction(path, _TABLE) as con:
        con.execute("INSERT INTO words VALUES ('a word')")
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {"words.sqlite": 0o600, "words.sqlite-journal": 0o600}
