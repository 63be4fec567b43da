"""A position that somebody opened by hand, handed to a bot while it trades; the exchange and the books agree all along."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tasks import inbox
from tasks.control_preview import preview
from tasks.nightly_books import check_books
from tasks.nightly_steps import DONE
from tasks.session import Session
from tests.wire.exchange_books import Position
from tests.wire.exchange_server import ExchangeServer
from tests.wire.test_leaks import swap_portfolio
from tests.wire.trading import keys, stored, trade


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExchangeServer]:
    """Run the loopback exchange, with its keys in the environment."""
    for name, value in keys().items():
        monkeypatch.setenv(name, value)
    with ExchangeServer() as exchange:
        yield exchange


def test_a_position_opened_by_hand_becomes_the_bots(tmp_path: Path, server: ExchangeServer) -> None:
    """Claimed at the exchange's entry price, counted, and closed by `flatten`; every check of the books is silent."""
    server.swap.positions["BTCUSDT"] = Position(Decimal("0.020"), Decimal(58000))
    server.terms |= {"leverage": 1, "marginType": "ISOLATED"}
    file = swap_portfolio(tmp_path, server)
    data = tmp_path / "data"

    def happen(number: int, _: Session) -> None:
        if number == 3:
            inbox.submit(data, "p1", "claim", "ann", "mine")

    trade(file, 2)
    shown = preview(data, "p1", "claim", "", "ann", "")
    assert shown.outcome.startswith("long 0.02 BTC/USDT:USDT taken over at 6")
    assert "the exchange's own entry price" in shown.outcome
    assert stored(file, "SELECT count(*) FROM lots WHERE lot_id LIKE 'claim-%'") == [(0,)]
    trade(file, 5, happen)
    ((said,),) = stored(file, "SELECT reason FROM journal WHERE subject = 'control'")
    assert said.startswith("long 0.02 BTC/USDT:USDT taken over at 58000 as lot claim-")
    ((qty, cost),) = stored(file, "SELECT qty, cost FROM lots WHERE lot_id LIKE 'claim-%'")
    assert (qty, cost) == (Decimal("0.02"), Decimal(1160))
    books = check_books(data)
    assert books.status == DONE, books.says
    inbox.submit(data, "p1", "flatten", "ann", "")
    trade(file, 5)
    assert server.swap.positions["BTCUSDT"].qty == 0
    ((left, realized),) = stored(file, "SELECT qty, realized FROM lots WHERE lot_id LIKE 'claim-%'")
    assert left == 0
    # What the exchange settled in cash is what the lot made, to the last digit.
    assert realized == stored(file, "SELECT -sum(amount) FROM ledger WHERE account = 'settled'")[0][0]
    books = check_books(data)
    assert books.status == DONE, books.says
    assert stored(file, "SELECT kind, detail FROM incidents WHERE resolved_at IS NULL") == []
