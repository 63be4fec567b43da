"""Builds the world from what the exchange alone shows, for a store that is lost (DESIGN 4.6, RULES 9d).

All trades are booked again, oldest first, by the same code that booked them live, on top of openings that make every
wallet and position equal the exchange's. Machines stand up from the events of that replay. Every bot then stands in a
latch that lets it place exits alone until a person releases it.

What may differ from the lost store, and nothing else:
* latches, barriers that had fired, drawdown and trailing peaks, refusals and their pacing: in no order;
* funding, transfers and what others did before: part of the openings, so a bot's `funding` starts at zero;
* which lot a person closed by `close-lot`, and trades that were told late: lots are closed here in the order of the
  trades' own times, so cost may move between the lots of a bot, never its inventory;
* fees in a third asset are valued at the present rate;
* whether the rest of an entry that was filled in part and is gone will still be ordered: a grid that follows the price
  leaves it, a plain one goes on with it where it is large enough to be ordered;
* orders that the exchange has forgotten (unfilled and over for days): their client ids are not known to be used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.engine.booking import STRANGER, book_fill, book_trade
from core.engine.bot import level_state
from core.engine.control import REBUILT
from core.engine.draft import BotDraft, Draft, open_draft, thaw
from core.engine.recall import legs_to_recall, recall_works
from core.engine.world import Bot, BotSpec, LevelRow, Limits, Mode, Step, World
from core.facts import Fill
from core.ledger import fill_postings, moved, transfer_postings
from core.lots import Lot, net_qty
from core.machine import MachineEvent, Wake
from core.market import Instrument
from core.orders import ClientId, Decoded, Leg, Order, Role, decode
from core.recovery import Adopts, Finding, Past, RebuildRefused, Told, orders_of
from core.values import ZERO, Side, plain, total

LATCH = "rebuilt from the exchange alone; exits only until control release"
_AT_ONCE = Wake(deadline=datetime(1970, 1, 1))


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The world, the steps that store it in their order (nothing in them is to be sent), and what was found.

    All orders stand in the last step.
    """

    world: World
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class _Life:
    """What the replay collects of one bot."""

    events: list[MachineEvent] = field(default_factory=list[MachineEvent])
    started_at: datetime | None = None
    peak: Decimal = ZERO


# Venue, symbol, id and side: what one trade is known by.
_TradeKey = tuple[str, str, str, Side]


@dataclass(slots=True)
class _Replay:
    """The replay under way: one draft after another, because a lot may end and begin anew between two steps only."""

    specs: Mapping[str, BotSpec]
    now: datetime
    draft: Draft
    bots: dict[str, BotDraft]
    lives: dict[str, _Life]
    steps: list[Step] = field(default_factory=list[Step])
    ended: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    findings: list[Finding] = field(default_factory=list[Finding])
    needs: dict[tuple[str, str], Decimal] = field(default_factory=dict[tuple[str, str], Decimal])
    needs_after: dict[_TradeKey, Decimal] = field(default_factory=dict[_TradeKey, Decimal])

    def cut(self) -> None:
        """End the step under way and begin the next one."""
        for bot in self.bots.values():
            self.draft.keep(bot)
        step = self.draft.freeze()
        self.steps.append(step)
        self.draft = open_draft(step.world, self.now)
        self.bots = {name: thaw(step.world.bots[name], spec) for name, spec in self.specs.items()}
        self.ended.clear()

    def find(self, bot_id: str, subject: str, detail: str) -> None:
        """Note something for the report."""
        self.findings.append(Finding(bot_id, subject, detail))


