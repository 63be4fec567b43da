"""Says what each path and fill rule earns where nothing can be earned, and what a sweep's winner earns afterwards.

On a walk without drift and without fees a bot earns nothing in expectation. What a backtest shows beside that is its bias,
here in shares of the fees that the same fills pay at 2 bp; under the default rules 10 % is the bound (RULES 18d). Move, and
squared move less the sum of squared steps, are fair games themselves: taken out by regression, they change no expectation
and make the error small. The walk has steps of one unit, so that the true path passes through every price: a coarser one
would jump over the lines, and orders would lose what it jumps. Prints two tables and one JSON line.

    python -m benchmarks.martingale
"""

import json
from typing import Any

import numpy as np

from benchmarks.backtest_kernel import RICH, spec_for
from benchmarks.true_path import bars_of, points_of, true_walk
from benchmarks.workloads import BARS_A_YEAR, START, brownian_bars, series
from core.engine import Limits
from tasks import kernel_native
from tasks.backtesting import Options
from tasks.kernel_run import Room, run_grid, sums_of
from tasks.kernel_tables import columns_of

WALKS, BARS = 200, 1_000
# 600 steps of one unit make a bar about as wide as W1's.
UNITS, UNIT, SECOND_MS = 600, 100, 1_000
SERIES, SERIES_BARS = 200, 5_000
STEPS = (30, 60, 105, 210)
RULES = (
    ("true path", "ohlc", "touch", 0.0), ("adaptive", "adaptive", "touch", 0.0), ("adaptive", "adaptive", "cross", 0.0),
    ("adaptive", "adaptive", "cross", 6.0), ("ohlc", "ohlc", "touch", 0.0), ("olhc", "olhc", "touch", 0.0),
    ("worst", "worst", "cross", 6.0),
)  # fmt: skip
IN_SAMPLE = 0.7
BLOCK = 240


def unit_walk(seed: int) -> np.ndarray:
    """Return a fair walk in cents, one unit up or down a step."""
    steps = np.random.default_rng(seed).integers(0, 2, BARS * UNITS, dtype=np.int64) * 2 - 1
    return np.concatenate(([0], np.cumsum(steps))) * UNIT + int(START) * 100


def played(job: Any, columns: Any, options: Options, room: Room) -> tuple[float, float]:
    """Return profit before fees, and the fees."""
    made = run_grid(*job, columns, options, Limits(), RICH, room)
    sums = sums_of(made)
    return float(sums.net + sums.fees), float(sums.fees)


def fair(profits: np.ndarray, walks: list[np.ndarray]) -> tuple[float, float]:
    """Return the mean of profits and its standard error, with what the walks' own luck explains taken out."""
    moves = np.array([(walk[-1] - walk[0]) / 100 for walk in walks])
    squares = np.array([float((np.diff(walk) ** 2).sum()) / 10_000 for walk in walks])
    luck = np.column_stack((np.ones(len(walks)), moves, moves**2 - squares))
    fit, *_ = np.linalg.lstsq(luck, profits, rcond=None)
    return float(fit[0]), float(np.std(profits - luck @ fit, ddof=3)) / np.sqrt(len(walks))


