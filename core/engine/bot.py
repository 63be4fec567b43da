"""Advances one bot: what its orders did, what its machine wants now, and what is to be sent for it."""

from datetime import datetime
from decimal import Decimal

from core.engine.control import may_keep, may_place
from core.engine.draft import BotDraft, Draft
from core.engine.world import Cancel, LevelRow, Mode, Place, Unwind
from core.machine import Outcome, View, Wake
from core.market import Quote
from core.orders import Event, Kind, Leg, Order, Role, Status, apply, client_id, leg_id
from core.risk import Approved, Caps, Exposure, check
from core.values import ONE, ZERO, Side, exact_product, ratio, total
from core.working import NEW, Rest, Send, Withdraw, Work, propose, started, wanted, with_order


def advance_bot(draft: Draft, bot: BotDraft) -> None:
    """Run one bot's step after its facts were taken in; appends to the draft what is to be stored and sent."""
    quote = draft.quotes.get((bot.spec.instrument.venue, bot.spec.instrument.symbol))
    wake = bot.wake
    if quote is not None and (
        bot.state is not None or quote.objection(draft.now, draft.limits.max_price_age_s) is None
    ):
        if bot.state is None or bot.events or bot.machine_wake.due(quote.lowest, quote.highest, draft.now):
            bot.machine_wake = _ask_machine(draft, bot, quote)
        _tend_unwind(draft, bot, quote)
        wake = bot.machine_wake.meet(_drawdown(draft, bot, quote))
    wake = wake.meet(_work(draft, bot, quote))
    _show(draft, bot)
    bot.wake = wake


def view_of(bot: BotDraft, quote: Quote, now: datetime) -> View:
    """Return what the machine may look at."""
    return View(
        now=now, started_at=bot.started_at or now, quote=quote, low=quote.lowest, high=quote.highest,
        instrument=bot.spec.instrument, inventory=bot.inventory, cost=bot.cost, fees_open=bot.fees_open,
    )  # fmt: skip


def _ask_machine(draft: Draft, bot: BotDraft, quote: Quote) -> Wake:
    machine, plan = bot.spec.machine, bot.spec.plan
    if bot.started_at is None:
        bot.started_at = draft.now
    view = view_of(bot, quote, draft.now)
    if bot.state is None:
        outcome = machine.begin(plan, view)
        draft.note(bot.spec.bot_id, "bot", "BEGIN", f"first price {quote.last}")
    else:
        outcome = machine.step(plan, bot.state, tuple(bot.events), view)
    bot.events.clear()
    bot.state = outcome.state
    _take_wants(bot, outcome)
    bot.touched.update(outcome.touched)
    for note in outcome.notes:
        draft.note(bot.spec.bot_id, note.subject, note.decision, note.reason)
    if outcome.unwind and (bot.unwind is None or bot.unwind.lot_id):  # all of it includes the one lot
        _start_unwind(draft, bot, outcome.unwind)
    return outcome.wake


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


def _start_unwind(draft: Draft, bot: BotDraft, reason: str) -> None:
    bot.unwind = Unwind(reason, draft.now, bot.episodes)
    bot.episodes += 1
    bot.dirty.update(bot.works)


def _tend_unwind(draft: Draft, bot: BotDraft, quote: Quote) -> None:
    unwind = bot.unwind
    if unwind is None:
        if bot.mode is Mode.FLATTENING:
            bot.mode, bot.mode_reason = Mode.HALTED, bot.mode_reason.replace("flattened", "halted after flatten", 1)
        return
    name = leg_id(Role.UNWIND, 0, unwind.episode)
    _drop_other_unwinds(bot, name)
    work = bot.works.get(name, NEW)
    held = bot.inventory
    if unwind.lot_id:
        lot = bot.lots.get(unwind.lot_id)
        held = max(lot.qty - _promised(bot, unwind), ZERO) * lot.side.sign if lot is not None else ZERO
    left = bot.spec.instrument.sellable(quote.last, abs(held))
    busy = work.order is not None or any(
        w.order is not None and _stands_in(w.order, unwind) for w in bot.works.values()
    )
    if left == ZERO and not busy:
        bot.drop(name)
        bot.unwind = None
        bot.dirty.discard(name)
        bot.restless.discard(name)
        draft.note(bot.spec.bot_id, "unwind", "DONE", f"{unwind.reason}: {abs(held)} left below the exchange's minimum")
        if bot.mode is Mode.FLATTENING:
            bot.mode, bot.mode_reason = Mode.HALTED, f"halted after flatten at {draft.now:%Y-%m-%d %H:%M:%S} UTC"
        bot.dirty.update(bot.works)
        return
    bot.put(name, wanted(work, _unwind_leg(bot, name, held, left + work.executed, quote, work)))
    bot.dirty.add(name)


