"""Indicators: candle by candle as over the whole series, and as an independent library has them on real candles."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.indicators import EMA_LENGTHS, SMOOTHINGS, WARMUP, Gauge, Reading, follow, readings
from core.market import Candle
from tests.core.worlds import T0, D

REAL = Path(__file__).parents[3] / "shared" / "data" / "ohlcv" / "binance-BTCUSDT-1h-20170817-20260716.parquet"
needs_candles = pytest.mark.skipif(not REAL.exists(), reason="recorded candles are not here")


def candle(index: int, open_: str | Decimal, high: str | Decimal, low: str | Decimal, close: str | Decimal) -> Candle:
    """One hour's candle."""
    return Candle(T0 + timedelta(hours=index), D(open_), D(high), D(low), D(close), D(1))


def followed(candles: Sequence[Candle], smoothing: str) -> list[Reading]:
    """The indicators as a running machine has them."""
    found: list[Reading] = []
    gauge: Gauge | None = None
    for one in candles:
        gauge = follow(gauge, one, smoothing)
        found.append(gauge.reading)
    return found


@cache
def real() -> tuple[Candle, ...]:
    """The first 3,000 recorded hours."""
    from tasks.candles_read import read_candles

    series, _ = read_candles(REAL)
    return tuple(series.bar(i) for i in range(3000))


PRICES = st.decimals("0.00000001", "99999999", places=8)


@st.composite
def series(draw: st.DrawFn) -> list[Candle]:
    """Candles of any four prices, of which the largest is the high and the smallest the low."""
    rows = draw(st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES), min_size=1, max_size=80))
    return [candle(i, row[0], max(row), min(row), row[1]) for i, row in enumerate(rows)]


@settings(max_examples=60, deadline=None)
@given(series(), st.sampled_from(SMOOTHINGS))
def test_streaming_is_the_batch_to_the_last_digit(candles: list[Candle], smoothing: str) -> None:
    """Whether a series comes candle by candle or as a whole changes no digit of any indicator."""
    assert followed(candles, smoothing) == readings(candles, smoothing)


@needs_candles
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_streaming_is_the_batch_on_real_candles(smoothing: str) -> None:
    """The same over recorded hours."""
    assert followed(real(), smoothing) == readings(real(), smoothing)


def test_the_first_candles_by_hand() -> None:
    """True range reaches to the close before; means take what there is; an EMA starts at the first close."""
    made = readings([candle(0, 10, 12, 9, 11), candle(1, 14, 15, 13, 14), candle(2, 9, 10, 8, 9)])
    assert [one.tr for one in made] == [3, 4, 6]
    assert [one.atr_14 for one in made] == [3, D("3.5"), D("4.333333333333333333")]
    assert made[1].ema(14) == D("11.4")  # 11 + 2/15 x 3
    assert made[0].emas == (11,) * len(EMA_LENGTHS)


def test_an_atr_forgets_what_is_older_than_its_length() -> None:
    """After fourteen quiet candles one wide candle is gone from the mean; from Wilder's it fades."""
    candles = [candle(0, 100, 150, 50, 100), *(candle(i, 100, 101, 99, 100) for i in range(1, 15))]
    assert readings(candles)[-1].atr_14 == 2
    assert 8 < readings(candles, "wilder")[-1].atr_14 < 9
    assert readings(candles)[-2].atr_14 == 9


def test_nothing_is_ready_before_its_warm_up() -> None:
    """The slowest indicator says from when on."""
    gauge: Gauge | None = None
    ready: list[bool] = []
    for i in range(WARMUP):
        gauge = follow(gauge, candle(i, 1, 1, 1, 1))
        ready.append(gauge.ready)
    assert ready == [False] * (WARMUP - 1) + [True]


@needs_candles
def test_they_are_those_of_an_independent_library() -> None:
    """TA-Lib has the same true ranges and means; Wilder's ATR and the EMAs meet its own once both have forgotten their start."""
    talib = pytest.importorskip("talib")
    import numpy as np

    rows = real()
    high, low, close = (np.array([float(getattr(one, name)) for one in rows]) for name in ("high", "low", "close"))
    mine, wilder = readings(rows), readings(rows, "wilder")
    ranges = talib.TRANGE(high, low, close)
    ranges[0] = high[0] - low[0]  # it has none for the first candle
    np.testing.assert_allclose([float(one.tr) for one in mine], ranges, rtol=1e-12)
    for name, length in (("atr_14", 14), ("atr_28", 28)):
        means = talib.SMA(ranges, length)
        np.testing.assert_allclose([float(getattr(one, name)) for one in mine][length:], means[length:], rtol=1e-9)
        # Its first mean leaves the first candle out; what that is worth is gone after a thousand candles.
        theirs = talib.ATR(high, low, close, length)
        np.testing.assert_allclose([float(getattr(one, name)) for one in wilder][1000:], theirs[1000:], rtol=1e-9)
    for length in EMA_LENGTHS:
        # It starts at the mean of the first candles; ten lengths later nothing is left of where either started.
        theirs = talib.EMA(close, length)[10 * length :]
        np.testing.assert_allclose([float(one.ema(length)) for one in mine][10 * length :], theirs, rtol=1e-9)
