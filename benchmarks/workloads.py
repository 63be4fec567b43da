"""The workloads that the speed figures are stated for: series and grids that anybody can build again.

W1: 525,600 one-minute bars of geometric Brownian motion (20 sub-steps a bar, start 30,000, 60 % a year, no drift, prices
rounded to 0.01) under a static grid of 100 cells of 210 between 21,000 and 42,000, 0.1 each, fee 0.0002 of notional.
W2: ten times the bars, reflected between 0.71 and 1.39 of the start.
"""

import numpy as np

from core.kernel import ArraySeries

SEED = 10
START = 30_000.0
VOLATILITY = 0.60
BARS_A_YEAR = 525_600
SUB_STEPS = 20
BLOCK = 52_560
MINUTE_MS = 60_000
FIRST_MS = 1_577_836_800_000  # 2020-01-01 UTC


def brownian_bars(bars: int = BARS_A_YEAR, *, reflect: bool = False) -> np.ndarray:
    """Return an int64 array (4, bars) of open, high, low, close in cents."""
    rng = np.random.default_rng(SEED)
    sigma = VOLATILITY / np.sqrt(BARS_A_YEAR * SUB_STEPS)
    out = np.empty((4, bars), dtype=np.int64)
    level = 0.0
    for start in range(0, bars, BLOCK):
        count = min(BLOCK, bars - start)
        steps = rng.standard_normal((count, SUB_STEPS)) * sigma - sigma * sigma / 2
        logs = level + np.cumsum(steps.ravel())
        level = float(logs[-1])
        inside = np.concatenate(([logs[0] - steps.ravel()[0]], logs))
        prices = START * np.exp(_reflected(inside) if reflect else inside)
        cents = np.rint(prices * 100).astype(np.int64)
        closes = cents[SUB_STEPS::SUB_STEPS]
        opens = cents[:-1:SUB_STEPS]
        path = np.concatenate((opens[:, None], cents[1:].reshape(count, SUB_STEPS)), axis=1)
        out[:, start : start + count] = opens, path.max(axis=1), path.min(axis=1), closes
    return out


def _reflected(logs: np.ndarray) -> np.ndarray:
    # Folds the walk between the two walls: a triangle wave of the unbounded path.
    low, high = np.log(0.71), np.log(1.39)
    span = high - low
    folded = np.mod(logs - low, 2 * span)
    return low + np.where(folded > span, 2 * span - folded, folded)


def series(bars: np.ndarray) -> ArraySeries:
    """Wrap bars in cents as a candle series that starts in 2020."""
    count = bars.shape[1]
    stamps = FIRST_MS + MINUTE_MS * np.arange(count, dtype=np.int64)
    volume = np.zeros(count, dtype=np.int64)
    return ArraySeries(stamps, bars[0], bars[1], bars[2], bars[3], volume, scale=2, volume_scale=0)


def portfolio_yaml(exchange: str = "binance") -> str:
    """Return W1's portfolio file."""
    return f"""\
mode: backtest
venues:
  - id: spot
    exchange: {exchange}
    market: spot
    instruments:
      BTC/USDT: {{tick_size: 0.01, lot_step: 0.00001, min_qty: 0.00001, min_notional: 5, maker: 0.0002, taker: 0.0002}}
bots:
  - {{id: w1, kind: grid, venue: spot, symbol: BTC/USDT, side: BUY, start_price: 21000, end_price: 42000, levels: 100,
     amount_base: 0.1, exit: next_level, initial_inventory: market}}
"""
