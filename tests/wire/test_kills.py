"""SIGKILL and unreadable accounts on the wire: the real process, the real ccxt client, the real store."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.wire_kills import ordeal
from tasks.session import Session
from tests.wire.exchange_faults import html
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, trade, wallet, write_portfolio


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange, with its keys in the environment."""
    for name, value in keys().items():
        monkeypatch.setenv(name, value)
    with ExchangeServer() as exchange:
        yield exchange


def test_ten_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Ten SIGKILLs among lost answers and late orders leave no order, trade, cent or client id that does not agree."""
    figures, found = ordeal(tmp_path, 10, 1)
    assert found == []
    assert figures["kills"] == 10
    assert figures["orders"] > 10


@pytest.mark.parametrize("path", ["/openOrders", "/myTrades", "/account"])
def test_nothing_is_placed_before_the_account_was_read(tmp_path: Path, server: ExchangeServer, path: str) -> None:
    """A first tick that cannot read orders, trades or balances places nothing; the next whole reading lets it go on."""

    def cut_off(number: int, _: Session) -> None:
        if number == 0:
            server.plant(html("GET", path))
        if number == 1:
            assert server.count("POST", "/order") == 0

    file = write_portfolio(tmp_path, server)
    trade(file, 4, cut_off)
    assert len(server.spot.open()) == 10
    assert stored(file, "SELECT kind, resolved_at IS NOT NULL FROM incidents") == [("venue_unreadable", True)]


def test_a_restart_does_not_ask_whose_each_order_was(tmp_path: Path, server: ExchangeServer) -> None:
    """The store knows the exchange's ids of our orders: trades read anew after a start cost no request each."""

    def move(number: int, _: Session) -> None:
        if number > 2:
            server.spot.move("BTCUSDT", Decimal(59300 if number % 2 else 60700))

    file = write_portfolio(tmp_path, server)
    trade(file, 12, move)
    assert len(server.spot.trades) > 10
    server.log.clear()
    trade(file, 2)
    assert server.count("GET", "/myTrades") > 0
    assert server.count("GET", "/order") == 0


def test_trades_read_beside_a_failed_balance_are_kept(tmp_path: Path, server: ExchangeServer) -> None:
    """Trades count although the balances read after them failed: a reading is lost alone, not with its neighbours."""

    def move(number: int, _: Session) -> None:
        if number == 3:
            server.spot.move("BTCUSDT", Decimal(59500))
            server.plant(html("GET", "/account"))

    file = write_portfolio(tmp_path, server)
    trade(file, 6, move)
    assert len(stored(file, "SELECT * FROM fills")) == len(server.spot.trades) > 0
    assert wallet(file)["BTC"] == server.spot.free["BTC"] + server.spot.locked.get("BTC", Decimal(0))
