"""What an exchange alone tells of our bots: orders by their client ids, trades, holdings. Rule: nothing is guessed.

A client id says bot, store, leg, cycle and attempt, so every order says what it was for. What no order says (latches,
peaks, budgets, which lot a person had closed) takes its most conservative value and is named in the findings (RULES 9d).
`core.engine.rebuild` builds the world from it; a machine takes its own part with `adopt`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from core.facts import BalanceRead, Fill, PositionRead, SeenAs
from core.machine import MachineEvent
from core.market import Quote
from core.orders import ClientId, Decoded, Kind, Order, Role, Status, decode
from core.values import Side, total


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOrder:
    """An order as an exchange lists it, open or over. Quantities are base; `executed` is cumulative."""

    venue: str
    symbol: str
    client_id: ClientId
    exchange_id: str
    side: Side
    kind: Kind
    price: Decimal | None
    qty: Decimal
    executed: Decimal
    status: SeenAs
    created_at: datetime
    updated_at: datetime
    post_only: bool = False
    reduce_only: bool = False
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that was read of the accounts. Trades are oldest first for each symbol, of strangers too.

    `since` is from when on trades and orders could be read; None where all that ever happened was read.
    """

    orders: tuple[OwnOrder, ...]
    trades: tuple[Fill, ...]
    balances: tuple[BalanceRead, ...]
    positions: tuple[PositionRead, ...] = ()
    quotes: tuple[Quote, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a machine is told of the life of its bot.

    `events` are the fills of its legs and the cuts of its lots, oldest first; `live` the legs with an order that may still
    trade; `seen` every leg that ever had an order. `started_at` is the time of the oldest of them.
    """

    now: datetime
    started_at: datetime
    events: tuple[MachineEvent, ...]
    live: frozenset[str]
    seen: frozenset[str]


@runtime_checkable
class Adopts(Protocol):
    """A machine that can stand up from its past alone. A kind without `adopt` is refused by the rebuild.

    The state must want no leg of a cycle that was worked to its end, must offer by exits all that is held, and must
    never buy anew what `initial_inventory` had bought. Latches that no order shows take the value that acts least.
    """

    def adopt(self, plan: Any, past: Past) -> Any:
        """Return the state of a bot with this past."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a rebuild decided or could not know; `bot_id` is empty for the account."""

    bot_id: str
    subject: str
    detail: str


class RebuildRefused(ValueError):
    """What the exchange shows does not allow a rebuild; the message says what to look at."""


def tokens_of(told: Told, bots: Iterable[str]) -> dict[str, tuple[int, datetime]]:
    """Return the store tokens under which these bots have open orders or trades: how many, and when last."""
    known = set(bots)
    found: dict[str, tuple[int, datetime]] = {}
    marks = [(order.client_id, order.updated_at) for order in told.orders]
    marks += [(fill.client_id, fill.ts) for fill in told.trades]
    for client_id, at in marks:
        who = decode(client_id)
        if who is not None and who.bot_id in known:
            count, last = found.get(who.token, (0, at))
            found[who.token] = (count + 1, max(last, at))
    return found


def open_tokens(told: Told, bots: Iterable[str]) -> frozenset[str]:
    """Return the tokens under which orders of these bots rest now."""
    known = set(bots)
    found: set[str] = set()
    for order in told.orders:
        who = decode(order.client_id)
        if who is not None and who.bot_id in known and order.status is SeenAs.OPEN:
            found.add(who.token)
    return frozenset(found)


def choose_token(told: Told, bots: Iterable[str]) -> str | None:
    """Return the token of the store that was lost: that of the resting orders, else the one that acted last.

    None where these bots never traded. Raises `RebuildRefused` where orders of two stores rest, for then two instances
    have been at work and nobody may join their books.
    """
    names = tuple(bots)
    resting = open_tokens(told, names)
    if len(resting) > 1:
        message = (
            f"orders of {len(resting)} stores rest (tokens {', '.join(sorted(resting))}): two instances traded these bots; "
            "stop both and cancel the orders of one of them at the exchange"
        )
        raise RebuildRefused(message)
    if resting:
        return next(iter(resting))
    acted = tokens_of(told, names)
    return max(acted, key=lambda token: (acted[token][1], token)) if acted else None


_STATUS = {
    SeenAs.OPEN: Status.OPEN,
    SeenAs.FILLED: Status.FILLED,
    SeenAs.CANCELED: Status.CANCELED,
    SeenAs.EXPIRED: Status.EXPIRED,
}


def orders_of(told: Told, bots: Iterable[str], token: str) -> list[Order]:
    """Return every order of these bots and this store, ready to be worked on; oldest first.

    An order that the exchange has forgotten is known by its trades, and then for over: what is open is never forgotten.
    """
    known = set(bots)
    traded: dict[ClientId, list[Fill]] = {}
    for fill in told.trades:
        traded.setdefault(fill.client_id, []).append(fill)
    found: list[Order] = []
    listed: set[ClientId] = set()
    for one in told.orders:
        who = _own(one.client_id, known, token)
        if who is not None and one.client_id not in listed:
            listed.add(one.client_id)
            found.append(_listed(one, who, total(fill.qty for fill in traded.get(one.client_id, []))))
    for client_id, fills in traded.items():
        who = _own(client_id, known, token)
        if who is not None and client_id not in listed:
            found.append(_forgotten(fills, who))
    return sorted(found, key=lambda order: (order.created_at, order.client_id))


def _own(client_id: ClientId, bots: set[str], token: str) -> Decoded | None:
    who = decode(client_id)
    return who if who is not None and who.bot_id in bots and who.token == token else None


def _listed(one: OwnOrder, who: Decoded, traded: Decimal) -> Order:
    filled = max(one.executed, traded)
    return Order(
        client_id=one.client_id, venue=one.venue, symbol=one.symbol, bot_id=who.bot_id, leg_id=who.leg_id,
        attempt=who.attempt, role=who.role, side=one.side, kind=one.kind, price=one.price, qty=one.qty, filled_qty=filled,
        traded_qty=traded, status=Status.FILLED if filled >= one.qty else _STATUS[one.status],
        exchange_id=one.exchange_id, reason="found at the exchange", created_at=one.created_at,
        updated_at=max(one.updated_at, one.created_at), post_only=one.post_only, reduce_only=one.reduce_only,
        stop_price=one.stop_price,
    )  # fmt: skip


def _forgotten(fills: list[Fill], who: Decoded) -> Order:
    first, filled = fills[0], total(fill.qty for fill in fills)
    times = [fill.ts for fill in fills]
    return Order(
        client_id=first.client_id, venue=first.venue, symbol=first.symbol, bot_id=who.bot_id, leg_id=who.leg_id,
        attempt=who.attempt, role=who.role, side=first.side, kind=Kind.LIMIT, price=first.price, qty=filled,
        filled_qty=filled, traded_qty=filled, status=Status.FILLED, exchange_id="",
        reason="known by its trades alone", created_at=min(times), updated_at=max(times),
        reduce_only=who.role is not Role.ENTRY and ":" in first.symbol,
    )  # fmt: skip
