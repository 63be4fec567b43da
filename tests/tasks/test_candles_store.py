"""Candles in a real DuckDB file: stored once, found again to the digit, checked and combined."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pytest

from core.kernel import ArraySeries, series_of
from core.market import Candle
from tasks.candles_read import read_candles
from tasks.candles_resample import resample
from tasks.candles_store import check_candles, create_table, import_candles, load_candles

D = Decimal
T0 = datetime.fromisoformat("2024-03-01 00:00:00")
MINUTE = timedelta(minutes=1)
KEY = {"venue": "spot", "symbol": "BTC/USDT", "timeframe": "1m"}


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a market store with its table."""
    with duckdb.connect(str(tmp_path / "market.duckdb")) as opened:
        create_table(opened)
        create_table(opened)
        yield opened


def candle(minute: int, close: str = "10.25", volume: str = "1.00000001") -> Candle:
    """Build a sane candle."""
    return Candle(T0 + minute * MINUTE, D("10.1"), D("11"), D("9.5"), D(close), D(volume))


def candles_of(series: ArraySeries) -> list[Candle]:
    """List a series' bars."""
    return [series.bar(i) for i in range(len(series))]


def test_an_import_can_be_repeated(con: duckdb.DuckDBPyConnection) -> None:
    """The second time everything is the same and nothing is written; what comes out is what went in."""
    bars = [candle(i) for i in range(50)]
    first = import_candles(con, series_of(bars), **KEY)
    again = import_candles(con, series_of([*bars[10:], candle(50)]), **KEY)
    assert (first.added, first.same, first.different) == (50, 0, 0)
    assert (again.added, again.same, again.different) == (1, 40, 0)
    assert candles_of(load_candles(con, **KEY)) == [*bars, candle(50)]


def test_a_restated_candle_is_kept_or_replaced_as_asked(con: duckdb.DuckDBPyConnection) -> None:
    """A stored candle never changes silently."""
    import_candles(con, series_of([candle(0), candle(1)]), **KEY)
    restated = series_of([candle(0), candle(1, "10.5")])
    kept = import_candles(con, restated, **KEY)
    assert (kept.added, kept.same, kept.different, kept.first_different) == (0, 1, 1, T0 + MINUTE)
    assert load_candles(con, **KEY).bar(1) == candle(1)
    replaced = import_candles(con, restated, **KEY, replace=True)
    assert (replaced.different, replaced.replaced) == (1, True)
    assert load_candles(con, **KEY).bar(1) == candle(1, "10.5")


def test_series_are_kept_apart_and_cut_by_time(con: duckdb.DuckDBPyConnection) -> None:
    """Another symbol or timeframe is another series; `from_` is inside and `to` is not."""
    import_candles(con, series_of([candle(i) for i in range(5)]), **KEY)
    import_candles(con, series_of([candle(2, "10.75")]), **KEY | {"symbol": "ETH/USDT"})
    cut = load_candles(con, **KEY, from_=T0 + MINUTE, to=T0 + 3 * MINUTE)
    assert candles_of(cut) == [candle(1), candle(2)]
    assert len(load_candles(con, **KEY | {"timeframe": "1h"})) == 0


def test_what_does_not_fit_is_refused_whole(con: duckdb.DuckDBPyConnection) -> None:
    """An unknown timeframe or a price finer than the column leaves the table as it was."""
    with pytest.raises(ValueError, match="'7m' is not known"):
        import_candles(con, series_of([candle(0)]), **KEY | {"timeframe": "7m"})
    fine = D("1.0000000000001")
    with pytest.raises(ValueError, match="more than 12 decimals"):
        import_candles(con, series_of([candle(0), Candle(T0 + MINUTE, fine, fine, fine, fine, D(1))]), **KEY)
    assert import_candles(con, series_of([]), **KEY).added == 0
    assert len(load_candles(con, **KEY)) == 0


