"""Which levels may enter now: activation bounds, true caps, batches, and the first approach of the price.

A plain grid (none of these set) wants every level at once and never looks at the price. With them, the levels nearest
to the price come first; one that falls out of the bounds or of the cap gives its place up.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.machine import View, Wake
from core.machines.grid.config import GridConfig, GridPlan
from core.machines.grid.infinity import uncovered
from core.machines.grid.legs import line_at
from core.machines.grid.state import Entering, Holding, Level, Waiting
from core.quick import quick
from core.values import ONE, ZERO, Side, ratio


@quick
@dataclass(frozen=True, slots=True)
class Choice:
    """Levels to start entering, levels to withdraw with the reason, and what would change the choice."""

    start: tuple[int, ...]
    stop: Mapping[int, str]
    wake: Wake


@quick
@dataclass(frozen=True, slots=True)
class Scope:
    """What entries are chosen from: places at work (first, one past the last), levels paid for, the neutral pivot.

    `base`: the first place that an infinite grid's opening purchase supplies.
    """

    window: tuple[int, int]
    funded: int
    pivot: int | None = None
    base: int | None = None


def choose_entries(
    plan: GridPlan, levels: list[Level], last_batch_at: datetime | None, view: View, scope: Scope, *, changed: Set[int]
) -> Choice:
    """Choose among the levels; `changed` are those that this step has already touched."""
    if not looks_at_price(plan.config):
        # `changed` is empty on the first step alone, when no level has entered yet.
        among = changed or range(len(levels))
        return Choice(tuple(i for i in among if isinstance(levels[i], Waiting)), {}, Wake())
    return _choose_by_price(plan, levels, last_batch_at, view, scope)


def looks_at_price(config: GridConfig) -> bool:
    """Whether a configuration starts and withdraws entries as the price moves; a plain grid wants all of them, always."""
    return (
        config.activation_bounds is not None
        or config.moves
        or config.infinite
        or config.max_open_orders is not None
        or config.max_orders_per_batch is not None
        or config.order_frequency > 0
        or config.initial_inventory == "none"
    )


def _choose_by_price(
    plan: GridPlan, levels: list[Level], last_batch_at: datetime | None, view: View, scope: Scope
) -> Choice:
    config, mid = plan.config, view.quote.mid
    first, end = scope.window
    stop: dict[int, str] = {}
    wake = Wake()
    able: list[int] = []
    for index, level in enumerate(levels):
        if isinstance(level, Holding) or index == plan.opening:
            continue
        inside = first <= index < end
        reason = _unarmed(plan, scope.pivot, index, level) or _out_of_bounds(plan, scope.pivot, index, mid)
        reason = reason or uncovered(plan, scope.base, index, level)
        if not inside or reason is not None:
            stop[index] = reason if inside and reason is not None else "outside the present range"
        else:
            able.append(index)
    wake = wake.meet(_arming_wake(plan, levels, view, scope)).meet(_bounds_wake(plan, levels, view, scope.pivot))
    able, unpaid, paid_wake = _pay(plan, levels, able, mid, scope)
    stop.update(dict.fromkeys(unpaid, "its money is bound in levels that the range has left"))
    able, capped, cap_wake = _cap(plan, levels, able, mid)
    for index in capped:
        stop[index] = f"max_open_orders {config.max_open_orders} is reached by nearer levels"
    start = [i for i in able if isinstance(levels[i], Waiting)]
    start, waiting, batch_wake = _batch(config, start, last_batch_at, view.now)
    for index, reason in waiting.items():
        stop[index] = reason
    # Only what changes is named: a level that already waits for this reason is left alone.
    stop = {i: reason for i, reason in stop.items() if not _waits_so(levels[i], reason)}
    return Choice(tuple(start), stop, wake.meet(paid_wake).meet(cap_wake).meet(batch_wake))


def _waits_so(level: Level, reason: str) -> bool:
    return isinstance(level, Waiting) and level.reason == reason


def _unarmed(plan: GridPlan, pivot: int | None, index: int, level: Level) -> str | None:
    if plan.config.initial_inventory != "none" or not isinstance(level, Waiting) or level.armed:
        return None
    way = "rise above" if line_at(plan, pivot, index).side is Side.BUY else "fall below"
    return f"waits for the price to {way} the level"


def _arming_wake(plan: GridPlan, levels: list[Level], view: View, scope: Scope) -> Wake:
    if plan.config.initial_inventory != "none":
        return Wake()
    wake = Wake()
    for index in range(*scope.window):
        level = levels[index]
        if not isinstance(level, Waiting) or level.armed:
            continue
        line = line_at(plan, scope.pivot, index)
        if line.side is Side.BUY and line.entry_price >= view.quote.ask:
            wake = wake.meet(Wake(high=line.entry_price))
        elif line.side is Side.SELL and line.entry_price <= view.quote.bid:
            wake = wake.meet(Wake(low=line.entry_price))
    return wake


def _out_of_bounds(plan: GridPlan, pivot: int | None, index: int, mid: Decimal) -> str | None:
    bound = plan.config.entry_bound
    if bound is None:
        return None
    line = line_at(plan, pivot, index)
    price = line.entry_price
    if (price >= mid * (ONE - bound)) if line.side is Side.BUY else (price <= mid * (ONE + bound)):
        return None
    # The reason names the bound, not the price: it must not change from tick to tick.
    return f"further than activation_bounds {bound} of the price away"


def _bounds_wake(plan: GridPlan, levels: list[Level], view: View, pivot: int | None) -> Wake:
    bound = plan.config.entry_bound
    if bound is None:
        return Wake()
    edges: dict[Side, list[Decimal]] = {Side.BUY: [], Side.SELL: []}
    for index, level in enumerate(levels):
        if not isinstance(level, Holding):
            line = line_at(plan, pivot, index)
            factor = ONE - bound if line.side is Side.BUY else ONE + bound
            edges[line.side].append(ratio(line.entry_price, factor))
    return between(edges[Side.BUY], view.quote.mid).meet(between(edges[Side.SELL], view.quote.mid))


def exits_in_reach(plan: GridPlan, view: View) -> tuple[tuple[int, int] | None, Wake]:
    """Return the places (first, one past the last) whose exits may rest under a pair of activation bounds."""
    bound = plan.config.exit_bound
    if bound is None:
        return None, Wake()
    # By the plan's prices, which ascend; a neutral grid's cells are bounded by their upper ends on both sides.
    mid, ends = view.quote.mid, [line.exit_price for line in plan.lines]
    first, end = bisect_left(ends, mid * (ONE - bound)), bisect_right(ends, mid * (ONE + bound))
    edges = sorted([*(ratio(one, ONE - bound) for one in ends), *(ratio(one, ONE + bound) for one in ends)])
    return (first, end), between(edges, mid)


def between(edges: list[Decimal], mid: Decimal) -> Wake:
    """Return the band around a price inside which it passes none of the ascending edges."""
    # Edges ascend with the levels; only the next one on each side can matter. One that the price stands on counts on
    # both sides: either way off it may change what is chosen.
    below, above = bisect_right(edges, mid) - 1, bisect_left(edges, mid)
    return Wake(low=edges[below] if below >= 0 else None, high=edges[above] if above < len(edges) else None)


def _pay(
    plan: GridPlan, levels: list[Level], able: list[int], mid: Decimal, scope: Scope
) -> tuple[list[int], list[int], Wake]:
    # A range that moved on left levels behind that still hold: what they cost is not there for new ones.
    if not plan.config.moves:
        return able, [], Wake()
    bound = sum(1 for level in levels if isinstance(level, Holding))
    room = max(scope.funded - bound, 0)
    return _nearest(plan, levels, able, mid, room)


def _cap(plan: GridPlan, levels: list[Level], able: list[int], mid: Decimal) -> tuple[list[int], list[int], Wake]:
    most = plan.config.max_open_orders
    return _nearest(plan, levels, able, mid, len(able) if most is None else most)


def _nearest(
    plan: GridPlan, levels: list[Level], able: list[int], mid: Decimal, most: int
) -> tuple[list[int], list[int], Wake]:
    ranked = sorted(able, key=lambda i: (not _started(levels[i]), abs(plan.lines[i].entry_price - mid), i))
    if len(ranked) <= most:
        return ranked, [], Wake()
    inside, outside = ranked[:most], ranked[most:]
    if not inside:
        return [], outside, Wake()  # only a fill makes room
    farthest = abs(plan.lines[inside[-1]].entry_price - mid)
    nearest = abs(plan.lines[outside[0]].entry_price - mid)
    # Each distance changes by at most the price's move, so the ranking holds for half the gap between the two.
    slack = max(nearest - farthest, ZERO) / 2
    return inside, outside, Wake(low=mid - slack, high=mid + slack)


def _started(level: Level) -> bool:
    # A partly filled entry keeps its place: giving it up would leave a remainder too small to exit.
    return isinstance(level, Entering) and level.bought > ZERO


def _batch(
    config: GridConfig, start: list[int], last_batch_at: datetime | None, now: datetime
) -> tuple[list[int], dict[int, str], Wake]:
    if not start:
        return start, {}, Wake()
    pause = timedelta(seconds=config.order_frequency)
    # One reason for the whole wait: a look before the next batch is due must change nothing.
    reason = (
        f"order_frequency: one batch every {config.order_frequency:g} s"
        if pause
        else f"max_orders_per_batch {config.max_orders_per_batch}: waits for the next batch"
    )
    if pause and last_batch_at is not None and now < last_batch_at + pause:
        return [], dict.fromkeys(start, reason), Wake(deadline=last_batch_at + pause)
    size = config.max_orders_per_batch
    if size is None or len(start) <= size:
        return start, {}, Wake()
    return start[:size], dict.fromkeys(start[size:], reason), Wake(deadline=now + pause)
