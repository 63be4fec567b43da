"""Reads the published copy for the commands, and says how old it is."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.errors import Refused


def ask_published(data_dir: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]], float | None]:
    """Run one query on the published copy; returns columns, rows and the age of the copy in seconds.

    Raises `Refused` where the query is none, fails, or nothing has been published yet.
    """
    from tasks.sql_query import QueryRefused, ask, open_published, published_at

    try:
        con = open_published(data_dir)
    except QueryRefused as refused:
        # No question's fault.
        todo = "gridkeeper up, run or tick with this portfolio first, or another --portfolio or --data-dir"
        raise Refused(str(refused), key="data_dir", accepted=todo) from None
    try:
        try:
            made_at = published_at(con)
            columns, rows = ask(con, sql)
        finally:
            con.close()
    except QueryRefused as refused:
        raise Refused(str(refused), key="SQL", accepted="one SELECT on the published copy (docs/sql.md)") from None
    age_s = None if made_at is None else (datetime.now(UTC).replace(tzinfo=None) - made_at).total_seconds()
    return columns, rows, age_s


def age_words(age_s: float | None) -> str:
    """Write an age for people: seconds, minutes, hours or days."""
    if age_s is None:
        return "of unknown age"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if age_s >= 2 * size:
            return f"{age_s / size:.0f} {unit}"
    return f"{max(age_s, 0):.0f} s"
