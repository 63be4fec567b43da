"""What the engine remembers and what it returns, as plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from core.engine.places import NOT_SEEN, Places
from core.engine.seen import Seen
from core.facts import BarClosed, Fill, OrderFact, RateSeen
from core.ledger import Entry, Numbering
from core.lots import Lot, is_hedge
from core.machine import Bars, Machine, PlaceView, Wake
from core.market import Instrument, Market, Quote
from core.orders import ClientId, Kind, Order, Role
from core.quick import quick
from core.values import ZERO, exact_product, total
from core.working import Work


class Mode(StrEnum):
    """How far a bot may act (RULES, words of control)."""

    RUN = "run"
    PAUSED = "paused"
    HALTED = "halted"
    TRIPPED = "tripped"
    FLATTENING = "flattening"
    LEFT = "left"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of the account; None is unlimited. Fractions of peak equity, ages in seconds, jumps as fractions of price.

    `protective_quarantine_s` is the shorter quarantine of closings at the market, which the exchange takes within 2 s or
    never: recvWindow 2 s, its own time-out of 10 s, 5 s of lag in its lists, 3 s to spare.
    """

    max_exposure_quote: Decimal | None = None
    max_drawdown: Decimal | None = None
    max_price_age_s: float = 15.0
    unknown_quarantine_s: float = 30.0
    protective_quarantine_s: float = 20.0
    market_slippage: Decimal = Decimal("0.005")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSpec:
    """A bot as configured, made ready: its machine, its plan, its instruments. Constant while the process lives.

    `instrument` is the one whose price wakes it and values it; `others` are those that it trades beside. `venue_stop` is
    where its swap positions' stops rest, as a fraction from the average entry; `venue_stop_price` names the price itself.
    """

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
    others: tuple[Instrument, ...] = ()
    bars: tuple[Bars, ...] = ()
    rates: tuple[Market, ...] = ()
    long: bool = True
    hears_refusals: bool = False
    step_min: Decimal | None = None
    nets: bool = False
    venue_stop: Decimal | None = None
    venue_stop_price: Decimal | None = None
    max_bound_quote: Decimal | None = None
    warnings: tuple[str, ...] = ()

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that it trades, the first one first."""
        return (self.instrument, *self.others)

    def rule(self, market: Market) -> Instrument:
        """Return the instrument of a market; raises `KeyError` where the bot does not trade it."""
        venue, symbol = market
        if self.instrument.symbol == symbol and self.instrument.venue == venue:
            return self.instrument
        for one in self.others:
            if one.symbol == symbol and one.venue == venue:
                return one
        raise KeyError(market)


@dataclass(frozen=True, slots=True)
class Unwind:
    """An order to close inventory at the market: all of it, or one lot. `episode` numbers its leg."""

    reason: str
    since: datetime
    episode: int
    lot_id: str = ""


@quick
@dataclass(frozen=True, slots=True)
class LevelRow:
    """A place as people see it: the machine's state together with the orders that work it."""

    bot_id: str
    view: PlaceView
    state: str
    reason: str


@quick
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
        if before is not None and after is not None and before.live and after.live and _alike(before, after):
            return self
        entries, entry_qty, exit_qty, entry_quote = self.entries, self.entry_qty, self.exit_qty, self.entry_quote
        for order, sign in ((before, -1), (after, 1)):
            if order is None or order.role is Role.HEDGE or order.kind is Kind.STOP_MARKET:
                continue  # a hedge is bounded by what it hedges; a stop closes what exits would, should they not come to it
            quantity = order.unbooked * sign
            if order.role.reduces:
                exit_qty += quantity
                continue
            entries += sign if order.live else 0
            entry_qty += quantity
            if order.price is not None:
                entry_quote += exact_product(order.price, quantity)
        return Live(entries, entry_qty, exit_qty, entry_quote)


def _alike(before: Order, after: Order) -> bool:
    # Whether two live states of one order count for the same, as before and after its acknowledgement.
    return before.qty == after.qty and before.traded_qty == after.traded_qty and before.price == after.price


def live_of(works: Mapping[str, Work], market: Market | None = None) -> Live:
    """Sum over all orders of a bot; of those in one market where it is named."""
    live = Live()
    for work in works.values():
        if work.order is not None and market in {None, (work.order.venue, work.order.symbol)}:
            live = live.changed(None, work.order)
    return live


