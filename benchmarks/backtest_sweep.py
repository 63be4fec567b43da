"""Times a sweep of 10,000 configurations over W1: the whole command, from its start to its printed result.

Every configuration runs in and out of sample, with exact money, drawdown and daily ratios, and is kept in the market store.
Prints a table and one JSON line.

    python -m benchmarks.backtest_sweep
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.backtest_kernel import write_candles
from benchmarks.workloads import BARS_A_YEAR, brownian_bars, portfolio_yaml, series
from tasks import kernel_native

VARY = ("--vary", "levels=10:109:100", "--vary", "start_price=18000:24000:100")
CONFIGURATIONS = 10_000
BUDGET_S = 20.0


def main() -> None:
    """Measure and print."""
    kernel_native.prepare()
    with tempfile.TemporaryDirectory() as folder:
        file, portfolio = Path(folder) / "w1.parquet", Path(folder) / "w1.yaml"
        write_candles(series(brownian_bars(BARS_A_YEAR)), file)
        portfolio.write_text(portfolio_yaml())
        words = [
            sys.executable, "-m", "tasks.cli", "sweep", "--portfolio", str(portfolio), "--candles", str(file), *VARY,
            "--intrabar", "ohlc", "--fill", "touch", "--latency", "0", "--json",
        ]  # fmt: skip
        rows = []
        for name in ("all computed", "started again, all there"):
            began, before = time.perf_counter(), os.times()
            done = subprocess.run(words, capture_output=True, check=True)
            after = os.times()
            busy = after.children_user + after.children_system - before.children_user - before.children_system
            said = json.loads(done.stdout)["data"]
            rows.append((name, time.perf_counter() - began, busy, said))
    if said["trials"] != CONFIGURATIONS or rows[0][3]["winner"] != said["winner"]:
        raise ArithmeticError(f"the sweep is not what it must be: {said['trials']} configurations, {said['winner']}")
    print(f"{'sweep of 10,000 configurations over W1':<42} {'s':>8} {'CPU s':>8} {'ms each':>8}")
    for name, took, busy, _ in rows:
        print(f"{name:<42} {took:>8.2f} {busy:>8.2f} {took / CONFIGURATIONS * 1e3:>8.3f}")
    print(json.dumps({"benchmark": "backtest_sweep", "seconds": round(rows[0][1], 2), "again_s": round(rows[1][1], 2),
                      "cpu_s": round(rows[0][2], 2), "budget_s": BUDGET_S, "configurations": CONFIGURATIONS,
                      "deflated_sharpe": said["deflated_sharpe"]}))  # fmt: skip


if __name__ == "__main__":
    main()
