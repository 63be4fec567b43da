"""Each metric against an independent implementation in numpy, and at the edges where it has no meaning."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import metrics

EQUITY = st.lists(st.floats(min_value=10.0, max_value=1e7), min_size=2, max_size=60)
RETURNS = st.lists(st.floats(min_value=-0.5, max_value=0.5).map(lambda value: round(value, 6)), min_size=2, max_size=60)
PROFITS = st.lists(st.decimals(min_value=-1000, max_value=1000, places=4), min_size=1, max_size=60)


def rising(count: int) -> list[float]:
    """A curve that gains one percent a step."""
    return [1000.0 * 1.01**step for step in range(count)]


@given(EQUITY)
def test_returns_are_ratios_of_neighbours(equity: list[float]) -> None:
    """Returns equal numpy's differences over the earlier values."""
    curve = np.array(equity)
    assert np.allclose(metrics.simple_returns(equity), np.diff(curve) / curve[:-1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("broken", [[0.0, 1.0], [-5.0, 5.0], [1.0, 0.0, 1.0]])
def test_returns_refuse_a_base_that_is_not_positive(broken: list[float]) -> None:
    """Dividing by nothing is refused with the place of the value."""
    with pytest.raises(ValueError, match="above zero"):
        metrics.simple_returns(broken)


def test_growth_is_the_geometric_mean_of_the_years() -> None:
    """CAGR equals the geometric mean of the yearly growth factors."""
    factors = np.array([1.5, 0.7, 1.3])
    assert metrics.cagr(Decimal(1000), 1000 * float(factors.prod()), 3) == pytest.approx(factors.prod() ** (1 / 3) - 1)


@pytest.mark.parametrize(("start", "end", "years"), [(0, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, 0), (1.0, 2.0, 1e-6)])
def test_growth_without_meaning_is_none(start: float, end: float, years: float) -> None:
    """No capital, no time, a debt at the end or an absurd extrapolation has no yearly growth."""
    assert metrics.cagr(start, end, years) is None


def test_simple_rate_divides_by_capital_and_time() -> None:
    """50 on 1000 in half a year is a simple 10 % a year."""
    assert metrics.apr(Decimal(50), Decimal(1000), 0.5) == pytest.approx(0.10)
    assert metrics.apr(Decimal(50), Decimal(0), 0.5) is None
    assert metrics.apr(Decimal(50), Decimal(1000), 0) is None


@given(RETURNS)
def test_sharpe_equals_numpy(returns: list[float]) -> None:
    """Sharpe is mean over sample deviation, annualised; None where numpy finds no deviation."""
    sample = np.array(returns)
    found = metrics.sharpe(returns, 365, risk_free=0.0001)
    if np.ptp(sample) == 0:
        assert found is None
    else:
        assert found == pytest.approx((sample.mean() - 0.0001) / sample.std(ddof=1) * np.sqrt(365), rel=1e-7, abs=1e-9)


@given(RETURNS)
def test_sortino_equals_numpy(returns: list[float]) -> None:
    """Sortino divides by the root mean square of the losses over all periods."""
    sample = np.array(returns)
    downside = np.sqrt(np.mean(np.minimum(sample, 0.0) ** 2))
    found = metrics.sortino(returns, 365)
    if downside == 0:
        assert found is None
    else:
        assert found == pytest.approx(sample.mean() / downside * np.sqrt(365), rel=1e-7, abs=1e-9)


def test_ratios_of_steady_or_short_series_are_none() -> None:
    """A curve without variation, without loss or without two returns has no ratio."""
    steady = metrics.simple_returns(rising(50))
    assert metrics.sharpe(steady, 365) is None
    assert metrics.sortino(steady, 365) is None
    assert metrics.sharpe([0.01], 365) is None
    assert metrics.sortino([-0.01], 365) is None
    assert metrics.sharpe([], 365) is None


@given(EQUITY)
def test_drawdown_equals_the_running_maximum(equity: list[float]) -> None:
    """The depth equals numpy's accumulated maximum, and peak, trough and recovery lie where they must."""
    curve = np.array(equity)
    peaks = np.maximum.accumulate(curve)
    found = metrics.max_drawdown(equity)
    assert found is not None
    assert found.fraction == pytest.approx(((peaks - curve) / peaks).max())
    assert curve[found.peak] == peaks[found.trough]
    later = np.flatnonzero(curve[found.trough :] >= curve[found.peak])
    assert found.recovered == (None if len(later) == 0 else found.trough + later[0])


def test_drawdown_without_a_base_is_none() -> None:
    """Nothing can be lost of nothing."""
    assert metrics.max_drawdown([]) is None
    assert metrics.max_drawdown([0, 1]) is None


@given(EQUITY)
def test_time_under_water_equals_a_quadratic_search(equity: list[float]) -> None:
    """The longest time under water equals a search over all pairs of moments."""
    times = [float(place * 60) for place in range(len(equity))]
    curve = np.array(equity)
    longest = 0.0
    for start in range(len(curve)):
        if start and curve[:start].max() > curve[start]:
            continue
        below = np.flatnonzero(curve[start + 1 :] < curve[start])
        back = np.flatnonzero(curve[start + 1 :] >= curve[start])
        if len(below) and (len(back) == 0 or back[0] > 0):
            end = len(curve) - 1 if len(back) == 0 else start + 1 + back[0]
            longest = max(longest, times[end] - times[start])
    assert metrics.drawdown_length(equity, times) == longest


def test_time_under_water_needs_a_time_for_each_value() -> None:
    """Series of unequal length are refused; one value has no length."""
    with pytest.raises(ValueError, match="3 equity values but 2 times"):
        metrics.drawdown_length([1, 2, 3], [0, 1])
    assert metrics.drawdown_length([1], [0]) is None


def test_calmar_divides_growth_by_depth() -> None:
    """30 % a year at a deepest fall of 15 % is 2; without growth or fall there is none."""
    assert metrics.calmar(0.30, 0.15) == pytest.approx(2.0)
    assert metrics.calmar(None, 0.15) is None
    assert metrics.calmar(0.30, 0.0) is None
    assert metrics.calmar(0.30, None) is None


@given(PROFITS)
def test_trade_numbers_equal_numpy(profits: list[Decimal]) -> None:
    """Profit factor, expectancy and win rate equal numpy over the same trades."""
    sample = np.array([float(profit) for profit in profits])
    lost = -sample[sample < 0].sum()
    factor = metrics.profit_factor(profits)
    assert (factor is None) == (lost == 0)
    assert factor is None or factor == pytest.approx(sample[sample > 0].sum() / lost, rel=1e-9)
    expected = metrics.expectancy(profits)
    assert expected is not None
    assert float(expected) == pytest.approx(sample.mean(), abs=1e-9)
    assert metrics.win_rate(profits) == pytest.approx((sample > 0).mean())


def test_trade_numbers_without_trades_are_none() -> None:
    """No trade has no rate, and break-even is no win."""
    assert metrics.profit_factor([]) is None
    assert metrics.expectancy([]) is None
    assert metrics.win_rate([]) is None
    assert metrics.win_rate([Decimal(0), Decimal(1)]) == 0.5


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 1000)), min_size=2, max_size=40))
def test_time_in_market_equals_numpy(steps: list[tuple[int, int]]) -> None:
    """The share is the duration-weighted mean of "holds something", the last sample weighing nothing."""
    exposure = [step[0] for step in steps]
    times = np.cumsum([step[1] for step in steps]).astype(float)
    wanted = np.average(np.array(exposure[:-1]) != 0, weights=np.diff(times))
    assert metrics.time_in_market(exposure, list(times)) == pytest.approx(wanted)


def test_time_in_market_without_time_is_none() -> None:
    """No elapsed time has no share; unequal series are refused."""
    assert metrics.time_in_market([1], [0.0]) is None
    assert metrics.time_in_market([1, 1], [5.0, 5.0]) is None
    with pytest.raises(ValueError, match="2 exposures but 1 times"):
        metrics.time_in_market([1, 1], [0.0])


@given(EQUITY)
def test_turnover_equals_numpy(equity: list[float]) -> None:
    """Turnover is the traded value over the mean equity, per year."""
    assert metrics.turnover(Decimal(5000), equity, 0.5) == pytest.approx(5000 / np.mean(equity) / 0.5)
    assert metrics.turnover(Decimal(5000), equity, 0.0) is None
    assert metrics.turnover(Decimal(5000), [], 1.0) is None
