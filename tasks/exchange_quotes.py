"""Best bid, best ask and last price of many symbols in as few requests as an exchange allows, each checked.

A quote is left out where it cannot be trusted: not a number, not positive, a crossed book, a time from the future. Its
time is the exchange's where it gives one, else the moment of the answer, and is told in the local clock.

    Binance spot    ticker/24hr for the symbols (weight 2 up to 20 of them)
    Binance USD-M   ticker/bookTicker, ticker/price and premiumIndex, the last for marks: of one symbol where only one is
                    wanted (weights 2, 1 and 1), else of all (5, 2 and 10)
    others          fetch_tickers, or fetch_ticker one by one; the order book where a ticker has no bid and ask
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.market import Instrument, Quote
from core.values import ZERO
from tasks.exchange_client import CallFailed, Client
from tasks.exchange_clock import from_ms
from tasks.exchange_errors import FILTER
from tasks.exchange_parse import instrument_of, number, row_of, text, time_ms
from tasks.exchange_wire import BadAnswer, Call
from tasks.venue import ConfigRefused, ReadFailed

# A quote may be this far ahead of us: the error of a clock reading.
AHEAD_S_MAX = 5.0
_NONE: Mapping[str, Decimal] = {}
_SPOT_24HR_UNITS = {20: 0.4, 100: 8.0}


async def read_quotes(client: Client, venue: str, symbols: Sequence[str], now: datetime) -> list[Quote]:
    """Read the quotes; raises `ReadFailed` where the exchange gave no usable answer at all."""
    if not symbols:
        return []
    try:
        if client.binance:
            rows = await (_futures_rows(client, symbols) if client.market == "swap" else _spot_rows(client, symbols))
            if client.market == "swap" and client.knows_marks:
                marks = await _marks(client, symbols)
                rows = {symbol: {**row, "mark": marks.get(symbol)} for symbol, row in rows.items()}
        else:
            rows = await _unified_rows(client, symbols)
    except (CallFailed, BadAnswer) as fault:
        raise ReadFailed(f"{client.exchange}: quotes: {fault}") from None
    found: list[Quote] = []
    for symbol in symbols:
        try:
            found.append(_quote(client, venue, symbol, row_of(rows.get(symbol), symbol), now))
        except BadAnswer:
            continue
    return found


def _quote(client: Client, venue: str, symbol: str, row: Mapping[str, Any], now: datetime) -> Quote:
    bid, ask, last = (number(row, name) for name in ("bid", "ask", "last"))
    if bid <= ZERO or ask <= ZERO or last <= ZERO or bid > ask:
        raise BadAnswer(f"{symbol}: bid {bid}, ask {ask}, last {last} is no market")
    ts = now
    if row.get("ts") is not None:
        offset_ms = client.offset.offset_ms if client.offset is not None else 0
        ts = from_ms(time_ms(row, "ts") - offset_ms)
    if ts > now + timedelta(seconds=AHEAD_S_MAX):
        raise BadAnswer(f"{symbol}: a price of {ts}, which is ahead of {now}")
    mark = number(row, "mark") if row.get("mark") is not None else None
    if mark is not None and mark <= ZERO:
        raise BadAnswer(f"{symbol}: a mark price of {mark} is none")
    return Quote(venue=venue, symbol=symbol, bid=bid, ask=ask, last=last, ts=ts, mark=mark)


async def _spot_rows(client: Client, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
    ids = [client.api.market(symbol)["id"] for symbol in symbols]
    units = next((cost for most, cost in _SPOT_24HR_UNITS.items() if len(ids) <= most), 16.0)
    asked = json.dumps(ids, separators=(",", ":"))
    try:
        told = await client.ask(Call(units=units), client.api.publicGetTicker24hr, {"symbols": asked})
    except CallFailed as fault:
        # A gateway may not know the list of symbols; the prices of all say the same.
        if fault.call.status != 404 and fault.row is not FILTER:
            raise
        return await _rows_of_all(
            client, symbols, client.api.publicGetTickerBookTicker, client.api.publicGetTickerPrice
        )
    return {
        symbol: {
            "bid": row.get("bidPrice"),
            "ask": row.get("askPrice"),
            "last": row.get("lastPrice"),
            "ts": row.get("closeTime"),
        }
        for symbol, row in _by_symbol(client, symbols, told).items()
    }


async def _futures_rows(client: Client, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
    api = client.api
    try:
        return await _rows_of_all(client, symbols, api.fapiPublicGetTickerBookTicker, api.fapiPublicV2GetTickerPrice)
    except CallFailed as fault:
        # A gateway may know only the older route, which gives the same.
        if fault.call.status != 404:
            raise
        return await _rows_of_all(client, symbols, api.fapiPublicGetTickerBookTicker, api.fapiPublicGetTickerPrice)


async def _marks(client: Client, symbols: Sequence[str]) -> dict[str, Any]:
    # The mark price is what liquidates, and what barriers on swaps look at (RULES 9e). A gateway without it is asked once.
    try:
        one = _one(client, symbols)
        told = await client.ask(Call(units=1.0 if one else 10.0), client.api.fapiPublicGetPremiumIndex, one)
    except CallFailed as fault:
        if fault.call.status != 404:
            raise
        client.knows_marks = False
        return {}
    return {symbol: row.get("markPrice") for symbol, row in _by_symbol(client, symbols, told).items()}


async def _rows_of_all(
    client: Client, symbols: Sequence[str], books_of: Any, prices_of: Any
) -> dict[str, dict[str, Any]]:
    one = _one(client, symbols)
    books = _by_symbol(client, symbols, await client.ask(Call(), books_of, one))
    prices = _by_symbol(client, symbols, await client.ask(Call(), prices_of, one))
    return {
        symbol: {
            "bid": row.get("bidPrice"), "ask": row.get("askPrice"), "last": prices.get(symbol, {}).get("price"),
            "ts": row.get("time"),
        }
        for symbol, row in books.items()
    }  # fmt: skip


def _one(client: Client, symbols: Sequence[str]) -> dict[str, str]:
    # What is asked for a single symbol weighs a quarter of the list of all.
    return {"symbol": client.api.market(symbols[0])["id"]} if len(symbols) == 1 else {}


def _by_symbol(client: Client, symbols: Sequence[str], told: Any) -> dict[str, dict[str, Any]]:
    wanted = {client.api.market(symbol)["id"]: symbol for symbol in symbols}
    if isinstance(told, dict) and [told.get("symbol")] == list(wanted):
        told = [told]
    if not isinstance(told, list):
        raise BadAnswer("a list of tickers, or the ticker of the one symbol, was asked for")
    return {wanted[row["symbol"]]: row for row in told if isinstance(row, dict) and row.get("symbol") in wanted}


async def _unified_rows(client: Client, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
    api = client.api
    if api.has["fetchTickers"]:
        tickers = row_of(await client.ask(Call(), api.fetch_tickers, list(symbols)), "the tickers")
    else:
        tickers = {symbol: await client.ask(Call(), api.fetch_ticker, symbol) for symbol in symbols}
    rows: dict[str, dict[str, Any]] = {}
    for symbol in symbols:
        ticker = tickers.get(symbol)
        if not isinstance(ticker, dict):
            continue
        bid, ask = ticker.get("bid"), ticker.get("ask")
        if bid is None or ask is None:
            book = row_of(await client.ask(Call(), api.fetch_order_book, symbol, 5), "the order book")
            bid, ask = _top(book, "bids"), _top(book, "asks")
        rows[symbol] = {"bid": bid, "ask": ask, "last": ticker.get("last"), "ts": ticker.get("timestamp")}
    return rows


def _top(book: Mapping[str, Any], side: str) -> Any:
    levels = book.get(side)
    return levels[0][0] if isinstance(levels, list) and levels and isinstance(levels[0], list) else None


def market_of(client: Client, symbol: str) -> dict[str, Any]:
    """Find a symbol; raises `ConfigRefused` where it is unknown, of the other market, or inverse or quanto."""
    markets: Mapping[str, Any] = client.api.markets or {}
    market = markets.get(symbol)
    if market is None:
        near = next(
            (name for name in (f"{symbol}:{symbol.rpartition('/')[2]}", symbol.partition(":")[0]) if name in markets),
            None,
        )
        hint = f"; this market has {near}" if near else ""
        raise ConfigRefused("symbol", f"{client.exchange} has no {client.market} market {symbol!r}{hint}")
    if not market.get(client.market):
        raise ConfigRefused("symbol", f"{symbol} is no {client.market} market of {client.exchange}")
    if market.get("swap") and (not market.get("linear") or market.get("settle") != market.get("quote")):
        raise ConfigRefused(
            "symbol", f"{symbol} is inverse or quanto; only swaps that settle in their quote asset are traded"
        )
    return market


def instruments_of(
    client: Client, venue: str, symbols: Sequence[str], fees: Mapping[str, Mapping[str, Decimal]] | None = None
) -> dict[str, Instrument]:
    """Read the trading rules of the symbols from the loaded markets; raises `ConfigRefused` or `ReadFailed`."""
    rates = fees or {}
    found: dict[str, Instrument] = {}
    for symbol in symbols:
        market = market_of(client, symbol)
        try:
            found[symbol] = instrument_of(market, venue, client.api.precisionMode, rates.get(symbol, _NONE))
            text(market, "id")
        except BadAnswer as fault:
            raise ReadFailed(f"{client.exchange}: rules of {symbol}: {fault}") from None
    return found
