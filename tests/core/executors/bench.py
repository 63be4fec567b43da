"""Executors at work on a rough simulated account: partial fills, lost answers, refusals, cancels by others, restarts."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from pydantic import TypeAdapter

from core.engine import BotSpec, Limits, Place, Step, World, advance
from core.engine.world import holding_of, live_of
from core.executors.life import Closed, CloseType
from core.executors.state import ExecutorState
from core.facts import Fact, NotFound, Refusal, Refused, SeenAs, Unanswered
from core.kinds import KINDS, AnyBot
from core.machine import Wake
from core.market import Instrument
from core.orders import ClientId, Kind, Role, decode
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, total
from tests.core.worlds import SWAP, SYMBOL, T0, D, instrument, swap, world
from tests.simulation.memory import Memory

_BOT: TypeAdapter[Any] = TypeAdapter(AnyBot)
TICK_S = 2


def config_of(kind: str, *, on_swap: bool = False, **changes: Any) -> Any:
    """A configuration of a kind on one of the two test markets."""
    venue, symbol = ("perp", SWAP) if on_swap else ("spot", SYMBOL)
    values = {"id": "p", "kind": kind, "venue": venue, "symbol": symbol, "side": "BUY"}
    return _BOT.validate_python(values | changes)


def spec_of(config: Any, rules: Instrument | None = None) -> BotSpec:
    """Make the bot ready."""
    about = rules or (swap() if config.venue == "perp" else instrument())
    kind = KINDS[config.kind]
    ready = kind.prepare(config, {about.market: about})
    return BotSpec(
        bot_id=config.id, kind=config.kind, token="test", machine=kind.machine, plan=ready.plan, instrument=about,
        capital_quote=ready.capital_quote, places=ready.places, safe_spread=ready.safe_spread, long=ready.long,
        max_position_size=config.max_position_size, max_drawdown=config.max_drawdown, hears_refusals=ready.hears_refusals,
        slippage=config.max_slippage_bps / 10_000,
    )  # fmt: skip


class Rough(Account):
    """An account whose orders can be filled in parts or cancelled by somebody else."""

    def part(self, symbol: str, rng: Random, now: datetime) -> None:
        """Fill a part of the order that stands first on a side, at its own price."""
        book = self.books.get(symbol)
        fronts = [side[at] for side, at in ((book.bids, -1), (book.asks, 0)) if side] if book is not None else []
        if not fronts:
            return
        order = self.orders[rng.choice(fronts)[2]]
        lots = int((order.qty - order.filled) / self.instruments[symbol].lot_step)
        if lots > 1:
            qty = self.instruments[symbol].lot_step * rng.randrange(1, lots)
            Account._fill(self, order, None, now, maker=True, most=qty)

    def some(self, client_id: str, qty: str, now: datetime) -> None:
        """Fill so much of one resting order at its own price."""
        Account._fill(self, self.orders[ClientId(client_id)], None, now, maker=True, most=D(qty))

    def by_hand(self, rng: Random) -> None:
        """Somebody cancels one of our orders."""
        resting = [o for o in self.orders.values() if o.status is SeenAs.OPEN]
        if resting:
            Account._end(self, rng.choice(resting), SeenAs.CANCELED, "by hand")


@dataclass(slots=True)
class Stage:
    """A run under way: the world, its store, the account, and what has to hold."""

    spec: BotSpec
    account: Rough
    rng: Random
    rough: bool = True
    limits: Limits = field(default_factory=lambda: Limits(unknown_quarantine_s=6.0))
    state: World = field(init=False)
    memory: Memory = field(init=False)
    now: datetime = T0
    asked: dict[str, datetime] = field(default_factory=dict[str, datetime])
    executed: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    net: Decimal = ZERO
    raised: list[Any] = field(default_factory=list[Any])
    notes: list[str] = field(default_factory=list[str])
    sent: list[Any] = field(default_factory=list[Any])
    carried: list[Fact] = field(default_factory=list[Fact])
    place: Any = None
    cancel: Any = None

    def __post_init__(self) -> None:
        """Open the store and the world."""
        self.state = world(self.spec, limits=self.limits)
        self.memory = Memory({self.spec.bot_id: self.spec}, self.limits)

    @property
    def symbol(self) -> str:
        """The symbol that is traded."""
        return self.spec.instrument.symbol

    @property
    def bot(self) -> Any:
        """The bot as it stands."""
        return self.state.bots[self.spec.bot_id]

    @property
    def machine(self) -> ExecutorState:
        """The executor's own state."""
        return self.bot.state

    @property
    def ended(self) -> CloseType | None:
        """Why it has ended, or None."""
        life = self.machine.life
        return life.word if isinstance(life, Closed) else None

    def tick(self, price: Decimal, later_s: float = TICK_S) -> None:
        """Let time and price go on, and play rounds of facts and answers until nothing more is sent."""
        self.now += timedelta(seconds=later_s)
        if self.rough and self.rng.random() < 0.3:
            self.account.part(self.symbol, self.rng, self.now)
        self.account.move(self.symbol, price, self.now)
        if self.rough and self.rng.random() < 0.03:
            self.account.by_hand(self.rng)
        if self.rough and self.rng.random() < 0.03:
            self.restart()
        quote = self.account.quote(self.symbol, self.now)
        facts: list[Fact] = [*self.carried, *self.account.news(self.now), *self._asked(), *([quote] if quote else [])]
        self.carried = []
        for _ in range(5):
            step = self.advance(facts)
            if not step.intents:
                break
            facts = [fact for intent in step.intents for fact in self._answer(intent)]
            facts += self.account.news(self.now)
        else:
            self.carried = facts
        self.check()

    def advance(self, facts: list[Fact]) -> Step:
        """One step of the engine, committed."""
        step = advance(self.state, facts, self.now)
        self.state = step.world
        self.memory.commit(step, self.now)
        self.raised += step.raised
        self.notes += [f"{row.subject} {row.decision}: {row.reason}" for row in step.journal]
        for _, fill in step.fills:
            who = decode(fill.client_id)
            assert who is not None
            self.executed[who.leg_id] += fill.qty
            base_fee = fill.fee if fill.fee_asset == self.spec.instrument.base else ZERO
            self.net += fill.qty * fill.side.sign - base_fee
        return step

    def _answer(self, intent: Any) -> list[Fact]:
        order, rng = intent.order, self.rng
        if isinstance(intent, Place):
            self.sent.append(order)
            if self.rough and rng.random() < 0.05:
                return [Refused(order.client_id, rng.choice([Refusal.POST_ONLY, Refusal.RATE]), "not now", self.now)]
            lost = self.rough and rng.random() < 0.06
            if lost and rng.random() < 0.5:
                self.asked[order.client_id] = self.now
                return [Unanswered(order.client_id, "never arrived", self.now)]
            if self.rough and order.kind is Kind.MARKET and rng.random() < 0.3:
                lots = int(order.qty / self.spec.instrument.lot_step)
                part = self.spec.instrument.lot_step * rng.randrange(1, lots + 1)
                order = replace(order, qty=part)  # the book had no more; the rest of it expires
                if part * (order.price or ZERO) < self.spec.instrument.min_notional:
                    order = intent.order
            answer = (self.place or self.account.place)(order, self.now)
            found = self.account.orders.get(order.client_id)
            if found is not None and order.qty != intent.order.qty and found.status is SeenAs.FILLED:
                found.qty, found.status = intent.order.qty, SeenAs.EXPIRED
            if lost and not isinstance(answer, Refused):
                self.asked[order.client_id] = self.now
                return [Unanswered(order.client_id, "cut short", self.now)]
            return [answer]
        if self.rough and rng.random() < 0.06:
            return [Unanswered(order.client_id, "cut short", self.now)]
        done = (self.cancel or self.account.cancel)(order.client_id, self.now)
        return [] if done is None else [done]

    def _asked(self) -> list[Fact]:
        found: list[Fact] = []
        for work in self.bot.works.values():
            order = work.order
            if order is None or not order.live:
                continue
            seen = self.account.seen(order.client_id, self.now)
            if seen is not None:
                found.append(seen)
            else:
                found.append(NotFound(order.client_id, self.now))
        return found

    def restart(self) -> None:
        """The process ends and another one takes up what the store has."""
        assert self.memory.problems == []
        loaded = self.memory.load()
        bot = loaded.bots[self.spec.bot_id]
        kept = holding_of(self.spec.instrument.market, bot.lots.values(), bot.works)
        bot = replace(bot, net_cost=kept.net_cost, fees_open=kept.fees_open)
        self.state = replace(loaded, quotes=dict(self.state.quotes), bots={self.spec.bot_id: bot})

    def check(self) -> None:
        """What must hold at any moment."""
        bot, plan = self.bot, self.spec.plan
        assert self.memory.problems == []
        assert bot.inventory == self.net == total(lot.qty * lot.side.sign for lot in bot.lots.values())
        assert bot.live == live_of(bot.works)
        if bot.state is None:
            return
        assert not any(one.kind == "over_filled" for one in self.raised)
        assert bot.inventory * plan.side.sign >= ZERO, "flipped"
        orders = [work.order for work in bot.works.values() if work.order is not None]
        assert total(o.unbooked for o in orders if o.role.reduces) <= abs(bot.inventory)
        for leg, done in self.executed.items():
            if leg[0] == "e":
                asked = max(o.qty for o in self.sent if o.leg_id == leg and o.attempt == 0)
                assert done <= asked, f"{leg} executed {done} of {asked}"
        machine = self.spec.machine
        wanted = {n: w.leg for n, w in bot.works.items() if w.leg is not None and w.leg.role is not Role.UNWIND}
        assert machine.wants(plan, bot.state) == wanted
        rows = {i: machine.place(plan, bot.state, i).data for i in range(self.spec.places)}
        assert machine.restore(plan, machine.head(bot.state), rows) == bot.state

    def part(self, client_id: str, qty: str, price: str | int) -> None:
        """Fill a part of a resting order, and tick at a price."""
        self.account.some(client_id, qty, self.now)
        self.tick(D(price))

    def order(self, leg: str) -> Any:
        """The order that works a leg now."""
        work = self.bot.works.get(leg)
        return None if work is None else work.order

    def put(self, state: ExecutorState) -> None:
        """Put a state in place of the machine's, and wake it."""
        at_once = Wake(deadline=T0)
        bot = replace(self.bot, state=state, wake=at_once, machine_wake=at_once)
        self.state = replace(self.state, bots={bot.bot_id: bot})

    def calm(self, price: Decimal, count: int, later_s: float = TICK_S) -> None:
        """Let the weather end, and time go on."""
        self.rough = False
        for _ in range(count):
            self.tick(price, later_s)


def stage(config: Any, seed: int = 1, *, rough: bool = False, rules: Instrument | None = None, **fills: Any) -> Stage:
    """A bot before its first tick on a fresh account that can also sell a thousand coins."""
    spec = spec_of(config, rules)
    about = spec.instrument
    opening: Mapping[str, Decimal] = {"USDT": D(1_000_000), **({} if about.swap else {"BTC": D(1000)})}
    fill = FillRules(**({"cross": False} | fills))
    account = Rough(about.venue, {about.symbol: about}, fill, dict(opening))
    return Stage(spec, account, Random(seed), rough=rough)


def settle(run: Stage, *prices: str | int) -> None:
    """Tick once at each price."""
    for price in prices:
        run.tick(D(price))