@quick
@dataclass(frozen=True, slots=True)
class Holding:
    """What a bot has in one market beside its first: signed base over its open lots, their cost and fees, live orders.

    `cost` sums the lots' costs, `net_cost` takes those of short lots as negative, `hedged_cost` is the part of hedges.
    """

    inventory: Decimal = ZERO
    cost: Decimal = ZERO
    net_cost: Decimal = ZERO
    hedged_cost: Decimal = ZERO
    fees_open: Decimal = ZERO
    live: Live = Live()

    @property
    def exposure(self) -> Decimal:
        """Quote at stake: what entries opened, and entries that may still fill. A hedge takes stakes away."""
        return self.cost - self.hedged_cost + self.live.entry_quote


def holding_of(market: Market, lots: Iterable[Lot], works: Mapping[str, Work]) -> Holding:
    """Sum a bot's open lots and live orders in one market: what the sums that are kept must always equal."""
    here = [lot for lot in lots if (lot.venue, lot.symbol) == market]
    return Holding(
        inventory=total(lot.qty * lot.side.sign for lot in here),
        cost=total(lot.cost for lot in here),
        net_cost=total(lot.cost * lot.side.sign for lot in here),
        hedged_cost=total(lot.cost for lot in here if is_hedge(lot.lot_id)),
        fees_open=total(lot.fees for lot in here),
        live=live_of(works, market),
    )


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A bot at work. Sums are quote, before fees unless named so; `inventory` is signed base over the open `lots`.

    `inventory`, `cost`, `net_cost` (short lots negative), `fees_open`, `live` and `wake` are of its first market; `beside`
    and `wakes` of its others.
    """

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
    net_cost: Decimal = ZERO
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
    beside: Mapping[Market, Holding] = field(default_factory=dict[Market, Holding])
    wakes: Mapping[Market, Wake] = field(default_factory=dict[Market, Wake])
    machine_wakes: Mapping[Market, Wake] = field(default_factory=dict[Market, Wake])
    seen: Places = field(default=NOT_SEEN, compare=False, repr=False)

    @property
    def exposure(self) -> Decimal:
        """Quote at stake: open lots at cost, and entries that may still fill at their prices; hedges are none."""
        return exposure_of(self.cost, self.live, self.beside)


def exposure_of(cost: Decimal, live: Live, beside: Mapping[Market, Holding]) -> Decimal:
    """Return quote at stake over all markets of a bot."""
    first = cost + live.entry_quote
    return first + sum((one.exposure for one in beside.values()), ZERO) if beside else first


class Valued(Protocol):
    """What a bot's worth is made of; a bot in the world and one being advanced both are."""

    @property
    def inventory(self) -> Decimal: ...
    @property
    def net_cost(self) -> Decimal: ...
    @property
    def realized(self) -> Decimal: ...
    @property
    def fees(self) -> Decimal: ...
    @property
    def funding(self) -> Decimal: ...
    @property
    def beside(self) -> Mapping[Market, Holding]: ...


def value_of(bot: Valued, spec: BotSpec, quotes: Mapping[Market, Quote]) -> tuple[Decimal, Decimal] | None:
    """Return profit net of fees at the last prices, and the quote value at stake; None where a price is missing.

    The profit is realised + floating - fees + funding over all markets of the bot (RULES 15).
    """
    profit = bot.realized - bot.fees + bot.funding
    at_stake = ZERO
    first = (spec.instrument.market, bot.inventory, bot.net_cost)
    for market, inventory, net_cost in (first, *((m, one.inventory, one.net_cost) for m, one in bot.beside.items())):
        if inventory == ZERO and net_cost == ZERO:
            continue
        quote = quotes.get(market)
        if quote is None:
            return None
        value = exact_product(quote.last, inventory)
        profit += value - net_cost
        at_stake += abs(value)
    return profit, at_stake


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


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that is known between two ticks.

    `positions` are the ledger's signed base quantities of swaps, by (venue, symbol); `suspects` are differences between the
    ledger and a reading, by (venue, asset or symbol), standing since `suspect_since`.
    `held` are reports of orders, and candles, whose symbol has no price yet, as after a start: they are answered with the
    first one. They are in no table, so a crash loses them, and the venue tells them again.
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
    held: tuple[OrderFact | BarClosed | RateSeen, ...] = ()
    account_wake: Mapping[tuple[str, str], Wake] = field(default_factory=dict[tuple[str, str], Wake])


@quick
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


@quick
@dataclass(frozen=True, slots=True)
class JournalRow:
    """What was decided about what, and why."""

    bot_id: str
    subject: str
    decision: str
    reason: str


@quick
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
    resolved: tuple[str, ...]
    raised: tuple[Incident, ...]  # after what was resolved: the same incident may stand anew

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
