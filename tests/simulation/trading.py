"""The tick loop against the hostile account: gather, decide, commit, act; crashes anywhere; invariants all along.

The readings of a tick come in the order of `tasks.gather`; what fails is absent, and said.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TypeVar

from core.engine import BotSpec, Cancel, Limits, Mode, Place, Step, World, advance
from core.facts import Accepted, Action, Command, Fact, Fill, NotFound, Seen, Trouble
from core.market import Instrument
from core.orders import ClientId
from core.reconcile import changed, ours, to_ask, to_book, trades_due, trades_since
from core.simbook import FillRules
from tests.core.worlds import T0, D, grid, instrument, spec, swap
from tests.simulation import invariants, kinds, rebuilding
from tests.simulation.beside import Till
from tests.simulation.hostile import CALM, Faults, HostileVenue
from tests.simulation.memory import Memory

Read = TypeVar("Read")
TICK_S = 5.0
ROUNDS_MAX = 5
BALANCES_EVERY = timedelta(seconds=60)
# Longer than any pause after a refusal: a leg that the exchange would not take has tried again by then.
REST_S = 3700.0


class Crash(Exception):
    """The process is gone: all that was in memory is lost."""


class ReadLostError(Exception):
    """A reading failed; what was read before it counts."""


@dataclass(slots=True)
class Trading:
    """One process after another, trading one account. `seed` decides everything; prices move by at most `step_max`.

    Both bots of the account are of one `kind` (`tests.simulation.kinds`).

    `crash_at` are boundaries (counted from 0) at which the process dies for certain, besides those that chance picks.
    """

    seed: int
    faults: Faults
    step_max: int = 30
    kind: str = "grid"
    rng: Random = field(init=False)
    venue: HostileVenue = field(init=False)
    memory: Memory = field(init=False)
    world: World = field(init=False)
    now: datetime = T0
    prices: dict[str, int] = field(default_factory=dict[str, int])
    walked: dict[str, datetime] = field(default_factory=dict[str, datetime])
    balanced: datetime | None = None
    carried: list[Fact] = field(default_factory=list[Fact])
    orphans: dict[ClientId, int] = field(default_factory=dict[ClientId, int])
    problems: list[str] = field(default_factory=list[str])
    crash_at: frozenset[int] = frozenset()
    boundaries: int = 0
    crashes: int = 0
    stores_lost: int = 0
    lose_next: bool = False
    commands: int = 0
    quiet_writes: int = 0
    fills_checked: int = 0
    wanted: dict[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])

    def __post_init__(self) -> None:
        """Open the account and the store; some accounts were traded by hand just before."""
        self.rng = Random(self.seed)
        rules, specs, limits = drawn(self.rng) if self.kind == "grid" else kinds.drawn_of(self.kind, self.rng)
        account = Till(
            rules[0].venue, {one.symbol: one for one in rules}, FillRules(cross=self.rng.random() < 0.5),
            {"USDT": D(100_000), "BNB": D(5), "XYZ": D(5)}, rng=self.rng,
        )  # fmt: skip
        self.begin(account, specs, limits)

    def begin(self, account: Till, specs: list[BotSpec], limits: Limits) -> None:
        """Start over with this account, these bots and these limits."""
        self.prices = dict.fromkeys(account.instruments, 10_000)
        self.venue = HostileVenue(account, self.rng, self.faults)
        self.memory = Memory({one.bot_id: one for one in specs}, limits)
        self.world = self.memory.load()
        if self.faults.stranger:
            self.venue.move(self.prices_now(), self.now)
            self.venue.beside.trade(self.venue, self.now)

    def prices_now(self) -> dict[str, Decimal]:
        """The price of every symbol."""
        return {symbol: D(price) / 100 for symbol, price in self.prices.items()}

    def run(self, ticks: int, *, still: bool = False) -> None:
        """Let so many ticks pass; a crash starts the next process from the store. `still` holds the prices."""
        for _ in range(ticks):
            self.now += timedelta(seconds=TICK_S)
            if not still:
                self.go_on()
            self.venue.move(self.prices_now(), self.now)
            try:
                self.tick()
            except Crash:
                self.restart()
            invariants.check(self)

    def go_on(self) -> None:
        """Let the market go on by one tick."""
        for symbol, price in self.prices.items():
            self.prices[symbol] = min(max(price + self.rng.randint(-self.step_max, self.step_max), 9_300), 10_700)

    def restart(self) -> None:
        """Start the next process from the store, or from the exchange where the store is lost."""
        self.crashes += 1
        rebuilding.compare(self)
        if self.lose_next or self.venue.chance("store_lost"):
            self.lose_next = False
            self.stores_lost += 1
            rebuilding.lose_store(self)
        self.world = self.memory.load()
        self.walked, self.carried, self.balanced = {}, [], None

    def tick(self) -> None:
        """Gather, decide, commit, act, in rounds."""
        facts = self.gather()
        for _ in range(ROUNDS_MAX):
            step = advance(self.world, facts, self.now)
            self.world = step.world
            if step.quiet:
                return
            self.quiet_writes += 1
            self.die_perhaps()
            self.memory.commit(step, self.now)
            self.committed(step)
            self.die_perhaps()
            facts = self.act(step)
            if not facts:
                return
            facts += self.after_answers(facts)
        self.carried = facts

    def committed(self, step: Step) -> None:
        """Note what was stored; from now on it may be sent."""
        self.venue.committed.update(o.client_id for o in step.orders)
        invariants.check_step(self, step)

    def die_perhaps(self) -> None:
        """Crash here, sometimes: one boundary between two side effects."""
        here = self.boundaries
        self.boundaries += 1
        if here in self.crash_at or self.venue.chance("crash"):
            raise Crash

    def gather(self) -> list[Fact]:
        """Read all there is; what fails is absent, and what was read before it counts."""
        name = self.venue.account.venue
        facts: list[Fact] = [*self.carried, *self.words()]
        self.carried = []
        lost = f"venue_unreadable//{name}" in self.world.incidents
        try:
            self.read(facts)
        except ReadLostError as error:
            facts.append(Trouble("venue_unreadable", "", name, "warning", str(error)))
        else:
            if lost:
                facts.append(Trouble("venue_unreadable", "", name, "warning", "", over=True))
        return facts

    def read(self, facts: list[Fact]) -> None:
        """Read prices, orders, trades and holdings into `facts`; raises `ReadLostError` where a reading fails."""
        venue, name, now = self.venue, self.venue.account.venue, self.now
        for symbol in venue.account.instruments:
            facts += found(venue.quote(symbol, now) or None)
        listed = found(venue.open_orders(now))
        known = ours(self.world, name)
        orders: list[Seen | NotFound] = [one for one in listed if one.client_id in known]
        trades: list[Fill] = []
        try:
            for order in to_ask(self.world, name, frozenset(one.client_id for one in listed), now):
                orders.append(found(venue.order(order, now)))
            seen = [one for one in orders if isinstance(one, Seen)]
            for symbol in trades_due(self.world, name, changed(self.world, name, seen), now, walked=self.walked):
                trades += self.trades(symbol)
        finally:
            facts += trades
            facts += orders
        if trades or self.world.suspects or self.balanced is None or now >= self.balanced + BALANCES_EVERY:
            facts += self.incomes()
            facts += venue.balances(now)
            self.balanced = now

    def trades(self, symbol: str) -> list[Fill]:
        """Read a symbol's trades from where they may be new; raises `ReadLostError`."""
        since = trades_since(self.world, self.venue.account.venue, symbol, self.now, walked=self.walked.get(symbol))
        trades = found(self.venue.trades_since(symbol, since, self.now))
        self.walked[symbol] = self.now
        return to_book(self.world, trades, self.memory.opened_at)

    def incomes(self) -> list[Fact]:
        """Read payments that were not booked yet, as the store knows them by their ref."""
        opened = self.memory.opened_at
        if opened is None:
            return []
        booked = {entry.ref for entry in self.memory.entries if entry.kind in {"funding", "transfer"}}
        return [one for one in self.venue.incomes(self.now) if one.ref not in booked and one.ts > opened]

    def after_answers(self, answers: list[Fact]) -> list[Fact]:
        """Read the trades that the answers of a round speak of, as `tasks.gather.answer_reads` does."""
        known = ours(self.world, self.venue.account.venue)
        moved = {
            known[one.client_id].symbol
            for one in answers
            if isinstance(one, Accepted | Seen) and one.executed > 0 and one.client_id in known
        }
        facts: list[Fact] = []
        for symbol in sorted(moved):
            try:
                facts += self.trades(symbol)
            except ReadLostError as error:
                facts.append(Trouble("venue_unreadable", "", self.venue.account.venue, "warning", str(error)))
        return facts

    def act(self, step: Step) -> list[Fact]:
        """Send what was decided, cancels first; the process may die between any two requests."""
        answers: list[Fact] = []
        for intent in sorted(step.intents, key=lambda one: isinstance(one, Place)):
            self.die_perhaps()
            if isinstance(intent, Cancel):
                answers.append(self.venue.cancel(intent.order, self.now))
            else:
                invariants.check_send(self, intent)
                answers.append(self.venue.place(intent.order, self.now))
            invariants.check_venue(self)
        self.die_perhaps()
        return answers

    def words(self) -> list[Fact]:
        """Let a person say something, rarely; whoever stops a bot releases it soon."""
        if self.faults is CALM:
            return []
        said: list[Fact] = []
        for bot_id, bot in self.world.bots.items():
            draw = self.rng.random()
            if bot.mode.value != "run" and draw < 0.05:
                said.append(self.word(bot_id, Action.RESUME if bot.mode.value == "paused" else Action.RELEASE))
            elif draw < 0.002:
                action = self.rng.choice([Action.PAUSE, Action.HALT, Action.FLATTEN, Action.CANCEL, Action.CLOSE_LOT])
                said.append(self.word(bot_id, action, next(iter(bot.lots), "")))
        return said

    def word(self, bot_id: str, action: Action, argument: str = "") -> Command:
        """One word of control."""
        self.commands += 1
        return Command(self.commands, bot_id, action, argument, "test", "", self.now)

    def settle(self) -> None:
        """Turn all faults off, let everything come to rest, and hold what must hold of a settled account."""
        self.faults = self.venue.faults = CALM
        self.crash_at = frozenset()
        self.venue.beside.banned_until = self.venue.beside.storm_until = self.now
        self.venue.beside.narrowed_until = self.now
        self.let_go()
        self.run(16, still=True)
        self.now += timedelta(seconds=REST_S)
        self.let_go()
        self.run(24, still=True)
        self.let_go()  # what aged meanwhile was closed at the market, and what that cost may have tripped a limit
        self.run(8, still=True)
        before, rows, sent = self.quiet_writes, self.memory.rows, len(self.venue.log)
        self.run(10, still=True)
        writes = self.quiet_writes - before if self.kind not in kinds.KEEPS_TIME else 0
        if writes or self.memory.rows != rows or len(self.venue.log) != sent:
            self.problems.append(f"I-27 {writes} writes while nothing happens, {self.memory.rows}")
        invariants.check_settled(self)

    def let_go(self) -> None:
        """Release every bot that was stopped."""
        for bot_id, bot in self.world.bots.items():
            if bot.mode is not Mode.RUN:
                self.carried.append(self.word(bot_id, Action.RESUME if bot.mode is Mode.PAUSED else Action.RELEASE))

    def digest(self) -> str:
        """A hash of every request ever sent, in order (I-26)."""
        return hashlib.sha256("\n".join(self.venue.log).encode()).hexdigest()

    @property
    def broken(self) -> bool:
        """Whether anything was found wrong so far."""
        return bool(self.problems or self.venue.problems or self.memory.problems)

    @property
    def found(self) -> list[str]:
        """Everything that was found wrong."""
        return [*self.problems, *self.venue.problems, *self.memory.problems]


