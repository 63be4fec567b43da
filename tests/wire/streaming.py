"""A venue with web sockets at the loopback exchange, and a market that moves under it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal

from core.market import Quote
from tasks import exchange_streams
from tasks.exchange_clock import utc_now
from tasks.venue import OrderTold
from tests.wire.accounts import MarketKind, venue_at
from tests.wire.exchange_server import ExchangeServer

QUOTES = ("/ticker/24hr", "/ticker/bookTicker")


class Account:
    """A venue with streams, and the market that moves under it."""

    def __init__(self, server: ExchangeServer, kind: MarketKind) -> None:
        self.server, self.kind = server, kind
        self.venue = venue_at(server, kind, streams=True)
        self.price = Decimal(60000)

    def readings(self) -> int:
        """How often the exchange's own quotes were asked for."""
        return sum(self.server.count("GET", path) for path in QUOTES)

    async def look(self, *, moves: bool = True) -> Quote:
        """Let the market move, wait for what the sockets say of it, and ask for the quote."""
        if moves:
            self.price += 1
            with self.server.lock:
                self.kind.books(self.server).move("BTCUSDT", self.price)
        await asyncio.sleep(0.2)
        (quote,) = await self.venue.quotes([self.kind.symbol], utc_now())
        return quote

    async def until(self, met: Callable[[], bool], *, moves: bool = True, within_s: float = 20.0) -> Quote:
        """Look again and again until something is so."""
        ends = time.monotonic() + within_s
        while True:
            quote = await self.look(moves=moves)
            age_s = (utc_now() - quote.ts).total_seconds()
            assert quote.bid == self.price or age_s <= exchange_streams.FRESH_S + 0.3, "older than it may be"
            if met():
                return quote
            assert time.monotonic() < ends, (self.venue.stream_troubles(), self.server.sockets.dials)

    async def warm(self) -> Quote:
        """Look until a right quote comes without a reading; returns it."""
        before = [self.readings()]

        def spared() -> bool:
            now = self.readings()
            before[0], last = now, before[0]
            return now == last

        while (quote := await self.until(spared)).bid != self.price:
            continue
        return quote

    async def told(self, within_s: float = 20.0) -> list[OrderTold]:
        """Wait for news of own orders."""
        ends = time.monotonic() + within_s
        while not (updates := self.venue.take_updates()):
            assert time.monotonic() < ends, self.venue.stream_troubles()
            await asyncio.sleep(0.05)
        return updates


async def gone(what: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Wait until something is no more."""
    for _ in range(int(within_s / 0.05)):
        if not what():
            return True
        await asyncio.sleep(0.05)
    return False


def play(server: ExchangeServer, kind: MarketKind, scene: Callable[[Account], Awaitable[None]]) -> None:
    """Run a scene with a started account; afterwards no socket and no task of it is left."""

    async def run() -> None:
        at = Account(server, kind)
        try:
            await at.venue.start([kind.symbol])
            await scene(at)
        finally:
            await at.venue.close()
        assert await gone(lambda: bool(server.sockets.lines))
        assert await gone(lambda: len(asyncio.all_tasks()) > 1), asyncio.all_tasks()

    asyncio.run(run())
