"""Planted leaks: each makes the exchange and the books differ in a way that shows in no trade of ours (RULES, test C).

Money that moved with a record is booked from that record; money that moved without one is an incident within two
reconciles and holds entries back.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tasks import gather
from tasks.session import Session
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, trade, wallet


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
