"""What a sweep may claim: out-of-sample results, Pareto sets and the deflated Sharpe ratio; never the best row alone.

The deflated Sharpe ratio is the probability that the true Sharpe ratio is above what the best of N skill-less trials would
show by luck (D. H. Bailey, M. Lopez de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management, 2014):

    SR0 = sqrt(V) * ((1 - g) * z(1 - 1/N) + g * z(1 - 1/(N*e)))
    DSR = Z((SR - SR0) * sqrt(T - 1) / sqrt(1 - s*SR + (k - 1)/4 * SR^2))

SR is the winner's Sharpe ratio per day (not a year), T the number of its daily returns, s and k their skewness and kurtosis
(3 for a normal one), V the variance of the Sharpe ratios of all N trials, g Euler's constant, Z the normal distribution
and z its inverse. Trials of a sweep resemble each other, so N overstates the luck: the ratio errs to the careful side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist, median, quantiles
from typing import Any

from core.values import plain, total
from tasks.equity import DAYS_A_YEAR

EULER = 0.5772156649015329
_NORMAL = NormalDist()
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moments:
    """Daily returns of a run: their number, Sharpe ratio per day (sample deviation), skewness and kurtosis."""

    count: int
    sharpe: float
    skewness: float
    kurtosis: float


def moments_of(sums: Sequence[Sequence[float] | None]) -> Moments | None:
    """Join the power sums of stretches into moments; None where a stretch has none, or returns are too few or constant."""
    if not sums or any(one is None for one in sums):
        return None
    n, s1, s2, s3, s4 = (math.fsum(column) for column in zip(*(one for one in sums if one is not None), strict=True))
    if n < 3:
        return None
    mean = s1 / n
    second = s2 / n - mean**2
    if second <= 1e-18:
        return None
    third = s3 / n - 3 * mean * s2 / n + 2 * mean**3
    fourth = s4 / n - 4 * mean * s3 / n + 6 * mean**2 * s2 / n - 3 * mean**4
    return Moments(int(n), mean / math.sqrt(second * n / (n - 1)), third / second**1.5, fourth / second**2)


def luck(sharpes: Sequence[float]) -> float | None:
    """Return SR0: the Sharpe ratio that the best of so many trials without skill would show; None below two trials."""
    trials = len(sharpes)
    if trials < 2:
        return None
    mean = math.fsum(sharpes) / trials
    variance = math.fsum((one - mean) ** 2 for one in sharpes) / (trials - 1)
    first, second = _NORMAL.inv_cdf(1 - 1 / trials), _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - EULER) * first + EULER * second)


def deflated_sharpe(winner: Moments, threshold: float) -> float | None:
    """Return DSR for the winner against `threshold` (SR0), both per day; None where its returns have no such spread."""
    spread = 1 - winner.skewness * winner.sharpe + (winner.kurtosis - 1) / 4 * winner.sharpe**2
    if spread <= 0:
        return None
    return _NORMAL.cdf((winner.sharpe - threshold) * math.sqrt(winner.count - 1) / math.sqrt(spread))


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration: what it did in sample (all stretches but the last, joined) and out of sample (the last)."""

    number: int
    values: Mapping[str, str]
    inside: Decimal
    fall: float
    outside: Decimal
    outside_fall: float
    moments: Moments | None
    parts: tuple[Decimal, ...]
    fills: int

    def shown(self) -> dict[str, Any]:
        """Return it as a row for people and programs."""
        sharpe = None if self.moments is None else self.moments.sharpe * math.sqrt(DAYS_A_YEAR)
        return {
            "number": self.number, **self.values,
            "net_pnl_in_sample": plain(self.inside), "max_drawdown_in_sample": self.fall, "sharpe_in_sample": sharpe,
            "net_pnl_out_of_sample": plain(self.outside), "max_drawdown_out_of_sample": self.outside_fall,
            "fills": self.fills,
        }  # fmt: skip


