"""A bot at night: a backtest over the last days of its stored candles, in files and figures, with the core."""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.market import TIMEFRAME_S
from tasks.market_store import open_market
from tasks.nightly_steps import DONE, Did
from tasks.quality import SeriesKey

# The finest first: what happens inside a bar is a guess.
TIMEFRAMES = sorted(TIMEFRAME_S, key=lambda name: TIMEFRAME_S[name])
KEPT = (
    "net_pnl",
    "fills",
    "round_trips",
    "max_drawdown",
    "bars",
    "fees",
    "funding",
    "symbol",
    "timeframe",
    "elapsed_s",
)


def backtest_bot(file: Path, data_dir: Path, bot: Any, keys: Sequence[SeriesKey], days: int, night: str) -> Did:
    """Backtest one bot of a portfolio file over the last `days` of these series, files below `nightly/NIGHT/BOT`.

    Raises `Refused` where the candles do not suit the bot.
    """
    from tasks.backtest_files import write_files
    from tasks.backtesting import Options, Run, backtest

    out = data_dir / "nightly" / night / bot.id
    out.mkdir(parents=True, exist_ok=True)
    paths = [_export(data_dir, key, days, out) for key in keys]
    words = [str(paths[0])] if len(paths) == 1 else [f"{k.venue}={path}" for k, path in zip(keys, paths, strict=True)]
    try:
        made = backtest(file, bot.id, words, Options())
        files = write_files(made, out) if isinstance(made, Run) else []
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
    figures = made.figures
    data = {name: figures[name] for name in KEPT if name in figures}
    data |= {"files": [str(path) for path in files], "warnings": list(made.remarks)}
    trips = f"{figures['round_trips']} round trips"
    return Did(DONE, f"net PnL {figures['net_pnl']} after {figures['fills']} fills, {trips}; files in {out}", data)


def _export(data_dir: Path, key: SeriesKey, days: int, out: Path) -> Path:
    # The backtest reads files; the stored series goes there exactly, as decimals.
    path = out / (re.sub(r"[^A-Za-z0-9]+", "-", str(key)) + ".candles.parquet")
    where = [key.venue, key.symbol, key.timeframe]
    with open_market(data_dir) as con:
        last = con.execute(
            "SELECT max(ts) FROM ohlcv WHERE venue = ? AND symbol = ? AND timeframe = ?", where
        ).fetchone() or (None,)
        found = con.execute(
            "SELECT ts, open, high, low, close, volume FROM ohlcv "
            "WHERE venue = ? AND symbol = ? AND timeframe = ? AND ts > ? ORDER BY ts",
            [*where, last[0] - timedelta(days=days)],
        )
        reader = found.to_arrow_reader(100_000)
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
    return path
