"""The search for the next bar that leaves a band of prices, compiled: for the kernels that run over candles."""

import numpy as np
from numpy.typing import NDArray

from core.grid_table import BLOCK

Ints = NDArray[np.int64]


def next_outside(low: Ints, high: Ints, low_1: Ints, high_1: Ints, start: int, end: int, below: int, above: int) -> int:
    """Return the first bar i from `start` on with low <= `below` or high >= `above`, or `end`.

    Bars up to the end of a block are looked at one by one, then whole blocks by their extremes `low_1` and `high_1`, then
    bars again.
    """
    i, stop = start, min(end, (start + BLOCK - 1) // BLOCK * BLOCK)
    while i < stop and low[i] > below and high[i] < above:
        i += 1
    if i < stop or i >= end:
        return i
    k, last = i // BLOCK, (end + BLOCK - 1) // BLOCK
    while k < last and low_1[k] > below and high_1[k] < above:
        k += 1
    i = min(k * BLOCK, end)
    while i < end and low[i] > below and high[i] < above:
        i += 1
    return i
