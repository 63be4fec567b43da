"""A bot at night: a backtest over the last days of its stored candles, in figures and, where it fits, in files.

The kernel gives the figures first, where it can run the bot. The report needs the core's journal, which takes about
60 kB of memory a fill: a run with very many fills keeps to the figures.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.market import TIMEFRAME_S
from tasks.backtest_store import keep_backtest
from tasks.candles_store import load_candles
from tasks.errors import Refused
from tasks.market_store import open_market
from tasks.nightly_steps import DONE, Did
from tasks.quality import SeriesKey
from tasks.quality_rules import PRICES

# The finest first: what happens inside a bar is a guess.
TIMEFRAMES = sorted(TIMEFRAME_S, key=lambda name: TIMEFRAME_S[name])
FILLS_MAX = 10_000
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


def backtest_bot(
    file: Path, data_dir: Path, bot: Any, keys: Sequence[SeriesKey], days: int, night: str, portfolio_id: str
) -> Did:
    """Backtest one bot of a portfolio file over the last `days` of these series, files below `nightly/NIGHT/BOT`.

    Funding that the store has of its swaps is paid. The run is kept in `backtests`. Raises `Refused` where the candles do
    not suit the bot.
    """
    out = data_dir / "nightly" / night / bot.id
    out.mkdir(parents=True, exist_ok=True)
    paths = [_export(data_dir, key, days, out) for key in keys]
    funding = {key: path for key in keys if (path := _export_funding(data_dir, key, out)) is not None}
    words = (
        [str(paths[0])]
        if len(paths) == 1
        else [f"{k.venue}:{k.symbol}={path}" for k, path in zip(keys, paths, strict=True)]
    )
    paid = [f"{key.venue}:{key.symbol}={path}" for key, path in funding.items()]
    try:
        made, files = _run(file, bot.id, words, paid, out)
    finally:
        for path in (*paths, *funding.values()):
            path.unlink(missing_ok=True)
    figures = made.figures
    data = {name: figures[name] for name in KEPT if name in figures}
    run_id, why_not = keep_backtest(made, data_dir, portfolio_id) if figures["fills"] <= FILLS_MAX else (None, None)
    remarks = [*made.remarks, *([why_not] if why_not else [])]
    data |= {"files": [str(path) for path in files], "warnings": remarks, "run_id": run_id}
    trips = f"{figures['round_trips']} round trips"
    where = f"files in {out}" if files else f"no files: more than {FILLS_MAX:,} fills"
    return Did(DONE, f"net PnL {figures['net_pnl']} after {figures['fills']} fills, {trips}; {where}", data)


def _run(file: Path, bot_id: str, words: list[str], funding: list[str], out: Path) -> tuple[Any, list[Path]]:
    from tasks.backtest_files import write_files
    from tasks.backtesting import Options, Run, backtest

    try:
        made = backtest(file, bot_id, words, Options(engine="kernel"), funding=funding)
    except Refused:
        # What only the core can run; a portfolio that is refused is refused there as well.
        pass
    else:
        if made.figures["fills"] > FILLS_MAX:
            return made, []
    made = backtest(file, bot_id, words, Options(), funding=funding)
    return made, write_files(made, out) if isinstance(made, Run) else []


def _export_funding(data_dir: Path, key: SeriesKey, out: Path) -> Path | None:
    with open_market(data_dir) as con:
        found = con.execute(
            "SELECT ts, rate AS funding_rate FROM funding_rates WHERE venue = ? AND symbol = ? ORDER BY ts",
            [key.venue, key.symbol],
        ).to_arrow_table()
    if found.num_rows == 0:
        return None
    path = out / (re.sub(r"[^A-Za-z0-9]+", "-", str(key)) + ".funding.parquet")
    pq.write_table(found, path)
    return path


def _export(data_dir: Path, key: SeriesKey, days: int, out: Path) -> Path:
    # The backtest reads files; the stored series goes there exactly, as decimals.
    path = out / (re.sub(r"[^A-Za-z0-9]+", "-", str(key)) + ".candles.parquet")
    where = [key.venue, key.symbol, key.timeframe]
    with open_market(data_dir) as con:
        last = con.execute(
            "SELECT max(ts) FROM ohlcv WHERE venue = ? AND symbol = ? AND timeframe = ?", where
        ).fetchone() or (None,)
        first = last[0] - timedelta(days=days)
        series = load_candles(con, venue=key.venue, symbol=key.symbol, timeframe=key.timeframe, from_=first)
        # As fine as the numbers are, not as the columns could be: the kernel counts in whole units of 64 bits.
        prices = ", ".join(f"CAST({name} AS DECIMAL(28, {series.scale})) AS {name}" for name in PRICES)
        volume = f"CAST(volume AS DECIMAL(28, {series.volume_scale})) AS volume"
        found = con.execute(
            f"SELECT ts, {prices}, {volume} FROM ohlcv "  # noqa: S608  names and numbers of our own
            "WHERE venue = ? AND symbol = ? AND timeframe = ? AND ts >= ? ORDER BY ts",
            [*where, first],
        )
        reader = found.to_arrow_reader(100_000)
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
    return path
