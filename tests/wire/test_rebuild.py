"""The store is lost: `rebuild` brings it back from the loopback exchange alone, and the bot goes on."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tasks.cli import main
from tasks.errors import Busy, Halted, Refused
from tasks.rebuild import rebuild_store
from tasks.session import Session
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, trade, wallet, write_portfolio

D = Decimal
CHECKS = Path(__file__).parents[2] / "sql" / "checks"
LOTS = "SELECT lot_id, side, qty, cost, realized, grid_profit FROM lots WHERE qty > 0 ORDER BY lot_id"
LIVE = "SELECT client_id, price, qty, filled_qty FROM orders WHERE status = 'OPEN' ORDER BY client_id"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange, with its keys in the environment."""
    for name, value in keys().items():
        monkeypatch.setenv(name, value)
    with ExchangeServer() as exchange:
        yield exchange


def traded(folder: Path, server: ExchangeServer) -> Path:
    """A grid that has gone through some round trips and holds some lots."""
    file = write_portfolio(folder, server)
    file.write_text(file.read_text().replace("unknown_quarantine_s: 1", "unknown_quarantine_s: 0.1"))
    path = iter(("59300", "60700", "59500", "60100", "59700"))

    def move(number: int, _: Session) -> None:
        if number % 2:
            server.spot.move("BTCUSDT", next(path, "59700"))

    trade(file, 13, move)
    return file


def rows(file: Path, question: str) -> list[tuple]:
    """Ask the store itself."""
    with duckdb.connect(file.parent / "data" / "trading.duckdb", read_only=True) as con:
        return con.execute(question).fetchall()


def test_the_rebuilt_store_is_the_lost_one(tmp_path: Path, server: ExchangeServer) -> None:
    """Lots with their cost, live orders, wallet and profit come back to the digit, and nothing is sent meanwhile."""
    file = traded(tmp_path, server)
    before = rows(file, LOTS), rows(file, LIVE), wallet(file)
    profit = rows(file, "SELECT realized, grid_profit, fees, round_trips FROM bot_state")
    assert before[0]
    assert profit[0][3] > 0
    (tmp_path / "data" / "trading.duckdb").unlink()
    server.log.clear()
    report = asyncio.run(rebuild_store(file))
    assert {asked.method for asked in server.log} == {"GET"}
    assert (rows(file, LOTS), rows(file, LIVE), wallet(file)) == before
    assert rows(file, "SELECT realized, grid_profit, fees, round_trips FROM bot_state") == profit
    assert report.token == rows(file, "SELECT token FROM store_stamp")[0][0]
    for check in sorted(CHECKS.glob("assert_*.sql")):
        assert rows(file, check.read_text()) == [], check.name


def test_exits_only_until_release(tmp_path: Path, server: ExchangeServer) -> None:
    """The rebuilt bot withdraws its entries, offers all it holds, and enters again after `release`, with new ids."""
    file = traded(tmp_path, server)
    (tmp_path / "data" / "trading.duckdb").unlink()
    asyncio.run(rebuild_store(file))
    trade(file, 3)
    assert {order.side for order in server.spot.open()} == {"SELL"}
    held = rows(file, "SELECT sum(qty) FROM lots WHERE qty > 0")[0][0]
    offered = sum(order.left for order in server.spot.open())
    assert held - offered < D("0.0001")
    assert main(["control", "g1", "release", "--portfolio", str(file)]) == 0
    trade(file, 4)
    assert "BUY" in {order.side for order in server.spot.open()}
    sent = [order.client_id for order in server.spot.orders]
    assert len(sent) == len(set(sent))
    assert stored(file, "SELECT kind FROM incidents WHERE resolved_at IS NULL") == []


def test_a_damaged_store_is_kept_aside(
    tmp_path: Path, server: ExchangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A torn file is put aside under a name that says so, and the command lists it with what it found."""
    file = traded(tmp_path, server)
    torn = tmp_path / "data" / "trading.duckdb"
    torn.write_bytes(b"\0" * 5000)
    capsys.readouterr()
    assert main(["rebuild", "--portfolio", str(file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["data"]
    kept = [Path(name) for name in said["kept_aside"]]
    assert any(path.read_bytes() == b"\0" * 5000 for path in kept if path.is_file())
    assert said["bots"][0]["mode"] == "tripped"
    assert said["orders_open"] == len(server.spot.open())


def test_a_store_in_use_is_left_alone(tmp_path: Path, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the store the rebuild ends with exit code 4 and changes nothing."""
    file = traded(tmp_path, server)
    monkeypatch.setattr("tasks.rebuild.BUSY_WAIT_S", 0.0)
    before = (tmp_path / "data" / "trading.duckdb").stat().st_ino
    holder = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    import subprocess
    import sys

    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "data" / "trading.duckdb")], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            with pytest.raises(Busy) as busy:
                asyncio.run(rebuild_store(file))
        finally:
            process.kill()
    assert busy.value.exit_code == 4
    assert (tmp_path / "data" / "trading.duckdb").stat().st_ino == before


def test_a_start_without_the_store_names_the_way_back(tmp_path: Path, server: ExchangeServer) -> None:
    """A lost store is noticed by its orders, and where none rests by its trades; the message names `rebuild`."""
    file = traded(tmp_path, server)
    (tmp_path / "data" / "trading.duckdb").unlink()
    with pytest.raises(Busy, match="gridkeeper rebuild"):
        trade(file, 1)
    for order in server.spot.open():
        server.spot.cancel({"orderId": str(order.id), "symbol": "BTCUSDT"})
    with pytest.raises(Busy, match="gridkeeper rebuild"):
        trade(file, 1)


def test_an_account_without_a_past_has_nothing_to_rebuild(tmp_path: Path, server: ExchangeServer) -> None:
    """Where the exchange knows no order of the bots, the command says so and makes no store."""
    file = write_portfolio(tmp_path, server)
    file.write_text(file.read_text().replace("unknown_quarantine_s: 1", "unknown_quarantine_s: 0"))
    with pytest.raises(Refused, match="nothing to rebuild"):
        asyncio.run(rebuild_store(file))
    assert not (tmp_path / "data" / "trading.duckdb").exists()


def test_an_exchange_that_cannot_be_read_changes_nothing(tmp_path: Path, server: ExchangeServer) -> None:
    """A failed reading halts the rebuild; the old store stays where it was."""
    from tests.wire.exchange_faults import html

    file = traded(tmp_path, server)
    before = (tmp_path / "data" / "trading.duckdb").read_bytes()
    server.plant(html("GET", "/allOrders"))
    with pytest.raises(Halted):
        asyncio.run(rebuild_store(file))
    assert (tmp_path / "data" / "trading.duckdb").read_bytes() == before
