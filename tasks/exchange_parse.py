"""Turns what ccxt read into facts, or refuses it. Rule: a field that is missing, foreign or no number is never a zero.

Amounts come as text and become `Decimal` unrounded. Contracts become base units here and nowhere else, so that the core
never sees a contract size. Everything raises `BadAnswer` with the field that is wrong.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from core.facts import Fill, Seen, SeenAs
from core.market import Instrument
from core.orders import ClientId
from core.values import ONE, ZERO, Side, plain
from tasks.exchange_clock import from_ms
from tasks.exchange_wire import BadAnswer

# Binance's own words (spot enums.md, USD-M common definitions). A rejected order never rested: over, nothing executed.
BINANCE_STATUS = {
    "NEW": SeenAs.OPEN, "PENDING_NEW": SeenAs.OPEN, "PARTIALLY_FILLED": SeenAs.OPEN, "PENDING_CANCEL": SeenAs.OPEN,
    "FILLED": SeenAs.FILLED, "CANCELED": SeenAs.CANCELED, "REJECTED": SeenAs.EXPIRED, "EXPIRED": SeenAs.EXPIRED,
    "EXPIRED_IN_MATCH": SeenAs.EXPIRED,
}  # fmt: skip
UNIFIED_STATUS = {
    "open": SeenAs.OPEN, "canceling": SeenAs.OPEN, "closed": SeenAs.FILLED, "canceled": SeenAs.CANCELED,
    "expired": SeenAs.EXPIRED, "rejected": SeenAs.EXPIRED,
}  # fmt: skip
# 2010 to 2100: a time outside is a unit mistaken or a field of another kind.
_MS_MIN, _MS_MAX = 1_262_304_000_000, 4_102_444_800_000
_TICK_SIZE, _DECIMAL_PLACES = 4, 2


def number(row: Mapping[str, Any], name: str, *, least: Decimal | None = None) -> Decimal:
    """Read a finite decimal; with `least`, one not below it."""
    value = row.get(name)
    if value is None or isinstance(value, bool | float):
        raise BadAnswer(f"{name} is {value!r}, not a number")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise BadAnswer(f"{name} is {str(value)[:40]!r}, not a number") from None
    if not found.is_finite() or (least is not None and found < least):
        raise BadAnswer(f"{name} is {found}, not a number of at least {least}")
    return found


def text(row: Mapping[str, Any], name: str) -> str:
    """Read a text that says something."""
    value = row.get(name)
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise BadAnswer(f"{name} is {value!r}, not a text")
    return str(value)


def time_ms(row: Mapping[str, Any], name: str) -> int:
    """Read a time in milliseconds of this century."""
    value = number(row, name)
    if not _MS_MIN <= value <= _MS_MAX:
        raise BadAnswer(f"{name} is {value}, not a time in milliseconds")
    return int(value)


def row_of(value: Any, what: str) -> dict[str, Any]:
    """Demand a JSON object."""
    if not isinstance(value, dict) or not value:
        raise BadAnswer(f"{what} is {str(value)[:40]!r}, not an object with fields")
    return value


def seen_of(
    raw: Any, symbol: str, size: Decimal, now: datetime, *, binance: bool, client_id: str | None = None
) -> Seen:
    """Read one order. With `client_id` the answer must be about that order; a foreign one is refused."""
    order = row_of(raw, "the order")
    info = row_of(order.get("info"), "the order's own record")
    told_id = str(info.get("origClientOrderId") or order.get("clientOrderId") or "")
    if client_id is not None and told_id != client_id:
        raise BadAnswer(f"asked for order {client_id}, answered for {told_id!r}")
    if order.get("symbol") != symbol:
        raise BadAnswer(f"asked for {symbol}, answered for {order.get('symbol')!r}")
    qty, executed = number(order, "amount", least=ZERO), number(order, "filled", least=ZERO)
    status = _status(order, info, binance=binance)
    if executed > qty or (status is SeenAs.FILLED and binance and executed != qty):
        raise BadAnswer(f"order {told_id}: {executed} executed of {qty} does not go with status {status}")
    if status is SeenAs.FILLED and executed < qty:
        # Some exchanges call every finished order closed.
        status = SeenAs.CANCELED
    return Seen(ClientId(told_id), text(order, "id"), status, executed * size, now)


def _status(order: Mapping[str, Any], info: Mapping[str, Any], *, binance: bool) -> SeenAs:
    word = info.get("status", info.get("algoStatus")) if binance else order.get("status")
    found = (BINANCE_STATUS if binance else UNIFIED_STATUS).get(str(word))
    if found is None:
        raise BadAnswer(f"order status {word!r} is not one that is known")
    return found


def fill_of(raw: Any, venue: str, symbol: str, client_id: str, size: Decimal, *, swap: bool) -> Fill:
    """Read one own trade; a trade whose fee is not told is refused, because an unknown fee is not zero."""
    trade = row_of(raw, "the trade")
    info = row_of(trade.get("info"), "the trade's own record")
    if trade.get("symbol") != symbol:
        raise BadAnswer(f"asked for trades of {symbol}, answered for {trade.get('symbol')!r}")
    if "commission" in info:
        fee, asset = number(info, "commission"), text(info, "commissionAsset")
    else:
        paid = row_of(trade.get("fee"), f"the fee of trade {trade.get('id')}")
        fee, asset = number(paid, "cost"), text(paid, "currency")
    side = trade.get("side")
    if side not in {"buy", "sell"}:
        raise BadAnswer(f"trade {trade.get('id')} has side {side!r}")
    return Fill(
        venue=venue, symbol=symbol, trade_id=text(trade, "id"), client_id=ClientId(client_id), side=Side(side),
        price=_positive(trade, "price"), qty=_positive(trade, "amount") * size, fee=fee, fee_asset=asset,
        ts=from_ms(time_ms(trade, "timestamp")), maker=trade.get("takerOrMaker") == "maker",
        settled=_settled(info) if swap else ZERO,
    )  # fmt: skip


def _settled(info: Mapping[str, Any]) -> Decimal:
    for name in ("realizedPnl", "closedPnl", "fillPnl"):
        if name in info:
            return number(info, name)
    raise BadAnswer("the trade of a swap does not say its realised profit")


def _positive(row: Mapping[str, Any], name: str) -> Decimal:
    value = number(row, name, least=ZERO)
    if value == ZERO:
        raise BadAnswer(f"{name} is zero")
    return value


def contract_size(market: Mapping[str, Any]) -> Decimal:
    """Base units per contract; 1 on spot."""
    if not market.get("contract"):
        return ONE
    size = market.get("contractSize")
    # ccxt's tables hold some of them as float; the shortest text of it is what the author wrote.
    return _positive({"contractSize": str(size)}, "contractSize")


def instrument_of(
    market: Mapping[str, Any], venue: str, precision_mode: int, fees: Mapping[str, Decimal]
) -> Instrument:
    """Read the trading rules of a market. `fees` may hold the account's own maker and taker rates."""
    size = contract_size(market)
    steps = row_of(market.get("precision"), "precision")
    limits = row_of(market.get("limits"), "limits")
    lot = _step(steps, "amount", precision_mode)
    least = (limits.get("amount") or {}).get("min")
    cost = (limits.get("cost") or {}).get("min")
    return Instrument(
        venue=venue, symbol=text(market, "symbol"), base=text(market, "base"), quote=text(market, "quote"),
        tick_size=_step(steps, "price", precision_mode), lot_step=lot * size,
        min_qty=(lot if least is None else number({"least quantity": least}, "least quantity")) * size,
        min_notional=ZERO if cost is None else number({"least cost": str(cost)}, "least cost"),
        maker=fees.get("maker", _rate(market, "maker")), taker=fees.get("taker", _rate(market, "taker")),
        swap=bool(market.get("swap")), fee_in_base=bool(market.get("spot")), source="the exchange",
    )  # fmt: skip


def _step(steps: Mapping[str, Any], name: str, precision_mode: int) -> Decimal:
    if precision_mode == _TICK_SIZE:
        # Without the zeros that some exchanges append: 0.0100 and 0.01 are one tick, and one text.
        return Decimal(plain(_positive({name: str(steps.get(name))}, name)))
    if precision_mode == _DECIMAL_PLACES:
        return ONE.scaleb(-int(number({name: str(steps.get(name))}, name)))
    raise BadAnswer("prices in significant digits have no tick; this exchange is not supported")


def _rate(market: Mapping[str, Any], name: str) -> Decimal:
    return number({name: str(market.get(name))}, name)
