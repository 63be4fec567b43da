"""Downloads over loopback: pages, gaps, faults, resuming, and the candle that is still being made."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from core.portfolio import VenueConfig
from tasks import candles_download
from tasks.candles_download import download, download_into, windows
from tasks.cli import main
from tasks.errors import GridkeeperError, Refused
from tests.wire.exchange_faults import Fault
from tests.wire.exchange_server import ExchangeServer, Handler

MINUTE_MS = 60_000
FIRST = datetime(2024, 1, 1)
FIRST_MS = 1_704_067_200_000


class CandleServer(ExchangeServer):
    """The loopback exchange with candles: every minute but those of `missing`, `per_page` at most in an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.listed_ms, self.per_page = FIRST_MS, 1000
        self.missing: set[int] = set()

    def _route(self, method: str, path: str) -> tuple[Handler, bool]:
        if path.endswith("/klines"):
            return self._klines, False
        return super()._route(method, path)

    def _klines(self, params: dict[str, str]) -> list[list[object]]:
        first = max(int(params["startTime"]), self.listed_ms)
        first = -(-first // MINUTE_MS) * MINUTE_MS
        end = min(int(params.get("endTime", 10**15)), self.clock_ms())
        limit = min(int(params.get("limit", "500")), self.per_page)
        rows: list[list[object]] = []
        while first <= end and len(rows) < limit:
            if first not in self.missing:
                rows.append(kline(first))
            first += MINUTE_MS
        return rows


def kline(ms: int) -> list[object]:
    """Return a candle of Binance whose prices say when it was."""
    price = Decimal(ms // MINUTE_MS % 1000) / 100 + 100
    texts = [str(price), str(price + 1), str(price - 1), str(price + Decimal("0.01")), "1.50000000"]
    return [ms, *texts, ms + MINUTE_MS - 1, "0", 1, "0", "0", "0"]


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[CandleServer]:
    """Start the exchange; what is asked again is asked soon."""
    monkeypatch.setattr(candles_download, "WAIT_FIRST_S", 0.01)
    with CandleServer() as server:
        yield server


def venue(exchange: CandleServer, market: str = "spot") -> VenueConfig:
    """Return the loopback exchange as a venue."""
    name = "binance" if market == "spot" else "binanceusdm"
    return VenueConfig(id=market, exchange=name, market=market, api_url=exchange.url)  # type: ignore[arg-type]


def minutes(count: int) -> datetime:
    """Return the time so many minutes after the first."""
    return FIRST + timedelta(minutes=count)


def test_pages_join_into_one_series(exchange: CandleServer) -> None:
    """Candles of several pages come in order, once each, exact, and none outside of what was asked for."""
    series = download(venue(exchange), "BTC/USDT", "1m", minutes(10), minutes(2510))
    assert [series.ts_ms(i) for i in range(len(series))] == [FIRST_MS + MINUTE_MS * i for i in range(10, 2510)]
    bar, wanted = series.bar(1990), kline(FIRST_MS + MINUTE_MS * 2000)
    assert [bar.open, bar.high, bar.low, bar.close, bar.volume] == [Decimal(str(one)) for one in wanted[1:6]]
    assert exchange.count("GET", "/klines") == 3


def test_holes_and_small_pages_do_not_end_a_download(exchange: CandleServer) -> None:
    """An exchange with pages of 100, a hole of more than a page, and a late listing gives all it has."""
    exchange.per_page = 100
    exchange.missing = {FIRST_MS + MINUTE_MS * i for i in range(150, 480)}
    series = download(venue(exchange), "BTC/USDT", "1m", minutes(-3000), minutes(600))
    times = [(series.ts_ms(i) - FIRST_MS) // MINUTE_MS for i in range(len(series))]
    assert times == [*range(150), *range(480, 600)]


def test_the_candle_under_way_is_left_out(exchange: CandleServer) -> None:
    """What is not over yet would change; the exchange's clock decides, which here is two hours ahead."""
    exchange.ahead_ms = 2 * 3_600_000
    now_ms = exchange.clock_ms()
    first = datetime(1970, 1, 1) + timedelta(milliseconds=now_ms - 10 * MINUTE_MS)
    series = download(venue(exchange), "BTC/USDT", "1m", first, first + timedelta(days=1))
    assert series.ts_ms(len(series) - 1) + MINUTE_MS <= exchange.clock_ms()
    assert now_ms - series.ts_ms(len(series) - 1) < 2 * MINUTE_MS


def test_faults_of_the_wire_are_asked_again(exchange: CandleServer) -> None:
    """A cut, a half answer and a server error cost time, never a candle; too many of them end it with the reason."""
    exchange.plant(Fault("cut", "GET", "/klines"), Fault("half", "GET", "/klines"))
    assert len(download(venue(exchange), "BTC/USDT", "1m", FIRST, minutes(1500))) == 1500
    exchange.plant(Fault("cut", "GET", "/klines", times=50))
    with pytest.raises(GridkeeperError, match="does not answer"):
        download(venue(exchange), "BTC/USDT", "1m", FIRST, minutes(10))


@pytest.mark.parametrize(
    ("symbol", "timeframe", "key"), [("NO/COIN", "1m", "--symbol"), ("BTC/USDT", "7m", "--timeframe")]
)
def test_what_the_exchange_does_not_have_is_refused(
    exchange: CandleServer, symbol: str, timeframe: str, key: str
) -> None:
    """The refusal names the argument."""
    with pytest.raises(Refused) as caught:
        download(venue(exchange), symbol, timeframe, FIRST, minutes(10))
    assert caught.value.key == key


def test_a_download_goes_on_where_it_stopped(
    exchange: CandleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted forwards and backwards, started again it asks only for what is missing, and nothing is missing then."""
    monkeypatch.setattr(candles_download, "WINDOW_ROWS", 500)
    asked = (venue(exchange), "BTC/USDT", "1m")
    assert download_into(tmp_path, *asked, minutes(3000), minutes(4000)).added == 1000
    before = exchange.count("GET", "/klines")
    monkeypatch.setattr(candles_download, "TRIES_MOST", 1)
    real, pages = exchange._klines, 0

    def breaks(params: dict[str, str]) -> list[list[object]]:
        nonlocal pages
        pages += 1
        if pages > 3:
            raise KeyError("broken")
        return real(params)

    exchange._klines = breaks  # type: ignore[method-assign]
    with pytest.raises(GridkeeperError):
        download_into(tmp_path, *asked, minutes(0), minutes(5000))
    exchange._klines = real  # type: ignore[method-assign]
    done = download_into(tmp_path, *asked, minutes(0), minutes(5000))
    assert (done.stored, done.first, done.last) == (5000, minutes(0), minutes(4999))
    assert done.added == 5000 - 1000 - 3 * 500
    first_asked = [int(a.params["startTime"]) for a in exchange.log if a.path.endswith("/klines")][before + 4 :]
    assert FIRST_MS + MINUTE_MS * 3500 not in first_asked
    assert download_into(tmp_path, *asked, minutes(0), minutes(5000)).added == 0


def test_windows_keep_what_is_stored_in_one_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the stored stretch they come backwards, after it forwards, and a gap to it is closed."""
    monkeypatch.setattr(candles_download, "WINDOW_ROWS", 10)
    assert list(windows(0, 25, None, 1)) == [(0, 10), (10, 20), (20, 25)]
    assert list(windows(0, 60, (25, 40), 1)) == [(15, 25), (5, 15), (0, 5), (40, 50), (50, 60)]
    assert list(windows(0, 5, (25, 40), 1)) == [(15, 25), (5, 15), (0, 5)]
    assert list(windows(55, 60, (25, 40), 1)) == [(40, 50), (50, 60)]
    assert list(windows(30, 35, (25, 40), 1)) == []


def test_funding_rates_come_without_their_jitter(exchange: CandleServer) -> None:
    """Payments stamped some milliseconds after the hour stand on it; rates are the exchange's digits."""
    hours = 8 * 3_600_000
    exchange.rates = [
        {"symbol": "BTCUSDT", "fundingTime": FIRST_MS + hours * i + i, "fundingRate": f"0.0001{i:04d}"}
        for i in range(5)
    ]
    found = download(venue(exchange, "swap"), "BTC/USDT:USDT", "funding", FIRST, FIRST + timedelta(hours=32))
    assert found == [(FIRST_MS + hours * i, Decimal(f"0.0001{i:04d}")) for i in range(4)]


def test_the_command_fills_the_market_store(
    exchange: CandleServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`candles download` takes a venue of the portfolio and says what is new; again, nothing is."""
    file = tmp_path / "portfolio.yaml"
    file.write_text(
        f"mode: paper\nvenues:\n  - {{id: here, exchange: binance, market: spot, api_url: '{exchange.url}'}}\n"
        "bots:\n  - {id: g1, kind: grid, venue: here, symbol: BTC/USDT, start_price: 50000, end_price: 60000, levels: 5,\n"
        "     total_amount_quote: 1000}\n"
    )
    words = ["candles", "download", "--portfolio", str(file), "--venue", "here", "--symbol", "BTC/USDT", "--json"]
    words += ["--timeframe", "1m", "--from", "2024-01-01", "--to", "2024-01-02"]
    added = []
    for _ in range(2):
        assert main(words) == 0
        added.append(json.loads(capsys.readouterr().out)["data"]["new"])
    assert added == [1440, 0]
    with duckdb.connect(str(tmp_path / "data" / "market.duckdb"), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM ohlcv WHERE venue = 'here'").fetchone() == (1440,)
