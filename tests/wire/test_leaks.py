"""Planted leaks: each makes the exchange and the books differ in a way that shows in no trade of ours (RULES, test C).

Money that moved with a record is booked from that record; money that moved without one is an incident within two
reconciles and holds entries back.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.engine import booking
from tasks import gather
from tasks.session import Session
from tests.wire.exchange_books import Position
from tests.wire.exchange_faults import Fault
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, trade, wallet, write_portfolio

Leak = Callable[[ExchangeServer], None]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange; balances and income are read with every tick, so that a reconcile is a tick."""
    for name, value in keys().items():
        monkeypatch.setenv(name, value)
    for name in ("BALANCES_EVERY_S", "SUSPECT_EVERY_S", "INCOME_EVERY_S"):
        monkeypatch.setattr(gather, name, 0.0)
    with ExchangeServer() as exchange:
        yield exchange


def swap_portfolio(folder: Path, server: ExchangeServer) -> Path:
    """Write a portfolio with one grid of 5 levels on the perpetual."""
    file = folder / "portfolio.yaml"
    file.write_text(
        f"""\
id: wire
mode: demo
data_dir: data
venues:
  - {{id: perp, exchange: binanceusdm, market: swap, api_url: "{server.url}",
     api_key: "${{WIRE_KEY}}", secret: "${{WIRE_SECRET}}"}}
risk: {{max_exposure_quote: 5000, max_drawdown: 0.5, unknown_quarantine_s: 1}}
bots:
  - {{id: p1, kind: grid, venue: perp, symbol: "BTC/USDT:USDT", start_price: 59000, end_price: 61000, levels: 5,
     total_amount_quote: 2000}}
"""
    )
    return file


def pay_funding(server: ExchangeServer, amount: str, *, said: str | None = None) -> None:
    """Move the wallet by a funding payment; the record says the same unless told otherwise."""
    now_ms = server.clock_ms()
    server.swap.free["USDT"] += Decimal(amount)
    row = {
        "symbol": "BTCUSDT",
        "incomeType": "FUNDING_FEE",
        "asset": "USDT",
        "time": now_ms,
        "tranId": len(server.incomes) + 1,
    }
    server.incomes.append(row | {"income": said or amount})
    server.rates.append({"symbol": "BTCUSDT", "fundingTime": now_ms, "fundingRate": "0.0001"})


def send_money(server: ExchangeServer, amount: str) -> None:
    """Move money into the wallet, with a record."""
    server.swap.free["USDT"] += Decimal(amount)
    row = {"symbol": "", "incomeType": "TRANSFER", "asset": "USDT", "income": amount, "tranId": len(server.incomes) + 1}
    server.incomes.append(row | {"time": server.clock_ms()})


def test_funding_and_transfers_are_booked_once(tmp_path: Path, server: ExchangeServer) -> None:
    """Recorded money lands in the ledger once, over restarts too; wallet and exchange agree and nothing is an incident."""

    def happen(number: int, _: Session) -> None:
        if number == 2:
            server.swap.move("BTCUSDT", Decimal(59500))
        if number == 4:
            pay_funding(server, "-0.125")
            send_money(server, "250")

    file = swap_portfolio(tmp_path, server)
    trade(file, 7, happen)
    trade(file, 3)
    assert stored(file, "SELECT kind, detail FROM incidents") == []
    booked = stored(
        file, "SELECT kind, amount FROM ledger WHERE account IN ('funding', 'external') AND kind <> 'opening'"
    )
    assert sorted(booked) == [("funding", Decimal("0.125")), ("transfer", Decimal(-250))]
    assert stored(file, "SELECT bot_id, amount FROM funding_payments") == [("p1", Decimal("-0.125"))]
    assert wallet(file)["USDT"] == server.swap.free["USDT"]


def test_money_that_moved_before_the_start_is_part_of_the_opening(tmp_path: Path, server: ExchangeServer) -> None:
    """An income older than the first reading of the wallet is not booked again."""
    send_money(server, "250")
    server.incomes[0]["time"] -= 60_000
    file = swap_portfolio(tmp_path, server)
    trade(file, 3)
    assert stored(file, "SELECT kind FROM incidents") == []
    assert wallet(file)["USDT"] == Decimal(10_250)


def incidents_after(file: Path, server: ExchangeServer, leak: Leak, *, then: int = 4) -> set[str]:
    """Trade to rest, let it leak, reconcile two more times after the tick that reads it; returns the standing incidents."""

    def happen(number: int, _: Session) -> None:
        if number == 4:
            leak(server)

    trade(file, 4 + then, happen)
    return {kind for (kind,) in stored(file, "SELECT kind FROM incidents WHERE resolved_at IS NULL")}


def _buy(server: ExchangeServer) -> None:
    server.spot.move("BTCUSDT", Decimal(59700))


def _fee_off_by_a_basis_point(server: ExchangeServer) -> None:
    _buy(server)
    trade_made = server.spot.trades[-1]
    server.spot.free["USDT"] -= trade_made.price * trade_made.qty / 10_000


