"""The ATR grid on both accounts of the loopback exchange, its hedge included, in either position mode."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from core.machines.atr_grid.config import HISTORY
from tasks.session import Session
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer
from tests.wire.trading import stored, trade

D = Decimal
FRAME_MS = 60_000
# Minutes that the exchange lists one by one while the bot runs: it decides on each of them.
LATE = 5


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange, whose last minutes are listed late."""
    monkeypatch.setenv("WIRE_KEY", API_KEY)
    monkeypatch.setenv("WIRE_SECRET", SECRET)
    with ExchangeServer() as exchange:
        newest = exchange.clock_ms() // FRAME_MS * FRAME_MS - LATE * FRAME_MS
        for back in range(HISTORY, 0, -1):
            exchange.candles.append([newest - back * FRAME_MS, "60000", "60060", "59940", "60000", "1"])
        yield exchange


def close_candle(server: ExchangeServer, close: str) -> None:
    """List one more minute, which ended at this price, and move both markets there."""
    opened, before = server.candles[-1][0] + FRAME_MS, server.candles[-1][4]
    high, low = max(D(before), D(close)) + 60, min(D(before), D(close)) - 60
    server.candles.append([opened, before, str(high), str(low), close, "1"])
    for books in (server.spot, server.swap):
        books.move("BTCUSDT", close)


def write(folder: Path, server: ExchangeServer, mode: str) -> Path:
    """Write a portfolio with one hedged grid of three levels; the exchange's fees make them 360 apart."""
    file = folder / "portfolio.yaml"
    keys = {"api_url": server.url, "api_key": "${WIRE_KEY}", "secret": "${WIRE_SECRET}"}
    bot = {
        "id": "a1", "kind": "atr_grid", "venue": "spot", "symbol": "BTC/USDT", "futures_venue": "perp",
        "futures_symbol": "BTC/USDT:USDT", "timeframe": "1m", "initial_capital": 10000, "levels": 3,
    }  # fmt: skip
    told = {
        "id": "wire", "mode": "demo", "data_dir": "data", "bots": [bot],
        "risk": {"max_exposure_quote": 20000, "max_drawdown": 0.5, "unknown_quarantine_s": 1},
        "venues": [
            {"id": "spot", "exchange": "binance", "market": "spot"} | keys,
            {"id": "perp", "exchange": "binanceusdm", "market": "swap", "position_mode": mode} | keys,
        ],
    }  # fmt: skip
    file.write_text(yaml.safe_dump(told))
    return file


def short_of(server: ExchangeServer, mode: str) -> Decimal:
    """Return what the exchange says is sold short."""
    name = "BTCUSDT" + (" SHORT" if mode == "hedge" else "")
    return -server.swap.positions[name].qty if name in server.swap.positions else D(0)


@pytest.mark.parametrize("mode", ["one_way", "hedge"])
def test_it_trades_and_hedges_on_both_accounts(tmp_path: Path, server: ExchangeServer, mode: str) -> None:
    """Levels rest and fill, the danger zone opens a short, a restart keeps it, a rise closes it; the books are the exchange's."""
    server.swap.hedged = mode == "hedge"
    file = write(tmp_path, server, mode)
    shorts: list[Decimal] = []

    def move(number: int, _: Session) -> None:
        shorts.append(short_of(server, mode))
        if number == 3:
            assert sorted(one.price for one in server.spot.open()) == [D(58920), D(59280), D(59640)]
            server.spot.move("BTCUSDT", "59250")
        if number == 5:
            close_candle(server, "59150")

    trade(file, 9, move)
    assert short_of(server, mode) == D("0.012"), "30 % of two lots, on the exchange's step"
    assert shorts[5] == 0
    close_candle(server, "59700")
    trade(file, 6)
    assert short_of(server, mode) == 0
    zones = stored(file, "SELECT decision FROM journal WHERE subject = 'hedge' ORDER BY ts")
    assert {"OPEN", "ZONE_LEFT", "CLOSED"} <= {row[0] for row in zones}
    sums = stored(file, "SELECT symbol, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM fills GROUP BY 1")
    assert dict(sums)["BTC/USDT:USDT"] == 0
    wallets = "SELECT venue, asset, sum(amount) FROM ledger WHERE account = 'wallet' GROUP BY 1, 2"
    told = {(venue, asset): amount for venue, asset, amount in stored(file, wallets)}
    for venue, books in (("spot", server.spot), ("perp", server.swap)):
        for asset, free in books.free.items():
            assert told.get((venue, asset), D(0)) == free + books.locked.get(asset, D(0)), (venue, asset)
    assert stored(file, "SELECT kind, detail FROM incidents WHERE resolved_at IS NULL") == []
