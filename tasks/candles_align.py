"""Puts the candles of several markets side by side: only times that every one of them has are played (RULES 18b)."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from core.kernel import ArraySeries


def align(series: Sequence[Any]) -> tuple[list[ArraySeries], int]:
    """Keep the candles whose times all series share; returns them and how many of the first one's were left out.

    A bar that is missing on either side is no decision; what was left out is for the caller to tell.
    """
    common = reduce(np.intersect1d, [one.ts for one in series])
    left_out = len(series[0]) - len(common)
    return [_at(one, common) for one in series], left_out


def _at(series: Any, times: Any) -> ArraySeries:
    if len(times) == len(series):
        return series
    index = np.searchsorted(series.ts, times)
    return ArraySeries(
        series.ts[index], series.open[index], series.high[index], series.low[index], series.close[index],
        series.volume[index], scale=series.scale, volume_scale=series.volume_scale,
    )  # fmt: skip
