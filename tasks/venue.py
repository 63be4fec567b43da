"""The port to a venue: what the tick may ask of an exchange account, real, paper or hostile.

Reads raise `ReadFailed` where an answer cannot be trusted: a failed reading is absent, never empty. Writes raise nothing:
their outcome is a fact, `Accepted`, `Refused` or `Unanswered`.

    VenueError
     ├─ ReadFailed        this reading is absent; ask again next tick
     ├─ ConfigRefused     wrong keys, market type, symbol, mode: exit 2 or 3, nothing was placed
     └─ VenueHalted       the exchange forbids writes (ban, suspended key) until `until`
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from core.facts import (
    Accepted,
    BalanceRead,
    CancelRefused,
    Fill,
    FundingPaid,
    NotFound,
    PositionRead,
    RateSeen,
    Refused,
    Seen,
    Transfer,
    Unanswered,
)
from core.market import Candle, Instrument, Quote
from core.orders import Order
from core.recovery import OwnOrder


class VenueError(Exception):
    """Anything that a venue could not do."""


class ReadFailed(VenueError):
    """A reading that failed or did not validate; what it would have said is unknown."""


class ConfigRefused(VenueError):
    """The account, market or symbol is not what the configuration says; `key` names the setting."""

    def __init__(self, key: str, reason: str) -> None:
        """Keep the key apart from the reason."""
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class VenueHalted(VenueError):
    """The venue takes no writes until `until` (None: until a person acts)."""

    def __init__(self, reason: str, until: datetime | None) -> None:
        """Keep the end of the halt."""
        super().__init__(reason)
        self.until = until


Answer = Accepted | Refused | Unanswered
CancelAnswer = Seen | CancelRefused | Unanswered


class Venue(Protocol):
    """One account at one exchange. Times are naive UTC; money is `Decimal`; symbols are ccxt's unified ones."""

    id: str

    async def start(self, symbols: Sequence[str]) -> None:
        """Load markets and check the account; raises `ConfigRefused` where they are not as configured."""
        ...

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the trading rules of the symbols."""
        ...

    async def quotes(self, symbols: Sequence[str], now: datetime) -> list[Quote]:
        """Read best bid, best ask and last price; a symbol without a trustworthy quote is left out."""
        ...

    async def open_orders(self, symbols: Sequence[str], now: datetime) -> list[Seen]:
        """Read every open order of the symbols, complete or not at all."""
        ...

    async def order(self, order: Order, now: datetime) -> Seen | NotFound:
        """Ask for one order by its client id."""
        ...

    async def trades(self, symbol: str, since: datetime, now: datetime) -> list[Fill]:
        """Read own trades of a symbol from `since` on, oldest first, all pages."""
        ...

    async def balances(self, now: datetime) -> list[BalanceRead]:
        """Read the total of every asset held."""
        ...

    async def positions(self, symbols: Sequence[str], now: datetime) -> list[PositionRead]:
        """Read the signed position of every symbol (zero where flat)."""
        ...

    async def place(self, order: Order, now: datetime) -> Answer:
        """Send one order, once."""
        ...

    async def cancel(self, order: Order, now: datetime) -> CancelAnswer:
        """Cancel one order, by its client id."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


@runtime_checkable
class KeepsIncome(Protocol):
    """A venue that keeps records of money that moves without a trade."""

    async def income(self, symbols: Sequence[str], since: datetime, now: datetime) -> list[FundingPaid | Transfer]:
        """Read funding payments and transfers since a time, oldest first; nothing where it keeps none."""
        ...


@runtime_checkable
class KeepsHistory(Protocol):
    """A venue that lists orders that are over: what a rebuild without the store needs."""

    async def history(self, symbols: Sequence[str], now: datetime) -> tuple[list[OwnOrder], datetime | None]:
        """Read all orders of the symbols, oldest first, and since when they are complete (None: since the first)."""
        ...


@runtime_checkable
class TellsMarket(Protocol):
    """A venue that tells finished candles and funding rates. `rates_are_free`: whether asking costs no request."""

    id: str
    rates_are_free: bool

    async def candles(self, symbol: str, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Read finished candles that open from `since` on, oldest first."""
        ...

    async def rates(self, symbols: Sequence[str], now: datetime) -> list[RateSeen]:
        """Read the funding rate that each perpetual will next apply; `ts` changes when there is a new one."""
        ...


@dataclass(frozen=True, slots=True)
class OrderTold:
    """What a web socket said of an own order: executed so far (base) and whether it is over. No fact: a reason to read."""

    client_id: str
    filled: Decimal
    over: bool


@runtime_checkable
class HearsOrders(Protocol):
    """A venue that may hear of its orders over web sockets between two readings."""

    id: str

    @property
    def hears(self) -> bool:
        """Whether web sockets are wanted at all."""
        ...

    @property
    def busy(self) -> bool:
        """Whether so much of the request weight is used that nothing should be read before its time."""
        ...

    def stream_troubles(self) -> dict[str, str]:
        """Say of every web socket why it is down, "" where it is not; nothing where none is open."""
        ...

    def take_updates(self) -> list[OrderTold]:
        """Hand over what was said of own orders since the last call."""
        ...

    def reopened(self) -> bool:
        """Whether orders are heard of anew since the last call: what happened before was told to nobody."""
        ...
