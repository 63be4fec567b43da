"""Times the core engine, with its full ledger and journal, on workload W1, and how its cost grows with the bars.

Growth is measured the way it is claimed: the same price path, cut ten times finer in time, has ten times the bars and the
same trades. Times are CPU seconds of run and figures, so that they hold on a busy machine. Prints a table and one JSON line.

    python benchmarks/backtest_core.py
"""

import json
import time
from decimal import Decimal

import numpy as np

from benchmarks.workloads import BARS_A_YEAR, FIRST_MS, MINUTE_MS, brownian_bars, portfolio_yaml, series
from core.kernel import ArraySeries
from tasks.assemble import instruments_of, spec_of
from tasks.backtesting import Options, Run, run_spec
from tasks.settings import check
from tasks.yaml_strict import load

W1_FILLS, W1_OPENING, W1_PNL = 5_364, 57, Decimal("21114.1592")
RUNS = 3


def stretched(bars: np.ndarray, times: int) -> ArraySeries:
    """Follow every bar by `times` - 1 bars that stand still at its close: more bars, the same trades."""
    count = bars.shape[1] * times
    columns = [np.repeat(bars[3], times) for _ in range(4)]
    for column, row in zip(columns, bars, strict=True):
        column[::times] = row
    stamps = FIRST_MS + MINUTE_MS * np.arange(count, dtype=np.int64)
    return ArraySeries(stamps, *columns, np.zeros(count, dtype=np.int64), scale=2, volume_scale=0)


def measure(candles: ArraySeries) -> tuple[Run, float]:
    """Run W1's grid over a series `RUNS` times; returns the last run and the least CPU time in seconds."""
    portfolio = check(load(portfolio_yaml(), "w1"), {})
    bot = portfolio.bots[0]
    spec = spec_of(bot, instruments_of(portfolio, {}, {}), "w1w1", key="bots[0]")
    options = Options(intrabar="ohlc", fill="touch", latency_s=0)

    def timed() -> tuple[Run, float]:
        began = time.process_time()
        made = run_spec(portfolio, bot, spec, [candles], "1m", options)
        return made, time.process_time() - began

    # Runs that are not looked at are let go at once: their values would be in the way of the next one's.
    times = [timed()[1] for _ in range(RUNS - 1)]
    made, last = timed()
    return made, min(*times, last)


def main() -> None:
    """Measure and print."""
    bars = brownian_bars(BARS_A_YEAR)
    made, w1_s = measure(series(bars))
    if made.figures["fills"] != W1_FILLS + W1_OPENING or Decimal(made.figures["net_pnl"]) != W1_PNL:
        raise ArithmeticError(f"W1 is not what it must be: {made.figures}")
    long, long_s = measure(stretched(bars, 10))
    if long.figures["net_pnl"] != made.figures["net_pnl"]:
        raise ArithmeticError(f"ten times the bars gave another result: {long.figures}")
    rows = [
        ("W1", made.figures["bars"], made.figures["visited_bars"], made.figures["fills"], w1_s),
        ("W1, ten times the bars", long.figures["bars"], long.figures["visited_bars"], long.figures["fills"], long_s),
    ]
    print(f"{'workload':<24} {'bars':>10} {'looked at':>10} {'fills':>7} {'seconds':>8} {'us/fill':>8}")
    for name, count, visited, fills, elapsed in rows:
        print(f"{name:<24} {count:>10,} {visited:>10,} {fills:>7,} {elapsed:>8.3f} {elapsed / fills * 1e6:>8.0f}")
    print(f"growth with ten times the bars and the same trades: {long_s / w1_s:.2f} times")
    print(json.dumps({"benchmark": "backtest_core", "w1_s": w1_s, "growth_10x_bars": round(long_s / w1_s, 3),
                      "fills": made.figures["fills"], "net_pnl": made.figures["net_pnl"]}))  # fmt: skip


if __name__ == "__main__":
    main()
