"""Fewer points, the same extremes."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import report_sampling as sampling
from tests.tasks import report_demo as demo


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 20))
def test_thinned_line_keeps_its_ends_and_extremes(values: list[float], buckets: int) -> None:
    """First, last, lowest and highest value survive, in order, within the promised number of points."""
    line = np.array(values)
    kept = sampling.keep_extremes(line, buckets)
    assert kept[0] == 0
    assert kept[-1] == len(line) - 1
    assert list(kept) == sorted(set(kept))
    assert len(kept) <= max(4 * buckets, 1)
    assert line[kept].min() == line.min()
    assert line[kept].max() == line.max()


def test_missing_values_are_never_extremes() -> None:
    """A NaN in a bucket does not push out its highest or lowest value."""
    line = np.array([1.0, np.nan, 9.0, -9.0, np.nan, 2.0] * 50)
    kept = sampling.keep_extremes(line, 10)
    assert np.nanmax(line[kept]) == 9.0
    assert np.nanmin(line[kept]) == -9.0


@pytest.mark.parametrize("count_max", [5, 48, 100, 700])
def test_merged_candles_keep_open_extremes_and_close(count_max: int) -> None:
    """Merging loses no high or low, and the ends of the series are the ends of the result."""
    candles = demo.walked_candles(2_000)
    merged = sampling.merge_candles(candles, count_max)
    assert len(merged.ts_ms) <= count_max
    assert merged.high.max() == candles["high"].max()
    assert merged.low.min() == candles["low"].min()
    assert merged.open[0] == candles["open"].iloc[0]
    assert merged.close[-1] == candles["close"].iloc[-1]
    assert not np.any(merged.ts_ms % merged.interval_ms)
    assert np.all(merged.low <= np.minimum(merged.open, merged.close))
    assert np.all(merged.high >= np.maximum(merged.open, merged.close))


def test_merged_candles_equal_a_resample_of_pandas() -> None:
    """The merged candles are those of pandas' own resampling, a gap included."""
    candles = demo.walked_candles(900).drop(index=range(300, 480)).reset_index(drop=True)
    merged = sampling.merge_candles(candles, 64)
    frame = candles.set_index("ts")
    rule = f"{merged.interval_ms // 60_000}min"
    wanted = frame.resample(rule).agg({"open": "first", "high": "max", "low": "min", "close": "last"}).dropna()
    assert list(merged.ts_ms) == list(sampling.epoch_ms(pd.Series(wanted.index)))
    for name in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(merged, name), wanted[name].to_numpy())


def test_numbers_of_every_kind_become_floats() -> None:
    """Decimals, floats, None and NaN in one column become floats and NaN."""
    found = sampling.floats(pd.Series([Decimal("1.5"), 2.0, None, float("nan")], dtype=object))
    assert found[:2].tolist() == [1.5, 2.0]
    assert np.isnan(found[2:]).all()


def test_evenly_spread_places_hold_both_ends() -> None:
    """A sample never exceeds its limit and keeps the first and the last fill."""
    places = sampling.spread_evenly(1_000, 30)
    assert len(places) <= 30
    assert (places[0], places[-1]) == (0, 999)
    assert sampling.spread_evenly(0, 30).tolist() == []
