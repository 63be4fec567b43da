"""The books of a made-up exchange that behaves as Binance does: spot and USD-M, one account, orders that rest and fill.

No HTTP here. A request that Binance would refuse raises `Rejected` with its code and words.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

D = Decimal
ZERO = D(0)
OPEN = {"NEW", "PARTIALLY_FILLED"}


class Rejected(Exception):
    """An error answer: HTTP status, the exchange's code, its words."""

    def __init__(self, code: int, words: str, status: int = 400) -> None:
        super().__init__(f"{code} {words}")
        self.code, self.words, self.status = code, words, status


@dataclass
class Market:
    """Trading rules and the touch of one symbol; `depth` is what rests at the touch for takers."""

    id: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_qty: Decimal
    min_notional: Decimal
    swap: bool
    bid: Decimal
    ask: Decimal
    last: Decimal
    depth: Decimal = D(1000)
    maker: Decimal = D("0.001")
    taker: Decimal = D("0.001")
    fee_asset: str | None = None
    status: str = "TRADING"
    mark: Decimal | None = None


@dataclass
class Resting:
    """One order from its arrival to its end."""

    id: int
    client_id: str
    market: Market
    side: str
    kind: str
    price: Decimal
    qty: Decimal
    time_ms: int
    tif: str = "GTC"
    reduce_only: bool = False
    stop_price: Decimal = ZERO
    position: str = "BOTH"
    executed: Decimal = ZERO
    quote_executed: Decimal = ZERO
    status: str = "NEW"
    update_ms: int = 0
    worked_by: int = 0

    @property
    def left(self) -> Decimal:
        return self.qty - self.executed


@dataclass
class Trade:
    """One execution of our account."""

    id: int
    order: Resting
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_asset: str
    time_ms: int
    maker: bool
    realized: Decimal = ZERO


@dataclass
class Position:
    """Signed quantity and its average entry price."""

    qty: Decimal = ZERO
    entry: Decimal = ZERO


