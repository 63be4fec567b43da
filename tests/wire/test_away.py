"""Protection while the process is away and price falls by 15 % (RULES, test B): the stop at the exchange is what holds.

Each case: a swap grid is open when the price leaves its range for good. Pass: the loss stays within the stop and its
slippage, the account is far from liquidation, the position never turns, and the next start latches and agrees with the
exchange to the last digit.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.rebuild import rebuild_store
from tasks.session import Session
from tests.wire.exchange_faults import Fault, lost
from tests.wire.exchange_server import ExchangeServer
from tests.wire.test_leaks import swap_portfolio
from tests.wire.trading import keys, stored, trade, wallet

D = Decimal
ROOT = Path(__file__).parents[2]
STOP = D("0.06")
# Steps of a quarter of a percent: the most that price moves past the trigger before the market order fills.
SLIPPAGE = D("0.003")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange, with its keys in the environment."""
    for name, value in keys().items():
        monkeypatch.setenv(name, value)
    with ExchangeServer() as exchange:
        yield exchange


def portfolio(folder: Path, server: ExchangeServer) -> Path:
    """A swap grid of five levels between 59,000 and 61,000 with a stop 6 % from its average entry."""
    file = swap_portfolio(folder, server)
    text = file.read_text().replace("total_amount_quote: 2000", f"total_amount_quote: 2000, venue_stop: {STOP}")
    file.write_text(text.replace("unknown_quarantine_s: 1", "unknown_quarantine_s: 0.2"))
    return file


def opened(folder: Path, server: ExchangeServer) -> Path:
    """The same, with some levels bought and the stop resting."""
    file = portfolio(folder, server)

    def move(number: int, _: Session) -> None:
        if number == 3:
            server.swap.move("BTCUSDT", D(59900))

    trade(file, 8, move)
    held = server.swap.positions["BTCUSDT"].qty
    assert held > 0
    coming = sum(o.left for o in server.swap.open() if o.side == "BUY")
    assert [(o.qty, o.reduce_only) for o in server.swap.algos if o.status == "NEW"] == [(held + coming, True)]
    return file


class Watch:
    """What the account went through during a fall."""

    def __init__(self, server: ExchangeServer) -> None:
        self.server = server
        self.before = server.swap.free["USDT"]
        self.cost = D(0)
        self.turned = False
        self.worst = self.before

    def fall(self, *, pause_s: float = 0.0) -> None:
        """Let price fall by 15 % in steps of a quarter of a percent."""
        start = D(59900)
        for step in range(1, 61):
            with self.server.lock:
                price = start - start * step / 400
                price -= price % D("0.1")
                self.server.swap.move("BTCUSDT", price)
                held = self.server.swap.positions["BTCUSDT"]
                self.cost = max(self.cost, held.qty * held.entry)
                self.turned = self.turned or held.qty < 0
                self.worst = min(self.worst, self.server.swap.free["USDT"] + held.qty * (price - held.entry))
            time.sleep(pause_s)

    def check(self) -> None:
        """The position is gone, and what it cost is bounded by the stop."""
        assert self.server.swap.positions["BTCUSDT"].qty == 0
        assert not self.turned
        most = self.cost * (STOP + SLIPPAGE)
        assert self.before - self.server.swap.free["USDT"] <= most
        assert self.before - self.worst <= most
        assert self.worst > self.before / 2


def comes_back_latched(file: Path, server: ExchangeServer) -> None:
    """After a start the bot knows that it was stopped, holds nothing, and agrees with the exchange."""
    trade(file, 5)
    assert stored(file, "SELECT mode, inventory FROM bot_state") == [("tripped", 0)]
    assert wallet(file)["USDT"] == server.swap.free["USDT"]
    assert [o for o in server.swap.open() if o.side == "BUY"] == []
    assert [o for o in server.swap.algos if o.status == "NEW"] == []
    assert "venue_stop" in {kind for (kind,) in stored(file, "SELECT kind FROM incidents")}


