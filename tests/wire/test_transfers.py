"""Money sent to and from a spot account, and trades between its own orders: booked from the exchange's records, once each."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tasks import exchange_trades, gather
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.session import Session
from tests.wire.accounts import SPOT, order, play
from tests.wire.exchange_faults import html
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, trade, wallet, write_portfolio

D = Decimal
BOOKED = "SELECT ref, amount FROM ledger WHERE kind = 'transfer' AND account = 'wallet' ORDER BY ref"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange; balances and records are read with every tick."""
    for name, value in keys().items():
        monkeypatch.setenv(name, value)
    for name in ("BALANCES_EVERY_S", "SUSPECT_EVERY_S", "INCOME_EVERY_S"):
        monkeypatch.setattr(gather, name, 0.0)
    monkeypatch.setattr("tasks.exchange_transfers.WITHDRAWALS_EVERY", timedelta(0))
    with ExchangeServer() as exchange:
        yield exchange


def deposit(server: ExchangeServer, amount: str, status: int = 1) -> None:
    """A deposit of USDT is listed; it is in the balance where its status says so."""
    now = server.clock_ms()
    row = {"id": f"d{len(server.deposits)}", "coin": "USDT", "amount": amount, "status": status, "insertTime": now}
    server.deposits.append(row | {"completeTime": now})
    server.spot.free["USDT"] += D(amount) if status in {1, 6} else 0


def withdraw(server: ExchangeServer, amount: str, fee: str, status: int = 6) -> None:
    """A withdrawal of USDT has left the balance; times are in whole seconds."""
    at = datetime.fromtimestamp(server.clock_ms() / 1000 + 1, UTC)
    row = {"id": f"w{len(server.withdrawals)}", "coin": "USDT", "amount": amount, "transactionFee": fee}
    server.withdrawals.append(row | {"status": status, "applyTime": f"{at:%Y-%m-%d %H:%M:%S}"})
    server.spot.free["USDT"] -= D(amount) + D(fee)


def move(server: ExchangeServer, amount: str) -> None:
    """USDT has gone to the futures wallet."""
    row = {"asset": "USDT", "amount": amount, "type": "MAIN_UMFUTURE", "status": "CONFIRMED", "tranId": 77}
    server.moves.append(row | {"timestamp": server.clock_ms()})
    server.spot.free["USDT"] -= D(amount)


def test_what_is_sent_and_received_is_booked_once(tmp_path: Path, server: ExchangeServer) -> None:
    """Deposit, withdrawal with its fee and a move between wallets are transfers, over restarts too; nothing is a mismatch."""

    def happen(number: int, _: Session) -> None:
        if number == 4:
            deposit(server, "250")
            deposit(server, "999", status=0)
            withdraw(server, "100", "1")
            move(server, "50")

    file = write_portfolio(tmp_path, server, mode="live")
    trade(file, 8, happen)
    trade(file, 3)
    assert stored(file, BOOKED) == [("deposit.d0", D(250)), ("move.77", D(-50)), ("withdraw.w0", D(-101))]
    assert stored(file, "SELECT kind FROM incidents WHERE resolved_at IS NULL") == []
    assert wallet(file)["USDT"] == server.spot.free["USDT"] + server.spot.locked.get("USDT", D(0))


def test_a_withdrawal_that_was_rejected_comes_back(tmp_path: Path, server: ExchangeServer) -> None:
    """What left with the application is booked back under a reference of its own once it is rejected."""

    def happen(number: int, _: Session) -> None:
        if number == 4:
            withdraw(server, "100", "1", status=4)
        if number == 7:
            server.withdrawals[0]["status"] = 3
            server.spot.free["USDT"] += 101

    file = write_portfolio(tmp_path, server, mode="live")
    trade(file, 11, happen)
    assert stored(file, BOOKED) == [("withdraw.w0", D(-101)), ("withdraw.w0.back", D(101))]
    assert stored(file, "SELECT kind FROM incidents WHERE resolved_at IS NULL") == []


def test_records_that_cannot_be_read_leave_the_account_readable(tmp_path: Path, server: ExchangeServer) -> None:
    """While the record is missing the deposit is a mismatch; read at last, it resolves, and the venue was never unreadable."""

    def happen(number: int, _: Session) -> None:
        if number == 4:
            server.plant(*(html("GET", "/hisrec") for _ in range(4)))
            deposit(server, "250")

    file = write_portfolio(tmp_path, server, mode="live")
    trade(file, 12, happen)
    assert stored(file, "SELECT kind, resolved_at IS NOT NULL FROM incidents") == [("balance_mismatch", True)]


def test_both_sides_of_a_trade_between_own_orders_are_read(
    server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One id, two rows, and a page that ends between them: both are read, each with its own order's client id."""
    monkeypatch.setattr(exchange_trades, "PAGE_ROWS", 3)

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(SPOT, "a-abcd-e0-0-0", "buy", "59000"), utc_now())
        await venue.place(order(SPOT, "b-abcd-e1-0-0", "buy", "59100"), utc_now())
        await venue.place(order(SPOT, "b-abcd-x0-0-0", "sell", "61000"), utc_now())
        server.spot.move("BTCUSDT", "58000")
        server.spot.move("BTCUSDT", "62000")
        first, second, sold = server.spot.trades
        server.spot.trades[:] = [
            first,
            second,
            replace(sold, id=5100),
            replace(first, id=5100),
            replace(second, id=5200),
        ]
        found = await venue.trades(SPOT.symbol, utc_now() - timedelta(minutes=1), utc_now())
        both = sorted((fill.client_id, fill.side.value) for fill in found if fill.trade_id == "5100")
        assert both == [(first.order.client_id, "buy"), ("b-abcd-x0-0-0", "sell")]
        assert "5200" in {fill.trade_id for fill in found}

    play(server, SPOT, scene)
