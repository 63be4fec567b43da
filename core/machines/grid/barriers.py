"""Barriers of a grid: of its open inventory against its cost, of the whole bot in quote, and of its range.

Profit of the inventory is after the fees paid on it; the bot's is realised + floating - fees + funding. Order of the
tests: limit price, stop loss, the bot's stop, time limit, trailing stop, the bot's take profit, the end of the range.
Once one has fired it is latched in the grid's phase.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.machine import View, Wake
from core.machines.grid.config import GridPlan
from core.machines.grid.legs import since_of
from core.machines.grid.state import Closing, GridState, Pending, Running
from core.machines.grid.window import ends_of
from core.quick import quick
from core.values import ONE, ZERO, exact_product, plain, ratio

# The close type of a grid that ends and keeps what it holds.
HOLD = "POSITION_HOLD"
# How long a closing at a limit may rest before what is left goes to the market.
LIMIT_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Hit:
    """A barrier that fired: its word (a close type), the reason with its numbers, whether inventory is kept."""

    word: str
    reason: str
    keeps_position: bool = False


@quick
@dataclass(frozen=True, slots=True)
class Seen:
    """The extremes that barriers look at, as seen from what is held: `worst` and `best` for it, `low` and `high`."""

    low: Decimal
    high: Decimal
    long: bool

    @property
    def worst(self) -> Decimal:
        """The extreme at which the inventory is worth least."""
        return self.low if self.long else self.high

    @property
    def best(self) -> Decimal:
        """The extreme at which the inventory is worth most."""
        return self.high if self.long else self.low


def seen_by(plan: GridPlan, view: View) -> Seen:
    """Return the extremes of the configured price since the last look (RULES 9e)."""
    long = view.inventory > ZERO if plan.config.side == "NEUTRAL" else plan.config.side == "BUY"
    quote = view.quote
    match _source(plan, view):
        case "mark":
            mark = quote.mark or quote.last
            return Seen(mark, mark, long)
        case "last":
            traded = [price for price in (quote.last, quote.low, quote.high) if price is not None]
            return Seen(min(traded), max(traded), long)
        case "mid":
            return Seen(quote.mid, quote.mid, long)
        case _:
            return Seen(view.low, view.high, long)


def barrier_hit(plan: GridPlan, state: GridState, view: View) -> tuple[Hit | None, Decimal | None]:
    """Return the first barrier that fires, if any, and the trailing stop's best profit so far."""
    config = plan.config
    seen = seen_by(plan, view)
    worst = seen.worst
    limit = config.limit_price
    if limit is not None and (worst <= limit if seen.long else worst >= limit):
        word = HOLD if config.keep_position else "STOP_LOSS"
        return Hit(word, f"price {worst} passed limit_price {limit}", config.keep_position), state.peak
    barriers = config.triple_barrier
    if view.inventory == ZERO or view.cost == ZERO:
        peak = None
    else:
        profit = profit_fraction(view, worst) if barriers.stop_loss is not None else ZERO
        if barriers.stop_loss is not None and profit <= -barriers.stop_loss:
            return Hit("STOP_LOSS", f"open inventory lost {_percent(-profit)} of its cost at {worst}"), state.peak
        best = profit_fraction(view, seen.best)
        peak = best if state.peak is None else max(state.peak, best)
    hit = _bot_stop(plan, view, worst)
    if hit is not None:
        return hit, state.peak
    if barriers.time_limit is not None and view.now >= _ends_at(state, view, barriers.time_limit):
        return Hit("TIME_LIMIT", f"time limit of {barriers.time_limit:g} s is over"), peak
    trailing = barriers.trailing_stop
    if trailing is not None and peak is not None and peak >= trailing.activation:
        profit = profit_fraction(view, worst)
        if profit <= peak - trailing.delta:
            return Hit("TRAILING_STOP", f"profit fell from {_percent(peak)} to {_percent(profit)} of cost"), peak
    return _bot_take(plan, view, seen.best) or _range_exit(plan, state, seen), peak


def profit_fraction(view: View, price: Decimal) -> Decimal:
    """Profit of the open inventory at `price` after the fees paid on it, as a fraction of its cost."""
    value = exact_product(price, abs(view.inventory))
    gross = value - view.cost if view.inventory > ZERO else view.cost - value
    return ratio(gross - view.fees_open, view.cost)


def bot_profit(view: View, price: Decimal) -> Decimal:
    """Profit of the whole bot at `price` in quote: realised + floating - fees + funding, no closing fee assumed."""
    return view.realized - view.fees + view.funding + exact_product(price, view.inventory) - view.net_cost


