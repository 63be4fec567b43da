"""Runs configurations of a sweep over its stretches of candles: the part that every runner calls, in any process.

A job is plain data and a candle file, so that it can travel; candles are read once per process and shared by all
configurations. What comes back depends on nothing but the job, so every runner gives the same rows to the digit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine import BotSpec
from core.kernel import ArraySeries
from core.market import Market
from core.portfolio import Portfolio
from core.values import ZERO, plain
from tasks.assemble import Rules, instruments_of, limits_of, opening_of, paper_token, spec_of
from tasks.backtest_candles import read_series
from tasks.backtest_figures import curve_of
from tasks.backtest_funding import Rates, read_rates
from tasks.backtesting import Options, run_spec
from tasks.equity import DAYS_A_YEAR, day_ends, ratios_along
from tasks.errors import Refused
from tasks.kernel_funding import Due, dues_of
from tasks.kernel_tables import CORE_DOES_IT, Columns, columns_of
from tasks.settings import check, with_bot
from tasks.sweep_vary import apply

Row = dict[str, Any]
# A spread below what floats resolve beside the returns is none (as in `core.metrics`).
NOTHING = 1e-12
FIGURES = (
    "fills", "fills_initial", "round_trips", "net_pnl", "realized_pnl", "unrealized_pnl", "grid_profit", "fees", "funding",
    "capital_quote", "final_equity", "exposure_max", "max_drawdown", "sharpe", "sortino", "win_rate",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that decides a sweep's results: a portfolio of one bot (plain data, no secrets), candles, rules, stretches.

    `segments` are ranges of bars, first inclusive and last exclusive, each run from a fresh start. `funding` are the files
    of what the swaps pay.
    """

    raw: dict[str, Any]
    candles: tuple[str, ...]
    from_: datetime | None
    to: datetime | None
    options: Options
    segments: tuple[tuple[int, int], ...]
    funding: tuple[str, ...] = ()


@dataclass(slots=True)
class Shared:
    """What the configurations of a job share in one process: candles, whole and by stretch and scale, and funding."""

    tracks: tuple[ArraySeries, ...]
    timeframe: str
    remarks: tuple[str, ...] = ()
    columns: dict[tuple[int, int, int, int], tuple[Columns, NDArray[np.int64]]] = field(
        default_factory=dict[tuple[int, int, int, int], tuple[Columns, NDArray[np.int64]]]
    )
    rates: dict[tuple[str, ...], Rates] = field(default_factory=dict[tuple[str, ...], Rates])
    dues: dict[tuple[str | int, ...], Mapping[Market, Due]] = field(
        default_factory=dict[tuple[str | int, ...], Mapping[Market, Due]]
    )

    @property
    def series(self) -> ArraySeries:
        """The candles of the bot's first market, which count the bars."""
        return self.tracks[0]

    def cut(self, segment: tuple[int, int], scale: int, track: int = 0) -> tuple[Columns, NDArray[np.int64]]:
        """Return a stretch's columns at a scale, of one of the markets, and the last bar of each UTC day in it."""
        key = (*segment, scale, track)
        if key not in self.columns:
            one, first, last = self.tracks[track], self.series.ts_ms(segment[0]), self.series.ts_ms(segment[1] - 1)
            made = columns_of(one.between(one.index_at(first), one.index_at(last + 1)), self.timeframe, scale)
            self.columns[key] = made, day_ends(made.ts)
        return self.columns[key]

    def rates_of(self, funding: Sequence[str], spec: BotSpec) -> Rates:
        """Return the funding of a bot's swaps, read once; raises `Refused` for files that do not fit."""
        key = _funding_key(funding, spec)
        if key not in self.rates:
            self.rates[key] = read_rates(funding, spec)
        return self.rates[key]

    def due(
        self, segment: tuple[int, int], funding: Sequence[str], spec: BotSpec, columns: Columns
    ) -> Mapping[Market, Due]:
        """Return what funding of a bot's swaps falls due within a stretch, whatever the scale of its columns is."""
        key = (*segment, *_funding_key(funding, spec))
        if key not in self.dues:
            self.dues[key] = dues_of(self.rates_of(funding, spec), columns)
        return self.dues[key]


