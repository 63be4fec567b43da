"""Backtests bots of a portfolio file over candle files, with the same engine that trades, and counts the result."""

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.backtest import Result, Scene, Track, run
from core.engine import Bot, BotSpec, Step, World
from core.facts import BalanceRead, Fill
from core.kinds import AnyBot
from core.market import TIMEFRAME_S, Intrabar, Market
from core.portfolio import Portfolio
from core.series import CandleSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO
from tasks import backtest_doubt as doubt
from tasks.assemble import instruments_of, limits_of, opening_of, paper_token, spec_of
from tasks.backtest_candles import read_series, refuse_strangers
from tasks.backtest_figures import figures_of, remarks_of
from tasks.backtest_funding import Rates, read_rates
from tasks.errors import Refused
from tasks.outcome import money
from tasks.progress import Progress
from tasks.settings import load_portfolio

if TYPE_CHECKING:
    from tasks.kernel_run import KernelRun
    from tasks.portfolio_backtest import PortfolioRun

# RULES 18b: the tick interval (5 s) plus one second.
LATENCY_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to fill: path inside a bar, cross or touch, latency in seconds, spread and slippage as fractions.

    `participation` is the most of a bar's volume that the orders of a market may trade in it, as a fraction; None: any.
    """

    intrabar: str = "adaptive"
    fill: str = "cross"
    latency_s: float = LATENCY_S
    spread: Decimal = ZERO
    slippage: Decimal = ZERO
    participation: Decimal | None = None
    engine: str = "core"
    jump: bool = True


@dataclass(slots=True)
class Run:
    """A finished backtest: its figures, and what they were counted from."""

    bot: AnyBot
    spec: BotSpec
    options: Options
    series: CandleSeries
    timeframe: str
    result: Result
    steps: list[tuple[datetime, Step]] = field(default_factory=list[tuple[datetime, Step]])
    fills: list[Fill] = field(default_factory=list[Fill])
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    remarks: list[str] = field(default_factory=list[str])
    opening: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    beside: Mapping[Market, CandleSeries] = field(default_factory=dict[Market, CandleSeries])

    @property
    def kinds(self) -> set[str]:
        """The kind of its bot."""
        return {self.bot.kind}


def choose_bot(portfolio: Portfolio, bot_id: str | None) -> tuple[int, AnyBot]:
    """Pick one bot; raises `Refused` where the file has several and none was named."""
    ids = [bot.id for bot in portfolio.bots]
    if bot_id is None and len(ids) > 1:
        raise Refused("the portfolio has several bots", key="--bot", accepted=", ".join(ids))
    if bot_id is not None and bot_id not in ids:
        raise Refused(f"there is no bot {bot_id!r}", key="--bot", accepted=", ".join(ids), given=bot_id)
    index = ids.index(bot_id) if bot_id is not None else 0
    return index, portfolio.bots[index]


def backtest(
    file: str | Path, bot_id: str | None, candles: Sequence[str], options: Options,
    from_: datetime | None = None, to: datetime | None = None, funding: Sequence[str] = (),
    *, other_rules: bool = False,
) -> "Run | KernelRun | PortfolioRun":  # fmt: skip
    """Run one backtest from a portfolio file; raises `Refused` where file, bot, candles, funding or options do not fit.

    A file with several bots of which none is named is run as a whole, on the accounts that its bots share.
    With `options.engine` "kernel" the same fills and figures come from compiled code, without journal and ledger. With
    `other_rules` the figures say what touch, cross and the worst path would have given, which takes further runs.
    """
    portfolio = load_portfolio(file)
    refuse_strangers(candles, portfolio.bots)
    if bot_id is None and len(portfolio.bots) > 1:
        from tasks.portfolio_backtest import backtest_portfolio

        return backtest_portfolio(portfolio, candles, options, from_, to, funding)
    index, bot = choose_bot(portfolio, bot_id)
    series, timeframe, remarks = read_series(candles, bot, from_, to)
    rules = instruments_of(portfolio, {}, {})
    spec = spec_of(bot, rules, paper_token(portfolio.id), key=f"bots[{index}]")
    remarks += [
        f"trading rules and fees of {one.symbol} are the built-in ones"
        for one in spec.instruments
        if one.source == "built in"
    ]
    rates = read_rates(funding, spec)
    if options.engine == "kernel":
        made = _run_kernel(portfolio, bot, spec, series, timeframe, options, rates)
    else:
        made = run_spec(portfolio, bot, spec, series, timeframe, options, rates)
    inside = doubt.inside_of(made)
    made.figures |= {
        "round_trips_inside_bar": inside.trips, "ambiguous_bars": inside.bars,
        "inside_bar_share": None if inside.share is None else float(inside.share),
    }  # fmt: skip
    if other_rules:
        again = doubt.net_again(portfolio, bot, spec, series, timeframe, rates)
        made.figures |= (nets := doubt.other_rules(made, again))
        quote = spec.instrument.quote
        touch, cross, worst = (money(nets[f"net_pnl_{name}"], quote) for name in ("touch", "cross", "worst"))
        remarks.append(f"net PnL at touch {touch}, at cross {cross}, with each bar's adverse extreme first {worst}")
    made.remarks = [*remarks, *made.remarks, *doubt.remarks_of(inside)]
    return made


def _run_kernel(
    portfolio: Portfolio, bot: AnyBot, spec: BotSpec, series: Sequence[CandleSeries], timeframe: str, options: Options,
    rates: Rates,
) -> "KernelRun":  # fmt: skip
    from tasks.kernel_kinds import KERNELS, backtest_kernel, openings_beside

    if bot.kind not in KERNELS:
        raise Refused(f"the kernel does not know {bot.kind}", key="--engine", accepted="core")
    opening = opening_of(portfolio.venue(bot.venue), {spec.bot_id: spec})
    beside = openings_beside(portfolio, spec, series[1:])
    made = backtest_kernel(bot, spec, series[0], timeframe, options, limits_of(portfolio), opening, beside, rates)
    made.remarks = remarks_of(series[0], spec, traded=bool(len(made.log)))
    return made


def run_spec(
    portfolio: Portfolio,
    bot: AnyBot,
    spec: BotSpec,
    series: Sequence[CandleSeries],
    timeframe: str,
    options: Options,
    rates: Mapping[Market, Sequence[tuple[int, Decimal, float]]] | None = None,
) -> Run:
    """Run one made-ready bot over its markets' series, in the order of its markets, and count what came of it.

    `rates` are rows of (time in ms, funding rate as a fraction of notional, interval in seconds) by market.
    """
    check_volumes(series, options)
    openings = {one.venue: opening_of(portfolio.venue(one.venue), {spec.bot_id: spec}) for one in spec.instruments}
    accounts = {name: account_of(spec, name, opening, options, bot.leverage) for name, opening in openings.items()}
    world = World(specs={bot.id: spec}, bots={bot.id: Bot(bot_id=bot.id)}, limits=limits_of(portfolio))
    for name, opening in openings.items():
        world = open_wallet(world, name, opening, series[0])
    steps: list[tuple[datetime, Step]] = []
    began = time.perf_counter()
    with Progress("bars", len(series[0])) as progress, without_collector():

        def keep(step: Step, now: datetime) -> None:
            steps.append((now, step))
            if progress.due:
                progress.show(series[0].index_at(int(now.replace(tzinfo=UTC).timestamp() * 1000)))

        scene = scene_of(spec, series, timeframe, options, rates or {})
        result = run(world, accounts, scene, jump=options.jump, keep=keep)
    elapsed = time.perf_counter() - began
    made = Run(
        bot, spec, options, series[0], timeframe, result, steps, opening=openings[spec.instrument.venue],
        beside=dict(zip((one.market for one in spec.others), series[1:], strict=True)),
    )  # fmt: skip
    made.fills = [fill for _, step in steps for _, fill in step.fills]
    made.figures = figures_of(made, elapsed)
    made.remarks = remarks_of(series[0], spec, traded=bool(made.fills))
    if result.incomplete:
        made.remarks.append(f"{result.incomplete} bars are missing in one of the markets: nothing was decided there")
    return made


def rules_of(options: Options) -> FillRules:
    """Return the rules by which a simulated venue fills."""
    return FillRules(
        cross=options.fill == "cross", latency_s=options.latency_s, spread=options.spread, slippage=options.slippage,
        participation=options.participation,
    )  # fmt: skip


def check_volumes(series: Sequence[CandleSeries], options: Options) -> None:
    """Raise `Refused` where a share of the volume is asked for and candles tell none: nothing could ever fill."""
    if options.participation is None:
        return
    for one in series:
        if not any(one.bar(index).volume for index in range(len(one))):
            raise Refused(
                "the candles tell no volume to take a share of", key="--participation", accepted="candles with volumes"
            )


def account_of(spec: BotSpec, venue: str, opening: Mapping[str, Decimal], options: Options, leverage: int) -> Account:
    """Open a simulated account for the instruments that a bot trades at one venue."""
    rules = rules_of(options)
    traded = {one.symbol: one for one in spec.instruments if one.venue == venue}
    return Account(venue, traded, rules, dict(opening), leverage)


def scene_of(
    spec: BotSpec,
    series: Sequence[CandleSeries],
    timeframe: str,
    options: Options,
    rates: Mapping[Market, Sequence[tuple[int, Decimal, float]]],
) -> Scene:
    """Lay out what is played: the tracks, and the longer candles that the bot's machine asked for.

    Raises `Refused` where those cannot be made of the candles given.
    """
    from tasks.candles_resample import resample

    by_market = dict(zip((one.market for one in spec.instruments), series, strict=True))
    names = {seconds: name for name, seconds in TIMEFRAME_S.items()}
    bars: dict[tuple[Market, int], CandleSeries] = {}
    for one in spec.bars:
        try:
            made: Any = by_market[one.market]
            bars[one.market, one.timeframe_s] = resample(made, names[one.timeframe_s], source=timeframe)
        except ValueError as fault:
            raise Refused(
                str(fault), key="--candles", accepted=f"candles of {names[one.timeframe_s]} or finer"
            ) from None
    tracks = tuple(Track(market, one) for market, one in by_market.items())
    return Scene(
        tracks=tracks, timeframe_s=TIMEFRAME_S[timeframe], intrabar=Intrabar(options.intrabar), long=spec.long,
        bars=bars, rates=rates,
    )  # fmt: skip


@contextmanager
def without_collector() -> Iterator[None]:
    """Stop the collector: a run makes millions of small values and no cycles, and it would walk all of them again.

    At the end they count as old at once, unwalked: else the first value made afterwards would set off the walk.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.freeze()
            gc.enable()
            gc.unfreeze()


def open_wallet(world: World, venue: str, opening: Mapping[str, Decimal], series: CandleSeries) -> World:
    """Tell the engine what an account opened with, at the first candle's time."""
    from core.engine import advance

    now = datetime.fromtimestamp(series.ts_ms(0) / 1000, UTC).replace(tzinfo=None)
    return advance(world, [BalanceRead(venue, asset, amount, now) for asset, amount in opening.items()], now).world
