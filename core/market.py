"""What a market is and what was seen of it: instruments, quotes, candles, the path inside a candle.

Times are naive `datetime` in UTC, as DuckDB keeps them. `ts` of a candle is its open (RULES 15).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from core.quick import quick
from core.values import ZERO, ceil_to, exact_product, floor_to, on_grid, ratio

TIMEFRAME_S = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800,
    "1h": 3600, "2h": 7200, "4h": 14400, "6h": 21600, "8h": 28800, "12h": 43200, "1d": 86400,
}  # fmt: skip


# Where something trades: (venue id, symbol).
Market = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Trading rules and fees of one symbol at one venue.

    tick_size, lot_step, min_qty are in price and base units, min_notional in quote, maker and taker fractions of notional
    (negative = rebate). `contract_size` is base per contract (1 for spot and linear swaps that trade in base).
    """

    venue: str
    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_step: Decimal
    min_qty: Decimal
    min_notional: Decimal
    maker: Decimal
    taker: Decimal
    contract_size: Decimal = Decimal(1)
    swap: bool = False
    fee_in_base: bool = False
    source: str = "config"

    @property
    def market(self) -> Market:
        """Where it trades."""
        return self.venue, self.symbol

    def floor_price(self, price: Decimal) -> Decimal:
        """Round a price down to the tick."""
        return floor_to(price, self.tick_size)

    def ceil_price(self, price: Decimal) -> Decimal:
        """Round a price up to the tick."""
        return ceil_to(price, self.tick_size)

    def floor_qty(self, qty: Decimal) -> Decimal:
        """Round a quantity down to the lot step."""
        return floor_to(qty, self.lot_step)

    def notional(self, price: Decimal, qty: Decimal) -> Decimal:
        """Quote value of `qty` at `price`, exact."""
        return exact_product(price, qty, self.contract_size)

    def least_price(self, qty: Decimal) -> Decimal:
        """The lowest price at which an order of `qty`, above zero, reaches the minimum notional."""
        return self.ceil_price(ratio(self.min_notional, qty * self.contract_size))

    def sellable(self, price: Decimal, qty: Decimal) -> Decimal:
        """The part of `qty` that an order at about `price` could trade: floored to the lot, zero below the minimums."""
        floored = self.floor_qty(qty)
        if floored < self.min_qty or floored <= ZERO or self.notional(price, floored) < self.min_notional:
            return ZERO
        return floored

    def objection(self, price: Decimal, qty: Decimal) -> str | None:
        """Say which exchange filter this order would fail, or None where it passes all of them."""
        if not price.is_finite() or price <= ZERO:
            return f"price {price} is not a positive number"
        if not on_grid(price, self.tick_size):
            return f"price {price} is no multiple of tick {self.tick_size}"
        if not on_grid(qty, self.lot_step):
            return f"quantity {qty} is no multiple of lot {self.lot_step}"
        if qty < self.min_qty or qty <= ZERO:
            return f"quantity {qty} {self.base} is below the minimum {self.min_qty}"
        notional = self.notional(price, qty)
        if notional < self.min_notional:
            return f"notional {notional:f} {self.quote} is below the minimum {self.min_notional}"
        return None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best bid and ask and the last trade of one symbol, as the venue stamped them (`ts`, UTC).

    `low` and `high` are the extremes traded since the reading before, where the venue tells them; else the touch. `mark`
    is the price against which a swap is liquidated, where it was read.
    """

    venue: str
    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    ts: datetime
    low: Decimal | None = None
    high: Decimal | None = None
    mark: Decimal | None = None

    @property
    def lowest(self) -> Decimal:
        """The lowest price seen with this reading."""
        return self.bid if self.low is None else min(self.low, self.bid)

    @property
    def highest(self) -> Decimal:
        """The highest price seen with this reading."""
        return self.ask if self.high is None else max(self.high, self.ask)

    @property
    def mid(self) -> Decimal:
        """Halfway between bid and ask."""
        return (self.bid + self.ask) / 2

    def objection(self, now: datetime, max_age_s: float) -> str | None:
        """Say why this quote may not open risk (age, sign, crossed book), or None where it may."""
        if not (self.bid.is_finite() and self.ask.is_finite() and self.last.is_finite()):
            return "price is not a number"
        if self.bid <= ZERO or self.ask <= ZERO or self.last <= ZERO:
            return "price is not positive"
        if self.bid > self.ask:
            return f"book is crossed: bid {self.bid} above ask {self.ask}"
        age_s = (now - self.ts).total_seconds()
        if age_s > max_age_s:
            return f"price is {age_s:.0f} s old, at most {max_age_s:.0f} s are allowed"
        return None


@quick
@dataclass(frozen=True, slots=True)
class Candle:
    """Open, high, low, close and volume (base) of one interval that opens at `ts`."""

    ts: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Intrabar(StrEnum):
    """In which order a candle is assumed to have visited its extremes (RULES 18b, DESIGN 5)."""

    ADAPTIVE = "adaptive"
    OHLC = "ohlc"
    OLHC = "olhc"
    WORST = "worst"


def path(candle: Candle, intrabar: Intrabar, *, long: bool = True) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Return the four prices of a candle in the order in which they are taken to have happened.

    `adaptive` visits the extreme nearer to the open first (a tie goes to the low). `worst` visits first what fills the
    bot's entries and last what fills its exits, so nothing is bought and sold inside one bar: for a long bot the high
    comes first, for a short one the low.
    """
    high_first = (candle.open, candle.high, candle.low, candle.close)
    low_first = (candle.open, candle.low, candle.high, candle.close)
    match intrabar:
        case Intrabar.OHLC:
            return high_first
        case Intrabar.OLHC:
            return low_first
        case Intrabar.WORST:
            return high_first if long else low_first
        case Intrabar.ADAPTIVE:
            nearer_high = candle.high - candle.open < candle.open - candle.low
            return high_first if nearer_high else low_first


def path_times(ts: datetime, timeframe_s: int) -> tuple[datetime, datetime, datetime, datetime]:
    """Return when the four path points are taken to happen: at 0, 1/3, 2/3 of the interval and its last millisecond.

    The close belongs to its own candle: it is stamped one millisecond before the next one opens.
    """
    one, two, last = _parts(timeframe_s)
    return ts, ts + one, ts + two, ts + last


@lru_cache
def _parts(timeframe_s: int) -> tuple[timedelta, timedelta, timedelta]:
    third = timedelta(seconds=timeframe_s) / 3
    return third, 2 * third, timedelta(seconds=timeframe_s, milliseconds=-1)
