"""The step under way: mutable while one advance runs, frozen into a `Step` at its end. Nothing outside sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.engine.places import Places
from core.engine.seen import Seen
from core.engine.world import (
    Bot,
    BotSpec,
    Holding,
    Incident,
    Intent,
    JournalRow,
    LevelRow,
    Limits,
    Live,
    Mode,
    Step,
    Unwind,
    World,
    exposure_of,
)
from core.facts import BarClosed, Fill, OrderFact, RateSeen
from core.ledger import Entry, Numbering, Posting, number
from core.lots import Lot
from core.machine import MachineEvent, Wake
from core.market import Market, Quote
from core.orders import Order
from core.values import ZERO, total
from core.working import Work


@dataclass(slots=True)
class BotDraft:
    """A bot being advanced. The fields are those of `Bot`; `dirty` legs and `touched` places are to be looked at.

    `unanswered` are the legs of which it was said in this advance that no answer came, `seen` places as they were shown.
    """

    spec: BotSpec
    state: Any
    works: dict[str, Work]
    lots: dict[str, Lot]
    restless: set[str]
    mode: Mode
    mode_reason: str
    wake: Wake
    machine_wake: Wake
    cancelled_at: datetime | None
    started_at: datetime | None
    inventory: Decimal
    cost: Decimal
    net_cost: Decimal
    fees_open: Decimal
    realized: Decimal
    grid_profit: Decimal
    fees: Decimal
    funding: Decimal
    round_trips: int
    unwind: Unwind | None
    episodes: int
    peak: Decimal | None
    live: Live
    shown: dict[int, LevelRow]
    beside: dict[Market, Holding]
    wakes: Mapping[Market, Wake]
    machine_wakes: Mapping[Market, Wake]
    seen: Places
    dirty: set[str] = field(default_factory=set[str])
    touched: set[int] = field(default_factory=set[int])
    events: list[MachineEvent] = field(default_factory=list[MachineEvent])
    unanswered: set[str] = field(default_factory=set[str])
    withdraw_entries: bool = False

    @property
    def exposure(self) -> Decimal:
        """Quote at stake, as `Bot.exposure`."""
        return exposure_of(self.cost, self.live, self.beside)

    def live_at(self, market: Market) -> Live:
        """The sums over live orders of a market."""
        return self.live if market == self.spec.instrument.market else self.beside.get(market, Holding()).live

    def inventory_at(self, market: Market) -> Decimal:
        """Signed base held in a market."""
        return self.inventory if market == self.spec.instrument.market else self.beside.get(market, Holding()).inventory

    def put(self, name: str, work: Work) -> None:
        """Take a leg's work in, in place of what stood there, and keep the sums over live orders right."""
        before = self.works.get(name)
        was = before.order if before is not None else None
        if was is not work.order:
            self._count(was, work.order)
        self.works[name] = work

    def drop(self, name: str) -> None:
        """Forget a leg's work, if there is any."""
        before = self.works.pop(name, None)
        if before is not None and before.order is not None:
            self._count(before.order, None)

    def _count(self, before: Order | None, after: Order | None) -> None:
        # Both are orders of one leg, and a leg has one market.
        order = before or after
        if not self.beside or order is None or (order.venue, order.symbol) == self.spec.instrument.market:
            self.live = self.live.changed(before, after)
            return
        market = (order.venue, order.symbol)
        held = self.beside[market]
        self.beside[market] = replace(held, live=held.live.changed(before, after))

    def frozen(self) -> Bot:
        """Return the value that goes into the next world."""
        return Bot(
            bot_id=self.spec.bot_id, state=self.state, works=self.works, lots=self.lots,
            restless=tuple(sorted(self.restless)), mode=self.mode, mode_reason=self.mode_reason, wake=self.wake,
            machine_wake=self.machine_wake, cancelled_at=self.cancelled_at,
            started_at=self.started_at, inventory=self.inventory, cost=self.cost, net_cost=self.net_cost,
            fees_open=self.fees_open, realized=self.realized, grid_profit=self.grid_profit, fees=self.fees, funding=self.funding,
            round_trips=self.round_trips, unwind=self.unwind, episodes=self.episodes, peak=self.peak,
            live=self.live, shown=self.shown, beside=self.beside, wakes=self.wakes,
            machine_wakes=self.machine_wakes, seen=self.seen,
        )  # fmt: skip


