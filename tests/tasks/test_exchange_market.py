"""Candles and funding rates for machines, read by the real client from the loopback exchange."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tasks.exchange import CcxtVenue
from tasks.exchange_clock import from_ms, utc_now
from tasks.venue import ReadFailed
from tests.wire.accounts import SPOT, SWAP, MarketKind, account
from tests.wire.exchange_server import ExchangeServer, Handler

MINUTE_MS = 60_000


class MarketServer(ExchangeServer):
    """The loopback exchange with a candle for every minute, and the funding terms of one perpetual."""

    def __init__(self) -> None:
        super().__init__()
        self.high = "101.5"
        self.next_ms = self.clock_ms() + 3_600_000

    def _route(self, method: str, path: str) -> tuple[Handler, bool]:
        name = path.rpartition("/")[2]
        routes: dict[str, Handler] = {
            "klines": self._klines,
            "premiumIndex": lambda p: {
                "symbol": p["symbol"], "lastFundingRate": "-0.00025", "nextFundingTime": self.next_ms, "time": 0,
            },
            "fundingInfo": lambda _: [{"symbol": "BTCUSDT", "fundingIntervalHours": 4}],
        }  # fmt: skip
        return (routes[name], False) if name in routes else super()._route(method, path)

    def _klines(self, params: dict[str, str]) -> list[list[Any]]:
        first = -(-int(params["startTime"]) // MINUTE_MS) * MINUTE_MS
        return [
            [ms, "100.5", self.high, "99.5", "100.25", "7.125", ms + MINUTE_MS - 1, "0", 1, "0", "0", "0"]
            for ms in range(first, self.clock_ms(), MINUTE_MS)
        ]


@pytest.fixture
def server() -> Iterator[MarketServer]:
    """Start the exchange."""
    with MarketServer() as running:
        yield running


def ask(server: MarketServer, kind: MarketKind, what: Any) -> Any:
    """Ask a started venue."""

    async def run() -> Any:
        async with account(server, kind) as venue:
            return await what(venue)

    return asyncio.run(run())


@pytest.mark.parametrize("kind", [SPOT, SWAP], ids=["spot", "swap"])
def test_only_finished_candles_are_told(server: MarketServer, kind: MarketKind) -> None:
    """Ten minutes back there are nine or ten that are over; the one being made is not among them."""
    now = utc_now()

    async def read(venue: CcxtVenue) -> Any:
        return await venue.candles(kind.symbol, 60, now - timedelta(minutes=10), now)

    found = ask(server, kind, read)
    assert 9 <= len(found) <= 10
    assert all(candle.ts + timedelta(minutes=1) <= now for candle in found)
    assert (found[0].high, found[0].volume) == (Decimal("101.5"), Decimal("7.125"))


def test_a_candle_that_is_none_is_absent(server: MarketServer) -> None:
    """A high below the close fails the whole reading: indicators must not be fed with it."""
    server.high = "100.1"
    now = utc_now()

    async def read(venue: CcxtVenue) -> Any:
        return await venue.candles(SPOT.symbol, 60, now - timedelta(minutes=5), now)

    with pytest.raises(ReadFailed, match="is no candle"):
        ask(server, SPOT, read)


def test_a_funding_rate_comes_with_its_own_interval(server: MarketServer) -> None:
    """Four hours where the exchange says so; the rate is the one that the next payment applies."""

    async def read(venue: CcxtVenue) -> Any:
        return await venue.rates([SWAP.symbol], utc_now())

    (rate,) = ask(server, SWAP, read)
    assert (rate.market, rate.rate, rate.interval_s) == (("v", SWAP.symbol), Decimal("-0.00025"), 14_400.0)
    assert rate.next_at == from_ms(server.next_ms)