@dataclass
class Books:
    """One account at one market kind. `free` and `locked` by asset; on swaps `free` is the wallet."""

    swap: bool
    clock_ms: Callable[[], int]
    markets: dict[str, Market] = field(default_factory=dict)
    free: dict[str, Decimal] = field(default_factory=dict)
    locked: dict[str, Decimal] = field(default_factory=dict)
    orders: list[Resting] = field(default_factory=list)
    algos: list[Resting] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)
    hedged: bool = False
    ids: itertools.count = field(default_factory=lambda: itertools.count(1001))
    trade_ids: itertools.count = field(default_factory=lambda: itertools.count(5001))

    def market(self, symbol: str) -> Market:
        if symbol not in self.markets:
            raise Rejected(-1121, "Invalid symbol.")
        return self.markets[symbol]

    def place(self, asked: dict[str, str], *, algo: bool = False) -> Resting:
        """Take an order: check the filters and ids, match what crosses, let the rest be."""
        market = self.market(asked["symbol"])
        order = self._order(market, asked, algo=algo)
        self._check(order, market)
        if algo or order.kind in {"STOP_LOSS", "STOP_LOSS_LIMIT"}:
            (self.algos if algo else self.orders).append(order)
            return order
        crosses = order.price >= market.ask if order.side == "BUY" else order.price <= market.bid
        if order.kind == "MARKET":
            crosses, order.price = True, D("1e9") if order.side == "BUY" else ZERO
        if crosses and order.kind == "LIMIT_MAKER":
            raise Rejected(-2010, "Order would immediately match and take.")
        if crosses and order.tif == "GTX":
            raise Rejected(
                -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."
            )
        self._lock(order)
        self.orders.append(order)
        if crosses:
            touch = market.ask if order.side == "BUY" else market.bid
            self.fill(order, touch, min(order.qty, market.depth), maker=False)
        if order.status in OPEN and (order.tif == "IOC" or order.kind == "MARKET"):
            self._end(order, "EXPIRED")
        return order

    def _order(self, market: Market, asked: dict[str, str], *, algo: bool) -> Resting:
        try:
            qty = D(asked.get("quantity", "0"))
            price = D(asked.get("price", "0"))
            stop = D(asked.get("triggerPrice" if algo else "stopPrice", "0"))
        except ArithmeticError:
            raise Rejected(-1100, "Illegal characters found in a parameter.") from None
        client_id = asked.get("clientAlgoId" if algo else "newClientOrderId", "")
        position = asked.get("positionSide", "BOTH")
        if self.swap and (position != "BOTH") != self.hedged:
            raise Rejected(-4061, "Order's position side does not match user's setting.")
        if self.hedged and "reduceOnly" in asked:
            raise Rejected(-1106, "Parameter 'reduceonly' sent when not required.")
        closes = self.hedged and (asked["side"] == "SELL") == (position == "LONG")
        return Resting(
            next(self.ids), client_id, market, asked["side"], asked["type"], price, qty, self.clock_ms(),
            asked.get("timeInForce", "GTC"), asked.get("reduceOnly") == "true" or closes, stop, position,
            update_ms=self.clock_ms(),
        )  # fmt: skip

    def _check(self, order: Resting, market: Market) -> None:
        if market.status != "TRADING":
            raise Rejected(-1013, "Market is closed.")
        if order.qty < market.min_qty or order.qty % market.step:
            raise Rejected(-1013, "Filter failure: LOT_SIZE")
        if order.kind != "MARKET" and order.price % market.tick:
            raise Rejected(-1013, "Filter failure: PRICE_FILTER")
        price = order.price or market.bid
        if price * order.qty < market.min_notional and not order.reduce_only:
            if market.swap:
                raise Rejected(-4164, f"Order's notional must be no smaller than {market.min_notional}.")
            raise Rejected(-1013, "Filter failure: NOTIONAL")
        if any(o.client_id == order.client_id and o.market is market for o in [*self.open(), *self.algos]):
            if market.swap:
                raise Rejected(-4116, "ClientOrderId is duplicated.")
            raise Rejected(-2010, "Duplicate order sent.")
        if order.reduce_only:
            held = self._held(order).qty
            if held == ZERO or (held > ZERO) == (order.side == "BUY"):
                raise Rejected(-2022, "ReduceOnly Order is rejected.")

    def _lock(self, order: Resting) -> None:
        market = order.market
        if self.swap:
            return
        asset, need = self._need(order, market)
        if self.free.get(asset, ZERO) < need:
            raise Rejected(-2010, "Account has insufficient balance for requested action.")
        self.free[asset] -= need
        self.locked[asset] = self.locked.get(asset, ZERO) + need

    def _need(self, order: Resting, market: Market) -> tuple[str, Decimal]:
        if order.side == "SELL":
            return market.base, order.left
        price = market.ask if order.kind == "MARKET" else order.price
        return market.quote, order.left * price

    def fill(self, order: Resting, price: Decimal, qty: Decimal, *, maker: bool) -> None:
        """Execute a part of an order, book it and note the trade."""
        market, sign = order.market, 1 if order.side == "BUY" else -1
        rate = market.maker if maker else market.taker
        realized = ZERO
        if self.swap:
            fee_asset, fee = market.quote, price * qty * rate
            realized = self._move_position(self._held(order), sign * qty, price)
            self.free[market.quote] = self.free.get(market.quote, ZERO) + realized
        else:
            asset, before = self._need(order, market)
            fee_asset, fee = (market.base, qty * rate) if order.side == "BUY" else (market.quote, price * qty * rate)
        if market.fee_asset is not None:
            fee_asset, fee = market.fee_asset, D("0.0001")
        order.executed += qty
        order.quote_executed += price * qty
        order.update_ms = self.clock_ms()
        order.status = "FILLED" if order.left == ZERO else "PARTIALLY_FILLED"
        if not self.swap:
            self.locked[asset] -= before - self._need(order, market)[1]
            if order.side == "BUY" and order.kind != "MARKET":
                self.free[market.quote] += (order.price - price) * qty
            got, amount = (market.base, qty) if order.side == "BUY" else (market.quote, price * qty)
            self.free[got] = self.free.get(got, ZERO) + amount
        self.free[fee_asset] = self.free.get(fee_asset, ZERO) - fee
        number = next(self.trade_ids)
        self.trades.append(Trade(number, order, price, qty, fee, fee_asset, self.clock_ms(), maker, realized))
        market.last = price

    def _held(self, order: Resting) -> Position:
        # In hedge mode a symbol has two positions, each under its own name.
        side = "" if order.position == "BOTH" else f" {order.position}"
        return self.positions.setdefault(order.market.id + side, Position())

    def _move_position(self, held: Position, qty: Decimal, price: Decimal) -> Decimal:
        if held.qty == ZERO or (held.qty > ZERO) == (qty > ZERO):
            held.entry = (held.entry * abs(held.qty) + price * abs(qty)) / (abs(held.qty) + abs(qty))
            held.qty += qty
            return ZERO
        closed = min(abs(qty), abs(held.qty))
        realized = ((price - held.entry) * closed * (1 if held.qty > ZERO else -1)).quantize(D("1e-8"))
        held.qty += qty
        if abs(qty) > closed:
            held.entry = price
        return realized

    def _end(self, order: Resting, status: str) -> None:
        if not self.swap:
            asset, left = self._need(order, order.market)
            self.locked[asset] -= left
            self.free[asset] += left
        order.status, order.update_ms = status, self.clock_ms()

    def open(self, symbol: str | None = None) -> list[Resting]:
        return [o for o in self.orders if o.status in OPEN and symbol in {None, o.market.id}]

    def find(self, asked: dict[str, str], *, algo: bool = False) -> Resting:
        """Find by client id (the open one first, then the newest) or by id."""
        client_id = asked.get("clientAlgoId" if algo else "origClientOrderId")
        number = asked.get("algoId" if algo else "orderId")
        among = [o for o in (self.algos if algo else self.orders) if algo or o.market.id == asked.get("symbol")]
        hits = [o for o in among if (o.client_id == client_id if client_id else str(o.id) == number)]
        if not hits:
            raise Rejected(-2013, "Order does not exist.")
        return next((o for o in reversed(hits) if o.status in OPEN), hits[-1])

    def cancel(self, asked: dict[str, str], *, algo: bool = False) -> Resting:
        try:
            order = self.find(asked, algo=algo)
        except Rejected:
            raise Rejected(-2011, "Unknown order sent.") from None
        if order.status not in OPEN:
            raise Rejected(-2011, "Unknown order sent.")
        if algo:
            order.status = "CANCELED"
        else:
            self._end(order, "CANCELED")
        return order

    def move(self, symbol: str, price: Decimal | str, share: Decimal | str = "1") -> None:
        """Move the market; what it reaches is filled at its own price, wholly or by `share` of what is left."""
        market, price = self.markets[symbol], D(price)
        market.bid, market.ask, market.last = price, price + market.tick, price
        self._trigger(market, price)
        for order in self.open(symbol):
            if order.kind.startswith("STOP"):
                continue
            reached = order.price >= market.ask if order.side == "BUY" else order.price <= market.bid
            if reached:
                part = order.left * D(share)
                part -= part % market.step
                if order.reduce_only:
                    part = min(part, self._reducible(order))
                if part > ZERO:
                    self.fill(order, order.price, part, maker=True)

    def _reducible(self, order: Resting) -> Decimal:
        held = self._held(order).qty
        return max(held if order.side == "SELL" else -held, ZERO)

    def _trigger(self, market: Market, mark: Decimal) -> None:
        # Conditional orders of USD-M become market orders with an id of their own; what reduces is cut to the position.
        for stop in [o for o in self.algos if o.market is market and o.status == "NEW"]:
            if mark > stop.stop_price if stop.side == "SELL" else mark < stop.stop_price:
                continue
            stop.status, stop.update_ms = "TRIGGERED", self.clock_ms()
            qty = min(stop.qty, self._reducible(stop)) if stop.reduce_only else stop.qty
            worked = Resting(
                next(self.ids), stop.client_id, market, stop.side, "MARKET", ZERO, stop.qty, self.clock_ms(),
                reduce_only=stop.reduce_only, position=stop.position, update_ms=self.clock_ms(),
            )  # fmt: skip
            stop.worked_by = worked.id
            self.orders.append(worked)
            if qty > ZERO:
                self.fill(worked, mark, qty, maker=False)
            if worked.status in OPEN:
                worked.status = "EXPIRED"


