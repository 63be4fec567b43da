"""Changing the range or the money of a grid that runs, without closing it.

A place keeps its number, its cycles and what it holds; only its line is another one. What is held leaves at the exit that
was planned when it was bought. Entries that rest are withdrawn for new ones under the next cycle, so no leg is ever worked
for two lines.
"""

from dataclasses import replace

from core.config import PlanRefused
from core.machines.grid.config import GridPlan
from core.machines.grid.legs import exit_of, line_at
from core.machines.grid.machine import wants
from core.machines.grid.state import Entering, GridState, Holding, Level, Waiting
from core.orders import Leg

# What may differ between the old configuration and the new one. Kind, venue, symbol and side make another bot.
EDITABLE = frozenset({
    "start_price", "end_price", "limit_price", "total_amount_quote", "amount_base", "spacing", "levels",
    "min_spread_between_orders", "exit", "exit_from", "min_order_amount_quote", "max_open_orders", "max_orders_per_batch",
    "order_frequency", "activation_bounds", "safe_extra_spread", "coerce_tp_to_step", "keep_position", "on_range_exit",
    "trailing_up", "trailing_down", "max_resets", "reinvest", "bot_take_profit", "bot_stop_loss", "on_stop",
    "triple_barrier", "max_position_size", "max_drawdown", "max_slippage_bps",
})  # fmt: skip


def edited(old: GridPlan, new: GridPlan, state: GridState) -> GridState:
    """Return the state under the new plan.

    The caller applies `changes` to what is wanted, lets every level be written down anew, and asks the machine once without
    events, so that the new levels enter.

    Raises `PlanRefused` where a field changed that may not, or a place that still holds would be gone; with what works.
    """
    before, after = old.config.model_dump(), new.config.model_dump()
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key) and key not in EDITABLE:
            raise PlanRefused(
                key, f"{before.get(key)!r} cannot become {after.get(key)!r} while the bot runs; use another id"
            )
    if old.config.infinite and old.lines != new.lines:
        raise PlanRefused("start_price", "an infinite grid's sizes hang on the price at its start; use another id")
    if old.config.side == "NEUTRAL" and old.lines != new.lines:
        raise PlanRefused("start_price", "a NEUTRAL grid's cells stand on both sides of its start; use another id")
    if old.lines == new.lines:
        return state
    held = [index for index, level in enumerate(state.levels) if not isinstance(level, Waiting) and level.held > 0]
    if held and held[-1] >= len(new.lines):
        raise PlanRefused(
            "levels", f"level {held[-1]} still holds and {len(new.lines)} levels have no place for it; "
            f"{held[-1] + 1} work, or its lot closed first",
        )  # fmt: skip
    levels = tuple(_level(old, state, index) for index in range(len(new.lines)))
    return replace(state, levels=levels, window=None, reach=None)


def changes(old: GridPlan, before: GridState, new: GridPlan, after: GridState) -> dict[str, Leg | None]:
    """Say what an edit changes of what is wanted, as a step would: legs of the new plan, and None for those of old ones."""
    gone: dict[str, Leg | None] = dict.fromkeys(wants(old, before))
    return gone | wants(new, after)


def _level(old: GridPlan, state: GridState, index: int) -> Level:
    if index >= len(state.levels):
        return Waiting(0, armed=True)
    level = state.levels[index]
    if isinstance(level, Waiting):
        return Waiting(level.cycle + 1, armed=True)
    if isinstance(level, Entering) and level.held <= 0:
        return Waiting(level.cycle + 1, armed=True)
    leave = exit_of(line_at(old, state.pivot, index), level)
    return Holding(level.cycle, level.held, level.sold, level.since, leave)
