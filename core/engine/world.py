"""What the engine remembers and what it returns, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.engine.seen import Seen
from core.facts import Fill, OrderFact
from core.ledger import Entry, Numbering
from core.lots import Lot
from core.machine import Machine, PlaceView, Wake
from core.market import Instrument, Quote
from core.orders import ClientId, Order, Role
from core.values import ZERO, exact_product
from core.working import Work


class Mode(StrEnum):
    """How far a bot may act (RULES, words of control)."""

    RUN = "run"
    PAUSED = "paused"
    HALTED = "halted"
    TRIPPED = "tripped"
    FLATTENING = "flattening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the account; None is unlimited. Fractions of peak equity, ages in seconds, jumps as fractions of price."""

    max_exposure_quote: Decimal | None = None
    max_drawdown: Decimal | None = None
    max_price_age_s: float = 15.0
    unknown_quarantine_s: float = 30.0
    market_slippage: Decimal = Decimal("0.005")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSpec:
    """A bot as configured, made ready: its machine, its plan, its instrument. Constant while the process lives."""

    bot_id: str
    kind: str
    token: str
    machine: Machine
    plan: Any
    instrument: Instrument
    capital_quote: Decimal
    places: int
    safe_spread: Decimal = ZERO
    max_open_orders: int | None = None
    max_position_size: Decimal | None = None
    max_drawdown: Decimal | None = None
    slippage: Decimal = Decimal("0.005")


@dataclass(frozen=True, slots=True)
class Unwind:
    """An order to close inventory at the market: all of it, or one lot. `episode` numbers its leg."""

    reason: str
    since: datetime
    episode: int
    lot_id: str = ""


@dataclass(frozen=True, slots=True)
class LevelRow:
    """A place as people see it: the machine's state together with the orders that work it."""

    bot_id: str
    view: PlaceView
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Live:
    """Sums over a bot's orders that may still change what it holds: entries counted, base of each kind, entries in quote.

    Kept up to date order by order, so that no limit has to walk all of them; `live_of` is the definition.
    """

    entries: int = 0
    entry_qty: Decimal = ZERO
    exit_qty: Decimal = ZERO
    entry_quote: Decimal = ZERO

    def changed(self, before: Order | None, after: Order | None) -> "Live":
        """Return the sums after one order took another's place."""
        entries, entry_qty, exit_qty, entry_quote = self.entries, self.entry_qty, self.exit_qty, self.entry_quote
        for order, sign in ((before, -1), (after, 1)):
            if order is None:
                continue
            quantity = order.unbooked * sign
            if order.role.reduces:
                exit_qty += quantity
                continue
            entries += sign if order.live else 0
            entry_qty += quantity
            if order.role is Role.ENTRY and order.price is not None:
                entry_quote += exact_product(order.price, quantity)
        return Live(entries, entry_qty, exit_qty, entry_quote)


def live_of(works: Mapping[str, Work]) -> Live:
    """Sum over all orders of a bot."""
    live = Live()
    for work in works.values():
        live = live.changed(None, work.order)
    return live


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A bot at work. Sums are quote, before fees unless named so; `inventory` is signed base over the open `lots`."""

    bot_id: str
    state: Any = None
    works: Mapping[str, Work] = field(default_factory=dict[str, Work])
    lots: Mapping[str, Lot] = field(default_factory=dict[str, Lot])
    restless: tuple[str, ...] = ()
    mode: Mode = Mode.RUN
    mode_reason: str = ""
    wake: Wake = Wake()
    machine_wake: Wake = Wake()
    cancelled_at: datetime | None = None
    started_at: datetime | None = None
    inventory: Decimal = ZERO
    cost: Decimal = ZERO
    fees_open: Decimal = ZERO
    realized: Decimal = ZERO
    grid_profit: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    round_trips: int = 0
    unwind: Unwind | None = None
    episodes: int = 0
    peak: Decimal | None = None
    live: Live = Live()
    shown: Mapping[int, LevelRow] = field(default_factory=dict[int, LevelRow])

    @property
    def exposure(self) -> Decimal:
        """Quote at stake: open lots at cost, and entries that may still fill at their prices."""
        return self.cost + self.live.entry_quote


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that a person must know: raised once, resolved once."""

    kind: str
    bot_id: str
    subject: str
    severity: str
    detail: str
    ts: datetime

    @property
    def key(self) -> str:
        """What makes it the same incident when it shows again."""
        return f"{self.kind}/{self.bot_id}/{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that is known between two ticks.

    `positions` are the ledger's signed base quantities of swaps, by (venue, symbol); `suspects` are differences between the
    ledger and a reading, by (venue, asset or symbol), standing since `suspect_since`.
    `held` are reports of orders whose symbol has no price yet, as after a start: they are answered with the first one. They
    are in no table, so a crash loses them, and the venue tells them again.
    """

    specs: Mapping[str, BotSpec]
    bots: Mapping[str, Bot]
    limits: Limits = Limits()
    quotes: Mapping[tuple[str, str], Quote] = field(default_factory=dict[tuple[str, str], Quote])
    wallet: Mapping[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])
    positions: Mapping[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])
    trades: Seen = Seen()
    numbering: Numbering = Numbering()
    incidents: Mapping[str, Incident] = field(default_factory=dict[str, Incident])
    suspects: Mapping[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])
    suspect_since: Mapping[tuple[str, str], datetime] = field(default_factory=dict[tuple[str, str], datetime])
    blocked: Mapping[str, str] = field(default_factory=dict[str, str])
    peak: Decimal | None = None
    held: tuple[OrderFact, ...] = ()
    account_wake: Mapping[tuple[str, str], Wake] = field(default_factory=dict[tuple[str, str], Wake])


@dataclass(frozen=True, slots=True)
class Place:
    """Send this order. Made by the risk gate alone."""

    order: Order


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel this order."""

    order: Order
    reason: str


Intent = Place | Cancel


@dataclass(frozen=True, slots=True)
class JournalRow:
    """What was decided about what, and why."""

    bot_id: str
    subject: str
    decision: str
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one advance produced: the next world, what to send, and every row that must be stored before sending."""

    world: World
    intents: tuple[Intent, ...]
    journal: tuple[JournalRow, ...]
    orders: tuple[Order, ...]
    fills: tuple[tuple[str, Fill], ...]
    entries: tuple[Entry, ...]
    lots: tuple[Lot, ...]
    levels: tuple[LevelRow, ...]
    bots: tuple[Bot, ...]
    raised: tuple[Incident, ...]
    resolved: tuple[str, ...]

    @property
    def quiet(self) -> bool:
        """Whether nothing happened that any table but `ticks` should hear of."""
        return not (
            self.orders or self.fills or self.entries or self.bots or self.levels
            or self.raised or self.resolved or self.journal
        )  # fmt: skip


def live_order_ids(world: World) -> dict[ClientId, Order]:
    """List every order whose fate is still open."""
    return {
        work.order.client_id: work.order
        for bot in world.bots.values()
        for work in bot.works.values()
        if work.order is not None
    }
