"""Drawdown and exposure of an account at bar closes, compiled: the figures of `tasks.equity`, to the last bit, in one pass.

Between two executions equity is a line over the close. So there is a band of closes inside which no peak rises, no fall
deepens and no exposure grows; the closes that leave it are found by comparing whole numbers, and only those are valued.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FAR = 1 << 61
# A part in 2**36 of a price: floats err by one in 2**52, a few times over.
MARGIN = 1 << 36


def drawdown(
    close: Ints, low_1: Ints, high_1: Ints, block: int, unit: float, bar: Ints, base: Floats, cash: Floats, start: float
) -> tuple[float, float]:
    """Return the deepest fall from a running peak, as a fraction of it, and the largest value of the inventory.

    `close` is in whole price units, `unit` of them make 1; `low_1` and `high_1` bound it in blocks of `block` bars. After
    the k-th execution, which belongs to bar `bar[k]`, the inventory is `base[k]` and the cash that went with all of them
    `cash[k]`; `start` is the equity before the first.
    """
    held, money = start - start, start
    peak, fall, exposure = money, held, held
    i, k, bars = 0, 0, len(close)
    while i < bars:
        while k < len(bar) and bar[k] <= i:
            held, money = base[k], start + cash[k]
            k += 1
        last = bar[k] if k < len(bar) else bars
        first = i == 0
        while i < last:
            value = held * (close[i] / unit)
            equity = money + value
            exposure = max(exposure, abs(value))
            if first or equity > peak:
                peak, first = equity, False
            elif peak > 0:
                fall = max(fall, (peak - equity) / peak)
            below, above = _band(peak, fall, exposure, held, money, unit)
            i = _next_outside(close, low_1, high_1, block, i + 1, last, below, above)
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


def _next_outside(
    close: Ints, low_1: Ints, high_1: Ints, block: int, start: int, end: int, below: int, above: int
) -> int:
    i, stop = start, min(end, (start + block - 1) // block * block)
    while i < stop and below < close[i] < above:
        i += 1
    if i < stop or i >= end:
        return i
    k, last = i // block, (end + block - 1) // block
    while k < last and low_1[k] > below and high_1[k] < above:
        k += 1
    i = min(k * block, end)
    while i < end and below < close[i] < above:
        i += 1
    return i
