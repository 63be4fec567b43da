"""The range at work: which of the laid lines a grid trades now, and when that window follows the price.

Trailing: when the price leaves the range by a whole step, the farthest level is given up and one is laid on the near
side, step by step, up to the limits. Reset: when the price leaves the range, the window is laid around the price anew;
towards the grid's profit side as often as it happens, towards its loss side with fresh money only (`max_resets`), while
what is held keeps its exits. Levels given up keep what they hold and offer it at their own exits.
"""

from dataclasses import dataclass
from decimal import Decimal

from core.machine import Note, View, Wake
from core.machines.grid.config import GridPlan
from core.values import plain


@dataclass(frozen=True, slots=True)
class Move:
    """Where the window stands after a look at the price: (first, one past the last), resets paid for, journal notes."""

    window: tuple[int, int]
    resets: int
    notes: tuple[Note, ...]


def ends_of(plan: GridPlan, window: tuple[int, int] | None) -> tuple[Decimal, Decimal]:
    """Return the lowest and the highest price of a window: of its entries, and with next_level of its exits as well."""
    first, end = window or plan.window
    return edge(plan, first, up=False), edge(plan, end - 1, up=True)


def edge(plan: GridPlan, index: int, *, up: bool) -> Decimal:
    """The lower or upper end of a level's cell; with exit: take_profit a level is its entry price alone."""
    line = plan.lines[index]
    if plan.config.exit == "take_profit":
        return line.entry_price
    return max(line.entry_price, line.exit_price) if up else min(line.entry_price, line.exit_price)


def moved(plan: GridPlan, window: tuple[int, int] | None, resets: int, view: View) -> Move:
    """Follow the price as configured."""
    here = window or plan.window
    if plan.config.on_range_exit == "reset":
        return _reset(plan, here, resets, view)
    # The price of now decides, not an extreme since the last look: an order for a price that is gone helps nobody.
    price = view.quote.mid
    first, end = here
    while end < len(plan.lines) and price >= edge(plan, end, up=True):
        first, end = first + 1, end + 1
    while first > 0 and price <= edge(plan, first - 1, up=False):
        first, end = first - 1, end - 1
    return Move((first, end), resets, _notes(plan, here, (first, end), "TRAIL", f"price {plain(price)}"))


def moving_wake(plan: GridPlan, window: tuple[int, int] | None, resets: int) -> Wake:
    """Return the prices at which the window moves next."""
    first, end = window or plan.window
    if plan.config.on_range_exit == "reset":
        low, high = ends_of(plan, window)
        down, up = _may_reset(plan, resets, up=False), _may_reset(plan, resets, up=True)
        return Wake(low=low if down and first > 0 else None, high=high if up and end < len(plan.lines) else None)
    return Wake(
        low=edge(plan, first - 1, up=False) if first > 0 else None,
        high=edge(plan, end, up=True) if end < len(plan.lines) else None,
    )


def _may_reset(plan: GridPlan, resets: int, *, up: bool) -> bool:
    gains = up is (plan.config.side == "BUY")
    return gains or resets < plan.config.max_resets


def _reset(plan: GridPlan, here: tuple[int, int], resets: int, view: View) -> Move:
    low, high = ends_of(plan, here)
    price = view.quote.mid
    if low <= price <= high or not _may_reset(plan, resets, up=price > high):
        return Move(here, resets, ())
    count = here[1] - here[0]
    # As many cells on either side of the line that is nearest to the price.
    middles = ((edge(plan, i, up=False) + edge(plan, i, up=True)) / 2 for i in range(len(plan.lines)))
    below = sum(1 for middle in middles if middle < price)
    first = min(max(below - count // 2, 0), len(plan.lines) - count)
    there = (first, first + count)
    if there == here:
        return Move(here, resets, ())
    gains = (price > high) is (plan.config.side == "BUY")
    return Move(there, resets + (0 if gains else 1), _notes(plan, here, there, "RESET", f"price {plain(price)}"))


def _notes(plan: GridPlan, before: tuple[int, int], after: tuple[int, int], word: str, why: str) -> tuple[Note, ...]:
    if before == after:
        return ()
    low, high = ends_of(plan, after)
    return (Note("grid", word, f"{why}: the range is {plain(low)} to {plain(high)} now"),)