def test_checks_name_gaps_and_bad_rows(con: duckdb.DuckDBPyConnection) -> None:
    """Each kind of finding, planted once; a sane series has none."""
    import_candles(con, series_of([candle(i) for i in range(10)]), **KEY)
    assert check_candles(con) == []
    con.execute("DELETE FROM ohlcv WHERE ts IN (?, ?)", [T0 + 4 * MINUTE, T0 + 5 * MINUTE])
    con.execute("UPDATE ohlcv SET volume = 0 WHERE ts = ?", [T0 + MINUTE])
    con.execute("UPDATE ohlcv SET high = 10 WHERE ts = ?", [T0 + 2 * MINUTE])
    con.execute("UPDATE ohlcv SET low = 0 WHERE ts = ?", [T0 + 3 * MINUTE])
    con.execute("UPDATE ohlcv SET ts = ts + INTERVAL 20 SECOND WHERE ts = ?", [T0 + 8 * MINUTE])
    findings = {(f.kind, f.ts, f.count, f.serious) for f in check_candles(con, venue="spot")}
    assert findings == {
        ("gap", T0 + 3 * MINUTE, 2, False),
        ("gap", T0 + 7 * MINUTE, 1, False),
        ("overlap", T0 + 8 * MINUTE + timedelta(seconds=20), 1, True),
        ("no_volume", T0 + MINUTE, 1, False),
        ("contradiction", T0 + 2 * MINUTE, 1, True),
        ("price", T0 + 3 * MINUTE, 1, True),
        ("off_grid", T0 + 8 * MINUTE + timedelta(seconds=20), 1, False),
    }
    assert check_candles(con, symbol="ETH/USDT") == []


def test_an_unknown_timeframe_in_the_table_is_found(con: duckdb.DuckDBPyConnection) -> None:
    """A row that another program wrote with a word of its own does not stop the check."""
    import_candles(con, series_of([candle(0), candle(1)]), **KEY)
    con.execute("UPDATE ohlcv SET timeframe = '1minute'")
    assert [(f.kind, f.count, f.serious) for f in check_candles(con)] == [("timeframe", 2, True)]


def test_resampling_combines_only_whole_intervals() -> None:
    """First open, extremes, last close, summed volume; partial ends are left out, intervals with holes are not."""
    rows = [
        (1, 10, 12, 9, 11),
        (2, 11, 13, 10, 12),
        (3, 12, 20, 8, 9),
        (4, 9, 10, 5, 6),
        (7, 6, 7, 6, 7),
        (9, 7, 9, 7, 8),
    ]
    bars = [Candle(T0 + m * MINUTE, D(o), D(h), D(lo), D(c), D("0.5")) for m, o, h, lo, c in rows]
    coarse = resample(series_of(bars), "3m", source="1m")
    assert candles_of(coarse) == [
        Candle(T0 + 3 * MINUTE, D(12), D(20), D(5), D(6), D(1)),
        Candle(T0 + 6 * MINUTE, D(6), D(7), D(6), D(7), D("0.5")),
    ]


def test_resampling_refuses_what_does_not_divide() -> None:
    """Five minutes do not make three, and an unknown timeframe makes nothing."""
    bars = series_of([candle(0), candle(5)])
    with pytest.raises(ValueError, match="do not divide 3m"):
        resample(bars, "3m")
    with pytest.raises(ValueError, match="can't resample 5m to 7m"):
        resample(bars, "7m")
    assert len(resample(bars, "1h")) == 0
    assert len(resample(series_of([]), "1h", source="1m")) == 0


def test_resampled_minutes_equal_an_independent_hourly_file(market_data: Path, con: duckdb.DuckDBPyConnection) -> None:
    """A year of minutes, stored, read back and combined, equals the hours from elsewhere in all five columns."""
    key = {"venue": "binance", "symbol": "ETH/USDT", "timeframe": "1m"}
    minutes, _ = read_candles(market_data / "ohlcv" / "binance-ETHUSDT-1m-20220101-20221231.parquet")
    hours, _ = read_candles(market_data / "ohlcv" / "binance-ETHUSDT-1h-20170817-20260716.parquet")
    assert import_candles(con, minutes, **key).added == 525_600
    made = resample(load_candles(con, **key), "1h")
    first = hours.index_at(made.ts_ms(0))
    same = hours.between(first, first + len(made))
    assert len(made) == 8760
    for name in ("ts", "open", "high", "low", "close"):
        assert np.array_equal(getattr(made, name), getattr(same, name)), name
    assert candles_of(made.between(0, 200)) == candles_of(same.between(0, 200))
