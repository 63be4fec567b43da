"""Makes stores of a backup again, and proves that they are the stores that were backed up.

RestoreError
 ├─ BackupDamaged   a file is missing or changed, or the restored store differs from what was backed up
 └─ RestoreRefused  the place or the backup does not fit: nothing was written
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from tasks.market_store import FILE_NAME as MARKET
from tasks.market_store import SCHEMA as MARKET_SCHEMA
from tasks.migrations import migrate, read_migrations
from tasks.publish import DAILY
from tasks.store import SCHEMA as TRADING_SCHEMA
from tasks.store_open import FILE_NAME as TRADING

STORES = {"trading": (TRADING, TRADING_SCHEMA), "market": (MARKET, MARKET_SCHEMA)}


class RestoreError(RuntimeError):
    """A backup that cannot be used here; the message says which file and why."""


class BackupDamaged(RestoreError):
    """The backup is not what was written."""


class RestoreRefused(RestoreError):
    """The folder or the version does not fit."""


def restore(backup: Path, data_dir: Path) -> int:
    """Make the stores of a backup in a folder that has none; returns the rows restored.

    Every file is checked before anything is written, and stores appear only when they are whole. Raises
    `RestoreRefused` where a store is in the way or a newer program made the backup, `BackupDamaged` otherwise.
    """
    manifest = read_manifest(backup)
    names = [STORES[store][0] for store in manifest["stores"]]
    names += [name for name in manifest["files"] if name.startswith("paper/")]
    in_the_way = [name for name in names if (data_dir / name).exists() or (data_dir / f"{name}.wal").exists()]
    if in_the_way:
        raise RestoreRefused(f"{data_dir} has {', '.join(in_the_way)}: restore into an empty folder, then move it")
    for store, said in manifest["stores"].items():
        known = len(read_migrations(STORES[store][1]))
        if said["schema"] > known:
            raise RestoreRefused(
                f"{backup}: {store} has schema {said['schema']}, this program knows {known}: update it"
            )
    data_dir.mkdir(parents=True, exist_ok=True)
    fresh: list[tuple[Path, Path]] = []
    rows = 0
    for store, said in manifest["stores"].items():
        name, schema = STORES[store]
        part = data_dir / f".{name}.restoring"
        part.unlink(missing_ok=True)
        rows += _load(backup / store, part, schema, said)
        fresh.append((part, data_dir / name))
    for part, place in fresh:
        part.replace(place)
    for name in manifest["files"]:
        if name.startswith("paper/"):
            (data_dir / "paper").mkdir(exist_ok=True)
            shutil.copyfile(backup / name, data_dir / name)
    return rows


def read_manifest(backup: Path) -> dict[str, Any]:
    """Read what a backup says of itself and hold every file against its checksum; raises `BackupDamaged`."""
    try:
        manifest = json.loads((backup / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise BackupDamaged(f"{backup} is no backup: {fault}") from None
    for name, expected in manifest["files"].items():
        path = backup / name
        if not path.is_file():
            raise BackupDamaged(f"{path} is missing")
        if checksum(path) != expected:
            raise BackupDamaged(f"{path} was changed after it was written: its checksum differs")
    return manifest


def check_backup(backup: Path, restored: Path) -> int:
    """Compare restored stores with what was backed up, every column of every row; returns the rows.

    Raises `BackupDamaged` naming the table.
    """
    manifest, total = read_manifest(backup), 0
    for store, said in manifest["stores"].items():
        with duckdb.connect(str(restored / STORES[store][0]), read_only=True) as con:
            for table, expected in said["tables"].items():
                rows, content = digest(con, table, expected["columns"])
                if (rows, content) != (expected["rows"], expected["content"]):
                    raise BackupDamaged(f"{store}.{table}: {rows} rows came back, {expected['rows']} were backed up")
                total += rows
    return total


def digest(con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], where: str = "") -> tuple[int, str]:
    """Count a table's rows and sum the hashes of these columns, whatever the order of the rows."""
    named = ", ".join(f'"{column}"' for column in columns)
    row = con.execute(
        f"SELECT count(*), CAST(coalesce(sum(CAST(hash(t) AS HUGEINT)), 0) AS VARCHAR) "  # noqa: S608  names of our own
        f"FROM (SELECT {named} FROM {table} {where}) AS t"
    ).fetchone()
    return (int(row[0]), str(row[1])) if row is not None else (0, "0")


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(folder: Path, path: Path, schema: Path, said: dict[str, Any]) -> int:
    rows = 0
    with tempfile.TemporaryDirectory() as old, duckdb.connect(str(path)) as con:
        # The schema as it was, then its rows, then what the program has changed since.
        for one in sorted(schema.glob("*.sql"))[: said["schema"]]:
            shutil.copy(one, old)
        migrate(con, Path(old))
        con.begin()
        for table, expected in said["tables"].items():
            file = str(folder / f"{table}.parquet")
            con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM read_parquet(?)", [file])  # noqa: S608  our own names
            rows += expected["rows"]
        if "ledger" in said["tables"]:
            # Which days have rows is not published; it is what the rows say.
            parts = " UNION ".join(f"SELECT CAST(recorded_at AS DATE) AS day FROM {one.name}" for one in DAILY)  # noqa: S608
            con.execute(f"INSERT INTO days SELECT day FROM ({parts}) WHERE day IS NOT NULL")  # noqa: S608
        con.commit()
        con.execute("CHECKPOINT")
    with duckdb.connect(str(path)) as con:
        migrate(con, schema)
        con.execute("CHECKPOINT")
    path.with_name(f"{path.name}.before-{said['schema'] + 1:03d}").unlink(missing_ok=True)
    return rows
