"""What a bot of the published copy earned and paid, over its life or over a span of time; every value is bound."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from core.values import ZERO, exact_product, total

SUMS = ("realized", "unrealized", "grid_profit", "fees", "funding")


class Span:
    """The published copy, cut to a span of time: `from_` inclusive, `to` exclusive, UTC."""

    def __init__(self, con: duckdb.DuckDBPyConnection, from_: datetime | None, to: datetime | None) -> None:
        self.con = con
        self.cut = from_ is not None or to is not None
        self.to = to
        self.first = from_ or datetime(1970, 1, 1)
        self.end = to or datetime(9999, 1, 1)

    def table(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Return the rows of a question."""
        cursor = self.con.execute(sql, list(values))
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def of_bot(self, sql: str, bot_id: str) -> list[dict[str, Any]]:
        """Return the rows of a question about a bot, its first moment and its end, in this order."""
        return self.table(sql, [bot_id, self.first, self.end])

    def last_sample(self, bot_id: str, before: datetime) -> dict[str, Any] | None:
        """Return the newest sample of a bot's worth before a moment; None where there is none."""
        rows = self.table("SELECT * FROM equity WHERE bot_id = ? AND ts < ? ORDER BY ts DESC LIMIT 1", [bot_id, before])
        return rows[0] if rows else None


@dataclass(frozen=True, kw_only=True)
class Money:
    """Sums in quote. `floating` is the unrealised profit of the bot's own market, `hedge` what its others brought, both
    before fees and funding; `hedge` is None where there is one market, or where a span does not tell them apart.
    """

    capital: Decimal
    realized: Decimal
    unrealized: Decimal
    grid_profit: Decimal
    fees: Decimal
    funding: Decimal
    floating: Decimal
    hedge: Decimal | None = None


def span_money(span: Span, state: dict[str, Any]) -> Money:
    """Return what a bot (a row of `bot_state`) earned over the span, from the state now and the samples at its ends.

    Over a span the capital is the equity at its beginning, and every sum is the difference of two samples.
    """
    bot_id = state["bot_id"]
    marks = span.table("SELECT price, unrealized FROM marks WHERE bot_id = ?", [bot_id])
    now = {
        **{name: state[name] for name in SUMS if name in state},
        "unrealized": marks[0]["unrealized"] if marks else ZERO,
    }
    if not span.cut:
        return _whole_life(span, state, now, marks[0]["price"] if marks else None)
    before = span.last_sample(bot_id, span.first)
    after = now if span.to is None else span.last_sample(bot_id, span.end)
    start, end = before or dict.fromkeys(SUMS, ZERO), after or before or dict.fromkeys(SUMS, ZERO)
    sums = {name: end[name] - start[name] for name in SUMS}
    return Money(capital=before["equity"] if before else state["capital_quote"], floating=sums["unrealized"], **sums)


def _whole_life(span: Span, state: dict[str, Any], now: dict[str, Any], price: Decimal | None) -> Money:
    market = [state["bot_id"], state["venue"], state["symbol"]]
    other = "FROM lots WHERE bot_id = ? AND NOT (venue = ? AND symbol = ?)"
    beside = span.table(
        f"SELECT count(*) AS lots, sum(realized) AS realized, sum(grid_profit) AS grid {other}", market
    )[0]
    sums = {name: now[name] for name in SUMS}
    if not beside["lots"] or price is None:
        return Money(capital=state["capital_quote"], floating=sums["unrealized"], **sums)
    held = span.table("SELECT side, qty, cost FROM lots_open WHERE bot_id = ? AND venue = ? AND symbol = ?", market)
    floating = total(
        (exact_product(price, lot["qty"]) - lot["cost"]) * (1 if lot["side"] == "buy" else -1) for lot in held
    )
    sums["grid_profit"] -= beside["grid"]
    return Money(
        capital=state["capital_quote"], floating=floating, hedge=beside["realized"] + sums["unrealized"] - floating, **sums
    )  # fmt: skip
