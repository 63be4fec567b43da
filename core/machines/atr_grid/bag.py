"""Sales of the bag before its targets: losing lots that the hedge's profit pays for, parts of it, lots in profit."""

from decimal import Decimal

from core.machines.atr_grid.draft import Draft
from core.machines.atr_grid.levels import cut, sale_cap, taker
from core.machines.atr_grid.state import Holding
from core.values import ONE, ZERO, exact_product, plain, ratio

# Less profit than this share of the capital is kept until there is more: it would only make crumbs of lots.
BUDGET_LEAST = Decimal("0.0005")


def sell_with_budget(draft: Draft) -> None:
    """Close losing lots, the dearest first, as far as what hedges earned pays for their loss; parts of lots too."""
    plan, left = draft.plan, draft.money.budget
    if left <= ZERO or left < exact_product(BUDGET_LEAST, plan.config.initial_capital):
        return
    cap = sale_cap(plan, draft.view.quote.bid)
    for index, level in dearest(draft):
        # What one unit costs at worst: sold at the cap, its fee paid.
        loss = level.entry - exact_product(cap, ONE - taker(plan))
        if loss <= ZERO or level.cut_to > ZERO:
            continue
        qty = min(level.held, ratio(left, loss))
        if not cut(draft, index, level, plan.spot.floor_qty(qty)):
            continue
        after = draft.levels[index]
        assert isinstance(after, Holding)  # noqa: S101  cut leaves a lot a lot
        sale = after.cut_to - level.sold
        left -= exact_product(sale, loss)
        told = f"{plain(sale)} of {plain(level.held)} bought at {plain(level.entry)}"
        paid = plain(draft.money.budget.quantize(Decimal("0.01")))
        draft.note(f"level {index}", "CUT", f"{told}: hedge profit of {paid} pays")


def reduce_by(draft: Draft, part: Decimal, why: str) -> None:
    """Sell a part of the bag, the dearest lots first; lots in loss are left alone unless `allow_loss_sale`."""
    plan = draft.plan
    left = exact_product(part, draft.bag)
    cap = sale_cap(plan, draft.view.quote.bid)
    for index, level in dearest(draft):
        losing = level.entry > exact_product(cap, ONE - taker(plan))
        if left <= ZERO or (losing and not plan.config.allow_loss_sale):
            continue
        if cut(draft, index, level, plan.spot.floor_qty(min(left, level.held))):
            left -= level.held
            draft.note(f"level {index}", "REDUCE", f"bought at {plain(level.entry)}: {why}")


def take_profits(draft: Draft) -> None:
    """Sell whole lots that earn more than their fees at the market, though their targets are not reached."""
    plan = draft.plan
    cap = sale_cap(plan, draft.view.quote.bid)
    for index, level in draft.held_levels():
        cost = exact_product(level.entry, ONE + max(plan.spot.maker, ZERO))
        if exact_product(cap, ONE - taker(plan)) > cost and cut(draft, index, level, level.held):
            draft.note(
                f"level {index}", "TAKE_PROFIT", f"bought at {plain(level.entry)}, sold before the grid moves up"
            )


def dearest(draft: Draft) -> list[tuple[int, Holding]]:
    """List the lots, the one with the highest entry first."""
    return sorted(draft.held_levels(), key=lambda one: (-one[1].entry, one[0]))
