"""What protects lots and gets them out: the stop price, each lot's stop loss, episodes of recovery, closings at the market.

Nothing here waits behind an entry gate. Order: stop price, stop losses, stuck lots, closings under way.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.machine import Alarm
from core.machines.rolling_grid import hedges
from core.machines.rolling_grid.draft import Draft, lot_name
from core.machines.rolling_grid.lots import STOP_LATE, STOP_LOSS, STUCK, shed
from core.machines.rolling_grid.state import (
    Closing,
    Entering,
    Flattening,
    Free,
    Holding,
    Laddered,
    Lot,
    Offered,
    Rung,
    Running,
    Stopped,
)
from core.stuck import (
    Episode,
    affordable,
    budget_left,
    is_beyond,
    lay_rungs,
    loss_at,
    within_budget,
)
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

STOP_PRICE = "STOP_PRICE"
_STOP_ALARM = "stop_price"
# A stop loss is to be over by then: half a minute from its decision, as its document demands.
STOP_TIME = timedelta(seconds=30)


def guard_price(draft: Draft) -> None:
    """Flatten once `stop_price` is passed, and stay stopped until the price is back and a person has released the bot."""
    config, phase = draft.plan.config, draft.phase
    if isinstance(phase, Running):
        if not _passed(draft):
            return
        reason = f"price passed stop_price {plain(config.stop_price or ZERO)}"
        draft.note("bot", STOP_PRICE, reason)
        draft.alarms.append(Alarm(_STOP_ALARM, "bot", "critical", f"{reason}: everything is closed until release"))
        draft.trip = f"{reason}; entries wait for control release"
        draft.phase = Flattening(STOP_PRICE, draft.now)
        hold_all(draft)
    held = _anything_held(draft)
    if isinstance(draft.phase, Flattening) and not held:
        draft.phase = Stopped(draft.phase.word, draft.now)
        draft.note("bot", "STOPPED", "nothing is held any more that an order could close")
        _forget_hedges(draft)
    elif isinstance(draft.phase, Stopped) and held:
        draft.phase = Flattening(draft.phase.word, draft.now)
        draft.note("bot", STOP_PRICE, "a late trade left something held; it is closed as well")
    elif isinstance(draft.phase, Stopped) and _is_back(draft):
        draft.phase = Running()
        draft.note("bot", "BACK", f"the price is back from stop_price {plain(config.stop_price or ZERO)}")
        draft.calm.append((_STOP_ALARM, "bot"))
    if isinstance(draft.phase, Flattening):
        draft.unwind = draft.phase.word


def guard_lots(draft: Draft) -> None:
    """Close every lot whose stop loss was passed; one that a hedge covers is the hedge's business."""
    worst = draft.prices.worst(draft.side)
    for index, lot in draft.lots():
        slot = draft.slots[index]
        if lot.stop is None or not (worst <= lot.stop if draft.side is Side.BUY else worst >= lot.stop):
            continue
        if isinstance(slot, Holding):
            if isinstance(slot.leaving, Closing) and slot.leaving.word == STOP_LOSS:
                continue
            if hedges.covers(draft, slot):
                continue
        if draft.sellable(lot) == ZERO:
            continue  # nothing that an order could close: it is dust, or will be worth closing at a better price
        reason = f"{plain(worst)} is past {plain(lot.stop.quantize(draft.plan.instrument.tick_size))}"
        draft.note(f"lot {lot_name(index, lot)}", STOP_LOSS, reason)
        close(draft, index, STOP_LOSS, lot.held)


def recover(draft: Draft) -> None:
    """Begin an episode for every lot that is stuck, and go on with those under way."""
    timeout = timedelta(minutes=draft.plan.config.position_timeout_minutes)
    for index, slot in enumerate(draft.slots):
        if not isinstance(slot, Holding) or draft.whole(slot.lot) <= ZERO:
            continue
        if isinstance(slot.leaving, Closing) and slot.leaving.word == STOP_LOSS:
            continue
        if slot.episode is None or slot.episode.outcome:
            old = draft.now >= slot.lot.since + timeout
            if old and slot.hedge is None and is_beyond(draft.prices.now, slot.lot.stuck, draft.side):
                _begin(draft, index, slot)
        else:
            _go_on(draft, index, slot, slot.episode)


