"""Backtests one bot of a portfolio file over candle files, with the same engine that trades, and counts the result."""

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
from core.lots import fee_in_quote, unrealized
from core.machines.grid.config import GridConfig
from core.market import TIMEFRAME_S, Intrabar, Market
from core.orders import decode
from core.portfolio import Portfolio
from core.series import CandleSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, Side, plain, total
from tasks import backtest_doubt as doubt
from tasks.assemble import instruments_of, limits_of, opening_of, paper_token, spec_of
from tasks.backtest_funding import read_rates
from tasks.errors import Refused
from tasks.progress import Progress
from tasks.settings import load_portfolio

if TYPE_CHECKING:
    from tasks.kernel_run import KernelRun

# RULES 18b: the tick interval (5 s) plus one second.
LATENCY_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to fill: path inside a bar, cross or touch, latency in seconds, spread and slippage as fractions."""

    intrabar: str = "adaptive"
    fill: str = "cross"
    latency_s: float = LATENCY_S
    spread: Decimal = ZERO
    slippage: Decimal = ZERO
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


def choose_bot(portfolio: Portfolio, bot_id: str | None) -> tuple[int, AnyBot]:
    """Pick the bot to test; raises `Refused` where the file has several and none was named."""
    ids = [bot.id for bot in portfolio.bots]
    if bot_id is None and len(ids) > 1:
        raise Refused("the portfolio has several bots", key="--bot", accepted=", ".join(ids))
    if bot_id is not None and bot_id not in ids:
        raise Refused(f"there is no bot {bot_id!r}", key="--bot", accepted=", ".join(ids))
    index = ids.index(bot_id) if bot_id is not None else 0
    return index, portfolio.bots[index]


def backtest(
    file: str | Path, bot_id: str | None, candles: Sequence[str], options: Options,
    from_: datetime | None = None, to: datetime | None = None, funding: Sequence[str] = (),
    *, other_rules: bool = False,
) -> "Run | KernelRun":  # fmt: skip
    """Run one backtest from a portfolio file; raises `Refused` where file, bot, candles, funding or options do not fit.

    With `options.engine` "kernel" the same fills and figures come from compiled code, without journal and ledger. With
    `other_rules` the figures say what touch, cross and the worst path would have given, which takes further runs.
    """
    portfolio = load_portfolio(file)
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
        if rates:
            raise Refused("the kernel pays no funding", key="--funding", accepted="--engine core")
        made = _run_kernel(portfolio, bot, spec, series[0], timeframe, options)
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
        said = f"net PnL at touch {nets['net_pnl_touch']}, at cross {nets['net_pnl_cross']}"
        remarks.append(f"{said}, on the worst path {nets['net_pnl_worst']} {quote}")
    made.remarks = [*remarks, *made.remarks, *doubt.remarks_of(inside)]
    return made


def _run_kernel(
    portfolio: Portfolio, bot: AnyBot, spec: BotSpec, series: CandleSeries, timeframe: str, options: Options
) -> "KernelRun":
    from tasks.kernel_run import backtest_grid

    if not isinstance(bot, GridConfig):
        raise Refused(f"the kernel does not know {bot.kind}", key="--engine", accepted="core")
    opening = opening_of(portfolio.venue(bot.venue), {spec.bot_id: spec})
    made = backtest_grid(bot, spec, series, timeframe, options, limits_of(portfolio), opening)
    made.remarks = _remarks(series, spec, traded=bool(len(made.log)))
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
    openings = {one.venue: opening_of(portfolio.venue(one.venue), {spec.bot_id: spec}) for one in spec.instruments}
    accounts = {name: account_of(spec, name, opening, options, bot.leverage) for name, opening in openings.items()}
    world = World(specs={bot.id: spec}, bots={bot.id: Bot(bot_id=bot.id)}, limits=limits_of(portfolio))
    for name, opening in openings.items():
        world = _open_wallet(world, name, opening, series[0])
    steps: list[tuple[datetime, Step]] = []
    began = time.perf_counter()
    with Progress("bars", len(series[0])) as progress, _without_collector():

        def keep(step: Step, now: datetime) -> None:
            steps.append((now, step))
            progress.show(series[0].index_at(int(now.replace(tzinfo=UTC).timestamp() * 1000)))

        scene = scene_of(spec, series, timeframe, options, rates or {})
        result = run(world, accounts, scene, jump=options.jump, keep=keep)
    elapsed = time.perf_counter() - began
    made = Run(
        bot, spec, options, series[0], timeframe, result, steps, opening=openings[spec.instrument.venue],
        beside=dict(zip((one.market for one in spec.others), series[1:], strict=True)),
    )  # fmt: skip
    made.fills = [fill for _, step in steps for _, fill in step.fills]
    made.figures = _figures(made, elapsed)
    made.remarks = _remarks(series[0], spec, traded=bool(made.fills))
    if result.incomplete:
        made.remarks.append(f"{result.incomplete} bars are missing in one of the markets: nothing was decided there")
    return made


def account_of(spec: BotSpec, venue: str, opening: Mapping[str, Decimal], options: Options, leverage: int) -> Account:
    """Open a simulated account for the instruments that a bot trades at one venue."""
    rules = FillRules(
        cross=options.fill == "cross", latency_s=options.latency_s, spread=options.spread, slippage=options.slippage
    )
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
def _without_collector() -> Iterator[None]:
    # A run makes millions of small values and no cycles; the collector would walk all of them again and again.
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _open_wallet(world: World, venue: str, opening: dict[str, Decimal], series: CandleSeries) -> World:
    from core.engine import advance

    now = datetime.fromtimestamp(series.ts_ms(0) / 1000, UTC).replace(tzinfo=None)
    return advance(world, [BalanceRead(venue, asset, amount, now) for asset, amount in opening.items()], now).world


def read_series(
    candles: Sequence[str], bot: AnyBot, from_: datetime | None, to: datetime | None
) -> tuple[list[CandleSeries], str, list[str]]:
    """Read the series of every market of a bot, in the order of its markets, their timeframe, and remarks.

    Raises `Refused` where a file is missing or can't be read, or where timeframes differ.
    """
    named = dict(one.split("=", 1) for one in candles if "=" in one)
    unnamed = [one for one in candles if "=" not in one]
    found: list[CandleSeries] = []
    timeframes: list[str] = []
    remarks: list[str] = []
    for venue, symbol in bot.markets():
        path = named.get(f"{venue}:{symbol}") or named.get(venue) or (unnamed[0] if unnamed else None)
        if path is None:
            raise Refused(f"no candles for {venue}", key="--candles", accepted=f"{venue}=FILE or FILE")
        if found and path in unnamed:
            remarks.append(
                f"{symbol} at {venue} has no candles of its own: those of {bot.symbol} stand in, at zero basis"
            )
        series, timeframe, said = _read_one(path, from_, to)
        found.append(series)
        timeframes.append(timeframe)
        remarks += [text for text in said if text not in remarks]
    if len(set(timeframes)) > 1:
        raise Refused(f"timeframes differ: {', '.join(timeframes)}", key="--candles", accepted="files of one timeframe")
    if len(found) == 1:
        return found, timeframes[0], remarks
    from tasks.candles_align import align

    together, left_out = align(found)
    if left_out:
        remarks.append(f"{left_out} candles of {bot.symbol} are missing in another market: nothing was decided there")
    return [*together], timeframes[0], remarks


def _read_one(path: str, from_: datetime | None, to: datetime | None) -> tuple[CandleSeries, str, list[str]]:
    from tasks.candles_read import CandleRefused, read_candles

    if not Path(path).is_file():
        raise Refused(f"no file {path}", key="--candles", accepted="a CSV, Parquet or feather file of candles")
    try:
        series, report = read_candles(path, from_=from_, to=to)
    except CandleRefused as refused:
        raise Refused(str(refused), key="--candles") from None
    remarks = [f"repaired: {text}" for text in report.repairs]
    if report.missing:
        remarks.append(
            f"{report.missing} candles are missing in {len(report.gaps)} gaps; nothing was invented for them"
        )
    return series, report.timeframe, remarks


def _figures(made: Run, elapsed_s: float) -> dict[str, Any]:
    from tasks.equity import ratios

    bot = made.result.world.bots[made.bot.id]
    floating = total(unrealized(lot, made.result.accounts[lot.venue].prices[lot.symbol]) for lot in bot.lots.values())
    net = bot.realized + floating - bot.fees + bot.funding
    closed = closed_profits(made)
    shown = ratios(curve_of(made))
    return {
        "bars": made.result.bars,
        "fills": len(made.fills),
        "fills_initial": sum(1 for fill in made.fills if is_initial(fill)),
        "round_trips": bot.round_trips,
        "net_pnl": plain(net),
        "realized_pnl": plain(bot.realized),
        "unrealized_pnl": plain(floating),
        "grid_profit": plain(bot.grid_profit),
        "fees": plain(bot.fees),
        "funding": plain(bot.funding),
        "final_equity": plain(made.spec.capital_quote + net),
        "max_drawdown": shown.max_drawdown,
        "sharpe": shown.sharpe,
        "sortino": shown.sortino,
        "win_rate": sum(1 for profit in closed if profit > 0) / len(closed) if closed else None,
        "exposure_max": plain(Decimal(repr(shown.exposure_max)).quantize(Decimal("0.01"))),
        "elapsed_s": round(elapsed_s, 6),
        "engine": made.options.engine,
        "capital_quote": plain(made.spec.capital_quote),
        "visited_bars": made.result.visited,
        "symbol": made.bot.symbol,
        "timeframe": made.timeframe,
        "intrabar": made.options.intrabar,
        "fill": made.options.fill,
        "latency_s": made.options.latency_s,
    }


def is_initial(fill: Fill) -> bool:
    """Whether an execution belongs to the opening purchase: an entry that took the book."""
    who = decode(fill.client_id)
    return who is not None and who.role.value == "e" and not fill.maker


def closed_profits(made: Run) -> list[Decimal]:
    """Net profit of every lot that was closed, after the fees paid on it."""
    return [lot.realized - lot.fees for _, step in made.steps for lot in step.lots if not lot.open]


def curve_of(made: Run) -> Any:
    """Return the equity curve at bar closes."""
    import numpy as np

    from tasks.equity import Trade, equity_curve

    trades: list[Trade] = []
    beside: dict[Market, list[Trade]] = {one.market: [] for one in made.spec.others}
    for fill in made.fills:
        instrument = made.spec.rule((fill.venue, fill.symbol))
        sign = fill.side.sign
        fee = fee_in_quote(fill, instrument) or ZERO
        base = float(fill.qty) * sign
        if fill.fee_asset == instrument.base and fill.side is Side.BUY and not instrument.swap:
            base -= float(fill.fee)
            fee = ZERO
        stamp = int(fill.ts.replace(tzinfo=UTC).timestamp() * 1000)
        trade = Trade(stamp, base, -float(fill.price) * float(fill.qty) * sign - float(fee))
        beside.get(instrument.market, trades).append(trade)
    trades += [Trade(int(at.replace(tzinfo=UTC).timestamp() * 1000), 0.0, float(paid)) for at, paid in funding_of(made)]
    trades.sort(key=lambda trade: trade.ts_ms)
    stamps, closes = _closes(made.series)
    curve = equity_curve(stamps, closes, trades, made.spec.capital_quote)
    for market, theirs in beside.items():
        other_stamps, other_closes = _closes(made.beside[market])
        at = np.minimum(np.searchsorted(other_stamps, stamps, side="right"), len(other_closes)) - 1
        other = equity_curve(stamps, other_closes[np.maximum(at, 0)], theirs, ZERO)
        curve = curve.plus(other)
    return curve


def _closes(series: Any) -> tuple[Any, Any]:
    # Every reader gives an ArraySeries.
    import numpy as np

    return series.ts, np.asarray(series.close) / 10.0**series.scale


def funding_of(made: Run) -> list[tuple[datetime, Decimal]]:
    """Every funding payment of the run: when, and how much the bot received (> 0) or paid, in quote."""
    return [
        (entry.ts, entry.amount)
        for _, step in made.steps
        for entry in step.entries
        if entry.kind == "funding" and entry.account == "wallet"
    ]


def _remarks(series: Any, spec: BotSpec, *, traded: bool) -> list[str]:
    import numpy as np

    said: list[str] = []
    if not traded:
        said.append("no trade happened: the price never reached an order of this bot")
    high, low = np.asarray(series.high), np.asarray(series.low)
    mean_range = float((high - low).mean()) / 10.0**series.scale
    step = float(spec.step_min or 0)
    if mean_range > 0 and 0 < step / mean_range < 3:
        said.append(
            f"the smallest step ({step:g}) is only {step / mean_range:.1f} times the mean bar range ({mean_range:.2f}): "
            "fills inside a bar are guesses; finer candles are needed to prove this result"
        )
    return said
