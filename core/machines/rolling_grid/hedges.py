"""Hedges of stuck lots: a position in a second instrument that follows what the lot still holds and never exceeds it.

A hedge is two target legs (RULES 9c): what shall ever have been opened, what shall ever have been closed. It takes the
book, capped. What would be below the exchange's minimum is carried until it is worth an order.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.machine import Alarm, LegFilled
from core.machines.rolling_grid.config import RollingGridPlan
from core.machines.rolling_grid.draft import Draft, lot_name
from core.machines.rolling_grid.lots import lot_at, settle
from core.machines.rolling_grid.state import Entering, Free, Hedge, Holding, Lot, Offered
from core.market import Instrument, Quote
from core.values import ONE, ZERO, Side, exact_product, plain

LATE = "hedge_late"
# A hedge that does not stand by then is an incident.
DEADLINE = timedelta(seconds=30)


def begin(draft: Draft, index: int) -> None:
    """Open a hedge of what a lot holds."""
    slot, rules = draft.slots[index], draft.plan.hedge
    assert isinstance(slot, Holding)  # noqa: S101  the callers looked
    if rules is None or slot.hedge is not None:
        return
    quote = _quote(draft)
    goal = rules.floor_qty(slot.lot.held)
    name = f"lot {lot_name(index, slot.lot)}"
    if quote is not None and rules.sellable(quote.last, goal) == ZERO:
        draft.note(name, "WAITS", f"a hedge of {plain(goal)} is below the minimum of {rules.symbol}")
        return
    hedge = Hedge(slot.used + 1, slot.used + 2, draft.now, goal, *_caps(draft, quote, rules))
    draft.slots[index] = replace(slot, used=slot.used + 2, hedge=hedge)
    draft.note(name, "HEDGE", f"{draft.side.opposite.value} {plain(goal)} {rules.symbol}")


def tend(draft: Draft) -> None:
    """Let every hedge follow its lot; one that is over and flat is forgotten."""
    if draft.plan.hedge is None:
        return
    for index, slot in enumerate(draft.slots):
        if isinstance(slot, Holding) and slot.hedge is not None:
            after = _followed(draft, index, slot, slot.hedge, draft.plan.hedge)
            if after != slot.hedge:
                draft.slots[index] = replace(slot, hedge=after)
            if after is None:
                settled(draft, index)


def settled(draft: Draft, index: int) -> None:
    """Free a place that stood for its hedge alone."""
    settle(draft, index)


def traded(draft: Draft, index: int, cycle: int, event: LegFilled) -> None:
    """Take in a fill of a hedge's leg; one of a hedge that was thought over makes it stand again, to be closed."""
    slot = draft.slots[index]
    opens = event.side is not draft.side
    if isinstance(slot, Holding) and slot.hedge is not None:
        hedge = slot.hedge
        more = {"opened": hedge.opened + event.qty} if opens else {"closed": hedge.closed + event.qty}
        draft.slots[index] = replace(slot, hedge=replace(hedge, **more))
        return
    if not opens:
        return
    used = max(slot.used, cycle) + 2
    hedge = Hedge(used - 1, used, event.ts, ZERO, ZERO, ZERO, opened=event.qty, wanted=False)
    match slot:
        case Holding():
            draft.slots[index] = replace(slot, used=used, hedge=hedge)
        case Free(dust=dust, entry=entry, last=last):
            lot = lot_at(draft.plan, cycle, dust, entry if dust > ZERO else draft.view.quote.last, event.ts)
            draft.slots[index] = Holding(used, lot, Offered(used), hedge, last)
        case Entering():
            # Its place is taken by an entry; another hedge's close takes it along, or an unwind.
            draft.alarms.append(Alarm(LATE, f"place {index}", "critical", f"a late hedge fill of {plain(event.qty)}"))


