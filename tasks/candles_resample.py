"""Finer candles into coarser ones."""

import numpy as np

from core.kernel import ArraySeries
from core.market import TIMEFRAME_S
from tasks.candles_repair import find_timeframe


def resample(series: ArraySeries, timeframe: str, *, source: str | None = None) -> ArraySeries:
    """Combine candles into those of a coarser `timeframe`, which open on its multiples since 1970 UTC.

    A candle belongs to the interval in which it opens. An interval with missing candles is made of those there are;
    an empty one is absent; one at either end of which only a part lies inside the series is left out, since it would
    look finished and is not. `source` is the series' own timeframe (None: found from its times).
    Raises `ValueError` where the timeframes do not divide.
    """
    found = source or find_timeframe(series.ts)
    if timeframe not in TIMEFRAME_S or found not in TIMEFRAME_S:
        message = f"can't resample {found} to {timeframe}; known timeframes are {', '.join(TIMEFRAME_S)}"
        raise ValueError(message)
    step_ms, from_ms = TIMEFRAME_S[timeframe] * 1000, TIMEFRAME_S[found] * 1000
    if step_ms % from_ms:
        message = f"candles of {found} do not divide {timeframe}; a multiple of {found} would do"
        raise ValueError(message)
    if not len(series):
        return series
    opens = series.ts // step_ms * step_ms
    whole = (opens >= series.ts[0]) & (opens + step_ms <= series.ts[-1] + from_ms)
    inside = np.flatnonzero(whole)
    cut = series.between(int(inside[0]), int(inside[-1]) + 1) if len(inside) else series.between(0, 0)
    if not len(cut):
        return cut
    opens = opens[inside[0] : inside[-1] + 1]
    starts = np.flatnonzero(np.append(True, opens[1:] != opens[:-1]))
    ends = np.append(starts[1:], len(cut)) - 1
    return ArraySeries(
        opens[starts],
        cut.open[starts],
        np.maximum.reduceat(cut.high, starts),
        np.minimum.reduceat(cut.low, starts),
        cut.close[ends],
        np.add.reduceat(cut.volume, starts),
        scale=series.scale,
        volume_scale=series.volume_scale,
    )
