"""Performance numbers of an equity curve or a list of closed trades: pure, standard library only.

Conventions, the same for every function here:
- `equity` is a series of account values in one currency, oldest first, equally spaced unless times are given.
- `returns` are simple per-period returns, `e[i] / e[i-1] - 1`; `periods_per_year` says how many of them make a year
  (crypto trades all days: 365 for daily samples).
- fractions are fractions: 0.1 is 10 %.
- a number that has no meaning for the input is `None`, never zero, infinity or NaN: a report then prints a dash.
- money stays `Decimal` where it only is added, divided or compared; `float` appears where a root or a power is taken.

`docs/metrics.md` lists the formulas; the tests check each against an implementation of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

Number = Decimal | float | int

SECONDS_PER_YEAR = 365.0 * 86_400.0
"""A year of 365 days, in seconds: crypto venues never close and count their own rates this way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall of a curve.

    `fraction` of the peak lost; the places of the peak and of the lowest point after it; `recovered` is the place where
    the curve first stands at the peak again, or None while it is still below.
    """

    fraction: float
    peak: int
    trough: int
    recovered: int | None


def simple_returns(equity: Sequence[Number]) -> list[float]:
    """Return `e[i] / e[i-1] - 1` for each step; empty for fewer than two values.

    Raises ValueError when a value that has to be divided by is zero or negative: such a curve has no returns.
    """
    values = [float(value) for value in equity]
    found: list[float] = []
    for place, (before, after) in enumerate(pairwise(values)):
        if before <= 0:
            raise ValueError(f"equity[{place}] is {before}; returns need values above zero")
        found.append(after / before - 1.0)
    return found


def cagr(start: Number, end: Number, years: float) -> float | None:
    """Compound annual growth rate, `(end / start) ** (1 / years) - 1`, as a fraction a year.

    Source: CFA Institute, geometric mean return. None when no time passed, the start is not above zero, the end is
    below zero, or the result is too large for a float (a few lucky minutes have no meaningful yearly rate).
    """
    if years <= 0 or start <= 0 or end < 0:
        return None
    try:
        grown = (float(end) / float(start)) ** (1.0 / years) - 1.0
    except OverflowError:
        return None
    return grown if math.isfinite(grown) else None


def apr(profit: Number, capital: Number, years: float) -> float | None:
    """Simple annual rate, `profit / capital / years`, as a fraction a year, without compounding.

    This is the "annualised" of the hosted grid bots. None when the capital is not above zero or no time passed.
    """
    if capital <= 0 or years <= 0:
        return None
    return float(profit) / float(capital) / years


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean, exactly summed; None for no values."""
    return math.fsum(values) / len(values) if values else None