def tend_closings(draft: Draft) -> None:
    """Keep the caps of closings at the market near the market; what no order could close any more is dust."""
    for index, slot in enumerate(draft.slots):
        if not isinstance(slot, Holding) or not isinstance(slot.leaving, Closing) or draft.whole(slot.lot) <= ZERO:
            continue
        leaving = slot.leaving
        if leaving.word == STOP_LOSS and draft.now >= leaving.since + STOP_TIME:
            name, held = f"lot {lot_name(index, slot.lot)}", plain(slot.lot.held)
            text = f"{held} are held {STOP_TIME.seconds} s after the stop loss fired; orders go out at {plain(leaving.cap)}"
            draft.alarms.append(Alarm(STOP_LATE, name, "critical", text))
        if draft.sellable(slot.lot, leaving.goal - leaving.sold) == ZERO:
            shed(draft, index, slot)
            continue
        cap = draft.cap(leaving.since)
        if cap != leaving.cap:
            draft.slots[index] = replace(slot, leaving=replace(leaving, cap=cap))


def close(draft: Draft, index: int, word: str, qty: Decimal) -> None:
    """Begin to close `qty` of a lot at the market; its other exits and its entry go first."""
    slot = _held(draft, index)
    if slot is None:
        return
    whole = draft.whole(slot.lot)
    part = min(draft.plan.instrument.floor_qty(qty), whole)
    if draft.sellable(slot.lot, whole - part) == ZERO:
        part = whole  # a rest that nobody takes would stay for ever
    if draft.sellable(slot.lot, part) == ZERO:
        shed(draft, index, slot)
        return
    if isinstance(slot.leaving, Closing):
        leaving = replace(slot.leaving, word=word, goal=slot.leaving.sold + part)
        draft.slots[index] = replace(slot, leaving=leaving)
        return
    number = slot.used + 1
    draft.slots[index] = replace(
        slot, used=number, leaving=Closing(number, word, draft.now, part, draft.cap(draft.now))
    )


def hold_all(draft: Draft) -> None:
    """Give up the entry under way; what it brought is held."""
    for index, slot in enumerate(draft.slots):
        if isinstance(slot, Entering):
            draft.slots[index] = held_or_free(draft, slot)


def held_or_free(draft: Draft, slot: Entering) -> Holding | Free:
    """What becomes of a place whose entry is given up: a lot that an order could close is held, less than that is dust."""
    lot = slot.lot
    if lot is None:
        return Free(slot.used, slot.dust, slot.dust_entry)
    if draft.plan.instrument.sellable(lot.target, lot.held) > ZERO:
        return Holding(slot.used, lot, Offered(slot.cycle, slot.sold))
    return Free(slot.used, lot.held, lot.entry if lot.held > ZERO else ZERO)


def _held(draft: Draft, index: int) -> Holding | None:
    slot = draft.slots[index]
    if isinstance(slot, Entering) and slot.lot is not None:
        slot = Holding(slot.used, slot.lot, Offered(slot.cycle, slot.sold))
        draft.slots[index] = slot
    return slot if isinstance(slot, Holding) else None