def rebuild(
    specs: Mapping[str, BotSpec], limits: Limits, told: Told, now: datetime, world: World | None = None
) -> Rebuilt:
    """Build the world of these bots. `specs` carry the token of the lost store; `world`, if given, is one before any tick.

    Raises `RebuildRefused` where a leg has two orders that may still trade, or a bot's kind cannot stand up from its past.
    """
    fresh = world or World(specs=specs, bots={name: Bot(bot_id=name) for name in specs}, limits=limits)
    replay = _Replay(
        specs, now, open_draft(fresh, now), {name: thaw(fresh.bots[name], spec) for name, spec in specs.items()},
        {name: _Life(peak=spec.capital_quote) for name, spec in specs.items()},
    )  # fmt: skip
    for quote in told.quotes:
        replay.draft.quotes[quote.venue, quote.symbol] = quote
    rules = {one.market: one for spec in specs.values() for one in spec.instruments}
    trades = sorted((fill for fill in told.trades if (fill.venue, fill.symbol) in rules), key=lambda fill: fill.ts)
    _open_accounts(replay, told, trades, rules)
    _count_needs(replay, trades, rules)
    for fill in trades:
        _book(replay, fill, rules[fill.venue, fill.symbol], truncated=told.since is not None)
    _compare(replay, told)
    orders = [order for name, spec in specs.items() for order in orders_of(told, [name], spec.token)]
    for name, spec in specs.items():
        _stand_up(replay, spec, [order for order in orders if order.bot_id == name])
    replay.draft.orders.update({order.client_id: order for order in orders})
    replay.cut()
    if told.since is not None:
        replay.find("", "history", f"trades and orders before {told.since:%Y-%m-%d %H:%M} UTC could not be read")
    return Rebuilt(replay.steps[-1].world, tuple(replay.steps), tuple(replay.findings))


def _open_accounts(
    replay: _Replay, told: Told, trades: list[Fill], rules: Mapping[tuple[str, str], Instrument]
) -> None:
    """Post openings such that, with all trades on top, every wallet and position is what the exchange says."""
    draft = replay.draft
    sums: dict[tuple[str, str, str], Decimal] = {}
    done: set[tuple[str, str, str, Side]] = set()
    for fill in trades:
        if (key := (fill.venue, fill.symbol, fill.trade_id, fill.side)) in done:
            continue
        done.add(key)
        for line in fill_postings(fill, rules[fill.venue, fill.symbol]):
            account = (line.account, fill.venue, line.asset)
            sums[account] = sums.get(account, ZERO) + line.amount
    wallets = {("wallet", read.venue, read.asset): read.total for read in told.balances}
    positions = {("position", read.venue, read.symbol): read.qty for read in told.positions}
    moves = {key for key in sums if key[0] in {"wallet", "position"}}
    for key in sorted(wallets.keys() | positions.keys() | moves):
        account, venue, asset = key
        present = (wallets if account == "wallet" else positions).get(key, ZERO)
        opening = present - sums.get(key, ZERO)
        if opening == ZERO:
            (draft.wallet if account == "wallet" else draft.positions).setdefault((venue, asset), ZERO)
            continue
        lines = (
            transfer_postings(asset, opening) if account == "wallet" else moved("position", "external", asset, opening)
        )
        draft.post(lines, ts=replay.now, bot_id="", venue=venue, kind="opening", ref=f"{venue} {asset}")


def _book(replay: _Replay, fill: Fill, rules: Instrument, *, truncated: bool) -> None:
    who = decode(fill.client_id)
    spec = replay.specs.get(who.bot_id) if who is not None else None
    if who is None or spec is None or who.token != spec.token:
        book_trade(replay.draft, fill, rules, STRANGER)
        return
    lot_id = who.leg_id[1:]
    if who.role is Role.ENTRY and (who.bot_id, lot_id) in replay.ended:
        replay.cut()
    bot = replay.bots[who.bot_id]
    if truncated and _closes_unknown(bot, who, fill, rules):
        book_trade(replay.draft, fill, rules, STRANGER)
        replay.find(who.bot_id, fill.trade_id, "closed what was opened before the history that could be read")
        return
    before = set(bot.lots)
    aside = _set_aside(replay, bot, who, fill, rules)
    spared = {name: replay.needs.get((who.bot_id, name), ZERO) for name in bot.lots}
    booked = book_fill(replay.draft, bot, fill, who, spared)
    bot.lots.update(aside)
    if not booked:
        return
    replay.ended.update((who.bot_id, name) for name in before - bot.lots.keys())
    if who.role in {Role.ENTRY, Role.EXIT}:
        replay.needs[who.bot_id, lot_id] = replay.needs_after[_key_of(fill)]
    life = replay.lives[who.bot_id]
    life.started_at = min(life.started_at or fill.ts, fill.ts)
    life.events += bot.events
    bot.events.clear()
    life.peak = max(life.peak, spec.capital_quote + bot.realized - bot.fees)


