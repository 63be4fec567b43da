"""Backups of a data folder, each tried out before it counts: exact copies of every table as Parquet, with checksums.

    backups/YYYY-MM-DD/manifest.json     what there is: rows, checksums, schema versions, and when it was made (UTC)
    backups/YYYY-MM-DD/trading/*.parquet from the published copy, since the tick process alone opens its store
    backups/YYYY-MM-DD/market/*.parquet  from the market store
    backups/YYYY-MM-DD/paper/*.sqlite    the books of paper accounts

A backup is as old as the published copy was, at most 30 s while ticks run. It contains no key and no secret.
`python -m tasks.backup restore FOLDER --data-dir DIR` makes stores of it in a folder that has none.
"""

import argparse
import json
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from tasks.backup_restore import BackupDamaged, RestoreRefused, check_backup, checksum, digest, restore
from tasks.market_store import FILE_NAME as MARKET
from tasks.market_store import open_market
from tasks.publish import DAILY, FILE_NAME, SMALL, published_folder
from tasks.sql_query import open_published

FOLDER, MANIFEST = "backups", "manifest.json"
ROWS_A_BATCH = 100_000
# What publishing adds to the table `meta`.
ADDED_META = ("published_at", "data_until")


@dataclass(frozen=True, slots=True)
class Keep:
    """How many backups stay: the newest days, the newest of each of so many weeks, and of so many months."""

    days: int = 7
    weeks: int = 4
    months: int = 6


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was restored on trial: its folder, rows and bytes, what was left out, and which older ones went."""

    folder: Path
    rows: int
    size_bytes: int
    left_out: tuple[str, ...]
    deleted: tuple[str, ...]


def back_up(data_dir: Path, now: datetime, keep: Keep | None = None) -> Backup:
    """Write the backup of a day (UTC `now`), restore it on trial, put it in place, and delete what rotation says.

    The same day again replaces the day's backup once the new one has proved itself. Raises `BackupDamaged` where the
    trial differs, `Busy` where another process has the market store, `OSError` where the disk is full.
    """
    home = data_dir / FOLDER
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for remains in (*home.glob(".*.part"), *home.glob(".*.trial")):
        shutil.rmtree(remains)
    name = now.date().isoformat()
    fresh, place = home / f".{name}.part", home / name
    fresh.mkdir()
    manifest: dict[str, Any] = {"made_at": now.isoformat(), "stores": {}, "files": {}}
    left_out = [*_trading(data_dir, fresh, manifest), *_market(data_dir, fresh, manifest)]
    _paper(data_dir, fresh, manifest)
    (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    trial = home / f".{name}.trial"
    restore(fresh, trial)
    rows = check_backup(fresh, trial)
    shutil.rmtree(trial)
    if place.exists():
        shutil.rmtree(place)
    fresh.rename(place)
    deleted = rotate(home, now.date(), keep or Keep())
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return Backup(place, rows, size, tuple(left_out), tuple(deleted))


def rotate(home: Path, today: date, keep: Keep) -> list[str]:
    """Delete the backups that nothing keeps; returns their names. Other folders are never touched."""
    there: dict[date, Path] = {}
    for path in home.iterdir():
        try:
            there[date.fromisoformat(path.name)] = path
        except ValueError:
            continue
    stay = kept(sorted(there), today, keep)
    gone = [path for day, path in sorted(there.items()) if day not in stay]
    for path in gone:
        shutil.rmtree(path)
    return [path.name for path in gone]


def kept(days: Sequence[date], today: date, keep: Keep) -> set[date]:
    """Choose the days whose backups stay: the last days, and the newest of each of the newest weeks and months.

    The newest of all always stays, however old it is.
    """
    rising = sorted(days)
    stay = {day for day in rising if day > today - timedelta(days=keep.days)} | set(rising[-1:])
    weeks = {day.isocalendar()[:2]: day for day in rising}
    months = {(day.year, day.month): day for day in rising}
    for newest, count in ((weeks, keep.weeks), (months, keep.months)):
        stay |= set(sorted(newest.values(), reverse=True)[:count])
    return stay


def _trading(data_dir: Path, into: Path, manifest: dict[str, Any]) -> list[str]:
    if not (published_folder(data_dir) / FILE_NAME).is_file():
        return ["trading: nothing was published yet"]
    con = open_published(data_dir)
    try:
        names = [name for name in (*(table.name for table in DAILY), *SMALL) if name != "schema_migrations"]
        manifest["published_at"] = dict(con.execute("SELECT key, value FROM meta").fetchall()).get("published_at")
        manifest["stores"]["trading"] = _store(con, into / "trading", [*names, "meta"], manifest)
    finally:
        con.close()
    return []


def _market(data_dir: Path, into: Path, manifest: dict[str, Any]) -> list[str]:
    if not (data_dir / MARKET).is_file():
        return ["market: there is no market store"]
    with open_market(data_dir) as con:
        found = con.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY table_name").fetchall()
        names = [name for (name,) in found if name != "schema_migrations"]
        manifest["stores"]["market"] = _store(con, into / "market", names, manifest)
    return []


def _store(con: duckdb.DuckDBPyConnection, folder: Path, names: list[str], manifest: dict[str, Any]) -> dict[str, Any]:
    folder.mkdir(parents=True)
    version = con.execute("SELECT max(version) FROM schema_migrations").fetchone()
    tables: dict[str, Any] = {}
    for name in names:
        where = f"WHERE key NOT IN {ADDED_META}" if name == "meta" else ""
        reader = con.execute(f"SELECT * FROM {name} {where}").to_arrow_reader(ROWS_A_BATCH)  # noqa: S608  names of our own
        path = folder / f"{name}.parquet"
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
        columns = reader.schema.names
        rows, content = digest(con, name, columns, where)
        tables[name] = {"rows": rows, "content": content, "columns": columns}
        manifest["files"][f"{folder.name}/{path.name}"] = checksum(path)
    return {"schema": version[0] if version is not None else 0, "tables": tables}


def _paper(data_dir: Path, into: Path, manifest: dict[str, Any]) -> None:
    for path in sorted((data_dir / "paper").glob("*.sqlite")):
        target = into / "paper" / path.name
        target.parent.mkdir(exist_ok=True)
        # SQLite's own backup is whole while the tick process writes.
        with (
            closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as to,
        ):
            source.backup(to)
        manifest["files"][f"paper/{path.name}"] = checksum(target)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or restore a backup; prints what was done. Exit codes: 0 done, 2 refused, 1 the backup is damaged."""
    parser = argparse.ArgumentParser(prog="python -m tasks.backup", description="Make and restore backups.")
    inside = parser.add_subparsers(dest="action", required=True)
    one = inside.add_parser("make", help="back a data folder up now")
    two = inside.add_parser("restore", help="make stores of a backup, in a folder that has none")
    two.add_argument("backup", type=Path)
    for action in (one, two):
        action.add_argument("--data-dir", type=Path, required=True)
    given = parser.parse_args(arguments)
    try:
        if given.action == "make":
            made = back_up(given.data_dir, datetime.now(UTC).replace(tzinfo=None))
            said = f"{made.folder}: {made.rows:,} rows, {made.size_bytes / 1e6:.1f} MB, restored on trial"
        else:
            rows = restore(given.backup, given.data_dir)
            said = f"{given.data_dir}: {rows:,} rows restored"
    except RestoreRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    except BackupDamaged as damaged:
        sys.stderr.write(f"{damaged}\n")
        return 1
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
