"""Holds a finished run of the ATR grid's kernel, which knows no limit on the fall of equity, against those that are set."""

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from core import grid_table as gt
from core.engine import Limits
from core.market import TIMEFRAME_S
from core.series import ms_to_ts
from core.values import plain
from tasks import kernel_native
from tasks.kernel_tables import FEE_SCALE, Columns, Ints, refuse

if TYPE_CHECKING:
    from tasks.kernel_atr_run import AtrRun

# What of the capital floats may be off, and far more.
SLACK = 1e-7
_US = timedelta(microseconds=1)


def check_falls(made: "AtrRun", limits: Limits, path: int) -> None:
    """Raise `Refused` where equity comes so near to `max_drawdown`, of the bot or the account, that the engine might stop it.

    The engine's peak moves in steps of a thousandth of the capital: a fall so much short of a limit may be refused as well.
    """
    falls = {"max_drawdown": made.spec.max_drawdown, "risk.max_drawdown": limits.max_drawdown}
    known = [(most, name) for name, most in falls.items() if most is not None]
    if not known:
        return
    most, name = min(known)
    bar = _first_fall(made, float(1 - most), path)
    if bar >= 0:
        at = ms_to_ts(int(made.columns.ts[bar]))
        raise refuse(f"{name} of {plain(most)} may be reached in the candle of {at}")


def _first_fall(made: "AtrRun", keep: float, path: int) -> int:
    log, units, columns = made.log, made.units, made.columns
    futures = columns if made.beside is None else made.beside
    hedge = log[:, gt.FILL_EXIT] == 2
    buys = np.where(hedge, log[:, gt.FILL_LEVEL] != made.spec.plan.hedge_place, log[:, gt.FILL_EXIT] == 0)
    signed = np.where(buys, log[:, gt.FILL_QTY], -log[:, gt.FILL_QTY]) / 10.0**units.qty_scale
    cash = -signed * log[:, gt.FILL_PRICE] / 10.0**units.price_scale - log[:, gt.FILL_FEE] / 10.0**FEE_SCALE
    at = _points(log[:, gt.FILL_US], columns)
    if made.payments is not None:
        # Paid when a bar opens, and booked before its fills.
        count = len(made.payments.ms)
        at = np.append(4 * np.searchsorted(columns.ts, made.payments.ms, side="left"), at)
        order = np.argsort(at, kind="stable")
        at, hedge = at[order], np.append(np.zeros(count, dtype=np.bool_), hedge)[order]
        signed = np.append(np.zeros(count), signed)[order]
        cash = np.append(made.payments.amount / 10.0**FEE_SCALE, cash)[order]
    start = float(made.spec.capital_quote)
    return kernel_native.watch_atr(
        (columns, futures), path, at, _sums(np.where(hedge, 0.0, signed) / 10.0**columns.scale),
        _sums(np.where(hedge, signed, 0.0) / 10.0**futures.scale), start + _sums(cash), keep, SLACK * start,
    )  # fmt: skip


def _sums(parts: np.ndarray) -> np.ndarray:
    return np.append(0.0, np.cumsum(parts))


def _points(us: Ints, columns: Columns) -> Ints:
    # The point of the path at which the engine hears of a fill: the first at its time or after it, four a bar.
    seconds = TIMEFRAME_S[columns.timeframe]
    third_us = timedelta(seconds=seconds) / 3 // _US
    bar = np.searchsorted(columns.ts * 1000, us, side="right") - 1
    since = us - columns.ts[bar] * 1000
    ends = np.array([0, third_us, 2 * third_us, seconds * 1_000_000 - 1000])
    return 4 * bar + np.searchsorted(ends, since, side="left")
