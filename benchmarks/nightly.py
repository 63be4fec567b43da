"""A whole night over a file of candles: how long each step takes, how much memory the process has at most, and the CPU
time, which is what compares on a machine that has other work.

    .venv/bin/python benchmarks/nightly.py --candles PATH [--days N]

Prints a table and one JSON line. Everything happens in a temporary folder; the process asks nothing of the network.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

PORTFOLIO = """
id: night
mode: paper
data_dir: data
venues:
  - id: spot
    exchange: binance
    instruments: {{BTC/USDT: {{tick_size: 0.01, lot_step: 0.00001, min_notional: 5, maker: 0.001, taker: 0.001}}}}
feed: {{kind: candles, paths: {{spot: {candles}}}}}
bots:
  - {{id: wide, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 15000, end_price: 65000, levels: 50,
     total_amount_quote: 10000, initial_inventory: market}}
  - {{id: fine, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 20000, end_price: 50000, levels: 200,
     total_amount_quote: 20000, initial_inventory: resting}}
"""


def main() -> int:
    """Run one night and print what it cost."""
    parser = argparse.ArgumentParser(description="Time a whole night.")
    parser.add_argument("--candles", type=Path, required=True, help="a candle file of BTC/USDT")
    parser.add_argument("--days", type=int, default=1_100, help="how far the backtests go back")
    given = parser.parse_args()
    if not given.candles.is_file():
        print(f"no file {given.candles}")
        return 2
    from tasks import nightly
    from tasks.candles_read import read_candles

    series, report = read_candles(given.candles)
    end = report.last + timedelta(hours=1)
    bars = len(series)
    del series
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "night.yaml"
        file.write_text(PORTFOLIO.format(candles=json.dumps(str(given.candles.resolve()))), encoding="utf-8")
        began = time.perf_counter()
        night = nightly.begin(file, days=given.days, now=end)
        bad = nightly.run(
            night, lambda step, did: print(f"{step.name}: {did.status}, {did.says[:100]}", file=sys.stderr)
        )
        elapsed_s = time.perf_counter() - began
        rows = night.record.table()
    cpu_s = sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{bars:,} candles of {report.timeframe}, backtests over {given.days} days")
    for row in rows:
        print(f"{row['step']:<16} {row['status']:<8} {row['seconds']:>8.1f} s")
    print(f"{'all':<16} {'':<8} {elapsed_s:>8.1f} s, {cpu_s:.1f} CPU-s, at most {peak_mb:,.0f} MB")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    steps = {row["step"]: row["seconds"] for row in rows}
    print(
        json.dumps(
            {
                "benchmark": "nightly",
                "bars": bars,
                "elapsed_s": round(elapsed_s, 1),
                "cpu_s": round(cpu_s, 1),
                "load": round(os.getloadavg()[0], 1),
                "peak_mb": round(peak_mb),
                "steps_s": steps,
            }
        )
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
