"""Exports of the published copy as CSV: fills, round trips, and what a year's disposals gained by a named lot method.

    fills         every execution, as the store has it
    round-trips   every execution that closes: what came in, what went out, profit before fees
    tax           every disposal of a year, matched by FIFO, LIFO or average (`tasks.exports_lots`)

Amounts are exact and in the asset that the column names; nothing is converted to a currency of the state. Fees: one in
quote or in a third asset adds to the cost and takes from the proceeds, in quote at the rate stored with it; one in the
bought coin makes the quantity received smaller. Giving up that third asset itself is not a row here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

from core.values import ZERO
from tasks.exports_csv import csv_text
from tasks.exports_lots import Deal, Disposal, Method, match
from tasks.sql_query import open_published
from tasks.store_rows import tidy

BATCH_ROWS = 20_000
_WIDE = Context(prec=76, rounding=ROUND_HALF_EVEN)
FILLS = (
    "ts", "bot_id", "venue", "symbol", "side", "role", "price", "qty", "quote_qty", "fee", "fee_asset", "fee_quote", "realized",
    "maker", "trade_id", "client_id", "leg_id", "lot_id",
)  # fmt: skip
TRIPS = (
    "closed_at", "opened_at", "bot_id", "venue", "symbol", "direction", "lot_id", "qty", "entry_value_quote",
    "exit_value_quote", "realized_before_fees_quote", "exit_fee_quote", "closed_by", "trade_id",
)  # fmt: skip
TAX = (
    "disposed_at", "acquired_at", "venue", "symbol", "asset", "quote_asset", "direction", "qty", "proceeds_quote", "cost_quote",
    "gain_quote", "days_held", "method", "note", "bot_id", "trade_id",
)  # fmt: skip


class Kind(StrEnum):
    """What is exported."""

    FILLS = "fills"
    ROUND_TRIPS = "round-trips"
    TAX = "tax"


class ExportRefused(ValueError):
    """The books do not allow this export; one line says which row is in the way."""


@dataclass(frozen=True, slots=True)
class Span:
    """Executions from `first` (UTC) to before `end`; None is no bound."""

    first: datetime | None = None
    end: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether a moment lies in it."""
        return (self.first is None or at >= self.first) and (self.end is None or at < self.end)


def write_export(data_dir: Path, kind: Kind, path: Path, span: Span, method: Method = Method.FIFO) -> int:
    """Write one CSV, whole or not at all; returns its rows.

    Raises `QueryRefused` where nothing was published, `ExportRefused` where a fee has no rate, `OSError`.
    """
    columns = {Kind.FILLS: FILLS, Kind.ROUND_TRIPS: TRIPS, Kind.TAX: TAX}[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.part")
    written = 0
    try:
        # A byte order mark makes spreadsheets read UTF-8; without it they guess.
        with open_published(data_dir) as con, fresh.open("w", encoding="utf-8-sig", newline="") as out:
            out.write(csv_text(columns, []))
            for row in _rows(con, kind, span, method):
                out.write(csv_text((), [row], header=False))
                written += 1
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return written


def _rows(con: duckdb.DuckDBPyConnection, kind: Kind, span: Span, method: Method) -> Iterator[tuple[Any, ...]]:
    fills = executions(con, span.end)
    if kind is Kind.FILLS:
        return (tuple(row[name] for name in FILLS) for row in fills if span.holds(row["ts"]))
    if kind is Kind.ROUND_TRIPS:
        return (trip for trip in round_trips(fills) if span.holds(trip[0]))
    sold = match(deals(fills), method)
    return (tax_row(one, method) for one in sold if span.holds(one.closed_at))


def executions(con: duckdb.DuckDBPyConnection, end: datetime | None) -> Iterator[dict[str, Any]]:
    """Every execution before `end`, oldest first, amounts without the zeros of their columns."""
    cursor = con.execute(
        f"SELECT {', '.join(FILLS)} FROM fills WHERE ? IS NULL OR ts < ? ORDER BY ts, trade_id, side",  # noqa: S608  our own names
        [end, end],
    )
    while batch := cursor.fetchmany(BATCH_ROWS):
        for row in batch:
            yield {
                name: tidy(value) if isinstance(value, Decimal) else value
                for name, value in zip(FILLS, row, strict=True)
            }


def round_trips(fills: Iterable[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """One row per execution that closes, as `TRIPS`. The entry's value is the closed part of its lot at its own cost."""
    opened: dict[tuple[str, str], tuple[datetime, Decimal]] = {}
    for fill in fills:
        key = (fill["bot_id"], fill["lot_id"])
        if fill["realized"] is None:
            first, held = opened.get(key, (fill["ts"], ZERO))
            opened[key] = (first, held + fill["qty"])
            continue
        first, held = opened.get(key, (None, ZERO))
        sells = fill["side"] == "sell"
        out, profit = fill["quote_qty"], fill["realized"]
        yield (
            fill["ts"], first, fill["bot_id"], fill["venue"], fill["symbol"], "long" if sells else "short", fill["lot_id"],
            fill["qty"], out - profit if sells else out + profit, out, profit, fill["fee_quote"], fill["role"], fill["trade_id"],
        )  # fmt: skip
        # A lot that is empty begins anew with its next entry.
        if first is not None and held <= fill["qty"]:
            del opened[key]
        elif first is not None:
            opened[key] = (first, held - fill["qty"])


def deals(fills: Iterable[dict[str, Any]]) -> Iterator[Deal]:
    """The executions with their fees inside quantity and value; raises `ExportRefused` for a fee without a rate."""
    for fill in fills:
        base = fill["symbol"].partition("/")[0]
        buys, qty, value = fill["side"] == "buy", fill["qty"], fill["quote_qty"]
        if fill["fee_asset"] == base and ":" not in fill["symbol"]:
            qty = _WIDE.subtract(qty, fill["fee"]) if buys else _WIDE.add(qty, fill["fee"])
        elif fill["fee"] != ZERO:
            if fill["fee_quote"] is None:
                raise ExportRefused(
                    f"trade {fill['trade_id']} of {fill['symbol']} at {fill['ts']}: its fee of {fill['fee']} "
                    f"{fill['fee_asset']} has no rate in the store; without it a gain would be wrong"
                )
            value = _WIDE.add(value, fill["fee_quote"]) if buys else _WIDE.subtract(value, fill["fee_quote"])
        yield Deal(fill["ts"], fill["venue"], fill["symbol"], buys, qty, value, fill["trade_id"], fill["bot_id"])


def tax_row(one: Disposal, method: Method) -> tuple[Any, ...]:
    """One disposal as `TAX`; `days_held` counts whole days, and the note says what is not known."""
    base, _, rest = one.symbol.partition("/")
    held = None if one.opened_at is None else (one.closed_at - one.opened_at).days
    note = "" if one.cost is not None else "no purchase in these books"
    return (
        one.closed_at, one.opened_at, one.venue, one.symbol, base, rest.partition(":")[0], "short" if one.short else "long",
        one.qty, one.proceeds, one.cost, one.gain, held, method.value, note, one.bot_id, one.trade_id,
    )  # fmt: skip
