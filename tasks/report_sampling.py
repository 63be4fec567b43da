"""Fewer points without losing an extreme: candles are merged, lines keep the lowest and highest of every bucket.

A report of three years of minutes must stay below five megabytes, and the drawdown in it must still be the true one.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MINUTE_MS = 60_000
INTERVALS_MS = tuple(
    MINUTE_MS * minutes for minutes in (1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10_080, 43_200)
)


@dataclass(frozen=True, kw_only=True, eq=False)
class CandleColumns:
    """Candles as arrays: open times in ms since 1970 UTC, prices as floats (they only are drawn)."""

    interval_ms: int
    ts_ms: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats


def epoch_ms(times: pd.Series) -> Ints:
    """Return times as ms since 1970 UTC; zoned times are converted, naive ones are UTC already."""
    parsed = pd.to_datetime(times, utc=True)
    return parsed.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]").astype(np.int64)


def floats(values: pd.Series) -> Floats:
    """Return numbers, `Decimal` ones included, as floats; a missing value becomes NaN."""
    return pd.to_numeric(values.astype(object).where(values.notna(), np.nan), errors="raise").to_numpy(dtype=np.float64)


def merge_candles(candles: pd.DataFrame, count_max: int) -> CandleColumns:
    """Merge candles to at most `count_max` of a round interval; each keeps first open, extremes and last close."""
    if candles.empty:
        nothing = np.empty(0, dtype=np.float64)
        return CandleColumns(
            interval_ms=MINUTE_MS, ts_ms=np.empty(0, np.int64), open=nothing, high=nothing, low=nothing, close=nothing
        )
    ts_ms = epoch_ms(candles["ts"])
    opens, highs, lows, closes = (floats(candles[name]) for name in ("open", "high", "low", "close"))
    step_ms = int(np.median(np.diff(ts_ms))) if len(ts_ms) > 1 else MINUTE_MS
    interval_ms = max(step_ms, 1)
    if len(ts_ms) > count_max:
        interval_ms = round_interval_ms(int(ts_ms[-1] - ts_ms[0]) + step_ms, count_max)
        bucket = ts_ms // interval_ms
        starts = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
        ends = np.r_[starts[1:], len(ts_ms)] - 1
        ts_ms = bucket[starts] * interval_ms
        opens, closes = opens[starts], closes[ends]
        highs, lows = np.maximum.reduceat(highs, starts), np.minimum.reduceat(lows, starts)
    return CandleColumns(interval_ms=interval_ms, ts_ms=ts_ms, open=opens, high=highs, low=lows, close=closes)


def round_interval_ms(span_ms: int, count_max: int) -> int:
    """Return the smallest round interval that cuts the span into fewer than `count_max` pieces."""
    for interval_ms in INTERVALS_MS:
        # One more piece than the division says, since buckets start at round times and not at the first candle.
        if span_ms // interval_ms + 2 <= count_max:
            return interval_ms
    return -(-span_ms // max(1, count_max - 2))


def keep_extremes(values: Floats, buckets: int) -> Ints:
    """Return places that stand for a line: of every bucket the first, lowest, highest, last; all when few.

    NaN never counts as an extreme. At most `4 * buckets` places come back, in order.
    """
    if len(values) <= 4 * buckets:
        return np.arange(len(values), dtype=np.int64)
    edges = np.linspace(0, len(values), buckets + 1).astype(np.int64)
    low = np.where(np.isnan(values), np.inf, values)
    high = np.where(np.isnan(values), -np.inf, values)
    kept: list[int] = []
    for start, end in pairwise(edges):
        kept += [int(start), int(start + low[start:end].argmin()), int(start + high[start:end].argmax()), int(end - 1)]
    return np.unique(np.array(kept, dtype=np.int64))


def spread_evenly(count: int, count_max: int) -> Ints:
    """Return up to `count_max` places out of `count`, evenly spread, the first and the last among them."""
    if count <= count_max:
        return np.arange(count, dtype=np.int64)
    return np.unique(np.linspace(0, count - 1, count_max).round().astype(np.int64))


def price_decimals(prices: Floats) -> int:
    """Return the decimal places that keep seven significant digits of the largest price: finer than any pixel."""
    largest = float(np.nanmax(np.abs(prices))) if len(prices) else 1.0
    return int(np.clip(6 - np.floor(np.log10(largest)), 0, 12)) if largest > 0 else 2


def pack_candles(columns: CandleColumns) -> dict[str, Any]:
    """Return candles as small integers, which compress well: steps in intervals, prices relative to their neighbour.

    `t` counts intervals since the candle before, `o` is the open against the close before, `c` the close against the
    open, `h` and `l` the wicks above and below the body; prices are in units of `10 ** -decimals`.
    """
    if len(columns.ts_ms) == 0:
        empty: dict[str, Any] = {name: [] for name in "tohlc"}
        return {"interval_ms": columns.interval_ms, "unit_ms": 1, "start_ms": 0, "decimals": 2, **empty}
    decimals = price_decimals(columns.high)
    opens, highs, lows, closes = (
        np.rint(values * 10**decimals).astype(np.int64)
        for values in (columns.open, columns.high, columns.low, columns.close)
    )
    before = np.r_[0, closes[:-1]]
    steps_ms = np.diff(columns.ts_ms, prepend=columns.ts_ms[:1])
    unit_ms = columns.interval_ms if not np.any(steps_ms % columns.interval_ms) else 1
    return {
        "interval_ms": columns.interval_ms,
        "unit_ms": unit_ms,
        "start_ms": int(columns.ts_ms[0]),
        "decimals": decimals,
        "t": (steps_ms // unit_ms).tolist(),
        "o": (opens - before).tolist(),
        "h": (highs - np.maximum(opens, closes)).tolist(),
        "l": (np.minimum(opens, closes) - lows).tolist(),
        "c": (closes - opens).tolist(),
    }
