"""The notebook faces on a paper account: the documents' examples, states on disk, logs, and what is refused."""

import json
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from core.values import ZERO
from tasks.errors import Refused
from tasks.manager import GridExecutor, GridExecutorConfig, PaperClient, TradeManager
from tasks.manager_state import StateRefused

D = Decimal


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lone(client: PaperClient, *, loop: bool = False, **options: object) -> TradeManager:
    """A manager with one trade: bought at 60,000, sold one per cent higher."""
    manager = TradeManager(client, **options)  # type: ignore[arg-type]
    manager.create_linear_traders(min_p=60000, max_p=60000, count=1, qty=0.001, profit=1, loop=loop)
    return manager


def test_the_gaussian_example_of_its_document_runs() -> None:
    """The document's own call, on a paper account: 20 trades, half of a per cent each, maker fills only, profit booked."""
    client = PaperClient(62500)
    manager = TradeManager(client, maker_offset_buy=0.1, maker_offset_sell=0.1)
    manager.create_normal_traders(
        min_p=60000,
        max_p=65000,
        count=20,
        qty=0.001,
        profit=0.5,
        loop=True,
    )
    for price in (62500, 61800, 62600, 61000, 64000):
        client.move(price)
        manager.process_tick()
        time.sleep(0)
    assert len(manager.traders) == 20
    assert manager.traders[0].target_entry == 60000
    assert manager.traders[-1].target_exit == D("65325")
    assert manager.realized_pnl > 0
    assert all(fill.maker for fill in client._fills)


def test_states_are_those_of_the_document() -> None:
    """PENDING_ENTRY, PLACED_ENTRY, PLACED_EXIT, and a trade that is completed is gone."""
    client = PaperClient(60500)
    manager = lone(client)
    assert [trader.state for trader in manager.traders] == ["PENDING_ENTRY"]
    manager.process_tick()
    assert [trader.state for trader in manager.traders] == ["PLACED_ENTRY"]
    client.move(59999)
    manager.process_tick()
    assert [(trader.state, trader.held) for trader in manager.traders] == [("PLACED_EXIT", D("0.001"))]
    client.move(60601)
    assert manager.process_tick()["completed"] == 1
    assert (manager.traders, client.account.orders) == ([], {})
    assert manager.realized_pnl == D("0.6") - D("0.06") - D("0.0606")


def test_a_looping_trade_goes_round_for_ever() -> None:
    """Three rounds earn three times the same."""
    client = PaperClient(60500)
    manager = lone(client, loop=True)
    for _ in range(3):
        manager.process_tick()
        client.move(59999)
        manager.process_tick()
        client.move(60601)
        manager.process_tick()
    assert manager.realized_pnl == 3 * (D("0.6") - D("0.06") - D("0.0606"))
    assert len(Path("results/pnl.log").read_text().splitlines()) == 3


def test_every_closed_trade_is_a_line_of_the_pnl_log() -> None:
    """Exact entry, exit, quantity, profit before and after fees."""
    client = PaperClient(60500)
    manager = lone(client)
    for price in (60500, 59999, 60601):
        client.move(price)
        manager.process_tick()
    (line,) = Path("results/pnl.log").read_text().splitlines()
    assert line.endswith("t1/0-0 BTC/USDT entry=60000 exit=60600 qty=0.001 pnl=0.6 fees=0.1206 net=0.4794")
    assert not Path("results/ops.log").exists()


def test_what_was_saved_goes_on_after_a_restart() -> None:
    """Saved with an order resting, filled meanwhile: the next manager finds the fill, exits, and books the same profit."""
    client = PaperClient(60500)
    manager = lone(client)
    manager.process_tick()
    file = manager.save_to_disk()
    client.move(59999)
    again = TradeManager(client)
    assert [trader.state for trader in again.load_from_disk(file)] == ["PLACED_ENTRY"]
    again.process_tick()
    assert [trader.state for trader in again.traders] == ["PLACED_EXIT"]
    again.save_to_disk()
    client.move(60601)
    third = TradeManager(client)
    third.load_from_disk()
    third.process_tick()
    assert third.realized_pnl == D("0.4794")
    assert client.account.balances == {"USDT": D(100_000) + D("0.4794"), "BTC": ZERO}


def test_a_restart_loses_no_digit() -> None:
    """After every tick of a busy path the state on disk is the state in memory."""
    client = PaperClient(62500)
    manager = TradeManager(client, state_file="state.json")
    manager.create_normal_traders(60000, 65000, count=12, qty=0.001, profit=0.5, loop=True)
    for price in (62500, 61800, 62600, 61000, 64000, 60100, 60900):
        client.move(price)
        manager.process_tick()
        manager.save_to_disk("copy.json")
        again = TradeManager(client)
        again.load_from_disk("copy.json")
        mine, told = manager._desk.world.bots["t1"], again._desk.world.bots["t1"]
        assert (told.state, told.works, told.lots) == (mine.state, mine.works, mine.lots)
        assert (told.realized, told.fees, told.live) == (mine.realized, mine.fees, mine.live)
        assert again._desk.world.wallet == manager._desk.world.wallet
        assert again.traders == manager.traders


