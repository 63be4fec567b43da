"""Equity over time from executions and candles: the one computation behind backtests, reports and metrics.

Between two executions the position does not change, so equity at a bar's close is cash plus position times close. The
curve is for metrics and pictures (floats); money that is stated to the cent comes from the ledger.

Bars are taken a stretch at a time, small enough for the processor's cache: figures of millions of bars cost no array of
their length, and every bar's value is the same whether the whole curve is asked for or its figures alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from core import metrics

DAY_MS = 86_400_000
DAYS_A_YEAR = 365.0
# Four rows of so many floats fit the second cache of any processor in use.
STRETCH = 1 << 14

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trade:
    """What an execution did: at `ts_ms`, signed base and the quote cash that went with it, fee included."""

    ts_ms: int
    base: float
    cash: float


@dataclass(frozen=True, slots=True)
class Closes:
    """The close of every bar of a market, whole numbers of which `unit` make 1.

    `bar` is the bar of this market that each bar of the first one looks at; None: the one at the same place.
    """

    units: Ints
    unit: float
    bar: Ints | None = None

    def between(self, first: int, last: int) -> Floats:
        """Return the closes at the first market's bars first <= i < last."""
        return (self.units[first:last] if self.bar is None else self.units[self.bar[first:last]]) / self.unit


@dataclass(frozen=True, slots=True)
class Line:
    """What a bot has in one market: its closes, and position and cash after each number of trades, none included.

    `bar` is the bar that each trade counts from, in rising order; `start` the money before the first.
    """

    closes: Closes
    bar: Ints
    base: Floats
    cash: Floats
    start: float

    def held(self, first: int, last: int) -> tuple[Floats | np.float64, Floats | np.float64]:
        """Return position and cash at bars first <= i < last: a number each where nothing was traded there."""
        before, within = np.searchsorted(self.bar, (first, last - 1), side="right")
        if before == within:
            return self.base[before], self.cash[before]
        counts = np.diff(self.bar[before:within], prepend=first, append=last)
        return np.repeat(self.base[before : within + 1], counts), np.repeat(self.cash[before : within + 1], counts)

    def equity_at(self, bars: Ints) -> Floats:
        """Return the market's part of equity at some bars alone, as in the curve."""
        count = np.searchsorted(self.bar, bars, side="right")
        units = self.closes.units[bars if self.closes.bar is None else self.closes.bar[bars]]
        return self.start + self.cash[count] + self.base[count] * (units / self.closes.unit)


@dataclass(frozen=True, slots=True)
class Curve:
    """Equity at the close of every bar, with inventory (signed base) and what holding instead would be worth."""

    ts_ms: Ints
    equity: Floats
    hold: Floats
    inventory: Floats
    exposure: Floats

    @property
    def drawdown(self) -> Floats:
        """Fall from the running peak, as a fraction of it."""
        return _falls(self.equity, -np.inf)[0]


def line_of(ts_ms: Ints, closes: Closes, trades: Sequence[Trade], capital: Decimal) -> Line:
    """Lay out a market's trades, in order of time, along the bars; a trade counts from the bar that it happened in."""
    stamps = np.array([t.ts_ms for t in trades], dtype=np.int64)
    # Bars end where the next one opens, the last one never; what came before the first counts from the first.
    bar = np.maximum(np.searchsorted(ts_ms, stamps, side="right") - 1, 0)
    return line_at(bar, closes, np.array([t.base for t in trades]), np.array([t.cash for t in trades]), float(capital))


def line_at(bar: Ints, closes: Closes, base: Floats, cash: Floats, start: float) -> Line:
    """Lay out trades, of which the bars and what each brought of base and cash are known."""
    return Line(closes, bar, np.append(0.0, np.cumsum(base)), np.append(0.0, np.cumsum(cash)), start)


