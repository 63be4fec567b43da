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

from core.backtest import Result, run
from core.engine import Bot, BotSpec, Step, World
from core.facts import BalanceRead, Fill
from core.lots import fee_in_quote, unrealized
from core.machines.grid.config import GridConfig
from core.market import TIMEFRAME_S, Intrabar
from core.orders import decode
from core.portfolio import Portfolio
from core.series import CandleSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, Side, plain, total
from tasks.assemble import instruments_of, limits_of, opening_of, paper_token, spec_of
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

    bot: GridConfig
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


def choose_bot(portfolio: Portfolio, bot_id: str | None) -> tuple[int, GridConfig]:
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
    from_: datetime | None = None, to: datetime | None = None,
) -> "Run | KernelRun":  # fmt: skip
    """Run one backtest from a portfolio file; raises `Refused` where file, bot, candles or options do not fit.

    With `options.engine` "kernel" the same fills and figures come from compiled code, without journal and ledger.
    """
    portfolio = load_portfolio(file)
    index, bot = choose_bot(portfolio, bot_id)
    series, timeframe, remarks = _read(candles, bot, from_, to)
    rules = instruments_of(portfolio, {}, {})
    instrument = rules[bot.venue, bot.symbol]
    spec = spec_of(bot, instrument, paper_token(portfolio.id), key=f"bots[{index}]")
    if instrument.source == "built in":
        remarks.append(f"trading rules and fees of {bot.symbol} are the built-in ones")
    if options.engine == "kernel":
        made = _run_kernel(portfolio, bot, spec, series, timeframe, options)
    else:
        made = run_spec(portfolio, bot, spec, series, timeframe, options)
    made.remarks = [*remarks, *made.remarks]
    return made


def _run_kernel(
    portfolio: Portfolio, bot: GridConfig, spec: BotSpec, series: CandleSeries, timeframe: str, options: Options
) -> "KernelRun":
    from tasks.kernel_run import backtest_grid

    opening = opening_of(portfolio.venue(bot.venue), {spec.bot_id: spec})
    made = backtest_grid(bot, spec, series, timeframe, options, limits_of(portfolio), opening)
    made.remarks = _remarks(series, spec, traded=bool(len(made.log)))
    return made


def run_spec(
    portfolio: Portfolio, bot: GridConfig, spec: BotSpec, series: CandleSeries, timeframe: str, options: Options
) -> Run:
    """Run one made-ready bot over a series and count what came of it."""
    venue = portfolio.venue(bot.venue)
    opening = opening_of(venue, {spec.bot_id: spec})
    fill_rules = FillRules(
        cross=options.fill == "cross", latency_s=options.latency_s, spread=options.spread, slippage=options.slippage
    )
    account = Account(venue.id, {spec.instrument.symbol: spec.instrument}, fill_rules, dict(opening), bot.leverage)
    world = World(specs={bot.id: spec}, bots={bot.id: Bot(bot_id=bot.id)}, limits=limits_of(portfolio))
    world = _open_wallet(world, venue.id, opening, series)
    steps: list[tuple[datetime, Step]] = []
    began = time.perf_counter()
    with Progress("bars", len(series)) as progress, _without_collector():

        def keep(step: Step, now: datetime) -> None:
            steps.append((now, step))
            progress.show(series.index_at(int(now.replace(tzinfo=UTC).timestamp() * 1000)))

        result = run(
            world, account, series, bot.symbol, timeframe_s=TIMEFRAME_S[timeframe], intrabar=Intrabar(options.intrabar),
            long=bot.side == "BUY", jump=options.jump, keep=keep,
        )  # fmt: skip
    elapsed = time.perf_counter() - began
    made = Run(bot, spec, options, series, timeframe, result, steps, opening=opening)
    made.fills = [fill for _, step in steps for _, fill in step.fills]
    made.figures = _figures(made, elapsed)
    made.remarks = _remarks(series, spec, traded=bool(made.fills))
    return made


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


def _read(
    candles: Sequence[str], bot: GridConfig, from_: datetime | None, to: datetime | None
) -> tuple[CandleSeries, str, list[str]]:
    from tasks.candles_read import CandleRefused, read_candles

    named = dict(one.split("=", 1) for one in candles if "=" in one)
    plain_paths = [one for one in candles if "=" not in one]
    path = named.get(f"{bot.venue}:{bot.symbol}") or named.get(bot.venue) or (plain_paths[0] if plain_paths else None)
    if path is None:
        raise Refused(f"no candles for {bot.venue}", key="--candles", accepted=f"{bot.venue}=FILE or FILE")
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
    last = made.result.account.prices[made.bot.symbol]
    floating = total(unrealized(lot, last) for lot in bot.lots.values())
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
    for fill in made.fills:
        sign = fill.side.sign
        fee = fee_in_quote(fill, made.spec.instrument) or ZERO
        base = float(fill.qty) * sign
        if fill.fee_asset == made.spec.instrument.base and fill.side is Side.BUY:
            base -= float(fill.fee)
            fee = ZERO
        stamp = int(fill.ts.replace(tzinfo=UTC).timestamp() * 1000)
        trades.append(Trade(stamp, base, -float(fill.price) * float(fill.qty) * sign - float(fee)))
    stamps, closes = made.series.ts, made.series.close  # type: ignore[attr-defined]  every reader gives an ArraySeries
    return equity_curve(stamps, np.asarray(closes) / 10.0**made.series.scale, trades, made.spec.capital_quote)


def _remarks(series: Any, spec: BotSpec, *, traded: bool) -> list[str]:
    import numpy as np

    said: list[str] = []
    if not traded:
        said.append("no trade happened: the price never reached a level of this grid")
    high, low = np.asarray(series.high), np.asarray(series.low)
    mean_range = float((high - low).mean()) / 10.0**series.scale
    step = float(spec.plan.step_min)
    if mean_range > 0 and step / mean_range < 3:
        said.append(
            f"the smallest step ({step:g}) is only {step / mean_range:.1f} times the mean bar range ({mean_range:.2f}): "
            "fills inside a bar are guesses; finer candles are needed to prove this result"
        )
    return said
