"""Drawdown and exposure of an account at bar closes, compiled: the figures of `tasks.equity`, to the last bit, in one pass.

Between two executions equity is a line over the close. So there is a band of closes inside which no peak rises, no fall
deepens and no exposure grows; the closes that leave it are found by comparing whole numbers, and only those are valued.
"""

import numpy as np
from numpy.typing import NDArray

from core.grid_table import BLOCK, FILL_BAR, FILL_EXIT, FILL_FEE, FILL_PRICE, FILL_QTY

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FAR = 1 << 61
FEE_UNIT = 10**8
# A part in 2**36 of a price: floats err by one in 2**52, a few times over.
MARGIN = 1 << 36


def drawdown(
    close: Ints, low_1: Ints, high_1: Ints, log: Ints, short: bool,
    price_unit: float, qty_unit: float, close_unit: float, start: float, asked: Ints, worth: Floats,
) -> tuple[float, float]:  # fmt: skip
    """Return the deepest fall from a running peak, as a fraction of it, and the largest value of the inventory.

    `worth` gets the equity at the bars `asked`, which do not fall.

    `low_1` and `high_1` bound the closes in blocks of BLOCK bars; `log` is `core.grid_kernel`'s. The
    units say how many of a column's make 1; `start` is the equity before the first fill. Fees are in 1e-8.
    """
    nothing = start - start
    held, cash, money = nothing, nothing, start
    peak, fall, exposure = start, nothing, nothing
    i, k, bars, told = 0, 0, len(close), 0
    while i < bars:
        while k < len(log) and log[k, FILL_BAR] <= i:
            sign = 1 if (log[k, FILL_EXIT] == 1) == short else -1
            qty = log[k, FILL_QTY] / qty_unit
            held += qty * sign
            cash += -(log[k, FILL_PRICE] / price_unit) * qty * sign - log[k, FILL_FEE] / FEE_UNIT
            money = start + cash
            k += 1
        last = min(log[k, FILL_BAR], bars) if k < len(log) else bars
        while told < len(asked) and asked[told] < last:
            worth[told] = money + held * (close[asked[told]] / close_unit)
            told += 1
        first = i == 0
        while i < last:
            value = held * (close[i] / close_unit)
            equity = money + value
            exposure = max(exposure, abs(value))
            if first or equity > peak:
                peak, first = equity, False
            elif peak > 0:
                fall = max(fall, (peak - equity) / peak)
            below, above = _band(peak, fall, exposure, held, money, close_unit)
            i = _next_outside(close, low_1, high_1, i + 1, last, below, above)
    return fall, exposure


def _band(peak: float, fall: float, exposure: float, held: float, money: float, unit: float) -> tuple[int, int]:
    # Closes strictly between the two change none of the three figures. Rounded inwards by far more than floats err.
    if held == 0:
        return -FAR, FAR
    at_peak = _unit_price(peak, money, held, unit)
    at_fall = _unit_price(peak * (1 - fall), money, held, unit)
    if peak <= 0:
        at_fall = -FAR if held > 0 else FAR
    most = _unit_price(exposure, money - money, abs(held), unit)
    below, above = (at_fall, at_peak) if held > 0 else (at_peak, at_fall)
    above = min(above, most)
    return below + abs(below) // MARGIN + 1, above - abs(above) // MARGIN - 1


def _unit_price(equity: float, money: float, held: float, unit: float) -> int:
    return int(min(max((equity - money) / held * unit, -FAR), FAR))


def _next_outside(close: Ints, low_1: Ints, high_1: Ints, start: int, end: int, below: int, above: int) -> int:
    i, stop = start, min(end, (start + BLOCK - 1) // BLOCK * BLOCK)
    while i < stop and below < close[i] < above:
        i += 1
    if i < stop or i >= end:
        return i
    k, last = i // BLOCK, (end + BLOCK - 1) // BLOCK
    while k < last and low_1[k] > below and high_1[k] < above:
        k += 1
    i = min(k * BLOCK, end)
    while i < end and below < close[i] < above:
        i += 1
    return i
