"""Legs and the orders that work them. Rule: every way an order can change stands in `TRANSITIONS`.

A leg is what a strategy wants done: one side, one price, one quantity. An order is one attempt at it. Commands are
ours and partial; what the venue reports is total: each report has an answer in each status, late fills after a cancel
included (docs/reliability.md). The diagram in the documents is drawn from the table.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import NewType, Self

from core.quick import quick
from core.values import ZERO, Side

ClientId = NewType("ClientId", str)

# Binance USD-M and portfolio margin accept 32 characters of this set, the narrowest of the venues met so far.
CLIENT_ID_LENGTH_MAX = 32
_CLIENT_ID = re.compile(r"([a-z0-9]{1,8})-([a-z0-9]{4})-([a-z])(\d+)-(\d+)-(\d+)")


class Role(StrEnum):
    """What a leg is for; the value is its letter in client ids.

    `reduces`: whether legs of this role only ever take risk off.
    """

    ENTRY = "e"
    EXIT = "x"
    UNWIND = "u"
    STOP = "s"
    HEDGE = "h"

    reduces: bool

    def __new__(cls, value: str) -> Self:
        """Make a member that knows whether it reduces: a plain attribute, for it is asked several times an order."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.reduces = value in {"x", "u", "s"}
        return made


class Kind(StrEnum):
    """How a leg meets the book. `market` is an immediate-or-cancel order capped at its price, where it has one."""

    LIMIT = "limit"
    MARKET = "market"
    STOP_MARKET = "stop_market"
    STOP_LIMIT = "stop_limit"


_LETTERS = frozenset(role.value for role in Role)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One unit of execution, worked at most once: Σ executed over all its orders never exceeds `qty`.

    `qty` is in base units and may grow while the leg is worked (an exit follows the fills of its entry). `lot_id`
    names the lot that an entry opens or an exit closes; an unwind closes the bot's oldest lots first and has none.
    """

    leg_id: str
    venue: str
    symbol: str
    side: Side
    role: Role
    kind: Kind
    qty: Decimal
    price: Decimal | None
    stop_price: Decimal | None = None
    post_only: bool = False
    reduce_only: bool = False
    lot_id: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegGroup:
    """Legs that are approved all or none and sent together; `deadline_s` bounds how long one may stand alone."""

    group: str
    leg_ids: tuple[str, ...]
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLeg:
    """A leg that follows fills: `target` is where the position shall be, `done` what its own fills have reached.

    Both are signed base quantities. What is left to work is target - done - pending, where an order of unknown fate
    counts as done until it is resolved (RULES 9c).
    """

    leg_id: str
    target: Decimal
    done: Decimal
    pending: Decimal

    @property
    def missing(self) -> Decimal:
        """Signed quantity still to be worked."""
        return self.target - self.done - self.pending


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    CANCELING = "CANCELING"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


TERMINAL = frozenset({Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED})


class Event(StrEnum):
    """What can happen to an order, as told by the venue or done by us (`CANCEL_SENT`)."""

    ACKED = "acked"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    SEEN_OPEN = "seen_open"
    SEEN_CANCELED = "seen_canceled"
    SEEN_EXPIRED = "seen_expired"
    COMPLETED = "completed"
    NEVER_ARRIVED = "never_arrived"
    CANCEL_SENT = "cancel_sent"
    CANCEL_FAILED = "cancel_failed"


def _row(**changes: Status) -> dict[Event, Status]:
    return {Event(name): status for name, status in changes.items()}


_SENT = _row(
    acked=Status.OPEN,
    refused=Status.REJECTED,
    unanswered=Status.UNKNOWN,
    seen_open=Status.OPEN,
    seen_canceled=Status.CANCELED,
    seen_expired=Status.EXPIRED,
    completed=Status.FILLED,
    never_arrived=Status.REJECTED,
)

# An event that is not named for a status leaves it as it is. The surprising rows say why.
TRANSITIONS: dict[Status, dict[Event, Status]] = {
    Status.PENDING: _SENT,
    Status.UNKNOWN: _SENT | _row(refused=Status.UNKNOWN),  # a refusal of a second query says nothing of the order
    Status.OPEN: _row(
        cancel_sent=Status.CANCELING,
        seen_canceled=Status.CANCELED,
        seen_expired=Status.EXPIRED,
        completed=Status.FILLED,
    ),
    Status.CANCELING: _row(
        cancel_failed=Status.OPEN,  # the cancel never arrived and the order was seen resting: ask again
        seen_canceled=Status.CANCELED,
        seen_expired=Status.EXPIRED,
        completed=Status.FILLED,  # the fill won the race against our cancel
    ),
    Status.FILLED: {},
    Status.CANCELED: _row(completed=Status.FILLED),  # a fill reported after the cancel: it happened before it
    Status.EXPIRED: _row(completed=Status.FILLED),
    Status.REJECTED: _row(
        completed=Status.FILLED,  # believed never to have arrived, yet it traded
        seen_open=Status.OPEN,  # likewise, and it still rests: it is ours, watch it again
    ),
}


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt at a leg. `filled_qty` is the larger of what the venue reports and what its trades add up to."""

    client_id: ClientId
    venue: str
    symbol: str
    bot_id: str
    leg_id: str
    attempt: int
    role: Role
    side: Side
    kind: Kind
    price: Decimal | None
    qty: Decimal
    filled_qty: Decimal
    traded_qty: Decimal
    status: Status
    exchange_id: str
    reason: str
    created_at: datetime
    updated_at: datetime
    post_only: bool = False
    reduce_only: bool = False
    stop_price: Decimal | None = None

    @property
    def live(self) -> bool:
        """Whether the venue may still fill it: everything that is not known to be over."""
        return self.status not in TERMINAL

    @property
    def remaining(self) -> Decimal:
        """Base quantity that may still fill."""
        return max(self.qty - self.filled_qty, ZERO) if self.live else ZERO

    @property
    def unbooked(self) -> Decimal:
        """Base quantity that may still change what is held: not yet filled, or filled with its trades still to come."""
        return max((self.qty if self.live else self.filled_qty) - self.traded_qty, ZERO)


