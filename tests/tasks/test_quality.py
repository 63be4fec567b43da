"""The quality gate: sound candles pass, each planted defect is found with its row, and results are kept once."""

import gzip
import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.kernel import ArraySeries
from core.series import ts_to_ms
from tasks.candles_read import read_candles
from tasks.candles_store import check_candles, import_candles
from tasks.market_store import open_market
from tasks.quality import Finding, Gate, QualityFailed, SeriesKey, require
from tasks.quality_rules import Limits, frame_of
from tasks.quality_store import check_stored, forget_old, publish_results, save, stored_series, table_of

START = datetime(2026, 3, 1)
KEY = SeriesKey("spot", "BTC/USDT", "1m")
DATA = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def gate() -> Gate:
    """One gate for all tests: making one takes seconds."""
    return Gate()


def candles(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    """A sound walk of one-minute candles in whole cents."""
    chance = np.random.default_rng(seed)
    close = 10_000_000 + np.cumsum(chance.integers(-900, 901, rows))
    opens = np.concatenate([[10_000_000], close[:-1]])
    high = np.maximum(opens, close) + chance.integers(0, 500, rows)
    low = np.minimum(opens, close) - chance.integers(0, 500, rows)
    ts = pd.date_range(START, periods=rows, freq="min").astype("datetime64[ms]")
    volume = chance.integers(1, 900, rows)
    return pd.DataFrame({"ts": ts, "open": opens, "high": high, "low": low, "close": close, "volume": volume})


def series_of(frame: pd.DataFrame) -> ArraySeries:
    """A frame as a series of two decimal places."""
    columns = [frame[name].to_numpy(dtype=np.int64) for name in ("open", "high", "low", "close", "volume")]
    ts = frame["ts"].astype("datetime64[ms]").astype("int64").to_numpy()
    return ArraySeries(ts, *columns, scale=2, volume_scale=3)


def broken(findings: list[Finding]) -> dict[str, Finding]:
    """The findings that did not pass, by rule."""
    return {one.rule: one for one in findings if not one.passed}


def at(row: int) -> datetime:
    """When a candle of the walk opens."""
    return START + timedelta(minutes=row)


def test_sound_candles_pass_every_rule(gate: Gate) -> None:
    """Nothing is found where nothing is wrong, freshness included."""
    findings = gate.check(KEY, candles(), now=at(401), limits=Limits(max_age_s=60))
    assert broken(findings) == {}
    assert "freshness" in {one.rule for one in findings}
    require(KEY, findings)


DEFECTS: dict[str, tuple[str, int, str, float]] = {
    "price": ("low", 50, "price", -5),
    "high": ("high", 60, "high", 9_000_000),
    "low": ("low", 70, "low", 10_900_000),
    "damage": ("high", 80, "damage", 100_000_000),
    "outlier": ("high", 90, "outlier", 10_900_000),
    "volume": ("volume", 100, "volume", -1),
    "no_volume": ("volume", 110, "no_volume", 0),
}


@pytest.mark.parametrize(("column", "row", "rule", "value"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_wrong_number_is_found_with_its_row(gate: Gate, column: str, row: int, rule: str, value: float) -> None:
    """The rule that it breaks names the candle, and says whether it stops."""
    frame = candles()
    frame.loc[row, column] = value
    found = broken(gate.check(KEY, frame, now=at(401)))
    assert found[rule].times == (at(row),)
    assert found[rule].failed == 1
    assert found[rule].stops == (rule not in {"outlier", "no_volume"})


def test_times_out_of_order_twice_or_off_the_grid_are_found(gate: Gate) -> None:
    """A row may not repeat or precede another; seconds beside the grid are remarked."""
    frame = candles()
    frame.loc[20, "ts"] = at(19)
    frame.loc[40, "ts"] = at(38) + timedelta(seconds=30)
    found = broken(gate.check(KEY, frame, now=at(401)))
    assert set(found["duplicate"].times) == {at(19)}
    assert found["order"].times == (at(19), at(38) + timedelta(seconds=30))
    assert at(38) + timedelta(seconds=30) in found["off_grid"].times


def test_an_absent_number_is_found(gate: Gate) -> None:
    """A price that is not there stops."""
    frame = candles().astype({"open": float})
    frame.loc[33, "open"] = np.nan
    assert broken(gate.check(KEY, frame, now=at(401)))["open_absent"].times == (at(33),)


def test_gaps_are_named_and_many_of_them_stop(gate: Gate) -> None:
    """A hole is a warning with the candle after it; a tenth of all candles missing is an error."""
    holed = candles().drop(range(100, 110)).reset_index(drop=True)
    found = broken(gate.check(KEY, holed, now=at(401)))
    assert found.keys() == {"gap"}
    assert found["gap"].times == (at(110),)
    assert "10 are" in found["gap"].says
    torn = candles().drop(range(100, 150)).reset_index(drop=True)
    assert broken(gate.check(KEY, torn, now=at(401)))["coverage"].stops


def test_old_candles_stop_only_where_fresh_ones_are_asked_for(gate: Gate) -> None:
    """The newest candle may be as old as the limit says, and history may be history."""
    late = at(399 + 1 + 10)
    assert broken(gate.check(KEY, candles(), now=late, limits=Limits(max_age_s=600))) == {}
    found = broken(gate.check(KEY, candles(), now=late + timedelta(seconds=1), limits=Limits(max_age_s=600)))
    assert found["freshness"].stops
    assert str(at(399)) in found["freshness"].detail
    history = Limits(max_age_s=600, stale_is_error=False)
    assert not broken(gate.check(KEY, candles(), now=at(9_999), limits=history))["freshness"].stops
    assert broken(gate.check(KEY, candles(), now=at(9_999))) == {}


def test_no_candles_at_all_stop(gate: Gate) -> None:
    """An empty series is an error, and nothing else is asked of it."""
    (only,) = gate.check(KEY, candles().head(0), now=at(0), limits=Limits(max_age_s=60))
    assert only.rule == "rows"
    assert only.stops


def test_another_venue_that_disagrees_stops(gate: Gate) -> None:
    """A few candles may differ; more than one in a hundred beyond the limit are another market or another unit."""
    mine, theirs = candles(), candles()
    theirs.loc[10:12, "close"] = 11_000_000
    assert broken(gate.check(KEY, mine, now=at(401), other=theirs)) == {}
    theirs.loc[10:30, "close"] = 11_000_000
    found = broken(gate.check(KEY, mine, now=at(401), other=theirs))
    assert found["cross_venue"].failed == 21
    with pytest.raises(QualityFailed, match=r"spot BTC/USDT 1m: cross_venue .* 2026-03-01 00:10:00"):
        require(KEY, list(found.values()))


def test_a_sentence_names_the_first_rows_and_counts_the_rest(gate: Gate) -> None:
    """Who reads the message knows where to look."""
    frame = candles()
    frame.loc[[3, 5, 8, 13, 21, 34, 55], "low"] = 0
    said = broken(gate.check(KEY, frame, now=at(401)))["price"].sentence()
    assert re.search(r"broken in 7 of 400", said)
    assert "2026-03-01 00:03:00" in said
    assert said.endswith("and 2 more")


def test_results_are_kept_once_for_a_run(gate: Gate, tmp_path: Path) -> None:
    """Doing a run again replaces its rows; readers find them as Parquet; old ones can be forgotten."""
    frame = candles()
    frame.loc[50, "high"] = frame.loc[50, "low"] - 1
    with open_market(tmp_path) as con:
        import_candles(con, series_of(frame), venue="spot", symbol="BTC/USDT", timeframe="1m")
        import_candles(con, series_of(candles()), venue="perp", symbol="BTC/USDT:USDT", timeframe="1m")
        keys = stored_series(con)
        assert keys == [SeriesKey("perp", "BTC/USDT:USDT", "1m"), KEY]
        for _ in range(2):
            found = check_stored(con, gate, keys, Limits(), now=at(401))
            save(con, "2026-03-01", found, at(401))
        rows = con.execute("SELECT rule, first_ts, last_ts FROM quality_results WHERE NOT passed").fetchall()
        assert rows == [("high", at(50), at(50))]
        compared = con.execute("SELECT count(*) FROM quality_results WHERE rule = 'cross_venue' AND passed").fetchone()
        assert compared == (2,)
        assert pd.read_parquet(publish_results(con, tmp_path)).shape[0] == sum(map(len, found.values()))
        assert forget_old(con, at(401)) == 0
        assert forget_old(con, at(402)) == sum(map(len, found.values()))
    shown = table_of(found)
    assert [row["severity"] for row in shown] == ["passed", "error"]


def test_the_gate_and_the_stores_own_check_agree(gate: Gate, tmp_path: Path) -> None:
    """The same defects are found by the rules on frames and by the SQL behind `candles check`."""
    frame = candles()
    frame.loc[50, "high"] = frame.loc[50, "low"] - 1
    frame.loc[60, "low"] = 0
    frame.loc[70, "volume"] = 0
    frame = frame.drop(range(200, 207)).reset_index(drop=True)
    with open_market(tmp_path) as con:
        import_candles(con, series_of(frame), venue="spot", symbol="BTC/USDT", timeframe="1m")
        by_sql = {one.kind: (one.ts, one.count) for one in check_candles(con)}
        found = broken(check_stored(con, gate, [KEY], Limits(), now=at(401))[KEY])
    assert by_sql["contradiction"] == (found["high"].times[0], found["high"].failed)
    assert by_sql["price"] == (found["price"].times[0], found["price"].failed)
    assert by_sql["no_volume"] == (found["no_volume"].times[0], found["no_volume"].failed)
    assert by_sql["gap"][1] == 7
    assert found["gap"].times == (at(207),)


def test_the_pages_are_closed_and_of_one_run(tmp_path: Path) -> None:
    """A page may fetch nothing from anywhere, and the pages of the run before are gone."""
    folder = tmp_path / "docs"
    for name in ("ETH/USDT", "BTC/USDT"):
        one = Gate(folder)
        one.check(SeriesKey("spot", name, "1m"), candles(20), now=at(21))
        index = one.write_docs()
    assert index is not None
    pages = list(folder.rglob("*.html"))
    assert index in pages
    assert all("default-src 'self'" in page.read_text() for page in pages)
    assert [page for page in pages if "validations" in str(page) and "BTC-USDT" in str(page)]
    assert not [page for page in pages if "ETH" in str(page)]


def raw(name: str) -> pd.DataFrame:
    """A defective file as it was found, without any repair."""
    path, names = DATA / "raw_defects" / name, ["ts", "open", "high", "low", "close", "volume"]
    if name.startswith("live"):
        frame = pd.read_csv(path, index_col=0).set_axis(names, axis=1)
    elif name.startswith("crypto"):
        frame = pd.read_csv(path, header=None).iloc[:, [0, 3, 4, 5, 6, 7]].set_axis(names, axis=1)
    elif name.startswith("kraken"):
        frame = pd.read_csv(path, header=None).iloc[:, :6].set_axis(names, axis=1)
    elif name.startswith("lean"):
        frame = pd.read_csv(path, header=None).set_axis(names, axis=1)
    else:
        frame = pd.DataFrame(json.loads(gzip.decompress(path.read_bytes())), columns=names)
    numbers = not name.startswith("live")
    unit = "s" if name.startswith("kraken") else "ms"
    return frame.assign(ts=pd.to_datetime(frame["ts"], unit=unit if numbers else None).astype("datetime64[ms]"))


DEFECTIVE: dict[str, set[str]] = {
    "live-collector-bnbusdt_1m_candles.csv": {"overlap"},
    "cryptodatadownload-Binance_BTCUSDT_minute.csv.gz": {"order", "overlap"},
    "kraken-BTCUSDC_1m_20230301_20230321.csv.gz": {"coverage"},
    "freqtrade-UNITTEST_BTC-1m.json.gz": set(),
    "lean-binance-btcusdt-20180209_trade.zip": set(),
    "lean-binance-btcusdt-20180210_trade.zip": set(),
}


@pytest.mark.skipif(not DATA.is_dir(), reason="no recorded market data beside the project")
@pytest.mark.parametrize(("name", "stopping"), DEFECTIVE.items())
def test_files_as_they_were_found(gate: Gate, name: str, stopping: set[str]) -> None:
    """Each file of a real collector stops for what is wrong with it; what is only odd is a warning."""
    found = broken(gate.check(SeriesKey("raw", name, "1m"), raw(name), now=at(0)))
    assert {rule for rule, one in found.items() if one.stops} == stopping
    assert found


@pytest.mark.skipif(not DATA.is_dir(), reason="no recorded market data beside the project")
def test_a_clean_recorded_month_passes(gate: Gate) -> None:
    """No rule is broken by a month of minutes that is known to be sound."""
    series, report = read_candles(DATA / "ohlcv" / "binanceusdm-BTCUSDT-1m-20250504-20250603.parquet")
    assert broken(gate.check(SeriesKey("perp", "BTC/USDT:USDT", report.timeframe), frame_of(series), now=at(0))) == {}


def test_times_are_plain_utc() -> None:
    """The frame's times are those of the series, without a zone."""
    series = series_of(candles(3))
    assert frame_of(series)["ts"].tolist() == [pd.Timestamp(at(row)) for row in range(3)]
    assert ts_to_ms(at(0)) == series.ts_ms(0)
    assert series.bar(0).open == Decimal("100000.00")
