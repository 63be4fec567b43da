"""Tells machines of finished candles and funding rates: each candle once and in order, rates as they change.

What was told is kept in memory alone. After a start the history that indicators need is told again; a machine ignores
candles that are not newer than its last (docs/strategies).
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.facts import BarClosed, RateSeen
from core.machine import Bars
from core.market import Market
from tasks.venue import TellsMarket, Venue

if TYPE_CHECKING:
    from tasks.session import Session

# A funding rate moves slowly; Binance updates its estimate every minute.
RATES_EVERY_S = 60.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


class Told:
    """What was told so far: the newest candle's opening by market and timeframe, the newest rate and its time by market."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self.bars: dict[tuple[Market, int], datetime] = {}
        self.rates: dict[Market, datetime] = {}
        self.newest: dict[Market, RateSeen] = {}
        self.rates_read: dict[str, datetime] = {}


async def read_news(session: "Session", venue: Venue, now: datetime) -> list[BarClosed | RateSeen]:
    """Read what machines asked for and was not told yet; raises `ReadFailed` as the venue does."""
    if not isinstance(venue, TellsMarket):
        return []
    news: list[BarClosed | RateSeen] = []
    for wanted in _wanted_bars(session, venue.id):
        news += await _bars(session.told, venue, wanted, now)
    news += await _rates(session, venue, now)
    return news


def _wanted_bars(session: "Session", venue: str) -> list[Bars]:
    longest: dict[tuple[Market, int], Bars] = {}
    for spec in session.world.specs.values():
        for one in spec.bars:
            key = (one.market, one.timeframe_s)
            if one.market[0] == venue and (key not in longest or longest[key].warmup < one.warmup):
                longest[key] = one
    return list(longest.values())


async def _bars(told: Told, venue: TellsMarket, wanted: Bars, now: datetime) -> list[BarClosed]:
    frame = timedelta(seconds=wanted.timeframe_s)
    key = (wanted.market, wanted.timeframe_s)
    last = told.bars.get(key)
    current = _EPOCH + (now - _EPOCH) // frame * frame
    since = last + frame if last is not None else current - frame * wanted.warmup
    if last is not None and now < since + frame:
        return []
    found = await venue.candles(wanted.market[1], wanted.timeframe_s, since, now)
    if found:
        told.bars[key] = found[-1].ts
    return [BarClosed(wanted.market, wanted.timeframe_s, candle) for candle in found]


async def _rates(session: "Session", venue: TellsMarket, now: datetime) -> list[RateSeen]:
    markets = [m for spec in session.world.specs.values() for m in spec.rates]
    traded = {one.market for spec in session.world.specs.values() for one in spec.instruments}
    markets += [m for c in session.portfolio.controllers for m in c.wants_rates() if m in traded]
    symbols = sorted({m[1] for m in markets if m[0] == venue.id})
    last = session.told.rates_read.get(venue.id)
    if not symbols or (not venue.rates_are_free and last is not None and now < last + timedelta(seconds=RATES_EVERY_S)):
        return []
    found = [rate for rate in await venue.rates(symbols, now) if rate.ts != session.told.rates.get(rate.market)]
    session.told.rates_read[venue.id] = now
    session.told.rates |= {rate.market: rate.ts for rate in found}
    session.told.newest |= {rate.market: rate for rate in found}
    return found
