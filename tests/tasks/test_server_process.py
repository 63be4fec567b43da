"""The server's garbage is collected where it may wait: what SQLite holds up there holds up nobody else."""

import gc
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.server_process import collect_beside


@pytest.fixture
def _collecting() -> Iterator[None]:
    yield
    gc.enable()


def leave_behind(connection: sqlite3.Connection) -> None:
    """Leave a cursor in the middle of its rows, in a reference cycle that only the collector frees."""
    cursor = connection.execute("VALUES (1), (2), (3)")
    cursor.fetchone()
    cycle: list[object] = [cursor]
    cycle.append(cycle)


@pytest.mark.usefixtures("_collecting")
def test_a_cursor_left_behind_holds_up_only_the_collector(tmp_path: Path) -> None:
    """A cursor of a connection that waits for a lock is collected while the holder of the lock goes on and commits."""
    collect_beside()
    holder = sqlite3.connect(tmp_path / "t.db", isolation_level=None)
    holder.execute("PRAGMA journal_mode = WAL")
    holder.execute("CREATE TABLE t (value INTEGER)")
    waiter = sqlite3.connect(tmp_path / "t.db", timeout=20, isolation_level=None, check_same_thread=False)
    leave_behind(waiter)
    holder.execute("BEGIN IMMEDIATE")
    waits = threading.Thread(target=lambda: waiter.execute("INSERT INTO t VALUES (4)"))
    waits.start()
    # Longer than a young collection is away: it has met the cursor by now, and waits for the waiter's mutex.
    time.sleep(2.5)
    began = time.monotonic()
    made = [[number] for number in range(100_000)]
    holder.execute("COMMIT")
    waits.join(10)
    assert not waits.is_alive()
    assert len(made) == 100_000
    assert holder.execute("SELECT value FROM t").fetchall() == [(4,)]
    assert time.monotonic() - began < 5
