"""Advances one bot: what its orders did, what its machine wants now, and what is to be sent for it."""

from collections.abc import Mapping
from functools import lru_cache

from core.engine.booking import book_claim
from core.engine.control import PERMITS
from core.engine.draft import BotDraft, Draft
from core.engine.drawdown import wake_of_drawdown
from core.engine.gates import Groups, gate, market_of, only_reduces, proposal_for
from core.engine.places import Places
from core.engine.protect import tend_stops
from core.engine.unwind import start_unwind, tend_unwind
from core.engine.world import Cancel, LevelRow, Mode, Place
from core.machine import Held, Outcome, PlaceView, View, Wake
from core.market import Market, Quote
from core.orders import Event, Leg, Order, Role, Status, apply, client_id, leg_id
from core.risk import Approved
from core.values import ZERO
from core.working import NEW, Rest, Send, Withdraw, Work, started, wanted, with_order

# The letter of entry legs; asked of the enumeration each time it costs as much as the comparison.
_ENTRY = Role.ENTRY.value
# More legs than this for each place, and those that are over are forgotten.
_LEGS_PER_PLACE = 16


def advance_bot(draft: Draft, bot: BotDraft) -> None:
    """Run one bot's step after its facts were taken in; appends to the draft what is to be stored and sent."""
    quote = draft.quote_of(bot)
    wake, wakes = bot.wake, dict(bot.wakes)
    if quote is not None and (bot.state is not None or _may_begin(draft, bot)):
        if bot.state is None or bot.events or machine_due(draft, bot, quote):
            bot.machine_wake, bot.machine_wakes = _ask_machine(draft, bot, quote)
        soon = tend_unwind(draft, bot)
        wake, wakes = bot.machine_wake, dict(bot.machine_wakes)
        _meet(wakes, soon)
        _meet(wakes, wake_of_drawdown(draft, bot))
    _meet(wakes, tend_stops(draft, bot))
    _meet(wakes, _work(draft, bot))
    first = wakes.pop(bot.spec.instrument.market, None) if wakes else None
    _show(draft, bot)
    bot.wake, bot.wakes = wake if first is None else wake.meet(first), wakes


def _meet(wakes: dict[Market, Wake], others: Mapping[Market, Wake]) -> None:
    for market, other in others.items():
        known = wakes.get(market)
        wakes[market] = other if known is None else known.meet(other)


def _may_begin(draft: Draft, bot: BotDraft) -> bool:
    # A strategy starts on prices that are sane and fresh in every market that it trades.
    quotes = [draft.quotes.get(one.market) for one in bot.spec.instruments]
    return all(
        quote is not None and quote.objection(draft.now, draft.limits.max_price_age_s) is None for quote in quotes
    )


def machine_due(draft: Draft, bot: BotDraft, quote: Quote) -> bool:
    """Whether prices or the time have left the band inside which the machine has nothing to say."""
    if bot.machine_wake.due(quote.lowest, quote.highest, draft.now):
        return True
    for market, wake in bot.machine_wakes.items():
        other = draft.quotes.get(market)
        if other is not None and wake.due(other.lowest, other.highest, draft.now):
            return True
    return False


def view_of(draft: Draft, bot: BotDraft, quote: Quote) -> View:
    """Return what the machine may look at."""
    beside: dict[Market, Held] = {}
    for one in bot.spec.others:
        held = bot.beside[one.market]
        other = draft.quotes.get(one.market)
        beside[one.market] = Held(one, other, held.inventory, held.cost, held.net_cost, held.fees_open)
    return View(
        now=draft.now, started_at=bot.started_at or draft.now, quote=quote, low=quote.lowest, high=quote.highest,
        instrument=bot.spec.instrument, inventory=bot.inventory, cost=bot.cost, net_cost=bot.net_cost,
        fees_open=bot.fees_open, realized=bot.realized, fees=bot.fees, funding=bot.funding, beside=beside,
        held_back="" if PERMITS[bot.mode].place_entries else bot.mode_reason or bot.mode.value,
    )  # fmt: skip


def _ask_machine(draft: Draft, bot: BotDraft, quote: Quote) -> tuple[Wake, Mapping[Market, Wake]]:
    machine, plan = bot.spec.machine, bot.spec.plan
    if bot.started_at is None:
        bot.started_at = draft.now
    view = view_of(draft, bot, quote)
    if bot.state is None:
        draft.note(bot.spec.bot_id, "bot", "BEGIN", f"first price {quote.last}")
        outcome = machine.begin(plan, view)
        if bot.events:
            _obey(draft, bot, outcome)
            outcome = machine.step(plan, outcome.state, tuple(bot.events), view)
    else:
        outcome = machine.step(plan, bot.state, tuple(bot.events), view)
    bot.events.clear()
    _obey(draft, bot, outcome)
    return outcome.wake, outcome.wakes


