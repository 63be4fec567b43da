"""Backtests all bots of a portfolio together, on the accounts they share: one margin, one exposure, one drawdown.

Every bot is counted as it is alone. What bots earn together is what the accounts' money changed by, exactly.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from core.backtest import Result, Scene, run
from core.engine import Bot, BotSpec, Step, World
from core.market import Market
from core.portfolio import Portfolio
from core.series import CandleSeries
from core.simulation import Account
from core.values import ZERO, plain, total
from tasks import backtest_doubt as doubt
from tasks.assemble import instruments_of, limits_of, opening_of, paper_token, spec_of
from tasks.backtest_candles import read_markets
from tasks.backtest_figures import closed_profits, curve_of, figures_of, remarks_of
from tasks.backtest_funding import Rates, read_rates_of
from tasks.backtesting import Options, Run, check_volumes, open_wallet, rules_of, scene_of, without_collector
from tasks.equity import Curve, ratios
from tasks.errors import Refused
from tasks.progress import Progress

SUMMED = (
    "net_pnl", "realized_pnl", "unrealized_pnl", "grid_profit", "fees", "funding", "final_equity", "capital_quote",
)  # fmt: skip
COUNTED = ("fills", "fills_initial", "round_trips", "round_trips_inside_bar", "ambiguous_bars")


@dataclass(slots=True)
class PortfolioRun:
    """A finished backtest of several bots: each one's run by its id, their figures in sum, and the accounts at the end.

    `openings` are what the accounts opened with, by venue and asset.
    """

    portfolio: Portfolio
    options: Options
    runs: dict[str, Run]
    result: Result
    openings: Mapping[str, Mapping[str, Decimal]]
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    remarks: list[str] = field(default_factory=list[str])

    @property
    def kinds(self) -> set[str]:
        """The kinds of its bots."""
        return {run.bot.kind for run in self.runs.values()}


def backtest_portfolio(
    portfolio: Portfolio, candles: Sequence[str], options: Options, from_: datetime | None = None,
    to: datetime | None = None, funding: Sequence[str] = (),
) -> PortfolioRun:  # fmt: skip
    """Run every bot of a portfolio over candle files; raises `Refused` where candles, funding or options do not fit."""
    if options.engine == "kernel":
        raise Refused("the kernel runs one bot", key="--engine", accepted="core, or --bot ID")
    rules = instruments_of(portfolio, {}, {})
    token = paper_token(portfolio.id)
    specs = {
        bot.id: spec_of(bot, rules, token, key=f"bots[{index}]") for index, bot in enumerate(portfolio.bots)
    }  # fmt: skip
    quotes = sorted({spec.instrument.quote for spec in specs.values()})
    if len(quotes) > 1:
        raise Refused(
            f"bots count in {' and '.join(quotes)}, which have no sum", key="--bot", accepted=", ".join(specs)
        )
    series, timeframe, remarks = read_markets(candles, portfolio.bots, from_, to)
    builtin = {one.symbol for spec in specs.values() for one in spec.instruments if one.source == "built in"}
    remarks += [f"trading rules and fees of {symbol} are the built-in ones" for symbol in sorted(builtin)]
    swaps = [m for m in series if rules[m].swap]
    rates = read_rates_of(funding, swaps, "the portfolio")
    made = run_specs(portfolio, specs, series, timeframe, options, rates)
    made.remarks = [*remarks, *made.remarks]
    return made


def run_specs(
    portfolio: Portfolio, specs: Mapping[str, BotSpec], series: Mapping[Market, CandleSeries], timeframe: str,
    options: Options, rates: Rates | None = None,
) -> PortfolioRun:  # fmt: skip
    """Run made-ready bots over the series of their markets, which must have the same times, and count what came of it."""
    check_volumes(list(series.values()), options)
    openings = {one.id: opening_of(one, _at(specs, one.id)) for one in portfolio.venues if _at(specs, one.id)}
    accounts = {name: _account(portfolio, specs, name, opening, options) for name, opening in openings.items()}
    world = World(specs=dict(specs), bots={name: Bot(bot_id=name) for name in specs}, limits=limits_of(portfolio))
    scene = _scene(specs, series, timeframe, options, rates or {})
    lead = scene.tracks[0].series
    for name, opening in openings.items():
        world = open_wallet(world, name, opening, lead)
    steps: list[tuple[datetime, Step]] = []
    began = time.perf_counter()
    with Progress("bars", len(lead)) as progress, without_collector():

        def keep(step: Step, now: datetime) -> None:
            steps.append((now, step))
            progress.show(lead.index_at(int(now.replace(tzinfo=UTC).timestamp() * 1000)))

        result = run(world, accounts, scene, jump=options.jump, keep=keep)
    elapsed = time.perf_counter() - began
    runs: dict[str, Run] = {}
    for bot in portfolio.bots:
        spec = specs[bot.id]
        runs[bot.id] = made = Run(
            bot, spec, options, series[spec.instrument.market], timeframe, result, _of_bot(steps, bot.id),
            opening=openings[spec.instrument.venue], beside={one.market: series[one.market] for one in spec.others},
        )  # fmt: skip
        made.fills = [fill for _, step in made.steps for _, fill in step.fills]
        made.figures = figures_of(made, elapsed)
        inside = doubt.inside_of(made)
        made.figures |= {
            "round_trips_inside_bar": inside.trips, "ambiguous_bars": inside.bars,
            "inside_bar_share": None if inside.share is None else float(inside.share),
        }  # fmt: skip
        said = remarks_of(made.series, spec, traded=bool(made.fills))
        made.remarks = [*said, *doubt.remarks_of(inside)]
    whole = PortfolioRun(portfolio, options, runs, result, openings)
    whole.figures = _sum_figures(whole)
    whole.remarks = [f"{name}: {text}" for name, one in runs.items() for text in one.remarks]
    for name, one in runs.items():
        one.remarks.append(f"run together with {', '.join(other for other in runs if other != name)}")
    if result.incomplete:
        whole.remarks.append(f"{result.incomplete} bars are missing in one of the markets: nothing was decided there")
    return whole


def equity_of(made: PortfolioRun) -> Curve:
    """Add the bots' equity, inventory value at stake and what holding would be worth, at the closes of all bars."""
    curves = [curve_of(one) for one in made.runs.values()]
    return Curve(
        curves[0].ts_ms, np.sum([one.equity for one in curves], axis=0), np.sum([one.hold for one in curves], axis=0),
        np.sum([one.inventory for one in curves], axis=0), np.sum([one.exposure for one in curves], axis=0),
    )  # fmt: skip


