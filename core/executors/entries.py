"""How a slot's entry is worked: at the market under a cap, or resting at a price, inside its activation bounds or not."""

from dataclasses import replace
from decimal import Decimal

from core.executors.draft import Draft, cap_of
from core.executors.state import Idle, Over, Working
from core.machine import Wake
from core.values import ONE, ZERO, Side, plain, ratio


def take(draft: Draft, index: int, qty: Decimal) -> Wake:
    """Take `qty` from the book under the cap; the cap follows the book only once the book has left it.

    What is left of it below the exchange's minimum is given up: no order could ever fill it.
    """
    plan, view, slot = draft.plan, draft.view, draft.slots[index]
    if isinstance(slot, Idle):
        slot = Working(qty, cap_of(plan, view), view.now)
    if not isinstance(slot, Working):
        return Wake()
    buys = plan.side is Side.BUY
    if (view.quote.ask > slot.price) if buys else (view.quote.bid < slot.price):
        slot = replace(slot, price=cap_of(plan, view), since=view.now)
    if slot.done > ZERO and _is_dust(draft, slot):
        draft.slots[index] = Over("FILLED", slot.done, slot.spent)
        return Wake()
    draft.slots[index] = slot
    return Wake(high=slot.price) if buys else Wake(low=slot.price)


def rest(draft: Draft, index: int, qty: Decimal, price: Decimal, bound: Decimal | None = None) -> Wake:
    """Let `qty` rest at `price` while it lies within `bound` (a fraction of the mid price) of the market."""
    view, slot = draft.view, draft.slots[index]
    if isinstance(slot, Over):
        return Wake()
    near, wake = (True, Wake()) if bound is None else within(draft, price, bound)
    reason = "" if near else f"{plain(price)} is more than {plain(bound or ZERO)} from the price"
    if isinstance(slot, Idle):
        draft.slots[index] = Working(qty, price, view.now, reason=reason) if near else Idle(reason)
    elif slot.wanted is not near or slot.price != price:
        since = slot.since if slot.price == price else view.now
        draft.slots[index] = replace(slot, price=price, since=since, wanted=near, reason=reason)
    return wake


def within(draft: Draft, price: Decimal, bound: Decimal) -> tuple[bool, Wake]:
    """Whether the mid price has come within `bound` of a price from its far side, and what would change the answer.

    A purchase is near once price >= mid (1 - bound), a sale once price <= mid (1 + bound).
    """
    mid = draft.view.quote.mid
    if draft.plan.side is Side.BUY:
        edge = ratio(price, ONE - bound)
        return mid <= edge, side_of(edge, mid)
    edge = ratio(price, ONE + bound)
    return mid >= edge, side_of(edge, mid)


def side_of(edge: Decimal, mid: Decimal) -> Wake:
    """Return the band that ends at `edge`; bid and ask lie around the mid price, so it is never too wide."""
    return Wake(low=edge) if mid > edge else Wake(high=edge)


def _is_dust(draft: Draft, slot: Working) -> bool:
    left = slot.qty - slot.done
    return draft.plan.instrument.sellable(draft.view.quote.last, left) <= ZERO