def public_market(market: Market) -> dict[str, Any]:
    """The symbol as exchangeInfo shows it."""
    filters = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": str(market.tick),
            "maxPrice": "1000000",
            "tickSize": f"{market.tick:f}0",
        },
        {"filterType": "LOT_SIZE", "minQty": str(market.min_qty), "maxQty": "9000", "stepSize": f"{market.step:f}"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "100", "stepSize": "0"},
    ]
    row: dict[str, Any] = {
        "symbol": market.id, "status": market.status, "baseAsset": market.base, "quoteAsset": market.quote,
        "filters": filters,
    }  # fmt: skip
    if market.swap:
        filters.append({"filterType": "MIN_NOTIONAL", "notional": str(market.min_notional)})
        row |= {
            "pair": market.id, "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "marginAsset": market.quote,
            "pricePrecision": 2, "quantityPrecision": 3, "baseAssetPrecision": 8, "quotePrecision": 8,
            "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }  # fmt: skip
    else:
        filters.append({"filterType": "NOTIONAL", "minNotional": str(market.min_notional), "maxNotional": "9000000"})
        row |= {
            "baseAssetPrecision": 8, "quotePrecision": 8, "quoteAssetPrecision": 8, "isSpotTradingAllowed": True,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"], "permissions": [],
        }  # fmt: skip
    return row
