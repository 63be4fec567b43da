"""Opens the published copy for the dashboard, and reads the days that a question needs, and no others.

A view over the whole history opens a file for every day that ever was; a page shows some hours of it. `Copy.since`
names the files of those days instead, so that a page costs what it shows.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tasks.publish import published_folder
from tasks.sql_query import open_published
from tasks.store_rows import tidy

MEMORY_MB = 220
_DAY = re.compile(r"date=\d{4}-\d\d-\d\d\.parquet")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """An open published copy. `bound`: rows recorded before this day are in Parquet files, the others in the copy.

    `until` is the newest sample of equity (or what the copy reaches to), `started_at` when the first bot began.
    """

    con: duckdb.DuckDBPyConnection
    folder: Path
    meta: dict[str, str]
    bound: date
    until: datetime
    started_at: datetime | None

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Ask with bound values; returns rows by column name, amounts without the zeros of their columns."""
        cursor = self.con.execute(sql, dict(values) if isinstance(values, Mapping) else list(values))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]

    def has(self, table: str) -> bool:
        """Whether the copy has this table or view."""
        found = self.con.execute(
            "SELECT 1 FROM duckdb_columns() WHERE database_name = 'gridkeeper' AND table_name = ? LIMIT 1", [table]
        )
        return found.fetchone() is not None

    def since(self, table: str, moment: datetime | None) -> str:
        """A FROM clause for the rows of a daily table that happened at `moment` (UTC) or later; None: all of them.

        Rows are recorded when they happen or later, so files of earlier days hold none of them. The clause may hold
        some older rows too: filter by `ts` as well.
        """
        first = date.min if moment is None else moment.date()
        files = [_quoted(path) for day, path in days_of(self.folder, table) if first <= day < self.bound]
        if not files:
            return f"{table}_today"
        past = f"SELECT * FROM read_parquet([{', '.join(files)}], hive_partitioning = false)"  # noqa: S608  our own paths
        return f"(SELECT * FROM {table}_today UNION ALL BY NAME {past})"  # noqa: S608  names of our own

    def moment(self, key: str) -> datetime | None:
        """A time of the copy's `meta`, or None where it is not set."""
        text = self.meta.get(key, "")
        return datetime.fromisoformat(text) if text else None


@contextmanager
def opened(data_dir: Path | str) -> Iterator[Copy]:
    """Open the copy for one answer; raises `QueryRefused` where nothing was published yet.

    It is not kept open in between: that would be a third of the time of an answer, but nobody could write into the file.
    """
    con = open_published(data_dir, memory_mb=MEMORY_MB)
    try:
        meta = {str(key): str(value) for key, value in con.execute("SELECT key, value FROM meta").fetchall()}
        row = con.execute(
            "SELECT (SELECT max(ts) FROM equity_today), (SELECT min(started_at) FROM bot_state)"
        ).fetchone()
        reached = meta.get("data_until", "")
        recorded = datetime.fromisoformat(reached) if reached else None
        sampled, started_at = row or (None, None)
        bound = date.min if recorded is None else recorded.date()
        yield Copy(con, published_folder(data_dir), meta, bound, sampled or recorded or now_utc(), started_at)
    finally:
        con.close()


def days_of(folder: Path, table: str) -> list[tuple[date, str]]:
    """The paths of a daily table's files, by day, oldest first."""
    place = folder / "parquet" / table
    # As text: to make and compare a thousand Path objects takes longer than any question.
    names = sorted(os.listdir(place)) if place.is_dir() else []  # noqa: PTH208
    return [(date.fromisoformat(name[5:15]), f"{place}/{name}") for name in names if _DAY.fullmatch(name)]


def now_utc() -> datetime:
    """The machine's clock, UTC without a zone, as all times in the stores."""
    return datetime.now(UTC).replace(tzinfo=None)


def _plain(value: Any) -> Any:
    return tidy(value) if isinstance(value, Decimal) else value


def _quoted(path: str) -> str:
    # A list of files can hold no bound value inside of UNION ALL.
    return "'" + path.replace("'", "''") + "'"
