"""Sums of past days beside the published copy, so that a question over years opens one small file, not one per day.

    published/rollups/<name>.parquet    what sql/rollups/<name>.sql says of each day that is over, replaced as a whole

A file is made anew when a day was archived and only then: the rows of earlier days are taken over and the new days'
Parquet is read. What it is made of (its last day, how many days, which statement) stands in the file itself, so that all
change at once; a file that is lost, damaged, of other days or of another statement is made again from the days. Each
becomes a view of the same name: past days from the file, the present one from the copy. A statement may go on from what
its own rows of earlier days say (`FROM earlier`, whose columns its comment lists), and may read a rollup whose name
comes before its own. A row's `recorded_on` is the day
that its rows were recorded on, as everywhere in the published copy; one day that something happened on may therefore
stand in more rows than one, which the report views add up.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from pathlib import Path

import duckdb

ROLLUPS = Path(__file__).parents[1] / "sql" / "rollups"
# Days read at a time: bounds the memory of the first publication that finds years of days without sums.
DAYS_AT_ONCE = 128
_DAY = re.compile(r"date=\d{4}-\d\d-\d\d\.parquet")
_SOURCE = re.compile(r"^ *FROM (\w+)", re.MULTILINE)
_WITHIN = re.compile(r"^(?:WITH )?(\w+) AS \($", re.MULTILINE)
_EARLIER = re.compile(r"^-- earlier: (.+)$", re.MULTILINE)


def update_rollups(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Add the days archived below the published `folder` that the sums do not know yet.

    Raises `duckdb.Error` or `OSError`; a file is then whole, in its old or its new state.
    """
    place = folder / "rollups"
    place.mkdir(parents=True, exist_ok=True)
    for name, sql in rollups().items():
        path, days = place / f"{name}.parquet", _days(folder, source_of(sql))
        known = _known(path, sql, [day for day, _ in days])
        if not days:
            # A rebuilt store begins without days: what an earlier one summed is not its own.
            path.unlink(missing_ok=True)
        if known == len(days):
            continue
        try:
            _extend(con, path, sql, days, known)
        except duckdb.Error:
            # The old rows cannot be read; their days can. What fails again then is not the file's fault.
            _extend(con, path, sql, days, 0)


def create_rollup_views(con: duckdb.DuckDBPyConnection, folder: Path, today: date) -> None:
    """Create a view for each rollup in the copy that `con` uses, whose present day is `today`."""
    for name, sql in rollups().items():
        past = ""
        if (folder / "rollups" / f"{name}.parquet").is_file():
            file = f"coalesce(getvariable('published'), '.') || '/rollups/{name}.parquet'"
            # The bound: as for the days, a file that was made after this copy knows days that are in the copy too.
            past = f"SELECT * FROM read_parquet({file}) WHERE recorded_on < DATE '{today.isoformat()}'"  # noqa: S608  names of our own
        # The views of the rollups that it reads are there already.
        names = {source_of(sql): f"SELECT * FROM {source_of(sql)}_today", **_earlier(sql, past)}  # noqa: S608
        text = f"CREATE VIEW {name} AS {_over(sql, names)}"
        con.execute(f"{text} UNION ALL {past}" if past else text)


@cache
def rollups() -> Mapping[str, str]:
    """The statement of each rollup, by name; read once."""
    return {path.stem: path.read_text().strip().removesuffix(";") for path in sorted(ROLLUPS.glob("*.sql"))}


def source_of(sql: str) -> str:
    """The daily table that a rollup adds up."""
    own = {"earlier", *_WITHIN.findall(sql)}
    return next(name for name in _SOURCE.findall(sql) if name not in own)


def needs(sql: str) -> dict[str, str]:
    """The statements of the other rollups that a rollup's statement reads, by name."""
    return {name: text for name, text in rollups().items() if text != sql and re.search(rf"\b{name}\b", sql)}


def _over(sql: str, names: dict[str, str]) -> str:
    # The same sums over other rows: the statement reads names, which WITH gives a meaning.
    meanings = ", ".join(f"{name} AS ({rows})" for name, rows in names.items())
    return f"SELECT * FROM (WITH {meanings} SELECT * FROM ({sql}))"  # noqa: S608  our own statements


def _earlier(sql: str, past: str) -> dict[str, str]:
    # What `earlier` means in a statement that names it: the rows of past days, or none of the same columns.
    columns = _EARLIER.search(sql)
    if columns is None:
        return {}
    listed = re.split(r", (?=\w+ [A-Z])", f"recorded_on DATE, {columns[1]}")
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in (one.split(" ", 1) for one in listed))
    return {"earlier": past or f"SELECT {empty} WHERE false"}


def _extend(con: duckdb.DuckDBPyConnection, path: Path, sql: str, days: list[tuple[date, Path]], known: int) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    others = {name: _rows(path.with_name(f"{name}.parquet")) for name in needs(sql)}
    for start in range(known, len(days), DAYS_AT_ONCE):
        piece = days[start : start + DAYS_AT_ONCE]
        listed = ", ".join(_quoted(file) for _, file in piece)
        past = _rows(path) if start > 0 else ""
        rows = f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"  # noqa: S608  our own paths
        text = _over(sql, {source_of(sql): rows, **others, **_earlier(sql, past)})
        if past:
            text = f"{past} UNION ALL {text}"
        made_of = _made_of(sql, [day for day, _ in days[: start + len(piece)]])
        con.execute(
            f"COPY ({text}) TO {_quoted(fresh)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{made_of: '{made_of}'}})"
        )
        os.replace(fresh, path)  # noqa: PTH105  the name of what it does


def _known(path: Path, sql: str, days: list[date]) -> int:
    # How many of the days, from the oldest on, the file holds: 0 where it is not there or not made of just these.
    try:
        found = path.stat()
        made_of = _told(path, found.st_ino, found.st_mtime_ns, found.st_size)
    except (OSError, duckdb.Error):
        return 0
    count = int(made_of.split()[1]) if made_of else 0
    return count if count and made_of == _made_of(sql, days[:count]) else 0


# Every publication asks, and opening a dozen files is half of what a long history adds to one.
@lru_cache(maxsize=128)
def _told(path: Path, _inode: int, _changed_ns: int, _size: int) -> str:
    # What a file says that it is made of; asked again when it is another one or has changed.
    with duckdb.connect() as con:
        row = con.execute("SELECT value FROM parquet_kv_metadata(?) WHERE key = 'made_of'", [str(path)]).fetchone()
    return row[0].decode() if row is not None else ""


def _made_of(sql: str, days: list[date]) -> str:
    statement = hashlib.sha256("".join([sql, *needs(sql).values()]).encode()).hexdigest()[:16]
    return f"{days[-1].isoformat() if days else '-'} {len(days)} {statement}"


def _rows(path: Path) -> str:
    return f"SELECT * FROM read_parquet({_quoted(path)})"  # noqa: S608  our own path


def _days(folder: Path, table: str) -> list[tuple[date, Path]]:
    place = folder / "parquet" / table
    # Names sort as their days do; thousands of Path objects would take longer than all the rest of this.
    names = sorted(name for name in os.listdir(place) if _DAY.fullmatch(name)) if place.is_dir() else []  # noqa: PTH208
    return [(date.fromisoformat(name[5:15]), place / name) for name in names]


def _quoted(path: Path) -> str:
    # COPY takes no bound value for a path, and a list inside of WITH none either.
    return "'" + str(path).replace("'", "''") + "'"
