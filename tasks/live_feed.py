"""Public prices of a real exchange, for paper trading: no keys, nothing is ever sent but questions.

The same client, budget and checks as a real account's (tasks.exchange), so that paper and live see the same prices.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from core.facts import RateSeen
from core.market import Candle, Instrument, Quote
from tasks.exchange_client import CallFailed, Client
from tasks.exchange_market import read_candles, read_rates
from tasks.exchange_quotes import instruments_of, market_of, read_quotes
from tasks.venue import ReadFailed


class LivePrices:
    """Quotes and trading rules of one exchange and market. `venue` names the venue whose quotes they become."""

    def __init__(self, exchange: str, market: str = "spot", api_url: str | None = None, venue: str = "") -> None:
        """Check the words; raises `ConfigRefused`. Nothing is sent before `probe` or `start`."""
        self.exchange = exchange
        self.market = market
        self.venue = venue or exchange
        self._client = Client(exchange, market, mode="paper", api_url=api_url, credentials=None)

    async def probe(self, timeout_s: float) -> bool:
        """Say within `timeout_s` whether the exchange answers with its time; never raises for a silent one."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._client.api.has["fetchTime"]:
                    await self._client.sync_clock()
                else:
                    await self._client.open()
        except (CallFailed, TimeoutError):
            return False
        return True

    async def start(self, symbols: Sequence[str]) -> None:
        """Load the markets; raises `ReadFailed` where they did not come, `ConfigRefused` for an unknown symbol."""
        try:
            await self._client.open()
        except CallFailed as fault:
            raise ReadFailed(f"{self.exchange}: markets: {fault}") from None
        for symbol in symbols:
            market_of(self._client, symbol)

    async def instruments(self, symbols: Sequence[str], venue: str | None = None) -> dict[str, Instrument]:
        """Return the trading rules. A `venue` given here also names the quotes from now on."""
        self.venue = venue or self.venue
        return instruments_of(self._client, self.venue, symbols)

    async def quotes(self, symbols: Sequence[str], now: datetime) -> list[Quote]:
        """Read quotes; one that cannot be trusted is left out. Raises `ReadFailed` where no answer is usable."""
        if self._client.offset is None or self._client.offset.stale():
            try:
                await self._client.sync_clock()
            except CallFailed as fault:
                raise ReadFailed(f"{self.exchange}: clock: {fault}") from None
        return await read_quotes(self._client, self.venue, symbols, now)

    async def candles(self, symbol: str, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Read finished candles that open from `since` on; raises `ReadFailed`."""
        return await read_candles(self._client, symbol, timeframe_s, since, now)

    async def rates(self, symbols: Sequence[str], now: datetime) -> list[RateSeen]:
        """Read the funding rate that each perpetual will next apply; raises `ReadFailed`."""
        return await read_rates(self._client, self.venue, symbols, now)

    async def close(self) -> None:
        """Release connections; may be called twice."""
        await self._client.close()
