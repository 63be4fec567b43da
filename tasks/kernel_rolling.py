"""Backtests one rolling grid with the compiled kernel: the core's fills and figures, or a refusal that names what it lacks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
from core.stuck import reachable_distance
from core.values import ONE, ZERO, Side, exact_product
from tasks import kernel_native
from tasks.kernel_funding import pay
from tasks.kernel_limits import check_drawdown
from tasks.kernel_money import check_money
from tasks.kernel_run import STATUS, KernelRun, Room, Sums, finished
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
    rt.NO_ROOM: "too many orders of a place are called back at once",
    rt.LATE_ENTRY: "an entry that was given up is filled when its place holds two lots already, or rungs",
    rt.OVERSOLD: "an exit closes more than is held",
}
_MODES = {"none": rt.WAITS, "aggressive": rt.AT_MARKET, "ladder": rt.BY_RUNGS}
_MINUTE_US = 60_000_000
# A share of a fee is floored to 18 decimals, in steps that fit 64 bits below this whole.
_WHOLE_MOST = 10**13
_DECIMALS = 18


@dataclass(slots=True)
class RollingRun(KernelRun):
    """A finished run: lots were closed in parts, some perhaps with everything, and the kernel kept their books."""

    def own_sums(self) -> Sums:
        """Add it up."""
        s, units = self.scalars, self.units
        profit, unwound = int(s[gt.S_PROFIT]), int(s[rt.R_UNWOUND])
        mark = int(self.columns.close[-1]) * 10 ** (units.price_scale - self.columns.scale)
        floating = (mark * int(s[gt.S_INVENTORY]) - int(s[gt.S_COST])) * (-1 if self.short else 1)
        return Sums(
            self.amount(profit * units.cost_mul), self.amount((profit - unwound) * units.cost_mul),
            self.amount(floating * units.cost_mul), self.amount(int(s[gt.S_PAID]) * units.fee_mul),
            int(s[gt.S_TRIPS]), int(s[gt.S_WON]), self.funding,
        )  # fmt: skip


def units_of(spec: BotSpec, series_scale: int) -> Units:
    """Return the units in which every price and quantity of a rolling grid and its candles is a whole number."""
    plan: RollingGridPlan = spec.plan
    prices = [spec.instrument.tick_size, plan.config.pause_price or ZERO, plan.config.stop_price or ZERO]
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
    # Twice, for entries that were given up may be filled beside those that took their places.
    check_account(spec, limits, options, 2 * bot.quantity * bot.max_orders, plan.bound_quote)
    units = units_of(spec, columns.scale)
    g = levels_of(plan, units)
    p = parameters_of(spec, options, units, columns, g)
    s = np.zeros(rt.ROLLING_SCALARS, dtype=np.int64)

    def run(log: Ints) -> int:
        due = np.empty((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
        return kernel_native.run_rolling(columns.all, p, s, g, due, log)

    def run_wider(log: Ints) -> int:
        nonlocal g
        status = run(log)
        if status == rt.NO_ROOM and g.shape[1] == 3 * bot.max_orders:
            # More orders of a place live at once than was to be expected.
            g = levels_of(plan, units, ladders=True)
            status = run(log)
        return status

    log = finished(run_wider, s, room, _ENDS)
    made = RollingRun(bot, spec, options, columns, units, log, s, g)
    _check_budget(made, int(p[rt.BUDGET_NUM] + p[rt.BUDGET_DEN]))
    pay(made, rates)
    check_drawdown(made, limits, p)
    check_money(made, opening_quote, plan.bound_quote)
    return made


def levels_of(plan: RollingGridPlan, units: Units, *, ladders: bool | None = None) -> Ints:
    """Return the kernel's table of places, with the given rows filled in.

    `ladders`: with columns for lots that leave in parts, and more orders that are called back; None: where those are likely.
    """
    config = plan.config
    most = config.max_orders
    if ladders is None:
        far = None if plan.stop_loss is None else reachable_distance(plan.take_profit, plan.stop_loss, plan.side)
        parts = config.recovery_mode == "ladder" or config.recovery_loss_budget is not None
        ladders = parts and (far is None or config.stuck_distance < far)
    # Of each place a ladder that rests, its rest at the target included, and as many orders that are called back.
    rungs = 2 * most * (len(config.recovery_rungs) + 1) if ladders else 0
    table = np.zeros((rt.ROLLING_ROWS, 3 * most + rungs), dtype=np.int64)
    table[gt.QTY, : 3 * most] = exact_units(config.quantity, units.qty_scale)
    rank_by_name(table[:, :most])
    return table


def _check_budget(made: RollingRun, share: int) -> None:
    # What a loss budget is reckoned in must fit 64 bits, for as many fills as there were.
    value_most = 4 * made.columns.highest * int(made.levels[gt.QTY].max()) * made.units.cost_mul
    if (len(made.log) + 1) * value_most * share >= INT_MAX:
        raise refuse("recovery_loss_budget with so many and so fine amounts does not fit 64 bits")


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
        rt.TIMEOUT_US: config.position_timeout_minutes * _MINUTE_US,
        rt.BOUND_QUOTE: math.floor(Fraction(plan.bound_quote) * 10**value_scale),
        rt.STEP_MS: TIMEFRAME_S[candles.timeframe] * 1000, rt.PAUSE: 0, rt.BACK: 0,
        rt.PLACES: most, rt.LOT_STEP: exact_units(spec.instrument.lot_step, units.qty_scale),
        rt.FINE: 10 ** max(_DECIMALS - units.scale, 0), rt.UNBOUNDED: int(config.price_source == "last"),
    }  # fmt: skip
    values |= _stop_of(plan, units) | _recovery_of(plan, candles.highest * values[gt.TICK])
    if units.scale > _DECIMALS or 2 * most * int(levels[gt.QTY, 0]) >= _WHOLE_MOST:
        raise refuse("quantity with so fine lots does not fit 64 bits")
    if config.pause_price is not None:
        part, unit = config.pause_hysteresis, 10**units.price_scale
        back = Fraction(exact_product(config.pause_price, ONE - part if spec.long else ONE + part)) * unit
        values[rt.PAUSE] = exact_units(config.pause_price, units.price_scale)
        values[rt.BACK] = math.floor(back) if spec.long else math.ceil(back)
    if max(values[rt.BOUND_QUOTE], values[rt.COOL_TWICE], values[rt.BACK], values[rt.STOP_BACK]) >= INT_MAX:
        raise refuse("max_margin with so fine prices and quantities does not fit 64 bits")
    return np.array([values[i] for i in range(rt.ROLLING_PARAMETERS)], dtype=np.int64)


def _stop_of(plan: RollingGridPlan, units: Units) -> dict[int, int]:
    stop, part, unit = plan.config.stop_price, plan.config.pause_hysteresis, 10**units.price_scale
    if stop is None:
        return {rt.STOP_AT: 0, rt.STOP_BACK: 0, rt.STOP_FALLS: 0}
    falls = plan.stops_below
    back = Fraction(exact_product(stop, ONE + part if falls else ONE - part)) * unit
    return {
        rt.STOP_AT: exact_units(stop, units.price_scale), rt.STOP_FALLS: int(falls),
        rt.STOP_BACK: math.ceil(back) if falls else math.floor(back),
    }  # fmt: skip


def _recovery_of(plan: RollingGridPlan, price_most: int) -> dict[int, int]:
    config, sign = plan.config, 1 if plan.side is Side.BUY else -1
    budget = config.recovery_loss_budget
    share = Fraction(0) if budget is None else Fraction(budget)
    rungs = [Fraction(ONE + one * sign) for one in config.recovery_rungs]
    whole = math.lcm(*(rung.denominator for rung in rungs))
    if 4 * price_most * whole >= INT_MAX:
        raise refuse("recovery_rungs with so fine prices do not fit 64 bits")
    found = {
        rt.MODE: _MODES[config.recovery_mode], rt.ESCALATES: int(config.recovery_escalation == "market"),
        rt.PATIENCE_US: config.recovery_patience_minutes * _MINUTE_US,
        rt.ESCALATE_US: config.recovery_escalation_minutes * _MINUTE_US,
        rt.BUDGET_NUM: share.numerator, rt.BUDGET_DEN: 0 if budget is None else share.denominator,
        rt.RUNGS: len(rungs), rt.RUNG_DEN: whole,
    }  # fmt: skip
    return found | {rt.RUNG_NUM + k: int(rungs[k] * whole) if k < len(rungs) else 0 for k in range(rt.RUNGS_MOST)}


def _fractions(plan: RollingGridPlan, price_most: int) -> dict[int, int]:
    # What prices are multiplied by, as numerator and denominator: sums as the core rounds them, products exact.
    config, sign = plan.config, 1 if plan.side is Side.BUY else -1
    target = ONE + plan.take_profit * sign
    entered = exact_product(target, ONE + config.grid_step) if sign > 0 else ONE + config.grid_step
    step = 1 / Fraction(entered) if sign > 0 else Fraction(entered) / Fraction(target)
    # Without a hedge's market an escalation to one is an alert.
    lost = config.recovery_mode != "none" or config.recovery_escalation == "market"
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
