"""Prefect's server, mended for SQLite in two places: `python -m tasks.server_process`.

Its garbage is collected beside the event loop. A request that fails on SQLite leaves cursors behind in reference
cycles. Collecting one resets its statement, which needs the mutex of its connection; another thread holds that while
it waits, for up to a minute, for the lock of a transaction that the event loop is about to finish. Where the loop's own
thread collects, all of the server stands still for that minute (seen every few minutes of a busy day). A thread of its
own may wait: Python lets other threads go on meanwhile.

Its transactions begin as writers. Most of them read first; where another one wrote in between, SQLite refuses the first
write at once ("database is locked", 503), however long the time limit is, since what was read is no longer true
(https://www.sqlite.org/lang_transaction.html, section 2.2). One that begins as a writer waits for its turn instead.
"""

import gc
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Connection

YOUNG_S, MIDDLE_S, FULL_S = 1.0, 10.0, 300.0


def collect_beside() -> threading.Thread:
    """Collect garbage in a thread of its own from now on, and nowhere else. Return the thread; it ends with the process."""
    gc.disable()
    collector = threading.Thread(target=_collect, name="garbage", daemon=True)
    collector.start()
    return collector


def _collect() -> None:
    middle_at = full_at = time.monotonic()
    while True:
        time.sleep(YOUNG_S)
        now = time.monotonic()
        if now - full_at >= FULL_S:
            full_at = middle_at = now
            gc.collect(2)
        elif now - middle_at >= MIDDLE_S:
            middle_at = now
            gc.collect(1)
        else:
            gc.collect(0)


def begin_as_writer() -> None:
    """Let each transaction of the server on SQLite take the lock for writing as it begins, and wait for it there.

    Plain reads of the server are no transactions; they wait for nobody.
    """
    from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration

    def begin_sqlite_stmt(self: AioSqliteConfiguration, conn: "Connection") -> None:
        del self
        if SQLITE_BEGIN_MODE.get() is not None:
            conn.exec_driver_sql("BEGIN IMMEDIATE")

    AioSqliteConfiguration.begin_sqlite_stmt = begin_sqlite_stmt


def main() -> None:
    """Run `prefect server start` in this process; its settings come from the environment."""
    collect_beside()
    begin_as_writer()
    from prefect.cli import app

    sys.argv = ["prefect", "server", "start"]
    app()


if __name__ == "__main__":
    main()
