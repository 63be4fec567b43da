"""Accepts a drawdown limit that a finished kernel run never came near: then the run is what it is without the limit."""

import math
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from core import grid_table as gt
from core import limit_kernel as lm
from core.engine import Limits
from core.values import ONE
from tasks import kernel_native
from tasks.kernel_tables import Ints, refuse

if TYPE_CHECKING:
    from tasks.kernel_run import KernelRun

_EPOCH = datetime(1970, 1, 1)
# Money must stay below it, so that differences of sums fit 64 bits.
_MONEY_MOST = 1 << 60
_DEN_MOST = 1 << 30


def check_drawdown(made: "KernelRun", limits: Limits, p: Ints) -> None:
    """Raise `Refused` where `max_drawdown` of the bot or the account may bind; `p` are the kernel's parameters.

    The account's equity is the bot's, which is alone on it. A bound: both count peaks in steps of a thousandth of capital,
    here every new high is one, so a run that comes that near to its limit may be refused.
    """
    asked = {"max_drawdown": made.spec.max_drawdown, "risk.max_drawdown": limits.max_drawdown}
    field, most = min(
        ((name, one) for name, one in asked.items() if one is not None), key=lambda one: one[1], default=("", ONE)
    )
    if not field:
        return
    columns = made.columns
    q, rows = counted(made, field, most)
    bar = kernel_native.limit_reached(columns.all, p, q, np.zeros(lm.LIMIT_SCALARS, dtype=np.int64), rows)
    if bar < len(columns.ts):
        at = _EPOCH + timedelta(milliseconds=int(columns.ts[bar]))
        raise refuse(f"{field} would bind at about {at}")


def counted(made: "KernelRun", field: str, most: Decimal) -> tuple[Ints, Ints]:
    """Return what `core.limit_kernel` counts of a run, and how, for a limit; raises `Refused` where 64 bits are too few."""
    columns, units, left = made.columns, made.units, Fraction(ONE - most)
    rows = _rows(made)
    unit = 10 ** (units.scale - units.qty_scale - columns.scale)
    capital = math.floor(Fraction(made.spec.capital_quote) * 10**units.scale)
    # Floats are near enough to tell a sum of this size.
    value = float(np.abs(rows[:, lm.MOVED_QTY]).astype(float).sum()) * columns.highest * unit
    money = float(np.abs(rows[:, lm.MOVED_CASH]).astype(float).sum())
    if max(value, money, capital) >= _MONEY_MOST or left.denominator >= _DEN_MOST:
        raise refuse(f"{field} with so fine prices and quantities does not fit 64 bits")
    return np.array([unit, capital, left.numerator, left.denominator], dtype=np.int64), rows


def _rows(made: "KernelRun") -> Ints:
    # What moved money, in the order in which the engine sees it: funding is paid before the path moves on to an opening.
    log, units, columns = made.log, made.units, made.columns
    sizes = made.sizes
    rows = np.empty((len(log), lm.LIMIT_COLUMNS), dtype=np.int64)
    rows[:, lm.AT_US] = log[:, gt.FILL_US]
    rows[:, lm.AT_BAR] = log[:, gt.FILL_BAR] + (log[:, gt.FILL_US] > made.closes_us(log[:, gt.FILL_BAR]))
    rows[:, lm.MOVED_QTY] = sizes
    rows[:, lm.MOVED_CASH] = -log[:, gt.FILL_PRICE] * sizes * units.cost_mul - log[:, gt.FILL_FEE] * units.fee_mul
    # Without latency the engine answers what it caused at a moment within that moment; else it sees all of it at once.
    rows[:, lm.SEEN_BEFORE] = 0 if made.options.latency_s > 0 else log[:, gt.FILL_MAKER] == 0
    paid = made.payments
    if paid is None:
        return rows
    bar = np.searchsorted(columns.ts, paid.ms, side="left")
    before = np.searchsorted(log[:, gt.FILL_US], made.closes_us(bar - 1), side="right")
    more = np.zeros((len(paid.ms), lm.LIMIT_COLUMNS), dtype=np.int64)
    more[:, lm.AT_US], more[:, lm.AT_BAR] = columns.ts[bar] * 1000, bar
    more[:, lm.MOVED_CASH] = paid.amount * units.fee_mul
    return np.ascontiguousarray(np.insert(rows, before, more, axis=0))