def _drop_other_unwinds(bot: BotDraft, name: str) -> None:
    # An unwind that another one replaced must not go on: it would close what is bought after both are over.
    for other, work in list(bot.works.items()):
        if other[0] == Role.UNWIND.value and other != name and work.leg is not None:
            bot.put(other, wanted(work, None))
            bot.dirty.add(other)


def _promised(bot: BotDraft, unwind: Unwind) -> Decimal:
    # What the lot's own exit may still sell of it, or has sold though its trades are still to come.
    orders = [work.order for work in bot.works.values() if work.order is not None]
    return total(order.unbooked for order in orders if order.role is Role.EXIT and _stands_in(order, unwind))


def _stands_in(order: Order, unwind: Unwind) -> bool:
    # Whether an order may still change what there is to unwind; a trade still to come counts as much as a live order.
    return not unwind.lot_id or order.role is Role.UNWIND or order.leg_id[1:] == unwind.lot_id


def _unwind_leg(bot: BotDraft, name: str, held: Decimal, qty: Decimal, quote: Quote, work: Work) -> Leg:
    instrument = bot.spec.instrument
    side = Side.SELL if held > ZERO else Side.BUY
    # An empty book must not fill at any price: the cap doubles with every slice that did not fill.
    slip = min(bot.spec.slippage * 2 ** min(work.next_attempt, 6), Decimal("0.5"))
    cap = (
        instrument.floor_price(quote.bid * (ONE - slip))
        if side is Side.SELL
        else instrument.ceil_price(quote.ask * (ONE + slip))
    )
    return Leg(
        leg_id=name, venue=instrument.venue, symbol=instrument.symbol, side=side, role=Role.UNWIND, kind=Kind.MARKET,
        qty=qty, price=cap, reduce_only=instrument.swap,
    )  # fmt: skip


def _work(draft: Draft, bot: BotDraft, quote: Quote | None) -> Wake:
    wake = Wake()
    names = bot.dirty | bot.restless
    bot.restless = set()
    # Exits before entries: nothing that protects waits behind an entry gate.
    for name in sorted(names, key=lambda n: (n[0] == Role.ENTRY.value, n)):
        work = bot.works.get(name)
        if work is None:
            continue
        settled = _work_one(draft, bot, name, work, quote)
        bot.touched.add(_place_index(name))
        if settled is not None:
            bot.restless.add(name)
            wake = wake.meet(settled)
    bot.dirty.clear()
    return wake


def _work_one(draft: Draft, bot: BotDraft, name: str, work: Work, quote: Quote | None) -> Wake | None:
    """Carry out what the order layer proposes; None where the leg needs no further look, else what would wake it."""
    leg = work.leg
    if leg is not None and work.order is not None and not may_keep(bot, leg):
        proposal = propose(wanted(work, None), quote, bot.spec.instrument, draft.now, bot.spec.safe_spread)
    else:
        proposal = propose(work, quote, bot.spec.instrument, draft.now, bot.spec.safe_spread)
    match proposal:
        case Withdraw(reason=reason):
            assert work.order is not None  # noqa: S101  propose withdraws live orders alone
            _cancel(draft, bot, name, work, reason)
            return Wake()
        case Send() if leg is not None and quote is not None:
            return _try_to_place(draft, bot, name, work, leg, proposal, quote)
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
    draft: Draft, bot: BotDraft, name: str, work: Work, leg: Leg, send: Send, quote: Quote
) -> Wake | None:
    retry = Wake()
    reason = may_place(draft, bot, leg)
    if reason is None:
        verdict = check(
            leg, send, quote, _at_stake(draft, bot, leg), _caps(draft, bot), draft.now, swap=bot.spec.instrument.swap
        )
        if isinstance(verdict, Approved):
            _place(draft, bot, name, work, verdict)
            return Wake()
        reason = verdict.reason
        if verdict.passing:
            retry = Wake(deadline=draft.now)
    elif bot.cancelled_at == draft.now:
        retry = Wake(deadline=draft.now)
    if reason != work.reason:
        bot.put(name, _with_reason(work, reason))
        draft.note(bot.spec.bot_id, name, "DECLINED", reason)
    return retry


