"""What a rebuild reads of an exchange: every order, open and over, page by page, with what it was for."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from core.facts import SeenAs
from core.orders import Kind, Role
from core.recovery import OwnOrder
from tasks import exchange_history
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.venue import KeepsHistory, ReadFailed
from tests.wire.accounts import SPOT, SWAP, MarketKind, order, play
from tests.wire.exchange_faults import half
from tests.wire.exchange_server import ExchangeServer


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run the loopback exchange."""
    with ExchangeServer() as exchange:
        yield exchange


@pytest.mark.parametrize("kind", [SPOT, SWAP], ids=["spot", "swap"])
def test_orders_of_every_state_are_listed(server: ExchangeServer, kind: MarketKind) -> None:
    """Open, filled and cancelled orders come with client id, price, executed quantity and what kind they are."""
    listed: dict[str, OwnOrder] = {}

    async def scene(venue: CcxtVenue) -> None:
        assert isinstance(venue, KeepsHistory)
        for number, price in enumerate(("59000", "58000", "57000")):
            await venue.place(order(kind, f"b1-test-e{number}-0-0", "buy", price, post_only=True), utc_now())
        capped = order(kind, "b1-test-u0-0-0", "buy", "60500", kind=Kind.MARKET)
        await venue.place(capped, utc_now())
        await venue.cancel(order(kind, "b1-test-e1-0-0", "buy", "58000"), utc_now())
        kind.books(server).move("BTCUSDT", "58990")
        found, since = await venue.history([kind.symbol], utc_now())
        assert since is None
        listed.update({one.client_id: one for one in found})

    play(server, kind, scene)
    states = {cid: one.status for cid, one in listed.items()}
    assert states == {
        "b1-test-e0-0-0": SeenAs.FILLED, "b1-test-e1-0-0": SeenAs.CANCELED, "b1-test-e2-0-0": SeenAs.OPEN,
        "b1-test-u0-0-0": SeenAs.FILLED,
    }  # fmt: skip
    assert listed["b1-test-e0-0-0"].executed == listed["b1-test-e0-0-0"].qty > 0
    assert listed["b1-test-e2-0-0"].post_only
    assert listed["b1-test-e2-0-0"].kind is Kind.LIMIT
    assert listed["b1-test-u0-0-0"].kind is Kind.MARKET


def test_a_stop_that_fired_has_the_executions_of_the_order_that_worked_it(server: ExchangeServer) -> None:
    """A resting stop is listed with its trigger; once it fired, under its own client id with what was executed."""

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(SWAP, "b1-test-e0-0-0", "buy", "60001"), utc_now())
        stop = {"kind": Kind.STOP_MARKET, "role": Role.STOP, "reduce_only": True, "stop_price": Decimal(55000)}
        await venue.place(order(SWAP, "b1-test-s0-0-0", "sell", None, **stop), utc_now())
        found, _ = await venue.history([SWAP.symbol], utc_now())
        resting = next(one for one in found if one.client_id == "b1-test-s0-0-0")
        assert (resting.kind, resting.stop_price, resting.status) == (Kind.STOP_MARKET, 55000, SeenAs.OPEN)
        assert resting.reduce_only
        server.swap.move("BTCUSDT", "54000")
        found, _ = await venue.history([SWAP.symbol], utc_now())
        fired = [one for one in found if one.client_id == "b1-test-s0-0-0"]
        assert [(one.status, one.executed, one.kind) for one in fired] == [
            (SeenAs.FILLED, Decimal("0.01"), Kind.STOP_MARKET)
        ]
        trades = await venue.trades(SWAP.symbol, found[0].created_at, utc_now())
        assert [one.client_id for one in trades] == ["b1-test-e0-0-0", "b1-test-s0-0-0"]

    play(server, SWAP, scene)


def test_pages_join_without_a_gap(server: ExchangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven orders in pages of two are seven orders."""
    monkeypatch.setattr(exchange_history, "PAGE_ROWS", 2)

    async def scene(venue: CcxtVenue) -> None:
        for number in range(7):
            await venue.place(order(SPOT, f"b1-test-e{number}-0-0", "buy", str(50_000 + number)), utc_now())
        found, _ = await venue.history([SPOT.symbol], utc_now())
        assert [one.client_id for one in found] == [f"b1-test-e{number}-0-0" for number in range(7)]

    play(server, SPOT, scene)


def test_half_a_page_is_no_page(server: ExchangeServer) -> None:
    """A page that was cut short makes the whole reading fail: an order lost here would be an orphan."""

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(SPOT, "b1-test-e0-0-0", "buy", "50000"), utc_now())
        server.plant(half("GET", "/allOrders"))
        with pytest.raises(ReadFailed):
            await venue.history([SPOT.symbol], utc_now())

    play(server, SPOT, scene)
