"""The grid's levels: how they are laid below the price, filled, sold, reduced and withdrawn."""

from dataclasses import replace
from decimal import Decimal

from core.machine import LegFilled, LotCut
from core.machines.atr_grid.config import CASH_USED, ORDER_LEAST, AtrGridPlan, order_quote
from core.machines.atr_grid.draft import Draft
from core.machines.atr_grid.state import Holding, Idle, Layout, Level, Resting
from core.orders import Role
from core.values import AMOUNT_PLACES, ONE, ZERO, exact_product, floor_to, plain, ratio

WARMS_UP = "waits for the first 200 finished candles"
PENDING = "a falling market left the grid behind: a new one waits for the hedge's profit or the trend's end"
RECOVERY = "recovery: the bag lost too much for new purchases"
NO_ROOM = "no room: the next level would lie at or below zero"
# Without a spacing a lot's target lies this fraction above its entry; without an ATR levels lie so far apart.
TARGET_FALLBACK = Decimal("0.02")
SPACING_FALLBACK = Decimal("0.03")
# A level earns at least this many round trips of fees, and lies at least so many ticks from the next.
FEES_APART, TICKS_APART = Decimal(3), 2


def spacing_of(plan: AtrGridPlan, wished: Decimal, price: Decimal, before: Decimal = ZERO) -> Decimal:
    """Return a spacing that pays its fees, on the tick; `before`, or 3 % of the price, where nothing is wished."""
    if wished <= ZERO:
        wished = before if before > ZERO else exact_product(price, SPACING_FALLBACK)
    fees = exact_product(FEES_APART, Decimal(2), max(plan.spot.maker, ZERO), price)
    return plan.spot.ceil_price(max(wished, fees, TICKS_APART * plan.spot.tick_size))


def lay(draft: Draft, base: Decimal, spacing: Decimal, why: str, kept: tuple[Decimal, ...] = ()) -> None:
    """Lay every free level anew below `base`, and note it; `kept` are prices of filled levels that stay part of the grid.

    A place next to a lot that is still held (within half a spacing of its entry) is left out.
    """
    plan = draft.plan
    for index, level in enumerate(draft.levels):
        draft.levels[index] = _let_go(draft, level, why)
    free = [index for index, level in enumerate(draft.levels) if _is_free(level)]
    entries = [level.entry for _, level in draft.held_levels()]
    prices = _prices_below(plan, base, spacing, len(free), entries)
    size = order_quote(plan, draft.money.cash, len(prices))
    for index, price in zip(free, prices, strict=False):
        draft.levels[index] = _fresh(plan, draft.levels[index].cycle, price, spacing, size)
    for index in free[len(prices) :]:
        draft.levels[index] = Idle(draft.levels[index].cycle, NO_ROOM)
    laid = [level.price for level in draft.levels if isinstance(level, Resting)]
    lines = tuple(sorted({*laid, *kept}))
    if lines:
        draft.layout = Layout(base, spacing, lines)
        draft.feel(fallen=False)
    draft.note(
        "grid", "LAID", f"{why}: {len(laid)} levels {plain(spacing)} apart below {plain(base)}, {_of(size)} each"
    )


def withdraw(draft: Draft, reason: str) -> None:
    """Want no more purchases; what was bought stays for sale."""
    for index, level in enumerate(draft.levels):
        kept = _let_go(draft, level, reason)
        draft.levels[index] = Idle(kept.cycle, reason) if isinstance(kept, Idle) else kept


def bought(draft: Draft, index: int, cycle: int, event: LegFilled) -> None:
    """Take in a fill of a level's purchase, a late one of an earlier cycle included."""
    level, plan = draft.levels[index], draft.plan
    draft.pay(cash=-exact_product(event.price, event.qty, ONE + _buy_fee(plan)))
    match level:
        case Idle():
            # The fill outran the withdrawal of its order: hold what it bought.
            spacing = _usual_spacing(draft, event.price)
            draft.levels[index] = Holding(
                max(level.cycle, cycle),
                event.price,
                spacing,
                event.net,
                event.price,
                _target(plan, event.price, spacing),
                ZERO,
            )
        case Resting():
            entry = _mixed(level.held, level.entry, event)
            own = event.qty if cycle == level.cycle else ZERO
            after = replace(level, bought=level.bought + own, held=level.held + event.net, entry=entry)
            draft.levels[index] = _holding(plan, after) if after.bought >= after.qty else after
        case Holding():
            entry = _mixed(level.held, level.entry, event)
            draft.levels[index] = replace(level, held=level.held + event.net, entry=entry)


