"""Read-only questions to the published copy, by people, pages and notebooks. Rule: nothing else can be reached.

The copy is opened read-only, DuckDB may touch no file outside the published folder, and the setting is locked before
the first statement runs (RULES 10).
"""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from threading import Timer
from typing import Any

import duckdb

from tasks.publish import FILE_NAME, published_folder
from tasks.store_rows import tidy

ROWS_MAX = 100_000


class QueryRefused(ValueError):
    """The question was not asked, failed, or took too long; one line says which and why."""


def open_published(data_dir: Path | str, *, memory_mb: int = 1_000) -> duckdb.DuckDBPyConnection:
    """Open the published copy of a data folder, read-only and closed to everything outside of that folder.

    Close it soon: a later publication is seen by those who open after it. `memory_mb` bounds what a query may take.
    Raises `QueryRefused` where there is no copy.
    """
    folder = published_folder(data_dir)
    path = folder / FILE_NAME
    if not path.is_file():
        raise QueryRefused(f"{path} is not there: nothing was published yet; it appears within 30 s of the first tick")
    limits = {"threads": 2, "memory_limit": f"{memory_mb}MB", "autoinstall_known_extensions": "false"}
    # Attached to a database of its own: a second `connect` to a path that is still open somewhere in this process
    # would get the file of the first, even after the path was replaced.
    con = duckdb.connect(config=limits)
    try:
        con.execute(f"ATTACH {_quoted(path)} AS gridkeeper (READ_ONLY)")
        con.execute("USE gridkeeper")
    except duckdb.Error as error:
        con.close()
        raise QueryRefused(f"{path} cannot be opened: {_first_line(error)}") from None
    con.execute("SET VARIABLE published = ?", [str(folder)])
    con.execute("SET temp_directory = ''")
    con.execute("SET allowed_directories = [" + _quoted(folder) + "]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def query(
    data_dir: Path | str, sql: str, *, timeout_s: float = 30.0, rows_max: int = ROWS_MAX
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Answer one SELECT on the published copy: column names and rows, amounts without the zeros of their columns.

    Raises `QueryRefused` for anything that is not one reading statement, for SQL that fails, for an answer of more than
    `rows_max` rows and for one that takes longer than `timeout_s`.
    """
    with open_published(data_dir) as con:
        return ask(con, sql, timeout_s=timeout_s, rows_max=rows_max)


def ask(
    con: duckdb.DuckDBPyConnection, sql: str, *, timeout_s: float = 30.0, rows_max: int = ROWS_MAX
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """As `query`, on a connection of `open_published`."""
    statement = _reading(con, sql)
    alarm = Timer(timeout_s, con.interrupt)
    alarm.start()
    try:
        answer = con.execute(statement)
        columns = [column[0] for column in answer.description or ()]
        rows = answer.fetchmany(rows_max + 1)
    except duckdb.InterruptException:
        raise QueryRefused(f"the query took longer than {timeout_s:g} s; narrow it, for example by date") from None
    except duckdb.Error as error:
        raise QueryRefused(_first_line(error)) from None
    finally:
        alarm.cancel()
    if len(rows) > rows_max:
        raise QueryRefused(f"the answer has more than {rows_max} rows; add LIMIT, or read published/parquet directly")
    return columns, [tuple(tidy(value) if isinstance(value, Decimal) else value for value in row) for row in rows]


def published_at(con: duckdb.DuckDBPyConnection) -> datetime | None:
    """When the copy was made (UTC); its age belongs beside every number taken from it."""
    row = con.execute("SELECT value FROM meta WHERE key = 'published_at'").fetchone()
    return datetime.fromisoformat(row[0]) if row is not None else None


def _reading(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryRefused(_first_line(error)) from None
    if len(statements) != 1:
        raise QueryRefused(f"one statement at a time; this is {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        raise QueryRefused(f"{kind} is refused: the published copy is for reading; ask with SELECT, SHOW or DESCRIBE")
    return statements[0]


def _first_line(error: duckdb.Error) -> str:
    # With DuckDB's own guess of what was meant, which stands in the line below.
    first, *below = str(error).strip().splitlines()
    guess = below[0] if below and below[0].startswith(("Did you mean", "Candidate bindings")) else ""
    return f"{first} {guess}".strip()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
