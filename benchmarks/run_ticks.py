"""Times `gridkeeper run` over made-up candles: ticks a second with every commit durable, and memory over a long run.

One bot of 100 levels, one candle a tick. Prints a table and one JSON line.

    python benchmarks/run_ticks.py [--ticks 50000]
"""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.workloads import FIRST_MS, MINUTE_MS, brownian_bars
from tasks.opening import close_sessions, session_for
from tasks.ticking import tick

SAMPLES = 10
# By then DuckDB has written its first checkpoints and holds the buffers it keeps: the third of ten samples.
SETTLED = 2


def write_candles(path: Path, count: int) -> None:
    """Write a walk of `count` minutes as Parquet with exact prices."""
    bars = brownian_bars(count)
    stamps = FIRST_MS + MINUTE_MS * np.arange(count, dtype=np.int64)
    columns = {name: pa.array(row / 100.0) for name, row in zip(("open", "high", "low", "close"), bars, strict=True)}
    table = {
        "timestamp": pa.array(stamps, type=pa.timestamp("ms", "UTC")),
        **columns,
        "volume": pa.array(np.ones(count)),
    }
    pq.write_table(pa.table(table), path)


def write_portfolio(folder: Path, candles: Path) -> Path:
    """Write the portfolio: 100 levels around the walk's start."""
    file = folder / "portfolio.yaml"
    file.write_text(
        f"""\
id: bench
mode: paper
data_dir: {folder / "data"}
venues: [{{id: spot, exchange: binance, market: spot}}]
feed: {{kind: candles, paths: {{spot: {candles}}}, speed: candle}}
bots:
  - {{id: b1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 24000, end_price: 36000, levels: 100,
     total_amount_quote: 100000, initial_inventory: market}}
"""
    )
    return file


async def measure(file: Path, ticks: int) -> dict[str, float]:
    """Tick `ticks` times; returns rates and memory in MB at the first tenth, settled, and at the end."""
    session = await session_for(file)
    me = psutil.Process()
    fills = quiet = 0
    memory: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(ticks):
        done = await tick(session)
        fills += done.fills
        quiet += done.quiet
        if (number + 1) % max(ticks // SAMPLES, 1) == 0:
            memory.append(me.memory_info().rss / 1e6)
    elapsed, busy = time.perf_counter() - began, time.process_time() - cpu
    await close_sessions()
    return {
        "ticks": ticks, "ticks_per_s": ticks / elapsed, "cpu_ms_per_tick": busy / ticks * 1e3, "fills": fills,
        "quiet": quiet, "rss_tenth_mb": memory[0], "rss_settled_mb": memory[SETTLED], "rss_end_mb": memory[-1],
        "rss_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ticks", type=int, default=50_000)
    ticks = parser.parse_args().ticks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_candles(folder / "candles.parquet", ticks)
        figures = asyncio.run(measure(write_portfolio(folder, folder / "candles.parquet"), ticks))
        figures["store_mb"] = sum(p.stat().st_size for p in (folder / "data").glob("trading.duckdb*")) / 1e6
    for name, value in figures.items():
        print(f"{name:<18} {value:>12,.1f}")
    print(json.dumps({"benchmark": "run_ticks", **{k: round(v, 2) for k, v in figures.items()}}))


if __name__ == "__main__":
    main()
