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
    """How honest the simulated venue is. Fractions of price for `spread` (whole) and `slippage`; seconds for latency."""

    cross: bool = True
    latency_s: float = 0.0
    spread: Decimal = ZERO
    slippage: Decimal = ZERO


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
