"""A process that was away: stopped with SIGSTOP and resumed, it must not send what it decided before."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.exchange_faults import slow
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, write_portfolio

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run the loopback exchange."""
    with ExchangeServer() as exchange:
        yield exchange


def wait_for(server: ExchangeServer, method: str, path: str, timeout_s: float = 20.0) -> None:
    """Wait until the exchange was asked; raises `TimeoutError`."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if server.count(method, path):
            return
        time.sleep(0.005)
    raise TimeoutError(f"nobody asked {method} {path} within {timeout_s} s")


def test_a_resumed_process_sends_nothing_stale(tmp_path: Path, server: ExchangeServer) -> None:
    """Ten orders decided before a SIGSTOP of 2.5 s are refused here, unsent; the next tick decides anew and places."""
    file = write_portfolio(tmp_path, server)
    text = file.read_text().replace("unknown_quarantine_s: 1", "unknown_quarantine_s: 1, max_decision_age_s: 1")
    file.write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.cli", "run", "--portfolio", str(file), "--json", "--interval", "0.2"],
        cwd=ROOT, env=os.environ | keys(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_for(server, "GET", "/account")
        with server.lock:
            server.log.clear()
            server.plant(slow("GET", "/account", 0.5))
        wait_for(server, "GET", "/account")
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        wait_for(server, "POST", "/order")
        time.sleep(7)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, said
    refused = stored(file, "SELECT client_id, reason FROM orders WHERE status = 'REJECTED'")
    arrived = {order.client_id for order in server.spot.orders}
    assert len(refused) == 10
    assert all("at most 1 s are allowed: not sent" in reason for _, reason in refused)
    assert not arrived & {cid for cid, _ in refused}
    assert len(server.spot.open()) == 10