def parted(draft: Draft, index: int, cycle: int, event: LegFilled | LotCut) -> None:
    """Take in that some of a place's lots was sold, by its own leg or by another one; a level sold out is free again."""
    level, plan = draft.levels[index], draft.plan
    price = event.price if isinstance(event, LegFilled) else draft.view.quote.last
    draft.pay(cash=exact_product(price, event.qty, ONE - _sell_fee(plan, level)))
    if isinstance(level, Idle):
        return
    given = event.net if isinstance(event, LegFilled) else event.qty
    own = event.qty if isinstance(event, LegFilled) and cycle == level.cycle else ZERO
    held = max(level.held - given, ZERO)
    if isinstance(level, Resting):
        draft.levels[index] = replace(level, held=held, sold=level.sold + own)
        return
    if level.cut_to > ZERO and price < level.entry:
        draft.pay(
            budget=-exact_product(level.entry - price, given) - exact_product(price, given, _sell_fee(plan, level))
        )
    after = replace(level, held=held, sold=level.sold + own)
    if plan.spot.floor_qty(held) > ZERO:
        draft.levels[index] = replace(after, cut_to=ZERO, cap=ZERO) if after.sold >= after.cut_to else after
        return
    draft.note(
        f"level {index}", "COMPLETE", f"cycle {level.cycle} bought at {plain(level.entry)}, sold at {plain(price)}"
    )
    draft.levels[index] = _again(draft, after)


def cut(draft: Draft, index: int, level: Holding, qty: Decimal) -> bool:
    """Begin to sell a part of a lot at the market, capped; False where an order for it would be too small."""
    plan, quote = draft.plan, draft.view.quote
    cap = sale_cap(plan, quote.bid)
    sale = plan.spot.sellable(cap, min(qty, level.held))
    rest = plan.spot.floor_qty(level.held - sale)
    if sale > ZERO and rest > ZERO and plan.spot.sellable(cap, rest) == ZERO:
        sale = plan.spot.sellable(
            cap, sale - (plan.spot.floor_qty(plan.spot.min_notional / cap) + plan.spot.lot_step - rest)
        )
    if sale <= ZERO:
        return False
    draft.levels[index] = replace(level, cut_to=level.sold + sale, cap=cap)
    return True


def end_cuts(draft: Draft) -> None:
    """Offer what is left of unfinished cuts at their targets again."""
    for index, level in draft.held_levels():
        if level.cut_to > ZERO:
            draft.levels[index] = replace(level, cut_to=ZERO, cap=ZERO)


def sale_cap(plan: AtrGridPlan, bid: Decimal) -> Decimal:
    """Return the lowest price at which a cut sells."""
    return plan.spot.floor_price(bid * (ONE - plan.config.max_slippage_bps / 10_000))


def taker(plan: AtrGridPlan) -> Decimal:
    """Return the fee of a sale at the market, as a fraction of notional."""
    return max(plan.spot.taker, ZERO)


def _prices_below(
    plan: AtrGridPlan, base: Decimal, spacing: Decimal, count: int, entries: list[Decimal]
) -> list[Decimal]:
    found: list[Decimal] = []
    price = plan.spot.floor_price(base - spacing)
    while len(found) < count and price > ZERO:
        if all(abs(price - entry) * 2 >= spacing for entry in entries):
            found.append(price)
        price = plan.spot.floor_price(price - spacing)
    return found


