"""A run of finished candles that can be asked where the price next leaves a band.

A machine that waits states a price band (DESIGN 5). The backtest then asks the series for the first bar that touches an
edge of that band instead of walking the bars between. Two implementations exist: `ListSeries` here, the specification,
walks; `core.kernel.ArraySeries` answers the same from integer arrays in a few microseconds.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation
from math import ceil, floor
from typing import Protocol

from core.market import Candle

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_MS = timedelta(milliseconds=1)
# Wide enough for any 64-bit price times any power of ten used as a scale; a lost digit would move a wake band.
_WIDE = Context(prec=80, traps=[InvalidOperation])
_EXACT = Context(prec=80, traps=[InvalidOperation, Inexact])


class CandleSeries(Protocol):
    """Finished candles in strictly rising order of their open time; missing ones are simply not there."""

    @property
    def scale(self) -> int:
        """Decimal places of the prices: a price is a whole number of 10**-scale."""
        ...

    def __len__(self) -> int:
        """Count the bars."""
        ...

    def bar(self, i: int) -> Candle:
        """Return bar `i` with exact decimals; raises `IndexError` outside 0 <= i < len."""
        ...

    def ts_ms(self, i: int) -> int:
        """Return the open time of bar `i` in milliseconds since 1970 UTC; raises `IndexError` as `bar` does."""
        ...

    def index_at(self, ts_ms: int) -> int:
        """Return the first bar that opens at or after `ts_ms`, or len where none does."""
        ...

    def next_outside(self, start: int, low: Decimal | None, high: Decimal | None) -> int:
        """Return the first bar i >= start with bar.low <= low or bar.high >= high, or len where there is none.

        The edges belong to the outside: touching one wakes. None is no edge on that side.
        """
        ...


class ListSeries:
    """The plain implementation of `CandleSeries` over a sequence of candles; what every faster one must equal."""

    def __init__(self, candles: Sequence[Candle], *, scale: int | None = None) -> None:
        """Take candles in strictly rising order of `ts`; `scale` defaults to the finest price among them.

        Raises `ValueError` naming the first candle that is not later than the one before it.
        """
        self._candles = tuple(candles)
        self._ts = [ts_to_ms(candle.ts) for candle in self._candles]
        for i in range(1, len(self._ts)):
            if self._ts[i] <= self._ts[i - 1]:
                raise not_rising(i, self._ts[i])
        self._scale = scale if scale is not None else finest_places(self._candles)

    @property
    def scale(self) -> int:
        """Decimal places of the prices."""
        return self._scale

    def __len__(self) -> int:
        """Count the bars."""
        return len(self._candles)

    def bar(self, i: int) -> Candle:
        """Return bar `i`; raises `IndexError` outside 0 <= i < len."""
        check_index(i, len(self._candles))
        return self._candles[i]

    def ts_ms(self, i: int) -> int:
        """Return the open time of bar `i` in milliseconds since 1970 UTC."""
        check_index(i, len(self._ts))
        return self._ts[i]

    def index_at(self, ts_ms: int) -> int:
        """Return the first bar that opens at or after `ts_ms`, or len where none does."""
        return bisect_left(self._ts, ts_ms)

    def next_outside(self, start: int, low: Decimal | None, high: Decimal | None) -> int:
        """Return the first bar i >= start with bar.low <= low or bar.high >= high, or len where there is none."""
        check_start(start)
        for i in range(start, len(self._candles)):
            candle = self._candles[i]
            if (low is not None and candle.low <= low) or (high is not None and candle.high >= high):
                return i
        return len(self._candles)


def check_index(i: int, length: int) -> None:
    """Raise `IndexError` unless 0 <= i < length: a negative index would silently read the far end of history."""
    if not 0 <= i < length:
        message = f"bar {i} does not exist: the series has bars 0 to {length - 1}"
        raise IndexError(message)


def check_start(start: int) -> None:
    """Raise `IndexError` for a search that starts before the first bar."""
    if start < 0:
        message = f"a search starts at bar 0 or later, not at {start}"
        raise IndexError(message)


def not_rising(i: int, ts_ms: int) -> ValueError:
    """Build the error for a bar `i` that does not open after the one before it."""
    return ValueError(f"candle {i} opens at {ms_to_ts(ts_ms)}, not after candle {i - 1}: candles must rise in time")


def ts_to_ms(ts: datetime) -> int:
    """Milliseconds since 1970 of a naive UTC time; raises `ValueError` for a time with a zone, which is not ours."""
    if ts.tzinfo is not None:
        message = f"{ts} carries a zone: times here are naive UTC"
        raise ValueError(message)
    return (ts - _EPOCH) // _MS


def ms_to_ts(ts_ms: int) -> datetime:
    """Naive UTC time of milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ts_ms)


def floor_units(price: Decimal, scale: int) -> int:
    """Largest whole number of 10**-scale that is <= price: the lower edge of a band, exact for whole-number lows.

    low <= price holds for a whole number `low` exactly when low <= floor(price), so flooring moves no wake.
    """
    try:
        return floor(price.scaleb(scale, _WIDE))
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise _no_edge(price) from error


def ceil_units(price: Decimal, scale: int) -> int:
    """Smallest whole number of 10**-scale that is >= price: the upper edge of a band, exact for whole-number highs."""
    try:
        return ceil(price.scaleb(scale, _WIDE))
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise _no_edge(price) from error


def exact_units(price: Decimal, scale: int) -> int:
    """Return price in whole units of 10**-scale; raises `ValueError` where the price is finer than that."""
    units = floor_units(price, scale)
    if Decimal(units).scaleb(-scale, _WIDE) != price:
        message = f"{price} has more than {scale} decimal places"
        raise ValueError(message)
    return units


def places(value: Decimal) -> int:
    """Count the decimal places a number needs, trailing zeros left out; 0 for whole numbers."""
    exponent = value.normalize(_EXACT).as_tuple().exponent
    if not isinstance(exponent, int):
        message = f"{value} is not a number"
        raise ValueError(message)
    return max(0, -exponent)


def finest_places(candles: Sequence[Candle]) -> int:
    """Decimal places of the finest price among the candles; 0 where there are none."""
    prices = (p for c in candles for p in (c.open, c.high, c.low, c.close))
    return max((places(p) for p in prices), default=0)


def _no_edge(price: Decimal) -> ValueError:
    return ValueError(f"{price} is no price; use None for a side of a band that has no edge")
