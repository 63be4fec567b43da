"""Backtests of the ATR grid on recorded candles: with its hedge, without it, and buy-and-hold; the tables of its results.

    python -m benchmarks.atr_grid nine-years
    python -m benchmarks.atr_grid may-2025
    python -m benchmarks.atr_grid crashes
    python -m benchmarks.atr_grid speed
    python -m benchmarks.atr_grid kernel

Where no futures prices were recorded, spot's stand in: those rows are synthetic. `basis -3 %` lets the futures trade below
spot in a fall: by as much of 3 % as the price has lost of its highest of the last day, the deepest such loss being all of it.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from core.kernel import ArraySeries
from core.market import Market
from core.portfolio import Portfolio
from tasks import kernel_native
from tasks.assemble import instruments_of, limits_of, opening_of, paper_token, spec_of
from tasks.backtest_figures import curve_of
from tasks.backtesting import Options, Run, run_spec
from tasks.candles_funding import read_funding, with_intervals
from tasks.candles_read import read_candles
from tasks.kernel_atr import units_of
from tasks.kernel_atr_run import AtrRun, run_atr
from tasks.kernel_funding import dues_of
from tasks.kernel_kinds import openings_beside
from tasks.kernel_run import sums_of
from tasks.kernel_tables import columns_of
from tasks.settings import check

DATA = Path(__file__).parents[2] / "shared" / "data"
SPOT, PERP = ("spot", "BTC/USDT"), ("perp", "BTC/USDT:USDT")
CAPITAL = 10_000
DAY_MS = 86_400_000

Rows = Sequence[tuple[int, Decimal, float]]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; fractions of the capital, quote for fees."""

    name: str
    bars: int
    net: float
    drawdown: float
    trades: int
    fees: float
    funding: float
    seconds: float

    def shown(self) -> str:
        """The line in Markdown."""
        return (
            f"| {self.name} | {100 * self.net:+.1f} % | {100 * self.drawdown:.1f} % | {self.trades:,} "
            f"| {self.fees:,.0f} | {self.funding:+,.1f} | {self.seconds:.1f} |"
        )


HEADER = "| | net result | deepest fall | executions | fees USDT | funding USDT | CPU seconds |\n|---|---|---|---|---|---|---|"


def candles(name: str, begin: str | None = None, end: str | None = None) -> tuple[ArraySeries, str]:
    """Read a recorded file, or a part of it."""
    at = [datetime.fromisoformat(one) if one else None for one in (begin, end)]
    series, report = read_candles(DATA / "ohlcv" / f"{name}.parquet", from_=at[0], to=at[1])
    return series, report.timeframe


def funding(name: str) -> Rows:
    """Read recorded funding rates."""
    return with_intervals(read_funding(DATA / "funding" / f"{name}.parquet"))


def portfolio(**changes: Any) -> Portfolio:
    """Ten levels and 10,000 USDT, else all defaults."""
    bot = {
        "id": "atr", "kind": "atr_grid", "venue": "spot", "symbol": "BTC/USDT", "futures_venue": "perp",
        "futures_symbol": "BTC/USDT:USDT", "initial_capital": CAPITAL, "levels": 10,
    }  # fmt: skip
    venues = [
        {"id": "spot", "exchange": "binance", "market": "spot"},
        {"id": "perp", "exchange": "binanceusdm", "market": "swap"},
    ]
    return check({"id": "atr", "mode": "backtest", "venues": venues, "bots": [bot | changes]}, {})


def play(series: Sequence[ArraySeries], timeframe: str, rates: Mapping[Market, Rows], **changes: Any) -> Run:
    """Run one configuration."""
    made = portfolio(**changes)
    bot = made.bots[0]
    spec = spec_of(bot, instruments_of(made, {}, {}), paper_token(made.id), key="bots[0]")
    return run_spec(made, bot, spec, series[: len(bot.markets())], timeframe, Options(), rates)


def row(name: str, run: Run, began: float) -> Row:
    """Count one run."""
    equity = np.asarray(curve_of(run).equity, dtype=float)
    figures = run.figures
    return Row(
        name, figures["bars"], float(figures["net_pnl"]) / CAPITAL, deepest(equity), figures["fills"],
        float(figures["fees"]), float(figures["funding"]), time.process_time() - began,
    )  # fmt: skip


def deepest(equity: np.ndarray) -> float:
    """The deepest fall from a peak, as a fraction of it, at bar closes."""
    peaks = np.maximum.accumulate(equity)
    return float(((peaks - equity) / peaks).max())


def hold(name: str, series: ArraySeries, share: float) -> Row:
    """Spend a share of the capital at the first open, a tenth of a percent to fees, and keep the rest as it is."""
    closes = series.close / 10.0**series.scale
    first = float(series.bar(0).open)
    spent = CAPITAL * share
    coins = spent * 0.999 / first
    equity = CAPITAL - spent + coins * closes
    return Row(name, len(series), equity[-1] / CAPITAL - 1, deepest(equity), 1, spent * 0.001, 0.0, 0.0)


def discounted(series: ArraySeries, shock: float) -> ArraySeries:
    """Futures below spot in a fall: see the head of this file."""
    if shock == 0:
        return series
    back = np.searchsorted(series.ts, series.ts - DAY_MS)
    highs = np.array([series.high[a : b + 1].max() for b, a in enumerate(back)])
    fall = 1.0 - series.close / highs
    factor = 1.0 - shock * np.clip(fall / fall.max(), 0.0, 1.0)
    tick = 10 ** (series.scale - 1)  # the futures' tick is 0.1
    columns = [
        (np.round(one * factor / tick) * tick).astype(np.int64)
        for one in (series.open, series.high, series.low, series.close)
    ]
    open_, high, low, close = columns
    high = np.maximum.reduce([open_, high, low, close])
    low = np.minimum.reduce([open_, high, low, close])
    return ArraySeries(
        series.ts, open_, high, low, close, series.volume, scale=series.scale, volume_scale=series.volume_scale
    )


