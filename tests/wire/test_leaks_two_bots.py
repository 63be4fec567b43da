"""Leaks that two bots of one account make between them: every wallet agrees, and yet money or a bot's books are wrong."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.engine import reports
from tasks import gather
from tasks.session import Session
from tests.wire.exchange_books import Resting
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, trade, wallet, write_portfolio

SECOND = """}
  - {id: g2, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 58900, end_price: 60900, levels: 10,
     total_amount_quote: 2000"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange; balances are read with every tick, and what lists show counts at the second look."""
    for name, value in keys().items():
        monkeypatch.setenv(name, value)
    for name in ("BALANCES_EVERY_S", "SUSPECT_EVERY_S", "INCOME_EVERY_S"):
        monkeypatch.setattr(gather, name, 0.0)
    monkeypatch.setattr(reports, "MISPLACED_AFTER", timedelta(0))
    with ExchangeServer() as exchange:
        yield exchange


def best(server: ExchangeServer, bot: str, side: str = "BUY") -> Resting:
    """The order of a bot that stands first."""
    mine = [one for one in server.spot.open("BTCUSDT") if one.client_id.startswith(f"{bot}-") and one.side == side]
    return max(mine, key=lambda one: one.price if side == "BUY" else -one.price)


def fill(server: ExchangeServer, order: Resting, *, maker: bool = True) -> None:
    """Execute all of one order, and no other."""
    server.spot.fill(order, order.price, order.left, maker=maker)


def standing(file: Path) -> dict[str, str]:
    """The standing incidents: kind and bot."""
    return dict(stored(file, "SELECT kind, bot_id FROM incidents WHERE resolved_at IS NULL"))


def test_a_trade_of_one_bot_told_as_anothers_is_an_incident(tmp_path: Path, server: ExchangeServer) -> None:
    """The exchange fills g1's order and names g2's in the trade: coins and money agree, the orders do not."""

    def happen(number: int, _: Session) -> None:
        if number == 4:
            fill(server, best(server, "g1"))
            server.spot.trades[-1] = replace(server.spot.trades[-1], order=best(server, "g2"))

    file = write_portfolio(tmp_path, server, bot=SECOND)
    trade(file, 8, happen)
    assert standing(file) == {"trade_misplaced": "g2"}


def trade_with_itself(server: ExchangeServer) -> None:
    """Let g2's next purchase at rest meet a sale of g1's: one trade, two rows, two fees, as without prevention."""
    fill(server, best(server, "g2"))
    bought = server.spot.trades[-1]
    fill(server, best(server, "g1", "SELL"), maker=False)
    server.spot.trades[-1] = replace(server.spot.trades[-1], id=bought.id)


def test_a_trade_between_own_bots_is_booked_on_both_sides_and_said(tmp_path: Path, server: ExchangeServer) -> None:
    """Both rows have one id: each is booked, the wallet agrees, and an incident says that two fees were paid for nothing."""

    def happen(number: int, _: Session) -> None:
        if number == 3:
            fill(server, best(server, "g1"))
        if number == 6:
            trade_with_itself(server)

    file = write_portfolio(tmp_path, server, bot=SECOND)
    trade(file, 10, happen)
    assert stored(file, "SELECT count(*), count(DISTINCT side) FROM fills GROUP BY trade_id HAVING count(*) > 1") == [
        (2, 2)
    ]
    assert standing(file).keys() == {"self_trade"}
    spot = server.spot
    assert wallet(file)["USDT"] == spot.free["USDT"] + spot.locked.get("USDT", Decimal(0))


def test_one_side_of_a_trade_between_own_bots_is_an_incident(tmp_path: Path, server: ExchangeServer) -> None:
    """Where the exchange lists one of its two rows, money and coins are missing from the books."""

    def happen(number: int, _: Session) -> None:
        if number == 3:
            fill(server, best(server, "g1"))
        if number == 6:
            trade_with_itself(server)
            del server.spot.trades[-1]

    file = write_portfolio(tmp_path, server, bot=SECOND)
    trade(file, 10, happen)
    assert "balance_mismatch" in standing(file)