def account_change(made: PortfolioRun) -> Decimal:
    """Return what the accounts' money changed by, in quote: balances and open positions at the last prices.

    It is counted from the simulated venues alone, without the bots' books; coins that an account opened with count as none.
    """
    change = ZERO
    for name, account in made.result.accounts.items():
        opening = made.openings[name]
        for asset in {*account.balances, *opening}:
            moved = account.balances.get(asset, ZERO) - opening.get(asset, ZERO)
            change += moved if asset in _quotes(account) else moved * _price(account, asset)
        for symbol, swap in account.swaps.items():
            cost = swap.cost if swap.qty >= ZERO else -swap.cost
            change += swap.qty * account.prices[symbol] - cost
    return change


def _quotes(account: Account) -> set[str]:
    return {one.quote for one in account.instruments.values()}


def _price(account: Account, asset: str) -> Decimal:
    found = [symbol for symbol, one in account.instruments.items() if one.base == asset and not one.swap]
    return account.prices[found[0]] if found else ZERO


def _at(specs: Mapping[str, BotSpec], venue: str) -> dict[str, BotSpec]:
    return {name: spec for name, spec in specs.items() if any(one.venue == venue for one in spec.instruments)}


def _account(
    portfolio: Portfolio, specs: Mapping[str, BotSpec], venue: str, opening: Mapping[str, Decimal], options: Options
) -> Account:
    rules = rules_of(options)
    mine = _at(specs, venue)
    traded = {one.symbol: one for spec in mine.values() for one in spec.instruments if one.venue == venue}
    # One account has one leverage: the highest that a bot of it asks for, as on paper.
    leverage = max(bot.leverage for bot in portfolio.bots if bot.id in mine)
    return Account(venue, traded, rules, dict(opening), leverage)


def _scene(
    specs: Mapping[str, BotSpec], series: Mapping[Market, CandleSeries], timeframe: str, options: Options, rates: Rates
) -> Scene:
    parts = [
        scene_of(spec, [series[one.market] for one in spec.instruments], timeframe, options, {})
        for spec in specs.values()
    ]
    tracks = {track.market: track for part in parts for track in part.tracks}
    bars = {key: one for part in parts for key, one in part.bars.items()}
    return replace(parts[0], tracks=tuple(tracks.values()), bars=bars, rates=rates)


def _of_bot(steps: Sequence[tuple[datetime, Step]], bot_id: str) -> list[tuple[datetime, Step]]:
    # The same steps as the bot would have had alone: what concerns it, of those that concern it.
    found: list[tuple[datetime, Step]] = []
    for at, step in steps:
        mine = replace(
            step,
            fills=tuple(one for one in step.fills if one[0] == bot_id),
            entries=tuple(one for one in step.entries if one.bot_id == bot_id),
            lots=tuple(one for one in step.lots if one.bot_id == bot_id),
            journal=tuple(one for one in step.journal if one.bot_id == bot_id),
            orders=tuple(one for one in step.orders if one.bot_id == bot_id),
        )
        if mine.fills or mine.entries or mine.lots or mine.journal or mine.orders:
            found.append((at, mine))
    return found


def _sum_figures(made: PortfolioRun) -> dict[str, Any]:
    each = {name: one.figures for name, one in made.runs.items()}
    first = next(iter(each.values()))
    closed = [profit for one in made.runs.values() for profit in closed_profits(one)]
    shown = ratios(equity_of(made))
    figures: dict[str, Any] = {"bars": made.result.bars}
    figures |= {name: sum(one[name] for one in each.values()) for name in COUNTED}
    figures |= {name: plain(total(Decimal(one[name]) for one in each.values())) for name in SUMMED}
    figures |= {
        "max_drawdown": shown.max_drawdown,
        "sharpe": shown.sharpe,
        "sortino": shown.sortino,
        "win_rate": sum(1 for profit in closed if profit > 0) / len(closed) if closed else None,
        "exposure_max": plain(Decimal(repr(shown.exposure_max)).quantize(Decimal("0.01"))),
        "inside_bar_share": None,
        "symbol": ", ".join(dict.fromkeys(one["symbol"] for one in each.values())),
        "quote": next(iter(made.runs.values())).spec.instrument.quote,
    }
    shared = ("elapsed_s", "engine", "visited_bars", "timeframe", "intrabar", "fill", "latency_s")
    figures |= {name: first[name] for name in shared}
    figures["bots"] = each
    return figures