def equity_curve(ts_ms: Ints, lines: Sequence[Line]) -> Curve:
    """Compute the curve. Hold buys for all capital at the first close; it and the inventory are the first line's."""
    count, first = len(ts_ms), lines[0]
    made = Curve(ts_ms, *(np.empty(count) for _ in range(4)))
    for at, equity, exposure in _stretches(count, lines):
        end = at + len(equity)
        made.equity[at:end], made.exposure[at:end] = equity, exposure
        made.inventory[at:end] = first.held(at, end)[0]
        made.hold[at:end] = first.start * first.closes.between(at, end)
    if count:
        made.hold[:] /= first.closes.between(0, 1)
    return made


@dataclass(frozen=True, slots=True)
class Ratios:
    """Figures of a curve: fractions and ratios; None where undefined."""

    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None
    exposure_max: float


def ratios(curve: Curve) -> Ratios:
    """Compute drawdown at bar closes, and Sharpe and Sortino from the equity at the end of each UTC day."""
    return _ratios(curve.ts_ms, [(0, curve.equity, curve.exposure)])


def ratios_along(ts_ms: Ints, lines: Sequence[Line]) -> Ratios:
    """Compute the figures of the curve that `equity_curve` would give, to the last bit, without its arrays."""
    return _ratios(ts_ms, _stretches(len(ts_ms), lines))


def day_ends(ts_ms: Ints) -> Ints:
    """Return the indices of the last bar of each UTC day, for bars in rising order of time."""
    if not len(ts_ms):
        return np.zeros(0, dtype=np.int64)
    nights = np.arange(ts_ms[0] // DAY_MS, ts_ms[-1] // DAY_MS + 1) * DAY_MS + DAY_MS
    # A day without bars ends where the one before it did.
    return np.unique(np.searchsorted(ts_ms, nights, side="left")) - 1


def _stretches(count: int, lines: Sequence[Line]) -> Iterator[tuple[int, Floats, Floats]]:
    # First bar, equity and exposure of each stretch. Several markets: equity is the sum, exposure the larger one, since a
    # hedge beside a bag does not add to what is at stake.
    for at in range(0, count, STRETCH):
        end = min(at + STRETCH, count)
        equity, exposure = _values(lines[0], at, end)
        for line in lines[1:]:
            other, theirs = _values(line, at, end)
            equity += other
            np.maximum(exposure, theirs, out=exposure)
        yield at, equity, exposure


def _values(line: Line, first: int, last: int) -> tuple[Floats, Floats]:
    base, cash = line.held(first, last)
    value = line.closes.between(first, last)
    value *= base
    equity = value + (line.start + cash)
    return equity, np.abs(value, out=value)


def _falls(equity: Floats, peak: float) -> tuple[Floats, float]:
    # Falls from the running peak, as fractions of it, and the peak after the last; `peak` is the one before the first.
    peaks = np.maximum.accumulate(equity)
    np.maximum(peaks, peak, out=peaks)
    falls = np.divide(peaks - equity, peaks, out=np.zeros_like(peaks), where=peaks > 0)
    return falls, float(peaks[-1]) if len(peaks) else peak


def _ratios(ts_ms: Ints, stretches: Iterable[tuple[int, Floats, Floats]]) -> Ratios:
    ends = day_ends(ts_ms)
    if not len(ends):
        return Ratios(None, None, None, 0.0)
    drawdown, most, peak = 0.0, 0.0, -np.inf
    daily: list[float] = []
    for at, equity, exposure in stretches:
        falls, peak = _falls(equity, peak)
        drawdown, most = max(drawdown, float(falls.max())), max(most, float(exposure.max()))
        here = ends[slice(*np.searchsorted(ends, (at, at + len(equity))))] - at
        daily += ([float(equity[0])] if at == 0 else []) + equity[here].tolist()
    return ratios_of_days(drawdown, most, daily)


def ratios_of_days(drawdown: float, exposure_max: float, daily: Sequence[float]) -> Ratios:
    """Add Sharpe and Sortino to what was found of a curve; `daily` is its first equity and that at the end of each UTC day."""
    if min(daily) <= 0:
        return Ratios(drawdown, None, None, exposure_max)
    returns = metrics.simple_returns(daily)
    sharpe, sortino = metrics.sharpe(returns, DAYS_A_YEAR), metrics.sortino(returns, DAYS_A_YEAR)
    return Ratios(drawdown, sharpe, sortino, exposure_max)
