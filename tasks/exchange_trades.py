"""Own trades of an account, all pages, with the client id of the order that each belongs to.

Binance names only its own order id in a trade. Whose it is, is remembered from acknowledgements and lists, and asked
for where it is not known: once per order, for orders of strangers too; a trade without an owner cannot be booked.
"""

from datetime import datetime, timedelta
from typing import Any

from core.facts import Fill
from tasks.exchange_client import CallFailed
from tasks.exchange_clock import to_ms
from tasks.exchange_errors import Verdict
from tasks.exchange_parse import contract_size, fill_of, row_of, text
from tasks.exchange_quotes import market_of
from tasks.exchange_reads import AccountReader
from tasks.exchange_wire import BadAnswer, Call
from tasks.venue import ReadFailed

PAGE_ROWS = 1000
PAGES_MAX = 200
# myTrades takes at most a day between its two times on spot, seven days on USD-M (Binance, account endpoints).
WINDOW = {"spot": timedelta(hours=24), "swap": timedelta(days=7)}
# Owner of a trade whose order the exchange no longer knows.
STRANGER = "unknown"


async def read_trades(reader: AccountReader, symbol: str, since: datetime, now: datetime) -> list[Fill]:
    """Read own trades of a symbol from `since` on, oldest first; raises `ReadFailed` where a page or row is missing."""
    market = market_of(reader.client, symbol)
    pages = _binance_rows(reader, symbol, since, now) if reader.client.binance else _unified_rows(reader, symbol, since)
    found: dict[tuple[str, str], Fill] = {}
    for raw in await pages:
        try:
            owner = await _owner(reader, symbol, raw)
            fill = fill_of(raw, reader.venue, symbol, owner, contract_size(market), swap=bool(market.get("swap")))
        except BadAnswer as fault:
            raise ReadFailed(f"{reader.venue}: a trade of {symbol}: {fault}") from None
        if fill.ts >= since:
            found[fill.trade_id, fill.side] = fill
    return sorted(found.values(), key=lambda fill: (fill.ts, len(fill.trade_id), fill.trade_id))


async def _binance_rows(reader: AccountReader, symbol: str, since: datetime, now: datetime) -> list[Any]:
    fetch = reader.client.api.fetch_my_trades
    start, rows, end = since, [], since
    # An hour ahead, so that a clock behind the exchange's hides nothing.
    while not rows and end < now + timedelta(hours=1):
        end = start + WINDOW[reader.client.market]
        rows = await reader.list_of("trades", fetch, symbol, to_ms(start), PAGE_ROWS, {"endTime": to_ms(end)})
        start = end
    # From the first trade on by id, which no window bounds: `fromId` may not stand beside times. The last id is asked for
    # again: two own orders that traded with each other have one id, and a page may end between its two rows.
    page = rows
    whole = not rows or (len(rows) < PAGE_ROWS and end >= now)
    while not whole:
        if len(rows) >= PAGES_MAX * PAGE_ROWS:
            raise ReadFailed(f"{reader.venue}: more than {PAGES_MAX} pages of trades of {symbol} since {since}")
        last = max(int(text(row_of(row, "the trade"), "id")) for row in page)
        page = await reader.list_of("trades", fetch, symbol, None, PAGE_ROWS, {"fromId": str(last)})
        rows = rows + page
        whole = len(page) < PAGE_ROWS
    return rows


async def _unified_rows(reader: AccountReader, symbol: str, since: datetime) -> list[Any]:
    seen: dict[tuple[str, str], Any] = {}
    start_ms = to_ms(since)
    for _ in range(PAGES_MAX):
        rows = await reader.list_of("trades", reader.client.api.fetch_my_trades, symbol, start_ms)
        # By side too, as they are stored: a trade between two own orders is two rows with one id.
        fresh = {(text(row_of(row, "the trade"), "id"), str(row.get("side"))): row for row in rows}
        if fresh.keys() <= seen.keys():
            return list(seen.values())
        seen |= fresh
        start_ms = max(int(row["timestamp"]) for row in fresh.values())
    raise ReadFailed(f"{reader.venue}: more than {PAGES_MAX} pages of trades of {symbol} since {since}")


async def _owner(reader: AccountReader, symbol: str, raw: Any) -> str:
    trade = row_of(raw, "the trade")
    exchange_id = text(trade, "order")
    told = trade.get("clientOrderId") or row_of(trade.get("info"), "the trade's own record").get("clientOrderId")
    if known := reader.owner(symbol, exchange_id) or told:
        return str(known)
    try:
        order = await reader.client.ask(Call(), reader.client.api.fetch_order, exchange_id, symbol)
    except CallFailed as fault:
        if fault.row.read is not Verdict.MISSING:
            raise ReadFailed(f"{reader.venue}: whose order {exchange_id} was: {fault}") from None
        # Archived after months, or made by the exchange itself: in no case one that still works a leg.
        order = {"id": exchange_id, "clientOrderId": f"{STRANGER}.{exchange_id}"}
    if row_of(order, "the order").get("id") != exchange_id:
        raise BadAnswer(f"asked for order {exchange_id}, answered for {order.get('id')!r}")
    owner = text(order, "clientOrderId")
    reader.learn(symbol, exchange_id, owner)
    return owner
