"""Equity over time from executions and candles: the one computation behind backtests, reports and metrics.

Between two executions the position does not change, so equity at a bar's close is cash plus position times close. The
curve is for metrics and pictures (floats); money that is stated to the cent comes from the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from core import metrics

DAY_MS = 86_400_000
DAYS_A_YEAR = 365.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Trade:
    """What an execution did: at `ts_ms`, signed base and the quote cash that went with it, fee included."""

    ts_ms: int
    base: float
    cash: float


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
        peak = np.maximum.accumulate(self.equity)
        return np.divide(peak - self.equity, peak, out=np.zeros_like(peak), where=peak > 0)

    def plus(self, other: "Curve") -> "Curve":
        """Add what another market of the same bot brought, bar by bar; inventory and hold stay those of the first.

        Exposure is the larger of both: a hedge beside a bag does not add to what is at stake.
        """
        return Curve(
            self.ts_ms, self.equity + other.equity, self.hold, self.inventory, np.maximum(self.exposure, other.exposure)
        )


def equity_curve(ts_ms: Ints, close: Floats, trades: Sequence[Trade], capital: Decimal) -> Curve:
    """Compute the curve; a trade counts from the bar that it happened in. Hold buys for all capital at the first close."""
    stamps = np.array([t.ts_ms for t in trades], dtype=np.int64)
    base = np.cumsum([t.base for t in trades]) if trades else np.zeros(0)
    cash = np.cumsum([t.cash for t in trades]) if trades else np.zeros(0)
    # The number of trades up to the end of each bar; bars end where the next one opens.
    ends = np.append(ts_ms[1:], np.iinfo(np.int64).max)
    upto = np.searchsorted(stamps, ends, side="left")
    inventory = np.where(upto > 0, base[np.maximum(upto - 1, 0)] if trades else 0.0, 0.0)
    money = np.where(upto > 0, cash[np.maximum(upto - 1, 0)] if trades else 0.0, 0.0)
    start = float(capital)
    equity = start + money + inventory * close
    hold = start * close / close[0] if len(close) else close
    return Curve(ts_ms, equity, hold, inventory, np.abs(inventory * close))


@dataclass(frozen=True, slots=True)
class Ratios:
    """Figures of a curve: fractions and ratios; None where undefined."""

    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None
    exposure_max: float


def ratios(curve: Curve) -> Ratios:
    """Compute drawdown at bar closes, and Sharpe and Sortino from the equity at the end of each UTC day."""
    if not len(curve.equity):
        return Ratios(None, None, None, 0.0)
    drawdown = float(curve.drawdown.max())
    days = curve.ts_ms // DAY_MS
    last_of_day = np.append(np.flatnonzero(np.diff(days)), len(days) - 1)
    daily = [float(curve.equity[0]), *(float(v) for v in curve.equity[last_of_day])]
    if min(daily) <= 0:
        return Ratios(drawdown, None, None, float(curve.exposure.max()))
    returns = metrics.simple_returns(daily)
    return Ratios(
        drawdown,
        metrics.sharpe(returns, DAYS_A_YEAR),
        metrics.sortino(returns, DAYS_A_YEAR),
        float(curve.exposure.max()),
    )
