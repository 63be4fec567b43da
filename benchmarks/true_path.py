"""Says how wrong each path inside a bar and each fill rule is, on series whose true path is known.

The walk of W1 has 20 sub-steps a bar. A grid over the sub-steps themselves is the truth; the same grid over the bars made
of them, with each path that a backtest may assume, shows what the assumption invents. The candles of a tenth of the walk
also run under the default rules with latency. Prints a table and one JSON line.

    python -m benchmarks.true_path
"""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from benchmarks.backtest_kernel import RICH, spec_for
from benchmarks.workloads import BARS_A_YEAR, BLOCK, FIRST_MS, MINUTE_MS, SEED, START, SUB_STEPS, VOLATILITY, series
from core.engine import Limits
from core.kernel import ArraySeries
from tasks import kernel_native
from tasks.backtesting import Options
from tasks.kernel_run import Room, run_grid, sums_of
from tasks.kernel_tables import columns_of

STEPS = (30, 60, 105, 210)
PATHS = ("adaptive", "ohlc", "olhc", "worst")
RULES = (("touch", 0.0), ("cross", 0.0), ("cross", 6.0))
RANGE = 21_000


def true_walk(bars: int = BARS_A_YEAR, seed: int = SEED) -> np.ndarray:
    """Return W1's walk in cents, the opening price first, then 20 prices a bar."""
    rng = np.random.default_rng(seed)
    sigma = VOLATILITY / np.sqrt(BARS_A_YEAR * SUB_STEPS)
    parts, level = [np.zeros(1)], 0.0
    for start in range(0, bars, BLOCK):
        count = min(BLOCK, bars - start)
        logs = level + np.cumsum((rng.standard_normal((count, SUB_STEPS)) * sigma - sigma * sigma / 2).ravel())
        level = float(logs[-1])
        parts.append(logs)
    return np.rint(START * np.exp(np.concatenate(parts)) * 100).astype(np.int64)


def bars_of(walk: np.ndarray, sub_steps: int = SUB_STEPS) -> np.ndarray:
    """Return open, high, low and close of the bars that a walk makes."""
    steps = walk[1:].reshape(-1, sub_steps)
    opens = walk[:-1:sub_steps]
    return np.stack((opens, np.maximum(opens, steps.max(axis=1)), np.minimum(opens, steps.min(axis=1)), steps[:, -1]))


def points_of(walk: np.ndarray, step_ms: int = MINUTE_MS // SUB_STEPS) -> ArraySeries:
    """Return the walk as bars without a range, one a sub-step."""
    stamps = FIRST_MS + step_ms * np.arange(len(walk), dtype=np.int64)
    return ArraySeries(stamps, walk, walk, walk, walk, np.zeros(len(walk), dtype=np.int64), scale=2, volume_scale=0)


def earned(step: int, columns: Any, options: Options, room: Room) -> tuple[Decimal, int, Decimal]:
    """Return net profit, fills and fees of W1's grid with another step."""
    bot, spec = spec_for({"levels": RANGE // step})
    made = run_grid(bot, spec, columns, options, Limits(), RICH, room)
    sums = sums_of(made)
    return sums.net, len(made.log), sums.fees


def main() -> None:
    """Measure and print."""
    kernel_native.prepare()
    walk = true_walk()
    bars = bars_of(walk)
    candles, points = columns_of(series(bars), "1m"), columns_of(points_of(walk), "1s")
    mean_range = float((bars[1] - bars[2]).mean()) / 100
    room = Room()
    print(f"net PnL of W1's grid, quote; mean bar range {mean_range:.1f}")
    print(
        f"{'step':>5} {'step/range':>10} {'fill':>6} {'late':>5} {'true':>12}"
        + "".join(f"{name:>12}" for name in PATHS)
        + f"{'fees':>12}"
    )
    rows: list[dict[str, Any]] = []
    for step in STEPS:
        for fill, latency_s in RULES:
            rules = Options(intrabar="ohlc", fill=fill, latency_s=latency_s, engine="kernel")
            truth, _, fees = earned(step, points, rules, room)
            found = {p: earned(step, candles, replace(rules, intrabar=p), room)[0] for p in PATHS}
            print(f"{step:>5} {step / mean_range:>10.1f} {fill:>6} {latency_s:>3.0f} s {truth:>12,.0f}"
                  + "".join(f"{found[name]:>12,.0f}" for name in PATHS) + f"{fees:>12,.0f}")  # fmt: skip
            rows.append(
                {
                    "step": step,
                    "fill": fill,
                    "latency_s": latency_s,
                    "true": str(truth),
                    **{p: str(v) for p, v in found.items()},
                }
            )
    print(json.dumps({"benchmark": "true_path", "mean_bar_range": round(mean_range, 2), "rows": rows}))


if __name__ == "__main__":
    main()
