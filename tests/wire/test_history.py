"""What a rebuild reads of an exchange: every order, open and over, page by page, with what it was for."""

from collections.abc import Iterator

import pytest

from core.facts import SeenAs
from core.orders import Kind
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
