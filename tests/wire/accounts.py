"""A real `CcxtVenue` against the loopback exchange, and orders to send through it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from core.orders import ClientId, Kind, Order, Role, Status
from core.values import Side
from tasks.credentials import Credentials
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tests.wire.exchange_books import Books
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer

KEYS = Credentials(SecretStr(API_KEY), SecretStr(SECRET))


@dataclass(frozen=True)
class MarketKind:
    """One market kind: how ccxt names it, its symbol, where the server keeps it."""

    exchange: str
    market: str
    symbol: str
    root: str

    def books(self, server: ExchangeServer) -> Books:
        return server.swap if self.market == "swap" else server.spot


SPOT = MarketKind("binance", "spot", "BTC/USDT", "/api/v3")
SWAP = MarketKind("binanceusdm", "swap", "BTC/USDT:USDT", "/fapi/v1")


def venue_at(server: ExchangeServer, kind: MarketKind, **how: Any) -> CcxtVenue:
    """Make the venue; nothing is sent."""
    return CcxtVenue("v", kind.exchange, kind.market, "live", server.url, how.pop("credentials", KEYS), **how)


@asynccontextmanager
async def account(server: ExchangeServer, kind: MarketKind, **how: Any) -> AsyncIterator[CcxtVenue]:
    """A started venue, closed at the end; the log of the server begins after its start."""
    venue = venue_at(server, kind, **how)
    try:
        await venue.start([kind.symbol])
        server.log.clear()
        yield venue
    finally:
        await venue.close()


def play(
    server: ExchangeServer, kind: MarketKind, scene: Callable[[CcxtVenue], Awaitable[None]], timeout_ms: int = 3000
) -> None:
    """Run a scene with a started venue; `timeout_ms` bounds each answer."""

    async def run() -> None:
        async with account(server, kind) as venue:
            venue.client.api.timeout = timeout_ms
            await scene(venue)

    asyncio.run(run())


def order(at: MarketKind, client_id: str, side: str, price: str | None, qty: str = "0.01", **changes: Any) -> Order:
    """An order about to be sent."""
    now = utc_now()
    parts: dict[str, Any] = {
        "client_id": ClientId(client_id), "venue": "v", "symbol": at.symbol, "bot_id": "b1", "leg_id": "e0-0",
        "attempt": 0, "role": Role.ENTRY, "side": Side(side), "kind": Kind.LIMIT,
        "price": Decimal(price) if price is not None else None, "qty": Decimal(qty), "filled_qty": Decimal(0),
        "traded_qty": Decimal(0), "status": Status.PENDING, "exchange_id": "", "reason": "", "created_at": now,
        "updated_at": now,
    }  # fmt: skip
    return Order(**(parts | changes))
