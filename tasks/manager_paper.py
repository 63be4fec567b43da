"""A paper client for notebooks: one simulated account in memory whose price is moved by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.config import to_decimal
from core.facts import Accepted, BalanceRead, CancelRefused, Fill, NotFound, PositionRead, Refused, Seen
from core.market import Instrument, Quote
from core.orders import Order
from core.portfolio import VenueConfig
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO
from tasks.instruments import built_in

_OPENING = Decimal(100_000)


class PaperClient:
    """A simulated account at which a `TradeManager` or a `GridExecutor` trades; nothing of it leaves the process.

    It fills limit orders when the price trades through them, as a backtest does. `move` is its market.
    """

    def __init__(
        self,
        price: Any,
        symbol: str = "BTC/USDT",
        *,
        instrument: Instrument | None = None,
        balances: Mapping[str, Any] | None = None,
        fills: FillRules | None = None,
    ) -> None:
        """Open the account at a first price; without `balances` with 100,000 of the quote currency.

        Raises `ValueError` where the rules of `symbol` are not built in and no `instrument` is given.
        """
        self.symbol = symbol
        known = instrument or paper_rules(symbol)
        opening = {name: to_decimal(amount) for name, amount in (balances or {known.quote: _OPENING}).items()}
        self.id, self.rules = known.venue, known
        self.account = Account(known.venue, {symbol: known}, fills or FillRules(), opening)
        self._last: datetime | None = None
        self._known: dict[str, Seen] = {}
        self._fills: list[Fill] = []
        self.move(price)

    def move(self, price: Any, at: datetime | None = None) -> None:
        """Let the market trade from the last price to this one; `at` is naive UTC (none: now)."""
        now = at or datetime.now(UTC).replace(tzinfo=None)
        if self._last is not None and now <= self._last:
            now = self._last + timedelta(microseconds=1)
        self._last = now
        self.account.move(self.symbol, self.rules.floor_price(to_decimal(price)), now)
        self._hear(now)

    async def start(self, symbols: Sequence[str]) -> None:
        """Need nothing: the account is here."""

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the trading rules; raises `KeyError` for a symbol that this account does not trade."""
        return {symbol: self.account.instruments[symbol] for symbol in symbols}

    async def quotes(self, symbols: Sequence[str], now: datetime) -> list[Quote]:
        """Return the simulated touch."""
        found = (self.account.quote(symbol, now) for symbol in symbols)
        return [quote for quote in found if quote is not None]

    async def open_orders(self, symbols: Sequence[str], now: datetime) -> list[Seen]:  # noqa: ARG002  the port's signature
        """List every open order."""
        return self.account.open_orders(now)

    async def order(self, order: Order, now: datetime) -> Seen | NotFound:
        """Look one order up by its client id."""
        self._hear(now)
        found = self.account.seen(order.client_id, now) or self._known.get(order.client_id)
        return replace(found, ts=now) if found is not None else NotFound(order.client_id, now)

    async def trades(self, symbol: str, since: datetime, now: datetime) -> list[Fill]:
        """Read own trades from `since` on."""
        self._hear(now)
        return [fill for fill in self._fills if fill.symbol == symbol and fill.ts >= since]

    async def balances(self, now: datetime) -> list[BalanceRead]:
        """Read the total of every asset."""
        return [BalanceRead(self.rules.venue, name, held, now) for name, held in self.account.balances.items()]

    async def positions(self, symbols: Sequence[str], now: datetime) -> list[PositionRead]:
        """Read the signed position of every symbol."""
        swaps = self.account.swaps
        return [PositionRead(self.rules.venue, s, swaps[s].qty if s in swaps else ZERO, now) for s in symbols]

    async def place(self, order: Order, now: datetime) -> Accepted | Refused:
        """Take one order in."""
        answer = self.account.place(order, now)
        self._hear(now)
        return answer

    async def cancel(self, order: Order, now: datetime) -> Seen | CancelRefused:
        """Cancel one order."""
        answer = self.account.cancel(order.client_id, now) or self.account.seen(order.client_id, now)
        self._hear(now)
        return answer or CancelRefused(order.client_id, "Unknown order sent.", now)

    async def close(self) -> None:
        """Need nothing."""

    def _hear(self, now: datetime) -> None:
        touched, trades = self.account.drain()
        self._fills += trades
        for name, one in touched.items():
            self._known[name] = Seen(name, one.exchange_id, one.status, one.filled, now)


def paper_rules(symbol: str, venue: str = "paper") -> Instrument:
    """Return the built-in trading rules of a common symbol; raises `ValueError` where there are none."""
    market = "swap" if ":" in symbol else "spot"
    found = built_in(VenueConfig(id=venue, exchange="binance", market=market), symbol)
    if found is None:
        message = f"symbol: no trading rules are built in for {symbol}; give instrument="
        raise ValueError(message)
    return found
