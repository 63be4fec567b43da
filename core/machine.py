"""What every strategy is to the engine: a pure step from state and events to state and wishes.

A machine never sees an order. It is told of fills of its legs and of the market, and says which legs it wants worked
from now on; the order layer does the rest. A machine's rules live in its own file; this one holds only the words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from core.facts import BarClosed, RateSeen, Refusal
from core.market import Instrument, Market, Quote
from core.orders import Leg, Role
from core.quick import quick
from core.values import ZERO, Side


@quick
@dataclass(frozen=True, slots=True)
class LegFilled:
    """Part of a leg traded at `price`: `qty` gross; `net` is by how much the lots of its place changed, base fees included."""

    leg_id: str
    role: Role
    lot_id: str
    qty: Decimal
    net: Decimal
    price: Decimal
    ts: datetime
    side: Side


@dataclass(frozen=True, slots=True)
class LegRefused:
    """A venue refused an order of this leg; the order layer paces the next attempt. `times` in a row so far."""

    leg_id: str
    kind: Refusal
    reason: str
    times: int
    ts: datetime


@quick
@dataclass(frozen=True, slots=True)
class LotCut:
    """Some of a lot was closed by a leg that is not its own exit: an unwind, a stop, a person."""

    lot_id: str
    qty: Decimal
    ts: datetime


MachineEvent = LegFilled | LegRefused | LotCut | BarClosed | RateSeen


@quick
@dataclass(frozen=True, slots=True)
class Held:
    """What a bot holds in one market beside its first: signed base, cost and fees in quote; the quote may be missing."""

    instrument: Instrument
    quote: Quote | None
    inventory: Decimal = ZERO
    cost: Decimal = ZERO
    net_cost: Decimal = ZERO
    fees_open: Decimal = ZERO


@quick
@dataclass(frozen=True, slots=True)
class View:
    """What a machine may look at: time, market, and its own open inventory (signed base, cost and fees in quote).

    `high` and `low` are the extremes of the reference price since the machine last looked (RULES 9e). `beside` holds the
    bot's other markets, if it trades several. `net_cost` takes the cost of short lots as negative. `realized` (before
    fees), `fees` and `funding` are sums over its life, in quote. `held_back` says why control lets it place no entries;
    empty where it may.
    """

    now: datetime
    started_at: datetime
    quote: Quote
    high: Decimal
    low: Decimal
    instrument: Instrument
    inventory: Decimal
    cost: Decimal
    fees_open: Decimal
    net_cost: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    beside: Mapping[Market, Held] = field(default_factory=dict[Market, Held])
    held_back: str = ""


@quick
@dataclass(frozen=True, slots=True)
class Wake:
    """What would make a machine act: price at or below `low`, at or above `high`, or the clock at `deadline`.

    None means never. A band may be too narrow, never too wide (RULES 18c).
    """

    low: Decimal | None = None
    high: Decimal | None = None
    deadline: datetime | None = None

    def due(self, low: Decimal, high: Decimal, now: datetime) -> bool:
        """Whether prices seen between `low` and `high`, or the time `now`, leave the band."""
        if self.low is not None and low <= self.low:
            return True
        if self.high is not None and high >= self.high:
            return True
        return self.deadline is not None and now >= self.deadline

    def meet(self, other: "Wake") -> "Wake":
        """The narrower of two bands on each side: wakes when either would."""
        if other.low is None and other.high is None and other.deadline is None:
            return self
        if self.low is None and self.high is None and self.deadline is None:
            return other
        # Written out: bands are met several times in every advance.
        low, high, deadline = self.low, self.high, self.deadline
        if low is None or (other.low is not None and other.low > low):
            low = other.low
        if high is None or (other.high is not None and other.high < high):
            high = other.high
        if deadline is None or (other.deadline is not None and other.deadline < deadline):
            deadline = other.deadline
        return Wake(low, high, deadline)


@quick
@dataclass(frozen=True, slots=True)
class Note:
    """One line for the journal: what was decided about what, and why."""

    subject: str
    decision: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must know; an incident of this kind and subject, raised once while it stands."""

    kind: str
    subject: str
    severity: str
    detail: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Coins of the account that were there before the bot and shall be its own from now on: a lot at `price`, long."""

    lot_id: str
    qty: Decimal
    price: Decimal


@quick
@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step returns. `wants` holds changes only: a leg now wanted, or None for one no longer wanted.

    `touched` are the places (levels) whose state changed; `unwind` asks the engine to close all inventory and says why.
    `trip` latches the bot until a person releases it: no entries, exits go on. `wake` is about the bot's first market,
    `wakes` about its others. `alarms` raises incidents, `calm` resolves them by subject. `claims` take coins over that
    the account already holds; what is not free there is not booked and raises an incident.
    """

    state: Any
    wants: Mapping[str, Leg | None] = field(default_factory=dict[str, Leg | None])
    notes: tuple[Note, ...] = ()
    touched: tuple[int, ...] = ()
    wake: Wake = Wake()
    unwind: str = ""
    wakes: Mapping[Market, Wake] = field(default_factory=dict[Market, Wake])
    alarms: tuple[Alarm, ...] = ()
    calm: tuple[tuple[str, str], ...] = ()
    claims: tuple[Claim, ...] = ()
    trip: str = ""


