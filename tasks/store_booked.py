"""What the trading store has booked already, asked before a word or a payment is booked again."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import duckdb

from tasks.store_rows import tidy


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


def traded_since(
    con: duckdb.DuckDBPyConnection, venue: str, symbol: str, at: datetime
) -> tuple[tuple[str, Decimal], ...]:
    """Sum the signed base of stored executions of a market from a time on, by owner."""
    found = con.execute(
        "SELECT bot_id, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) AS qty FROM fills "
        "WHERE venue = ? AND symbol = ? AND ts >= ? GROUP BY bot_id ORDER BY bot_id",
        [venue, symbol, at],
    ).fetchall()
    return tuple((owner, tidy(qty)) for owner, qty in found)


def income_since(con: duckdb.DuckDBPyConnection, venue: str) -> tuple[datetime | None, datetime | None]:
    """When a venue's wallets were opened in the ledger, and the time of its newest funding or transfer there."""
    return con.execute(
        "SELECT min(ts) FILTER (kind = 'opening'), max(ts) FILTER (kind IN ('funding', 'transfer')) "
        "FROM ledger WHERE venue = ?",
        [venue],
    ).fetchone() or (None, None)
