"""Two venues as they really are, for bots that trade a pair: parts, fills during cancels, lost answers, late trades, thin books.

One seeded generator decides everything, so a round repeats from its seed. The venues' own books are the truth that the
bot's lots are held against; how long the pair stood out of balance is measured from the bot's own bookings.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from core.engine import Bot, BotSpec, Limits, Place, World, advance
from core.facts import Accepted, Action, Command, Fact, Fill, NotFound, Refusal, Refused, Seen, SeenAs, Unanswered
from core.kinds import KINDS, AnyBot
from core.market import Instrument, Market, Quote
from core.orders import Kind, Order, Status
from core.values import ZERO, Side, exact_product, round_fee, total
from tests.core.worlds import SYMBOL, T0, D, instrument

A: Market = ("a", SYMBOL)
B: Market = ("b", SYMBOL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How often things go wrong, as probabilities: by request, by resting order and second, by trade. `late_s` in seconds."""

    refused: float = 0.01
    lost_before: float = 0.01
    lost_after: float = 0.02
    part: float = 0.3
    thin: float = 0.2
    during_cancel: float = 0.3
    late_trade: float = 0.1
    late_s: float = 2.0


CALM = Weather(refused=0, lost_before=0, lost_after=0, part=0, thin=0, during_cancel=0, late_trade=0)


@dataclass(slots=True)
class Resting:
    """An order as its venue keeps it."""

    order: Order
    status: SeenAs = SeenAs.OPEN
    filled: Decimal = ZERO


