"""A trade manager over an unmodified ccxt client, plain and async, at the loopback exchange."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from tasks.exchange_client import _moved
from tasks.manager import TradeManager
from tests.wire.exchange_faults import html, lost
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run the loopback exchange."""
    with ExchangeServer() as exchange:
        yield exchange


def client_of(server: ExchangeServer, module: Any = ccxt) -> Any:
    """A ccxt client as a person would make one, but for its address."""
    client = module.binance({
        "apiKey": API_KEY, "secret": SECRET,
        "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False},
    })  # fmt: skip
    client.urls["api"] = _moved(client.urls["api"], server.url)
    return client


def lone(client: Any, folder: Path, **options: Any) -> TradeManager:
    """A manager with one trade, bought at 60,000."""
    manager = TradeManager(client, results=folder, **options)
    manager.create_linear_traders(min_p=60000, max_p=60000, count=1, qty=0.001, profit=1)
    return manager


@pytest.mark.parametrize("module", [ccxt, ccxt.async_support], ids=["plain", "async"])
def test_a_trade_is_made_and_closed(server: ExchangeServer, tmp_path: Path, module: Any) -> None:
    """Post-only in, post-only out, profit in the log; the exchange has no order left."""
    server.spot.move("BTCUSDT", Decimal(60500))
    client = client_of(server, module)
    manager = lone(client, tmp_path)
    manager.process_tick()
    (resting,) = server.spot.open("BTCUSDT")
    assert resting.price == 60000
    server.spot.move("BTCUSDT", Decimal(59900))
    manager.process_tick()
    assert [trader.state for trader in manager.traders] == ["PLACED_EXIT"]
    server.spot.move("BTCUSDT", Decimal(60700))
    assert manager.process_tick()["completed"] == 1
    assert server.spot.open("BTCUSDT") == []
    (line,) = (tmp_path / "pnl.log").read_text().splitlines()
    assert "entry=60000 exit=60600" in line
    if module is ccxt.async_support:
        manager._desk.run(client.close())


def test_an_answer_that_was_lost_is_asked_for_and_not_sent_again(server: ExchangeServer, tmp_path: Path) -> None:
    """The exchange took the order, the answer never came: one order rests, and the operations log says what happened."""
    server.spot.move("BTCUSDT", Decimal(60500))
    manager = lone(client_of(server), tmp_path)
    server.plant(lost("POST", "/order", accepted=True))
    manager.process_tick()
    manager.process_tick()
    assert len(server.spot.open("BTCUSDT")) == 1
    assert [trader.state for trader in manager.traders] == ["PLACED_ENTRY"]
    assert "unanswered" in (tmp_path / "ops.log").read_text()


def test_a_reading_that_fails_decides_nothing(server: ExchangeServer, tmp_path: Path) -> None:
    """An exchange that answers with an error: nothing is sent, the log says why, and the next tick goes on."""
    server.spot.move("BTCUSDT", Decimal(60500))
    manager = lone(client_of(server), tmp_path)
    server.plant(html("GET", "/openOrders"))
    assert manager.process_tick()["placed"] == 0
    assert "fetch_open_orders" in (tmp_path / "ops.log").read_text()
    assert manager.process_tick()["placed"] == 1
