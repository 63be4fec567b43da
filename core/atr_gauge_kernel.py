"""The indicators of `core.indicators` over a whole series, compiled, to the last digit: once for all configurations.

A value of 18 decimals is two int64: whole 1e-9 quote, and what is below in 1e-18. Each is rounded half-even as it is made.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a

Ints = NDArray[np.int64]
NANO = 10**9


def gauge(high: Ints, low: Ints, close: Ints, nanos: int, wilder: bool, g: Ints) -> int:
    """Fill the table `g` (GAUGE_ROWS, candles) from candles; `nanos` is how many 1e-9 quote make a unit of their prices."""
    e14, f14, e50, f50, e200, f200 = 0, 0, 0, 0, 0, 0
    for i in range(len(close)):
        now = close[i] * nanos
        g[a.G_CLOSE, i] = close[i]
        if i == 0:
            e14, e50, e200 = now, now, now
        else:
            e14, f14 = _ema(e14, f14, now, 14)
            e50, f50 = _ema(e50, f50, now, 50)
            e200, f200 = _ema(e200, f200, now, 200)
        _atr(high, low, close, i, 14, nanos, wilder, a.G_ATR_14, g)
        _atr(high, low, close, i, 28, nanos, wilder, a.G_ATR_28, g)
        under = _less(now, 0, e14, f14) and _less(e14, f14, e50, f50)
        g[a.G_UNDER, i] = under
        if under and _less(e50, f50, e200, f200):
            g[a.G_TREND, i] = a.DOWN
        elif _less(e14, f14, now, 0) and _less(e50, f50, e14, f14):
            g[a.G_TREND, i] = a.UP
        else:
            g[a.G_TREND, i] = a.SIDEWAYS
    return 0


def _less(h: int, low: int, h2: int, low2: int) -> bool:
    return h < h2 or (h == h2 and low < low2)


def _ema(high: int, low: int, close: int, length: int) -> tuple[int, int]:
    return _even(high * (length - 1) + 2 * close, low * (length - 1), length + 1)


def _even(high: int, low: int, divisor: int) -> tuple[int, int]:
    # (high + low / 1e9) / divisor, rounded half-even to 1e-9 of the unit of `high`.
    whole, rest = high // divisor, high % divisor
    top = rest * NANO + low
    part, left = top // divisor, top % divisor
    if 2 * left > divisor or (2 * left == divisor and part % 2 == 1):
        part += 1
    return whole + part // NANO, part % NANO


def _range(high: Ints, low: Ints, close: Ints, i: int) -> int:
    if i == 0:
        return high[0] - low[0]
    return max(high[i], close[i - 1]) - min(low[i], close[i - 1])


def _atr(high: Ints, low: Ints, close: Ints, i: int, length: int, nanos: int, wilder: bool, row: int, g: Ints) -> None:
    if wilder and i >= length:
        before, below = g[row, i - 1] * (length - 1), g[row + 1, i - 1] * (length - 1)
        g[row, i], g[row + 1, i] = _even(before + _range(high, low, close, i) * nanos, below, length)
        return
    count = min(i + 1, length)
    whole = 0
    for k in range(i + 1 - count, i + 1):
        whole += _range(high, low, close, k)
    g[row, i], g[row + 1, i] = _even(whole * nanos, 0, count)
