"""Lays out for the grid's kernel what its strategy says of prices and profits, in whole numbers: barriers, and who may enter."""

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from core import grid_table as gt
from core.machines.grid.window import ends_of
from core.series import exact_units

if TYPE_CHECKING:
    from core.machines.grid.config import GridConfig, GridPlan

NONE = {
    gt.LIMIT: 0, gt.KEEP: 0, gt.STOP_NUM: 0, gt.STOP_DEN: 0, gt.TRAIL_FROM: 0, gt.TRAIL_DELTA: 0, gt.TRAIL_DEN: 0,
    gt.BOT_STOP: -gt.FAR, gt.BOT_TAKE: gt.FAR, gt.RANGE_LOW: -gt.FAR, gt.RANGE_HIGH: gt.FAR, gt.RANGE_KEEPS: 0,
}  # fmt: skip


def barrier_values(plan: "GridPlan", price_scale: int, scale: int) -> dict[int, int]:
    """Return the parameters of a grid's barriers but its time limit; prices and sums in so many places."""
    config, barriers, found = plan.config, plan.config.triple_barrier, dict(NONE)
    if config.limit_price is not None:
        found |= {gt.LIMIT: exact_units(config.limit_price, price_scale), gt.KEEP: int(config.keep_position)}
    if barriers.stop_loss is not None:
        part = Fraction(barriers.stop_loss)
        found |= {gt.STOP_NUM: part.numerator, gt.STOP_DEN: part.denominator}
    if barriers.trailing_stop is not None:
        start, fall = Fraction(barriers.trailing_stop.activation), Fraction(barriers.trailing_stop.delta)
        whole = math.lcm(start.denominator, fall.denominator)
        found |= {gt.TRAIL_FROM: int(start * whole), gt.TRAIL_DELTA: int(fall * whole), gt.TRAIL_DEN: whole}
    if config.bot_stop_loss is not None:
        found[gt.BOT_STOP] = -_reached(config.bot_stop_loss, scale)
    if config.bot_take_profit is not None:
        found[gt.BOT_TAKE] = _reached(config.bot_take_profit, scale)
    if config.on_range_exit in {"close", "hold"}:
        low, high = (Fraction(end) * 10**price_scale for end in ends_of(plan, None))
        found |= {
            gt.RANGE_LOW: math.ceil(low) - 1, gt.RANGE_HIGH: math.floor(high) + 1,
            gt.RANGE_KEEPS: int(config.on_range_exit == "hold"),
        }  # fmt: skip
    return found | {gt.GUARDED: int(found != NONE)}


def choice_values(config: "GridConfig", levels: int) -> dict[int, int]:
    """Return the parameters that say which levels may work; all 0 where every one always may."""
    enter, leave = Fraction(config.entry_bound or 0), Fraction(config.exit_bound or 0)
    found = {
        gt.OPEN_MOST: _below(config.max_open_orders, levels), gt.BATCH_MOST: _below(config.max_orders_per_batch, levels),
        gt.BATCH_US: timedelta(seconds=config.order_frequency) // timedelta(microseconds=1),
        gt.ENTRY_NUM: enter.numerator, gt.ENTRY_DEN: 0 if config.entry_bound is None else enter.denominator,
        gt.EXIT_NUM: leave.numerator, gt.EXIT_DEN: 0 if config.exit_bound is None else leave.denominator,
    }  # fmt: skip
    chooses = (
        found[gt.OPEN_MOST] or found[gt.BATCH_MOST] or found[gt.BATCH_US] or found[gt.ENTRY_DEN] or found[gt.EXIT_DEN]
    )
    return found | {gt.CHOOSES: int(chooses > 0)}


def _below(most: int | None, levels: int) -> int:
    return most if most is not None and most < levels else 0


def _reached(amount: Decimal, scale: int) -> int:
    # The first whole number of units that is no less.
    return min(math.ceil(Fraction(amount) * 10**scale), gt.FAR - 1)
