"""Sums of past days beside the published copy, so that a question over years opens one small file, not one per day.

    published/rollups/<name>.parquet    what sql/rollups/<name>.sql says of each day that is over, replaced as a whole

A file is made anew when a day was archived and only then: the rows of earlier days are taken over and the new days'
Parquet is read. What it is made of (its last day, how many days, which statement) stands in the file itself, so that all
change at once; a file that is lost, damaged, of other days or of another statement is made again from the days. Each
becomes a view of the same name: past days from the file, the present one from the copy. A row's `recorded_on` is the day
that its rows were recorded on, as everywhere in the published copy; one day that something happened on may therefore
stand in more rows than one, which the report views add up.
"""

import hashlib
import os
import re
from datetime import date
from pathlib import Path

import duckdb

ROLLUPS = Path(__file__).parents[1] / "sql" / "rollups"
# Days read at a time: bounds the memory of the first publication that finds years of days without sums.
DAYS_AT_ONCE = 128
_DAY = re.compile(r"date=\d{4}-\d\d-\d\d\.parquet")
_SOURCE = re.compile(r"^FROM (\w+)$", re.MULTILINE)


def update_rollups(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Add the days archived below the published `folder` that the sums do not know yet.

    Raises `duckdb.Error` or `OSError`; a file is then whole, in its old or its new state.
    """
    place = folder / "rollups"
    place.mkdir(parents=True, exist_ok=True)
    for name, sql in rollups().items():
        path, days = place / f"{name}.parquet", _days(folder, source_of(sql))
        known = _known(con, path, sql, [day for day, _ in days])
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
        source = source_of(sql)
        present = f"({_over(sql, f'SELECT * FROM {source}_today')})"  # noqa: S608  names of our own
        text = f"CREATE VIEW {name} AS SELECT * FROM {present}"  # noqa: S608
        if (folder / "rollups" / f"{name}.parquet").is_file():
            file = f"coalesce(getvariable('published'), '.') || '/rollups/{name}.parquet'"
            # The bound: as for the days, a file that was made after this copy knows days that are in the copy too.
            text += f" UNION ALL SELECT * FROM read_parquet({file}) WHERE recorded_on < DATE '{today.isoformat()}'"  # noqa: S608
        con.execute(text)


def rollups() -> dict[str, str]:
    """The statement of each rollup, by name."""
    return {path.stem: path.read_text().strip().removesuffix(";") for path in sorted(ROLLUPS.glob("*.sql"))}


def source_of(sql: str) -> str:
    """The daily table that a rollup adds up."""
    return _SOURCE.findall(sql)[0]


def _over(sql: str, rows: str) -> str:
    # The same sums over other rows: the statement reads the name of its table, which WITH gives a meaning.
    return f"WITH {source_of(sql)} AS ({rows}) {sql}"


def _extend(con: duckdb.DuckDBPyConnection, path: Path, sql: str, days: list[tuple[date, Path]], known: int) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    for start in range(known, len(days), DAYS_AT_ONCE):
        piece = days[start : start + DAYS_AT_ONCE]
        listed = ", ".join(_quoted(file) for _, file in piece)
        text = _over(sql, f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)")  # noqa: S608  our own paths
        if start > 0:
            text = f"SELECT * FROM read_parquet({_quoted(path)}) UNION ALL ({text})"  # noqa: S608
        made_of = _made_of(sql, [day for day, _ in days[: start + len(piece)]])
        con.execute(
            f"COPY ({text}) TO {_quoted(fresh)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{made_of: '{made_of}'}})"
        )
        os.replace(fresh, path)  # noqa: PTH105  the name of what it does


def _known(con: duckdb.DuckDBPyConnection, path: Path, sql: str, days: list[date]) -> int:
    # How many of the days, from the oldest on, the file holds: 0 where it is not there or not made of just these.
    if not path.is_file():
        return 0
    try:
        row = con.execute("SELECT value FROM parquet_kv_metadata(?) WHERE key = 'made_of'", [str(path)]).fetchone()
    except duckdb.Error:
        return 0
    made_of = row[0].decode() if row is not None else ""
    count = int(made_of.split()[1]) if made_of else 0
    return count if count and made_of == _made_of(sql, days[:count]) else 0


def _made_of(sql: str, days: list[date]) -> str:
    statement = hashlib.sha256(sql.encode()).hexdigest()[:16]
    return f"{days[-1].isoformat() if days else '-'} {len(days)} {statement}"


def _days(folder: Path, table: str) -> list[tuple[date, Path]]:
    place = folder / "parquet" / table
    # Names sort as their days do; thousands of Path objects would take longer than all the rest of this.
    names = sorted(name for name in os.listdir(place) if _DAY.fullmatch(name)) if place.is_dir() else []  # noqa: PTH208
    return [(date.fromisoformat(name[5:15]), place / name) for name in names]


def _quoted(path: Path) -> str:
    # COPY takes no bound value for a path, and a list inside of WITH none either.
    return "'" + str(path).replace("'", "''") + "'"