def test_the_state_is_on_disk_before_anything_is_sent() -> None:
    """A kill in the middle of sending: the file knows the order as pending, and the next manager takes it over."""
    client = PaperClient(60500)
    manager = lone(client, state_file="state.json")

    class Killed(BaseException):
        """The process ends here."""

    real = client.place

    async def place_and_die(*args: object) -> None:
        await real(*args)  # type: ignore[arg-type]
        raise Killed

    client.place = place_and_die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        manager.process_tick()
    client.place = real  # type: ignore[method-assign]
    again = TradeManager(client, state_file="state.json")
    with pytest.raises(StateRefused, match="load_from_disk"):
        again.process_tick()
    again.load_from_disk()
    again.process_tick()
    assert len(client.account.orders) == 1
    assert [trader.state for trader in again.traders] == ["PLACED_ENTRY"]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """No JSON, another version, another symbol: each is named, and nothing changes."""
    manager = TradeManager(PaperClient(60500))
    file = tmp_path / "x.json"
    for text, word in (("{", "no JSON"), (json.dumps({"version": 9}), "version 1")):
        file.write_text(text)
        with pytest.raises(StateRefused, match=word):
            manager.load_from_disk(file)
    TradeManager(PaperClient(3000, "ETH/USDT")).save_to_disk(file)
    with pytest.raises(StateRefused, match="ETH/USDT"):
        manager.load_from_disk(file)
    with pytest.raises(FileNotFoundError):
        manager.load_from_disk("nowhere.json")


def test_a_profit_is_per_cent_and_a_wrong_one_is_refused() -> None:
    """0.05 is five hundredths of a per cent and less than the fees; 80 is a typing error."""
    manager = TradeManager(PaperClient(60500))
    with pytest.raises(Refused, match="maker fees"):
        manager.create_linear_traders(60000, 61000, 5, 0.001, profit=0.05)
    with pytest.raises(ValidationError, match="allow_wide"):
        manager.create_linear_traders(60000, 61000, 5, 0.001, profit=80)
    assert manager.traders == []


def test_something_that_is_no_client_is_refused() -> None:
    """The message names what would work."""
    with pytest.raises(TypeError, match="PaperClient"):
        TradeManager(object())


def test_the_grid_example_of_its_document_runs() -> None:
    """Document 000's configuration: levels of at least 1 %, at most 1,000 USDT, entries within 2 % of the price alone."""
    client = PaperClient(35000)
    my_strategy = SimpleNamespace(connectors={"binance": client})
    config = GridExecutorConfig(
        connector_name="binance",
        trading_pair="BTC-USDT",
        start_price=30000,
        end_price=40000,
        total_amount_quote=1000,  # Total USDT to deploy
        min_spread_between_orders=0.01,  # 1% minimum spread
        activation_bounds=0.02,  # 2% activation bounds
    )
    executor = GridExecutor(strategy=my_strategy, config=config)
    assert {level["state"] for level in executor.levels} == {"NOT_ACTIVE"}
    executor.process_tick()
    levels = executor.levels
    assert len(levels) == 33
    assert sum(level["entry"] * level["qty"] for level in levels) <= 1000
    active = [level["entry"] for level in levels if level["state"] == "OPEN_ORDER_PLACED"]
    assert active
    assert all(abs(entry - 35000) <= 35000 * D("0.0201") or entry > 35000 for entry in active)
    before = executor.position["qty"]
    client.move(34000)
    executor.process_tick()
    assert executor.position["qty"] > before
    assert executor.net_pnl_quote is not None
    assert executor.net_pnl_quote < 0


def test_a_stopped_grid_holds_nothing() -> None:
    """`stop` cancels and sells; with keep_position it cancels alone."""
    for keep in (False, True):
        client = PaperClient(35000)
        config = GridExecutorConfig(
            trading_pair="BTC-USDT", connector_name="x", start_price=30000, end_price=40000, total_amount_quote=1000, levels=10,
        )  # fmt: skip
        executor = GridExecutor(client, config)
        executor.process_tick()
        client.move(33900)
        executor.process_tick()
        held = executor.position["qty"]
        assert held > 0
        assert executor.is_active
        executor.stop(keep_position=keep)
        for _ in range(3):
            executor.process_tick()
        assert not executor.is_active
        assert executor.position["qty"] == (held if keep else 0)
        entries = [one for one in client.account.orders.values() if one.side.value == "buy"]
        assert entries == []


def test_a_grid_without_a_strategy_gets_a_paper_account() -> None:
    """None opens a simulated account in the middle of the range; a missing connector is named."""
    config = GridExecutorConfig(
        connector_name="binance", trading_pair="BTC-USDT", start_price=30000, end_price=40000, total_amount_quote=1000, levels=10,
    )  # fmt: skip
    executor = GridExecutor(config=config)
    assert executor.process_tick()["placed"] > 0
    with pytest.raises(ValueError, match="no connector 'binance'; it has okx"):
        GridExecutor(SimpleNamespace(connectors={"okx": 1}), config)
