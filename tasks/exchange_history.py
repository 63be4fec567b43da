"""All orders of an account that an exchange still lists, open and over, for a rebuild without the store.

Binance pages orders by id (allOrders, `orderId` onwards) and keeps them for ninety days; of USD-M those that ended
unfilled are gone after three (Query Order, both markets). Conditional orders of USD-M have a list of their own; one that
fired is worked by an order with another id, whose executions are the stop's.
Elsewhere the unified lists of open and closed orders are read as far back as ninety days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from core.orders import ClientId, Kind
from core.recovery import OwnOrder
from core.values import ZERO, Side
from tasks.exchange_clock import from_ms, to_ms
from tasks.exchange_parse import contract_size, number, row_of, seen_of, text, time_ms
from tasks.exchange_quotes import market_of
from tasks.exchange_reads import AccountReader
from tasks.exchange_wire import BadAnswer
from tasks.venue import ReadFailed

PAGE_ROWS = 1000
PAGES_MAX = 200
KEPT = timedelta(days=90)
# An order at the edge of what is kept may be gone between two readings.
EDGE = timedelta(days=3)


async def read_history(
    reader: AccountReader, symbols: Sequence[str], now: datetime
) -> tuple[list[OwnOrder], datetime | None]:
    """Read every order of the symbols, oldest first, and since when they are complete (None: since the first one).

    Raises `ReadFailed` where a page or row could not be read.
    """
    found: list[OwnOrder] = []
    for symbol in symbols:
        rows = await (_binance_rows(reader, symbol) if reader.client.binance else _unified_rows(reader, symbol, now))
        fired = {worked: row for row in rows if (worked := _worked_by(row))}
        for raw in rows:
            if _worked_by(raw):
                continue
            try:
                order = _order_of(reader, symbol, raw, now)
                stop = fired.get(order.exchange_id)
                order = order if stop is None else _stop_that_fired(order, stop)
            except BadAnswer as fault:
                raise ReadFailed(f"{reader.venue}: an order of {symbol}: {fault}") from None
            reader.learn(symbol, order.exchange_id, order.client_id)
            found.append(order)
    found.sort(key=lambda order: (order.created_at, order.client_id))
    reaches = now - KEPT + EDGE
    whole = reader.client.binance and (not found or found[0].created_at > reaches)
    return found, None if whole else now - KEPT


async def _binance_rows(reader: AccountReader, symbol: str) -> list[Any]:
    kinds: list[dict[str, Any]] = [{}, {"trigger": True}] if reader.client.market == "swap" else [{}]
    rows: list[Any] = []
    for kind in kinds:
        name, first = ("algoId" if kind else "orderId"), 1
        for _ in range(PAGES_MAX):
            asked = (symbol, None, PAGE_ROWS, {**kind, name: first})
            page = await reader.list_of("all orders", reader.client.api.fetch_orders, *asked)
            rows += page
            if len(page) < PAGE_ROWS:
                break
            first = max(int(row["id"]) for row in page) + 1
        else:
            raise ReadFailed(f"{reader.venue}: more than {PAGES_MAX} pages of orders of {symbol}")
    return rows


async def _unified_rows(reader: AccountReader, symbol: str, now: datetime) -> list[Any]:
    api = reader.client.api
    rows = {row["id"]: row for row in await reader.list_of("open orders", api.fetch_open_orders, symbol)}
    start_ms = to_ms(now - KEPT)
    ask = api.fetch_orders if api.has.get("fetchOrders") else api.fetch_closed_orders
    for _ in range(PAGES_MAX):
        page = await reader.list_of("closed orders", ask, symbol, start_ms)
        fresh = {row["id"]: row for row in page if row["id"] not in rows}
        if not fresh:
            return list(rows.values())
        rows |= fresh
        start_ms = max(int(row["timestamp"]) for row in fresh.values())
    raise ReadFailed(f"{reader.venue}: more than {PAGES_MAX} pages of orders of {symbol}")


def _order_of(reader: AccountReader, symbol: str, raw: Any, now: datetime) -> OwnOrder:
    size = contract_size(market_of(reader.client, symbol))
    seen = seen_of(raw, symbol, size, now, binance=reader.client.binance)
    order = row_of(raw, "the order")
    info = row_of(order.get("info"), "the order's own record")
    side = order.get("side")
    if side not in {"buy", "sell"}:
        raise BadAnswer(f"order {seen.client_id} has side {side!r}")
    created = from_ms(time_ms(order, "timestamp"))
    updated = order.get("lastUpdateTimestamp") or order.get("lastTradeTimestamp")
    price = number(order, "price", least=ZERO) if order.get("price") is not None else ZERO
    stop = order.get("triggerPrice") or order.get("stopPrice")
    return OwnOrder(
        venue=reader.venue, symbol=symbol, client_id=seen.client_id, exchange_id=seen.exchange_id, side=Side(side),
        kind=_kind(order, info, stopped=bool(stop)), price=price or None, qty=number(order, "amount", least=ZERO) * size,
        executed=seen.executed, status=seen.status, created_at=created,
        updated_at=from_ms(int(updated)) if updated else created,
        post_only=bool(order.get("postOnly")) or info.get("timeInForce") == "GTX",
        reduce_only=order.get("reduceOnly") is True or str(info.get("reduceOnly")).lower() == "true",
        stop_price=number({"stop": str(stop)}, "stop") if stop else None,
    )  # fmt: skip


def _worked_by(raw: Any) -> str:
    info = raw.get("info") if isinstance(raw, dict) else None
    worked = str((info or {}).get("actualOrderId") or "")
    return "" if worked == "0" else worked


def _stop_that_fired(worked: OwnOrder, stop: Mapping[str, Any]) -> OwnOrder:
    info = row_of(stop.get("info"), "the stop's own record")
    price = number(info, "triggerPrice")
    return replace(
        worked, client_id=ClientId(text(info, "clientAlgoId")), kind=Kind.STOP_MARKET, price=None, stop_price=price
    )


def _kind(order: Mapping[str, Any], info: Mapping[str, Any], *, stopped: bool) -> Kind:
    limit = order.get("type") in {"limit", "LIMIT_MAKER"} or str(info.get("type", "")).upper() in {
        "LIMIT",
        "LIMIT_MAKER",
    }
    if stopped:
        return Kind.STOP_LIMIT if limit or order.get("price") else Kind.STOP_MARKET
    # Ours with a cap are immediate-or-cancel: a market order that may not fill at any price.
    capped = order.get("timeInForce") == "IOC" or info.get("timeInForce") == "IOC"
    return Kind.LIMIT if limit and not capped else Kind.MARKET