def _fresh(plan: AtrGridPlan, cycle: int, price: Decimal, spacing: Decimal, size: Decimal) -> Level:
    qty = plan.spot.floor_qty(ratio(size, price))
    least = max(plan.spot.min_notional, ORDER_LEAST)
    if qty < plan.spot.min_qty or plan.spot.notional(price, qty) < least:
        return Idle(
            cycle, f"an order would be below the minimum {plain(least)} {plan.spot.quote}: the grid's cash is used up"
        )
    return Resting(cycle, price, spacing, qty)


def _let_go(draft: Draft, level: Level, reason: str) -> Level:
    # A level before its first fill is free; one that bought a part that can be sold holds it; dust stays where it is.
    if not isinstance(level, Resting):
        return level
    if level.bought == ZERO and level.held == ZERO:
        return Idle(level.cycle + 1 if level.sold > ZERO else level.cycle, reason)
    if draft.plan.spot.floor_qty(level.held) > ZERO:
        return _holding(draft.plan, level)
    return Idle(level.cycle + 1, reason)


def _is_free(level: Level) -> bool:
    return isinstance(level, Idle)


def _again(draft: Draft, level: Holding) -> Level:
    cycle = level.cycle + 1
    if draft.mood.pending_since is not None:
        return Idle(cycle, PENDING)
    if draft.mood.recovery:
        return Idle(cycle, RECOVERY)
    layout = draft.layout
    if layout is None:
        return Idle(cycle, WARMS_UP)
    price = level.price
    if price not in layout.lines:
        # A lot of an older grid: its place goes on as one more level below the present one.
        price = draft.plan.spot.floor_price(layout.lines[0] - layout.spacing)
        if price <= ZERO:
            return Idle(cycle, NO_ROOM)
    free = sum(1 for one in draft.levels if not isinstance(one, Holding))
    whole = ONE + _buy_fee(draft.plan)
    resting = [level for level in draft.levels if isinstance(level, Resting)]
    reserved = sum((exact_product(one.price, one.qty - one.bought, whole) for one in resting), ZERO)
    unreserved = exact_product(CASH_USED, draft.money.cash - reserved)
    size = min(order_quote(draft.plan, draft.money.cash, free + 1), unreserved)
    fresh = _fresh(draft.plan, cycle, price, layout.spacing, size)
    if price not in layout.lines and isinstance(fresh, Resting):
        draft.layout = Layout(layout.base, layout.spacing, (price, *layout.lines))
    return fresh


def _holding(plan: AtrGridPlan, level: Resting) -> Holding:
    target = _target(plan, level.entry, level.spacing)
    return Holding(level.cycle, level.price, level.spacing, level.held, level.entry, target, level.sold)


def _target(plan: AtrGridPlan, entry: Decimal, spacing: Decimal) -> Decimal:
    return plan.spot.ceil_price(entry + spacing)


def _usual_spacing(draft: Draft, price: Decimal) -> Decimal:
    return draft.layout.spacing if draft.layout is not None else exact_product(price, TARGET_FALLBACK)


def _mixed(held: Decimal, entry: Decimal, event: LegFilled) -> Decimal:
    if held == ZERO:
        return event.price
    whole = exact_product(entry, held) + exact_product(event.price, event.net)
    return floor_to(ratio(whole, held + event.net), AMOUNT_PLACES)


def _buy_fee(plan: AtrGridPlan) -> Decimal:
    return ZERO if plan.spot.fee_in_base else max(plan.spot.maker, ZERO)


def _sell_fee(plan: AtrGridPlan, level: Level) -> Decimal:
    cutting = isinstance(level, Holding) and level.cut_to > ZERO
    return taker(plan) if cutting else max(plan.spot.maker, ZERO)


def _of(size: Decimal) -> str:
    return plain(size.quantize(Decimal("0.01")))


def place_of(lot_id: str, count: int) -> tuple[int, int] | None:
    """Read place and cycle of a level's lot; None for any other lot."""
    index, _, cycle = lot_id.partition("-")
    if not (index.isdigit() and cycle.isdigit()) or int(index) >= count:
        return None
    return int(index), int(cycle)


def is_entry(event: LegFilled) -> bool:
    """Whether a fill bought for the grid."""
    return event.role is Role.ENTRY
