"""The array series must answer exactly as the plain one, whatever is asked."""

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.kernel import BLOCK, NEAR, ArraySeries, series_of
from core.market import Candle
from core.series import ListSeries

D = Decimal
T0 = datetime.fromisoformat("2023-12-31 23:00")


def minute_series(lows: list[int], spread: int = 0) -> ArraySeries:
    """Build minute bars from whole-unit lows (two decimals); highs stand `spread` above."""
    low = np.array(lows, dtype=np.int64)
    ts = np.arange(len(lows), dtype=np.int64) * 60_000
    return ArraySeries(ts, low, low + spread, low, low + spread, low * 0 + 7, scale=2, volume_scale=3)


def naive(series: ArraySeries, start: int, low: int | None, high: int | None) -> int:
    """Walk the bars."""
    for i in range(start, len(series)):
        if (low is not None and series.low[i] <= low) or (high is not None and series.high[i] >= high):
            return i
    return len(series)


@st.composite
def walks(draw: st.DrawFn) -> ArraySeries:
    """Random walks of lengths around the sizes at which the search changes its method."""
    length = draw(st.sampled_from([0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, NEAR + BLOCK, 500, 4096, 4097, 13_000]))
    seed = draw(st.integers(0, 2**32 - 1))
    reach = draw(st.sampled_from([0, 1, 5, 300]))
    steps = np.random.default_rng(seed).integers(-reach, reach + 1, length)
    return minute_series((10_000 + np.cumsum(steps)).tolist(), spread=draw(st.integers(0, 50)))


@settings(max_examples=300, deadline=None)
@given(series=walks(), data=st.data())
def test_search_equals_a_walk_over_the_bars(series: ArraySeries, data: st.DataObject) -> None:
    """Every start, every band, with and without edges: the first bar outside is the one a walk finds."""
    edges = st.none() | st.integers(9_000, 11_000) | st.sampled_from([0, -(2**70), 2**70, 20_000])
    start = data.draw(st.integers(0, len(series) + 3))
    low, high = data.draw(edges), data.draw(edges)
    found = series.next_outside_units(start, low, high)
    assert found == (naive(series, start, low, high) if (low, high) != (None, None) else len(series))


prices = st.decimals(min_value="0.0001", max_value="99999", places=4)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(prices, prices, prices, prices, prices), max_size=12),
    low=st.none() | st.decimals(min_value="-1", max_value="99999", places=7),
    high=st.none() | st.decimals(min_value="-1", max_value="99999", places=7),
    start=st.integers(0, 13),
)
def test_array_and_plain_series_are_one_and_the_same(
    rows: list[tuple[Decimal, ...]], low: Decimal | None, high: Decimal | None, start: int
) -> None:
    """Bars, times and searches agree, for edges finer than the prices too."""
    candles = [
        Candle(T0 + timedelta(minutes=i), o, max(o, h, lo, c), min(o, h, lo, c), c, v)
        for i, (o, h, lo, c, v) in enumerate(rows)
    ]
    plain, fast = ListSeries(candles), series_of(candles)
    assert (len(plain), plain.scale) == (len(fast), fast.scale)
    assert [plain.bar(i) for i in range(len(plain))] == [fast.bar(i) for i in range(len(fast))]
    assert [plain.ts_ms(i) for i in range(len(plain))] == [fast.ts_ms(i) for i in range(len(fast))]
    assert plain.next_outside(start, low, high) == fast.next_outside(start, low, high)


@pytest.mark.parametrize("at", [0, 1, 63, 64, 191, 192, 4095, 4096, 8191, 8192, 8300, 20_000, 299_999])
def test_a_single_dip_is_found_wherever_it_lies(at: int) -> None:
    """One bar outside the band is found from every distance, and not seen from behind it."""
    lows = [500] * 300_000
    lows[at] = 499
    series = minute_series(lows)
    for start in {0, at // 2, max(0, at - 65), at}:
        assert series.next_outside(start, D("4.99"), D("6")) == at
    assert series.next_outside(at + 1, D("4.99"), D("6")) == 300_000


def test_bars_are_exact_decimals_in_utc() -> None:
    """Prices and volume come back to the last digit, with the scale's places."""
    bar = minute_series([123, 456], spread=1).bar(1)
    assert bar == Candle(
        datetime.fromisoformat("1970-01-01 00:01"), D("4.56"), D("4.57"), D("4.56"), D("4.57"), D("0.007")
    )
    assert str(bar.open) == "4.56"


def test_a_slice_is_a_series_of_its_own() -> None:
    """Cutting keeps bars and searches, and the columns can't be written through it."""
    cut = minute_series(list(range(100, 400))).between(10, 250)
    assert (len(cut), cut.bar(0).open, cut.next_outside(5, None, D("2"))) == (240, D("1.1"), 90)
    with pytest.raises(ValueError, match="read-only"):
        cut.low[0] = 1


def test_index_at_counts_bars_before_a_time() -> None:
    """The first bar at or after a time, or the length."""
    series = minute_series([1, 2, 3])
    assert [series.index_at(ms) for ms in (-5, 0, 1, 60_000, 120_000, 120_001)] == [0, 0, 1, 1, 2, 3]


@pytest.mark.parametrize("i", [-1, 2])
def test_a_bar_outside_the_series_is_an_error(i: int) -> None:
    """Negative and too large indices are refused."""
    series = minute_series([1, 2])
    with pytest.raises(IndexError, match="bars 0 to 1"):
        series.bar(i)
    with pytest.raises(IndexError, match="bars 0 to 1"):
        series.ts_ms(i)
    with pytest.raises(IndexError, match="bar 0 or later"):
        series.next_outside_units(-1, 1, 2)


def test_columns_must_have_one_length_and_rise_in_time() -> None:
    """A series that would answer wrongly can't be built."""
    one, two = np.array([1], dtype=np.int64), np.array([1, 1], dtype=np.int64)
    with pytest.raises(ValueError, match=r"one length, these have \[1, 2\]"):
        ArraySeries(one, two, one, one, one, one, scale=0, volume_scale=0)
    with pytest.raises(ValueError, match=r"candle 1 opens at 1970-01-01 00:00:00\.001000, not after candle 0"):
        ArraySeries(two, two, two, two, two, two, scale=0, volume_scale=0)


def test_a_price_finer_than_the_scale_is_refused() -> None:
    """No price is rounded on its way into the arrays."""
    with pytest.raises(ValueError, match="more than 1 decimal places"):
        series_of([Candle(T0, D("1.25"), D("1.25"), D("1.25"), D("1.25"), D(1))], scale=1)