def compare(
    spot: ArraySeries, perp: ArraySeries, timeframe: str, rates: Rows, shocks: Sequence[float]
) -> Iterator[Row]:
    """With and without the hedge, and held."""
    for shock in shocks:
        began = time.process_time()
        name = "ATR grid with hedge" + (f", basis -{100 * shock:.0f} %" if shock else "")
        yield row(name, play([spot, discounted(perp, shock)], timeframe, {PERP: rates}), began)
    began = time.process_time()
    yield row("the same without hedge", play([spot], timeframe, {}, hedge={"enabled": False}), began)
    yield hold("buy and hold, all of it", spot, 1.0)
    yield hold("buy and hold, the grid's 40 %", spot, 0.4)


def nine_years() -> None:
    """Hourly candles from 2017 to 2026; futures are spot's own prices."""
    spot, timeframe = candles("binance-BTCUSDT-1h-20170817-20260716")
    show(
        "BTC hourly, 2017-08-17 to 2026-07-16 (futures synthetic: spot's prices, no funding)",
        compare(spot, spot, timeframe, (), (0.0,)),
    )


def may_2025() -> None:
    """Minutes of spot and of the perpetual, with its funding."""
    spot, timeframe = candles("binance-BTCUSDT-1m-20250504-20250603")
    perp, _ = candles("binanceusdm-BTCUSDT-1m-20250504-20250603")
    rates = funding("binanceusdm-BTCUSDT-funding-20250306-20250603")
    show(
        "BTC minutes, 2025-05-04 to 2025-06-03 (both markets' own prices)",
        compare(spot, perp, timeframe, rates, (0.0,)),
    )


CRASHES = (
    ("March 2020", "2020-02-20", "2020-04-15"),
    ("May 2021", "2021-05-01", "2021-07-01"),
    ("November 2022", "2022-10-20", "2022-12-15"),
)


def crashes() -> None:
    """Minutes around three crashes, futures synthetic, their recorded funding, basis shocks."""
    rates = funding("binanceusdm-BTCUSDT-funding-20200101-20231231")
    for name, begin, end in CRASHES:
        spot, timeframe = candles("binance-BTCUSDT-1m-20200101-20221231", begin, end)
        title = f"{name}: BTC minutes, {begin} to {end} (futures synthetic)"
        show(title, compare(spot, spot, timeframe, rates, (0.0, 0.01, 0.03, 0.05)))


def speed() -> None:
    """Three years of minutes, one run."""
    spot, timeframe = candles("binance-BTCUSDT-1m-20200101-20221231")
    began = time.process_time()
    show(
        "BTC minutes, 2020 to 2022 (futures synthetic)",
        iter([row("with hedge", play([spot, spot], timeframe, {}), began)]),
    )


KERNEL_HEADER = (
    "| | bars | net result | executions | indicators and run, ms | each further run, ms |\n|---|---|---|---|---|---|"
)


def kernel() -> None:
    """Nine years of hours and three of minutes by the compiled kernel: CPU milliseconds, best of five further runs."""
    kernel_native.prepare("atr_grid")
    print(f"\n## Compiled\n\n{KERNEL_HEADER}", flush=True)
    paid = funding("binanceusdm-BTCUSDT-funding-20200101-20231231")
    for name in ("binance-BTCUSDT-1h-20170817-20260716", "binance-BTCUSDT-1m-20200101-20221231"):
        series, timeframe = candles(name)
        cases = {"with hedge": (True, ()), "with hedge and its funding": (True, paid), "without hedge": (False, ())}
        for said, (hedged, rates) in cases.items():
            if rates and series.ts_ms(0) < rates[0][0]:
                continue  # paid for a part of the candles only
            made, first_s, again_s = compiled(series, timeframe, rates, hedge={"enabled": hedged})
            net = 100 * float(sums_of(made).net) / CAPITAL
            print(
                f"| {timeframe}, {said} | {len(series):,} | {net:+.1f} % | {len(made.log):,} "
                f"| {1000 * first_s:.0f} | {1000 * again_s:.1f} |",
                flush=True,
            )


def compiled(series: ArraySeries, timeframe: str, rates: Rows = (), **changes: Any) -> tuple[AtrRun, float, float]:
    """Run one configuration by the kernel; returns it and the CPU seconds of a first and of a further run."""
    made = portfolio(**changes)
    bot = made.bots[0]
    spec = spec_of(bot, instruments_of(made, {}, {}), paper_token(made.id), key="bots[0]")
    columns = columns_of(series, timeframe, units_of(spec, series.scale).price_scale)
    quote = opening_of(made.venue(bot.venue), {spec.bot_id: spec})[spec.instrument.quote]
    beside = openings_beside(made, spec, [columns] * len(spec.others))
    due = dues_of({PERP: rates} if rates else {}, columns)
    times: list[float] = []
    for _ in range(6):
        began = time.process_time()
        run = run_atr(bot, spec, columns, Options(), limits_of(made), quote, beside=beside, rates=due)
        times.append(time.process_time() - began)
    return run, times[0], min(times[1:])


def show(title: str, rows: Iterator[Row]) -> None:
    """Print one table."""
    print(f"\n## {title}\n\n{HEADER}", flush=True)
    for one in rows:
        print(one.shown(), flush=True)


if __name__ == "__main__":
    parts = {"nine-years": nine_years, "may-2025": may_2025, "crashes": crashes, "speed": speed, "kernel": kernel}
    for word in sys.argv[1:] or list(parts):
        parts[word]()
