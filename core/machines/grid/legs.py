"""What a level wants worked: its entry, its exit, at which price and size. Rule: every leg of a grid is made here."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.machines.grid.config import GridLine, GridPlan
from core.machines.grid.infinity import behind, opening_price, share_of
from core.machines.grid.state import Closing, Entering, GridState, Holding, Level, Phase, Running, Waiting, lot_name
from core.orders import Kind, Leg, Role, leg_id
from core.values import ONE, ZERO, ratio


def line_at(plan: GridPlan, pivot: int | None, index: int) -> GridLine:
    """Return the line of a place; a neutral grid's lines from its pivot up are traded the other way round."""
    line = plan.lines[index]
    return line if pivot is None or index < pivot else line.mirrored


def size_of(line: GridLine, level: Level) -> Decimal:
    """Base quantity of the level's present cycle."""
    return level.qty if isinstance(level, Entering) and level.qty is not None else line.qty


def shown_of(plan: GridPlan, grid: GridState, index: int) -> GridLine:
    """Return the prices and the size of a place as they are now."""
    line, level = line_at(plan, grid.pivot, index), grid.levels[index]
    if grid.base is None:
        leave, qty = exit_of(line, level), size_of(line, level)
        return line if leave is line.exit_price and qty is line.qty else replace(line, exit_price=leave, qty=qty)
    if index == plan.opening:
        qty = size_of(line, level) if isinstance(level, Entering) else held_of(plan, grid, index)
        return replace(line, entry_price=opening_price(plan, grid), qty=qty)
    return replace(line, qty=share_of(plan, grid, index))


def held_of(plan: GridPlan, grid: GridState, index: int) -> Decimal:
    """Base quantity that a place holds; of an infinite grid's opening purchase what no level offers."""
    level = grid.levels[index]
    if isinstance(level, Waiting):
        return ZERO
    return behind(plan, grid, list(grid.levels)) if index == plan.opening else level.held


def exit_of(line: GridLine, level: Level) -> Decimal:
    """Where the level exits what it holds."""
    return line.exit_price if isinstance(level, Waiting) or level.exit_price is None else level.exit_price


def exit_after_fills(plan: GridPlan, bought: Decimal, spent: Decimal) -> Decimal | None:
    """Return the exit at the take profit from the mean price paid, rounded away from it; None where the level's own holds."""
    profit = plan.config.triple_barrier.take_profit
    if plan.config.exit_from != "fill" or profit is None or bought <= ZERO:
        return None
    if plan.config.side == "SELL":
        return plan.instrument.floor_price(ratio(spent * (ONE - profit), bought))
    return plan.instrument.ceil_price(ratio(spent * (ONE + profit), bought))


def legs_of(plan: GridPlan, index: int, level: Level, phase: Phase, grid: GridState) -> dict[str, Leg | None]:
    """Say of both legs of a level whether they are wanted."""
    entry_id, exit_id = leg_id(Role.ENTRY, index, level.cycle), leg_id(Role.EXIT, index, level.cycle)
    if isinstance(level, Waiting):
        return {entry_id: None, exit_id: None}
    line = line_at(plan, grid.pivot, index)
    if index == plan.opening:
        return _opening_legs(plan, line, level, phase, grid)
    leave = _leave(plan, line, index, level, phase, grid.reach)
    if isinstance(level, Holding):
        return {entry_id: None, exit_id: leave}
    return {entry_id: _entry(plan, line, index, level), exit_id: leave}


def _opening_legs(
    plan: GridPlan, line: GridLine, level: Entering | Holding, phase: Phase, grid: GridState
) -> dict[str, Leg | None]:
    # Levels offer what it bought; its own exit is wanted where the grid closes at a limit, for what no level has.
    index = plan.opening
    entry_id, exit_id = leg_id(Role.ENTRY, index, level.cycle), leg_id(Role.EXIT, index, level.cycle)
    priced = replace(line, entry_price=opening_price(plan, grid))
    entry = _entry(plan, priced, index, level) if isinstance(level, Entering) else None
    rest = replace(level, held=held_of(plan, grid, index))
    leave = _leave(plan, line, index, rest, phase, None) if isinstance(phase, Closing) else None
    return {entry_id: entry, exit_id: leave}


def _leave(
    plan: GridPlan, line: GridLine, index: int, level: Entering | Holding, phase: Phase, reach: tuple[int, int] | None
) -> Leg | None:
    if isinstance(phase, Running):
        if reach is not None and not reach[0] <= index < reach[1]:
            return None
        return _exit(plan, line, index, level)
    if isinstance(phase, Closing) and phase.limit is not None:
        leg = _exit(plan, line, index, level)
        return None if leg is None else replace(leg, price=phase.limit, post_only=False)
    return None


def _entry(plan: GridPlan, line: GridLine, index: int, level: Entering) -> Leg:
    instrument = plan.instrument
    return Leg(
        leg_id=leg_id(Role.ENTRY, index, level.cycle), venue=instrument.venue, symbol=instrument.symbol,
        side=line.side, role=Role.ENTRY, kind=Kind.LIMIT, qty=size_of(line, level), price=line.entry_price,
        post_only=not level.at_market and plan.config.triple_barrier.open_order_type != "LIMIT",
        lot_id=lot_name(index, level.cycle),
    )  # fmt: skip


def _exit(plan: GridPlan, line: GridLine, index: int, level: Entering | Holding) -> Leg | None:
    instrument = plan.instrument
    cycle, sold = level.cycle, level.sold
    left = instrument.floor_qty(level.held)
    if left <= ZERO:
        return None
    return Leg(
        leg_id=leg_id(Role.EXIT, index, cycle), venue=instrument.venue, symbol=instrument.symbol,
        side=line.side.opposite, role=Role.EXIT, kind=Kind.LIMIT, qty=sold + left, price=exit_of(line, level),
        post_only=plan.config.triple_barrier.take_profit_order_type != "LIMIT", reduce_only=instrument.swap,
        lot_id=lot_name(index, cycle),
    )  # fmt: skip


def since_of(phase: Phase, started_at: datetime) -> datetime:
    """When the grid began to trade: its first tick, or the moment of its trigger."""
    return max(started_at, phase.since) if isinstance(phase, Running) else started_at
