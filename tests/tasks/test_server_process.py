"""The server on SQLite: what holds up its garbage holds up nobody else, and who reads before he writes may write."""

import asyncio
import gc
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration

from tasks.server_process import begin_as_writer, collect_beside


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


async def read_then_write(path: Path, writers: int) -> list[object]:
    """Let several transactions of Prefect's database read a count and write a row; what became of each."""
    config = AioSqliteConfiguration(f"sqlite+aiosqlite:///{path}", timeout=10, connection_timeout=10)
    engine = await config.engine()

    async def one() -> None:
        async with await config.session(engine) as session, config.begin_transaction(session):
            await session.execute(sa.text("SELECT count(*) FROM t"))
            await asyncio.sleep(0.05)
            await session.execute(sa.text("INSERT INTO t VALUES (1)"))

    try:
        return list(await asyncio.gather(*(one() for _ in range(writers)), return_exceptions=True))
    finally:
        await engine.dispose()


@pytest.mark.parametrize(("mended", "refused"), [(False, 3), (True, 0)])
def test_transactions_that_read_first_are_refused_unless_they_begin_as_writers(
    mended: bool, refused: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four transactions that read and then write at once, Prefect's own lose three; ours take turns and lose none."""
    sqlite3.connect(tmp_path / "t.db").execute("CREATE TABLE t (value INTEGER)")
    # Named here so that it is put back after the test.
    monkeypatch.setattr(AioSqliteConfiguration, "begin_sqlite_stmt", AioSqliteConfiguration.begin_sqlite_stmt)
    if mended:
        begin_as_writer()
    told = asyncio.run(read_then_write(tmp_path / "t.db", 4))
    assert sum("database is locked" in str(one) for one in told) == refused
    assert sqlite3.connect(tmp_path / "t.db").execute("SELECT count(*) FROM t").fetchone() == (4 - refused,)
