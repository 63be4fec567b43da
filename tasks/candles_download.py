"""Downloads candles and funding rates through ccxt: page by page, within the exchange's budget, going on where it stopped.

Candles are asked for in order of time. A page that is empty or short is no end: exchanges skip times without trades and
have pages of their own size, so the next page begins after the last candle, or as much later as a page may hold.
The candle under way is left out, and so is one that no candle can be. Failures of reading are asked again, a few times.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.kernel import ArraySeries, series_of
from core.market import TIMEFRAME_S, Candle
from core.portfolio import VenueConfig
from core.series import ms_to_ts, ts_to_ms
from core.values import ZERO
from tasks.errors import GridkeeperError, Refused
from tasks.exchange_client import CallFailed, Client
from tasks.exchange_errors import Verdict
from tasks.exchange_wire import BadAnswer, Call
from tasks.progress import Progress
from tasks.venue import ConfigRefused

FUNDING = "funding"
PAGE_ROWS = 1000
# What every known exchange has in a page, for jumps over empty ones before any page came.
PAGE_LEAST = 100
# A window is stored whole: what an interruption costs at most.
WINDOW_ROWS = 20_000
TRIES_MOST = 5
WAIT_FIRST_S = 1.0
PATIENCE_S = 60.0
# Binance stamps payments up to 47 ms after the full hour (as in `tasks.candles_funding`).
JITTER_MS_MAX = 1_000
MINUTE_MS = 60_000

Payments = list[tuple[int, Decimal]]
Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a download added to the store, and what it found there."""

    added: int
    stored: int
    first: datetime | None
    last: datetime | None


def download(venue: VenueConfig, symbol: str, timeframe: str, first: datetime, until: datetime) -> Any:
    """Return the candles with first <= ts < until (naive UTC) as a series; for timeframe "funding" pairs of (ms, rate).

    Raises `Refused` for a symbol or timeframe that the exchange does not have, `GridkeeperError` where it does not answer.
    """
    return _run(_download(venue, symbol, timeframe, ts_to_ms(first), ts_to_ms(until)))


