"""Backtests one ATR grid with its compiled kernel: the core's fills and figures, without its journal."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from core import atr_table as a
from core import grid_table as gt
from core.engine import BotSpec, Limits
from core.kernel import ArraySeries
from core.machines.atr_grid.config import AtrGridConfig
from core.market import TIMEFRAME_S
from core.values import ZERO
from tasks import kernel_native
from tasks.candles_resample import resample
from tasks.kernel_atr import Gauge, check_supported, gauge_of, parameters_of, tables_of, units_of
from tasks.kernel_lots import booked
from tasks.kernel_run import KernelRun, Room, Sums
from tasks.kernel_tables import Columns, refuse

_SAID = {
    gt.ROUNDING: "the price moves so far inside a bar that the division of its path rounds",
    a.BELOW_MINIMUM: "an order behind the touch is below the exchange's minimum and has to wait",
    a.CROWDED: "too many orders of one level are under way at once",
    a.NO_FUNDS: "the account cannot pay for an order (venues[].balances: more)",
    a.MIXED: "a lot was bought at more than two prices",
    a.STRANGE: "a lot, or an account, came to be as the kernel does not know it",
}
_NAMES = {seconds: name for name, seconds in TIMEFRAME_S.items()}
# Indicators of the candles last run over, by what they were made of: the configurations of a sweep share them.
_GAUGES_MOST = 8
_gauges: dict[tuple[int, int, bool], tuple[Columns, Gauge]] = {}


@dataclass(slots=True)
class AtrRun(KernelRun):
    """A finished run of the ATR grid's kernel."""

    counted: dict[str, Sums] = field(default_factory=dict[str, Sums])

    def own_sums(self) -> Sums:
        """Add the run up, fill by fill, as the core books them."""
        if not self.counted:
            mark = Decimal(int(self.columns.close[-1])).scaleb(-self.columns.scale)
            found = booked(self.fills(), mark, lambda _fill, _lot: False)
            fees = sum((fill.fee for fill in self.fills()), ZERO)
            self.counted["all"] = Sums(found.realized, found.grid_profit, found.floating, fees, found.trips, found.won)
        return self.counted["all"]


def run_atr(
    bot: AtrGridConfig, spec: BotSpec, columns: Columns, options: Any, limits: Limits, opening_quote: Decimal,
    room: Room | None = None, gauge: Gauge | None = None,
) -> AtrRun:  # fmt: skip
    """Run a made-ready ATR grid over columns at the right scale; raises `Refused` for what only the core can do.

    `gauge` holds indicators that began before the first bar; without it they begin with it.
    """
    check_supported(spec, limits, options)
    units = units_of(spec, columns.scale)
    gauge = shared_gauge(columns, spec) if gauge is None else gauge
    p = parameters_of(spec, options, units, columns, opening_quote)
    made = tables_of(bot.levels)
    tables = (p, made.scalars, made.levels, made.legs, made.lines, made.queue, made.due, made.news)
    room = Room() if room is None else room
    status = kernel_native.run_atr(columns.all, gauge.told_ms, gauge.table, tables, room.log)
    if status == gt.LOG_FULL:
        room.grow(int(made.scalars[a.S_FILLS]))
        status = kernel_native.run_atr(columns.all, gauge.told_ms, gauge.table, tables, room.log)
    if status != gt.DONE:
        raise refuse(_SAID[status])
    scalars = np.zeros(gt.SCALARS, dtype=np.int64)
    scalars[gt.S_VISITED] = made.scalars[a.S_VISITED]
    return AtrRun(bot, spec, options, columns, units, room.log[: made.scalars[a.S_FILLS]], scalars, made.levels)


def shared_gauge(columns: Columns, spec: BotSpec) -> Gauge:
    """Return the indicators of the candles that a bot decides by; raises `Refused` where those cannot be made."""
    config: AtrGridConfig = spec.plan.config
    wilder = config.atr_smoothing == "wilder"
    key = (id(columns), spec.plan.bar_s, wilder)
    if key not in _gauges:
        if len(_gauges) >= _GAUGES_MOST:
            _gauges.clear()
        made = gauge_of(bars_of(columns, spec.plan.bar_s), spec.plan.bar_s, columns.scale, wilder=wilder)
        _gauges[key] = columns, made  # with the columns, so that their id stays theirs
    return _gauges[key][1]


def bars_of(columns: Columns, bar_s: int) -> ArraySeries:
    """Return the finished candles of a length that lie in the columns."""
    series = ArraySeries(
        columns.ts, columns.open, columns.high, columns.low, columns.close, np.zeros_like(columns.ts),
        scale=columns.scale, volume_scale=0,
    )  # fmt: skip
    try:
        return resample(series, _NAMES[bar_s], source=columns.timeframe)
    except ValueError as fault:
        raise refuse(str(fault)) from None
