"""Times the compiled kernel on W1, W2 and W3 against the core engine, and a whole command.

Every kernel time includes what a sweep needs of a run: fills, money, drawdown at bar closes. The command is timed from the
start of its process to its printed result, with the machine code in the cache. Prints a table and one JSON line.

    python -m benchmarks.backtest_kernel
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.workloads import BARS_A_YEAR, START, brownian_bars, portfolio_yaml, series
from core.engine import BotSpec, Limits
from core.kernel import ArraySeries
from core.machines.grid.config import GridConfig
from tasks import kernel_native
from tasks.assemble import instruments_of, spec_of
from tasks.backtesting import Options, run_spec
from tasks.kernel_run import Room, drawdown_of, run_grid, sums_of
from tasks.kernel_tables import Columns, columns_of
from tasks.settings import check
from tasks.yaml_strict import load

W1_FILLS, W1_PNL = 5_421, Decimal("21114.1592")
RUNS = 7
OPTIONS = Options(intrabar="ohlc", fill="touch", latency_s=0, engine="kernel")
HONEST = Options(engine="kernel")
RICH = Decimal(10**9)
# In a small process of its own: what a child of this one had at most is told as no less than what this one has.
MEMORY_OF = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
ROOM = Room()


def spec_for(config: dict[str, Any]) -> tuple[GridConfig, BotSpec]:
    """Return W1's bot with some fields changed, made ready."""
    raw = load(portfolio_yaml(), "w1")
    raw["bots"][0] |= config
    portfolio = check(raw, {})
    bot = portfolio.bots[0]
    return bot, spec_of(bot, instruments_of(portfolio, {}, {}), "w1w1", key="bots[0]")


def sweep(
    jobs: list[tuple[GridConfig, BotSpec]], columns: Columns, options: Options
) -> list[tuple[int, Decimal, float]]:
    """Run every job; returns fills, net profit and drawdown of each."""
    found, room = [], ROOM
    for bot, spec in jobs:
        made = run_grid(bot, spec, columns, options, Limits(), RICH, room)
        found.append((len(made.log), sums_of(made).net, drawdown_of(made)[0]))
    return found


def best(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """Return the best time of some runs in seconds, and the last result."""
    times, result = [], None
    for _ in range(runs):
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
    return min(times), result


def w3_jobs() -> list[tuple[GridConfig, BotSpec]]:
    """Return W3: ten ranges times ten numbers of cells."""
    return [
        spec_for({
            "start_price": str(round((0.70 + 0.01 * a) * START)), "end_price": str(round((1.40 - 0.02 * a) * START)),
            "levels": cells,
        })
        for a in range(10) for cells in range(20, 201, 20)
    ]  # fmt: skip


def write_candles(candles: ArraySeries, file: Path) -> None:
    """Write candles as exchange dumps come: floats, with a timestamp."""
    names = ("open", "high", "low", "close")
    columns = {name: np.asarray(getattr(candles, name)) / 10.0**candles.scale for name in names}
    stamps = pa.array(np.asarray(candles.ts)).cast(pa.timestamp("ms"))
    pq.write_table(pa.table({"ts": stamps, **columns, "volume": np.zeros(len(candles))}), file)


def time_command(candles: ArraySeries, net: Decimal) -> tuple[float, float]:
    """Run `gridkeeper backtest --engine kernel` on W1's grid over candles from a Parquet file.

    Returns the best time in seconds, process start included, and the most memory that it had, in MB; `net` is the profit that
    it must print.
    """
    with tempfile.TemporaryDirectory() as folder:
        file, portfolio = Path(folder) / "w1.parquet", Path(folder) / "w1.yaml"
        write_candles(candles, file)
        portfolio.write_text(portfolio_yaml())
        words = [
            sys.executable, "-m", "tasks.cli", "backtest", "--portfolio", str(portfolio), "--candles", str(file),
            "--intrabar", "ohlc", "--fill", "touch", "--latency", "0", "--engine", "kernel", "--json",
        ]  # fmt: skip
        took, done = best(lambda: subprocess.run(words, capture_output=True, check=True), 5)
        if Decimal(json.loads(done.stdout)["net_pnl"]) != net:
            raise ArithmeticError("the command gave another result")
        most = subprocess.run([sys.executable, "-c", MEMORY_OF, *words], capture_output=True, check=True)
    return took, float(most.stdout) / 1e6


def time_core(candles: ArraySeries) -> float:
    """Return the core engine's time on W1 in seconds, with full ledger and journal."""
    portfolio = check(load(portfolio_yaml(), "w1"), {})
    bot, spec = spec_for({})
    made = run_spec(portfolio, bot, spec, [candles], "1m", Options(intrabar="ohlc", fill="touch", latency_s=0))
    if Decimal(made.figures["net_pnl"]) != W1_PNL:
        raise ArithmeticError("the core gave another result")
    return float(made.figures["elapsed_s"])


def main() -> None:
    """Measure and print."""
    kernel_native.prepare()
    candles = series(brownian_bars(BARS_A_YEAR))
    prepare_s, columns = best(lambda: columns_of(candles, "1m"))
    one = [spec_for({})]
    w1_s, found = best(lambda: sweep(one, columns, OPTIONS))
    if found[0][:2] != (W1_FILLS, W1_PNL):
        raise ArithmeticError(f"W1 is not what it must be: {found[0]}")
    honest_s, honest = best(lambda: sweep(one, columns, HONEST))
    jobs = w3_jobs()
    w3_s, many = best(lambda: sweep(jobs, columns, OPTIONS), 3)
    ten_years = series(brownian_bars(10 * BARS_A_YEAR, reflect=True))
    long = columns_of(ten_years, "1m")
    w2_s, longest = best(lambda: sweep(one, long, OPTIONS))
    core_s = time_core(candles)
    (w1_command_s, w1_mb), (w2_command_s, w2_mb) = time_command(candles, W1_PNL), time_command(ten_years, longest[0][1])
    rows = [
        ("W1, touch, no latency", BARS_A_YEAR, found[0][0], w1_s),
        ("W1, cross, 6 s latency", BARS_A_YEAR, honest[0][0], honest_s),
        ("W2: ten times the bars", 10 * BARS_A_YEAR, longest[0][0], w2_s),
        ("W3: 100 configurations", 100 * BARS_A_YEAR, sum(one[0] for one in many), w3_s),
        ("candles made ready, once", BARS_A_YEAR, 0, prepare_s),
        ("core engine, W1", BARS_A_YEAR, W1_FILLS, core_s),
        ("whole command, W1", BARS_A_YEAR, W1_FILLS, w1_command_s),
        ("whole command, W2", 10 * BARS_A_YEAR, longest[0][0], w2_command_s),
    ]
    print(f"{'workload':<28} {'bars':>12} {'fills':>9} {'ms':>10} {'times W1':>9}")
    for name, bars, fills, took in rows:
        print(f"{name:<28} {bars:>12,} {fills or '-':>9} {took * 1e3:>10.3f} {took / w1_s:>9.1f}")
    print(f"memory of the whole command at most: W1 {w1_mb:.0f} MB, W2 {w2_mb:.0f} MB")
    print(json.dumps({"benchmark": "backtest_kernel", **{name: round(took, 6) for name, _, _, took in rows},
                      "core_over_kernel": round(core_s / w1_s, 1), "w1_mb": round(w1_mb), "w2_mb": round(w2_mb)}))  # fmt: skip


if __name__ == "__main__":
    main()
