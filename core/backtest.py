"""Drives the engine against simulated venues over candle series: the same code as live, with the clock in the data.

Cost grows with trades, not with bars: after each bar the engine and the venues say which prices would matter, and every
series is searched for the first bar that reaches one (DESIGN 5). Skipping changes nothing: a test runs both ways.

Several markets share one clock and one path order: the first track leads, and a bar that is missing on any of them is no
bar at all (RULES 18b).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from core.engine import Cancel, Place, Step, World, advance
from core.facts import BarClosed, Fact, RateSeen
from core.machine import Wake
from core.market import Candle, Intrabar, Market, Quote, path, path_times
from core.series import CandleSeries
from core.simulation import Account

# A tick of the live loop holds five rounds; here nothing waits, so a chain of immediate fills may run out.
ROUNDS_MAX = 64

Accounts = Mapping[str, Account]
Keep = Callable[[Step, datetime], None]
RateRow = tuple[int, Decimal, float]


@dataclass(frozen=True, slots=True)
class Track:
    """The candles of one market."""

    market: Market
    series: CandleSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that is played: tracks of one timeframe, the leading one first; finished longer candles; funding rates.

    `bars` are the candles that machines asked for, by (market, timeframe in seconds). `rates` are rows of (time in ms,
    fraction of notional, interval in seconds), rising in time: known, paid and told at their time only.
    """

    tracks: tuple[Track, ...]
    timeframe_s: int
    intrabar: Intrabar
    long: bool = True
    bars: Mapping[tuple[Market, int], CandleSeries] = field(default_factory=dict[tuple[Market, int], CandleSeries])
    rates: Mapping[Market, Sequence[RateRow]] = field(default_factory=dict[Market, Sequence[RateRow]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run left behind: the last world and accounts, how far it went, how many bars were looked at and left out."""

    world: World
    accounts: Accounts
    bars: int
    visited: int
    ended_at: datetime
    incomplete: int = 0

    @property
    def account(self) -> Account:
        """The first account: the only one where one venue was played."""
        return next(iter(self.accounts.values()))


@dataclass(slots=True)
class _Play:
    """A run under way: what has been told of longer candles and rates, by how many are past.

    `bands` are the last prices between which nothing can happen, track by track, until the engine acts again; None while
    they are not known, and always where every bar is walked.
    """

    scene: Scene
    accounts: Accounts
    keep: Keep | None
    told: dict[tuple[Market, int], int]
    paid: dict[Market, int]
    jump: bool
    markets: tuple[Market, ...]
    bands: tuple[Wake, ...] | None = None


def run(
    world: World,
    accounts: Accounts,
    scene: Scene,
    *,
    first: int = 0,
    last: int | None = None,
    jump: bool = True,
    keep: Keep | None = None,
) -> Result:
    """Run the leading track's bars `first` up to `last` (exclusive).

    `keep` receives every step that was not quiet, with its time. Longer candles that were finished before the first bar are
    told at it: they are the history that indicators start from.
    """
    lead = scene.tracks[0].series
    end = len(lead) if last is None else last
    markets = tuple(track.market for track in scene.tracks)
    play = _Play(scene, accounts, keep, dict.fromkeys(scene.bars, 0), dict.fromkeys(scene.rates, 0), jump, markets)
    _skip_rates(play, lead.ts_ms(first))
    index, visited, incomplete = first, 0, 0
    played = -1
    now = _time(lead.ts_ms(first))
    while index < end:
        candles = _candles_at(scene, index)
        if candles is None:
            incomplete += 1
            index += 1
            continue
        if index > first and index - 1 != played:
            _close_before(play, index - 1)
        world = _bar(world, play, candles, lead.ts_ms(index))
        visited, played = visited + 1, index
        index = _next(world, play, index + 1) if jump else index + 1
    if end > first:
        _close_before(play, end - 1)
        now = path_times(lead.bar(end - 1).ts, scene.timeframe_s)[3]
    return Result(
        world=world, accounts=accounts, bars=end - first, visited=visited, ended_at=now, incomplete=incomplete
    )


def _candles_at(scene: Scene, index: int) -> list[Candle] | None:
    # The bars of all tracks that open with the leading one's, or None where one of them has none.
    lead = scene.tracks[0].series
    found, ts_ms = [lead.bar(index)], lead.ts_ms(index)
    for track in scene.tracks[1:]:
        series, at = track.series, index
        if series is lead:
            found.append(found[0])
            continue
        # Most often both have every bar, and it stands at the same place.
        if at >= len(series) or series.ts_ms(at) != ts_ms:
            at = series.index_at(ts_ms)
            if at >= len(series) or series.ts_ms(at) != ts_ms:
                return None
        found.append(series.bar(at))
    return found


def _close_before(play: _Play, index: int) -> None:
    # Bars that were skipped moved the price without meeting anything.
    lead = play.scene.tracks[0].series
    for track in play.scene.tracks:
        at = index if track.series is lead else track.series.index_at(lead.ts_ms(index) + 1) - 1
        if at >= 0:
            before = track.series.bar(at)
            venue, symbol = track.market
            play.accounts[venue].jump(symbol, before.close, path_times(before.ts, play.scene.timeframe_s)[3])


def _bar(world: World, play: _Play, candles: list[Candle], opens_ms: int) -> World:
    scene = play.scene
    leading = path(candles[0], scene.intrabar, long=scene.long)
    # Correlated markets reach their extremes together: all follow the leading one's order.
    high_first = leading[1] == candles[0].high
    points = [leading, *(_ordered(candle, high_first=high_first) for candle in candles[1:])]
    markets, accounts = play.markets, play.accounts
    news = _opening_news(play, opens_ms) if play.told or play.paid else ()
    for (venue, symbol), candle in zip(markets, candles, strict=True):
        if accounts[venue].rules.participation is not None:
            accounts[venue].open_bar(symbol, candle.volume)
    for step, at in enumerate(path_times(candles[0].ts, scene.timeframe_s)):
        if not news and play.bands is not None and _stays(play, points, step, at):
            for (venue, symbol), prices in zip(markets, points, strict=True):
                accounts[venue].jump(symbol, prices[step], at)
            continue
        for (venue, symbol), prices in zip(markets, points, strict=True):
            accounts[venue].move(symbol, prices[step], at)
        after = settle(world, accounts, markets, at, play.keep, news)
        news = ()
        if after is not world:
            world, play.bands = after, None
        if play.jump and play.bands is None:
            play.bands = _bands(world, play)
    return world


def _stays(play: _Play, points: Sequence[tuple[Decimal, ...]], step: int, now: datetime) -> bool:
    # Whether no price leaves its band on the way to this point, nor the time; where it does not, nothing is met there.
    for band, prices in zip(play.bands or (), points, strict=True):  # noqa: SIM110  a generator costs five times as much
        if band.due(prices[step], prices[step], now):
            return False
    return True


def _bands(world: World, play: _Play) -> tuple[Wake, ...] | None:
    """Return the band of each track, or None where the next point may bring something whatever the price is."""
    for account in play.accounts.values():
        if account.due or account.touched or account.trades:
            return None
    if any(bot.state is None for bot in world.bots.values()):
        return None
    return tuple([_wake_at(world, play.accounts[market[0]], market) for market in play.markets])


def _ordered(candle: Candle, *, high_first: bool) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    if high_first:
        return candle.open, candle.high, candle.low, candle.close
    return candle.open, candle.low, candle.high, candle.close


def _opening_news(play: _Play, now_ms: int) -> tuple[Fact, ...]:
    """Tell what became known with a bar's opening: longer candles that ended, funding that was paid."""
    facts: list[Fact] = []
    for market, rows in play.scene.rates.items():
        while play.paid[market] < len(rows) and rows[play.paid[market]][0] <= now_ms:
            ts_ms, rate, interval_s = rows[play.paid[market]]
            play.paid[market] += 1
            at = _time(ts_ms)
            paid = play.accounts[market[0]].fund(market[1], rate, at)
            facts += [paid] if paid is not None else []
            facts.append(RateSeen(market, rate, interval_s, _time(ts_ms + int(interval_s * 1000)), at))
    for key, series in play.scene.bars.items():
        market, timeframe_s = key
        while play.told[key] < len(series) and series.ts_ms(play.told[key]) + timeframe_s * 1000 <= now_ms:
            facts.append(BarClosed(market, timeframe_s, series.bar(play.told[key])))
            play.told[key] += 1
    return tuple(facts)


def _skip_rates(play: _Play, first_ms: int) -> None:
    # What was paid before the first bar concerned nobody here; a row of that very moment meets no position yet.
    for market, rows in play.scene.rates.items():
        while play.paid[market] < len(rows) and rows[play.paid[market]][0] < first_ms:
            play.paid[market] += 1


def settle(
    world: World,
    accounts: Accounts,
    markets: Sequence[Market],
    now: datetime,
    keep: Keep | None = None,
    told: Sequence[Fact] = (),
) -> World:
    """Let the engine answer the venues' news at one moment, round by round, until neither has anything to add.

    `told` are facts beside those of the venues: candles that ended, funding that was paid.
    """
    facts: list[Fact] = [*told, *_news(accounts, now)]
    quotes: list[Quote] = []
    for venue, symbol in markets:
        quote = accounts[venue].quote(symbol, now)
        if quote is not None:
            quotes.append(quote)
    if not facts and quotes and all(asleep(world, quote) for quote in quotes):
        return world
    facts += quotes
    for _ in range(ROUNDS_MAX):
        step = advance(world, facts, now)
        world = step.world
        if keep is not None and not step.quiet:
            keep(step, now)
        if not step.intents:
            return world
        facts = [*_carry_out(accounts, step, now), *_news(accounts, now)]
    return world


def _news(accounts: Accounts, now: datetime) -> list[Fact]:
    facts: list[Fact] = []
    for account in accounts.values():
        if account.touched or account.trades:
            facts += account.news(now)
    return facts


def _carry_out(accounts: Accounts, step: Step, now: datetime) -> Iterable[Fact]:
    answers: list[Fact] = []
    for intent in step.intents:
        account = accounts[intent.order.venue]
        match intent:
            case Place(order=order):
                answers.append(account.place(order, now))
            case Cancel(order=order):
                answer = account.cancel(order.client_id, now)
                if answer is not None:
                    answers.append(answer)
    return answers


def _next(world: World, play: _Play, start: int) -> int:
    """Return the leading track's first bar, from `start` on, at which anything can happen."""
    lead = play.scene.tracks[0].series
    if play.bands is None:
        play.bands = _bands(world, play)
    if play.bands is None or start >= len(lead):
        return start
    index, deadline = len(lead), _next_told_ms(play)
    if deadline is not None and deadline <= lead.ts_ms(start):
        return start
    for track, wake in zip(play.scene.tracks, play.bands, strict=True):
        if wake.deadline is not None:
            at_ms = int(wake.deadline.replace(tzinfo=UTC).timestamp() * 1000)
            # The bar that holds the deadline opens at or before it.
            index = min(index, max(start, lead.index_at(at_ms + 1) - 1))
        index = min(index, _first_outside(track.series, lead, start, wake))
    if deadline is not None:
        index = min(index, max(start, lead.index_at(deadline)))
    return index


def _first_outside(series: CandleSeries, lead: CandleSeries, start: int, wake: Wake) -> int:
    if series is lead:
        return series.next_outside(start, wake.low, wake.high)
    found = series.next_outside(series.index_at(lead.ts_ms(start)), wake.low, wake.high)
    return len(lead) if found >= len(series) else max(start, lead.index_at(series.ts_ms(found)))


def _next_told_ms(play: _Play) -> int | None:
    # When the next longer candle ends, or the next funding is due.
    times = [
        series.ts_ms(play.told[key]) + key[1] * 1000
        for key, series in play.scene.bars.items()
        if play.told[key] < len(series)
    ]
    times += [rows[play.paid[m]][0] for m, rows in play.scene.rates.items() if play.paid[m] < len(rows)]
    return min(times, default=None)


def _wake_at(world: World, account: Account, market: Market) -> Wake:
    wake = Wake()
    for bot_id, bot in world.bots.items():
        if world.specs[bot_id].instrument.market == market:
            wake = wake.meet(bot.wake)
        elif market in bot.wakes:
            wake = wake.meet(bot.wakes[market])
    if market in world.account_wake:
        wake = wake.meet(world.account_wake[market])
    # Bots look at bid and ask, the series knows last prices, and resting orders wait for those.
    symbol = market[1]
    return Wake(*account.last_prices_at(symbol, wake.low, wake.high), wake.deadline).meet(Wake(*account.edges(symbol)))


def _time(ts_ms: int) -> datetime:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).replace(tzinfo=None)


def asleep(world: World, quote: Quote) -> bool:
    """Whether, by the wake contract, nothing would come of telling the engine this quote and no other news."""
    key = (quote.venue, quote.symbol)
    if key in world.account_wake and world.account_wake[key].due(quote.lowest, quote.highest, quote.ts):
        return False
    for bot_id, bot in world.bots.items():
        if bot.state is None:
            return False
        wake = bot.wake if world.specs[bot_id].instrument.market == key else bot.wakes.get(key, Wake())
        if wake.due(quote.lowest, quote.highest, quote.ts):
            return False
    return True


def marked(world: World, symbol: str) -> Decimal:
    """Return the last price that the engine saw of a symbol, or zero before the first."""
    for (_, name), quote in world.quotes.items():
        if name == symbol:
            return quote.last
    return Decimal(0)
