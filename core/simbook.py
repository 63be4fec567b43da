"""What a simulated venue is made of: its fill rules, the orders it keeps, its book of them, swap positions."""

from bisect import insort
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.facts import SeenAs
from core.orders import ClientId, Kind
from core.values import ZERO, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRules:
    """How honest the simulated venue is. Fractions of price for `spread` (whole) and `slippage`; seconds for latency.

    `maintenance` is the margin that an exchange wants left of a position, as a fraction of its notional: 0.004 for BTC and
    up to 0.01 for most others in Binance's first bracket. `participation` is the most of a bar's volume that our orders of a
    symbol may trade within that bar, as a fraction; None: as much as they want.
    """

    cross: bool = True
    latency_s: float = 0.0
    spread: Decimal = ZERO
    slippage: Decimal = ZERO
    maintenance: Decimal = Decimal("0.005")
    participation: Decimal | None = None


@dataclass(slots=True)
class SimOrder:
    """An order as the venue keeps it. `active_at` is when it reaches the book."""

    client_id: ClientId
    exchange_id: str
    symbol: str
    side: Side
    kind: Kind
    price: Decimal | None
    qty: Decimal
    filled: Decimal
    post_only: bool
    reduce_only: bool
    status: SeenAs
    created_at: datetime
    active_at: datetime
    locked: Decimal = ZERO
    reason: str = ""
    stop_price: Decimal | None = None


@dataclass(slots=True)
class Book:
    """Our resting orders of one symbol, as sorted (price, arrival, client id)."""

    bids: list[tuple[Decimal, int, ClientId]] = field(default_factory=list[tuple[Decimal, int, ClientId]])
    asks: list[tuple[Decimal, int, ClientId]] = field(default_factory=list[tuple[Decimal, int, ClientId]])

    def add(self, order: SimOrder) -> None:
        """Rest an order. At one price the earlier one fills first: bids are taken from the end, so they count back."""
        if order.price is None:
            return
        arrival = int(order.exchange_id)
        if order.side is Side.BUY:
            insort(self.bids, (order.price, -arrival, order.client_id))
        else:
            insort(self.asks, (order.price, arrival, order.client_id))


@dataclass(slots=True)
class Swap:
    """An open swap position: signed base quantity and its cost in quote (always positive)."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO


@dataclass(slots=True)
class Stops:
    """Stop-market orders that wait for their trigger, by symbol; they are in no book."""

    waiting: dict[str, list[SimOrder]] = field(default_factory=dict[str, list[SimOrder]])

    def arm(self, order: SimOrder, last: Decimal) -> str | None:
        """Let an order wait; says why not where the price is past its trigger already."""
        stop = order.stop_price
        if stop is None or passed(order, last):
            return f"a stop at {stop} would trigger at once: the price is {last}"
        self.waiting.setdefault(order.symbol, []).append(order)
        return None

    def forget(self, order: SimOrder) -> None:
        """Take an order out that fired or ended."""
        orders = [one for one in self.waiting.get(order.symbol, []) if one is not order]
        if orders:
            self.waiting[order.symbol] = orders
        else:
            self.waiting.pop(order.symbol, None)

    def reached(self, symbol: str, to: Decimal) -> list[SimOrder]:
        """Return the orders that a path to `to` sets off, in the order in which it comes to them."""
        fired = [order for order in self.waiting.get(symbol, []) if passed(order, to)]
        return sorted(fired, key=lambda order: (order.stop_price or ZERO) * order.side.sign)

    def edges(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """Return the nearest triggers of a symbol: (below, above)."""
        orders = [
            (order.side, order.stop_price) for order in self.waiting.get(symbol, []) if order.stop_price is not None
        ]
        lows = [stop for side, stop in orders if side is Side.SELL]
        highs = [stop for side, stop in orders if side is Side.BUY]
        return max(lows, default=None), min(highs, default=None)


def passed(order: SimOrder, price: Decimal) -> bool:
    """Whether a price is at or past an order's trigger: a sale triggers at or below it, a purchase at or above."""
    stop = order.stop_price
    return stop is not None and (price <= stop if order.side is Side.SELL else price >= stop)
