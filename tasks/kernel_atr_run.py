"""Backtests one ATR grid with its compiled kernel: the core's fills and figures, without its journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from core import atr_table as a
from core import grid_table as gt
from core.engine import BotSpec, Limits
from core.facts import Fill
from core.kernel import ArraySeries
from core.lots import Lot, enlarge, reduce, unrealized
from core.machines.atr_grid.config import AtrGridConfig
from core.market import TIMEFRAME_S, Market
from core.orders import Role, client_id, leg_id
from core.values import ZERO, Side
from tasks import kernel_native
from tasks.candles_resample import resample
from tasks.equity import Line
from tasks.kernel_atr import Gauge, check_supported, check_touch, gauge_of, parameters_of, rates_of, tables_of, units_of
from tasks.kernel_atr_limits import check_falls
from tasks.kernel_funding import Due, Payments, merged
from tasks.kernel_lots import booked
from tasks.kernel_run import KernelRun, Room, Sums, line_in
from tasks.kernel_tables import FEE_SCALE, Columns, Ints, refuse

# What FILL_EXIT of the log says.
ENTRY, EXIT, HEDGE = range(3)
_ROLES = (Role.ENTRY, Role.EXIT, Role.HEDGE)
_EPOCH = datetime(1970, 1, 1)
_SAID = {
    gt.ROUNDING: "the price moves so far inside a bar that the division of its path rounds",
    a.BELOW_MINIMUM: "an order behind the touch is below the exchange's minimum and has to wait",
    a.CROWDED: "too many orders of one level are under way at once",
    a.NO_FUNDS: "the account cannot pay for an order (venues[].balances: more)",
    a.MIXED: "a lot was bought at several prices, and their average is too fine",
    a.LIQUIDATED: "the short may be liquidated",
    a.STRANGE: "late fills of an earlier short or lot, one closed and opened again at once, or an account that grows eightfold",
}
_NAMES = {seconds: name for name, seconds in TIMEFRAME_S.items()}
# Indicators of the candles last run over, by what they were made of: the configurations of a sweep share them.
_GAUGES_MOST = 8
_gauges: dict[tuple[int, int, bool], tuple[Columns, Gauge]] = {}


@dataclass(slots=True)
class AtrRun(KernelRun):
    """A finished run of the ATR grid's kernel; `beside` are the columns of the hedge's market, if there is one."""

    beside: Columns | None = None
    counted: list[Sums] = field(default_factory=list[Sums])

    def fills(self) -> list[Fill]:
        """Build the fills as the core reports them; those of the hedge are of its own market."""
        return [_fill(self, row) for row in self.log.tolist()]

    def own_sums(self) -> Sums:
        """Add the run up, fill by fill, as the core books them."""
        if not self.counted:
            self.counted.append(_sums(self))
        return self.counted[0]

    def lines(self) -> list[Line]:
        """Return what was traded along the bars, in the spot market and, with a hedge, in that of the futures."""
        hedge = self.log[:, gt.FILL_EXIT] == HEDGE
        futures = self.log[hedge]
        # Funding moves the cash of the first line, as the core counts it.
        spot = self.log[~hedge] if self.payments is None else self.payments.log
        lines = [line_in(self, spot, spot[:, gt.FILL_EXIT] == 0, self.columns, self.spec.capital_quote)]
        if self.beside is not None:
            bought = futures[:, gt.FILL_LEVEL] != self.spec.plan.hedge_place
            lines.append(line_in(self, futures, bought, self.beside, ZERO))
        return lines


def run_atr(
    bot: AtrGridConfig, spec: BotSpec, columns: Columns, options: Any, limits: Limits, opening_quote: Decimal,
    room: Room | None = None, beside: Sequence[tuple[Columns, Decimal]] = (),
    rates: Mapping[Market, Due] | None = None, gauge: Gauge | None = None,
) -> AtrRun:  # fmt: skip
    """Run a made-ready ATR grid over columns at the right scale; raises `Refused` for what only the core can do.

    `beside` holds the columns of the hedge's market and what its account opens with, `rates` the funding that falls due
    there; `gauge` indicators that began before the first bar, which without it they begin with.
    """
    check_supported(spec, options)
    if len(beside) != len(spec.others):
        raise refuse("the hedge's market has no candles")
    futures, opening_2 = beside[0] if beside else (columns, ZERO)
    if not np.array_equal(futures.ts, columns.ts):
        raise refuse("candles are missing in one of the markets")
    check_touch(spec, options, [columns, futures][: len(spec.instruments)])
    units = units_of(spec, columns.scale)
    due = None if rates is None or not spec.others else rates.get(spec.others[0].market)
    gauge = shared_gauge(columns, spec) if gauge is None else gauge
    try:
        p = parameters_of(spec, options, units, columns, opening_quote, opening_2, due, limits)
    except (ValueError, OverflowError) as fault:
        raise refuse(str(fault)) from None
    made = tables_of(bot.levels, rates_of(due))
    room = Room() if room is None else room

    def play() -> int:
        return kernel_native.run_atr(
            (*columns.all, *futures.all[1:]), gauge.told_ms, gauge.table, (p, *made.all), room.log
        )

    status = play()
    if status == gt.LOG_FULL:
        room.grow(int(made.scalars[a.S_FILLS]))
        status = play()
    if status != gt.DONE:
        raise refuse(_SAID[status])
    scalars = np.zeros(gt.SCALARS, dtype=np.int64)
    scalars[gt.S_VISITED] = made.scalars[a.S_VISITED]
    log = room.log[: made.scalars[a.S_FILLS]]
    finished = AtrRun(
        bot, spec, options, columns, units, log, scalars, made.levels, beside=beside[0][0] if beside else None
    )
    if due is not None:
        finished.payments = _paid(finished, due, made.rates[a.R_PAID])
    check_falls(finished, limits, int(p[a.PATH]))
    return finished


def _paid(made: AtrRun, due: Due, amounts: Ints) -> Payments | None:
    some = np.flatnonzero(amounts)
    if not len(some):
        return None
    spot = made.log[made.log[:, gt.FILL_EXIT] != HEDGE]
    return Payments(due.ms[some], amounts[some], merged(spot, made.columns, due.ms[some], amounts[some]))


def _fill(made: AtrRun, row: list[int]) -> Fill:
    place, exits, units = row[gt.FILL_LEVEL], row[gt.FILL_EXIT], made.units
    one = made.spec.others[0] if exits == HEDGE else made.spec.instrument
    buys = exits == ENTRY or (exits == HEDGE and place != made.spec.plan.hedge_place)
    leg = leg_id(_ROLES[exits], place, row[gt.FILL_CYCLE])
    return Fill(
        venue=one.venue, symbol=one.symbol, trade_id=str(row[gt.FILL_TRADE]),
        client_id=client_id(made.bot.id, made.spec.token, leg, row[gt.FILL_ATTEMPT]), side=Side.BUY if buys else Side.SELL,
        price=Decimal(row[gt.FILL_PRICE]).scaleb(-units.price_scale), qty=Decimal(row[gt.FILL_QTY]).scaleb(-units.qty_scale),
        fee=Decimal(row[gt.FILL_FEE]).scaleb(-FEE_SCALE), fee_asset=one.quote,
        ts=_EPOCH + timedelta(microseconds=row[gt.FILL_US]), maker=row[gt.FILL_MAKER] == 1,
    )  # fmt: skip


def _sums(made: AtrRun) -> Sums:
    # The spot market as any kernel's; a hedge's sales open one lot, its purchases close it.
    fills, spot = made.fills(), made.spec.instrument.market
    found = booked(
        [fill for fill in fills if (fill.venue, fill.symbol) == spot], _mark(made.columns), lambda _fill, _lot: False
    )
    realized, floating, trips, won = found.realized, found.floating, found.trips, found.won
    lot: Lot | None = None
    for fill in fills:
        if (fill.venue, fill.symbol) == spot:
            continue
        if fill.side is Side.SELL:
            lot = enlarge(lot, Role.HEDGE.value, made.bot.id, fill, fill.qty, fill.fee)
        elif lot is not None:
            lot = reduce(lot, fill.price, fill.qty, fill.fee, Role.HEDGE, fill.ts)
            if not lot.open:
                realized, trips, won = realized + lot.realized, trips + 1, won + (lot.realized > lot.fees)
                lot = None
    if lot is not None and made.beside is not None:
        realized, floating = realized + lot.realized, floating + unrealized(lot, _mark(made.beside))
    return Sums(
        realized, found.grid_profit, floating, sum((fill.fee for fill in fills), ZERO), trips, won, made.funding
    )


def _mark(columns: Columns) -> Decimal:
    return Decimal(int(columns.close[-1])).scaleb(-columns.scale)


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