@quick
@dataclass(frozen=True, slots=True)
class PlaceView:
    """One place (level, slice, rung) for people and for the store: prices, size, and what it waits for.

    `entry` and `exit` name its legs, `others` those that it has beside them: rungs, a hedge. Whatever of them is withdrawn
    may be wanted again. `data` is what the machine needs to stand up again after a restart.
    """

    place: int
    phase: str
    entry: str
    exit: str
    entry_price: Decimal
    exit_price: Decimal
    qty: Decimal
    held: Decimal
    reason: str
    data: Mapping[str, str]
    others: tuple[str, ...] = ()

    @property
    def legs(self) -> tuple[str, ...]:
        """Every leg of the place's present life: their client ids must not be used a second time."""
        return (self.entry, self.exit, *self.others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A configuration made ready for its instruments: the machine's plan, and what the engine must know beside it.

    `capital_quote` is what profit is measured against, `places` how many places `Machine.place` can show, `step_min` the
    smallest distance in price between an entry and its exit (None: there is none). `long` says on which side it enters:
    the pessimistic path inside a candle depends on it. `bars` names the candles it wants to hear of when they close,
    with how many finished ones it needs before its first step; `rates` the perpetuals whose funding rates it wants.
    `hears_refusals`: whether refusals of its legs are events for it, or the order layer's business alone. `nets`: whether
    its entries take either side of one net position, so that each closes first what stands against it. `max_bound_quote`
    caps what its lots and entries may be worth together, orders of unknown fate included; `warnings` say what a
    configuration asks for in vain, with what would work.
    """

    plan: Any
    capital_quote: Decimal
    places: int
    safe_spread: Decimal = ZERO
    max_open_orders: int | None = None
    step_min: Decimal | None = None
    long: bool = True
    bars: tuple["Bars", ...] = ()
    rates: tuple[Market, ...] = ()
    hears_refusals: bool = False
    nets: bool = False
    max_bound_quote: Decimal | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """Candles that a machine wants to hear of: market, timeframe in seconds, and how many it needs before it starts."""

    market: Market
    timeframe_s: int
    warmup: int


class Machine(Protocol):
    """A strategy. All methods are pure; `plan` is what `make_plan` computed once from configuration and instrument."""

    def begin(self, plan: Any, view: View) -> Outcome:
        """Start on an empty account at the first valid quote."""
        ...

    def step(self, plan: Any, state: Any, events: tuple[MachineEvent, ...], view: View) -> Outcome:
        """Answer events and the market. Total: every event has an answer in every state."""
        ...

    def wants(self, plan: Any, state: Any) -> dict[str, Leg]:
        """List every leg wanted now: the sum of all changes ever returned."""
        ...

    def prices(self, plan: Any) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
        """List entry price, exit price and quantity of every place, as planned."""
        ...

    def place(self, plan: Any, state: Any, index: int) -> PlaceView:
        """Show one place."""
        ...

    def head(self, state: Any) -> dict[str, Any]:
        """Return what is not in the places, as JSON-ready plain data."""
        ...

    def restore(self, plan: Any, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> Any:
        """Build the state back from `head` and the places' data."""
        ...
