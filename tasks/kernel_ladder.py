"""Backtests one ladder with the compiled kernel: the core's fills and figures, or a refusal that names what it does not do."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from core import grid_table as gt
from core import ladder_kernel as lk
from core.engine import BotSpec, Limits
from core.machines.ladder.config import LadderConfig, LadderPlan
from core.market import Market
from core.series import exact_units, places
from core.values import ONE, total
from tasks import kernel_native
from tasks.kernel_funding import Due, pay
from tasks.kernel_limits import check_drawdown
from tasks.kernel_money import check_money
from tasks.kernel_run import KernelRun, Room, finished
from tasks.kernel_tables import (
    Columns,
    Ints,
    Units,
    check_account,
    check_range,
    market_values,
    rank_by_name,
)


def units_of(spec: BotSpec, series_scale: int) -> Units:
    """Return the units in which every price and quantity of a ladder and its candles is a whole number."""
    plan: LadderPlan = spec.plan
    instrument = spec.instrument
    prices = [instrument.tick_size, plan.offset_buy, plan.offset_sell]
    return Units(max(series_scale, *map(places, prices)), max(places(instrument.lot_step), places(instrument.min_qty)))


def run_ladder(
    bot: LadderConfig, spec: BotSpec, columns: Columns, options: Any, limits: Limits, opening_quote: Decimal,
    room: Room | None = None, rates: Mapping[Market, Due] | None = None,
) -> KernelRun:  # fmt: skip
    """Run a made-ready ladder over columns at the right scale; raises `Refused` for what only the core can do.

    `rates` is the funding that falls due over the columns.
    """
    plan: LadderPlan = spec.plan
    # A ladder sends nothing at the market, so nothing of it slips.
    check_account(spec, limits, options, total(one.qty for one in plan.trades), spec.capital_quote, slips_most=ONE)
    units = units_of(spec, columns.scale)
    g = levels_of(plan, units)
    p = parameters_of(spec, options, units, columns, g)
    s = np.zeros(gt.SCALARS, dtype=np.int64)
    due = np.empty((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
    log = finished(lambda log: kernel_native.run_ladder(columns.all, p, s, g, due, log), s, room)
    made = KernelRun(bot, spec, options, columns, units, log, s, g)
    pay(made, rates)
    check_drawdown(made, limits, p)
    check_money(made, opening_quote, spec.capital_quote)
    return made


def levels_of(plan: LadderPlan, units: Units) -> Ints:
    """Return the kernel's table of trades, with the given rows filled in."""
    table = np.zeros((lk.LADDER_ROWS, len(plan.trades)), dtype=np.int64)
    table[gt.BID] = [exact_units(one.entry_price, units.price_scale) for one in plan.trades]
    table[gt.ASK] = [exact_units(one.exit_price, units.price_scale) for one in plan.trades]
    table[gt.QTY] = [exact_units(one.qty, units.qty_scale) for one in plan.trades]
    rank_by_name(table)
    return table


def parameters_of(spec: BotSpec, options: Any, units: Units, candles: Columns, levels: Ints) -> Ints:
    """Return the kernel's parameters for a table of trades; raises `Refused` where they would not fit 64 bits."""
    plan: LadderPlan = spec.plan
    values = market_values(spec, options, units, candles.timeframe)
    check_range(values, units, candles, levels)
    values |= {
        lk.OFFSET_BUY: exact_units(plan.offset_buy, units.price_scale),
        lk.OFFSET_SELL: exact_units(plan.offset_sell, units.price_scale),
        lk.WAITS: int(plan.config.above_market == "wait"),
        lk.LOOPS: int(plan.config.loop),
    }
    return np.array([values[i] for i in range(lk.LADDER_PARAMETERS)], dtype=np.int64)
