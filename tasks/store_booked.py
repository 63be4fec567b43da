"""What the trading store has booked already, asked before a word or a payment is booked again."""

from collections.abc import Iterable
from datetime import datetime

import duckdb


def commands_applied(con: duckdb.DuckDBPyConnection, numbers: Iterable[int]) -> frozenset[int]:
    """Say which words of control were applied already, so that a crash before `inbox.applied` repeats none."""
    found = con.execute(
        "SELECT command_id FROM commands WHERE list_contains(?, command_id)", [list(numbers)]
    ).fetchall()
    return frozenset(number for (number,) in found)


def incomes_booked(con: duckdb.DuckDBPyConnection, venue: str, refs: Iterable[str]) -> frozenset[str]:
    """Say which of these funding payments and transfers of a venue are in the ledger already."""
    found = con.execute(
        "SELECT DISTINCT ref FROM ledger WHERE venue = ? AND kind IN ('funding', 'transfer') AND list_contains(?, ref)",
        [venue, list(refs)],
    ).fetchall()
    return frozenset(ref for (ref,) in found)


def income_since(con: duckdb.DuckDBPyConnection, venue: str) -> tuple[datetime | None, datetime | None]:
    """When a venue's wallets were opened in the ledger, and the time of its newest funding or transfer there."""
    return con.execute(
        "SELECT min(ts) FILTER (kind = 'opening'), max(ts) FILTER (kind IN ('funding', 'transfer')) "
        "FROM ledger WHERE venue = ?",
        [venue],
    ).fetchone() or (None, None)
