"""What machines are told of candles and funding: each once, history first, whichever feed plays them."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.facts import BarClosed, FundingPaid, RateSeen
from core.machine import Bars
from core.market import Candle, Instrument, Intrabar
from core.series import ListSeries
from core.simbook import FillRules
from tasks.candles_align import align
from tasks.candles_funding import with_intervals
from tasks.feeds import CandleFeed, SyntheticFeed
from tasks.market_news import Told, read_news
from tasks.paper import PaperVenue
from tests.core.worlds import D, swap
from tests.wire.accounts import SPOT, order

START = datetime(2025, 1, 1)
MARKET = ("perp", "BTC/USDT:USDT")
HOUR_MS = 3_600_000
START_MS = 1_735_689_600_000


class Wants:
    """A session as far as news are concerned: what its bots asked for, and what was told."""

    def __init__(self, *bars: Bars, rates: tuple[Any, ...] = ()) -> None:
        spec = type("Spec", (), {"bars": bars, "rates": rates, "instruments": ()})()
        self.world = type("World", (), {"specs": {"b": spec}})()
        self.portfolio = type("Portfolio", (), {"controllers": ()})()
        self.told = Told()


def minutes(count: int) -> Any:
    """A rising series of minutes as every reader gives it."""
    rows = [
        Candle(START + timedelta(minutes=i), D(100 + i), D(101 + i), D(99 + i), D(100 + i), D(1)) for i in range(count)
    ]
    from core.kernel import ArraySeries
    from core.series import ts_to_ms

    columns = [[int(getattr(row, name) * 100) for row in rows] for name in ("open", "high", "low", "close")]
    import numpy as np

    return ArraySeries(
        np.array([ts_to_ms(row.ts) for row in rows]), *[np.array(c) for c in columns],
        np.array([1] * count), scale=2, volume_scale=0,
    )  # fmt: skip


def venue(folder: Path, **feed: Any) -> PaperVenue:
    """A paper account on a played perpetual."""
    played = CandleFeed(minutes(20), MARKET[1], "1m", Intrabar.OHLC, None, START, "candles", **feed)
    rules: Instrument = swap()
    books, opening = folder / "b.sqlite", {"USDT": D(10_000)}
    return PaperVenue("perp", books, {MARKET[1]: rules}, {MARKET[1]: played}, FillRules(cross=False), opening, 1)


def news(session: Any, at: PaperVenue, minute: float) -> list[Any]:
    """What is new at a minute of played time."""
    return asyncio.run(read_news(session, at, START + timedelta(minutes=minute)))


def test_history_comes_first_and_each_candle_once(tmp_path: Path) -> None:
    """At minute seven the two finished candles of three minutes are told, at nine the third, in between nothing."""
    session, at = Wants(Bars(MARKET, 180, 5)), venue(tmp_path)
    first = news(session, at, 7)
    assert [told.candle.ts for told in first] == [START, START + timedelta(minutes=3)]
    assert isinstance(first[0], BarClosed)
    assert (first[0].candle.high, first[0].candle.volume) == (D("103"), D(3))
    assert news(session, at, 8.5) == []
    assert [told.candle.ts for told in news(session, at, 9)] == [START + timedelta(minutes=6)]


def test_a_warm_up_reaches_back_only_as_far_as_asked(tmp_path: Path) -> None:
    """A machine that needs two candles is told two, not the whole file."""
    session, at = Wants(Bars(MARKET, 60, 2)), venue(tmp_path)
    assert len(news(session, at, 15)) == 2


def test_a_rate_is_told_when_it_is_known_and_once(tmp_path: Path) -> None:
    """Before its time nobody knows it; afterwards it is told one time."""
    rows = ((START_MS + 5 * 60_000, D("0.0002"), 28_800.0),)
    session, at = Wants(rates=(MARKET,)), venue(tmp_path, funding=rows)
    assert news(session, at, 4) == []
    (told,) = news(session, at, 6)
    assert isinstance(told, RateSeen)
    assert (told.market, told.rate, told.ts) == (MARKET, D("0.0002"), START + timedelta(minutes=5))
    assert news(session, at, 7) == []


def test_played_funding_is_paid_into_the_books_once(tmp_path: Path) -> None:
    """A short of 0.1 receives a positive rate on the price before its moment; a reopened account has the record."""
    rows = ((START_MS + 2 * 60_000, D("0.01"), 28_800.0),)
    at = venue(tmp_path, funding=rows)

    async def play(upto: int) -> None:
        for _ in range(upto):
            for moment in await at.moments(START):
                at.take(moment)

    asyncio.run(play(1))
    sell = order(SPOT, "b-test-e0-0-0", "sell", "90", "0.1", venue="perp", symbol=MARKET[1])
    asyncio.run(at.place(sell, START))
    asyncio.run(play(3))
    assert at.account.swaps[MARKET[1]].qty == D("-0.1")

    async def read(who: PaperVenue) -> list[Any]:
        return [*await who.income([MARKET[1]], START, START)]

    paid = asyncio.run(read(at))
    # The candle before closed at 101: 0.1 x 101 x 0.01.
    assert [one.amount for one in paid] == [D("0.101")]
    assert isinstance(paid[0], FundingPaid)
    balance = at.account.balances["USDT"]
    asyncio.run(at.close())
    again = venue(tmp_path, funding=rows)
    assert asyncio.run(read(again)) == paid
    assert again.account.balances["USDT"] == balance


def test_synthetic_candles_are_those_of_the_walk() -> None:
    """Each minute opens at its first second's price and none reaches beyond the walk."""
    rules = swap()
    feed = SyntheticFeed(MARKET[1], D(100), rules, 1, 1.0, START)
    now = START + timedelta(minutes=5, seconds=1)
    found = asyncio.run(feed.candles(60, START - timedelta(hours=1), now))
    assert [candle.ts for candle in found] == [START + timedelta(minutes=i) for i in range(5)]
    moments = asyncio.run(feed.moments(59, START + timedelta(seconds=60)))
    assert moments[0].price == found[1].open


