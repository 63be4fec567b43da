"""The compiled indicators are the core's to the last digit, on any candles."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import atr_table as a
from core.atr_gauge_kernel import gauge
from core.indicators import SMOOTHINGS, readings
from core.kernel import series_of
from core.market import Candle
from core.values import ZERO
from tests.core.worlds import T0

STEPS = st.lists(st.tuples(st.integers(-900, 900), st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=90)


def candles_of(steps: list[tuple[int, int, int]]) -> list[Candle]:
    """Candles from (move, reach above, reach below) in hundredths, from 100 on."""
    made: list[Candle] = []
    close = 10_000
    for i, (move, above, below) in enumerate(steps):
        open_, close = close, max(close + move, 1_000)
        prices = (open_, max(open_, close) + above, min(open_, close) - below, close)
        at = T0 + timedelta(minutes=i)
        made.append(Candle(at, *(Decimal(price) / 100 for price in prices), ZERO))
    return made


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_indicators_are_the_cores(smoothing: str, steps: list[tuple[int, int, int]]) -> None:
    """Both ATRs to 18 decimals, the trend, and whether the candle closed under its averages."""
    candles = candles_of(steps)
    series = series_of(candles, scale=2)
    table = np.zeros((a.GAUGE_ROWS, len(series)), dtype=np.int64)
    gauge(series.high, series.low, series.close, 10**7, smoothing == "wilder", table)
    for i, (candle, told) in enumerate(zip(candles, readings(candles, smoothing), strict=True)):
        for row, atr in ((a.G_ATR_14, told.atr_14), (a.G_ATR_28, told.atr_28)):
            assert int(table[row, i]) * 10**9 + int(table[row + 1, i]) == int(atr.scaleb(18))
        close, fast, slow, slowest = candle.close, told.ema(14), told.ema(50), told.ema(200)
        down, up = close < fast < slow < slowest, close > fast > slow
        assert table[a.G_TREND, i] == (a.DOWN if down else a.UP if up else a.SIDEWAYS)
        assert table[a.G_UNDER, i] == (close < fast < slow)
