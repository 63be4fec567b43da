"""Whether a drawdown limit could ever have stopped a finished run, compiled: its equity at every point that the engine sees.

A run whose limit never binds is the run without it. The engine looks at equity where a point of the path may matter
(`core.engine.drawdown`, `core.engine.account`); here every point is looked at, the peak is the true one and not the last
thousandth of capital, and executions at the touch are looked at one by one: what is not found here the engine cannot find.
Between two executions equity is a line over the price, so bars that stay within a band are skipped.
"""

import numpy as np
from numpy.typing import NDArray

from core.grid_table import CLOSE_US, FAR, PATH, THIRD_US
from core.path_kernel import price_at, rises_first, time_at
from core.search_kernel import next_outside

Ints = NDArray[np.int64]

# What is counted: UNIT is the worth of one unit of quantity at a price of one, CAPITAL what the run begins with, both in the
# unit of money; LEFT_NUM over LEFT_DEN is the fraction of a peak that must be left.
UNIT, CAPITAL, LEFT_NUM, LEFT_DEN = range(4)
# Columns of what moved money, in order: when, the bar at whose points it is seen, signed quantity, money, and whether the
# engine may look just before it, as before an execution that it caused at this very moment.
AT_US, AT_BAR, MOVED_QTY, MOVED_CASH, SEEN_BEFORE = range(5)
LIMIT_COLUMNS = 5
# Scalars: what is held, the money beside it, the highest profit so far, and the profit at which the limit binds.
HELD, CASH, PEAK, TRIP = range(4)
LIMIT_SCALARS = 4


def reached(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints, p: Ints, q: Ints, s: Ints, rows: Ints,
) -> int:  # fmt: skip
    """Return the first bar at which equity is down by the limit from its peak, or the number of bars.

    Arguments as of `core.grid_kernel.run`; `q` says what is counted, `rows` what moved money, `s` has room for the scalars.
    """
    bars, i, k = len(ts), 0, 0
    s[HELD], s[CASH], s[PEAK] = 0, 0, 0
    s[TRIP] = _trip(0, q)
    while i < bars:
        end = rows[k, AT_BAR] if k < len(rows) else bars
        if i < end:
            below, above = _band(q, s)
            i = next_outside(low, high, low_1, high_1, i, end, below, above)
            if i == end:
                continue
        o, h, lo = open_[i], high[i], low[i]
        rises = rises_first(o, h, lo, p[PATH])
        for j in range(4):
            price = price_at(j, o, h, lo, close[i], rises)
            at = time_at(j, ts[i] * 1000, p[THIRD_US], p[CLOSE_US])
            while k < len(rows) and rows[k, AT_BAR] <= i and rows[k, AT_US] <= at:
                if rows[k, SEEN_BEFORE] and _binds(price, q, s):
                    return i
                s[HELD] += rows[k, MOVED_QTY]
                s[CASH] += rows[k, MOVED_CASH]
                k += 1
            if _binds(price, q, s):
                return i
        i += 1
    return bars


def _binds(price: int, q: Ints, s: Ints) -> bool:
    profit = s[CASH] + s[HELD] * price * q[UNIT]
    if profit > s[PEAK]:
        s[PEAK] = profit
        s[TRIP] = _trip(profit, q)
    return profit <= s[TRIP]


def _trip(peak: int, q: Ints) -> int:
    # The part of the equity at the peak that must be left, floored, as profit; in two steps, so that no product grows.
    equity = q[CAPITAL] + peak
    whole = equity // q[LEFT_DEN]
    return whole * q[LEFT_NUM] + (equity - whole * q[LEFT_DEN]) * q[LEFT_NUM] // q[LEFT_DEN] - q[CAPITAL]


def _band(q: Ints, s: Ints) -> tuple[int, int]:
    # Prices strictly between the two make no new peak and do not bind.
    held = s[HELD] * q[UNIT]
    if held == 0:
        return -FAR, FAR
    if held > 0:
        return (s[TRIP] - s[CASH]) // held, (s[PEAK] - s[CASH]) // held + 1
    # Profit falls as the price rises: -(a // b) rounds up where held is below zero.
    return -((s[CASH] - s[PEAK]) // held) - 1, -((s[CASH] - s[TRIP]) // held)
