"""The statistics of a sweep against independent computations and the numbers of the paper."""

import math
import random
from decimal import Decimal
from statistics import fmean, stdev

import pytest

from tasks.sweep_stats import Moments, Trial, deflated_sharpe, luck, moments_of, pareto, walk


def power_sums(returns: list[float]) -> list[float]:
    """Return what a row of a sweep keeps of its daily returns."""
    return [float(len(returns)), *(math.fsum(r**k for r in returns) for k in range(1, 5))]


def trial(number: int, inside: int, fall: float, parts: tuple[int, ...] = (0, 0)) -> Trial:
    """Make a trial of which only profit and drawdown matter."""
    return Trial(number, {}, Decimal(inside), fall, Decimal(0), 0.0, None, tuple(map(Decimal, parts)), 1)


def test_moments_joined_from_stretches_are_those_of_all_returns() -> None:
    """Power sums of two stretches give the moments of the joined series."""
    dice = random.Random(1)
    returns = [dice.gauss(0.001, 0.02) ** 3 * 900 + 0.001 for _ in range(400)]
    found = moments_of([power_sums(returns[:150]), power_sums(returns[150:])])
    mean = fmean(returns)
    deviation = math.sqrt(fmean((r - mean) ** 2 for r in returns))
    assert found is not None
    assert found.count == 400
    assert found.sharpe == pytest.approx(mean / stdev(returns), rel=1e-9)
    assert found.skewness == pytest.approx(fmean(((r - mean) / deviation) ** 3 for r in returns), rel=1e-6)
    assert found.kurtosis == pytest.approx(fmean(((r - mean) / deviation) ** 4 for r in returns), rel=1e-6)


def test_nothing_is_said_of_too_few_or_constant_returns() -> None:
    """A ratio that would divide by zero is None, and so is one with an unknown stretch."""
    assert moments_of([power_sums([0.0] * 50)]) is None
    assert moments_of([power_sums([0.01, 0.02])]) is None
    assert moments_of([power_sums([0.01, 0.02, 0.03]), None]) is None
    assert luck([0.1]) is None


def test_the_example_of_the_paper_comes_out() -> None:
    """Bailey and Lopez de Prado's example: Sharpe 2.5 a year over 1250 days, 100 trials of variance 1/2, skewness -3,
    kurtosis 10: SR0 is 0.1132 a day and the deflated ratio 0.9004.
    """
    spread = math.sqrt(0.5 / 250)
    # 100 values with exactly that sample variance and mean zero.
    step = spread * math.sqrt(99 / 100)
    threshold = luck([step, -step] * 50)
    assert threshold == pytest.approx(0.1132, abs=5e-5)
    assert threshold is not None
    assert deflated_sharpe(Moments(1250, 2.5 / math.sqrt(250), -3, 10), threshold) == pytest.approx(0.9004, abs=5e-5)


def test_the_pareto_set_has_what_nothing_beats() -> None:
    """Compared with the definition on random trials: no other has more profit at no deeper fall."""
    dice = random.Random(2)
    trials = [trial(i, dice.randrange(50), dice.randrange(30) / 100) for i in range(200)]
    found = {(one.inside, one.fall) for one in pareto(trials)}
    beaten = {
        (a.inside, a.fall)
        for a in trials for b in trials
        if (b.inside > a.inside and b.fall <= a.fall) or (b.inside >= a.inside and b.fall < a.fall)
    }  # fmt: skip
    assert found == {(one.inside, one.fall) for one in trials} - beaten


def test_walking_forward_tests_each_winner_on_the_next_stretch() -> None:
    """The winner of a stretch is judged by the next one alone, beside the median of all."""
    trials = [trial(0, 0, 0, (5, -1, 7)), trial(1, 0, 0, (3, 9, 2)), trial(2, 0, 0, (4, 0, 1))]
    steps = walk(trials, 3)
    assert [(s["number"], s["net_pnl_out_of_sample"], s["median_out_of_sample"]) for s in steps] == [
        (0, "-1", "0"), (1, "2", "2"),
    ]  # fmt: skip
