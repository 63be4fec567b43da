"""Equity in stretches of bars: every value and figure is that of the plain formulas over whole arrays, bit for bit."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from core import metrics
from tasks import equity
from tasks.equity import DAY_MS, DAYS_A_YEAR, Closes, Curve, Ratios, Trade, equity_curve, line_of, ratios, ratios_along

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HOUR_MS = 3_600_000


def plain_part(ts_ms: Ints, close: Floats, trades: Sequence[Trade], start: float) -> tuple[Floats, Floats]:
    """Equity and inventory of one market, over whole arrays: the number of trades up to each bar's end, then the formula."""
    ends = np.append(ts_ms[1:], np.iinfo(np.int64).max)
    upto = np.searchsorted(np.array([t.ts_ms for t in trades]), ends, side="left")
    inventory = np.append(0.0, np.cumsum([t.base for t in trades]))[upto]
    return start + np.append(0.0, np.cumsum([t.cash for t in trades]))[upto] + inventory * close, inventory


def plain_ratios(ts_ms: Ints, worth: Floats, exposure: Floats) -> Ratios:
    """The figures of a curve, over whole arrays."""
    peak = np.maximum.accumulate(worth)
    fall = np.divide(peak - worth, peak, out=np.zeros_like(peak), where=peak > 0)
    last = np.append(np.flatnonzero(np.diff(ts_ms // DAY_MS)), len(ts_ms) - 1)
    daily = [float(worth[0]), *(float(v) for v in worth[last])]
    if min(daily) <= 0:
        return Ratios(float(fall.max()), None, None, float(exposure.max()))
    returns = metrics.simple_returns(daily)
    sharpe, sortino = metrics.sharpe(returns, DAYS_A_YEAR), metrics.sortino(returns, DAYS_A_YEAR)
    return Ratios(float(fall.max()), sharpe, sortino, float(exposure.max()))


def some_trades(rng: np.random.Generator, first: int, last: int, count: int) -> list[Trade]:
    """Trades at random times, some of them before the first bar, several in one bar, some at a bar's very open."""
    stamps = np.sort(rng.integers(first - HOUR_MS, last + HOUR_MS, count))
    stamps[::3] -= stamps[::3] % HOUR_MS
    return [Trade(int(at), float(rng.normal()), float(rng.normal(0, 100))) for at in np.sort(stamps)]


@pytest.mark.parametrize("stretch", [1, 7, 64, 1 << 14])
@pytest.mark.parametrize("capital", ["1000", "250000.5", "3"])
@pytest.mark.parametrize("count", [0, 3, 400])
def test_two_markets_bit_for_bit(stretch: int, capital: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curve and figures of bars with gaps, beside a market that lacks some of them, whatever the stretch."""
    monkeypatch.setattr(equity, "STRETCH", stretch)
    rng = np.random.default_rng(count)
    ts_ms = 1_600_000_000_000 // HOUR_MS * HOUR_MS + HOUR_MS * np.sort(rng.choice(900, 500, replace=False))
    theirs_ms = np.sort(rng.choice(ts_ms[1:], 400, replace=False))
    units, theirs = (rng.integers(90_000, 110_000, size) for size in (500, 400))
    trades, hedge = (some_trades(rng, int(ts_ms[0]), int(ts_ms[-1]), count) for _ in range(2))
    at = np.maximum(np.searchsorted(theirs_ms, ts_ms, side="right") - 1, 0)

    one, held = plain_part(ts_ms, units / 100.0, trades, float(capital))
    two, theirs_held = plain_part(ts_ms, theirs[at] / 100.0, hedge, 0.0)
    exposure = np.maximum(np.abs(held * (units / 100.0)), np.abs(theirs_held * (theirs[at] / 100.0)))
    hold = float(capital) * (units / 100.0) / (units / 100.0)[0]

    lines = [
        line_of(ts_ms, Closes(units, 100.0), trades, Decimal(capital)),
        line_of(ts_ms, Closes(theirs, 100.0, at), hedge, Decimal(0)),
    ]
    made = equity_curve(ts_ms, lines)
    for found, wanted in zip(
        (made.equity, made.hold, made.inventory, made.exposure), (one + two, hold, held, exposure), strict=True
    ):
        assert np.array_equal(found, wanted)
    bars = np.array([0, 17, 499])
    assert np.array_equal(lines[0].equity_at(bars) + lines[1].equity_at(bars), made.equity[bars])
    wanted = plain_ratios(ts_ms, one + two, exposure)
    assert ratios_along(ts_ms, lines) == ratios(made) == wanted
    peak = np.maximum.accumulate(made.equity)
    assert np.array_equal(made.drawdown, np.where(peak > 0, (peak - made.equity) / np.where(peak > 0, peak, 1), 0.0))


def test_no_bars_have_no_figures() -> None:
    """A curve without bars is empty, and nothing is claimed of it."""
    none = np.zeros(0, dtype=np.int64)
    line = line_of(none, Closes(none, 100.0), [], Decimal(1000))
    made = equity_curve(none, [line])
    assert len(made.equity) == len(made.drawdown) == 0
    assert ratios(Curve(none, made.equity, made.hold, made.inventory, made.exposure)) == Ratios(None, None, None, 0.0)
    assert ratios_along(none, [line]) == Ratios(None, None, None, 0.0)
