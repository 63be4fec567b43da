"""Drawdown and exposure of an account at bar closes, compiled: the figures of `tasks.equity`, to the last bit, in one pass.

Between two executions equity is a rising (or falling) function of the close, also after rounding to floats. So a bar
needs no arithmetic unless its close is the highest or lowest since the last execution.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    made: Any = njit(cache=True, error_model="numpy")(function)  # pyright: ignore[reportUnknownVariableType]
    return cast("_F", made)


@_compiled
def drawdown(close: Ints, unit: float, bar: Ints, base: Floats, cash: Floats, start: float) -> tuple[float, float]:
    """Return the deepest fall from a running peak, as a fraction of it, and the largest value of the inventory.

    `close` is in whole price units, `unit` of them make 1. After the k-th execution, which belongs to bar `bar[k]`, the
    inventory is `base[k]` and the cash that went with all of them `cash[k]`; `start` is the equity before the first.
    """
    nothing = start - start
    peak, lowest = -start, -start
    fall, exposure = nothing, nothing
    first, k = 0, 0
    held, money = nothing, start
    while first < len(close):
        while k < len(bar) and bar[k] <= first:
            held, money = base[k], start + cash[k]
            k += 1
        last = bar[k] if k < len(bar) else len(close)
        way = -1 if held < 0 else 1
        top = close[first] * way - 1
        bottom = top + 2
        for i in range(first, last):
            at = close[i] * way
            if bottom <= at <= top:
                continue
            value = held * (close[i] / unit)
            equity = money + value
            exposure = max(exposure, abs(value))
            if at > top:
                top = at
            if equity > peak or (first == 0 and i == 0):
                if peak > 0:
                    fall = max(fall, (peak - lowest) / peak)
                peak, lowest, bottom = equity, equity, at
            else:
                lowest = min(lowest, equity)
                bottom = min(bottom, at)
        first = last
    if peak > 0:
        fall = max(fall, (peak - lowest) / peak)
    return fall, exposure