def _count_needs(replay: _Replay, trades: list[Fill], rules: Mapping[tuple[str, str], Instrument]) -> None:
    """Note after each trade what its lot must hold then, so that none of its own later exits sells more than is open.

    Which lot an unwind closed is in no order, but what the exit of a lot sold later was not closed before. Told backwards:
    an exit needs what it sold beside what is needed after it, an entry brings a part of what is needed after it.
    """
    for fill in reversed(trades):
        who, key = decode(fill.client_id), _key_of(fill)
        if who is None or key in replay.needs_after or who.role not in {Role.ENTRY, Role.EXIT}:
            continue
        lot = who.bot_id, who.leg_id[1:]
        after = replay.needs.get(lot, ZERO)
        net = net_qty(fill, rules[fill.venue, fill.symbol])
        replay.needs_after[key] = after
        replay.needs[lot] = after + net if who.role is Role.EXIT else max(after - net, ZERO)


def _key_of(fill: Fill) -> _TradeKey:
    return fill.venue, fill.symbol, fill.trade_id, fill.side


def _set_aside(replay: _Replay, bot: BotDraft, who: Decoded, fill: Fill, rules: Instrument) -> dict[str, Lot]:
    # A sale at the market closes a lot that can give all of it, where there is one: perhaps it was closed by its name. An
    # exit that sold more than its place holds closes other lots, where those hold enough.
    against = [lot for lot in bot.lots.values() if lot.symbol == fill.symbol and lot.side is not fill.side]
    net = net_qty(fill, rules)
    if who.role in {Role.UNWIND, Role.STOP}:
        kept = [lot for lot in against if lot.qty - replay.needs.get((who.bot_id, lot.lot_id), ZERO) < net]
    else:
        kept = [lot for lot in against if lot.lot_id.partition("-")[0] == str(who.place)]
        if who.role is not Role.EXIT or total(lot.qty for lot in kept) >= net:
            return {}
    if total(lot.qty for lot in against) - total(lot.qty for lot in kept) < net:
        return {}
    return {lot.lot_id: bot.lots.pop(lot.lot_id) for lot in kept}


def _closes_unknown(bot: BotDraft, who: Decoded, fill: Fill, rules: Instrument) -> bool:
    # Whether a reducing trade closes more than the history that could be read had opened.
    if not who.role.reduces:
        return False
    open_lots = [lot for lot in bot.lots.values() if lot.symbol == fill.symbol and lot.side is not fill.side]
    if who.role is Role.EXIT:
        open_lots = [lot for lot in open_lots if lot.lot_id.partition("-")[0] == str(who.place)]
    return total(lot.qty for lot in open_lots) < net_qty(fill, rules)


def _compare(replay: _Replay, told: Told) -> None:
    """Hold what the bots' lots say against what the account holds; coins that are not there are an incident."""
    held: dict[tuple[str, str, str], Decimal] = {}
    for bot in replay.bots.values():
        for lot in bot.lots.values():
            key = (lot.venue, lot.symbol, lot.symbol.partition("/")[0])
            held[key] = held.get(key, ZERO) + lot.qty * lot.side.sign
    positions = {(read.venue, read.symbol): read.qty for read in told.positions}
    balances = {(read.venue, read.asset): read.total for read in told.balances}
    for (venue, symbol, base), qty in sorted(held.items()):
        swap = ":" in symbol
        there = positions.get((venue, symbol), ZERO) if swap else balances.get((venue, base), ZERO)
        missing = (qty - there) if qty > ZERO else (there - qty)
        if missing > ZERO:
            detail = f"{venue} {symbol}: the bots' trades leave {plain(qty)}, the account holds {plain(there)}"
            replay.draft.alarm("rebuilt_short", "", f"{venue} {symbol}", "critical", detail)
            replay.draft.blocked[venue] = detail
            replay.find("", f"{venue} {symbol}", detail)
        elif swap and missing < ZERO:
            replay.find("", f"{venue} {symbol}", f"{plain(-missing)} of the position is of no bot: booked as external")


