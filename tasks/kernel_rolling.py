"""Backtests one rolling grid with the compiled kernel: the core's fills and figures, or a refusal that names what it lacks.

Lots that get stuck are the core's to recover: a run in which one does is refused, unless `recovery_mode: none` leaves it be.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from core import grid_table as gt
from core import rolling_table as rt
from core.engine import BotSpec, Limits
from core.machines.rolling_grid.config import RollingGridConfig, RollingGridPlan
from core.machines.rolling_grid.entries import cooldown_s
from core.market import TIMEFRAME_S
from core.series import exact_units, places
from core.values import ONE, ZERO, Side, exact_product
from tasks import kernel_native
from tasks.kernel_funding import pay
from tasks.kernel_limits import check_drawdown
from tasks.kernel_money import check_money
from tasks.kernel_run import STATUS, KernelRun, Room, finished
from tasks.kernel_tables import (
    INT_MAX,
    Columns,
    Ints,
    Units,
    check_account,
    check_range,
    market_values,
    rank_by_name,
    refuse,
    to_us,
)

_ENDS = {
    **STATUS,
    rt.STUCK: "a lot gets stuck, and recovery_mode begins to recover it",
    rt.LATE_ENTRY: "an entry that was given up is filled when its place holds two lots already, or ends after the next one",
    rt.BOUND: "an entry would pass max_margin x leverage and has to wait",
}


def units_of(spec: BotSpec, series_scale: int) -> Units:
    """Return the units in which every price and quantity of a rolling grid and its candles is a whole number."""
    plan: RollingGridPlan = spec.plan
    prices = [spec.instrument.tick_size, plan.config.pause_price or ZERO]
    sizes = [spec.instrument.lot_step, spec.instrument.min_qty]
    return Units(max(series_scale, *map(places, prices)), max(map(places, sizes)))


def run_rolling(
    bot: RollingGridConfig, spec: BotSpec, columns: Columns, options: Any, limits: Limits, opening_quote: Decimal,
    room: Room | None = None, *, beside: Sequence[Any] = (), rates: Any = None,
) -> KernelRun:  # fmt: skip
    """Run a made-ready rolling grid over columns at the right scale; raises `Refused` for what only the core can do.

    `beside` would be the candles of its hedges; `rates` is the funding that falls due over the columns.
    """
    plan: RollingGridPlan = spec.plan
    if bot.hedges or beside:
        raise refuse("recovery_mode or recovery_escalation: hedge is set")
    if bot.stop_price is not None:
        raise refuse("stop_price is set")
    # Twice, for entries that were given up may be filled beside those that took their places.
    check_account(spec, limits, options, 2 * bot.quantity * bot.max_orders, plan.bound_quote)
    units = units_of(spec, columns.scale)
    g = levels_of(plan, units)
    p = parameters_of(spec, options, units, columns, g)
    s = np.zeros(rt.ROLLING_SCALARS, dtype=np.int64)
    due = np.empty((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
    log = finished(lambda log: kernel_native.run_rolling(columns.all, p, s, g, due, log), s, room, _ENDS)
    made = KernelRun(bot, spec, options, columns, units, log, s, g)
    pay(made, rates)
    check_drawdown(made, limits, p)
    check_money(made, opening_quote, plan.bound_quote)
    return made


def levels_of(plan: RollingGridPlan, units: Units) -> Ints:
    """Return the kernel's table of places, with the given rows filled in."""
    table = np.zeros((rt.ROLLING_ROWS, 3 * plan.config.max_orders), dtype=np.int64)
    table[gt.QTY] = exact_units(plan.config.quantity, units.qty_scale)
    rank_by_name(table[:, : plan.config.max_orders])
    return table


def parameters_of(spec: BotSpec, options: Any, units: Units, candles: Columns, levels: Ints) -> Ints:
    """Return the kernel's parameters; raises `Refused` where they would not fit 64 bits."""
    plan: RollingGridPlan = spec.plan
    config = plan.config
    values = market_values(spec, options, units, candles.timeframe)
    check_range(values, units, candles, levels)
    most = config.max_orders
    # How many places are taken decides; these are the fullest of each step.
    waits = [cooldown_s(config.wait_time, lots, 6 * most) for lots in (0, most, 2 * most, 4 * most)]
    value_scale = units.price_scale + units.qty_scale
    values |= _fractions(plan, candles.highest * values[gt.TICK]) | {
        rt.AWAY: config.post_only_ticks * values[gt.TICK],
        rt.COOL_LEAST: to_us(waits[0]), rt.COOL_HALF: to_us(waits[1]),
        rt.COOL_ONCE: to_us(waits[2]), rt.COOL_TWICE: to_us(waits[3]),
        rt.REQUOTE_US: to_us(config.requote_after), rt.REQUOTES: config.requotes,
        rt.TIMEOUT_US: config.position_timeout_minutes * 60_000_000,
        rt.BOUND_QUOTE: math.floor(Fraction(plan.bound_quote) * 10**value_scale),
        rt.STEP_MS: TIMEFRAME_S[candles.timeframe] * 1000, rt.PAUSE: 0, rt.BACK: 0,
    }  # fmt: skip
    if config.pause_price is not None:
        part, unit = config.pause_hysteresis, 10**units.price_scale
        back = Fraction(exact_product(config.pause_price, ONE - part if spec.long else ONE + part)) * unit
        values[rt.PAUSE] = exact_units(config.pause_price, units.price_scale)
        values[rt.BACK] = math.floor(back) if spec.long else math.ceil(back)
    if max(values[rt.BOUND_QUOTE], values[rt.COOL_TWICE], values[rt.BACK]) >= INT_MAX:
        raise refuse("max_margin with so fine prices and quantities does not fit 64 bits")
    return np.array([values[i] for i in range(rt.ROLLING_PARAMETERS)], dtype=np.int64)


def _fractions(plan: RollingGridPlan, price_most: int) -> dict[int, int]:
    # What prices are multiplied by, as numerator and denominator: sums as the core rounds them, products exact.
    config, sign = plan.config, 1 if plan.side is Side.BUY else -1
    target = ONE + plan.take_profit * sign
    entered = exact_product(target, ONE + config.grid_step) if sign > 0 else ONE + config.grid_step
    step = 1 / Fraction(entered) if sign > 0 else Fraction(entered) / Fraction(target)
    lost = config.recovery_mode != "none" or config.recovery_escalation != "alert"
    parts = {
        (rt.TARGET_NUM, rt.TARGET_DEN): Fraction(target),
        (rt.LOSS_NUM, rt.LOSS_DEN): None if plan.stop_loss is None else Fraction(ONE - plan.stop_loss * sign),
        (rt.STUCK_NUM, rt.STUCK_DEN): Fraction(ONE - config.stuck_distance * sign) if lost else None,
        (rt.STEP_NUM, rt.STEP_DEN): step,
    }
    found: dict[int, int] = {}
    for (num, den), part in parts.items():
        found[num], found[den] = (0, 0) if part is None else (part.numerator, part.denominator)
    if 4 * price_most * max(found.values()) >= INT_MAX:
        raise refuse("take_profit, stop_loss, stuck_distance or grid_step with so fine prices does not fit 64 bits")
    return found
