"""Drives the engine against a simulated venue over a candle series: the same code as live, with the clock in the data.

Cost grows with trades, not with bars: after each bar the engine and the venue say which prices would matter, and the
series is searched for the first bar that reaches one (DESIGN 5). Skipping changes nothing: a test runs both ways.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from core.engine import Cancel, Place, Step, World, advance
from core.facts import Fact
from core.machine import Wake
from core.market import Candle, Intrabar, Quote, path, path_times
from core.series import CandleSeries
from core.simulation import Account

# A tick of the live loop holds five rounds; here nothing waits, so a chain of immediate fills may run out.
ROUNDS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run left behind: the last world and account, how far it went, and how many bars were looked at."""

    world: World
    account: Account
    bars: int
    visited: int
    ended_at: datetime


def run(
    world: World,
    account: Account,
    series: CandleSeries,
    symbol: str,
    *,
    timeframe_s: int,
    intrabar: Intrabar,
    long: bool = True,
    first: int = 0,
    last: int | None = None,
    jump: bool = True,
    keep: Callable[[Step, datetime], None] | None = None,
) -> Result:
    """Run bars `first` up to `last` (exclusive). `keep` receives every step that was not quiet, with its time."""
    end = len(series) if last is None else last
    index, visited = first, 0
    now = _time(series.ts_ms(first))
    while index < end:
        candle = series.bar(index)
        if index > first:
            before = series.bar(index - 1)
            account.jump(symbol, before.close, path_times(before.ts, timeframe_s)[3])
        world = _bar(world, account, candle, symbol, timeframe_s=timeframe_s, intrabar=intrabar, long=long, keep=keep)
        now = path_times(candle.ts, timeframe_s)[3]
        visited += 1
        index = _next(world, account, series, symbol, index + 1) if jump else index + 1
    if end > first:
        closing = series.bar(end - 1)
        account.jump(symbol, closing.close, path_times(closing.ts, timeframe_s)[3])
        now = path_times(closing.ts, timeframe_s)[3]
    return Result(world=world, account=account, bars=end - first, visited=visited, ended_at=now)


def _bar(
    world: World,
    account: Account,
    candle: Candle,
    symbol: str,
    *,
    timeframe_s: int,
    intrabar: Intrabar,
    long: bool,
    keep: Callable[[Step, datetime], None] | None,
) -> World:
    points = path(candle, intrabar, long=long)
    for price, at in zip(points, path_times(candle.ts, timeframe_s), strict=True):
        account.move(symbol, price, at)
        world = settle(world, account, symbol, at, keep)
    return world


def settle(
    world: World, account: Account, symbol: str, now: datetime, keep: Callable[[Step, datetime], None] | None = None
) -> World:
    """Let the engine answer the venue's news at one moment, round by round, until neither has anything to add."""
    quote = account.quote(symbol, now)
    facts: list[Fact] = [*account.news(now)]
    if quote is not None:
        if not facts and asleep(world, quote):
            return world
        facts.append(quote)
    for _ in range(ROUNDS_MAX):
        step = advance(world, facts, now)
        world = step.world
        if keep is not None and not step.quiet:
            keep(step, now)
        if not step.intents:
            return world
        facts = [*_carry_out(account, step, now), *account.news(now)]
    return world


def _carry_out(account: Account, step: Step, now: datetime) -> Iterable[Fact]:
    answers: list[Fact] = []
    for intent in step.intents:
        match intent:
            case Place(order=order):
                answers.append(account.place(order, now))
            case Cancel(order=order):
                answer = account.cancel(order.client_id, now)
                if answer is not None:
                    answers.append(answer)
    return answers


def _next(world: World, account: Account, series: CandleSeries, symbol: str, start: int) -> int:
    if account.due:
        return start
    wake = Wake()
    for bot_id, bot in world.bots.items():
        if bot.state is None:
            return start
        if world.specs[bot_id].instrument.symbol == symbol:
            wake = wake.meet(bot.wake)
    for key, band in world.account_wake.items():
        if key[1] == symbol:
            wake = wake.meet(band)
    # Bots look at bid and ask, the series knows last prices, and resting orders wait for those.
    wake = Wake(*account.last_prices_at(symbol, wake.low, wake.high), wake.deadline).meet(Wake(*account.edges(symbol)))
    index = series.next_outside(start, wake.low, wake.high)
    if wake.deadline is not None:
        # The bar that holds the deadline opens at or before it.
        at_ms = int(wake.deadline.replace(tzinfo=UTC).timestamp() * 1000)
        index = min(index, max(start, series.index_at(at_ms + 1) - 1))
    return index


def _time(ts_ms: int) -> datetime:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).replace(tzinfo=None)


def asleep(world: World, quote: Quote) -> bool:
    """Whether, by the wake contract, nothing would come of telling the engine this quote and no other news."""
    key = (quote.venue, quote.symbol)
    if key in world.account_wake and world.account_wake[key].due(quote.lowest, quote.highest, quote.ts):
        return False
    return all(
        bot.state is not None and not bot.wake.due(quote.lowest, quote.highest, quote.ts) for bot in world.bots.values()
    )


def marked(world: World, symbol: str) -> Decimal:
    """Return the last price that the engine saw of a symbol, or zero before the first."""
    for (_, name), quote in world.quotes.items():
        if name == symbol:
            return quote.last
    return Decimal(0)