def _stand_up(replay: _Replay, spec: BotSpec, orders: list[Order]) -> None:
    """Give a bot its state, its works and its latch."""
    bot, life = replay.bots[spec.bot_id], replay.lives[spec.bot_id]
    times = [order.created_at for order in orders] + [at for at in (life.started_at,) if at is not None]
    bot.started_at = min(times) if times else None
    bot.episodes = max((_cycle(o) for o in orders if o.role in {Role.UNWIND, Role.STOP}), default=-1) + 1
    bot.peak = life.peak
    bot.mode, bot.mode_reason = Mode.TRIPPED, LATCH
    bot.wake = bot.machine_wake = _AT_ONCE
    if times:
        bot.state = _state(spec, life, orders, replay.now, bot.started_at or replay.now)
    _take_works(bot, orders)
    _show(replay, bot)
    lots = len(bot.lots)
    detail = (
        f"{len(orders)} orders, {sum(order.live for order in orders)} of them open; {lots} open lots; inventory "
        f"{plain(bot.inventory)}; peak of equity set to {plain(bot.peak)} {spec.instrument.quote}; {LATCH}"
    )
    replay.draft.note(spec.bot_id, "bot", "REBUILT", detail)
    replay.draft.alarm(REBUILT, spec.bot_id, "bot", "warning", detail)
    replay.find(spec.bot_id, "bot", detail)
    if spec.max_drawdown is not None or bot.inventory != ZERO:
        replay.find(
            spec.bot_id, "latches",
            "halts, fired barriers, trailing peaks and funding are in no order: taken as not fired, not armed and zero",
        )  # fmt: skip


def _state(spec: BotSpec, life: _Life, orders: list[Order], now: datetime, started_at: datetime) -> Any:
    if not isinstance(spec.machine, Adopts):
        message = (
            f"bot {spec.bot_id!r}: a {spec.kind} cannot be rebuilt from its orders; cancel its orders at the exchange, "
            "close what it holds and start it under another id"
        )
        raise RebuildRefused(message)
    live = frozenset(order.leg_id for order in orders if order.live or order.traded_qty < order.filled_qty)
    past = Past(
        now=now, started_at=started_at, events=tuple(life.events), live=live,
        seen=frozenset(order.leg_id for order in orders),
    )  # fmt: skip
    return spec.machine.adopt(spec.plan, past)


def _take_works(bot: BotDraft, orders: list[Order]) -> None:
    legs = legs_to_recall(bot.spec, bot.state, None)
    asked = {order.client_id: _asked(legs.get(order.leg_id), order) for order in orders}
    try:
        works = recall_works(legs, orders, asked)
    except ValueError as error:
        message = f"bot {bot.spec.bot_id!r}: {error}"
        raise RebuildRefused(message) from error
    for name, work in works.items():
        bot.put(name, work)
    bot.restless = set(works)


def _asked(leg: Leg | None, order: Order) -> Decimal | None:
    # A post-only order may have been sent behind its leg's own price; anything else is no order of this leg's price.
    if leg is None or leg.price is None or order.price is None:
        return order.price
    behind = order.price <= leg.price if order.side is Side.BUY else order.price >= leg.price
    return leg.price if behind else order.price


def _show(replay: _Replay, bot: BotDraft) -> None:
    if bot.state is None:
        return
    spec = bot.spec
    for index in range(spec.places):
        view = spec.machine.place(spec.plan, bot.state, index)
        state, reason = level_state(view.phase, bot.works.get(view.entry), bot.works.get(view.exit), view.reason)
        row = LevelRow(spec.bot_id, view, state, reason)
        bot.shown[index] = row
        replay.draft.levels[spec.bot_id, index] = row


def _cycle(order: Order) -> int:
    who = decode(ClientId(order.client_id))
    return who.cycle if who is not None else -1
