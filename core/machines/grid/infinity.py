"""A grid without an upper end: whenever the price has risen by a step it sells what its base is worth more than before.

With lines P[i] = start * (1 + step) ** i and a worth W, the base held while the price stands between P[i-1] and P[i] is
W / P[i]: what a level buys at P[i] and sells at P[i+1] is W / P[i] - W / P[i+1], so after each sale the rest is worth W
again, and no price is so high that nothing is left. One purchase at the start takes all that the levels above the price
will ever sell; it is the lot of the last place, and stands behind those levels until each has sold its part of it once.
W is chosen at the first price, so that this purchase and all levels below it together cost the grid's money at most.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from core.machine import View, Wake
from core.machines.grid.config import GridPlan
from core.machines.grid.state import Closed, Entering, GridState, Holding, Level, Running, Waiting
from core.values import ONE, ZERO, floor_to, plain, ratio

# Orders rest on so many levels on each side of the price; they follow it once it is half of that off their middle.
REACH = 20
HALF = REACH // 2
UNFUNDED = "BUDGET_TOO_SMALL"


@dataclass(frozen=True, slots=True)
class Opened:
    """How an infinite grid starts: its state, and what to tell where its money is not enough for this price."""

    state: GridState
    objection: str = ""


def opened(plan: GridPlan, view: View) -> Opened:
    """Choose the worth for this price and ask for the opening purchase; or say what the money would have to be."""
    lines, count, money = plan.lines, plan.opening, plan.capital_quote
    base = bisect_left([line.entry_price for line in lines[:count]], view.quote.ask)
    levels: list[Level] = [Waiting(0, armed=True) for _ in lines]
    if base >= count:
        said = f"the price {plain(view.quote.ask)} is above the last level at {plain(lines[count - 1].entry_price)}"
        return Opened(
            GridState(tuple(levels), Closed(UNFUNDED, view.now), None, None), f"{said}: a higher start_price works"
        )
    # Per quote of worth: the opening purchase at its worst price, and each level below it.
    cost = ratio(_worst(plan, base), lines[base].entry_price)
    cost += sum((ONE - ratio(line.entry_price, line.exit_price) for line in lines[:base]), ZERO)
    worth = floor_to(ratio(money, cost), Decimal("0.00000001"))
    small = next((index for index in range(base + 1) if not _enough(plan, worth, index)), None)
    if small is not None:
        # Two lots of head-room: a share is the difference of two that are rounded.
        rules = plan.instrument
        needed = [
            max(_least(plan), rules.min_qty * line.exit_price) + 2 * rules.lot_step * line.exit_price
            for line in lines[: base + 1]
        ]
        parts = [ONE - ratio(line.entry_price, line.exit_price) for line in lines[: base + 1]]
        works = max(ratio(one * cost, part) for one, part in zip(needed, parts, strict=True)).quantize(
            ONE, ROUND_CEILING
        )
        said = f"total_amount_quote {plain(money)} leaves {plain(_share(plan, worth, small))} {rules.base} for the level at "
        said += f"{plain(lines[small].entry_price)}, below the minimum order; {plain(works)} works at this price"
        return Opened(GridState(tuple(levels), Closed(UNFUNDED, view.now), None, None), said)
    qty = plan.instrument.floor_qty(ratio(worth, lines[base].entry_price))
    levels[count] = Entering(0, ZERO, ZERO, ZERO, view.now, at_market=True, qty=qty)
    return Opened(GridState(tuple(levels), Running(view.now), None, None, base=base, worth=worth))


def share_of(plan: GridPlan, grid: GridState, index: int) -> Decimal:
    """Base quantity that a level trades; zero where the exchange would not take so little."""
    qty = _share(plan, grid.worth or ZERO, index)
    return plan.instrument.sellable(plan.lines[index].entry_price, qty)


def opening_price(plan: GridPlan, grid: GridState) -> Decimal:
    """The worst price of the opening purchase."""
    return _worst(plan, grid.base or 0)


def uncovered(plan: GridPlan, base: int | None, index: int, level: Level) -> str | None:
    """Say why a level may not enter: it has yet to sell its part of the opening purchase for the first time."""
    return None if not backed(plan, base, index, level.cycle) else "the opening purchase does not cover this level yet"


def backed(plan: GridPlan, base: int | None, index: int, cycle: int) -> bool:
    """Whether what a level sells in a cycle comes from the opening purchase."""
    return base is not None and base <= index < plan.opening and cycle == 0


def behind(plan: GridPlan, grid: GridState, levels: list[Level]) -> Decimal:
    """Base of the opening purchase that stands behind no level."""
    opening = levels[plan.opening]
    held = ZERO if isinstance(opening, Waiting) else opening.held
    return held - sum((one.held for _, one in _backed(plan, grid, levels) if isinstance(one, Holding)), ZERO)


def supply(plan: GridPlan, grid: GridState, levels: list[Level], now: datetime, *, cover: bool) -> set[int]:
    """Let the opening purchase stand behind the levels above it, the nearest first; returns those that changed.

    Where others closed a part of it, the farthest levels lose theirs. `cover`: whether new levels may be given any.
    """
    opening = levels[plan.opening]
    room = ZERO if isinstance(opening, Waiting) else opening.held
    changed: set[int] = set()
    for index, level in _backed(plan, grid, levels):
        if isinstance(level, Holding):
            if level.held > room:
                changed.add(index)
                left = plan.instrument.floor_qty(room)
                rest = Waiting(0 if level.sold == ZERO else 1, armed=True)
                levels[index] = replace(level, held=left) if left > ZERO else rest
                room = ZERO
            room -= min(level.held, room)
        elif cover:
            share = share_of(plan, grid, index)
            if share > room:
                break  # nothing above this one has been given any
            if share > ZERO:
                levels[index] = Holding(0, share, ZERO, now)
                changed.add(index)
                room -= share
    return changed


def followed(plan: GridPlan, reach: tuple[int, int] | None, view: View) -> tuple[tuple[int, int], Wake]:
    """Return the levels (first, one past the last) whose orders may rest, and the prices at which those are others."""
    entries = [line.entry_price for line in plan.lines[: plan.opening]]
    count = len(entries)
    here = bisect_right(entries, view.quote.mid)
    if reach is None or _off(reach, here, count):
        reach = max(here - REACH, 0), min(here + REACH, count)
    first, end = reach
    return reach, Wake(
        low=entries[first + HALF - 1] if first > 0 else None, high=entries[end - HALF] if end < count else None
    )


def _off(reach: tuple[int, int], here: int, count: int) -> bool:
    first, end = reach
    return (first > 0 and here < first + HALF) or (end < count and here > end - HALF)


def _least(plan: GridPlan) -> Decimal:
    return max(plan.instrument.min_notional, plan.config.min_order_amount_quote)


def _enough(plan: GridPlan, worth: Decimal, index: int) -> bool:
    qty, price = _share(plan, worth, index), plan.lines[index].entry_price
    return plan.instrument.sellable(price, qty) > ZERO and plan.instrument.notional(price, qty) >= _least(plan)


def _worst(plan: GridPlan, base: int) -> Decimal:
    return plan.lines[base].exit_price


def _share(plan: GridPlan, worth: Decimal, index: int) -> Decimal:
    # Differences of what is held in all: after each sale the rest is worth what it shall, up to one lot.
    line, floor = plan.lines[index], plan.instrument.floor_qty
    return floor(ratio(worth, line.entry_price)) - floor(ratio(worth, line.exit_price))


def _backed(plan: GridPlan, grid: GridState, levels: list[Level]) -> list[tuple[int, Level]]:
    first = grid.base if grid.base is not None else plan.opening
    return [(index, levels[index]) for index in range(first, plan.opening) if levels[index].cycle == 0]