def _funding_key(funding: Sequence[str], spec: BotSpec) -> tuple[str, ...]:
    return (*funding, "", *(text for one in spec.instruments if one.swap for text in one.market))


def run_chunk(job: Job, numbered: Sequence[tuple[int, Mapping[str, str]]]) -> list[Row]:
    """Run some configurations, each over every segment; rows in the order given, then by segment."""
    from tasks.kernel_run import Room

    shared = shared_of(job)
    frame, room = Frame(job.raw), Room()
    rows: list[Row] = []
    for number, values in numbered:
        rows += _configuration(job, shared, frame, room, number, values)
    return rows


def shared_of(job: Job) -> Shared:
    """Return a job's candles, read once per process while their files do not change; raises `Refused`."""
    files = [Path(text.partition("=")[2] or text) for text in (*job.candles, *job.funding)]
    states = tuple((file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file())
    bot = check(dict(job.raw), {}).bots[0]
    return _read_shared(job.candles, bot, job.from_, job.to, states)


@lru_cache(maxsize=2)
def _read_shared(
    candles: tuple[str, ...],
    bot: Any,
    from_: datetime | None,
    to: datetime | None,
    _states: tuple[tuple[int, int], ...],
) -> Shared:
    series, timeframe, remarks = read_series(candles, bot, from_, to)
    tracks: Any = series  # every reader gives an ArraySeries
    return Shared(tuple(tracks), timeframe, tuple(remarks))


class Frame:
    """What all configurations of a sweep share beside candles: the portfolio as it was checked, trading rules, limits."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        """Check a portfolio of one bot, plain data, once; raises `Refused`."""
        self._raw = raw
        self._base = check(dict(raw), {})
        self._token = paper_token(self._base.id)
        self._rules: dict[tuple[Market, ...], Rules] = {}
        self.limits = limits_of(self._base)

    def prepare(self, values: Mapping[str, str]) -> tuple[Portfolio, BotSpec]:
        """Check one configuration like a file's; raises `Refused` where the models or the exchange's rules do not allow it."""
        raw = {**self._raw, "bots": [apply(self._raw["bots"][0], values)]}
        portfolio = with_bot(self._base, raw, {})
        bot = portfolio.bots[0]
        markets = tuple(bot.markets())
        if markets not in self._rules:
            self._rules[markets] = instruments_of(portfolio, {}, {})
        return portfolio, spec_of(bot, self._rules[markets], self._token, key="bots[0]")


def _configuration(
    job: Job, shared: Shared, frame: Frame, room: Any, number: int, values: Mapping[str, str]
) -> list[Row]:
    head: Row = {"number": number, "values": dict(values)}
    try:
        portfolio, spec = frame.prepare(values)
    except Refused as refused:
        reason = f"{refused.key}: {refused.reason}"
        return [{**head, "segment": i, "engine": "", "refused": reason} for i in range(len(job.segments))]
    rows: list[Row] = []
    for i, segment in enumerate(job.segments):
        found = _on_kernel(job, shared, frame, room, portfolio, spec, segment)
        if found is None:
            found = _on_core(job, shared, portfolio, spec, segment)
        rows.append({**head, "segment": i, "refused": None, **found})
    return rows


def _on_kernel(
    job: Job, shared: Shared, frame: Frame, room: Any, portfolio: Portfolio, spec: BotSpec, segment: tuple[int, int]
) -> Row | None:
    # None: only the core can do it.
    from tasks.kernel_kinds import KERNELS, openings_beside

    bot = portfolio.bots[0]
    kernel = KERNELS.get(bot.kind)
    if job.options.engine != "kernel" or kernel is None:
        return None
    opening = opening_of(portfolio.venue(bot.venue), {spec.bot_id: spec})
    try:
        scale = kernel.units_of(spec, max(one.scale for one in shared.tracks)).price_scale
        columns, ends = shared.cut(segment, scale)
        quote = opening.get(spec.instrument.quote, ZERO)
        others = [shared.cut(segment, scale, track)[0] for track in range(1, 1 + len(spec.others))]
        more = kernel.beside(openings_beside(portfolio, spec, others), shared.due(segment, job.funding, spec, columns))
        made = kernel.run(bot, spec, columns, job.options, frame.limits, quote, room, **more)
    except Refused as refused:
        if refused.accepted == CORE_DOES_IT:
            return None
        raise
    return {"engine": "kernel", **_kernel_figures(made, ends)}


def _kernel_figures(made: Any, ends: NDArray[np.int64]) -> Row:
    from core.grid_table import S_INITIAL
    from tasks.kernel_run import equity_in_one_pass, sums_of

    sums, capital, asked = sums_of(made), made.spec.capital_quote, np.append(0, ends)
    if not made.spec.others:
        fall, exposure, equity = equity_in_one_pass(made, asked)
    else:
        lines = made.lines()
        shown = ratios_along(made.columns.ts, lines)
        fall, exposure = shown.max_drawdown, shown.exposure_max
        equity = np.sum([line.equity_at(asked) for line in lines], axis=0)
    return {
        "fills": len(made.log), "fills_initial": int(made.scalars[S_INITIAL]), "round_trips": sums.round_trips,
        "net_pnl": plain(sums.net), "realized_pnl": plain(sums.realized), "unrealized_pnl": plain(sums.floating),
        "grid_profit": plain(sums.grid_profit), "fees": plain(sums.fees), "funding": plain(sums.funding),
        "capital_quote": plain(capital), "final_equity": plain(capital + sums.net),
        "exposure_max": plain(Decimal(repr(exposure)).quantize(Decimal("0.01"))), "max_drawdown": fall,
        "win_rate": sums.won / sums.round_trips if sums.round_trips else None, **_ratios(equity),
    }  # fmt: skip


def _on_core(job: Job, shared: Shared, portfolio: Portfolio, spec: BotSpec, segment: tuple[int, int]) -> Row:
    bot = portfolio.bots[0]
    first, last = (shared.series.ts_ms(segment[0]), shared.series.ts_ms(segment[1] - 1))
    cut = [one.between(one.index_at(first), one.index_at(last + 1)) for one in shared.tracks]
    rates = shared.rates_of(job.funding, spec)
    made = run_spec(portfolio, bot, spec, cut, shared.timeframe, job.options, rates)
    curve = curve_of(made)
    daily = np.append(curve.equity[0], curve.equity[day_ends(curve.ts_ms)])
    return {"engine": "core", **{name: made.figures[name] for name in FIGURES}, **_ratios(daily)}


def _ratios(daily: NDArray[np.float64]) -> Row:
    # Ratios of daily equity, and the sums of powers of its returns, from which later moments are made. The formulas of
    # `core.metrics` over an array: to some 14 digits its results, in a tenth of the time.
    if float(daily.min()) <= 0:
        return {"sharpe": None, "sortino": None, "returns_sums": None}
    returns = daily[1:] / daily[:-1] - 1.0
    count = len(returns)
    squares = returns * returns
    powers = (returns, squares, squares * returns, squares * squares)
    sums = [float(count), *(float(power.sum()) for power in powers)]
    nothing = NOTHING * float(np.abs(returns).max(initial=0.0))
    centre, year = sums[1] / max(count, 1), math.sqrt(DAYS_A_YEAR)
    spread = math.sqrt(float(((returns - centre) ** 2).sum()) / (count - 1)) if count > 1 else 0.0
    below = math.sqrt(float((np.minimum(returns, 0.0) ** 2).sum()) / max(count, 1)) if count > 1 else 0.0
    return {
        "sharpe": centre / spread * year if spread > nothing else None,
        "sortino": centre / below * year if below > nothing else None,
        "returns_sums": sums,
    }
