"""A grid replayed over recorded trades and best quotes, with its orders waiting in the queue of their price.

An order joins behind what is shown at its price once that is the best price; what trades there takes the queue first, and
what is taken away from the shown size shortens it. A trade beyond the price has swept the queue, and fills the order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

import pyarrow.parquet as pq

from core.market import Candle

# The grid's `safe_extra_spread`.
SAFE = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade of the market; `sold` tells that the one who took it sold."""

    at: datetime
    price: Decimal
    qty: Decimal
    sold: bool


@dataclass(frozen=True, slots=True)
class Best:
    """The best prices of a book with the sizes shown there."""

    at: datetime
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal


@dataclass(slots=True)
class Waiting:
    """One order of the grid: on its way until `since`, `ahead` of it in the queue (None: its price was never the best).

    `line` is the price of its level; an order that would take the book stands behind the touch meanwhile.
    """

    buys: bool
    price: Decimal
    left: Decimal
    since: datetime
    ahead: Decimal | None = None
    resting: bool = False
    line: Decimal = Decimal(0)


def read_trades(file: Path) -> list[Trade]:
    """Read recorded trades in the exchange's order of time."""
    rows = pq.read_table(file, columns=["timestamp", "price", "amount", "side"]).to_pylist()
    return [
        Trade(r["timestamp"].replace(tzinfo=None), Decimal(str(r["price"])), Decimal(str(r["amount"])), r["side"] == "sell")
        for r in sorted(rows, key=lambda r: r["timestamp"])
    ]  # fmt: skip


def read_best(file: Path) -> list[Best]:
    """Read recorded best quotes in the exchange's order of time."""
    names = ["timestamp", "bid", "bid_size", "ask", "ask_size"]
    rows = pq.read_table(file, columns=names).to_pylist()
    rows.sort(key=lambda r: r["timestamp"])
    return [Best(r["timestamp"].replace(tzinfo=None), *(Decimal(str(r[n])) for n in names[1:])) for r in rows]


def candles_of(trades: Sequence[Trade]) -> list[Candle]:
    """Make candles of one second; a second without a trade has none."""
    found: dict[datetime, list[Trade]] = {}
    for trade in trades:
        found.setdefault(trade.at.replace(microsecond=0), []).append(trade)
    return [
        Candle(at, t[0].price, max(x.price for x in t), min(x.price for x in t), t[-1].price, sum((x.qty for x in t), Decimal(0)))
        for at, t in found.items()
    ]  # fmt: skip


def replay(
    lines: Sequence[tuple[Decimal, Decimal, Decimal]],
    trades: Sequence[Trade],
    best: Sequence[Best],
    latency_s: float,
    tick: Decimal,
) -> list[tuple[datetime, int, bool]]:
    """Replay levels (entry, exit, quantity) that buy, then sell, then buy again; returns (time, level, bought) of fills."""
    late = timedelta(seconds=latency_s)
    start = min(trades[0].at, best[0].at)
    orders = [Waiting(True, entry, qty, start + late) for entry, _, qty in lines]
    fills: list[tuple[datetime, int, bool]] = []
    seen: Best | None = None
    for event in _in_order(trades, best):
        if isinstance(event, Best):
            seen = event
        for level, order in enumerate(orders):
            if not order.resting:
                if event.at < order.since or seen is None:
                    continue
                order.line, order.price, order.resting = order.price, _behind(order, seen, tick), True
            elif order.price != order.line and seen is not None and not _crosses(order, seen):
                orders[level] = Waiting(order.buys, order.line, order.left, event.at + late)
                continue
            if isinstance(event, Best):
                _queue(order, event)
            elif _fills(order, event):
                fills.append((event.at, level, order.buys))
                entry, leave, qty = lines[level]
                orders[level] = Waiting(not order.buys, leave if order.buys else entry, qty, event.at + late)
    return fills


def _in_order(trades: Sequence[Trade], best: Sequence[Best]) -> Iterator[Trade | Best]:
    yield from sorted([*trades, *best], key=lambda event: event.at)


def _crosses(order: Waiting, seen: Best) -> bool:
    price = order.line or order.price
    return price >= seen.ask if order.buys else price <= seen.bid


def _behind(order: Waiting, seen: Best, tick: Decimal) -> Decimal:
    # A post-only order that would take the book keeps the engine's distance from the touch.
    if not _crosses(order, seen):
        return order.price
    if order.buys:
        return (seen.ask * (1 - SAFE) / tick).to_integral_value(ROUND_FLOOR) * tick
    return (seen.bid * (1 + SAFE) / tick).to_integral_value(ROUND_CEILING) * tick


def _queue(order: Waiting, seen: Best) -> None:
    price, shown = (seen.bid, seen.bid_qty) if order.buys else (seen.ask, seen.ask_qty)
    if order.price == price:
        order.ahead = shown if order.ahead is None else min(order.ahead, shown)
    elif (order.price > price) == order.buys:
        order.ahead = Decimal(0)


def _fills(order: Waiting, trade: Trade) -> bool:
    beyond = trade.price < order.price if order.buys else trade.price > order.price
    if beyond:
        return True
    if trade.price != order.price or trade.sold != order.buys or order.ahead is None:
        return False
    taken = min(order.ahead, trade.qty)
    order.ahead -= taken
    order.left -= min(order.left, trade.qty - taken)
    return order.left == 0