def cut(draft: Draft, index: int, qty: Decimal) -> None:
    """Take in that others closed some of the hedges' position: of this place's first, then of the others'."""
    order = [index, *(i for i in range(len(draft.slots)) if i != index)]
    for place in order:
        slot = draft.slots[place]
        if qty > ZERO and isinstance(slot, Holding) and slot.hedge is not None:
            part = min(qty, max(slot.hedge.net, ZERO))
            draft.slots[place] = replace(slot, hedge=replace(slot.hedge, cut=slot.hedge.cut + part))
            qty -= part


def covers(draft: Draft, slot: Holding) -> bool:
    """Whether a wanted hedge stands against all that a lot holds, up to its own lot step."""
    hedge, rules = slot.hedge, draft.plan.hedge
    return (
        hedge is not None and rules is not None and hedge.wanted and hedge.net >= rules.floor_qty(slot.lot.held) > ZERO
    )


def release_price(plan: RollingGridPlan, lot: Lot) -> Decimal:
    """Return the price at which a hedge has done its work: one profit target before the lot's exit."""
    return exact_product(lot.target, ONE - plan.take_profit if plan.side is Side.BUY else ONE + plan.take_profit)


def busy(plan: RollingGridPlan, slot: Holding) -> bool:
    """Whether a hedge is not where it shall be and can be looked after."""
    hedge, rules = slot.hedge, plan.hedge
    if hedge is None or rules is None:
        return False
    return hedge.net != _target(hedge, rules.floor_qty(slot.lot.held))


def _target(hedge: Hedge, held: Decimal) -> Decimal:
    return min(held, hedge.goal - hedge.closed - hedge.cut) if hedge.wanted else ZERO


def _followed(draft: Draft, index: int, slot: Holding, hedge: Hedge, rules: Instrument) -> Hedge | None:
    held = rules.floor_qty(slot.lot.held)
    if hedge.wanted:
        # What is held shrinks: nothing more is opened than that.
        hedge = replace(hedge, goal=max(hedge.opened, min(hedge.goal, held + hedge.closed + hedge.cut)))
    target = _target(hedge, held)
    quote = _quote(draft)
    price = quote.last if quote is not None else None
    excess = hedge.net - target
    if excess > ZERO:
        # A rest that no order could close goes together with the excess.
        if price is not None and target > ZERO and rules.sellable(price, target) == ZERO:
            excess = hedge.net
        if price is None or rules.sellable(price, excess) > ZERO:
            hedge = replace(hedge, asked=max(hedge.asked, hedge.closed + excess))
    if hedge.net != target and quote is not None:
        cap_open, cap_close = _caps(draft, quote, rules)
        hedge = replace(hedge, cap_open=cap_open, cap_close=cap_close)
    subject = f"lot {lot_name(index, slot.lot)}"
    if hedge.wanted and hedge.net < target and draft.now >= hedge.since + DEADLINE:
        draft.alarms.append(
            Alarm(LATE, subject, "critical", f"{plain(hedge.net)} of {plain(target)} hedged after {DEADLINE.seconds} s")
        )
    elif hedge.net >= target and draft.now >= hedge.since + DEADLINE:
        draft.calm.append((LATE, subject))
    if not hedge.wanted and (hedge.net <= ZERO or (price is not None and rules.sellable(price, hedge.net) == ZERO)):
        if hedge.net > ZERO:
            draft.note(subject, "DUST", f"{plain(hedge.net)} of the hedge are below the minimum of {rules.symbol}")
        return None
    return hedge


def _caps(draft: Draft, quote: Quote | None, rules: Instrument) -> tuple[Decimal, Decimal]:
    """Return the worst prices at which a hedge may open and close now: the book's, with the bot's slippage."""
    if quote is None:
        return ZERO, ZERO
    slip = draft.plan.slippage
    sell = rules.floor_price(exact_product(quote.bid, ONE - slip))
    buy = rules.ceil_price(exact_product(quote.ask, ONE + slip))
    return (sell, buy) if draft.side is Side.BUY else (buy, sell)


def _quote(draft: Draft) -> Quote | None:
    rules = draft.plan.hedge
    beside = None if rules is None else draft.view.beside.get(rules.market)
    return None if beside is None else beside.quote
