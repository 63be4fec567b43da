"""`gridkeeper doctor` against the loopback exchange: what it finds, what it says about mending, what it leaves behind."""

import json
from pathlib import Path

import pytest

from tasks.cli import main
from tests.wire.exchange_books import OPEN
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, write_portfolio


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keys().items():
        monkeypatch.setenv(name, value)


def doctor(file: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the doctor; returns its exit code and its findings by what was looked at."""
    code = main(["doctor", "--portfolio", str(file), "--json", *words])
    document = json.loads(capsys.readouterr().out)
    return code, {one["what"]: one for one in document["data"].get("findings", [])}


def test_a_sound_account_passes_and_an_order_is_placed_and_cancelled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys, clock, abilities, weight and rules are fine; one order was sent, the smallest, and it rests nowhere."""
    with ExchangeServer() as server:
        code, found = doctor(write_portfolio(tmp_path, server, mode="live"), capsys, "--place")
        placed = [asked.params for asked in server.log if (asked.method, asked.path) == ("POST", "/api/v3/order")]
        assert [one["newClientOrderId"][:6] for one in placed] == ["doctor"]
        assert float(placed[0]["price"]) < 0.96 * float(server.spot.markets["BTCUSDT"].last)
        assert server.count("DELETE", "/order") == 1
        assert [order for order in server.spot.orders if order.status in OPEN] == []
        assert server.spot.trades == []
    states = {what: one["state"] for what, one in found.items() if what.startswith(("venue", "bot"))}
    assert states == {
        "venue spot: keys": "ok",
        "venue spot: clock": "ok",
        "venue spot: abilities": "ok",
        "venue spot: request weight": "ok",
        "venue spot: an order of its own": "ok",
        "bot g1": "ok",
    }
    assert "the exchange" in found["bot g1"]["found"]
    assert code in {0, 3}  # a machine whose packages differ from the pins fails there
    assert not (tmp_path / "data" / "trading.duckdb").exists()


def test_a_key_that_may_withdraw_fails_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key is named as the fault, and nothing was placed."""
    with ExchangeServer() as server:
        server.may_withdraw = True
        code, found = doctor(write_portfolio(tmp_path, server, mode="live"), capsys, "--place")
        assert server.count("POST", "/order") == 0
    assert code == 3
    assert "may withdraw" in found["venue spot"]["found"]
    assert "may not withdraw" in found["venue spot"]["mend"]


def test_wrong_keys_fail_without_being_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange's refusal is told; the key is not."""
    monkeypatch.setenv("WIRE_KEY", "canary5512")
    with ExchangeServer() as server:
        code, found = doctor(write_portfolio(tmp_path, server), capsys)
    assert code == 3
    assert found["venue spot"]["state"] == "failed"
    assert "canary5512" not in json.dumps(found)


@pytest.mark.parametrize(("ahead_ms", "state"), [(3_000, "warning"), (-60_000, "failed")])
def test_a_clock_that_is_off_is_told(
    ahead_ms: int, state: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three seconds are a warning, a minute is a failure; both say how to synchronise."""
    with ExchangeServer() as server:
        server.ahead_ms = ahead_ms
        _, found = doctor(write_portfolio(tmp_path, server), capsys)
    assert found["venue spot: clock"]["state"] == state
    assert "timedatectl" in found["venue spot: clock"]["mend"]


def test_an_interval_that_asks_for_too_much_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Above 80 % of the exchange's minute the doctor fails and names an interval that works."""
    with ExchangeServer() as server:
        file = write_portfolio(tmp_path, server)
        code, found = doctor(file, capsys, "--interval", "0.05")
    assert code == 3
    weight = found["venue spot: request weight"]
    assert weight["state"] == "failed"
    assert "or slower" in weight["mend"]


def test_an_exchange_that_is_away_fails_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens: the venue is named, and the exit code is 3."""
    with ExchangeServer() as server:
        file = write_portfolio(tmp_path, server)
    code, found = doctor(file, capsys)
    assert code == 3
    assert found["venue spot"]["state"] == "failed"


def test_paper_has_nowhere_to_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--place` without an account is refused with exit code 2."""
    with ExchangeServer() as server:
        file = write_portfolio(tmp_path, server, mode="paper")
    assert doctor(file, capsys, "--place")[0] == 2