def _begin(draft: Draft, index: int, slot: Holding) -> None:
    config, lot, price = draft.plan.config, slot.lot, draft.prices.now
    name = lot_name(index, lot)
    episode = Episode(name, config.recovery_mode, draft.now, price, lot.entry, lot.held, anchored_at=draft.now)
    away = ratio(abs(price - lot.target), lot.target).quantize(Decimal("0.0001"))
    minutes = int((draft.now - lot.since).total_seconds() // 60)
    draft.note(
        f"lot {name}", "STUCK",
        f"{minutes} minutes old and {plain(away)} away from its exit {plain(lot.target)}: {config.recovery_mode}",
    )  # fmt: skip
    draft.slots[index] = replace(slot, episode=episode)
    match config.recovery_mode:
        case "aggressive":
            _realise(draft, index, "RECOVERY")
        case "ladder":
            _lay(draft, index)
        case "hedge":
            hedges.begin(draft, index)
        case "none":
            pass


def _go_on(draft: Draft, index: int, slot: Holding, episode: Episode) -> None:
    config = draft.plan.config
    if slot.hedge is not None and slot.hedge.wanted and _hedge_is_over(draft, index, slot, episode):
        return
    if not episode.escalated and draft.now >= episode.began_at + timedelta(minutes=config.recovery_escalation_minutes):
        _escalate(draft, index, slot, episode)
        return
    if draft.now < episode.anchored_at + timedelta(minutes=config.recovery_patience_minutes):
        return
    draft.slots[index] = replace(slot, episode=replace(episode, anchored_at=draft.now))
    if isinstance(slot.leaving, Closing):
        return
    if episode.mode == "aggressive" or episode.escalated == "market":
        _realise(draft, index, "RECOVERY")
    elif episode.mode == "ladder":
        _lay(draft, index)


def _escalate(draft: Draft, index: int, slot: Holding, episode: Episode) -> None:
    how = draft.plan.config.recovery_escalation
    subject = f"lot {episode.lot_id}"
    minutes = draft.plan.config.recovery_escalation_minutes
    detail = f"{plain(slot.lot.held)} are still stuck after {minutes} minutes of {episode.mode}: {how}"
    draft.note(subject, "ESCALATED", detail)
    draft.alarms.append(Alarm(STUCK, subject, "warning", detail))
    draft.slots[index] = replace(slot, episode=replace(episode, escalated=how))
    if how == "market" and not isinstance(slot.leaving, Closing):
        _realise(draft, index, "ESCALATED")
    if how == "hedge" and slot.hedge is None:
        hedges.begin(draft, index)


def _hedge_is_over(draft: Draft, index: int, slot: Holding, episode: Episode) -> bool:
    # The hedge has done its work once the price is within one profit target of the exit; too old, both sides go.
    hedge, lot, plan = slot.hedge, slot.lot, draft.plan
    assert hedge is not None  # noqa: S101  asked for hedged places alone
    edge = hedges.release_price(plan, lot)
    near = draft.prices.now >= edge if draft.side is Side.BUY else draft.prices.now <= edge
    if near:
        draft.note(f"lot {episode.lot_id}", "UNHEDGED", f"the price is back at {plain(draft.prices.now)}")
        over = episode.ended("unhedged", draft.now)
        if episode.escalated:
            draft.calm.append((STUCK, f"lot {episode.lot_id}"))
        draft.slots[index] = replace(slot, hedge=replace(hedge, wanted=False), episode=over)
        return True
    if draft.now >= hedge.since + timedelta(minutes=plan.config.hedge_max_age_minutes):
        draft.note(
            f"lot {episode.lot_id}", "HEDGE_AGED", "the hedge is too old: lot and hedge are closed at the market"
        )
        draft.slots[index] = replace(slot, hedge=replace(hedge, wanted=False))
        close(draft, index, "HEDGE_AGED", lot.held)
        return True
    return False


def _realise(draft: Draft, index: int, word: str) -> None:
    slot = draft.slots[index]
    assert isinstance(slot, Holding)  # noqa: S101  the callers looked
    whole, cap = draft.whole(slot.lot), draft.cap(draft.now)
    budget = _budget(draft, index)
    part = affordable(whole, loss_at(slot.lot.entry, cap, draft.side), budget, draft.plan.instrument.lot_step)
    if part < whole and draft.sellable(slot.lot, part) == ZERO:
        draft.note(f"lot {lot_name(index, slot.lot)}", "WAITS", f"the loss budget has {plain(budget or ZERO)} left")
        return
    if part < whole and draft.sellable(slot.lot, whole - part) == ZERO:
        return  # the rest would be too small for any order, and the budget does not pay for it
    close(draft, index, word, part)


def _lay(draft: Draft, index: int) -> None:
    slot, plan = draft.slots[index], draft.plan
    assert isinstance(slot, Holding)  # noqa: S101  the callers looked
    assert slot.episode is not None  # noqa: S101  rungs are laid in an episode alone
    lot, rules = slot.lot, plan.instrument
    wished = lay_rungs(rules, draft.side, lot.held, draft.prices.now, lot.target, plan.config.recovery_rungs)
    rungs = within_budget(wished, lot.entry, draft.side, lot.target, _budget(draft, index), rules)
    if not rungs or (len(rungs) == 1 and rungs[0][0] == lot.target):
        draft.note(
            f"lot {lot_name(index, lot)}", "WAITS", "no rung short of its exit can be laid; it stays offered there"
        )
        return
    if isinstance(slot.leaving, Laddered) and not _nearer(slot.leaving, rungs[0][0], draft.side):
        return
    laid = tuple(Rung(slot.used + 1 + i, price, qty) for i, (price, qty) in enumerate(rungs))
    draft.slots[index] = replace(
        slot, used=slot.used + len(laid), leaving=Laddered(laid), episode=replace(slot.episode, rungs=rungs)
    )
    draft.note(
        f"lot {lot_name(index, lot)}", "RUNGS", ", ".join(f"{plain(qty)} at {plain(price)}" for price, qty in rungs)
    )


def _nearer(leaving: Laddered, price: Decimal, side: Side) -> bool:
    # Rungs move towards the market alone: a ladder that flees a rising price would never be reached.
    live = [rung.price for rung in leaving.rungs if rung.sold < rung.qty]
    if not live:
        return True
    return price < min(live) if side is Side.BUY else price > max(live)


def _budget(draft: Draft, index: int) -> Decimal | None:
    # What other lots' rungs and closings may still lose is set aside.
    view, share = draft.view, draft.plan.config.recovery_loss_budget
    left = budget_left(share, view.realized - view.fees + view.funding, draft.spent)
    if left is None:
        return None
    for other, slot in enumerate(draft.slots):
        if other != index and isinstance(slot, Holding) and slot.episode is not None and not slot.episode.outcome:
            left -= _may_lose(slot, slot.lot, draft.side)
    return max(left, ZERO)


def _may_lose(slot: Holding, lot: Lot, side: Side) -> Decimal:
    match slot.leaving:
        case Offered():
            return ZERO
        case Laddered(rungs=rungs):
            return sum((exact_product(loss_at(lot.entry, r.price, side), r.left) for r in rungs), ZERO)
        case Closing(word=word, goal=goal, sold=sold, cap=cap):
            return ZERO if word == STOP_LOSS else exact_product(loss_at(lot.entry, cap, side), goal - sold)


def _passed(draft: Draft) -> bool:
    stop = draft.plan.config.stop_price
    if stop is None:
        return False
    return draft.prices.low <= stop if draft.plan.stops_below else draft.prices.high >= stop


def _is_back(draft: Draft) -> bool:
    config, now = draft.plan.config, draft.prices.now
    if config.stop_price is None:
        return True
    if draft.plan.stops_below:
        return now >= exact_product(config.stop_price, ONE + config.pause_hysteresis)
    return now <= exact_product(config.stop_price, ONE - config.pause_hysteresis)


def _anything_held(draft: Draft) -> bool:
    view, plan = draft.view, draft.plan
    if plan.instrument.sellable(view.quote.last, abs(view.inventory)) > ZERO:
        return True
    if plan.hedge is None:
        return False
    beside = view.beside.get(plan.hedge.market)
    if beside is None or beside.inventory == ZERO:
        return False
    return beside.quote is None or plan.hedge.sellable(beside.quote.last, abs(beside.inventory)) > ZERO


def _forget_hedges(draft: Draft) -> None:
    for index, slot in enumerate(draft.slots):
        if isinstance(slot, Holding) and slot.hedge is not None:
            draft.slots[index] = replace(slot, hedge=None)
    for index, slot in enumerate(draft.slots):
        if isinstance(slot, Holding):
            hedges.settled(draft, index)