def next_status(status: Status, event: Event) -> Status:
    """Answer an event in a status; total, and unchanged where the table names nothing."""
    return TRANSITIONS[status].get(event, status)


def apply(
    order: Order,
    event: Event,
    now: datetime,
    *,
    executed: Decimal = ZERO,
    traded: Decimal = ZERO,
    exchange_id: str = "",
    reason: str = "",
) -> Order:
    """Return the order after an event. `executed` is a cumulative report, `traded` the quantity of one new trade.

    Executed quantity never falls. An order whose quantity is reached is FILLED, whatever else was said of it.
    """
    traded_qty = order.traded_qty + traded
    filled = max(order.filled_qty, executed, traded_qty)
    reached = filled >= order.qty
    status = next_status(order.status, Event.COMPLETED if reached else event)
    if event is Event.COMPLETED and not reached:
        status = order.status
    return Order(
        client_id=order.client_id, venue=order.venue, symbol=order.symbol, bot_id=order.bot_id, leg_id=order.leg_id,
        attempt=order.attempt, role=order.role, side=order.side, kind=order.kind, price=order.price, qty=order.qty,
        filled_qty=filled, traded_qty=traded_qty, status=status, exchange_id=exchange_id or order.exchange_id,
        reason=reason or order.reason, created_at=order.created_at, updated_at=now, post_only=order.post_only,
        reduce_only=order.reduce_only, stop_price=order.stop_price,
    )  # fmt: skip


@quick
@dataclass(frozen=True, slots=True)
class Decoded:
    """What a client id says: whose order it is, for which leg (`leg_id`: role, place and cycle), and which attempt."""

    bot_id: str
    token: str
    role: Role
    place: int
    cycle: int
    attempt: int
    leg_id: str


# The same few hundred legs are named again and again.
@lru_cache(maxsize=1 << 14)
def leg_id(role: Role, place: int, cycle: int) -> str:
    """Name a leg: role, place in the strategy (level, slice, rung) and the cycle of that place."""
    return f"{role.value}{place}-{cycle}"


def client_id(bot_id: str, token: str, leg: str, attempt: int) -> ClientId:
    """Build the client order id: a pure function of its meaning, so that a replay makes the same one.

    `token` is the four-character mark of the store that writes (RULES 3). Raises `ValueError` past 32 characters.
    """
    made = f"{bot_id}-{token}-{leg}-{attempt}"
    if len(made) > CLIENT_ID_LENGTH_MAX or _CLIENT_ID.fullmatch(made) is None:
        message = f"client id {made!r} is not of the form bot-token-leg-cycle-attempt within 32 characters"
        raise ValueError(message)
    return ClientId(made)


# An order's answer and its trades come one after another.
@lru_cache(maxsize=1 << 12)
def decode(text: str) -> Decoded | None:
    """Read a client id back, or None where it is not one of this house's."""
    match = _CLIENT_ID.fullmatch(text)
    if match is None or match[3] not in _LETTERS:
        return None
    bot, token, role, place, cycle, attempt = match.groups()
    what, where, life = Role(role), int(place), int(cycle)
    return Decoded(bot, token, what, where, life, int(attempt), leg_id(what, where, life))
