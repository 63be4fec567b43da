"""The position executor. Rule: only the choice of its one entry is its own; all else is every executor's.

waits ──within its bounds──> enters ──first fill──> has its barriers ──one fires, or the exit sold all──> over
"""

from core.executors import executor
from core.executors.draft import Draft, touch_of
from core.executors.entries import rest, side_of, take
from core.executors.executor import adopt, head, place, prices, restore, wants
from core.executors.plan import Plan
from core.executors.state import ExecutorState, Idle, Working
from core.machine import MachineEvent, Outcome, View, Wake
from core.values import ONE, Side, plain

__all__ = ["adopt", "begin", "head", "place", "prices", "restore", "step", "wants"]


def begin(plan: Plan, view: View) -> Outcome:
    """Start at the first price."""
    return executor.begin(plan, view, choose)


def step(plan: Plan, state: ExecutorState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer events, prices and the clock."""
    return executor.step(plan, state, events, view, choose)


def choose(draft: Draft) -> Wake:
    """Say whether the entry is wanted: a limit while it is within its bounds, a market order once it has been."""
    plan, slot = draft.plan, draft.slots[0]
    price, qty = plan.entries[0]
    if not plan.market:
        if isinstance(slot, Working):
            price = slot.price
        bounds = plan.config.bounds
        return rest(draft, 0, qty, price or touch_of(plan, draft.view), None if bounds is None else bounds[0])
    if isinstance(slot, Idle) and plan.config.bounds is not None:
        wake = _outside(draft)
        if wake is not None:
            return wake
    return take(draft, 0, qty)


def _outside(draft: Draft) -> Wake | None:
    """What would bring the mid price into the bounds of a market entry; None where it is there."""
    (price, _), (near, far), mid = draft.plan.entries[0], draft.plan.config.bounds, draft.view.quote.mid
    below, above = (near, far) if draft.plan.side is Side.BUY else (far, near)
    low, high = price * (ONE - below), price * (ONE + above)
    if low <= mid <= high:
        return None
    draft.slots[0] = Idle(f"waits for a price between {plain(low)} and {plain(high)}")
    return side_of(low, mid).meet(side_of(high, mid))
