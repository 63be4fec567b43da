"""A store in memory: takes every `Step` in as one transaction and gives the world back after a crash."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.engine import Bot, BotSpec, Incident, Limits, Step, World
from core.engine.recall import legs_to_recall, recall_works
from core.engine.seen import Seen
from core.engine.world import LevelRow, live_of
from core.facts import Fill
from core.ledger import Entry, Numbering
from core.lots import Lot
from core.machine import Wake
from core.orders import TRANSITIONS, ClientId, Order, Status
from core.values import ZERO, total

# Due at the first look, whatever the time is.
AT_ONCE = Wake(deadline=datetime(1970, 1, 1))


@dataclass(slots=True)
class Memory:
    """The tables, by primary key. `problems` collects what no store would take, or no reader could explain."""

    specs: dict[str, BotSpec]
    limits: Limits
    orders: dict[ClientId, Order] = field(default_factory=dict[ClientId, Order])
    asked: dict[ClientId, Decimal | None] = field(default_factory=dict[ClientId, Decimal | None])
    fills: dict[tuple[str, str, str, str], tuple[str, Fill]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list[Entry])
    lots: dict[tuple[str, str], Lot] = field(default_factory=dict[tuple[str, str], Lot])
    levels: dict[tuple[str, int], LevelRow] = field(default_factory=dict[tuple[str, int], LevelRow])
    bots: dict[str, tuple[Bot, str]] = field(default_factory=dict[str, tuple[Bot, str]])
    incidents: dict[str, Incident] = field(default_factory=dict[str, Incident])
    account: tuple[Decimal | None, dict[tuple[str, str], Decimal], dict[str, str]] = (None, {}, {})
    raised: list[Incident] = field(default_factory=list[Incident])
    problems: list[str] = field(default_factory=list[str])

    def commit(self, step: Step, now: datetime) -> None:
        """Store everything of a step at once."""
        for order in step.orders:
            self._check_change(order, now)
            self.orders[order.client_id] = order
            work = step.world.bots[order.bot_id].works.get(order.leg_id)
            if work is not None and work.order is not None and work.order.client_id == order.client_id:
                self.asked[order.client_id] = work.asked_price
        for bot_id, fill in step.fills:
            key = (fill.venue, fill.symbol, fill.trade_id, fill.side.value)
            if key in self.fills:
                self.problems.append(f"{now} I-03 trade {key} stored twice")
            self.fills[key] = (bot_id, fill)
        self._take_entries(step.entries, now)
        for lot in step.lots:
            self.lots[lot.bot_id, lot.lot_id] = lot
        for level in step.levels:
            self.levels[level.bot_id, level.view.place] = level
        for bot in step.bots:
            machine = self.specs[bot.bot_id].machine
            head = "" if bot.state is None else json.dumps(machine.head(bot.state))
            self.bots[bot.bot_id] = (bot, head)
        for name in step.resolved:
            self.incidents.pop(name)
        for incident in step.raised:
            self.incidents[incident.key] = incident
            self.raised.append(incident)
        self.account = (step.world.peak, dict(step.world.suspects), dict(step.world.blocked))

    def load(self) -> World:
        """Build the world from the tables alone."""
        last = self.entries[-1] if self.entries else None
        peak, suspects, blocked = self.account
        return World(
            specs=self.specs, bots={bot_id: self._bot(spec) for bot_id, spec in self.specs.items()}, limits=self.limits,
            wallet=self.sums("wallet"), positions=self.sums("position"), trades=Seen().plus(self.fills),
            numbering=Numbering(last.seq + 1, last.txn_id + 1) if last is not None else Numbering(),
            incidents=dict(self.incidents), suspects=dict(suspects), blocked=dict(blocked), peak=peak,
        )  # fmt: skip

    def sums(self, account: str) -> dict[tuple[str, str], Decimal]:
        """Add up one account of the ledger, by (venue, asset)."""
        found: dict[tuple[str, str], Decimal] = {}
        for entry in self.entries:
            if entry.account == account:
                found[entry.venue, entry.asset] = found.get((entry.venue, entry.asset), ZERO) + entry.amount
        return found

    @property
    def opened_at(self) -> datetime | None:
        """When the wallets were opened; what was paid before is part of what they were opened with."""
        return next((entry.ts for entry in self.entries if entry.kind == "opening"), None)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table holds."""
        tables = ("orders", "fills", "entries", "lots", "levels", "bots", "incidents", "raised")
        return {name: len(getattr(self, name)) for name in tables}

    def _bot(self, spec: BotSpec) -> Bot:
        name = spec.bot_id
        if name not in self.bots:
            return Bot(bot_id=name)
        bot, head = self.bots[name]
        places = {place: row.view.data for (owner, place), row in self.levels.items() if owner == name}
        state = spec.machine.restore(spec.plan, json.loads(head), places) if head else None
        works = recall_works(
            legs_to_recall(spec, state, bot.unwind), [o for o in self.orders.values() if o.bot_id == name], self.asked
        )
        lots = {lot.lot_id: lot for (owner, _), lot in self.lots.items() if owner == name and lot.open}
        return Bot(
            bot_id=name, state=state, works=works, lots=lots, restless=tuple(sorted(works)), mode=bot.mode,
            mode_reason=bot.mode_reason, wake=AT_ONCE, machine_wake=AT_ONCE, started_at=bot.started_at,
            inventory=total(lot.qty * lot.side.sign for lot in lots.values()),
            cost=total(lot.cost for lot in lots.values()), fees_open=total(lot.fees for lot in lots.values()),
            realized=bot.realized, grid_profit=bot.grid_profit, fees=bot.fees, funding=bot.funding,
            round_trips=bot.round_trips, unwind=bot.unwind, episodes=bot.episodes, peak=bot.peak,
            live=live_of(works),
        )  # fmt: skip

    def _take_entries(self, entries: tuple[Entry, ...], now: datetime) -> None:
        sums: dict[tuple[int, str], Decimal] = {}
        for entry in entries:
            if entry.seq != (self.entries[-1].seq + 1 if self.entries else 1):
                self.problems.append(f"{now} I-02 ledger row {entry.seq} follows {len(self.entries)} rows")
            self.entries.append(entry)
            sums[entry.txn_id, entry.asset] = sums.get((entry.txn_id, entry.asset), ZERO) + entry.amount
        for (txn, asset), left in sums.items():
            if left != ZERO:
                self.problems.append(f"{now} I-02 transaction {txn} leaves {left} {asset}")

    def _check_change(self, order: Order, now: datetime) -> None:
        # I-10: statuses move along the table alone (several steps may fall into one tick), executed never falls.
        if (order.status is Status.FILLED) != (order.filled_qty >= order.qty):
            self.problems.append(f"{now} I-10 {order.client_id} is {order.status} at {order.filled_qty} of {order.qty}")
        before = self.orders.get(order.client_id)
        if before is None:
            return
        if order.status not in reachable(before.status):
            self.problems.append(f"{now} I-10 {order.client_id} went from {before.status} to {order.status}")
        if order.filled_qty < before.filled_qty or order.traded_qty < before.traded_qty:
            self.problems.append(f"{now} I-10 {order.client_id} lost executed quantity")


def reachable(status: Status) -> frozenset[Status]:
    """Every status that the table leads to from this one, itself included."""
    found = {status}
    while more := {after for one in found for after in TRANSITIONS[one].values()} - found:
        found |= more
    return frozenset(found)