def _place(draft: Draft, bot: BotDraft, name: str, work: Work, approved: Approved) -> None:
    leg, send = approved.leg, approved.send
    order = Order(
        client_id=client_id(bot.spec.bot_id, bot.spec.token, name, work.next_attempt), venue=leg.venue, symbol=leg.symbol,
        bot_id=bot.spec.bot_id, leg_id=name, attempt=work.next_attempt, role=leg.role, side=leg.side, kind=leg.kind,
        price=send.price, qty=send.qty, filled_qty=ZERO, traded_qty=ZERO, status=Status.PENDING, exchange_id="", reason="",
        created_at=draft.now, updated_at=draft.now, post_only=send.post_only, reduce_only=leg.reduce_only,
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


def _caps(draft: Draft, bot: BotDraft) -> Caps:
    return Caps(
        max_open_orders=bot.spec.max_open_orders,
        max_position_size=bot.spec.max_position_size,
        max_exposure_quote=draft.limits.max_exposure_quote,
        max_price_age_s=draft.limits.max_price_age_s,
    )


def _at_stake(draft: Draft, bot: BotDraft, leg: Leg) -> Exposure:
    account = ZERO
    if not leg.role.reduces and draft.limits.max_exposure_quote is not None:
        others = sum((b.exposure for b in draft.bots.values() if b.bot_id != bot.spec.bot_id), ZERO)
        account = others + bot.exposure
    return Exposure(
        inventory=bot.inventory, live_entries=bot.live.entries, live_entry_qty=bot.live.entry_qty,
        live_exit_qty=bot.live.exit_qty, account_quote=account,
    )  # fmt: skip


def _drawdown(draft: Draft, bot: BotDraft, quote: Quote) -> Wake:
    """Trip on drawdown from the peak of the bot's equity; the peak moves in steps of a thousandth of capital.

    The steps bound how often a rising price wakes the bot; drawdown is understated by at most one of them.
    """
    most = bot.spec.max_drawdown
    if most is None:
        return Wake()
    value = exact_product(quote.last, bot.inventory)
    held = bot.cost if bot.inventory >= ZERO else -bot.cost
    equity = bot.spec.capital_quote + bot.realized + value - held - bot.fees + bot.funding
    step = bot.spec.capital_quote / 1000
    if bot.peak is None or equity >= bot.peak + step:
        bot.peak = equity
    trip = bot.peak * (ONE - most)
    if equity <= trip and bot.mode in {Mode.RUN, Mode.PAUSED}:
        bot.mode = Mode.TRIPPED
        bot.mode_reason = f"drawdown limit {most} from peak equity {bot.peak:.2f} reached; release to go on"
        draft.alarm("drawdown", bot.spec.bot_id, "bot", "critical", bot.mode_reason)
        bot.dirty.update(bot.works)
    if bot.inventory == ZERO:
        return Wake()
    instrument = bot.spec.instrument
    down = instrument.ceil_price(quote.last + ratio(trip - equity, bot.inventory))
    up = instrument.floor_price(quote.last + ratio(bot.peak + step - equity, bot.inventory))
    return Wake(low=min(down, up), high=max(down, up))


def _may_return(bot: BotDraft, name: str) -> bool:
    # A leg of its place's present cycle may be wanted again: its next order must not take an id that was used before.
    index = _place_index(name)
    if bot.state is None or index >= bot.spec.places:
        return False
    view = bot.spec.machine.place(bot.spec.plan, bot.state, index)
    return name in {view.entry, view.exit}


def _place_index(name: str) -> int:
    return int(name[1 : name.index("-")])


def _show(draft: Draft, bot: BotDraft) -> None:
    if bot.state is None:
        return
    for index in bot.touched:
        if index >= bot.spec.places:
            continue
        view = bot.spec.machine.place(bot.spec.plan, bot.state, index)
        entry, leave = bot.works.get(view.entry), bot.works.get(view.exit)
        state, reason = level_state(view.phase, entry, leave, view.reason)
        row = LevelRow(bot.spec.bot_id, view, state, reason)
        if bot.shown.get(index) != row:
            bot.shown[index] = row
            draft.levels[bot.spec.bot_id, index] = row
    bot.touched.clear()


def level_state(phase: str, entry: Work | None, leave: Work | None, reason: str) -> tuple[str, str]:
    """Name a level's state as users of grids know it, and say why its order is missing where it is."""
    if phase == "Holding":
        if _resting(leave):
            return "CLOSE_ORDER_PLACED", ""
        return "OPEN_ORDER_FILLED", _why(leave)
    if phase == "Entering":
        return ("OPEN_ORDER_PLACED", "") if _resting(entry) else ("NOT_ACTIVE", _why(entry))
    return "NOT_ACTIVE", reason


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