@dataclass(slots=True)
class Counter:
    """One venue: a touch, our orders, and what is still on its way to us."""

    rule: Instrument
    rng: Random
    weather: Weather
    bid: Decimal = D(100)
    ask: Decimal = D(100)
    position: Decimal = ZERO
    cash: Decimal = ZERO
    fees: Decimal = ZERO
    orders: dict[str, Resting] = field(default_factory=dict[str, Resting])
    coming: list[tuple[datetime, Fact]] = field(default_factory=list[tuple[datetime, Fact]])
    trades: int = 0
    faults: dict[str, int] = field(default_factory=dict[str, int])
    calm: bool = False

    def chance(self, kind: str) -> bool:
        """Draw whether something of this kind happens now."""
        hit = not self.calm and self.rng.random() < getattr(self.weather, kind)
        if hit:
            self.faults[kind] = self.faults.get(kind, 0) + 1
        return hit

    def quote(self, now: datetime) -> Quote:
        """Read the touch."""
        mid = (self.bid + self.ask) / 2
        return Quote(
            venue=self.rule.venue, symbol=self.rule.symbol, bid=self.bid, ask=self.ask, last=self.rule.floor_price(mid),
            ts=now,
        )  # fmt: skip

    def move(self, mid: Decimal, half: Decimal, now: datetime) -> None:
        """Set a new touch; what rests within it trades, whole or in parts."""
        self.bid, self.ask = self.rule.floor_price(mid - half), self.rule.ceil_price(mid + half)
        for one in list(self.orders.values()):
            price = one.order.price
            if one.status is SeenAs.OPEN and price is not None and self._reached(one.order.side, price):
                self._trade(one, self._some(one, "part"), price, now, maker=True)

    def place(self, order: Order, now: datetime) -> list[Fact]:
        """Take an order; answers, or silence."""
        cid = order.client_id
        assert cid not in self.orders, f"{cid} was sent twice"
        assert self.rule.objection(order.price or D(100), order.qty) is None
        if self.chance("refused"):
            return [Refused(cid, Refusal.RATE, "too many requests", now)]
        if self.chance("lost_before"):
            return [Unanswered(cid, "connection reset", now)]
        if order.post_only and order.price is not None and self._crosses(order.side, order.price):
            return [Refused(cid, Refusal.POST_ONLY, "would take", now)]
        kept = self.orders[cid] = Resting(order)
        if order.kind is Kind.MARKET:
            if order.price is None or self._crosses(order.side, order.price):
                self._trade(kept, self._some(kept, "thin"), self._touch(order.side), now, maker=False)
            if kept.status is SeenAs.OPEN:
                kept.status = SeenAs.EXPIRED
                self._tell(Seen(cid, cid, SeenAs.EXPIRED, kept.filled, now), now)
        elif order.price is not None and self._crosses(order.side, order.price):
            self._trade(kept, order.qty, self._touch(order.side), now, maker=False)
        if self.chance("lost_after"):
            return [Unanswered(cid, "answer cut short", now)]
        return [Accepted(cid, cid, now, kept.filled)]

    def cancel(self, order: Order, now: datetime) -> list[Fact]:
        """Cancel an order; it may trade first, and the answer may be lost."""
        cid = order.client_id
        if self.chance("lost_before"):
            return [Unanswered(cid, "connection reset", now)]
        kept = self.orders.get(cid)
        if kept is None:
            return [Unanswered(cid, "never heard of it", now)]
        if kept.status is SeenAs.OPEN and self.chance("during_cancel"):
            self._trade(kept, self._some(kept, "part"), order.price or self.bid, now, maker=True)
        if kept.status is SeenAs.OPEN:
            kept.status = SeenAs.CANCELED
        if self.chance("lost_after"):
            return [Unanswered(cid, "answer cut short", now)]
        return [Seen(cid, cid, kept.status, kept.filled, now)]

    def asked(self, order: Order, now: datetime) -> list[Fact]:
        """Answer a query by client id."""
        kept = self.orders.get(order.client_id)
        if kept is None:
            return [NotFound(order.client_id, now)]
        return [Seen(order.client_id, order.client_id, kept.status, kept.filled, now)]

    def news(self, now: datetime) -> list[Fact]:
        """Hand over what has arrived by now."""
        here = [fact for at, fact in self.coming if at <= now]
        self.coming = [(at, fact) for at, fact in self.coming if at > now]
        return here

    def _some(self, one: Resting, kind: str) -> Decimal:
        left = one.order.qty - one.filled
        lots = int(left / self.rule.lot_step)
        if self.calm or lots <= 1 or not self.chance(kind):
            return left
        return self.rule.lot_step * self.rng.randrange(0 if kind == "thin" else 1, lots)

    def _trade(self, one: Resting, qty: Decimal, price: Decimal, now: datetime, *, maker: bool) -> None:
        if qty <= ZERO:
            return
        order = one.order
        one.filled += qty
        one.status = SeenAs.FILLED if one.filled >= order.qty else one.status
        assert one.filled <= order.qty
        self.trades += 1
        fee = round_fee(exact_product(price, qty, self.rule.maker if maker else self.rule.taker))
        self.position += qty * order.side.sign
        self.cash -= exact_product(price, qty) * order.side.sign
        self.fees += fee
        late = timedelta(seconds=self.rng.uniform(0, self.weather.late_s)) if self.chance("late_trade") else timedelta()
        self.coming.append((now + late, Fill(
            venue=self.rule.venue, symbol=self.rule.symbol, trade_id=str(self.trades), client_id=order.client_id,
            side=order.side, price=price, qty=qty, fee=fee, fee_asset=self.rule.quote, ts=now, maker=maker,
        )))  # fmt: skip

    def _tell(self, fact: Fact, now: datetime) -> None:
        self.coming.append((now, fact))

    def _touch(self, side: Side) -> Decimal:
        return self.ask if side is Side.BUY else self.bid

    def _crosses(self, side: Side, price: Decimal) -> bool:
        return price >= self.ask if side is Side.BUY else price <= self.bid

    def _reached(self, side: Side, price: Decimal) -> bool:
        return self.ask <= price if side is Side.BUY else self.bid >= price


