"""A small SQLite file that several processes write: a person's command, the flow `control`, the tick, a page.

With a rollback journal, not a write-ahead log: turning the log on, and clearing it away when the last one closes, answer
"database is locked" at once whatever the timeout says (https://www.sqlite.org/wal.html, "Sometimes Queries Return
SQLITE_BUSY In WAL Mode"). Four processes that opened a new file together lost a word in one round of seven. Here every
transaction begins as a writer, so that each waits for its turn.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BUSY_S = 10.0


@contextmanager
def transaction(path: Path, tables: str) -> Iterator[sqlite3.Connection]:
    """Open the file, made with mode 0600 where it is missing, with these `tables`, for one transaction.

    Commits when the block ends and leaves the file as it was when it raises. What is committed survives a loss of power.
    Raises `sqlite3.OperationalError` when the others kept it for ten seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made by us before SQLite opens it, so that nobody else can read it even for a moment; its journal takes the same mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    con = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        # EXTRA also syncs the folder after the journal is gone, without which a commit could be taken back.
        con.execute("PRAGMA synchronous = EXTRA")
        con.executescript(tables)
        con.execute("BEGIN IMMEDIATE")
        yield con
        con.execute("COMMIT")
    finally:
        con.close()
