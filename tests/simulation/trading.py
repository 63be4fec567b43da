"""The tick loop against the hostile account: gather, decide, commit, act; crashes anywhere; invariants all along."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from random import Random

from core.engine import BotSpec, Limits, Place, Step, World, advance
from core.facts import Action, Command, Fact, Seen
from core.machines.grid.state import Running
from core.market import Instrument
from core.orders import ClientId, Role, Status, decode
from core.reconcile import changed, ours, to_ask, trades_due, trades_since
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, ratio, total
from tests.core.worlds import T0, D, grid, instrument, spec, swap
from tests.simulation.hostile import CALM, Faults, HostileVenue
from tests.simulation.memory import Memory

TICK_S = 5.0
ROUNDS_MAX = 3
# An order of unknown fate is asked for in every tick; a reading may fail a few times in a row.
UNKNOWN_MAX_S = 30.0 + 30 * TICK_S


class Crash(Exception):
    """The process is gone: all that was in memory is lost."""


@dataclass(slots=True)
class Trading:
    """One process after another, trading one account. `seed` decides everything; the price moves by at most `step_max`."""

    seed: int
    faults: Faults
    step_max: int = 30
    rng: Random = field(init=False)
    venue: HostileVenue = field(init=False)
    memory: Memory = field(init=False)
    world: World = field(init=False)
    now: datetime = T0
    price: int = 10_000
    walked: dict[str, datetime] = field(default_factory=dict[str, datetime])
    carried: list[Fact] = field(default_factory=list[Fact])
    read_once: bool = False
    orphans: dict[ClientId, int] = field(default_factory=dict[ClientId, int])
    problems: list[str] = field(default_factory=list[str])
    crashes: int = 0
    commands: int = 0
    quiet_writes: int = 0
    fills_checked: int = 0

    def __post_init__(self) -> None:
        """Open the account and the store."""
        self.rng = Random(self.seed)
        rules, specs = bots_of(self.rng)
        quote = {"USDT": D(100_000)}
        account = Account(rules.venue, {rules.symbol: rules}, FillRules(cross=self.rng.random() < 0.5), quote)
        self.venue = HostileVenue(account, self.rng, self.faults)
        self.memory = Memory({one.bot_id: one for one in specs}, Limits())
        self.world = self.memory.load()

    @property
    def rules(self) -> Instrument:
        """The one instrument that is traded."""
        return next(iter(self.venue.account.instruments.values()))

    def run(self, ticks: int, *, still: bool = False) -> None:
        """Let so many ticks pass; a crash starts the next process from the store. `still` holds the price."""
        for _ in range(ticks):
            self.now += timedelta(seconds=TICK_S)
            if not still:
                self.price = min(max(self.price + self.rng.randint(-self.step_max, self.step_max), 9_300), 10_700)
            self.venue.move(self.rules.symbol, D(self.price) / 100, self.now)
            try:
                self.tick()
            except Crash:
                self.crashes += 1
                self.world = self.memory.load()
                self.walked, self.carried, self.read_once = {}, [], False
            self.check()

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
            self.venue.committed.update(o.client_id for o in step.orders)
            self.check_step(step)
            self.die_perhaps()
            facts = self.act(step)
            if not facts:
                return
        self.carried = facts

    def die_perhaps(self) -> None:
        """Crash here, sometimes."""
        if self.venue.chance("crash"):
            raise Crash

    def gather(self) -> list[Fact]:
        """Read all there is; what fails is absent. After a start no price is told before all was read once."""
        venue, name, now = self.venue, self.venue.account.venue, self.now
        facts: list[Fact] = [*self.carried, *self.words()]
        self.carried = []
        quotes = venue.quote(self.rules.symbol, now)
        listed = venue.open_orders(now)
        if listed is None:
            return [*facts, *quotes] if self.read_once else facts
        known = ours(self.world, name)
        seen: list[Seen] = [one for one in listed if one.client_id in known]
        for order in to_ask(self.world, name, frozenset(one.client_id for one in listed), now):
            told = venue.order(order, now)
            if isinstance(told, Seen):
                seen.append(told)
            elif told is not None:
                facts.append(told)
        facts += seen
        for symbol in trades_due(self.world, name, changed(self.world, name, seen), now, walked=self.walked):
            since = trades_since(self.world, name, symbol, now, walked=self.walked.get(symbol))
            trades = venue.trades_since(symbol, since, now)
            if trades is not None:
                self.walked[symbol] = now
                facts += trades
        if self.rng.random() < 0.1 or not self.world.wallet:
            facts += venue.balances(now)
        self.read_once = self.read_once or all(symbol in self.walked for symbol in (self.rules.symbol,))
        return [*facts, *quotes] if self.read_once else facts

    def act(self, step: Step) -> list[Fact]:
        """Send what was decided; the process may die between any two requests."""
        answers: list[Fact] = []
        for intent in step.intents:
            self.die_perhaps()
            if isinstance(intent, Place):
                self.check_send(intent)
                answers.append(self.venue.place(intent.order, self.now))
            else:
                answers.append(self.venue.cancel(intent.order, self.now))
            self.check_venue()
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

    def check_send(self, intent: Place) -> None:
        """I-17 and I-18: what is sent lies on the exchange's grid, and nobody sells what is not there."""
        order = intent.order
        objection = self.rules.objection(order.price or D(self.price) / 100, order.qty)
        if objection is not None:
            self.problems.append(f"{self.now} I-18 {order.client_id}: {objection}")

    def check_step(self, step: Step) -> None:
        """I-11 on what we know: unknown orders count as live, trades still to come as done."""
        for bot_id, bot in step.world.bots.items():
            cap = self.memory.specs[bot_id].max_position_size
            orders = [w.order for w in bot.works.values() if w.order is not None]
            entries = total(o.unbooked for o in orders if o.role is Role.ENTRY)
            if cap is not None and abs(bot.inventory) + entries > cap:
                self.problems.append(f"{self.now} I-11 {bot_id} may reach {abs(bot.inventory) + entries} of {cap}")

    def check_venue(self) -> None:
        """I-06 and I-11 at the exchange itself: after each request, on its books."""
        for bot_id, one in self.memory.specs.items():
            cap = one.max_position_size
            if cap is None:
                continue
            mine = [h.order for cid, h in self.venue.books.items() if cid.startswith(f"{bot_id}-")]
            held = total(order.filled * order.side.sign for order in mine)
            sign = one.plan.config.entry_side.sign
            resting = total(
                o.qty - o.filled for o in self.venue.open_truth()
                if o.client_id.startswith(f"{bot_id}-") and o.side.sign == sign
            )  # fmt: skip
            if held * sign + resting > cap:
                self.problems.append(f"{self.now} I-11 {bot_id} holds {held} and has {resting} resting, cap {cap}")

    def check(self) -> None:
        """Hold every invariant that must hold at any moment."""
        mine = {cid for cid, order in self.memory.orders.items() if order.live}
        for order in self.venue.open_truth():
            lost = order.client_id not in mine
            self.orphans[order.client_id] = self.orphans.get(order.client_id, 0) + 1 if lost else 0
            if self.orphans[order.client_id] == 3:
                self.problems.append(f"{self.now} I-08 {order.client_id} rests and nobody knows")
        for order in self.memory.orders.values():
            if order.status in {Status.PENDING, Status.UNKNOWN}:
                age_s = (self.now - order.created_at).total_seconds()
                if age_s > UNKNOWN_MAX_S:
                    self.problems.append(f"{self.now} I-09 {order.client_id} is {order.status} for {age_s:.0f} s")
        # Fills are only ever added, and what was compared once stays as it was.
        if len(self.memory.fills) == self.fills_checked:
            return
        true_trades = {fill.trade_id: fill for _, fill in self.venue.trades}
        for key, (_, fill) in islice(self.memory.fills.items(), self.fills_checked, None):
            if true_trades.get(key[2]) != fill:
                self.problems.append(f"{self.now} I-03 {key} is no trade of the exchange")
        self.fills_checked = len(self.memory.fills)

    def check_legs(self) -> None:
        """I-06 over all history: no leg executed more than its entry was planned, no exit more than its entry."""
        done: dict[tuple[str, str], Decimal] = {}
        for cid, history in self.venue.books.items():
            who = decode(cid)
            if who is not None:
                done[who.bot_id, who.leg_id] = done.get((who.bot_id, who.leg_id), ZERO) + history.order.filled
        for (bot_id, leg), qty in done.items():
            if leg.startswith("e"):
                planned = self.memory.specs[bot_id].plan.lines[int(leg[1:].split("-")[0])].qty
                if qty > planned:
                    self.problems.append(f"I-06 leg {leg} of {bot_id} executed {qty} of {planned}")

    def settle(self, ticks: int = 60) -> None:
        """Turn all faults off, let everything come to rest, and hold what must hold of a settled account."""
        self.faults = self.venue.faults = CALM
        for bot_id, bot in self.world.bots.items():
            if bot.mode.value != "run":
                self.carried.append(self.word(bot_id, Action.RELEASE if bot.mode.value != "paused" else Action.RESUME))
        self.run(ticks, still=True)
        before = self.quiet_writes
        self.run(10, still=True)
        if self.quiet_writes != before:
            self.problems.append(f"I-27 {self.quiet_writes - before} writes while nothing happens")
        self.check_legs()
        self.check_books()
        self.check_resting()
        self.check_exits()

    def check_books(self) -> None:
        """I-01, I-03 and the conservation of inventory: ledger, lots, fills and the exchange agree exactly."""
        account = self.venue.account
        for asset, held in account.balances.items():
            booked = total(e.amount for e in self.memory.entries if e.account == "wallet" and e.asset == asset)
            if booked != held:
                self.problems.append(f"I-01 {asset}: the exchange has {held}, the ledger {booked}")
        theirs, stored = {f.trade_id for _, f in self.venue.trades}, {key[2] for key in self.memory.fills}
        if theirs != stored:
            self.problems.append(f"I-03 trades {sorted(theirs ^ stored)[:5]} are on one side alone")
        for bot_id, bot in self.world.bots.items():
            filled = total(f.qty * f.side.sign for owner, f in self.memory.fills.values() if owner == bot_id)
            in_base = total(f.fee for b, f in self.memory.fills.values() if b == bot_id and f.fee_asset == "BTC")
            lots = total(lot.qty * lot.side.sign for lot in bot.lots.values())
            if not filled - in_base == lots == bot.inventory:
                self.problems.append(f"I-03 {bot_id}: fills {filled}, fees {in_base}, lots {lots}, has {bot.inventory}")

    def check_resting(self) -> None:
        """I-07 and I-28: what rests at the exchange is what is wanted, at its price, with what is left of it."""
        known = ours(self.world, self.venue.account.venue)
        for order in self.venue.open_truth():
            mine = known.get(order.client_id)
            if mine is None or (mine.price, mine.remaining) != (order.price, order.qty - order.filled):
                self.problems.append(f"I-07 {order.client_id} rests otherwise than known: {mine}")
        resting = {o.client_id for o in self.venue.open_truth()}
        for cid in known:
            if cid not in resting:
                self.problems.append(f"I-07 {cid} is believed to rest: {known[cid]}")

    def check_exits(self) -> None:
        """I-14: everything held is offered by exits, but for what is less than an order may be."""
        for bot_id, bot in self.world.bots.items():
            orders = [work.order for work in bot.works.values() if work.order is not None]
            offered = total(order.remaining for order in orders if order.role is Role.EXIT)
            least = self.rules.min_qty + ratio(self.rules.min_notional, D(self.price) / 100)
            dust = least * len(self.memory.specs[bot_id].plan.lines) + self.rules.lot_step * len(bot.lots)
            if isinstance(bot.state.phase, Running) and abs(bot.inventory) - offered > dust:
                self.problems.append(f"I-14 {bot_id} holds {bot.inventory}, offers {offered}")

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


def bots_of(rng: Random) -> tuple[Instrument, list[BotSpec]]:
    """Draw an instrument and two grids on it that share its account."""
    perp = rng.random() < 0.4
    rules = swap() if perp else instrument(fee_in_base=rng.random() < 0.3)
    side = rng.choice(["BUY", "SELL"]) if perp else "BUY"
    specs: list[BotSpec] = []
    for name in ("a", "b"):
        barriers = {"stop_loss": "0.03"} if rng.random() < 0.2 else {}
        config = grid(
            id=name, side=side, venue=rules.venue, symbol=rules.symbol, start_price=rng.choice([94, 97]),
            end_price=rng.choice([103, 106]), levels=rng.randint(2, 6), amount_base=rng.choice(["0.1", "0.25"]),
            initial_inventory=rng.choice(["market", "resting", "none"]), triple_barrier=barriers,
            activation_bounds=rng.choice([None, None, "0.02"]), max_open_orders=rng.choice([None, None, 2]),
            max_position_size=rng.choice([None, "0.5"]), order_frequency=rng.choice([0, 0, 20]),
        )  # fmt: skip
        specs.append(spec(config, rules))
    return rules, specs
