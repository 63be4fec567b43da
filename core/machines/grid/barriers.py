"""Barriers of a grid, on its open inventory against its cost: limit price, stop loss, time limit, trailing stop.

Profit is after the fees paid on the open inventory. Order of the tests: limit price, stop loss, time limit, trailing.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from core.machine import View, Wake
from core.machines.grid.config import GridPlan
from core.machines.grid.state import Closing, GridState, Running
from core.values import ONE, ZERO, exact_product, plain, ratio

# The close type of a grid that ends and keeps what it holds.
HOLD = "POSITION_HOLD"


@dataclass(frozen=True, slots=True)
class Hit:
    """A barrier that fired: its word (a close type), the reason with its numbers, whether inventory is kept."""

    word: str
    reason: str
    keeps_position: bool = False


def barrier_hit(plan: GridPlan, state: GridState, view: View) -> tuple[Hit | None, Decimal | None]:
    """Return the first barrier that fires, if any, and the trailing stop's best profit so far."""
    config = plan.config
    long = config.side == "BUY"
    worst = view.low if long else view.high
    limit = config.limit_price
    if limit is not None and (worst <= limit if long else worst >= limit):
        word = HOLD if config.keep_position else "STOP_LOSS"
        return Hit(word, f"price {worst} passed limit_price {limit}", config.keep_position), state.peak
    barriers = config.triple_barrier
    if view.inventory == ZERO or view.cost == ZERO:
        peak = None
    else:
        profit = profit_fraction(view, worst)
        if barriers.stop_loss is not None and profit <= -barriers.stop_loss:
            return Hit("STOP_LOSS", f"open inventory lost {_percent(-profit)} of its cost at {worst}"), state.peak
        best = profit_fraction(view, view.high if long else view.low)
        peak = best if state.peak is None else max(state.peak, best)
    if barriers.time_limit is not None and view.now >= view.started_at + timedelta(seconds=barriers.time_limit):
        return Hit("TIME_LIMIT", f"time limit of {barriers.time_limit:g} s is over"), peak
    trailing = barriers.trailing_stop
    if trailing is not None and peak is not None and peak >= trailing.activation:
        profit = profit_fraction(view, worst)
        if profit <= peak - trailing.delta:
            return Hit("TRAILING_STOP", f"profit fell from {_percent(peak)} to {_percent(profit)} of cost"), peak
    return None, peak


def profit_fraction(view: View, price: Decimal) -> Decimal:
    """Profit of the open inventory at `price` after the fees paid on it, as a fraction of its cost."""
    value = exact_product(price, abs(view.inventory))
    gross = value - view.cost if view.inventory > ZERO else view.cost - value
    return ratio(gross - view.fees_open, view.cost)


def barrier_wake(plan: GridPlan, state: GridState, view: View) -> Wake:
    """Return the price band and deadline inside which no barrier can fire, rounded to be rather too narrow."""
    config = plan.config
    if isinstance(state.phase, Closing):
        return Wake(deadline=view.now)  # looks every time until nothing is held
    if not isinstance(state.phase, Running):
        return Wake()
    long = config.side == "BUY"
    barriers = config.triple_barrier
    wake = Wake()
    if config.limit_price is not None:
        wake = wake.meet(_towards_loss(long=long, price=config.limit_price))
    if barriers.time_limit is not None:
        wake = wake.meet(Wake(deadline=view.started_at + timedelta(seconds=barriers.time_limit)))
    if view.inventory != ZERO and view.cost != ZERO:
        if barriers.stop_loss is not None:
            wake = wake.meet(_towards_loss(long=long, price=_price_at(plan, view, -barriers.stop_loss)))
        trailing = barriers.trailing_stop
        if trailing is not None:
            wake = wake.meet(_trailing_wake(plan, state, view, trailing.activation, trailing.delta))
    return wake


def _trailing_wake(plan: GridPlan, state: GridState, view: View, activation: Decimal, delta: Decimal) -> Wake:
    long = plan.config.side == "BUY"
    best = max(state.peak if state.peak is not None else activation, activation)
    up = _price_at(plan, view, best)
    wake = Wake(high=up) if long else Wake(low=up)
    if state.peak is not None and state.peak >= activation:
        wake = wake.meet(_towards_loss(long=long, price=_price_at(plan, view, state.peak - delta)))
    return wake


def _towards_loss(*, long: bool, price: Decimal) -> Wake:
    return Wake(low=price) if long else Wake(high=price)


def _price_at(plan: GridPlan, view: View, profit: Decimal) -> Decimal:
    # Solves profit_fraction(view, price) = profit, then rounds towards the present price: early, never late.
    quantity = abs(view.inventory)
    if view.inventory > ZERO:
        price = ratio(view.cost * (ONE + profit) + view.fees_open, quantity)
    else:
        price = ratio(view.cost * (ONE - profit) - view.fees_open, quantity)
    below = price < view.quote.last
    return plan.instrument.ceil_price(price) if below else plan.instrument.floor_price(price)


def _percent(fraction: Decimal) -> str:
    return f"{plain((fraction * 100).quantize(Decimal('0.01')))} %"
