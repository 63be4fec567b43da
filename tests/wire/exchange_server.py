"""A loopback server that speaks Binance's spot and USD-M REST, for the unmodified ccxt client. Never leaves 127.0.0.1.

It checks signatures, time windows and filters, counts every request, and does the faults that a test planted.
"""

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

from tests.wire.exchange_books import OPEN, Books, D, Market, Rejected, Resting, Trade, public_market
from tests.wire.exchange_faults import Fault, cut
from tests.wire.exchange_sockets import Sockets

API_KEY, SECRET = "key-of-the-test", "secret-of-the-test"
Handler = Callable[[dict[str, str]], Any]
WEIGHTS = {"openOrders": 6, "order": 4, "myTrades": 20, "account": 20, "exchangeInfo": 20, "24hr": 2, "userTrades": 5}


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    params: dict[str, str]
    at_s: float


class ExchangeServer:
    """The exchange in a thread of its own; `with ExchangeServer() as exchange: exchange.url`."""

    def __init__(self) -> None:
        self.ahead_ms = 0
        self.lock = threading.RLock()
        self.spot = Books(False, self.clock_ms)
        self.swap = Books(True, self.clock_ms)
        self.spot.markets["BTCUSDT"] = btc(swap=False)
        self.swap.markets["BTCUSDT"] = btc(swap=True)
        self.spot.free |= {"USDT": D("10000"), "BTC": D("1"), "BNB": D("2")}
        self.swap.free |= {"USDT": D("10000")}
        self.faults: list[Fault] = []
        self.log: list[Asked] = []
        self.weight = 0
        self._used_in: dict[bool, tuple[int, int]] = {}
        self.terms: dict[str, Any] = {"leverage": 20, "marginType": "CROSSED"}
        self.incomes: list[dict[str, Any]] = []
        self.rates: list[dict[str, Any]] = []
        self.deposits: list[dict[str, Any]] = []
        self.withdrawals: list[dict[str, Any]] = []
        self.moves: list[dict[str, Any]] = []
        self.candles: list[list[Any]] = []
        self.may_withdraw = False
        self.url = ""
        self.sockets = Sockets(self, SECRET)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def clock_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port and end the thread; may be called twice."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def plant(self, *faults: Fault) -> None:
        with self.lock:
            self.faults.extend(faults)

    def count(self, method: str, path: str) -> int:
        return sum(asked.method == method and asked.path.endswith(path) for asked in self.log)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade") == "websocket":
            return await self.sockets.serve(request)
        raw = request.query_string if request.method in {"GET", "DELETE"} else await request.text()
        params = dict(parse_qsl(raw))
        with self.lock:
            self.log.append(Asked(request.method, request.path, params, time.monotonic()))
            weighs = weight_of(request.path, params)
            self.weight += weighs
            used = self._used(weighs, swap=request.path.startswith("/fapi"))
            fault = next((f for f in self.faults if f.fits(request.method, request.path)), None)
            if fault is not None:
                fault.times -= 1
        if fault is not None and fault.kind == "late":
            await asyncio.sleep(fault.delay_s)
        with self.lock:
            status, body = 200, None
            if fault is None or fault.accepted:
                status, body = self._answer(request, raw, params)
        headers = {"X-MBX-USED-WEIGHT-1M": str(used)}
        if fault is None:
            return web.json_response(body, status=status, headers=headers)
        return await self._faulty(request, fault, status, body, headers)

    def begin_minute(self) -> None:
        """Let the exchange's minute be over: what was used of the request weight counts no more."""
        self.weight = 0
        self._used_in.clear()

    def _used(self, weighs: int, *, swap: bool) -> int:
        # Binance counts spot and futures apart, and from each full minute anew.
        minute = self.clock_ms() // 60_000
        since, sum_ = self._used_in.get(swap, (minute, 0))
        self._used_in[swap] = minute, weighs + (sum_ if since == minute else 0)
        return self._used_in[swap][1]

    async def _faulty(
        self, request: web.Request, fault: Fault, status: int, body: Any, headers: dict[str, str]
    ) -> web.StreamResponse:
        if fault.kind == "late":
            return web.json_response(body, status=status, headers=headers)
        await asyncio.sleep(fault.delay_s)
        if fault.kind == "cut":
            return cut(request)
        if fault.kind == "answer":
            given = {"Content-Type": "application/json"} | {k.title(): v for k, v in fault.headers.items()}
            return web.Response(body=fault.body.encode(), status=fault.status, headers=headers | given)
        if fault.kind == "right":
            right = fault.change(body) if fault.change is not None else body
            return web.json_response(right, status=status, headers=headers)
        whole = json.dumps(body).encode()
        if fault.kind == "half":
            return web.Response(body=whole[: len(whole) // 2], headers={"Content-Type": "application/json"})
        stream = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
        await stream.prepare(request)
        await stream.write(whole[: len(whole) // 2])
        return cut(request)

    def _answer(self, request: web.Request, raw: str, params: dict[str, str]) -> tuple[int, Any]:
        try:
            handler, signed = self._route(request.method, request.path)
            if signed:
                self._check_signature(request, raw, params)
            return 200, handler(params)
        except Rejected as refusal:
            return refusal.status, {"code": refusal.code, "msg": refusal.words}
        except KeyError as missing:
            return 400, {"code": -1102, "msg": f"Mandatory parameter {missing} was not sent."}

    def _check_signature(self, request: web.Request, raw: str, params: dict[str, str]) -> None:
        if request.headers.get("X-MBX-APIKEY") != API_KEY:
            raise Rejected(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        signed, _, signature = raw.rpartition("&signature=")
        if hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest() != signature:
            raise Rejected(-1022, "Signature for this request is not valid.")
        now, stamp = self.clock_ms(), int(params["timestamp"])
        if not (stamp < now + 1000 and now - stamp <= int(params.get("recvWindow", "5000"))):
            raise Rejected(-1021, "Timestamp for this request is outside of the recvWindow.")

    def _route(self, method: str, path: str) -> tuple[Handler, bool]:
        books = self.swap if path.startswith("/fapi") else self.spot
        name = f"{method} {path.partition('/v')[2].partition('/')[2]}"
        public: dict[str, Handler] = {
            "GET time": lambda p: {"serverTime": self.clock_ms()},
            "GET exchangeInfo": lambda p: {"symbols": [public_market(m) for m in books.markets.values()]},
            "GET ticker/24hr": lambda p: self._tickers(books, p, _day),
            "GET ticker/bookTicker": lambda p: self._tickers(books, p, _touch),
            "GET ticker/price": lambda p: self._tickers(books, p, _price),
            "GET premiumIndex": lambda p: self._tickers(books, p, _mark),
            "GET fundingRate": lambda p: [r for r in self.rates if r["fundingTime"] >= int(p["startTime"])],
            "GET klines": lambda p: [
                row for row in self.candles if int(p.get("startTime", "0")) <= row[0] <= self.clock_ms()
            ][: int(p.get("limit", "500"))],
            "POST listenKey": lambda p: self.sockets.key(),
            "PUT listenKey": lambda p: self.sockets.key(),
            "GET depth": lambda p: _depth(books.market(p["symbol"])),
        }
        private: dict[str, Handler] = {
            "GET openOrders": lambda p: [order_row(o) for o in books.open(p.get("symbol"))],
            "GET allOrders": lambda p: _page(books.orders, p, "orderId", order_row),
            "GET allAlgoOrders": lambda p: _page(books.algos, p, "algoId", algo_row),
            "GET openAlgoOrders": lambda p: [algo_row(o) for o in books.algos if o.status in OPEN],
            "GET order": lambda p: order_row(books.find(p)),
            "POST order": lambda p: order_row(books.place(p)),
            "DELETE order": lambda p: cancel_row(books.cancel(p), swap=books.swap),
            "GET algoOrder": lambda p: algo_row(books.find(p, algo=True)),
            "POST algoOrder": lambda p: algo_row(books.place(p, algo=True)),
            "DELETE algoOrder": lambda p: {"algoId": (o := books.cancel(p, algo=True)).id, "clientAlgoId": o.client_id},
            "GET myTrades": lambda p: self._trades(books, p),
            "GET userTrades": lambda p: self._trades(books, p),
            "GET account": lambda p: self._account(books),
            "GET account/commission": lambda p: {
                "symbol": p["symbol"],
                "standardCommission": _rates(books.market(p["symbol"])),
            },
            "GET commissionRate": lambda p: _futures_rates(books.market(p["symbol"])),
            "GET positionRisk": lambda p: self._positions(books),
            "GET positionSide/dual": lambda p: {"dualSidePosition": self.swap.hedged},
            "GET symbolConfig": lambda p: [{"symbol": p["symbol"]} | self.terms],
            "POST leverage": lambda p: self._set(leverage=int(p["leverage"])),
            "POST marginType": lambda p: self._set(marginType=p["marginType"]),
            "GET income": self._income,
            "GET capital/deposit/hisrec": lambda p: _between(self.deposits, p, "insertTime"),
            "GET capital/withdraw/history": lambda p: self.withdrawals,
            "GET asset/transfer": lambda p: {
                "total": len(self.moves),
                "rows": [m for m in _between(self.moves, p, "timestamp") if m["type"] == p["type"]],
            },
            "GET account/apiRestrictions": lambda p: {"enableWithdrawals": self.may_withdraw, "enableReading": True},
        }
        if name in public:
            return public[name], False
        if name in private:
            return private[name], True
        raise Rejected(-5000, f"Path {path}, Method {method} is invalid", 404)

    def _tickers(self, books: Books, params: dict[str, str], row: Callable[[Market, int], dict[str, Any]]) -> Any:
        now = self.clock_ms()
        if "symbol" in params:
            return row(books.market(params["symbol"]), now)
        names = json.loads(params["symbols"]) if "symbols" in params else list(books.markets)
        return [row(books.market(name), now) for name in names]

    def _trades(self, books: Books, params: dict[str, str]) -> list[dict[str, Any]]:
        symbol = books.market(params["symbol"])
        if "fromId" in params and ("startTime" in params or "endTime" in params):
            raise Rejected(-1128, "Combination of optional parameters invalid.")
        start, end = int(params.get("startTime", "0")), int(params.get("endTime", str(10**15)))
        if "startTime" in params and "endTime" in params and end - start > (7 if books.swap else 1) * 86_400_000:
            raise Rejected(-1127, "More than allowed hours between startTime and endTime.")
        rows = [
            trade_row(t) for t in books.trades
            if t.order.market is symbol and start <= t.time_ms <= end and t.id >= int(params.get("fromId", "0"))
        ]  # fmt: skip
        return rows[: int(params.get("limit", "500"))]

    def _set(self, **terms: Any) -> dict[str, Any]:
        self.terms |= terms
        return {"code": 200, "msg": "success"} | terms

    def _income(self, params: dict[str, str]) -> list[dict[str, Any]]:
        start, end = int(params["startTime"]), int(params["endTime"])
        if end - start > 7 * 86_400_000:
            raise Rejected(-4166, "Search window is restricted to recent 7 days.")
        return [row for row in self.incomes if start <= row["time"] <= end][: int(params["limit"])]

    def _account(self, books: Books) -> dict[str, Any]:
        if books.swap:
            return {
                "assets": [
                    {"asset": a, "walletBalance": str(v), "marginBalance": str(v), "initialMargin": "0"}
                    for a, v in books.free.items()
                ],
                "positions": [],
            }
        held = {a: (books.free.get(a, D(0)), books.locked.get(a, D(0))) for a in books.free | books.locked}
        return {
            "balances": [{"asset": a, "free": str(f), "locked": str(k)} for a, (f, k) in held.items()],
            "canTrade": True,
        }

    def _positions(self, books: Books) -> list[dict[str, Any]]:
        return [
            {
                "symbol": name.partition(" ")[0], "positionSide": name.partition(" ")[2] or "BOTH",
                "positionAmt": str(p.qty), "entryPrice": str(p.entry),
            }
            for name, p in books.positions.items() if p.qty != 0
        ]  # fmt: skip


def _between(rows: list[dict[str, Any]], p: dict[str, str], name: str) -> list[dict[str, Any]]:
    return [row for row in rows if int(p["startTime"]) <= row[name] <= int(p["endTime"])]


def _page(orders: list[Resting], p: dict[str, str], name: str, row: Callable[[Resting], Any]) -> list[Any]:
    rows = [row(o) for o in orders if o.market.id == p["symbol"] and o.id >= int(p.get(name, "0"))]
    return rows[: int(p.get("limit", "500"))]


def weight_of(path: str, params: dict[str, str]) -> int:
    """What a request weighs; the open orders of all symbols at once weigh as much as those of many."""
    route = path.rpartition("/")[2]
    if route == "openOrders":
        one, every = (1, 40) if path.startswith("/fapi") else (WEIGHTS[route], 80)
        return one if "symbol" in params else every
    return WEIGHTS.get(route, 1)


def btc(*, swap: bool) -> Market:
    """BTC against USDT at 60,000."""
    rules = (D("0.1"), D("0.001"), D("0.001"), D(100)) if swap else (D("0.01"), D("0.00001"), D("0.00001"), D(5))
    fees = {"maker": D("0.0002"), "taker": D("0.0005")} if swap else {}
    price = D(60000)
    return Market("BTCUSDT", "BTC", "USDT", *rules, swap, price, price + rules[0], price, **fees)


def order_row(o: Resting) -> dict[str, Any]:
    """An order as POST, GET and openOrders show it."""
    average = o.quote_executed / o.executed if o.executed else D(0)
    return {
        "symbol": o.market.id, "orderId": o.id, "clientOrderId": o.client_id, "price": str(o.price),
        "origQty": str(o.qty),
        "executedQty": str(o.executed), "cummulativeQuoteQty": str(o.quote_executed), "cumQuote": str(o.quote_executed),
        "avgPrice": str(average), "status": o.status, "timeInForce": o.tif, "type": o.kind, "side": o.side,
        "stopPrice": str(o.stop_price), "time": o.time_ms, "updateTime": o.update_ms, "transactTime": o.update_ms,
        "reduceOnly": o.reduce_only, "positionSide": o.position,
    }  # fmt: skip


def cancel_row(o: Resting, *, swap: bool) -> dict[str, Any]:
    """A cancelled order: spot answers with the id of the cancel itself and keeps ours in origClientOrderId."""
    row = order_row(o)
    return row if swap else row | {"origClientOrderId": o.client_id, "clientOrderId": "cancel-of-the-exchange"}


def algo_row(o: Resting) -> dict[str, Any]:
    """A conditional order of USD-M."""
    return {
        "algoId": o.id, "clientAlgoId": o.client_id, "algoType": "CONDITIONAL", "orderType": o.kind,
        "symbol": o.market.id,
        "side": o.side, "timeInForce": o.tif, "quantity": str(o.qty), "algoStatus": o.status,
        "triggerPrice": str(o.stop_price),
        "price": str(o.price), "reduceOnly": o.reduce_only, "createTime": o.time_ms, "updateTime": o.update_ms,
        "actualOrderId": str(o.worked_by or ""),
    }  # fmt: skip


def trade_row(t: Trade) -> dict[str, Any]:
    """A trade of the account."""
    row = {
        "symbol": t.order.market.id, "id": t.id, "orderId": t.order.id, "price": str(t.price), "qty": str(t.qty),
        "quoteQty": str(t.price * t.qty), "commission": str(t.fee), "commissionAsset": t.fee_asset, "time": t.time_ms,
    }  # fmt: skip
    buyer = t.order.side == "BUY"
    if t.order.market.swap:
        return row | {
            "side": t.order.side,
            "buyer": buyer,
            "maker": t.maker,
            "realizedPnl": str(t.realized),
            "positionSide": t.order.position,
        }
    return row | {"isBuyer": buyer, "isMaker": t.maker, "isBestMatch": True, "orderListId": -1}


def _touch(m: Market, now: int) -> dict[str, Any]:
    row = {"symbol": m.id, "bidPrice": str(m.bid), "bidQty": "1", "askPrice": str(m.ask), "askQty": "1"}
    return row | ({"time": now} if m.swap else {})


def _price(m: Market, now: int) -> dict[str, Any]:
    return {"symbol": m.id, "price": str(m.last), "time": now}


def _mark(m: Market, now: int) -> dict[str, Any]:
    rate = {"lastFundingRate": "0.0001", "nextFundingTime": now}
    return {"symbol": m.id, "markPrice": str(m.mark or m.last), "time": now} | rate


def _day(m: Market, now: int) -> dict[str, Any]:
    return _touch(m, now) | {"lastPrice": str(m.last), "closeTime": now, "openTime": now - 86_400_000, "volume": "1"}


def _depth(m: Market) -> dict[str, Any]:
    return {"lastUpdateId": 1, "bids": [[str(m.bid), str(m.depth)]], "asks": [[str(m.ask), str(m.depth)]]}


def _rates(m: Market) -> dict[str, str]:
    return {"maker": str(m.maker), "taker": str(m.taker), "buyer": "0", "seller": "0"}


def _futures_rates(m: Market) -> dict[str, str]:
    return {"symbol": m.id, "makerCommissionRate": str(m.maker), "takerCommissionRate": str(m.taker)}
