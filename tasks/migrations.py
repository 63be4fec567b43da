"""Brings a store to the schema of this program: numbered SQL files, each applied once, in order, whole or not at all.

What was applied is kept with its checksum in `schema_migrations`, so that a file changed afterwards, or a store written
by a newer program, is refused instead of guessed about.
"""

import hashlib
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

_FILE = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL
)
"""


class MigrationRefused(RuntimeError):
    """The store and the migration files do not fit together; the message names the version and what to do."""


@dataclass(frozen=True)
class Migration:
    """One numbered file: its text and the checksum of its bytes."""

    version: int
    name: str
    text: str
    sha256: str


def read_migrations(folder: Path) -> tuple[Migration, ...]:
    """Read the files of a folder in order; raises `MigrationRefused` for a name out of form or a gap in the numbers."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationRefused(f"{path.name} is no migration name; name it like 001_orders.sql")
        content = path.read_bytes()
        found.append(Migration(int(match[1]), match[2], content.decode(), hashlib.sha256(content).hexdigest()))
    for expected, one in enumerate(found, 1):
        if one.version != expected:
            raise MigrationRefused(f"{folder.name}: migration {expected:03d} is missing, {one.version:03d} was found")
    return tuple(found)


def migrate(con: duckdb.DuckDBPyConnection, folder: Path) -> tuple[int, ...]:
    """Apply what is not applied yet and return the versions applied; writes a checkpoint after them.

    Raises `MigrationRefused` for a changed file and for a store that is newer than the folder, with nothing written.
    A store that has data is copied beside itself (`.before-NNN`) before its schema changes.
    """
    migrations = read_migrations(folder)
    applied = _applied(con)
    for version, (name, checksum) in applied.items():
        if version > len(migrations):
            raise MigrationRefused(
                f"the store has schema {version} ({name}), this program knows {len(migrations)}: "
                "a newer program wrote it; update gridkeeper, or name another data_dir"
            )
        if migrations[version - 1].sha256 != checksum:
            raise MigrationRefused(
                f"migration {version:03d}_{name}.sql was changed after it was applied; restore the file and put the "
                "change into a new one with the next number"
            )
    todo = [one for one in migrations if one.version not in applied]
    if not todo:
        return ()
    if applied:
        _keep_copy(con, todo[0].version)
    con.execute(_TABLE)
    for one in todo:
        _apply(con, one)
    # A log with schema changes in it is what DuckDB has had trouble replaying: leave none behind.
    con.execute("CHECKPOINT")
    return tuple(one.version for one in todo)


def _applied(con: duckdb.DuckDBPyConnection) -> dict[int, tuple[str, str]]:
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() "
        "WHERE table_name = 'schema_migrations' AND database_name = current_database()"
    ).fetchone()
    if known is None or known[0] == 0:
        return {}
    rows = con.execute("SELECT version, name, sha256 FROM schema_migrations ORDER BY version").fetchall()
    return {version: (name, checksum) for version, name, checksum in rows}


def _apply(con: duckdb.DuckDBPyConnection, one: Migration) -> None:
    con.begin()
    try:
        con.execute(one.text)
        con.execute(
            "INSERT INTO schema_migrations VALUES (?, ?, ?, ?)",
            [one.version, one.name, one.sha256, datetime.now(UTC).replace(tzinfo=None)],
        )
    except duckdb.Error:
        con.rollback()
        raise
    con.commit()


def _keep_copy(con: duckdb.DuckDBPyConnection, version: int) -> None:
    row = con.execute("SELECT path FROM duckdb_databases() WHERE database_name = current_database()").fetchone()
    if row is None or row[0] is None:
        return
    con.execute("CHECKPOINT")
    shutil.copyfile(row[0], f"{row[0]}.before-{version:03d}")
