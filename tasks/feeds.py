"""Where a paper venue's prices come from, as moments: at this time the price of this symbol was that.

A feed is asked once per tick for the moments since its cursor; the cursor lives in the venue's books, so that a killed
run goes on where it was. Candle feeds give the same four points per candle as the backtest (RULES 16).
"""

import math
import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from core.facts import RateSeen
from core.market import TIMEFRAME_S, Candle, Instrument, Intrabar, Quote, path, path_times
from core.series import CandleSeries, ts_to_ms


@dataclass(frozen=True, slots=True)
class Moment:
    """The price of a symbol at one time; `cursor` is where the feed stands once it was taken in.

    `quote` is set where a real market told bid and ask too. `jump` marks a price that no path leads to.
    """

    at: datetime
    symbol: str
    price: Decimal
    cursor: int
    quote: Quote | None = None
    jump: bool = False
    venue: str = ""


class PriceSource(Protocol):
    """Public prices of a real market; `tasks.live_feed.LivePrices` is one."""

    async def quotes(self, symbols: Sequence[str], now: datetime) -> list[Quote]:
        """Read quotes; what cannot be trusted is left out."""
        ...

    async def candles(self, symbol: str, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Read finished candles that open from `since` on."""
        ...

    async def rates(self, symbols: Sequence[str], now: datetime) -> list[RateSeen]:
        """Read the funding rates that perpetuals will next apply."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Feed(Protocol):
    """A source of moments for one symbol."""

    kind: str
    label: str
    synthetic: bool

    async def moments(self, cursor: int, clock: datetime) -> list[Moment]:
        """Return what happened after `cursor`, up to the wall clock `clock` where the feed follows it."""
        ...

    def ended(self, cursor: int) -> bool:
        """Whether nothing will ever come after `cursor`."""
        ...

    def ticks_left(self, cursor: int) -> int | None:
        """How many ticks will bring something after `cursor`, where that is known."""
        ...

    async def candles(self, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Return finished candles that open from `since` on, oldest first, as far as the feed goes back."""
        ...

    async def rates(self, now: datetime) -> list[RateSeen]:
        """Return the newest funding rate that is known by `now`, at most one; `market` names the symbol alone."""
        ...

    def payments(self, after: datetime, upto: datetime) -> list[tuple[datetime, Decimal]]:
        """Return funding that falls due after one time and up to another: when, and the rate of notional."""
        ...

    async def close(self) -> None:
        """Release what the feed holds."""
        ...


@dataclass(slots=True)
class CandleFeed:
    """Candles of a file. `speed` None gives one candle a tick; a factor plays them against the wall clock.

    The cursor counts path points: four per candle. `epoch` is the wall-clock time at which the first candle opened. A feed
    beside a `leader` (candles of the same times) reaches its extremes in the leader's order. `funding` are rows of (time in
    ms, rate of notional, interval in seconds), rising in time.
    """

    series: CandleSeries
    symbol: str
    timeframe: str
    intrabar: Intrabar
    speed: float | None
    epoch: datetime | None
    label: str
    kind: str = "candles"
    synthetic: bool = False
    long: bool = True
    leader: CandleSeries | None = None
    funding: tuple[tuple[int, Decimal, float], ...] = ()
    _made: dict[int, CandleSeries] = field(default_factory=dict[int, CandleSeries])

    async def moments(self, cursor: int, clock: datetime) -> list[Moment]:
        """Return the rest of the next candle, or every point that the played time has reached."""
        if self.ended(cursor):
            return []
        if self.speed is None:
            return self._candle(cursor // 4)[cursor % 4 :]
        first = _stamp(self.series.ts_ms(0))
        played = first + (clock - (self.epoch or clock)) * self.speed
        found: list[Moment] = []
        while not self.ended(cursor):
            point = self._candle(cursor // 4)[cursor % 4]
            if point.at > played:
                break
            found.append(point)
            cursor = point.cursor
        return found

    def ended(self, cursor: int) -> bool:
        """Whether the file is played out."""
        return cursor >= 4 * len(self.series)

    def ticks_left(self, cursor: int) -> int | None:
        """Count the candles that are left, where each takes one tick."""
        return None if self.speed is not None else -(-(4 * len(self.series) - cursor) // 4)

    async def candles(self, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Return finished candles from the file, made longer where a machine wants longer ones."""
        longer = self._longer(timeframe_s)
        first = longer.index_at(ts_to_ms(since))
        last = longer.index_at(ts_to_ms(now) - timeframe_s * 1000 + 1)
        return [longer.bar(index) for index in range(first, last)]

    async def rates(self, now: datetime) -> list[RateSeen]:
        """Return the newest rate of the funding file that is known by now."""
        now_ms = ts_to_ms(now)
        index = bisect_right(self.funding, now_ms, key=lambda row: row[0])
        if index == 0:
            return []
        ts_ms, rate, interval_s = self.funding[index - 1]
        return [RateSeen(("", self.symbol), rate, interval_s, _stamp(ts_ms + int(interval_s * 1000)), _stamp(ts_ms))]

    def payments(self, after: datetime, upto: datetime) -> list[tuple[datetime, Decimal]]:
        """Return the rows of the funding file that fall due in between."""
        first = bisect_right(self.funding, ts_to_ms(after), key=lambda row: row[0])
        last = bisect_right(self.funding, ts_to_ms(upto), key=lambda row: row[0])
        return [(_stamp(ts_ms), rate) for ts_ms, rate, _ in self.funding[first:last]]

    def _longer(self, timeframe_s: int) -> CandleSeries:
        if timeframe_s == TIMEFRAME_S[self.timeframe]:
            return self.series
        if timeframe_s not in self._made:
            from tasks.candles_resample import resample  # numpy is only needed here

            names = {seconds: name for name, seconds in TIMEFRAME_S.items()}
            self._made[timeframe_s] = resample(self.series, names[timeframe_s], source=self.timeframe)  # type: ignore[arg-type]  every reader gives an ArraySeries
        return self._made[timeframe_s]

    async def close(self) -> None:
        """Hold nothing."""

    def _candle(self, index: int) -> list[Moment]:
        candle = self.series.bar(index)
        times = path_times(candle.ts, TIMEFRAME_S[self.timeframe])
        if self.leader is None:
            prices = path(candle, self.intrabar, long=self.long)
        else:
            first = self.leader.bar(index)
            high_first = path(first, self.intrabar, long=self.long)[1] == first.high
            middle = (candle.high, candle.low) if high_first else (candle.low, candle.high)
            prices = (candle.open, *middle, candle.close)
        return [
            Moment(at, self.symbol, price, 4 * index + number + 1)
            for number, (at, price) in enumerate(zip(times, prices, strict=True))
        ]


# Regimes of the synthetic market: yearly volatility as a fraction, and how often a block of an hour has it.
_REGIMES = ((0.25, 5), (0.60, 4), (1.60, 1))
_SECONDS_A_YEAR = 31_536_000
_BLOCK_S = 3600


@dataclass(slots=True)
class SyntheticFeed:
    """A seeded random walk, one price a second of its own time; plainly no market. The cursor counts seconds.

    Each hour draws its volatility regime and its steps from (seed, symbol, hour) and returns softly towards the start
    price, so that a grid around it stays in play; the same seed gives the same prices on every machine.
    """

    symbol: str
    start: Decimal
    tick: Instrument
    seed: int
    speed: float | None
    epoch: datetime
    label: str = "synthetic prices: no market, made up from a seed"
    kind: str = "synthetic"
    synthetic: bool = True
    _levels: dict[int, list[float]] | None = None

    async def moments(self, cursor: int, clock: datetime) -> list[Moment]:
        """Return the price now (per second of played time), at most the newest 60 s of a long absence."""
        # The first price is there at once: a walk that has just begun stands at its first second.
        now = cursor + 1 if self.speed is None else max(int((clock - self.epoch).total_seconds() * self.speed), 1)
        if now <= cursor:
            return []
        first = max(cursor + 1, now - 59)
        jumped = first > cursor + 1
        return [self._moment(second, jump=jumped and second == first) for second in range(first, now + 1)]

    def ended(self, cursor: int) -> bool:  # noqa: ARG002  the port's signature
        """Never ends."""
        return False

    def ticks_left(self, cursor: int) -> int | None:  # noqa: ARG002  the port's signature
        """Never ends."""
        return None

    async def candles(self, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Return finished candles of the walk, which begins with its first second."""
        frame = timedelta(seconds=timeframe_s)
        speed = self.speed or 1.0
        at = max(_floor(since, frame), _floor(self.epoch, frame))
        found: list[Candle] = []
        while at + frame <= now:
            first = max(int((at - self.epoch).total_seconds() * speed), 1)
            last = int((at + frame - self.epoch).total_seconds() * speed)
            # A minute's walk is told by its seconds; longer ones by every minute of theirs.
            stride = max(timeframe_s // 60, 1)
            prices = [self._moment(second, jump=False).price for second in range(first, max(last, first + 1), stride)]
            found.append(Candle(at, prices[0], max(prices), min(prices), prices[-1], Decimal(0)))
            at += frame
        return found

    async def rates(self, now: datetime) -> list[RateSeen]:  # noqa: ARG002  the port's signature
        """Tell no funding: there is no market that could pay it."""
        return []

    def payments(self, after: datetime, upto: datetime) -> list[tuple[datetime, Decimal]]:  # noqa: ARG002  the port's signature
        """Pay no funding."""
        return []

    async def close(self) -> None:
        """Hold nothing."""

    def _moment(self, second: int, *, jump: bool) -> Moment:
        hour, offset = divmod(second, _BLOCK_S)
        level = self._hour(hour)[offset]
        price = self.start * Decimal(repr(math.exp(level)))
        at = self.epoch + timedelta(seconds=second / (self.speed or 1.0))
        rounded = max((price / self.tick.tick_size).to_integral_value() * self.tick.tick_size, self.tick.tick_size)
        return Moment(at, self.symbol, rounded, second, jump=jump)

    def _hour(self, hour: int) -> list[float]:
        if self._levels is None:
            self._levels = {}
        if hour not in self._levels:
            start = self._hour(hour - 1)[-1] if hour > 0 and hour - 1 in self._levels else self._start_of(hour)
            self._levels = {k: v for k, v in self._levels.items() if k >= hour - 1}
            self._levels[hour] = self._walk(hour, start)
        return self._levels[hour]

    def _start_of(self, hour: int) -> float:
        level = 0.0
        for before in range(hour):
            level = self._walk(before, level)[-1]
        return level

    def _walk(self, hour: int, level: float) -> list[float]:
        # Not for secrets: a seeded walk must repeat.
        # A perpetual walks with its spot market.
        dice = random.Random(f"{self.seed}/{self.symbol.partition(':')[0]}/{hour}")  # noqa: S311
        sigma = dice.choices([v for v, _ in _REGIMES], [w for _, w in _REGIMES])[0] / math.sqrt(_SECONDS_A_YEAR)
        levels: list[float] = []
        for _ in range(_BLOCK_S):
            level += dice.gauss(0.0, sigma) - level * 2e-5
            levels.append(level)
        return levels


@dataclass(slots=True)
class LiveFeed:
    """Real public prices; one moment per reading. The cursor is the reading's time in milliseconds."""

    prices: PriceSource
    symbol: str
    label: str
    kind: str = "live"
    synthetic: bool = False
    _due: list[RateSeen] = field(default_factory=list[RateSeen])

    async def moments(self, cursor: int, clock: datetime) -> list[Moment]:
        """Read the market once; nothing where it could not be read or has not moved on."""
        found: list[Moment] = []
        for quote in await self.prices.quotes([self.symbol], clock):
            stamp = int(quote.ts.replace(tzinfo=UTC).timestamp() * 1000)
            if stamp > cursor:
                found.append(Moment(clock, quote.symbol, quote.last, stamp, quote=quote))
        return found

    def ended(self, cursor: int) -> bool:  # noqa: ARG002  the port's signature
        """Never ends."""
        return False

    def ticks_left(self, cursor: int) -> int | None:  # noqa: ARG002  the port's signature
        """Never ends."""
        return None

    async def candles(self, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Read the real market's finished candles."""
        return await self.prices.candles(self.symbol, timeframe_s, since, now)

    async def rates(self, now: datetime) -> list[RateSeen]:
        """Read the real market's funding rate."""
        found = await self.prices.rates([self.symbol], now)
        self._due += [rate for rate in found if all(rate.next_at != known.next_at for known in self._due)]
        return found

    def payments(self, after: datetime, upto: datetime) -> list[tuple[datetime, Decimal]]:
        """Return payments that fell due, at the last rate that was told before each."""
        due = [rate for rate in self._due if after < rate.next_at <= upto]
        self._due = [rate for rate in self._due if rate.next_at > upto]
        return [(rate.next_at, rate.rate) for rate in due]

    async def close(self) -> None:
        """Close the connection."""
        await self.prices.close()


def _floor(at: datetime, frame: timedelta) -> datetime:
    zero = _stamp(0)
    return zero + (at - zero) // frame * frame


def _stamp(ts_ms: int) -> datetime:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).replace(tzinfo=None)