def _lost_trade(server: ExchangeServer) -> None:
    _buy(server)
    del server.spot.trades[-1]


def _fee_in_bnb_without_a_rate(server: ExchangeServer) -> None:
    server.spot.markets["BTCUSDT"].fee_asset = "BNB"
    _buy(server)


def _withdrawal_without_a_record(server: ExchangeServer) -> None:
    server.spot.free["USDT"] -= 100


def _dust(server: ExchangeServer) -> None:
    server.spot.free["BTC"] -= Decimal("0.00000001")


def _stranger_sells(server: ExchangeServer) -> None:
    order = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "MARKET",
        "quantity": "0.002",
        "newClientOrderId": "adl_autoclose",
    }
    server.swap.place(order)


def _funding_of_the_wrong_sign(server: ExchangeServer) -> None:
    pay_funding(server, "-0.125", said="0.125")


def _position_without_a_trade(server: ExchangeServer) -> None:
    server.swap.positions.setdefault("BTCUSDT", Position()).qty += Decimal("0.003")


def _contracts_of_ten(server: ExchangeServer) -> None:
    server.swap.move("BTCUSDT", Decimal(59500))
    server.swap.positions["BTCUSDT"].qty *= 10


@pytest.mark.parametrize(
    ("leak", "kind"),
    [
        (_fee_off_by_a_basis_point, "balance_mismatch"),
        (_lost_trade, "balance_mismatch"),
        (_fee_in_bnb_without_a_rate, "fee_rate_missing"),
        (_withdrawal_without_a_record, "balance_mismatch"),
        (_dust, "balance_mismatch"),
    ],
)
def test_a_leak_on_spot_is_an_incident(tmp_path: Path, server: ExchangeServer, leak: Leak, kind: str) -> None:
    """Each leak on spot is an incident within two reconciles after the tick that could first see it."""
    assert kind in incidents_after(write_portfolio(tmp_path, server), server, leak)


@pytest.mark.parametrize(
    ("leak", "kind"),
    [
        (_funding_of_the_wrong_sign, "balance_mismatch"),
        (_stranger_sells, "foreign_trade"),
        (_position_without_a_trade, "position_mismatch"),
        (_contracts_of_ten, "position_mismatch"),
    ],
)
def test_a_leak_on_a_swap_is_an_incident(tmp_path: Path, server: ExchangeServer, leak: Leak, kind: str) -> None:
    """Each leak on a perpetual is an incident within two reconciles after the tick that could first see it."""
    assert kind in incidents_after(swap_portfolio(tmp_path, server), server, leak)


def test_a_leak_in_every_trade_is_an_incident(
    tmp_path: Path, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference that grows with every reading never stands still; it counts once it has stood for long enough."""
    monkeypatch.setattr(booking, "SUSPECT_AGE", timedelta(seconds=0.5))
    monkeypatch.setattr(gather, "SUSPECT_EVERY_S", 0.0)

    def happen(number: int, _: Session) -> None:
        server.spot.free["USDT"] -= Decimal("0.01")
        time.sleep(0.1 if number else 0.0)

    file = write_portfolio(tmp_path, server)
    trade(file, 9, happen)
    assert stored(file, "SELECT kind, severity FROM incidents") == [("balance_mismatch", "critical")]


def test_a_mismatch_blocks_entries_until_it_is_gone(tmp_path: Path, server: ExchangeServer) -> None:
    """While money is missing no entry is placed; once it is back the incident resolves and the grid goes on."""

    def happen(number: int, _: Session) -> None:
        if number == 3:
            server.spot.free["USDT"] -= 100
        if number == 6:
            server.spot.cancel({"symbol": "BTCUSDT", "origClientOrderId": server.spot.open()[0].client_id})
            server.log.clear()
        if number == 9:
            assert server.count("POST", "/order") == 0
            server.spot.free["USDT"] += 100

    file = write_portfolio(tmp_path, server)
    trade(file, 13, happen)
    assert server.count("POST", "/order") == 1
    assert stored(file, "SELECT kind, resolved_at IS NOT NULL FROM incidents") == [("balance_mismatch", True)]


def test_inventory_without_a_price_is_an_incident(
    tmp_path: Path, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prices that stop while inventory is held are an incident, and it resolves with the next good price."""
    monkeypatch.setattr(gather, "UNPRICED_S", 0.5)

    def happen(number: int, _: Session) -> None:
        if number == 3:
            server.spot.move("BTCUSDT", Decimal(59500))
        if number == 6:
            server.plant(Fault("answer", "GET", "/ticker/24hr", True, 100, 503, "[]"))
        if number >= 6:
            time.sleep(0.3)
        if number == 10:
            server.faults.clear()

    file = write_portfolio(tmp_path, server)
    trade(file, 12, happen)
    kinds = dict(stored(file, "SELECT kind, resolved_at IS NOT NULL FROM incidents"))
    assert kinds == {"no_price": True, "venue_unreadable": True}