def download_into(
    folder: Path, venue: VenueConfig, symbol: str, timeframe: str, first: datetime, until: datetime
) -> Downloaded:
    """Bring the market store of a data folder to all candles from `first` to `until`; raises as `download`, and `Busy`.

    What is stored is not asked for again, and it always is one stretch without a window missing in it: before it windows
    are fetched backwards, after it forwards. So an interrupted download goes on when it is started again.
    """
    from tasks.candles_store import import_candles
    from tasks.market_store import open_market, publish_candles

    step_ms = TIMEFRAME_S[timeframe] * 1000
    with open_market(folder) as con:
        key = [venue.id, symbol, timeframe]
        where = "SELECT min(ts), max(ts), count(*) FROM ohlcv WHERE venue = ? AND symbol = ? AND timeframe = ?"
        low, high, _ = con.execute(where, key).fetchone() or (None, None, 0)
        have = None if low is None or high is None else (ts_to_ms(low), ts_to_ms(high) + step_ms)
        spans = list(windows(ts_to_ms(first), ts_to_ms(until), have, step_ms))
        total = sum((b - a) // step_ms for a, b in spans)
        added = 0
        with Progress("candles", total) as progress:

            def store(series: ArraySeries, done: int) -> None:
                nonlocal added
                added += import_candles(con, series, venue=venue.id, symbol=symbol, timeframe=timeframe).added
                progress.show(done)

            _run(_windows(venue, symbol, timeframe, spans, store, progress.show))
        publish_candles(con, folder, venue.id, symbol, timeframe)
        low, high, count = con.execute(where, key).fetchone() or (None, None, 0)
    return Downloaded(added, count, low, high)


def windows(first: int, until: int, have: tuple[int, int] | None, step_ms: int) -> Iterator[tuple[int, int]]:
    """Cut what is missing of [first, until) into windows, so that what is stored stays one stretch while they are fetched."""
    size = WINDOW_ROWS * step_ms
    if have is not None:
        # A gap between what is wanted and what is stored is fetched too, or the stretch would have a hole.
        end = have[0]
        while end > first:
            yield max(end - size, first), end
            end -= size
        first = have[1]
    while first < until:
        yield first, min(first + size, until)
        first += size


async def _windows(
    venue: VenueConfig, symbol: str, timeframe: str, spans: Sequence[tuple[int, int]],
    store: Callable[[ArraySeries, int], None], show: Step,
) -> None:  # fmt: skip
    done = 0
    async with _Open(venue, symbol) as client:
        for first, until in spans:
            before = done
            series = await _candles(client, symbol, timeframe, first, until, lambda n, at=before: show(at + n))
            done += (until - first) // (TIMEFRAME_S[timeframe] * 1000)
            store(series, done)


async def _download(venue: VenueConfig, symbol: str, timeframe: str, first: int, until: int) -> Any:
    async with _Open(venue, symbol) as client:
        if timeframe == FUNDING:
            return await _funding(client, symbol, first, until)
        return await _candles(client, symbol, timeframe, first, until, lambda _: None)


class _Open:
    # A client without keys: what is public needs none.
    def __init__(self, venue: VenueConfig, symbol: str) -> None:
        self._symbol = symbol
        try:
            self._client = Client(venue.exchange, venue.market, mode="live", api_url=venue.api_url, credentials=None)
        except ConfigRefused as refused:
            raise Refused(str(refused), key=f"venues.{venue.id}") from None

    async def __aenter__(self) -> Client:
        try:
            await _again(self._client.open)
        except GridkeeperError:
            await self._client.close()
            raise
        if self._symbol not in self._client.api.markets:
            await self._client.close()
            raise Refused(
                f"{self._client.exchange} has no {self._symbol}", key="--symbol", accepted="a symbol as ccxt has it"
            )
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


async def _candles(client: Client, symbol: str, timeframe: str, first: int, until: int, show: Step) -> ArraySeries:
    if timeframe not in (client.api.timeframes or {}):
        known = ", ".join(client.api.timeframes or {})
        raise Refused(
            f"{client.exchange} has no candles of {timeframe}", key="--timeframe", accepted=known, given=timeframe
        )
    step_ms = TIMEFRAME_S[timeframe] * 1000
    offset_ms = client.offset.offset_ms if client.offset is not None else 0
    # Only candles that are over: the exchange's clock decides.
    now_ms = int(datetime.now(UTC).timestamp() * 1000) + offset_ms
    until = min(until, now_ms // step_ms * step_ms)
    found: dict[int, Candle] = {}
    async for page in _pages(client, symbol, timeframe, first, until, step_ms):
        found |= page
        if page:
            show((max(page) - first) // step_ms)
    return series_of([found[ms] for ms in sorted(found)])


async def _pages(
    client: Client, symbol: str, timeframe: str, first: int, until: int, step_ms: int
) -> AsyncIterator[dict[int, Candle]]:
    since, most = first, PAGE_LEAST
    while since < until:
        rows: Any = await _ask(client, client.api.fetch_ohlcv, symbol, timeframe, since, PAGE_ROWS)
        page = {ms: candle for ms, candle in map(_candle, rows or ()) if ms >= since}
        most = max(most, len(page))
        # A page that begins beyond the end tells that nothing is before it.
        yield {ms: candle for ms, candle in page.items() if ms < until}
        since = max(page) + step_ms if page else since + most * step_ms


async def _funding(client: Client, symbol: str, first: int, until: int) -> Payments:
    if not client.api.has.get("fetchFundingRateHistory"):
        raise Refused(f"{client.exchange} has no history of funding rates", key="--funding", accepted="a file of them")
    found: dict[int, Decimal] = {}
    since = first
    while since < until:
        rows: Any = await _ask(client, client.api.fetch_funding_rate_history, symbol, since, PAGE_ROWS)
        page: dict[int, Decimal] = {}
        for row in rows or ():
            at, rate = int(row["timestamp"]), Decimal(str(row["fundingRate"]))
            nearest = (at + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS
            page[nearest if abs(at - nearest) <= JITTER_MS_MAX else at] = rate
        fresh = {ms: rate for ms, rate in page.items() if since <= ms}
        if not fresh:
            break
        found |= {ms: rate for ms, rate in fresh.items() if ms < until}
        since = max(fresh) + JITTER_MS_MAX
    return sorted(found.items())


def _candle(row: Any) -> tuple[int, Candle]:
    try:
        ms = int(row[0])
        opened, high, low, close, volume = (Decimal(str(one)) for one in row[1:6])
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise GridkeeperError(f"the exchange sent {row!r}, which is no candle") from None
    if low <= ZERO or high < max(opened, close) or low > min(opened, close) or volume < ZERO:
        raise GridkeeperError(f"the exchange sent {row!r}, which contradicts itself")
    return ms, Candle(ms_to_ts(ms), opened, high, low, close, volume)


async def _ask(client: Client, method: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    async def once() -> Any:
        return await client.ask(Call(patience_s=PATIENCE_S), method, *arguments)

    return await _again(once)


async def _again(once: Callable[[], Awaitable[Any]]) -> Any:
    # Reads change nothing, so they may be repeated; what a person must settle is not.
    wait_s = WAIT_FIRST_S
    for attempt in range(1, TRIES_MOST + 1):
        try:
            return await once()
        except (CallFailed, BadAnswer) as fault:
            final = isinstance(fault, CallFailed) and fault.row.read is not Verdict.AGAIN
            if final or attempt == TRIES_MOST:
                raise GridkeeperError(f"the exchange does not answer: {fault}", key="download") from None
        await asyncio.sleep(wait_s)
        wait_s *= 2
    return None


def _run(work: Any) -> Any:
    # In a thread of its own: the caller may be inside an event loop.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def venue_of(text: str, known: Sequence[VenueConfig], symbol: str) -> VenueConfig:
    """Find the portfolio's venue by its id; else take `text` as an exchange's name in ccxt. Raises `Refused`."""
    for venue in known:
        if venue.id == text:
            return venue
    import ccxt

    if text not in ccxt.exchanges:
        ids = ", ".join(venue.id for venue in known)
        raise Refused(
            f"neither a venue nor an exchange is called {text!r}",
            key="--venue",
            accepted=f"{ids}, or a ccxt name",
            given=text,
        )
    return VenueConfig(id=text, exchange=text, market="swap" if ":" in symbol else "spot")


def spans_of(from_: datetime, to: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Return what is asked for, up to now at most; raises `Refused` where nothing is left."""
    until = min(to, now) if to is not None else now
    if from_ >= until:
        raise Refused(f"{from_} is not before {until:%Y-%m-%d %H:%M}", key="--from", accepted="an earlier time, UTC")
    return from_, until
