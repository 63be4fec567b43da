"""Limits, bans, clocks, keys and connections: what the exchange says is kept, and nothing is sent twice."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.facts import Accepted, CancelRefused, Refusal, Refused, Unanswered
from core.orders import Role
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.venue import ReadFailed, VenueHalted
from tests.wire.accounts import SPOT, account, order, play
from tests.wire.exchange_faults import answer, changed, half, html, lost
from tests.wire.exchange_server import ExchangeServer

CID = "b1-abcd-e0-0-0"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as exchange:
        yield exchange


def test_after_retry_after_nothing_is_sent_until_it_is_over(server: ExchangeServer) -> None:
    """A 429 refuses the order and keeps every request at home, cancels too, for as long as the exchange said."""

    async def scene(venue: CcxtVenue) -> None:
        limit = json.dumps({"code": -1003, "msg": "Too many requests."})
        server.plant(answer("POST", "/order", limit, status=429, accepted=False, retry_after="1"))
        mine = order(SPOT, CID, "buy", "59000")
        told = await venue.place(mine, utc_now())
        assert isinstance(told, Refused)
        assert told.kind is Refusal.RATE
        before = len(server.log)
        venue.client.budget.held_until += 30
        assert isinstance(await venue.place(mine, utc_now()), Refused)
        assert isinstance(await venue.cancel(mine, utc_now()), CancelRefused)
        with pytest.raises(ReadFailed, match="429"):
            await venue.open_orders([SPOT.symbol], utc_now())
        assert len(server.log) == before
        venue.client.budget.held_until -= 30
        assert isinstance(await venue.place(mine, utc_now()), Accepted)
        assert server.log[before].at_s - server.log[before - 1].at_s >= 0.9

    play(server, SPOT, scene)


def test_a_ban_halts_until_it_is_over(server: ExchangeServer) -> None:
    """A 418 on a read halts the venue, with the time at which it ends; writes stay at home meanwhile."""

    async def scene(venue: CcxtVenue) -> None:
        server.plant(answer("GET", "openOrders", "{}", status=418, retry_after="120"))
        with pytest.raises(VenueHalted) as caught:
            await venue.open_orders([SPOT.symbol], utc_now())
        assert caught.value.until is not None
        assert abs(caught.value.until - utc_now() - timedelta(seconds=120)) < timedelta(seconds=2)
        told = await venue.place(order(SPOT, CID, "sell", "61000", role=Role.EXIT), utc_now())
        assert isinstance(told, Refused)
        assert server.count("POST", "/order") == 0

    play(server, SPOT, scene)


def test_a_firewall_page_keeps_everything_quiet(server: ExchangeServer) -> None:
    """A 403 without a code is a web firewall: the order was not taken, and a minute of silence follows."""

    async def scene(venue: CcxtVenue) -> None:
        server.plant(answer("POST", "/order", "<html/>", status=403, accepted=False, content_type="text/html"))
        told = await venue.place(order(SPOT, CID, "buy", "59000"), utc_now())
        assert isinstance(told, Refused)
        assert 50 < venue.client.budget.wait_s(1, reducing=True) <= 60

    play(server, SPOT, scene)


def test_a_clock_that_jumps_is_measured_again(server: ExchangeServer) -> None:
    """An order refused for its time makes the next reading ask for the exchange's time, and then it passes."""

    async def scene(venue: CcxtVenue) -> None:
        server.ahead_ms = -60_000
        mine = order(SPOT, CID, "buy", "59000")
        told = await venue.place(mine, utc_now())
        assert isinstance(told, Refused)
        assert told.reason.startswith("clock")
        await venue.quotes([SPOT.symbol], utc_now())
        assert venue.client.offset is not None
        assert abs(venue.client.offset.offset_ms + 60_000) < 500
        assert isinstance(await venue.place(mine, utc_now()), Accepted)

    play(server, SPOT, scene)


def test_a_clock_far_off_at_the_start_does_not_matter(server: ExchangeServer) -> None:
    """Requests are signed with the exchange's time, whatever ours says."""
    server.ahead_ms = 3_600_000

    async def scene(venue: CcxtVenue) -> None:
        assert isinstance(await venue.place(order(SPOT, CID, "buy", "59000"), utc_now()), Accepted)

    play(server, SPOT, scene)


def test_a_key_that_stops_working_halts_at_the_third_time(server: ExchangeServer) -> None:
    """-2015 also comes during short bans; three in a row are a revoked key, and then no order is sent."""
    revoked = json.dumps({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})

    async def scene(venue: CcxtVenue) -> None:
        for _ in range(2):
            server.plant(answer("GET", "openOrders", revoked, status=401))
            with pytest.raises(ReadFailed):
                await venue.open_orders([SPOT.symbol], utc_now())
        server.plant(answer("GET", "openOrders", revoked, status=401))
        with pytest.raises(VenueHalted):
            await venue.open_orders([SPOT.symbol], utc_now())
        told = await venue.place(order(SPOT, CID, "buy", "59000"), utc_now())
        assert isinstance(told, Refused)
        assert server.count("POST", "/order") == 0
        await venue.open_orders([SPOT.symbol], utc_now())
        assert isinstance(await venue.place(order(SPOT, CID, "buy", "59000"), utc_now()), Accepted)

    play(server, SPOT, scene)


def test_a_read_over_a_dropped_connection_is_repeated_and_a_write_is_not(server: ExchangeServer) -> None:
    """A kept connection that died costs a read nothing; a write stays unknown and is never sent twice."""

    async def scene(venue: CcxtVenue) -> None:
        server.plant(lost("GET", "openOrders", accepted=True))
        assert await venue.open_orders([SPOT.symbol], utc_now()) == []
        assert server.count("GET", "openOrders") == 2
        server.plant(lost("POST", "/order", accepted=False))
        assert isinstance(await venue.place(order(SPOT, CID, "buy", "59000"), utc_now()), Unanswered)
        assert server.count("POST", "/order") == 1

    play(server, SPOT, scene)


def test_balances_that_vanish_count_from_the_second_reading(server: ExchangeServer) -> None:
    """An account that is suddenly empty is asked again before it is believed."""

    async def scene(venue: CcxtVenue) -> None:
        def without_btc(told: dict[str, Any]) -> dict[str, Any]:
            return told | {"balances": [row for row in told["balances"] if row["asset"] != "BTC"]}

        server.plant(changed("GET", "account", without_btc), changed("GET", "account", without_btc))
        with pytest.raises(ReadFailed, match="BTC vanished"):
            await venue.balances(utc_now())
        assert {read.asset: read.total for read in await venue.balances(utc_now())}["BTC"] == Decimal(0)

    play(server, SPOT, scene)


def test_a_start_without_an_answer_fails_as_a_reading(server: ExchangeServer) -> None:
    """Bad market data at the start is no configuration error and places nothing."""

    async def scene() -> None:
        for fault in (html("GET", "exchangeInfo"), half("GET", "exchangeInfo"), answer("GET", "time", "{}")):
            server.plant(fault)
            with pytest.raises(ReadFailed):
                async with account(server, SPOT):
                    pass

    asyncio.run(scene())
