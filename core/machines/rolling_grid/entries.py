"""The one entry under way, and what may keep the next one back: the only part of the machine that stands behind gates.

The gates in their order: stopped, held back by control, paused by the price, no free place, the limits, the cooldown,
the grid step. The cooldown grows with the share of places that hold something; it is over at once when a lot has left
since the last entry. The grid step asks that a new lot's exit lies so far before the nearest one that is offered.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.machine import Wake
from core.machines.rolling_grid.config import RollingGridPlan
from core.machines.rolling_grid.draft import Draft
from core.machines.rolling_grid.lots import log_open
from core.machines.rolling_grid.recovery import held_or_free, hold_all
from core.machines.rolling_grid.state import Closing, Entering, Free, Holding, Laddered, Running
from core.market import Quote
from core.values import ONE, ZERO, Side, exact_product, plain, ratio


def tend_pause(draft: Draft) -> None:
    """Stop entering beyond `pause_price`, and enter again once the price has come back by the hysteresis."""
    config, phase, now = draft.plan.config, draft.phase, draft.prices.now
    if config.pause_price is None or not isinstance(phase, Running):
        return
    beyond, back = _pause_edges(draft.plan)
    long = draft.side is Side.BUY
    if not phase.paused and (now >= beyond if long else now <= beyond):
        draft.phase = Running(paused=True)
        draft.note("bot", "PAUSE_PRICE", f"price {plain(now)} is beyond {plain(beyond)}: nothing is entered")
        hold_all(draft)
    elif phase.paused and (now <= back if long else now >= back):
        draft.phase = Running()
        draft.note("bot", "PAUSE_OVER", f"price {plain(now)} is back from {plain(beyond)}")


def tend_entry(draft: Draft) -> Wake:
    """Look after the entry under way, or start the next one; returns what would change either."""
    wake = _pause_wake(draft)
    for index, slot in enumerate(draft.slots):
        if isinstance(slot, Entering):
            entry_wake = _follow(draft, index, slot)
            if entry_wake is not None:
                return wake.meet(entry_wake)
    reason, gate_wake = _gates(draft)
    draft.why_not = reason
    if reason:
        return wake.meet(gate_wake)
    return wake.meet(_start(draft))


def entry_price(plan: RollingGridPlan, quote: Quote) -> Decimal:
    """Return where an entry rests: `post_only_ticks` behind the other side of the book."""
    away = plan.config.post_only_ticks * plan.instrument.tick_size
    if plan.side is Side.BUY:
        return plan.instrument.floor_price(quote.ask) - away
    return plan.instrument.ceil_price(quote.bid) + away


def cooldown_s(wait_time: float, lots: int, most: int) -> float:
    """Return seconds between entries: from two thirds of the places on twice `wait_time`, from one third on once, from one
    sixth on half of it, below that a quarter.
    """
    if 3 * lots >= 2 * most:
        return 2 * wait_time
    if 3 * lots >= most:
        return wait_time
    return wait_time / 2 if 6 * lots >= most else wait_time / 4


def _start(draft: Draft) -> Wake:
    price = entry_price(draft.plan, draft.view.quote)
    if price <= ZERO:
        draft.why_not = "the price is too low for an entry"
        return Wake(deadline=draft.now)
    index = next(i for i, slot in enumerate(draft.slots) if isinstance(slot, Free))
    free = draft.slots[index]
    assert isinstance(free, Free)  # noqa: S101  chosen so
    number = free.used + 1
    slot = Entering(number, number, price, draft.plan.config.quantity, draft.now, dust=free.dust, dust_entry=free.entry)
    draft.slots[index] = slot
    draft.opened_at, draft.freed = draft.now, False
    return _quote_wake(draft, slot)


def _follow(draft: Draft, index: int, slot: Entering) -> Wake | None:
    """Move an entry that the price has left behind; None where it was given up."""
    if draft.view.held_back:
        return Wake()  # whatever control lets rest stays where it is; a word of control is told at once
    config = draft.plan.config
    fresh = entry_price(draft.plan, draft.view.quote)
    behind = fresh > slot.price if draft.side is Side.BUY else fresh < slot.price
    if not behind:
        return _quote_wake(draft, slot)
    due = slot.quoted_at + timedelta(seconds=config.requote_after)
    if draft.now < due:
        return Wake(deadline=due)
    lot = slot.lot
    part = lot is not None and draft.plan.instrument.sellable(lot.target, lot.held) > ZERO
    if not part and slot.requotes < config.requotes:
        moved = replace(slot, price=fresh, quoted_at=draft.now, requotes=slot.requotes + 1)
        draft.slots[index] = moved
        return _quote_wake(draft, moved)
    after = held_or_free(draft, slot)
    draft.slots[index] = after
    draft.opened_at = draft.now
    what = f"keeps the {plain(slot.bought)} that were filled" if part else "the price ran away from it"
    draft.note(f"entry {index}-{slot.cycle}", "GIVEN_UP", f"{what}, after {slot.requotes} new prices")
    if isinstance(after, Holding):
        log_open(draft, index, after.lot)
    return None


def _quote_wake(draft: Draft, slot: Entering) -> Wake:
    # The next price of the book at which it is left behind by a tick.
    tick = draft.plan.instrument.tick_size
    away = (draft.plan.config.post_only_ticks + 1) * tick
    return Wake(high=slot.price + away) if draft.side is Side.BUY else Wake(low=slot.price - away)


def _gates(draft: Draft) -> tuple[str, Wake]:
    """Say what keeps the next entry back, and what would change that; empty where nothing does."""
    config, phase = draft.plan.config, draft.phase
    if not isinstance(phase, Running):
        return f"stopped by stop_price {plain(config.stop_price or ZERO)}", Wake()
    if draft.view.held_back:
        return draft.view.held_back, Wake()
    if phase.paused:
        return f"paused by pause_price {plain(config.pause_price or ZERO)}", Wake()
    busy = sum(1 for slot in draft.slots if not isinstance(slot, Free))
    if busy >= config.max_orders:
        return f"max_orders {config.max_orders} is reached", Wake()
    if config.max_position_size is not None and abs(draft.view.inventory) + config.quantity > config.max_position_size:
        return f"max_position_size {plain(config.max_position_size)} would be passed", Wake()
    reason, margin_wake = _worth(draft)
    if reason:
        return reason, margin_wake
    if draft.opened_at is not None and not draft.freed:
        due = draft.opened_at + timedelta(seconds=cooldown_s(config.wait_time, busy, config.max_orders))
        if draft.now < due:
            return f"cooldown until {due:%H:%M:%S}", margin_wake.meet(Wake(deadline=due))
    reason, step_wake = _step(draft)
    return reason, margin_wake.meet(step_wake)


def _worth(draft: Draft) -> tuple[str, Wake]:
    """Say whether one more entry would be worth too little for the exchange, or too much for `max_margin`."""
    plan, rules, quantity = draft.plan, draft.plan.instrument, draft.plan.config.quantity
    room = plan.bound_quote - draft.view.cost
    least, most = ratio(rules.min_notional, quantity), ratio(room, quantity)
    price = entry_price(plan, draft.view.quote)
    # An entry's price is not the touch: bands are narrower by what lies between them.
    slack = (plan.config.post_only_ticks + 1) * rules.tick_size
    if price < least:
        reason = (
            f"quantity {plain(quantity)} is below the exchange's minimum of {plain(rules.min_notional)} {rules.quote}"
        )
        return reason, Wake(high=rules.floor_price(least) - slack)
    if price > most:
        reason = f"max_margin {plain(plan.config.max_margin)} x {plan.config.leverage} would be passed"
        return reason, Wake(low=rules.ceil_price(most) + slack) if room > ZERO else Wake()
    return "", Wake(low=rules.ceil_price(least) + slack, high=rules.floor_price(most) - slack)


def _step(draft: Draft) -> tuple[str, Wake]:
    offers = [price for slot in draft.slots for price in _offers(slot)]
    if not offers:
        return "", Wake()
    plan, step = draft.plan, draft.plan.config.grid_step
    rules, quote = plan.instrument, draft.view.quote
    if draft.side is Side.BUY:
        edge = ratio(min(offers), exact_product(ONE + plan.take_profit, ONE + step))
        if quote.ask < edge:
            return "", Wake()
        return f"grid_step: waits for the price to fall below {plain(rules.ceil_price(edge))}", Wake(
            low=rules.ceil_price(edge)
        )
    edge = ratio(exact_product(max(offers), ONE + step), ONE - plan.take_profit)
    if quote.bid > edge:
        return "", Wake()
    return f"grid_step: waits for the price to rise above {plain(rules.floor_price(edge))}", Wake(
        high=rules.floor_price(edge)
    )


def _offers(slot: object) -> list[Decimal]:
    # The prices at which a place offers what it holds; what is closed at the market offers nothing.
    if not isinstance(slot, Holding) or slot.lot.held <= ZERO or isinstance(slot.leaving, Closing):
        return []
    if isinstance(slot.leaving, Laddered):
        return [rung.price for rung in slot.leaving.rungs if rung.sold < rung.qty]
    return [slot.lot.target]


def _pause_edges(plan: RollingGridPlan) -> tuple[Decimal, Decimal]:
    beyond = plan.config.pause_price or ZERO
    part = plan.config.pause_hysteresis
    return beyond, exact_product(beyond, ONE - part if plan.side is Side.BUY else ONE + part)


def _pause_wake(draft: Draft) -> Wake:
    phase = draft.phase
    if draft.plan.config.pause_price is None or not isinstance(phase, Running):
        return Wake()
    beyond, back = _pause_edges(draft.plan)
    if draft.side is Side.BUY:
        return Wake(low=back) if phase.paused else Wake(high=beyond)
    return Wake(high=back) if phase.paused else Wake(low=beyond)
