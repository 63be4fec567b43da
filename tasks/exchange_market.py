"""Finished candles and funding rates of a real market, for machines that decide on them.

Binance spot    klines (weight 2)              USD-M   klines (weight 1 to 10 by count), premiumIndex, fundingInfo
others          fetch_ohlcv, fetch_funding_rate
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from core.facts import RateSeen
from core.market import TIMEFRAME_S, Candle
from core.values import ZERO
from tasks.exchange_client import CallFailed, Client
from tasks.exchange_clock import from_ms
from tasks.exchange_parse import number, row_of, time_ms
from tasks.exchange_wire import BadAnswer, Call
from tasks.venue import ReadFailed

# One page of klines; more history than this is the business of the candle store, not of a tick.
CANDLES_MAX = 1000
# Binance pays every eight hours unless fundingInfo names the symbol (its document "Get Funding Rate Info").
USUAL_INTERVAL_H = Decimal(8)
_NAMES = {seconds: name for name, seconds in TIMEFRAME_S.items()}


async def read_candles(client: Client, symbol: str, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
    """Read finished candles that open from `since` on, oldest first; raises `ReadFailed` where one cannot be trusted."""
    start = int(since.replace(tzinfo=UTC).timestamp() * 1000)
    name = _NAMES[timeframe_s]
    try:
        if client.binance:
            asked = {
                "symbol": client.api.market(symbol)["id"],
                "interval": name,
                "startTime": start,
                "limit": CANDLES_MAX,
            }
            swap = client.market == "swap"
            method = client.api.fapiPublicGetKlines if swap else client.api.publicGetKlines
            rows = await client.ask(Call(units=10.0 if swap else 0.4), method, asked)
        else:
            rows = await client.ask(Call(), client.api.fetch_ohlcv, symbol, name, start, CANDLES_MAX)
        if not isinstance(rows, list):
            raise BadAnswer("candles are no list")
        found = [_candle(row) for row in rows]
    except (CallFailed, BadAnswer) as fault:
        raise ReadFailed(f"{client.exchange}: candles of {symbol}: {fault}") from None
    frame = timedelta(seconds=timeframe_s)
    if any(b.ts <= a.ts for a, b in pairwise(found)):
        raise ReadFailed(f"{client.exchange}: candles of {symbol} do not rise in time")
    return [candle for candle in found if candle.ts >= since and candle.ts + frame <= now]


def _candle(row: Any) -> Candle:
    if not isinstance(row, list) or len(row) < 6:
        raise BadAnswer(f"{row!r} is no candle")
    named = dict(zip(("ts", "open", "high", "low", "close", "volume"), row, strict=False))
    opened, high, low, close = (number(named, name) for name in ("open", "high", "low", "close"))
    if low <= ZERO or high < max(opened, close) or low > min(opened, close):
        raise BadAnswer(f"open {opened}, high {high}, low {low}, close {close} is no candle")
    return Candle(from_ms(time_ms(named, "ts")), opened, high, low, close, number(named, "volume"))


async def read_rates(client: Client, venue: str, symbols: Sequence[str], now: datetime) -> list[RateSeen]:
    """Read the funding rate that each perpetual will next apply; raises `ReadFailed`."""
    try:
        if client.binance:
            return await _binance_rates(client, venue, symbols, now)
        found: list[RateSeen] = []
        for symbol in symbols:
            row = row_of(await client.ask(Call(), client.api.fetch_funding_rate, symbol), "a funding rate")
            hours = _hours(row.get("interval"))
            at = from_ms(time_ms(row, "fundingTimestamp"))
            found.append(RateSeen((venue, symbol), number(row, "fundingRate"), hours * 3600.0, at, now))
    except (CallFailed, BadAnswer) as fault:
        raise ReadFailed(f"{client.exchange}: funding rates: {fault}") from None
    return found


async def _binance_rates(client: Client, venue: str, symbols: Sequence[str], now: datetime) -> list[RateSeen]:
    ids = {client.api.market(symbol)["id"]: symbol for symbol in symbols}
    told = await client.ask(Call(), client.api.fapiPublicGetFundingInfo)
    hours = {
        row["symbol"]: number(row, "fundingIntervalHours")
        for row in told or ()
        if row_of(row, "an interval")["symbol"] in ids
    }
    found: list[RateSeen] = []
    for name, symbol in ids.items():
        asked = {"symbol": name}
        row = row_of(await client.ask(Call(), client.api.fapiPublicGetPremiumIndex, asked), "a premium index")
        interval_s = float(hours.get(name, USUAL_INTERVAL_H)) * 3600.0
        at = from_ms(time_ms(row, "nextFundingTime"))
        found.append(RateSeen((venue, symbol), number(row, "lastFundingRate"), interval_s, at, now))
    return found


def _hours(interval: Any) -> float:
    if isinstance(interval, str) and interval.endswith("h") and interval[:-1].isdigit():
        return float(interval[:-1])
    raise BadAnswer(f"the funding interval is {interval!r}; hours such as '8h' would be read")
