"""How a grid starts: which levels have the market on their far side, and which coins it takes over."""

from decimal import Decimal

from core.machine import Claim, View
from core.machines.grid.config import GridPlan
from core.machines.grid.legs import line_at
from core.machines.grid.state import GridState, Holding, Level, Running, Waiting, lot_name
from core.values import ZERO, Side


def laid_out(plan: GridPlan, view: View) -> GridState:
    """Return all levels waiting; those that the market has not passed are armed."""
    pivot = None
    if plan.config.side == "NEUTRAL":
        # Cells whose middle lies below the price are bought, the others sold.
        mids = [(line.entry_price + line.exit_price) / 2 for line in plan.lines]
        pivot = sum(1 for mid in mids if mid < view.quote.mid)
    levels = tuple(Waiting(0, armed=clear_of_market(plan, pivot, i, view)) for i in range(len(plan.lines)))
    return GridState(levels=levels, phase=Running(view.now), last_batch_at=None, peak=None, pivot=pivot)


def claimed(plan: GridPlan, state: GridState, view: View) -> tuple[tuple[Level, ...], tuple[Claim, ...]]:
    """Let coins already held stand in for what the levels through the market would have to buy, the nearest exit first."""
    levels, left, claims = list(state.levels), plan.config.owned_base or ZERO, list[Claim]()
    price: Decimal = plan.config.owned_price or view.quote.last
    for index in range(*plan.window):
        line = plan.lines[index]
        part = plan.instrument.sellable(line.exit_price, min(line.qty, left))
        if levels[index] == Waiting(0, armed=False) and part > ZERO:
            levels[index] = Holding(0, part, ZERO, view.now)
            claims.append(Claim(lot_name(index, 0), part, price))
            left -= part
    return tuple(levels), tuple(claims)


def clear_of_market(plan: GridPlan, pivot: int | None, index: int, view: View) -> bool:
    """Whether a level's entry would rest in the book."""
    line = line_at(plan, pivot, index)
    return line.entry_price < view.quote.ask if line.side is Side.BUY else line.entry_price > view.quote.bid
