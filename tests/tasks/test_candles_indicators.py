"""Indicators beside stored candles: carried on, computed anew, shown to readers; always those of a batch."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from core.indicators import readings
from core.kernel import series_of
from core.market import Candle
from tasks.backfill import backfill
from tasks.candles_indicators import COLUMNS, fill_indicators, kept_smoothings
from tasks.candles_store import import_candles
from tasks.cli import main
from tasks.market_store import open_market, publish_candles
from tasks.settings import check
from tests.tasks.played import write_candles
from tests.tasks.test_candles_store import candles_of

D = Decimal
T0 = datetime.fromisoformat("2024-03-01 00:00:00")
KEY = {"venue": "spot", "symbol": "BTC/USDT", "timeframe": "1m"}


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_market(tmp_path) as opened:
        yield opened


def made(count: int) -> list[Candle]:
    """Candles that go up and down, by no number that divides well."""
    closes = [D("100") + D(i * i % 17) / 8 + D(i % 7) / 4 for i in range(count)]
    return [
        Candle(T0 + timedelta(minutes=i), at, at + D("0.75"), at - D(i % 3) / 4, at + D("0.5"), D(1))
        for i, at in enumerate(closes)
    ]


def put(con: duckdb.DuckDBPyConnection, candles: list[Candle]) -> None:
    import_candles(con, series_of(candles), **KEY)


def stored(con: duckdb.DuckDBPyConnection, smoothing: str) -> list[tuple[Decimal, ...]]:
    columns = ", ".join(COLUMNS)
    asked = f"SELECT {columns} FROM ohlcv_indicators WHERE smoothing = ? ORDER BY ts"
    return con.execute(asked, [smoothing]).fetchall()


def batch(candles: list[Candle], smoothing: str) -> list[tuple[Decimal, ...]]:
    return [(one.tr, one.atr_14, one.atr_28, *one.emas) for one in readings(candles, smoothing)]


@pytest.mark.parametrize("smoothing", ["sma", "wilder"])
def test_carried_on_they_are_those_of_a_batch(con: duckdb.DuckDBPyConnection, smoothing: str) -> None:
    """Candles that come in pieces, the first shorter than an ATR, give every digit of a computation over all of them."""
    candles = made(300)
    for begin, end in ((0, 9), (9, 41), (41, 41), (41, 300)):
        put(con, candles[begin:end])
        assert fill_indicators(con, **KEY, smoothing=smoothing) == end - begin
    assert stored(con, smoothing) == batch(candles, smoothing)


def test_older_candles_make_them_new(con: duckdb.DuckDBPyConnection) -> None:
    """A past that is fetched later changes every average after it."""
    candles = made(120)
    put(con, candles[50:])
    fill_indicators(con, **KEY)
    put(con, candles[:50])
    assert fill_indicators(con, **KEY) == 120
    assert stored(con, "sma") == batch(candles, "sma")


def test_publishing_brings_them_up_to_date(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A series that has indicators keeps them; one without gets none."""
    candles = made(60)
    put(con, candles[:30])
    publish_candles(con, tmp_path, *KEY.values())
    assert kept_smoothings(con, **KEY) == []
    fill_indicators(con, **KEY, smoothing="wilder")
    put(con, candles[30:])
    publish_candles(con, tmp_path, *KEY.values())
    assert stored(con, "wilder") == batch(candles, "wilder")
    [file] = tmp_path.glob("**/parquet/ohlcv_indicators/*.parquet")
    assert duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchone() == (60,)


def test_the_command_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`candles import --indicators` on the document's own CSV, and `sql` over candles and companions."""
    file = write_candles(tmp_path / "spot.csv", 250)
    told = ["candles", "import", str(file), "--symbol", "BTC/USDT", "--timeframe", "1m", "--data-dir", str(tmp_path)]
    assert main([*told, "--indicators", "sma", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["new"] == 250
    with open_market(tmp_path) as con:
        rows = con.execute(
            "SELECT o.close, i.ema_200 FROM ohlcv o JOIN ohlcv_indicators i USING (venue, symbol, timeframe, ts) ORDER BY ts"
        ).fetchall()
        from tasks.candles_store import load_candles

        series = load_candles(con, venue="binance", symbol="BTC/USDT", timeframe="1m")
    assert [row[1] for row in rows] == [one.ema(200) for one in readings(candles_of(series))]


def test_a_backfill_keeps_them_for_what_an_atr_grid_trades(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The night's candles of a bot's spot market get its indicators, those of other bots none."""
    file = write_candles(tmp_path / "spot.csv", 230)
    bots = [
        {"id": "atr", "kind": "atr_grid", "venue": "spot", "symbol": "BTC/USDT", "hedge": {"enabled": False},
         "atr_smoothing": "wilder"},
        {"id": "grid", "kind": "grid", "venue": "other", "symbol": "BTC/USDT", "start_price": 90, "end_price": 110, "levels": 5,
         "total_amount_quote": 1000},
    ]  # fmt: skip
    told = check(
        {
            "id": "night", "mode": "paper", "bots": bots,
            "venues": [{"id": name, "exchange": "binance", "market": "spot"} for name in ("spot", "other")],
            "feed": {"kind": "candles", "paths": {"spot": str(file), "other": str(file)}},
        },
        {},
    )  # fmt: skip
    backfill(con, told, tmp_path / "portfolio.yaml", tmp_path, days=1, timeframe="1m", now=T0)
    kept = con.execute("SELECT venue, smoothing, count(*) FROM ohlcv_indicators GROUP BY ALL").fetchall()
    assert kept == [("spot", "wilder", 230)]