def found(reading: Read | None) -> Read:
    """Return a reading; raises `ReadLostError` where it failed."""
    if reading is None:
        raise ReadLostError("connection reset")
    return reading


def drawn(rng: Random) -> tuple[list[Instrument], list[BotSpec], Limits]:
    """Draw one or two instruments, two grids on them that share the account, and its limits."""
    perp = rng.random() < 0.4
    first = swap() if perp else instrument(fee_in_base=rng.random() < 0.3)
    rules = [first]
    if rng.random() < 0.4:
        name = kinds.BESIDE[first.symbol]
        rules.append(swap(symbol=name, base="ETH") if perp else instrument(symbol=name, base="ETH"))
    side = rng.choice(["BUY", "SELL"]) if perp else "BUY"
    specs: list[BotSpec] = []
    for name, about in zip(("a", "b"), (first, rules[-1]), strict=True):
        barriers = {"stop_loss": "0.03"} if rng.random() < 0.2 else {}
        config = grid(
            id=name, side=side, venue=about.venue, symbol=about.symbol, start_price=rng.choice([94, 97]),
            end_price=rng.choice([103, 106]), levels=rng.randint(2, 6), amount_base=rng.choice(["0.1", "0.25"]),
            initial_inventory=rng.choice(["market", "resting", "none"]), triple_barrier=barriers,
            activation_bounds=rng.choice([None, None, "0.02"]), max_open_orders=rng.choice([None, None, 2]),
            max_position_size=rng.choice([None, "0.5"]), order_frequency=rng.choice([0, 0, 20]),
            max_drawdown=rng.choice([None, None, None, "0.01"]),
        )  # fmt: skip
        specs.append(spec(config, about))
    limits = Limits(
        max_drawdown=rng.choice([None, None, D("0.004")]), max_exposure_quote=rng.choice([None, None, None, D(60)])
    )
    return rules, specs, limits