def _bot_stop(plan: GridPlan, view: View, price: Decimal) -> Hit | None:
    most = plan.config.bot_stop_loss
    if most is None or bot_profit(view, price) > -most:
        return None
    lost = plain(-bot_profit(view, price))
    return Hit("BOT_STOP_LOSS", f"the bot lost {lost} {plan.instrument.quote} at {price}; bot_stop_loss {plain(most)}")


def _bot_take(plan: GridPlan, view: View, price: Decimal) -> Hit | None:
    least = plan.config.bot_take_profit
    if least is None or bot_profit(view, price) < least:
        return None
    won = plain(bot_profit(view, price))
    return Hit(
        "BOT_TAKE_PROFIT", f"the bot won {won} {plan.instrument.quote} at {price}; bot_take_profit {plain(least)}"
    )


def _range_exit(plan: GridPlan, state: GridState, seen: Seen) -> Hit | None:
    what = plan.config.on_range_exit
    if what not in {"close", "hold"}:
        return None
    low, high = ends_of(plan, state.window)
    for price, end, left in ((seen.low, low, seen.low < low), (seen.high, high, seen.high > high)):
        if left and not _may_follow(plan, state, up=price > high):
            said = f"price {price} left the range at {end}: on_range_exit {what}"
            return Hit(HOLD, said, keeps_position=True) if what == "hold" else Hit("RANGE_EXIT", said)
    return None


def _may_follow(plan: GridPlan, state: GridState, *, up: bool) -> bool:
    # The range ends only where it cannot follow the price any further.
    first, end = state.window or plan.window
    return end < len(plan.lines) if up else first > 0


def barrier_wake(plan: GridPlan, state: GridState, view: View) -> Wake:
    """Return the price band and deadline inside which no barrier can fire, rounded to be rather too narrow."""
    config = plan.config
    phase = state.phase
    if isinstance(phase, Closing) or (isinstance(phase, Pending) and phase.falls is None):
        return Wake(deadline=view.now)  # looks every time until nothing is held, or at once
    if isinstance(phase, Pending) and config.trigger_price is not None:
        return Wake(low=config.trigger_price) if phase.falls else Wake(high=config.trigger_price)
    if not isinstance(phase, Running):
        return Wake()
    long = seen_by(plan, view).long
    barriers = config.triple_barrier
    wake = _range_wake(plan, state).meet(_bot_wake(plan, view))
    if config.limit_price is not None:
        wake = wake.meet(_towards_loss(long=long, price=config.limit_price))
    if barriers.time_limit is not None:
        wake = wake.meet(Wake(deadline=_ends_at(state, view, barriers.time_limit)))
    if view.inventory != ZERO and view.cost != ZERO:
        if barriers.stop_loss is not None:
            wake = wake.meet(_towards_loss(long=long, price=_price_at(plan, view, -barriers.stop_loss)))
        trailing = barriers.trailing_stop
        if trailing is not None:
            wake = wake.meet(_trailing_wake(plan, state, view, trailing.activation, trailing.delta, long=long))
    if (wake.low is not None or wake.high is not None) and _source(plan, view) in {"mark", "last"}:
        return wake.meet(Wake(deadline=view.now))  # no band over the touch bounds these prices
    return wake


def _source(plan: GridPlan, view: View) -> str:
    source = plan.config.triple_barrier.price_source or ("mark" if plan.instrument.swap else "touch")
    return "touch" if source == "mark" and view.quote.mark is None else source


def _ends_at(state: GridState, view: View, limit_s: float) -> datetime:
    return since_of(state.phase, view.started_at) + timedelta(seconds=limit_s)


def _range_wake(plan: GridPlan, state: GridState) -> Wake:
    if plan.config.on_range_exit not in {"close", "hold"}:
        return Wake()
    low, high = ends_of(plan, state.window)
    return Wake(low=low, high=high)


def _bot_wake(plan: GridPlan, view: View) -> Wake:
    config = plan.config
    wake = Wake()
    if view.inventory == ZERO:
        return wake  # profit changes with fills and funding alone, and both are told
    for profit in (config.bot_take_profit, None if config.bot_stop_loss is None else -config.bot_stop_loss):
        if profit is not None:
            price = ratio(profit - view.realized + view.fees - view.funding + view.net_cost, view.inventory)
            below = price < view.quote.last
            near = plan.instrument.ceil_price(price) if below else plan.instrument.floor_price(price)
            wake = wake.meet(Wake(low=near) if below else Wake(high=near))
    return wake


def _trailing_wake(
    plan: GridPlan, state: GridState, view: View, activation: Decimal, delta: Decimal, *, long: bool
) -> Wake:
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
