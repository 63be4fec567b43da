"""The DCA executor. Rule: levels enter strictly in the order of the list; all that leaves, leaves on their average.

level 0 enters ──> level 1 enters ──> ...        stop, trailing stop and target hold from the first fill on
"""

from core.executors import executor
from core.executors.draft import Draft
from core.executors.entries import rest, side_of, take
from core.executors.executor import adopt, head, place, prices, restore, wants
from core.executors.plan import Plan
from core.executors.state import ExecutorState, Idle, Over
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
    """Say which levels are wanted: each once the one before it is, and it is near enough."""
    return _take_in_order(draft) if draft.plan.market else _rest_in_order(draft)


def _rest_in_order(draft: Draft) -> Wake:
    wake = Wake()
    for index, (price, qty) in enumerate(draft.plan.entries):
        if not isinstance(draft.slots[index], Idle):
            continue  # placed once, it stays where it is
        wake = wake.meet(rest(draft, index, qty, price, draft.plan.config.bound))
        if isinstance(draft.slots[index], Idle):
            break
    return wake


def _take_in_order(draft: Draft) -> Wake:
    mid, buys = draft.view.quote.mid, draft.plan.side is Side.BUY
    for index, (price, qty) in enumerate(draft.plan.entries):
        slot = draft.slots[index]
        if isinstance(slot, Over):
            continue
        edge = price * (ONE + draft.plan.config.bound if buys else ONE - draft.plan.config.bound)
        if isinstance(slot, Idle) and (mid > edge if buys else mid < edge):
            draft.slots[index] = Idle(f"waits for {plain(edge)}")
            return side_of(edge, mid)
        wake = take(draft, index, qty)
        if not isinstance(draft.slots[index], Over):
            return wake
    return Wake()