def test_a_worker_that_is_not_restarted(tmp_path: Path, server: ExchangeServer) -> None:
    """Nobody is there at all: the stop closes the position; the next start finds it so."""
    file = opened(tmp_path, server)
    watch = Watch(server)
    watch.fall()
    watch.check()
    comes_back_latched(file, server)


def test_a_ban(tmp_path: Path, server: ExchangeServer) -> None:
    """Every request is answered with 418 while price falls: nothing can be cancelled or placed, and need not be."""
    file = opened(tmp_path, server)
    watch = Watch(server)
    ban = {
        "headers": {"Retry-After": "1"},
        "status": 418,
        "body": '{"code": -1003, "msg": "Way too many requests; IP banned."}',
        "accepted": False,
    }
    paths = [("GET", ""), ("POST", ""), ("DELETE", "")]

    def move(number: int, _: Session) -> None:
        if number == 0:
            server.plant(*(Fault("answer", method, path, times=10_000, **ban) for method, path in paths))
            watch.fall()

    trade_through_a_ban(file, move)
    server.faults.clear()
    time.sleep(1.1)
    watch.check()
    comes_back_latched(file, server)


def trade_through_a_ban(file: Path, move: object) -> None:
    """Tick while the exchange answers nobody; a start that cannot read is halted, and that is right too."""
    from tasks.errors import Halted

    try:
        trade(file, 2, move)  # type: ignore[arg-type]
    except Halted:
        return


def test_a_lost_store(tmp_path: Path, server: ExchangeServer) -> None:
    """The store is gone when price falls; the rebuild finds the stop executed, and the bot holds nothing."""
    file = opened(tmp_path, server)
    watch = Watch(server)
    (file.parent / "data" / "trading.duckdb").unlink()
    watch.fall()
    watch.check()
    report = asyncio.run(rebuild_store(file))
    assert report.made.world.bots["p1"].inventory == 0
    trade(file, 4)
    assert wallet(file)["USDT"] == server.swap.free["USDT"]
    assert [o for o in server.swap.open() if o.side == "BUY"] == []


def test_a_lost_cancel_answer(tmp_path: Path, server: ExchangeServer) -> None:
    """The answer to the cancel of an outgrown stop is lost, and price falls at once: one stop too many turns nothing."""
    file = opened(tmp_path, server)
    watch = Watch(server)

    def move(number: int, _: Session) -> None:
        if number == 1:
            server.plant(lost("DELETE", "/algoOrder", accepted=False), lost("DELETE", "/algoOrder", accepted=False))
            server.swap.move("BTCUSDT", D(59500))
        if number == 3:
            watch.fall()

    trade(file, 8, move)
    watch.check()
    comes_back_latched(file, server)


@pytest.mark.parametrize("word", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
def test_a_process_that_is_gone(tmp_path: Path, server: ExchangeServer, word: signal.Signals) -> None:
    """Kill -9 and SIGSTOP hit the real process in its loop; the stop at the exchange does not need it."""
    file = portfolio(tmp_path, server)
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.cli", "run", "--portfolio", str(file), "--json", "--interval", "0.2"],
        cwd=ROOT, env=os.environ | keys(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait(server, lambda: len(server.swap.open()) == 5)
        with server.lock:
            server.swap.move("BTCUSDT", D(59900))
        wait(server, lambda: any(o.status == "NEW" for o in server.swap.algos))
        time.sleep(0.5)
        process.send_signal(word)
        watch = Watch(server)
        watch.fall(pause_s=0.01)
        watch.check()
    finally:
        process.kill()
        process.communicate(timeout=20)
    comes_back_latched(file, server)


def wait(server: ExchangeServer, done: object, timeout_s: float = 30.0) -> None:
    """Wait until the exchange's books are so; raises `TimeoutError`."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        with server.lock:
            if done():  # type: ignore[operator]
                return
        time.sleep(0.02)
    raise TimeoutError(f"not so within {timeout_s} s")