@dataclass(slots=True)
class Played:
    """A round: what became of it. Ages in seconds: how long the bot knew of a quantity it could have hedged and had not."""

    world: World
    spec: BotSpec
    venues: dict[str, Counter]
    now: datetime = T0
    off_since: datetime | None = None
    oldest_s: float = 0.0
    alarmed: bool = False
    incidents: set[str] = field(default_factory=set[str])
    to_hedge_s: list[float] = field(default_factory=list[float])
    told: list[Fact] = field(default_factory=list[Fact])

    @property
    def bot(self) -> Bot:
        """The bot."""
        return self.world.bots[self.spec.bot_id]

    def net(self) -> Decimal:
        """Base over both markets, by the bot's lots."""
        return self.bot.inventory + total(one.inventory for one in self.bot.beside.values())

    def truth(self) -> Decimal:
        """Base over both markets, by the venues."""
        return total(one.position for one in self.venues.values())

    def settled(self) -> bool:
        """Whether nothing is on its way, rests or waits."""
        asked = any(work.order is not None for work in self.bot.works.values())
        return not asked and not any(one.coming for one in self.venues.values()) and self.off_since is None

    def flatten(self, ticks: int = 90) -> None:
        """Stop the bot by a person's word, in calm weather, and let everything come to rest."""
        self.told.append(Command(1, self.spec.bot_id, Action.FLATTEN, "", "test", "", self.now))
        for _ in range(ticks):
            self.tick()
            if self.settled() and self.bot.unwind is None:
                return

    def tick(self, seconds: float = 1.0) -> None:
        """One tick of up to five rounds of deciding and acting."""
        self.now += timedelta(seconds=seconds)
        facts: list[Fact] = [*(one.quote(self.now) for one in self.venues.values()), *self.told]
        self.told.clear()
        for work in self.bot.works.values():
            order = work.order
            if order is not None and order.status in {Status.PENDING, Status.UNKNOWN, Status.CANCELING, Status.OPEN}:
                facts += self.venues[order.venue].asked(order, self.now)
        for _ in range(5):
            for one in self.venues.values():
                facts += one.news(self.now)
            step = advance(self.world, facts, self.now)
            self.world = step.world
            self.alarmed |= any(incident.severity == "critical" for incident in step.raised)
            self.incidents |= {incident.kind for incident in step.raised}
            facts = []
            for intent in step.intents:
                venue = self.venues[intent.order.venue]
                facts += (venue.place if isinstance(intent, Place) else venue.cancel)(intent.order, self.now)
            self._measure()
            if not facts:
                break

    def _measure(self) -> None:
        tradable = all(
            one.rule.sellable(one.bid, one.rule.floor_qty(abs(self.net()))) > ZERO for one in self.venues.values()
        )
        if not tradable:
            if self.off_since is not None:
                self.to_hedge_s.append((self.now - self.off_since).total_seconds())
            self.off_since = None
            return
        self.off_since = self.off_since or self.now
        self.oldest_s = max(self.oldest_s, (self.now - self.off_since).total_seconds())


def spec_of(config: AnyBot, rules: dict[Market, Instrument]) -> BotSpec:
    """Make a bot of any kind ready."""
    kind = KINDS[config.kind]
    mine = {market: rules[market] for market in config.markets()}
    ready = kind.prepare(config, mine)
    first, *others = mine.values()
    return BotSpec(
        bot_id=config.id, kind=config.kind, token="test", machine=kind.machine, plan=ready.plan, instrument=first,
        others=tuple(others), capital_quote=ready.capital_quote, places=ready.places, hears_refusals=ready.hears_refusals,
        rates=ready.rates, slippage=config.max_slippage_bps / 10_000,
    )  # fmt: skip


def rules_of(**changes: object) -> dict[Market, Instrument]:
    """Two spot markets of the same coin."""
    return {A: instrument(venue="a", **changes), B: instrument(venue="b", **changes)}


def played(spec: BotSpec, seed: int, weather: Weather | None = None, **limits: float) -> Played:
    """Open a round; nothing has happened yet."""
    rng = Random(seed)
    venues = {one.venue: Counter(one, rng, weather or Weather()) for one in spec.instruments}
    known = Limits(unknown_quarantine_s=limits.get("quarantine_s", 2.0))
    world = World(specs={spec.bot_id: spec}, bots={spec.bot_id: Bot(bot_id=spec.bot_id)}, limits=known)
    return Played(world, spec, venues)


def play(
    spec: BotSpec, seed: int, weather: Weather | None = None, *, ticks: int = 40, ended: Callable[[Played], bool],
    shake: float = 0.15,
) -> Played:  # fmt: skip
    """Play a round to its end through bad weather, then let it come to rest in calm weather."""
    run = played(spec, seed, weather)
    rng = Random(seed * 7 + 1)
    mid, basis = D(100), ZERO
    for count in range(ticks + 60):
        if count >= ticks:
            for one in run.venues.values():
                one.calm = True
            if run.settled():
                break
        elif ended(run) and run.settled():
            break
        else:
            mid = max(mid + D(str(round(rng.gauss(0, shake), 2))), D(50))
            basis = D(str(round(rng.gauss(0, shake / 2), 2)))
        for index, one in enumerate(run.venues.values()):
            one.move(mid + (basis if index else ZERO), D("0.01"), run.now)
        run.tick()
    return run


def check(run: Played) -> None:
    """What must hold of a round that has come to rest: books equal the venues', nothing is lost, made up or worked twice."""
    assert run.net() == run.truth()
    for one in run.venues.values():
        at = (
            run.bot.inventory
            if one.rule.venue == run.spec.instrument.venue
            else next(iter(run.bot.beside.values())).inventory
        )
        assert at == one.position
    assert run.bot.fees == total(one.fees for one in run.venues.values())
    floating = total(exact_product(one.bid, one.position) for one in run.venues.values())
    held = run.bot.net_cost + total(one.net_cost for one in run.bot.beside.values())
    assert total(one.cash for one in run.venues.values()) + floating == run.bot.realized + floating - held
