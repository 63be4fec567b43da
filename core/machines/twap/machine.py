"""The TWAP executor. Rule: slice i is due at start + i x order_interval, and each gets an equal share of what is left.

    waits ──due──> works ──executed, refused for good, or missed──> over

A slice that failed or was missed while nothing ran costs nothing but itself: its share is spread over those to come. Of
several that are overdue only the newest is sent, so that time away never makes one large order out of many small ones.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.executors import executor
from core.executors.draft import Draft, end
from core.executors.entries import take
from core.executors.executor import adopt, head, place, prices, restore, wants
from core.executors.life import CloseType
from core.executors.plan import Plan
from core.executors.state import ExecutorState, Idle, Over, Working
from core.facts import Refusal
from core.machine import Alarm, LegRefused, MachineEvent, Outcome, View, Wake
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

__all__ = ["adopt", "begin", "head", "place", "prices", "restore", "step", "wants"]

UNEXECUTED_ALARM = "twap_unexecuted"


def begin(plan: Plan, view: View) -> Outcome:
    """Start at the first price."""
    return executor.begin(plan, view, choose)


def step(plan: Plan, state: ExecutorState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer events, prices and the clock."""
    return executor.step(plan, state, events, view, choose)


def choose(draft: Draft) -> Wake:
    """Send the slice that is due, move or give up those that rest, and end once none is to come."""
    for refused in draft.refused:
        _fail(draft, refused)
    plan, now = draft.plan, draft.view.now
    start = plan.begins_at(draft.view.started_at)
    due = [i for i in range(len(draft.slots)) if now >= _due_at(plan, start, i)]
    _send(draft, [i for i in due if isinstance(draft.slots[i], Idle)])
    over_at = _due_at(plan, start, len(draft.slots))
    if now >= over_at:
        draft.slots = [_given_up(slot) for slot in draft.slots]
    wake = _tend(draft)
    if all(isinstance(slot, Over) for slot in draft.slots):
        _end(draft)
        return Wake()
    return wake.meet(Wake(deadline=_due_at(plan, start, len(due))))


def _due_at(plan: Plan, start: datetime, index: int) -> datetime:
    return start + timedelta(seconds=index * plan.config.order_interval)


def _fail(draft: Draft, refused: LegRefused) -> None:
    index = int(refused.leg_id[1:].partition("-")[0])
    slot = draft.slots[index]
    final = refused.kind in {Refusal.FUNDS, Refusal.FILTER} or refused.times > draft.plan.max_retries
    if isinstance(slot, Working) and final and refused.kind not in {Refusal.POST_ONLY, Refusal.RATE, Refusal.CLOSED}:
        draft.slots[index] = Over(f"FAILED {refused.kind.value}", slot.done, slot.spent)


def _send(draft: Draft, due: list[int]) -> None:
    if not due or draft.view.held_back:
        return  # what control holds back now would go out all at once later
    for index in due[:-1]:
        draft.slots[index] = Over("MISSED")
    index = due[-1]
    later = sum(1 for slot in draft.slots if isinstance(slot, Idle))
    qty = draft.plan.instrument.floor_qty(ratio(_open_quote(draft), _price(draft) * later))
    if draft.plan.instrument.sellable(_price(draft), qty) <= ZERO:
        draft.slots[index] = Over("BELOW_MINIMUM")
    elif draft.plan.market:
        take(draft, index, qty)
    else:
        draft.slots[index] = Working(qty, _price(draft), draft.view.now)


def _open_quote(draft: Draft) -> Decimal:
    # What is neither executed nor on its way: unfinished slices count at their prices.
    waiting = [slot for slot in draft.slots if isinstance(slot, Working)]
    promised = sum((exact_product(slot.price, slot.qty - slot.done) for slot in waiting), ZERO)
    return max(draft.plan.config.total_amount_quote - draft.spent - promised, ZERO)


def _price(draft: Draft) -> Decimal:
    """Where a slice sent now is priced: the touch that it takes, or the buffer from the mid price."""
    plan, quote = draft.plan, draft.view.quote
    buys = plan.side is Side.BUY
    if plan.market:
        return quote.ask if buys else quote.bid
    raw = quote.mid * (ONE - plan.config.limit_order_buffer if buys else ONE + plan.config.limit_order_buffer)
    return plan.instrument.floor_price(raw) if buys else plan.instrument.ceil_price(raw)


def _tend(draft: Draft) -> Wake:
    wake, again_s = Wake(), draft.plan.config.order_resubmission_time
    for index, slot in enumerate(draft.slots):
        if not isinstance(slot, Working):
            continue
        if draft.plan.market:
            wake = wake.meet(take(draft, index, slot.qty))
        elif again_s is not None:
            renew_at = slot.since + timedelta(seconds=again_s)
            if draft.view.now >= renew_at:
                draft.slots[index] = replace(slot, price=_price(draft), since=draft.view.now)
                renew_at = draft.view.now + timedelta(seconds=again_s)
            wake = wake.meet(Wake(deadline=renew_at))
    return wake


def _given_up(slot: Idle | Working | Over) -> Over:
    match slot:
        case Idle():
            return Over("MISSED")
        case Working(done=done, spent=spent):
            return Over("UNEXECUTED", done, spent)
        case Over():
            return slot


def _end(draft: Draft) -> None:
    plan = draft.plan
    missing = [slot.word for slot in draft.slots if isinstance(slot, Over) and slot.word != "FILLED"]
    said = f"{plain(draft.done)} {plan.instrument.base} for {plain(draft.spent)} {plan.instrument.quote}"
    if not missing:
        end(draft, CloseType.COMPLETED, said)
        return
    left = plan.config.total_amount_quote - draft.spent
    detail = f"{said}; {plain(left)} not executed, slices: {', '.join(sorted(set(missing)))}"
    draft.alarms.append(Alarm(UNEXECUTED_ALARM, "executor", "warning", detail))
    if draft.done <= ZERO:
        short = all(word == f"FAILED {Refusal.FUNDS.value}" for word in missing)
        end(draft, CloseType.INSUFFICIENT_BALANCE if short else CloseType.FAILED, detail)
    else:
        end(draft, CloseType.EXPIRED if "UNEXECUTED" in missing else CloseType.COMPLETED, detail)
