"""A night's backfill over the wire: pages of a loopback exchange, an interruption, and the night run again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tasks import backfill, candles_download, nightly
from tasks.nightly_steps import DONE, FAILED
from tests.tasks.test_candles_download import FIRST_MS, MINUTE_MS, CandleServer, minutes

DAYS = 3
COUNT = DAYS * 1440


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[CandleServer]:
    """Start the exchange; windows are small, and what is asked again is asked soon."""
    monkeypatch.setattr(candles_download, "WAIT_FIRST_S", 0.01)
    monkeypatch.setattr(candles_download, "TRIES_MOST", 1)
    monkeypatch.setattr(backfill, "WINDOW_ROWS", 1000)
    with CandleServer() as server:
        yield server


def portfolio(folder: Path, exchange: CandleServer) -> Path:
    """A paper grid at live prices of the loopback exchange."""
    file = folder / "night.yaml"
    file.write_text(
        f"""\
id: night
mode: paper
data_dir: data
venues: [{{id: spot, exchange: binance, api_url: "{exchange.url}"}}]
feed: {{kind: live}}
bots:
  - {{id: g1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 100, end_price: 110, levels: 5,
     total_amount_quote: 1000}}
"""
    )
    return file


def stored(folder: Path) -> tuple[int, datetime | None, datetime | None]:
    """How many candles are stored, the first and the last."""
    with duckdb.connect(str(folder / "data" / "market.duckdb"), read_only=True) as con:
        return con.execute("SELECT count(*), min(ts), max(ts) FROM ohlcv").fetchone() or (0, None, None)


def test_an_interrupted_backfill_goes_on_with_the_next_run(tmp_path: Path, exchange: CandleServer) -> None:
    """Stopped in the third window, it keeps two; the night run again asks for the rest alone, and then for nothing."""
    file, now = portfolio(tmp_path, exchange), minutes(COUNT) + timedelta(seconds=30)
    real, pages = exchange._klines, 0

    def breaks(params: dict[str, str]) -> list[list[object]]:
        nonlocal pages
        pages += 1
        if pages > 2:
            raise KeyError("broken")
        return real(params)

    exchange._klines = breaks  # type: ignore[method-assign]
    night = nightly.begin(file, days=DAYS, now=now)
    did = nightly.run_step(night, nightly.steps(night)[0])
    assert (did.status, stored(tmp_path)[0]) == (FAILED, 2000)
    assert f"{minutes(2000):%Y-%m-%d %H:%M} on: " in did.says
    exchange._klines = real  # type: ignore[method-assign]
    before = len(exchange.log)
    night = nightly.begin(file, days=DAYS, now=now)
    did = nightly.run_step(night, nightly.steps(night)[0])
    assert did.status == DONE
    assert stored(tmp_path) == (COUNT, minutes(0), minutes(COUNT - 1))
    asked = [int(one.params["startTime"]) for one in exchange.log[before:] if one.path.endswith("/klines")]
    assert min(asked) >= FIRST_MS + 2000 * MINUTE_MS
    before = exchange.count("GET", "/klines")
    night = nightly.begin(file, days=DAYS, now=now, again=True)
    assert nightly.run_step(night, nightly.steps(night)[0]).status == DONE
    assert exchange.count("GET", "/klines") == before