def test_a_perpetual_walks_with_its_spot_market() -> None:
    """One seed and one base give one walk, whatever stands behind the colon."""
    spot = SyntheticFeed("BTC/USDT", D(100), swap(), 1, 1.0, START)
    perp = SyntheticFeed("BTC/USDT:USDT", D(100), swap(), 1, 1.0, START)
    at = START + timedelta(minutes=2)
    assert [m.price for m in asyncio.run(spot.moments(0, at))] == [m.price for m in asyncio.run(perp.moments(0, at))]


def test_markets_are_aligned_on_the_times_that_both_have() -> None:
    """What one lacks is left out of the other, and counted."""
    whole = minutes(10)
    part, left_out = align([whole, whole.between(3, 8)])
    assert left_out == 5
    assert [len(one) for one in part] == [5, 5]
    assert part[0].ts_ms(0) == whole.ts_ms(3)


def test_a_played_pair_reaches_its_extremes_in_one_order() -> None:
    """The second market follows the first one's path, whatever its own candle would suggest."""
    lead = ListSeries([Candle(START, D(100), D(101), D(90), D(95), D(1))], scale=2)
    other = ListSeries([Candle(START, D(100), D(110), D(99), D(105), D(1))], scale=2)
    feed = CandleFeed(other, "X/USDT", "1m", Intrabar.ADAPTIVE, None, START, "", leader=lead)
    assert [m.price for m in asyncio.run(feed.moments(0, START))] == [D(100), D(110), D(99), D(105)]
    alone = CandleFeed(other, "X/USDT", "1m", Intrabar.ADAPTIVE, None, START, "")
    assert [m.price for m in asyncio.run(alone.moments(0, START))] == [D(100), D(99), D(110), D(105)]


def test_intervals_come_from_the_times() -> None:
    """Four hours after four hours, and the usual interval where a payment is missing."""
    rows = [(0, Decimal(1)), (4 * HOUR_MS, Decimal(2)), (8 * HOUR_MS, Decimal(3)), (24 * HOUR_MS, Decimal(4))]
    assert [span for _, _, span in with_intervals(rows)] == [14_400.0] * 4
