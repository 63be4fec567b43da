"""Holds this project's engines against others on the same bars in one run, and prints what each took as a ratio.

W1 is a year of minutes and one grid, W2 ten times the bars, W3 a hundred grids over the bars of W1; see
`benchmarks.workloads`. Times are CPU seconds, so that ratios hold on a busy machine. Every engine must find the fills and the
profit that the kernel finds, else the run is an error. Others live in an interpreter of their own (`--python`), for their
dependencies are not this project's; one that is not installed there is named and left out. Prints a table and one JSON line
with the machine's load.

    python -m benchmarks.backtest_compare --python /path/to/venv/bin/python [--workloads W1 W2 W3] [--core]
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.backtest_kernel import OPTIONS, spec_for, sweep, time_core, w3_jobs
from benchmarks.workloads import BARS_A_YEAR, brownian_bars, series
from core.engine import BotSpec
from core.machines.grid.config import GridConfig
from tasks import kernel_native
from tasks.kernel_tables import columns_of

OTHERS = {name: Path(__file__).with_name(f"compare_{name}.py") for name in ("vectorbt", "hftbacktest")}
# Others compute in floats: their profit may differ in the last digits.
PROFIT_TOLERANCE = 1e-6

Jobs = list[tuple[GridConfig, BotSpec]]


def bars_of(name: str) -> np.ndarray:
    """Return the bars of a workload, in cents."""
    return brownian_bars(10 * BARS_A_YEAR, reflect=True) if name == "W2" else brownian_bars(BARS_A_YEAR)


def jobs_of(name: str) -> Jobs:
    """Return the grids of a workload; of W3 those whose lines lie evenly in whole cents, the same for all engines."""
    return [job for job in w3_jobs() if _even(job)] if name == "W3" else [spec_for({})]


def _even(job: tuple[GridConfig, BotSpec]) -> bool:
    lines = [line.entry_price for line in job[1].plan.lines]
    return len({b - a for a, b in itertools.pairwise(lines)}) <= 1


def cents_of(job: tuple[GridConfig, BotSpec]) -> tuple[int, int, int]:
    """Return a grid as first line and step in cents, and the number of its cells."""
    lines = job[1].plan.lines
    return int(lines[0].entry_price * 100), int((lines[0].exit_price - lines[0].entry_price) * 100), len(lines)


def cpu_of(work: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Return the least CPU time of some runs in seconds, and the last result."""
    times, result = [], None
    for _ in range(runs):
        began = time.process_time()
        result = work()
        times.append(time.process_time() - began)
    return min(times), result


def run_other(python: str, script: Path, bars: Path, jobs: Jobs) -> dict[str, Any] | str:
    """Run another engine's script; returns what it printed, or why there is nothing."""
    words = [python, str(script), str(bars), json.dumps([cents_of(job) for job in jobs])]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit code {done.returncode}"
    return f"not installed ({last})" if "ModuleNotFoundError" in last else last


def compare(name: str, python: str, *, core: bool) -> dict[str, Any]:
    """Measure one workload with every engine; raises `ArithmeticError` where two engines disagree."""
    raw, jobs = bars_of(name), jobs_of(name)
    candles = series(raw)
    columns = columns_of(candles, "1m")
    took, found = cpu_of(lambda: sweep(jobs, columns, OPTIONS), 5)
    row: dict[str, Any] = {"workload": name, "grids": len(jobs), "fills": sum(one[0] for one in found), "kernel": took}
    if core and name == "W1":
        row["core"], _ = cpu_of(lambda: time_core(candles), 1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bars.npy"
        np.save(file, raw)
        for other, script in OTHERS.items():
            told = run_other(python, script, file, jobs)
            if isinstance(told, str):
                row[other] = told
                continue
            for (fills, profit, _), (count, _, theirs) in zip(found, told["found"], strict=True):
                if fills != count or abs(float(profit) - theirs) > PROFIT_TOLERANCE * max(abs(theirs), 1):
                    raise ArithmeticError(
                        f"{name}: {other} has {count} fills and {theirs}, the kernel {fills} and {profit}"
                    )
            row[other], row[f"{other}_version"] = told["seconds"], told["version"]
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the other engines")
    parser.add_argument("--workloads", nargs="*", default=["W1", "W2", "W3"], choices=["W1", "W2", "W3"])
    parser.add_argument("--core", action="store_true", help="time the core engine on W1 as well")
    args = parser.parse_args()
    kernel_native.prepare()
    print(f"{'workload':<9} {'grids':>5} {'fills':>9} {'engine':<12} {'seconds':>10} {'times the kernel':>17}")
    rows: list[dict[str, Any]] = []
    for name in args.workloads:
        rows.append(row := compare(name, args.python, core=args.core))
        for engine in ("kernel", "core", *OTHERS):
            value = row.get(engine)
            if isinstance(value, float):
                said = f"{value:>10.4f} {value / row['kernel']:>17,.0f}"
            elif value is None:
                continue
            else:
                said = f"  {value}"
            print(f"{row['workload']:<9} {row['grids']:>5} {row['fills']:>9,} {engine:<12} {said}", flush=True)
    print(
        json.dumps({"benchmark": "backtest_compare", "rows": rows, "load": [round(one, 1) for one in os.getloadavg()]})
    )


if __name__ == "__main__":
    main()