def _obey(draft: Draft, bot: BotDraft, outcome: Outcome) -> None:
    bot.state = outcome.state
    _take_wants(bot, outcome)
    bot.touched.update(outcome.touched)
    for note in outcome.notes:
        draft.note(bot.spec.bot_id, note.subject, note.decision, note.reason)
    for claim in outcome.claims:
        book_claim(draft, bot, claim)
    if outcome.unwind and (bot.unwind is None or bot.unwind.lot_id):  # all of it includes the one lot
        start_unwind(draft, bot, outcome.unwind)
    if outcome.trip and bot.mode in {Mode.RUN, Mode.PAUSED}:
        bot.mode, bot.mode_reason = Mode.TRIPPED, outcome.trip
        bot.dirty.update(bot.works)
    for alarm in outcome.alarms:
        draft.alarm(alarm.kind, bot.spec.bot_id, alarm.subject, alarm.severity, alarm.detail)
    for kind, subject in outcome.calm:
        draft.all_clear(kind, bot.spec.bot_id, subject)


def _take_wants(bot: BotDraft, outcome: Outcome) -> None:
    for name, leg in outcome.wants.items():
        work = bot.works.get(name)
        if work is None:
            if leg is None:
                continue
            work = NEW
        if work.leg == leg and name in bot.works:
            if leg is None:
                bot.dirty.add(name)  # perhaps its place has moved on, and it can be forgotten
            continue
        bot.put(name, wanted(work, leg))
        bot.dirty.add(name)


def _work(draft: Draft, bot: BotDraft) -> dict[Market, Wake]:
    wakes: dict[Market, Wake] = {}
    names = bot.dirty | bot.restless
    bot.restless = set()
    groups = Groups(draft, bot)
    # Exits before entries: nothing that protects waits behind an entry gate.
    for name in sorted(names, key=_by_urgency):
        work = bot.works.get(name)
        if work is None:
            continue
        market = market_of(bot, work)
        settled = _work_one(draft, bot, name, work, groups)
        bot.touched.add(_place_index(name))
        if settled is not None:
            bot.restless.add(name)
            known = wakes.get(market)
            wakes[market] = settled if known is None else known.meet(settled)
    bot.dirty.clear()
    if len(bot.works) > _LEGS_PER_PLACE * bot.spec.places + _LEGS_PER_PLACE:
        _forget(bot)
    return wakes


def _by_urgency(name: str) -> tuple[bool, str]:
    return name[0] == _ENTRY, name


def _forget(bot: BotDraft) -> None:
    # Legs that were withdrawn while they might still have returned, and whose place has moved on since.
    for name, work in list(bot.works.items()):
        if work.leg is None and work.order is None and not _may_return(bot, name):
            bot.drop(name)


def _work_one(draft: Draft, bot: BotDraft, name: str, work: Work, groups: Groups) -> Wake | None:
    """Carry out what the order layer proposes; None where the leg needs no further look, else what would wake it."""
    leg = work.leg
    match proposal_for(draft, bot, work):
        case Withdraw(reason=reason):
            _cancel(draft, bot, name, work, reason)
            return Wake()
        case Send() as send if leg is not None:
            return _try_to_place(draft, bot, name, work, leg, send, groups)
        case Rest(reason=reason, wake=wake):
            if work.order is None and leg is None:
                if work.next_attempt == 0 or not _may_return(bot, name):
                    bot.drop(name)
                return None
            if reason != work.reason and work.order is None:
                bot.put(name, _with_reason(work, reason))
            return wake if reason or wake != Wake() or (work.order is not None and leg is None) else None
        case _:
            return Wake()


def _try_to_place(
    draft: Draft, bot: BotDraft, name: str, work: Work, leg: Leg, send: Send, groups: Groups
) -> Wake | None:
    retry = Wake()
    verdict = gate(draft, bot, leg, send) if not leg.group else groups.verdict(leg, send)
    if isinstance(verdict, Approved):
        _place(draft, bot, name, work, verdict)
        return Wake()
    if verdict.passing:
        retry = Wake(deadline=draft.now)
    if verdict.reason != work.reason:
        bot.put(name, _with_reason(work, verdict.reason))
        draft.note(bot.spec.bot_id, name, "DECLINED", verdict.reason)
    return retry


