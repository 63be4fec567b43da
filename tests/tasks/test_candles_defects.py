"""Broken candle files as found in the wild, and three years of real minutes."""

from datetime import datetime
from pathlib import Path

import pytest

from tasks.candles_read import CandleRefused, read_candles

NOW = datetime.fromisoformat("2026-01-01 00:00:00")

DEFECTS = {
    "lean-binance-btcusdt-20180208_trade.zip": "runs from 00:00:00 to 00:28:00 only",
    "lean-binance-btcusdt-20180209_trade.zip": "841 candles open off the 1m grid",
    "lean-binance-btcusdt-20180210_trade.zip": "gap: 15 missing after 2018-02-10 05:59:14.789000",
    "empty-BTC_USDT_-8h-funding_rate.feather": "refused: is a feather file with 0 rows",
    "cryptodatadownload-Binance_BTCUSDT_minute.csv.gz": "repaired: rows came newest first",
    "live-collector-bnbusdt_1m_candles.csv": "refused: rows lie 3.089 to 4.178 s apart",
    "kraken-BTCUSDC_1m_20230301_20230321.csv.gz": "the name says 2023-03-01 to 2023-03-21",
    "funding-BTC-USDT_gate.csv.gz": "refused: has columns symbol, date, fundingrate",
    "freqtrade-UNITTEST_BTC-1m.json.gz": "gaps: 717 candles missing in 538 gaps",
    "bitfinex-18-03-21_10-00-00.json": "prices come in the order open, close, high, low",
}


@pytest.mark.parametrize("name", DEFECTS)
def test_every_recorded_defect_is_reported_or_refused(market_data: Path, name: str) -> None:
    """Each broken file found in the wild ends in a series with a report, or in one line."""
    path = market_data / "raw_defects" / name
    try:
        said = read_candles(path, now=NOW)[1].lines()
    except CandleRefused as refused:
        said = [f"refused: {refused.reason}"]
    assert any(DEFECTS[name] in line for line in said), said


def test_no_recorded_defect_is_forgotten(market_data: Path) -> None:
    """A sample that is added needs its line above."""
    assert {path.name for path in (market_data / "raw_defects").iterdir()} == set(DEFECTS)


def test_real_outages_are_listed(market_data: Path) -> None:
    """Three years of minutes: fourteen outages, 2,245 missing candles, nothing to repair, 139 without trades."""
    series, report = read_candles(market_data / "ohlcv" / "binance-BTCUSDT-1m-20200101-20221231.parquet", now=NOW)
    assert (len(series), len(report.gaps), report.missing, report.zero_volume) == (1_575_995, 14, 2245, 139)
    assert (report.repairs, report.remarks, report.timeframe, series.scale) == ((), (), "1m", 2)