def thaw(bot: Bot, spec: BotSpec) -> BotDraft:
    """Start changing a bot."""
    return BotDraft(
        spec=spec, state=bot.state, works=dict(bot.works), lots=dict(bot.lots), restless=set(bot.restless), mode=bot.mode,
        mode_reason=bot.mode_reason, wake=bot.wake,
        machine_wake=bot.machine_wake, cancelled_at=bot.cancelled_at, started_at=bot.started_at, inventory=bot.inventory,
        cost=bot.cost, net_cost=bot.net_cost, fees_open=bot.fees_open, realized=bot.realized,
        grid_profit=bot.grid_profit, fees=bot.fees, funding=bot.funding,
        round_trips=bot.round_trips, unwind=bot.unwind, episodes=bot.episodes, peak=bot.peak, live=bot.live,
        shown=dict(bot.shown),
        beside={one.market: bot.beside.get(one.market, Holding()) for one in spec.others} if spec.others else {},
        wakes=bot.wakes, machine_wakes=bot.machine_wakes, seen=bot.seen,
        dirty=set(), touched=set(), events=[], unanswered=set(),
    )  # fmt: skip


@dataclass(slots=True)
class Draft:
    """All that one advance changes and produces."""

    world: World
    now: datetime
    limits: Limits
    quotes: dict[tuple[str, str], Quote]
    fresh: set[tuple[str, str]]
    wallet: dict[tuple[str, str], Decimal]
    positions: dict[tuple[str, str], Decimal]
    numbering: Numbering
    incidents: dict[str, Incident]
    suspects: dict[tuple[str, str], Decimal]
    suspect_since: dict[tuple[str, str], datetime]
    blocked: dict[str, str]
    peak: Decimal | None
    account_wake: Mapping[tuple[str, str], Wake]
    bots: dict[str, Bot]
    new_trades: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    intents: list[Intent] = field(default_factory=list[Intent])
    journal: list[JournalRow] = field(default_factory=list[JournalRow])
    orders: dict[str, Order] = field(default_factory=dict[str, Order])
    fills: list[tuple[str, Fill]] = field(default_factory=list[tuple[str, Fill]])
    entries: list[Entry] = field(default_factory=list[Entry])
    lots: dict[tuple[str, str], Lot] = field(default_factory=dict[tuple[str, str], Lot])
    levels: dict[tuple[str, int], LevelRow] = field(default_factory=dict[tuple[str, int], LevelRow])
    changed: dict[str, Bot] = field(default_factory=dict[str, Bot])
    raised: list[Incident] = field(default_factory=list[Incident])
    resolved: list[str] = field(default_factory=list[str])
    held: list[OrderFact | BarClosed | RateSeen] = field(default_factory=list[OrderFact | BarClosed | RateSeen])
    room_freed: bool = False
    # Sums over all bots, made when first asked for and kept up bot by bot: else each order would walk all bots.
    _exposure: Decimal | None = None
    _promised: dict[Market, Decimal] = field(default_factory=dict[Market, Decimal])

    def note(self, bot_id: str, subject: str, decision: str, reason: str) -> None:
        """Write one line of the journal."""
        self.journal.append(JournalRow(bot_id, subject, decision, reason))

    def post(
        self, postings: tuple[Posting, ...], *, ts: datetime, bot_id: str, venue: str, kind: str, ref: str
    ) -> None:
        """Book one transaction and move wallet and position with it."""
        entries, self.numbering = number(
            postings, self.numbering, ts=ts, bot_id=bot_id, venue=venue, kind=kind, ref=ref
        )
        self.entries.extend(entries)
        for entry in entries:
            if entry.account in {"wallet", "position"}:
                sums = self.wallet if entry.account == "wallet" else self.positions
                sums[venue, entry.asset] = sums.get((venue, entry.asset), ZERO) + entry.amount

    def alarm(self, kind: str, bot_id: str, subject: str, severity: str, detail: str) -> None:
        """Raise an incident, once for as long as it stands."""
        incident = Incident(kind, bot_id, subject, severity, detail, self.now)
        if incident.key not in self.incidents:
            self.incidents[incident.key] = incident
            self.raised.append(incident)

    def all_clear(self, kind: str, bot_id: str, subject: str) -> None:
        """Resolve an incident, if it stands; one that was raised in this very step leaves no trace."""
        if not self.incidents:
            return
        key = f"{kind}/{bot_id}/{subject}"
        incident = self.incidents.pop(key, None)
        if incident is None:
            return
        if incident in self.raised:
            self.raised.remove(incident)
        else:
            self.resolved.append(key)

    def seen(self, key: tuple[str, str, str, str]) -> bool:
        """Whether a trade was booked before, in this advance or an earlier one."""
        return key in self.new_trades or key in self.world.trades

    def quote_of(self, bot: BotDraft) -> Quote | None:
        """The quote of a bot's first market."""
        return self.quotes.get(bot.spec.instrument.market)

    def account_exposure(self) -> Decimal:
        """Quote at stake over all bots: open lots at cost and live entry orders at their prices."""
        return total(bot.exposure for bot in self.bots.values())

    def exposure_beside(self, bot_id: str) -> Decimal:
        """Quote at stake over all bots but this one."""
        if self._exposure is None:
            self._exposure = self.account_exposure()
        return self._exposure - self.bots[bot_id].exposure

    def promised_beside(self, bot_id: str, market: Market) -> Decimal:
        """Base that live orders of all bots but this one may still take off a market's position."""
        if market not in self._promised:
            self._promised[market] = total(self._leaving(bot, market) for bot in self.bots.values())
        return self._promised[market] - self._leaving(self.bots[bot_id], market)

    def _leaving(self, bot: Bot, market: Market) -> Decimal:
        first = self.world.specs[bot.bot_id].instrument
        if (first.venue, first.symbol) == market:
            return bot.live.exit_qty
        held = bot.beside.get(market)
        return ZERO if held is None else held.live.exit_qty

    def keep(self, draft: BotDraft) -> None:
        """Put an advanced bot back into the world to come."""
        bot = draft.frozen()
        before = self.bots[bot.bot_id]
        self.bots[bot.bot_id] = bot
        if self._exposure is not None:
            self._exposure += bot.exposure - before.exposure
        for market in self._promised:
            self._promised[market] += self._leaving(bot, market) - self._leaving(before, market)
        # Most often the state itself has changed, and the rest need not be looked at.
        if (before.state is not bot.state and before.state != bot.state) or _remembered(before) != _remembered(bot):
            self.changed[bot.bot_id] = bot

    def freeze(self) -> Step:
        """Return what this advance produced."""
        world = self.world
        trades: Seen = world.trades.plus(self.new_trades) if self.new_trades else world.trades
        after = World(
            specs=world.specs, bots=self.bots, limits=self.limits, quotes=self.quotes, wallet=self.wallet, trades=trades,
            positions=self.positions, suspect_since=self.suspect_since,
            numbering=self.numbering, incidents=self.incidents, suspects=self.suspects, blocked=self.blocked,
            peak=self.peak, held=tuple(self.held), account_wake=self.account_wake,
        )  # fmt: skip
        return Step(
            world=after, intents=tuple(self.intents), journal=tuple(self.journal), orders=tuple(self.orders.values()),
            fills=tuple(self.fills), entries=tuple(self.entries), lots=tuple(self.lots.values()),
            levels=tuple(self.levels.values()), bots=tuple(self.changed.values()), raised=tuple(self.raised),
            resolved=tuple(self.resolved),
        )  # fmt: skip


def _remembered(bot: Bot) -> tuple[object, ...]:
    # What a restart needs of a bot beside its state, levels, lots and orders.
    return (
        bot.mode, bot.mode_reason, bot.started_at, bot.unwind, bot.episodes, bot.peak,
        bot.realized, bot.grid_profit, bot.fees, bot.funding, bot.round_trips,
    )  # fmt: skip


def open_draft(world: World, now: datetime) -> Draft:
    """Start an advance."""
    return Draft(
        world=world, now=now, limits=world.limits, quotes=dict(world.quotes), fresh=set(), wallet=dict(world.wallet),
        positions=dict(world.positions), suspect_since=dict(world.suspect_since),
        numbering=world.numbering, incidents=dict(world.incidents), suspects=dict(world.suspects),
        blocked=dict(world.blocked), peak=world.peak, account_wake=world.account_wake, bots=dict(world.bots),
        new_trades=[], intents=[], journal=[], orders={}, fills=[], entries=[], lots={}, levels={}, changed={}, raised=[],
        resolved=[], held=[],
    )  # fmt: skip