def _place(draft: Draft, bot: BotDraft, name: str, work: Work, approved: Approved) -> None:
    leg, send = approved.leg, approved.send
    order = Order(
        client_id=client_id(bot.spec.bot_id, bot.spec.token, name, work.next_attempt), venue=leg.venue, symbol=leg.symbol,
        bot_id=bot.spec.bot_id, leg_id=name, attempt=work.next_attempt, role=leg.role, side=leg.side, kind=leg.kind,
        price=send.price, qty=send.qty, filled_qty=ZERO, traded_qty=ZERO, status=Status.PENDING, exchange_id="", reason="",
        created_at=draft.now, updated_at=draft.now, post_only=send.post_only,
        reduce_only=leg.reduce_only and only_reduces(draft, bot, leg, send.qty),
        stop_price=leg.stop_price,
    )  # fmt: skip
    bot.put(name, started(work, order))
    draft.orders[order.client_id] = order
    draft.intents.append(Place(order))
    draft.note(bot.spec.bot_id, name, "PLACE", f"{leg.side.value} {send.qty} at {send.price}")


def _cancel(draft: Draft, bot: BotDraft, name: str, work: Work, reason: str) -> None:
    order = work.order
    if order is None:
        return
    after = apply(order, Event.CANCEL_SENT, draft.now, reason=reason)
    bot.put(name, with_order(work, after))
    draft.orders[after.client_id] = after
    draft.intents.append(Cancel(after, reason))
    draft.note(bot.spec.bot_id, name, "CANCEL", reason)


def _with_reason(work: Work, reason: str) -> Work:
    return Work(
        leg=work.leg, order=work.order, done=work.done, next_attempt=work.next_attempt, refusals=work.refusals,
        not_before=work.not_before, reason=reason, asked_price=work.asked_price,
    )  # fmt: skip


def _may_return(bot: BotDraft, name: str) -> bool:
    # A leg of its place's present cycle, or of an unwind that goes on, may be wanted again: its next order must not take
    # an id that was used before. After a restart an unwind asks for nothing until there is a price.
    index = _place_index(name)
    if bot.unwind is not None and name == leg_id(Role.UNWIND, index, bot.unwind.episode):
        return True
    if bot.state is None or index >= bot.spec.places:
        return False
    view = _place_view(bot, index)
    return name in view.legs


def _place_view(bot: BotDraft, index: int) -> PlaceView:
    spec, seen = bot.spec, bot.seen
    if seen.state is not bot.state or seen.plan is not spec.plan:
        seen = bot.seen = Places(spec.plan, bot.state, {})
    view = seen.views.get(index)
    if view is None:
        view = seen.views[index] = spec.machine.place(spec.plan, bot.state, index)
    return view


@lru_cache(maxsize=1 << 14)
def _place_index(name: str) -> int:
    return int(name[1 : name.index("-")])


def _show(draft: Draft, bot: BotDraft) -> None:
    if bot.state is None:
        return
    for index in bot.touched:
        if index >= bot.spec.places:
            continue
        view = _place_view(bot, index)
        entry, leave = bot.works.get(view.entry), bot.works.get(view.exit)
        state, reason = level_state(view.phase, entry, leave, view.reason)
        row = LevelRow(bot.spec.bot_id, view, state, reason)
        if bot.shown.get(index) != row:
            bot.shown[index] = row
            draft.levels[bot.spec.bot_id, index] = row
    bot.touched.clear()


def level_state(phase: str, entry: Work | None, leave: Work | None, reason: str) -> tuple[str, str]:
    """Name a place's state and say why its order is missing where it is: a grid's and a ladder's as their users know it."""
    if phase == "Holding":
        if _resting(leave):
            return "CLOSE_ORDER_PLACED", ""
        return "OPEN_ORDER_FILLED", _why(leave)
    if phase == "Entering":
        return ("OPEN_ORDER_PLACED", "") if _resting(entry) else ("NOT_ACTIVE", _why(entry))
    if phase == "Waiting":
        return "NOT_ACTIVE", reason
    if phase == "Buying":
        return ("PLACED_ENTRY", "") if _resting(entry) else ("PENDING_ENTRY", _why(entry))
    if phase == "Selling":
        return ("PLACED_EXIT", "") if _resting(leave) else ("FILLED_WAIT", _why(leave))
    # Other kinds name their own states.
    return phase, reason


def _resting(work: Work | None) -> bool:
    return work is not None and work.order is not None and work.order.status is Status.OPEN


def _why(work: Work | None) -> str:
    if work is None:
        return "nothing to place: below the exchange's minimum"
    if work.order is None:
        return work.reason or "is placed with the next round"
    return {
        Status.PENDING: "sent, answer outstanding",
        Status.UNKNOWN: "fate unknown, being asked for",
        Status.CANCELING: "cancel is under way",
    }.get(work.order.status, "over; its trades are still to come")