def trials_of(rows: Sequence[Row], segments: int) -> list[Trial]:
    """Join each configuration's rows, which are in order of number and segment; refused ones are left out."""
    found: list[Trial] = []
    for first in range(0, len(rows), segments):
        parts = rows[first : first + segments]
        if any(part["refused"] is not None for part in parts):
            continue
        net = tuple(Decimal(part["net_pnl"]) for part in parts)
        falls = [float(part["max_drawdown"] or 0.0) for part in parts]
        inner = slice(0, max(segments - 1, 1))
        found.append(
            Trial(
                parts[0]["number"], parts[0]["values"], total(net[inner]), max(falls[inner]), net[-1], falls[-1],
                moments_of([part["returns_sums"] for part in parts[inner]]), net, sum(part["fills"] for part in parts),
            )
        )  # fmt: skip
    return found


def pareto(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that no other beats in both net profit and drawdown, in sample; the deepest fall last."""
    found: list[Trial] = []
    most: Decimal | None = None
    for one in sorted(trials, key=lambda t: (t.fall, -t.inside, t.number)):
        if most is None or one.inside > most:
            found.append(one)
            most = one.inside
    return found


def walk(trials: Sequence[Trial], segments: int) -> list[dict[str, Any]]:
    """Choose on each stretch the most profitable trial, and say what it earned on the next one, beside the field's median."""
    steps: list[dict[str, Any]] = []
    for train in range(segments - 1):
        winner = max(trials, key=lambda t: (t.parts[train], -t.number))
        steps.append({
            "train": train, "test": train + 1, "number": winner.number, "values": dict(winner.values),
            "net_pnl_in_sample": plain(winner.parts[train]),
            "net_pnl_out_of_sample": plain(winner.parts[train + 1]),
            "median_out_of_sample": plain(median(t.parts[train + 1] for t in trials)),
        })  # fmt: skip
    return steps


def summary_of(trials: Sequence[Trial], segments: int, refused: int) -> dict[str, Any]:
    """Say all that a sweep found; money as strings. `trials` must not be empty."""
    sharpes = [t.moments.sharpe for t in trials if t.moments is not None]
    threshold = luck(sharpes)
    winner = max(trials, key=lambda t: (t.inside, -t.number))
    able = threshold is not None and winner.moments is not None
    steps = walk(trials, segments)
    year = math.sqrt(DAYS_A_YEAR)
    return {
        "trials": len(trials),
        "refused": refused,
        "winner": winner.shown(),
        "deflated_sharpe": deflated_sharpe(winner.moments, threshold) if able else None,  # type: ignore[arg-type]
        "sharpe_of_luck": None if threshold is None else threshold * year,
        "rank_correlation": _rank_correlation([t.inside for t in trials], [t.outside for t in trials]),
        "net_pnl_in_sample": _spread([t.inside for t in trials]),
        "net_pnl_out_of_sample": _spread([t.outside for t in trials]),
        "profitable_out_of_sample": sum(t.outside > 0 for t in trials) / len(trials),
        "walk_forward": steps,
        "net_pnl_walk_forward": plain(total(Decimal(step["net_pnl_out_of_sample"]) for step in steps)),
        "pareto": [t.shown() for t in pareto(trials)],
    }


def _spread(values: Sequence[Decimal]) -> dict[str, str]:
    cuts = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    named = zip(
        ("least", "quarter", "median", "three_quarters", "most"), (min(values), *cuts, max(values)), strict=True
    )
    return {name: plain(value) for name, value in named}


def _rank_correlation(one: Sequence[Decimal], other: Sequence[Decimal]) -> float | None:
    # Spearman's: whether what was good in sample was good after it. None where either does not vary.
    a, b = _ranks(one), _ranks(other)
    middle = (len(a) - 1) / 2
    up = math.fsum((x - middle) * (y - middle) for x, y in zip(a, b, strict=True))
    spread = math.fsum((x - middle) ** 2 for x in a) * math.fsum((y - middle) ** 2 for y in b)
    return up / math.sqrt(spread) if spread > 0 else None


def _ranks(values: Sequence[Decimal]) -> list[float]:
    # Equal values share the middle of their places.
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in range(first, last + 1):
            ranks[order[place]] = (first + last) / 2
        first = last + 1
    return ranks
