"""The port of `tasks.venue` over a client that speaks as ccxt does, plain or async: for notebooks.

`gridkeeper run` has a client of its own with a budget of requests, a clock and a decision table for every error
(`tasks.exchange`). This one trusts the client for all that, and keeps the rule that matters most: whatever is not surely
a refusal is an unknown fate, which is asked for and never sent again.
"""

import inspect
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import ccxt

from core.facts import (
    Accepted,
    BalanceRead,
    CancelRefused,
    Fill,
    NotFound,
    PositionRead,
    Refusal,
    Refused,
    Seen,
    SeenAs,
    Unanswered,
)
from core.market import Instrument, Quote
from core.orders import ClientId, Kind, Order
from core.values import ZERO, Side, exact_product, round_fee
from tasks.exchange_parse import UNIFIED_STATUS, instrument_of
from tasks.exchange_wire import BadAnswer
from tasks.instruments import split_symbol
from tasks.manager_paper import paper_rules
from tasks.venue import Answer, CancelAnswer, ReadFailed

# What a client, its connection, or its parsers over a foreign body have been seen to raise.
FAILURES = (
    ccxt.BaseError, OSError, TimeoutError, ArithmeticError, LookupError, AttributeError, TypeError, ValueError, AssertionError,
)  # fmt: skip
# Surely not taken by the exchange; every other error leaves the order's fate unknown.
_REFUSALS: tuple[tuple[type[BaseException], Refusal], ...] = (
    (ccxt.OrderImmediatelyFillable, Refusal.POST_ONLY),
    (ccxt.InsufficientFunds, Refusal.FUNDS),
    (ccxt.RateLimitExceeded, Refusal.RATE),
    (ccxt.InvalidOrder, Refusal.FILTER),
    (ccxt.BadSymbol, Refusal.FILTER),
    (ccxt.AuthenticationError, Refusal.CLOSED),
)