def sample_deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation, with `n - 1` in the denominator; None for fewer than two values."""
    if len(values) < 2:
        return None
    centre = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))


def sharpe(returns: Sequence[float], periods_per_year: float, risk_free: float = 0.0) -> float | None:
    """Sharpe ratio, `mean(r - f) / deviation(r) * sqrt(periods_per_year)`; no unit.

    Source: W. F. Sharpe, "The Sharpe Ratio", 1994, ex post form with the sample deviation. `risk_free` is the riskless
    return per period. None for fewer than two returns, or where they do not vary (the ratio would divide by zero).
    """
    deviation = sample_deviation(returns)
    centre = mean(returns)
    if deviation is None or centre is None or _is_nothing(deviation, returns):
        return None
    return (centre - risk_free) / deviation * math.sqrt(periods_per_year)


def sortino(returns: Sequence[float], periods_per_year: float, target: float = 0.0) -> float | None:
    """Sortino ratio, `mean(r - t) / downside * sqrt(periods_per_year)`; no unit.

    `downside = sqrt(sum(min(r - t, 0)**2) / n)`, over all n periods and not over the losing ones alone. Source: Sortino
    and Price, 1994. `target` is the wanted return per period. None for fewer than two returns or without a loss.
    """
    if len(returns) < 2:
        return None
    excess = [value - target for value in returns]
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in excess) / len(excess))
    if _is_nothing(downside, returns):
        return None
    return math.fsum(excess) / len(excess) / downside * math.sqrt(periods_per_year)


def max_drawdown(equity: Sequence[Number]) -> Drawdown | None:
    """The largest fall from a running peak, `max((peak - e) / peak)`.

    Source: Magdon-Ismail and Atiya, "Maximum Drawdown", 2004. The first of equally deep ones counts. A curve that never
    falls has a fraction of 0 at its first place. None for an empty curve or one that starts at or below zero.
    """
    values = [float(value) for value in equity]
    if not values or values[0] <= 0:
        return None
    peak, deepest, found_peak, trough = 0, 0.0, 0, 0
    for place, value in enumerate(values):
        if value > values[peak]:
            peak = place
        fall = (values[peak] - value) / values[peak]
        if fall > deepest:
            deepest, found_peak, trough = fall, peak, place
    again = (place for place in range(trough, len(values)) if values[place] >= values[found_peak])
    return Drawdown(fraction=deepest, peak=found_peak, trough=trough, recovered=next(again, None))


def drawdown_length(equity: Sequence[Number], times_s: Sequence[float]) -> float | None:
    """The longest time under water, in seconds: from a peak to the first moment the curve stands there again.

    A fall that has not been made good counts up to the last sample. None for fewer than two values. Raises ValueError
    when the two series differ in length.
    """
    if len(equity) != len(times_s):
        raise ValueError(f"{len(equity)} equity values but {len(times_s)} times; each value needs its time")
    if len(equity) < 2:
        return None
    peak, since, longest, under = equity[0], times_s[0], 0.0, False
    for value, time_s in zip(equity, times_s, strict=True):
        if value >= peak:
            if under:
                longest = max(longest, time_s - since)
            peak, since, under = value, time_s, False
        else:
            under = True
            longest = max(longest, time_s - since)
    return longest


def calmar(annual_growth: float | None, drawdown: float | None) -> float | None:
    """Calmar ratio, `cagr / max_drawdown` over the whole span; no unit.

    Source: T. W. Young, "Calmar Ratio", 1991 (he used 36 months; here it is the span of the report). None when either
    is unknown or nothing was ever lost.
    """
    if annual_growth is None or not drawdown:
        return None
    return annual_growth / drawdown


def profit_factor(profits: Sequence[Decimal]) -> float | None:
    """Gross profit over gross loss, `sum(p > 0) / -sum(p < 0)`; no unit. None without a losing trade."""
    won = sum((profit for profit in profits if profit > 0), Decimal(0))
    lost = -sum((profit for profit in profits if profit < 0), Decimal(0))
    return float(won / lost) if lost > 0 else None


def expectancy(profits: Sequence[Decimal]) -> Decimal | None:
    """Mean profit of a closed trade, in the currency of `profits`; None without a trade."""
    return sum(profits, Decimal(0)) / len(profits) if profits else None


def win_rate(profits: Sequence[Decimal]) -> float | None:
    """Share of the closed trades that earned more than zero; break-even is no win. None without a trade."""
    return sum(1 for profit in profits if profit > 0) / len(profits) if profits else None


def time_in_market(exposure: Sequence[Number], times_s: Sequence[float]) -> float | None:
    """Share of the time with a position: each sample's exposure holds until the next sample.

    The last sample has no duration. None when no time passed. Raises ValueError when the series differ in length.
    """
    if len(exposure) != len(times_s):
        raise ValueError(f"{len(exposure)} exposures but {len(times_s)} times; each value needs its time")
    if len(times_s) < 2 or times_s[-1] <= times_s[0]:
        return None
    held = (after - before for value, before, after in zip(exposure, times_s, times_s[1:], strict=False) if value != 0)
    return math.fsum(held) / (times_s[-1] - times_s[0])


def turnover(traded: Number, equity: Sequence[Number], years: float) -> float | None:
    """How often a year the account is traded over: `traded / mean(equity) / years`; times a year.

    `traded` is the value of all executions, buys and sells, in the currency of `equity`; a round trip therefore counts
    twice. None without equity above zero or without time.
    """
    average = mean([float(value) for value in equity])
    if average is None or average <= 0 or years <= 0:
        return None
    return float(traded) / average / years


# A spread below what floats can resolve beside the values is no spread: 0.1 % each day sums to 1e-19, not to 0.
def _is_nothing(deviation: float, values: Sequence[float]) -> bool:
    return deviation <= 1e-12 * max(abs(value) for value in values)
