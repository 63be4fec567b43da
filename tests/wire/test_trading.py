"""A whole portfolio trades at the loopback exchange through the unmodified ccxt client."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.errors import Busy, Refused
from tasks.session import Session
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, trade, wallet, write_portfolio


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run the loopback exchange."""
    with ExchangeServer() as exchange:
        yield exchange


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keys().items():
        monkeypatch.setenv(name, value)


def test_a_grid_trades_and_its_ledger_is_the_exchange(tmp_path: Path, server: ExchangeServer) -> None:
    """After fills with fees in coins and in quote the ledger's wallet equals the exchange's balances to the last digit."""
    prices = {3: 59500, 5: 60500, 7: 59000, 9: 61500}

    def move(number: int, _: Session) -> None:
        if number in prices:
            server.spot.move("BTCUSDT", Decimal(prices[number]))

    file = write_portfolio(tmp_path, server)
    done = trade(file, 12, move)
    assert sum(one.fills for one in done) > 10
    for asset, free in server.spot.free.items():
        assert wallet(file).get(asset, Decimal(0)) == free + server.spot.locked.get(asset, Decimal(0)), asset
    assert stored(file, "SELECT kind, detail FROM incidents") == []


def test_a_standing_market_is_left_alone(tmp_path: Path, server: ExchangeServer) -> None:
    """With a constant price nothing is sent to the exchange and no bot's table grows."""
    file = write_portfolio(tmp_path, server)
    trade(file, 3)
    before = stored(
        file, "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM journal), (SELECT count(*) FROM levels)"
    )
    server.log.clear()
    trade(file, 5)
    assert [asked for asked in server.log if asked.method in {"POST", "DELETE", "PUT"}] == []
    assert (
        stored(
            file, "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM journal), (SELECT count(*) FROM levels)"
        )
        == before
    )


def test_a_restart_goes_on_with_the_same_orders(tmp_path: Path, server: ExchangeServer) -> None:
    """A second start finds its resting orders again, and fills of the time between are booked once."""
    file = write_portfolio(tmp_path, server)
    trade(file, 3)
    server.spot.move("BTCUSDT", Decimal(59300))
    trade(file, 3)
    bought = stored(file, "SELECT count(*), count(DISTINCT trade_id) FROM fills")[0]
    assert bought[0] == bought[1] > 0
    ids = stored(file, "SELECT client_id FROM orders")
    assert len(ids) == len(set(ids))


def test_another_stores_orders_stop_the_start(tmp_path: Path, server: ExchangeServer) -> None:
    """Open orders with our bot's name and another store's token mean two writers: exit 4, nothing is placed."""
    file = write_portfolio(tmp_path, server)
    trade(file, 2)
    (tmp_path / "data" / "trading.duckdb").rename(tmp_path / "away.duckdb")
    server.log.clear()
    with pytest.raises(Busy, match="another store") as busy:
        trade(file, 1)
    assert busy.value.exit_code == 4
    assert [asked for asked in server.log if asked.method == "POST" and "order" in asked.path] == []


def test_wrong_keys_are_one_line_and_place_nothing(
    tmp_path: Path, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that the exchange does not know refuses the start, names the venue, and shows no key."""
    monkeypatch.setenv("WIRE_KEY", "canary-key")
    file = write_portfolio(tmp_path, server)
    with pytest.raises(Refused) as refused:
        trade(file, 1)
    assert "canary" not in str(refused.value)
    assert not (tmp_path / "data").exists()
