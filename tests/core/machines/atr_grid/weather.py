"""An ATR grid in bad weather: partial fills, lost answers, refusals, cancels by others, restarts, on both its accounts."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from core.engine import Bot, BotSpec, Limits, Place, Step, World, advance
from core.engine.world import live_of
from core.facts import BarClosed, Fact, NotFound, Refusal, Refused, SeenAs, Unanswered
from core.machines.atr_grid.config import AtrGridConfig
from core.market import Candle, Market
from core.orders import Kind, decode
from core.simbook import FillRules
from core.values import ZERO, total
from tests.core.executors.bench import Rough
from tests.core.machines.atr_grid.bots import BAR_S, PERP, SPOT, history, reloaded, rules, spec_of
from tests.core.worlds import T0, D, world
from tests.simulation.memory import Memory

TICK_S = 5
TICKS_A_BAR = BAR_S // TICK_S


@dataclass(slots=True)
class Weather:
    """A run under way; `rough` while the weather is bad."""

    told: AtrGridConfig
    rng: Random
    rough: bool = True
    spec: BotSpec = field(init=False)
    at: dict[str, Rough] = field(init=False)
    state: World = field(init=False)
    memory: Memory = field(init=False)
    now: datetime = T0
    ticks: int = 0
    seen: list[Decimal] = field(default_factory=list[Decimal])
    told_bars: list[Candle] = field(default_factory=history)
    carried: list[Fact] = field(default_factory=list[Fact])
    net: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    executed: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    asked: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    roles: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        """Open accounts, store and world."""
        about, limits = rules(), Limits(unknown_quarantine_s=6.0)
        self.spec = spec_of(self.told, about)
        rule, opening = FillRules(cross=False), {"USDT": D(100_000)}
        self.at = {m[0]: Rough(m[0], {m[1]: about[m]}, rule, dict(opening)) for m in self.told.markets()}
        self.state = world(self.spec, limits=limits)
        self.memory = Memory({self.spec.bot_id: self.spec}, limits)

    @property
    def bot(self) -> Bot:
        """The bot as it stands."""
        return self.state.bots[self.spec.bot_id]

    @property
    def short(self) -> Decimal:
        """Base sold short."""
        return -self.net["perp"]

    def tick(self, price: Decimal) -> None:
        """Let time and price go on, and play rounds of facts and answers."""
        self.now += timedelta(seconds=TICK_S)
        self.ticks += 1
        for venue, symbol in self.told.markets():
            if self.rough and self.rng.random() < 0.3:
                self.at[venue].part(symbol, self.rng, self.now)
            self.at[venue].move(symbol, price, self.now)
            if self.rough and self.rng.random() < 0.02:
                self.at[venue].by_hand(self.rng)
        if self.rough and self.rng.random() < 0.03:
            assert self.memory.problems == []
            self.state = reloaded(self.memory, self.spec, self.state.quotes)
        facts = [*self.carried, *self._market(price), *self._news(), *self._asked()]
        self.carried = []
        for _ in range(5):
            step = self._advance(facts)
            if not step.intents:
                break
            facts = [fact for intent in step.intents for fact in self._answer(intent)] + self._news()
        else:
            self.carried = facts
        self._check()

    def calm(self, price: Decimal, count: int) -> None:
        """Let the weather end, and time go on."""
        self.rough = False
        for _ in range(count):
            self.tick(price)

    def _market(self, price: Decimal) -> list[Fact]:
        bars = [BarClosed(SPOT, BAR_S, one) for one in self.told_bars]
        self.told_bars = []
        self.seen.append(price)
        if self.ticks % TICKS_A_BAR == 0:
            ts = T0 + timedelta(seconds=BAR_S * (self.ticks // TICKS_A_BAR - 1))
            self.told_bars = [Candle(ts, self.seen[0], max(self.seen), min(self.seen), price, ZERO)]
            self.seen = [price]
        quotes = [self.at[venue].quote(symbol, self.now) for venue, symbol in self.told.markets()]
        return [*bars, *(one for one in quotes if one is not None)]

    def _news(self) -> list[Fact]:
        return [fact for account in self.at.values() for fact in account.news(self.now)]

    def _asked(self) -> list[Fact]:
        found: list[Fact] = []
        for work in self.bot.works.values():
            if work.order is not None and work.order.live:
                told = self.at[work.order.venue].seen(work.order.client_id, self.now)
                found.append(told if told is not None else NotFound(work.order.client_id, self.now))
        return found

    def _advance(self, facts: list[Fact]) -> Step:
        step = advance(self.state, facts, self.now)
        self.state = step.world
        self.memory.commit(step, self.now)
        for _, fill in step.fills:
            who = decode(fill.client_id)
            assert who is not None
            self.executed[who.leg_id] += fill.qty
            self.net[fill.venue] += fill.qty * fill.side.sign
            self.roles.add(who.role.value)
        for name, work in self.bot.works.items():
            self.asked[name] = max(self.asked[name], work.leg.qty if work.leg is not None else ZERO)
        for intent in step.intents:
            self._check_hedge(intent)
        return step

    def _answer(self, intent: Any) -> list[Fact]:
        order, rng, account = intent.order, self.rng, self.at[intent.order.venue]
        lost = self.rough and rng.random() < 0.06
        if isinstance(intent, Place):
            if self.rough and rng.random() < 0.05:
                return [Refused(order.client_id, rng.choice([Refusal.POST_ONLY, Refusal.RATE]), "not now", self.now)]
            if lost and rng.random() < 0.5:
                return [Unanswered(order.client_id, "never arrived", self.now)]
            asked = order.qty
            if self.rough and order.kind is Kind.MARKET and rng.random() < 0.3:
                # The book had no more; the rest of it expires.
                part = (order.qty * D(rng.randrange(1, 9)) / 10).quantize(D("0.001"))
                order = replace(order, qty=part) if part * D(100) > 10 else order
            answer = account.place(order, self.now)
            made = account.orders.get(order.client_id)
            if made is not None and order.qty != asked and made.status is SeenAs.FILLED:
                made.qty, made.status = asked, SeenAs.EXPIRED
            if lost and not isinstance(answer, Refused):
                return [Unanswered(order.client_id, "cut short", self.now)]
            return [answer]
        if lost:
            return [Unanswered(order.client_id, "cut short", self.now)]
        done = account.cancel(order.client_id, self.now)
        return [] if done is None else [done]

    def _check_hedge(self, intent: Any) -> None:
        # Whatever is on its way or of unknown fate counts as sold: the short it would make is never larger than the bag.
        order = intent.order
        if isinstance(intent, Place) and (order.venue, order.symbol) == PERP and order.side.sign < 0:
            live = [work.order for work in self.bot.works.values() if work.order is not None]
            coming = total(one.unbooked for one in live if one.venue == PERP[0] and one.side.sign < 0)
            assert self.short + coming <= self.net["spot"], "the short would be larger than the bag"

    def _check(self) -> None:
        bot, markets = self.bot, self.told.markets()
        assert self.memory.problems == []
        held: dict[Market, Decimal] = dict.fromkeys(markets, ZERO)
        for lot in bot.lots.values():
            held[lot.venue, lot.symbol] += lot.qty * lot.side.sign
        assert bot.inventory == held[SPOT] == self.net["spot"]
        assert all(one.inventory == held[market] == self.net[market[0]] for market, one in bot.beside.items())
        assert bot.live == live_of(bot.works, SPOT)
        assert bot.inventory >= ZERO
        for leg, done in self.executed.items():
            assert done <= self.asked[leg], f"{leg} executed {done} of {self.asked[leg]}"
        assert not any(one.startswith("over_filled") for one in self.state.incidents)
        if bot.state is None:
            return
        wanted = {name: work.leg for name, work in bot.works.items() if work.leg is not None}
        assert self.spec.machine.wants(self.spec.plan, bot.state) == wanted