class ClientVenue:
    """One symbol of an account behind a ccxt-like client."""

    def __init__(self, client: Any, symbol: str, instrument: Instrument | None = None) -> None:
        """Take the client; its rules of the symbol count unless `instrument` is given."""
        self.id = instrument.venue if instrument is not None else str(getattr(client, "id", None) or "client")
        self.client = client
        self.symbol = symbol
        self._rules = instrument
        self._sent: dict[str, ClientId] = {}

    def know(self, orders: Sequence[Order]) -> None:
        """Learn the exchange's ids of orders that were sent before a restart."""
        self._sent |= {order.exchange_id: order.client_id for order in orders if order.exchange_id}

    async def start(self, symbols: Sequence[str]) -> None:  # noqa: ARG002  the port's signature
        """Load the client's markets, where it has any; raises `ReadFailed`."""
        if callable(getattr(self.client, "load_markets", None)):
            await self._read("load_markets")

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the trading rules: as given, as the client tells them, else the built-in ones of a common symbol."""
        if self._rules is None:
            self._rules = self._told_rules() or paper_rules(self.symbol, self.id)
        return dict.fromkeys(symbols, self._rules)

    async def quotes(self, symbols: Sequence[str], now: datetime) -> list[Quote]:
        """Read the ticker; raises `ReadFailed` where it has no price."""
        found: list[Quote] = []
        for symbol in symbols:
            raw = await self._read("fetch_ticker", symbol)
            last = _number(raw, "last") or _number(raw, "close")
            bid, ask = _number(raw, "bid") or last, _number(raw, "ask") or last
            if last is None or bid is None or ask is None:
                raise ReadFailed(f"{self.id}: the ticker of {symbol} has no price")
            found.append(Quote(venue=self.id, symbol=symbol, bid=bid, ask=ask, last=last, ts=now))
        return found

    async def open_orders(self, symbols: Sequence[str], now: datetime) -> list[Seen]:
        """Read every open order of the symbols; orders of others come under the ids that they have."""
        found: list[Seen] = []
        for symbol in symbols:
            found += [self._seen(raw, now) for raw in await self._read("fetch_open_orders", symbol)]
        return found

    async def order(self, order: Order, now: datetime) -> Seen | NotFound:
        """Ask for one order: by the exchange's id where it is known, else by its client id."""
        params = {} if order.exchange_id else {"clientOrderId": order.client_id}
        try:
            raw = await self._call("fetch_order", order.exchange_id or order.client_id, order.symbol, params)
        except ccxt.OrderNotFound:
            return NotFound(order.client_id, now)
        except FAILURES as fault:
            raise ReadFailed(f"{self.id}: fetch_order: {fault}") from None
        return self._seen(raw, now, order.client_id)

    async def trades(self, symbol: str, since: datetime, now: datetime) -> list[Fill]:  # noqa: ARG002  the port's signature
        """Read own trades from `since` on, oldest first; those of orders that we did not send are left out."""
        since_ms = int(since.replace(tzinfo=UTC).timestamp() * 1000)
        raws = await self._read("fetch_my_trades", symbol, since_ms)
        fills = [self._fill(raw) for raw in raws]
        return sorted((fill for fill in fills if fill is not None), key=lambda fill: fill.ts)

    async def balances(self, now: datetime) -> list[BalanceRead]:  # noqa: ARG002  the port's signature
        """Read nothing: a manager keeps the books of its own trades alone."""
        return []

    async def positions(self, symbols: Sequence[str], now: datetime) -> list[PositionRead]:  # noqa: ARG002  the port's signature
        """Read nothing, as `balances`."""
        return []

    async def place(self, order: Order, now: datetime) -> Answer:
        """Send one order, once."""
        params: dict[str, Any] = {"clientOrderId": order.client_id}
        if order.post_only:
            params["postOnly"] = True
        if order.reduce_only:
            params["reduceOnly"] = True
        if order.kind is Kind.MARKET and order.price is not None:
            params["timeInForce"] = "IOC"  # a market order here is capped at its price
        kind = "limit" if order.price is not None else "market"
        size = self._rules.contract_size if self._rules is not None else Decimal(1)
        # ccxt takes floats; the shortest text of one is the decimal it was made of, far beyond any lot or tick.
        price = None if order.price is None else float(order.price)
        try:
            raw = await self._call(
                "create_order", order.symbol, kind, order.side.value, float(order.qty / size), price, params
            )
        except FAILURES as fault:
            known = next((why for kinds, why in _REFUSALS if isinstance(fault, kinds)), None)
            if known is not None:
                return Refused(order.client_id, known, str(fault), now)
            return Unanswered(order.client_id, f"{type(fault).__name__}: {fault}", now)
        exchange_id = str(raw.get("id") or "") if isinstance(raw, Mapping) else ""
        if not exchange_id:
            return Unanswered(order.client_id, "the acknowledgement has no id", now)
        self._sent[exchange_id] = order.client_id
        return Accepted(order.client_id, exchange_id, now, _number(raw, "filled") or ZERO)

    async def cancel(self, order: Order, now: datetime) -> CancelAnswer:
        """Cancel one order, once; what became of it is then asked for."""
        try:
            await self._call("cancel_order", order.exchange_id or order.client_id, order.symbol)
        except ccxt.OrderNotFound as fault:
            return CancelRefused(order.client_id, str(fault), now)
        except FAILURES as fault:
            return Unanswered(order.client_id, f"{type(fault).__name__}: {fault}", now)
        try:
            found = await self.order(order, now)
        except ReadFailed as fault:
            return Unanswered(order.client_id, str(fault), now)
        return found if isinstance(found, Seen) else CancelRefused(order.client_id, "gone", now)

    async def close(self) -> None:
        """Leave the client to its owner."""

    async def _call(self, name: str, *args: Any) -> Any:
        answer = getattr(self.client, name)(*args)
        return await answer if inspect.isawaitable(answer) else answer

    async def _read(self, name: str, *args: Any) -> Any:
        try:
            return await self._call(name, *args)
        except FAILURES as fault:
            raise ReadFailed(f"{self.id}: {name}: {type(fault).__name__}: {fault}") from None

    def _told_rules(self) -> Instrument | None:
        markets = getattr(self.client, "markets", None)
        market = markets.get(self.symbol) if isinstance(markets, Mapping) else None
        if not isinstance(market, Mapping):
            return None
        try:
            return instrument_of(_as_text(market), self.id, int(getattr(self.client, "precisionMode", 4)), {})
        except BadAnswer as fault:
            raise ReadFailed(f"{self.id}: rules of {self.symbol}: {fault}") from None

    def _seen(self, raw: Mapping[str, Any], now: datetime, asked: ClientId | None = None) -> Seen:
        exchange_id = str(raw.get("id") or "")
        told = raw.get("clientOrderId") or self._sent.get(exchange_id) or asked or exchange_id
        status = UNIFIED_STATUS.get(str(raw.get("status")))
        filled = _number(raw, "filled")
        if status is None or filled is None or (asked is not None and told != asked):
            raise ReadFailed(f"{self.id}: order {told} came with status {raw.get('status')!r}, filled {filled}")
        amount = _number(raw, "amount")
        if status is SeenAs.FILLED and amount is not None and filled < amount:
            status = SeenAs.CANCELED  # some exchanges call every finished order closed
        size = self._rules.contract_size if self._rules is not None else Decimal(1)
        return Seen(ClientId(str(told)), exchange_id, status, filled * size, now)

    def _fill(self, raw: Mapping[str, Any]) -> Fill | None:
        rules = self._rules
        client_id = self._sent.get(str(raw.get("order"))) or raw.get("clientOrderId")
        if client_id is None or rules is None:
            return None
        price, amount, stamp = _number(raw, "price"), _number(raw, "amount"), _number(raw, "timestamp")
        if price is None or amount is None or stamp is None or raw.get("side") not in {"buy", "sell"}:
            raise ReadFailed(f"{self.id}: trade {raw.get('id')} has no price, amount, side or time")
        qty = amount * rules.contract_size
        fee, asset = _fee(raw, rules, exact_product(price, qty))
        return Fill(
            venue=self.id, symbol=rules.symbol, trade_id=str(raw.get("id")), client_id=ClientId(str(client_id)),
            side=Side(raw["side"]), price=price, qty=qty, fee=fee, fee_asset=asset,
            ts=datetime.fromtimestamp(float(stamp) / 1000, UTC).replace(tzinfo=None),
            maker=raw.get("takerOrMaker") != "taker",
        )  # fmt: skip


def _fee(raw: Mapping[str, Any], rules: Instrument, notional: Decimal) -> tuple[Decimal, str]:
    # A trade that does not tell its fee has one all the same: that of the rules.
    fee = raw.get("fee")
    cost = _number(fee, "cost") if isinstance(fee, Mapping) else None
    if isinstance(fee, Mapping) and cost is not None and fee.get("currency"):
        return cost, str(fee["currency"])
    rate = rules.taker if raw.get("takerOrMaker") == "taker" else rules.maker
    return round_fee(notional * rate), split_symbol(rules.symbol)[1]


def _number(raw: Any, name: str) -> Decimal | None:
    value = raw.get(name) if isinstance(raw, Mapping) else None
    if value is None or isinstance(value, bool) or value == "":
        return None
    found = Decimal(str(value))
    return found if found.is_finite() else None


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_text(one) for name, one in value.items()}
    return repr(value) if isinstance(value, float) else value
