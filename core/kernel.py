"""Candles as integer arrays, and the search for the bar where the price leaves a band. The only core module with numpy.

Prices are int64 in units of 10**-scale, so every comparison is exact. Above the bars stand two coarser rows of
minima and maxima (64 bars, then 64 x 64): a search reads a few hundred numbers, wherever the answer lies.
numba is deliberately not imported here: it costs half a second, and numpy alone meets the search's budget.
"""

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation

import numpy as np
from numpy.typing import NDArray

from core.market import Candle
from core.series import (
    ceil_units,
    check_index,
    check_start,
    exact_units,
    finest_places,
    floor_units,
    ms_to_ts,
    not_rising,
    places,
    ts_to_ms,
)

Ints = NDArray[np.int64]

BLOCK = 64
# A jump is usually short. One comparison over 128 bars costs hardly more than one over 8 (the call dominates).
NEAR = 128
_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])


class ArraySeries:
    """`core.series.CandleSeries` over int64 columns; the columns are read-only and may be read by kernels directly.

    `ts` is milliseconds since 1970 UTC, prices are in units of 10**-scale, `volume` in 10**-volume_scale.
    """

    __slots__ = (
        "_columns", "_len", "_price_unit", "_volume_unit", "close", "high", "high_1", "high_2",
        "low", "low_1", "low_2", "open", "scale", "ts", "volume", "volume_scale",
    )  # fmt: skip

    def __init__(
        self, ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, volume: Ints, *, scale: int, volume_scale: int
    ) -> None:
        """Take columns of equal length in strictly rising order of `ts`; raises `ValueError` for anything else."""
        columns = [np.ascontiguousarray(c, dtype=np.int64) for c in (ts, open_, high, low, close, volume)]
        lengths = {len(c) for c in columns}
        if len(lengths) != 1:
            message = f"candle columns must have one length, these have {sorted(lengths)}"
            raise ValueError(message)
        for column in columns:
            column.flags.writeable = False
        self.ts, self.open, self.high, self.low, self.close, self.volume = columns
        late = np.flatnonzero(self.ts[1:] <= self.ts[:-1])
        if len(late):
            raise not_rising(int(late[0]) + 1, int(self.ts[late[0] + 1]))
        self.scale = scale
        self.volume_scale = volume_scale
        self._len = len(self.ts)
        # One number out of a memoryview costs a third of one out of an array.
        self._columns = tuple(c.data for c in columns)
        self._price_unit = Decimal(1).scaleb(-scale)
        self._volume_unit = Decimal(1).scaleb(-volume_scale)
        self.low_1, self.high_1 = _block_min(self.low), _block_max(self.high)
        self.low_2, self.high_2 = _block_min(self.low_1), _block_max(self.high_1)

    def __len__(self) -> int:
        """Count the bars."""
        return self._len

    def bar(self, i: int) -> Candle:
        """Return bar `i` with exact decimals; raises `IndexError` outside 0 <= i < len."""
        check_index(i, self._len)
        ts, open_, high, low, close, volume = self._columns
        times, unit = _EXACT.multiply, self._price_unit
        return Candle(
            ms_to_ts(ts[i]),
            times(Decimal(open_[i]), unit),
            times(Decimal(high[i]), unit),
            times(Decimal(low[i]), unit),
            times(Decimal(close[i]), unit),
            times(Decimal(volume[i]), self._volume_unit),
        )

    def ts_ms(self, i: int) -> int:
        """Return the open time of bar `i` in milliseconds since 1970 UTC; raises `IndexError` outside the series."""
        check_index(i, self._len)
        return self._columns[0][i]

    def index_at(self, ts_ms: int) -> int:
        """Return the first bar that opens at or after `ts_ms`, or len where none does."""
        return int(np.searchsorted(self.ts, ts_ms, side="left"))

    def next_outside(self, start: int, low: Decimal | None, high: Decimal | None) -> int:
        """Return the first bar i >= start with bar.low <= low or bar.high >= high, or len where there is none."""
        return self.next_outside_units(
            start,
            None if low is None else floor_units(low, self.scale),
            None if high is None else ceil_units(high, self.scale),
        )

    def next_outside_units(self, start: int, low: int | None, high: int | None) -> int:
        """Answer as `next_outside` does, for edges in whole units of 10**-scale: the form for integer callers."""
        if start < 0 or start >= self._len or (low is None and high is None):
            check_start(start)
            return self._len
        end = (start + NEAR + BLOCK) & -BLOCK
        i = _first(self.low, self.high, start, end, low, high)
        if i >= 0:
            return i
        # `end` is the first bar of a block, and `end_1` the first block of a block of blocks.
        end_1 = (end // BLOCK + 2 * BLOCK) & -BLOCK
        block = _first(self.low_1, self.high_1, end // BLOCK, end_1, low, high)
        if block < 0:
            block_2 = _first(self.low_2, self.high_2, end_1 // BLOCK, len(self.low_2), low, high)
            if block_2 < 0:
                return self._len
            block = _first(self.low_1, self.high_1, block_2 * BLOCK, (block_2 + 1) * BLOCK, low, high)
        return _first(self.low, self.high, block * BLOCK, (block + 1) * BLOCK, low, high)

    def between(self, first: int, last: int) -> "ArraySeries":
        """Return bars first <= i < last as a series of their own, sharing the columns' memory."""
        cut = slice(max(first, 0), max(last, 0))
        return ArraySeries(
            self.ts[cut], self.open[cut], self.high[cut], self.low[cut], self.close[cut], self.volume[cut],
            scale=self.scale, volume_scale=self.volume_scale,
        )  # fmt: skip


def series_of(candles: Sequence[Candle], *, scale: int | None = None) -> ArraySeries:
    """Build the array form of candles; scales default to the finest price and volume.

    Raises `ValueError` for a price finer than `scale`, and `OverflowError` for one that 64 bits do not hold.
    """
    price_scale = scale if scale is not None else finest_places(candles)
    volume_scale = max((places(c.volume) for c in candles), default=0)

    def column(values: Iterable[Decimal], at: int) -> Ints:
        return np.fromiter((exact_units(v, at) for v in values), dtype=np.int64, count=len(candles))

    return ArraySeries(
        np.fromiter((ts_to_ms(c.ts) for c in candles), dtype=np.int64, count=len(candles)),
        column((c.open for c in candles), price_scale),
        column((c.high for c in candles), price_scale),
        column((c.low for c in candles), price_scale),
        column((c.close for c in candles), price_scale),
        column((c.volume for c in candles), volume_scale),
        scale=price_scale,
        volume_scale=volume_scale,
    )


def _first(lows: Ints, highs: Ints, a: int, b: int, low: int | None, high: int | None) -> int:
    # First i in [a, b) with lows[i] <= low or highs[i] >= high, else -1. numpy compares with a whole number of any
    # size correctly, so an edge beyond int64 needs no care.
    if low is not None and high is not None:
        hit = (lows[a:b] <= low) | (highs[a:b] >= high)
    elif low is not None:
        hit = lows[a:b] <= low
    elif high is not None:
        hit = highs[a:b] >= high
    else:
        return -1
    # Searching the bytes costs a third of argmax and tells "none" apart from "the first".
    i = hit.tobytes().find(1)
    return a + i if i >= 0 else -1


def _block_min(row: Ints) -> Ints:
    return np.minimum.reduceat(row, np.arange(0, len(row), BLOCK)) if len(row) else row


def _block_max(row: Ints) -> Ints:
    return np.maximum.reduceat(row, np.arange(0, len(row), BLOCK)) if len(row) else row