def biases(walks: list[np.ndarray], room: Room) -> list[dict[str, Any]]:
    """Measure every rule at every step."""
    bars = [columns_of(series(bars_of(walk, UNITS)), "1m") for walk in walks]
    points = [columns_of(points_of(walk, SECOND_MS), "1s") for walk in walks]
    rows: list[dict[str, Any]] = []
    for step in STEPS:
        job = spec_for({"levels": 21_000 // step})
        for name, path, fill, latency_s in RULES:
            options = Options(intrabar=path, fill=fill, latency_s=latency_s, engine="kernel")
            found = [played(job, c, options, room) for c in (points if name == "true path" else bars)]
            mean, error = fair(np.array([profit for profit, _ in found]), walks)
            fees = float(np.mean([paid for _, paid in found]))
            rows.append({"step": step, "path": name, "fill": fill, "latency_s": latency_s, "bias": mean / fees,
                         "error": error / fees})  # fmt: skip
    return rows


def shuffled(bars: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put blocks of bars in another order, each half the time mirrored: the texture stays, the direction goes."""
    shape = np.log(bars / bars[0, 0])
    blocks = [shape[:, i : i + BLOCK] for i in range(0, bars.shape[1] - BLOCK + 1, BLOCK)]
    level, parts = 0.0, []
    for i in rng.permutation(len(blocks)):
        block = blocks[i] - blocks[i][0, 0]
        if rng.random() < 0.5:
            block = -block[[0, 2, 1, 3]]
        parts.append(level + block)
        level += float(block[3, -1])
    return np.rint(np.exp(np.concatenate(parts, axis=1)) * bars[0, 0]).astype(np.int64)


def winners(room: Room) -> list[dict[str, Any]]:
    """Sweep each of 200 series in sample, and return the mean of what the winners earned out of sample."""
    jobs = [
        spec_for({"start_price": str(start), "end_price": str(end), "levels": levels})
        for start in (24_000, 27_000, 28_500) for end in (31_500, 33_000, 36_000) for levels in (20, 40)
    ]  # fmt: skip
    options = Options(engine="kernel")
    real = brownian_bars(BARS_A_YEAR)
    rng = np.random.default_rng(7)
    rows: list[dict[str, Any]] = []
    for name in ("driftless", "block-shuffled"):
        outside: list[float] = []
        paid: list[float] = []
        closes: list[np.ndarray] = []
        for seed in range(SERIES):
            bars = (
                bars_of(true_walk(SERIES_BARS, 1_000 + seed))
                if name == "driftless"
                else shuffled(_cut(real, seed), rng)
            )
            cut = int(bars.shape[1] * IN_SAMPLE)
            one, two = (columns_of(series(part), "1m") for part in (bars[:, :cut], bars[:, cut:]))
            scores = [profit - fees for profit, fees in (played(job, one, options, room) for job in jobs)]
            profit, fees = played(jobs[int(np.argmax(scores))], two, options, room)
            outside.append(profit - fees)
            paid.append(fees)
            closes.append(np.concatenate((bars[0, cut : cut + 1], bars[3, cut:])))
        mean, error = fair(np.array(outside), closes)
        rows.append({"series": name, "count": SERIES, "mean_out_of_sample": mean, "error": error,
                     "plain_mean": float(np.mean(outside)), "fees": float(np.mean(paid))})  # fmt: skip
    return rows


def _cut(bars: np.ndarray, seed: int) -> np.ndarray:
    first = seed * (bars.shape[1] - SERIES_BARS) // SERIES
    part = bars[:, first : first + SERIES_BARS]
    return np.rint(part * (3_000_000 / part[0, 0])).astype(np.int64)


def main() -> None:
    """Measure and print."""
    kernel_native.prepare()
    room = Room()
    walks = [unit_walk(seed) for seed in range(WALKS)]
    rows = biases(walks, room)
    print(f"bias in shares of the fees at 2 bp, {WALKS} walks of {BARS:,} bars of {UNITS} steps")
    print(f"{'step':>5} {'path':>10} {'fill':>6} {'late':>5} {'bias':>8} {'error':>7}")
    for row in rows:
        print(f"{row['step']:>5} {row['path']:>10} {row['fill']:>6} {row['latency_s']:>3.0f} s {row['bias']:>+8.1%} "
              f"{row['error']:>7.1%}")  # fmt: skip
    best = winners(room)
    for row in best:
        print(f"winner of a sweep, {row['series']}: mean {row['mean_out_of_sample']:+,.1f} out of sample "
              f"(error {row['error']:,.1f}; without regression {row['plain_mean']:+,.1f}), fees {row['fees']:,.1f}")  # fmt: skip
    print(json.dumps({"benchmark": "martingale", "biases": rows, "winners": best}))


if __name__ == "__main__":
    main()
