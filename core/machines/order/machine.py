"""The order executor. Rule: it chooses one price, and moves it only as LIMIT_CHASER.

    enters ──executed──> over, and what it bought or sold is held (POSITION_HOLD)

A renewed order is a new price for the same leg: the order layer places it after the old one's cancel is confirmed and
takes off what that had executed, so that no more than `amount` is ever executed.
"""

from decimal import Decimal

from core.executors import executor
from core.executors.draft import Draft, end, touch_of
from core.executors.entries import rest, take
from core.executors.executor import adopt, head, place, prices, restore, wants
from core.executors.life import CloseType
from core.executors.plan import Plan
from core.executors.state import ExecutorState, Over, Working
from core.machine import MachineEvent, Outcome, View, Wake
from core.values import ONE, ZERO, Side, plain, ratio

__all__ = ["adopt", "begin", "head", "place", "prices", "restore", "step", "wants"]


def begin(plan: Plan, view: View) -> Outcome:
    """Start at the first price."""
    return executor.begin(plan, view, choose)


def step(plan: Plan, state: ExecutorState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer events, prices and the clock."""
    return executor.step(plan, state, events, view, choose)


def choose(draft: Draft) -> Wake:
    """Say at which price the order rests, or that it is taken from the book; end once it is executed."""
    plan = draft.plan
    price, qty = plan.entries[0]
    if plan.market:
        wake = take(draft, 0, qty)
    elif plan.config.execution_strategy == "LIMIT_CHASER":
        wake = _chase(draft, qty)
    else:
        wake = rest(draft, 0, qty, price)
    slot = draft.slots[0]
    if isinstance(slot, Over):
        said = f"{plain(slot.done)} {plan.instrument.base} for {plain(slot.spent)} {plan.instrument.quote}"
        end(draft, CloseType.POSITION_HOLD, said)
        return Wake()
    return wake


def _chase(draft: Draft, qty: Decimal) -> Wake:
    plan, slot = draft.plan, draft.slots[0]
    chaser, buys, touch = plan.config.chaser_config, plan.side is Side.BUY, touch_of(plan, draft.view)
    if isinstance(slot, Over):
        return Wake()
    if isinstance(slot, Working):
        left = slot.qty - slot.done
        if slot.done > ZERO and plan.instrument.sellable(touch, left) <= ZERO:
            # Renewed, it would be below the exchange's minimum: no order could ever fill it.
            draft.slots[0] = Over("FILLED", slot.done, slot.spent)
            return Wake()
        away = (touch - slot.price if buys else slot.price - touch) > touch * chaser.refresh_threshold
        if not away:
            return _until_away(slot.price, chaser.refresh_threshold, buys=buys)
    raw = touch * (ONE - chaser.distance if buys else ONE + chaser.distance)
    price = plan.instrument.floor_price(raw) if buys else plan.instrument.ceil_price(raw)
    rest(draft, 0, qty, price)
    return _until_away(price, chaser.refresh_threshold, buys=buys)


def _until_away(price: Decimal, threshold: Decimal, *, buys: bool) -> Wake:
    # Solves |touch - price| = touch x threshold for the touch that runs away from the order.
    return Wake(high=ratio(price, ONE - threshold)) if buys else Wake(low=ratio(price, ONE + threshold))
