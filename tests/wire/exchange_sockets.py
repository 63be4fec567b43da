"""The web sockets of the loopback exchange: Binance's market streams and user data of spot and USD-M.

A price is sent when it changes, as at the exchange; an order when it does. What a test asks for goes wrong: streams fall
silent while their socket stays open, sockets are cut or refused, nonsense is sent.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import WSMsgType, web

from tests.wire.exchange_books import Books, Market, Resting

EVERY_S = 0.02
MARK_EVERY_S = 0.2


@dataclass
class Line:
    """One open socket: what it is subscribed to and what was last sent of it."""

    path: str
    books: Books
    socket: web.WebSocketResponse
    private: bool = False
    streams: list[str] = field(default_factory=list)
    sent: dict[str, Any] = field(default_factory=dict)
    raw: list[str] = field(default_factory=list)


class Sockets:
    """All open sockets of one exchange server. `mute` names streams that say nothing: bookTicker, aggTrade, orders, …"""

    def __init__(self, server: Any, secret: str) -> None:
        self.server, self.secret = server, secret
        self.lines: list[Line] = []
        self.dials: list[str] = []
        self.mute: set[str] = set()
        self.refuse: list[int] = []
        self.elsewhere = ""
        self.keys: list[str] = []
        self.sent = 0

    def key(self) -> dict[str, str]:
        """Give the listen key out that is valid, or the first."""
        if not self.keys:
            self.keys.append("listen-key-of-the-test-1")
        return {"listenKey": self.keys[-1]}

    def say(self, text: str) -> None:
        """Send a text on every open socket."""
        with self.server.lock:
            for line in self.lines:
                line.raw.append(text)

    def expire(self) -> None:
        """End the listen key, as an hour without renewal does."""
        self.say(json.dumps({"e": "listenKeyExpired", "listenKey": self.keys[-1], "E": self.server.clock_ms()}))
        self.keys.append(f"listen-key-of-the-test-{len(self.keys) + 1}")

    def cut(self) -> None:
        """Drop every connection without a word."""
        with self.server.lock:
            for line in self.lines:
                if line.socket._req is not None and line.socket._req.transport is not None:
                    self.server._loop.call_soon_threadsafe(line.socket._req.transport.abort)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Speak on one socket until it ends."""
        self.dials.append(request.path)
        if self.refuse:
            where = {"Location": self.elsewhere + request.path} if self.elsewhere else {}
            return web.json_response({}, status=self.refuse.pop(0), headers={"Retry-After": "1"} | where)
        swap = not (request.path.startswith("/ws/") or request.path.startswith("/ws-api"))
        private = request.path.startswith("/private")
        if private and request.query.get("listenKey") not in self.keys[-1:]:
            return web.json_response({}, status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        books = self.server.swap if swap else self.server.spot
        line = Line(request.path, books, socket, private)
        line.sent |= {str(order.id): _state(order) for order in books.orders}
        with self.server.lock:
            self.lines.append(line)
        telling = asyncio.create_task(self._tell(line))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_json(self._asked(line, json.loads(message.data)))
        finally:
            telling.cancel()
            with self.server.lock:
                self.lines.remove(line)
        return socket

    def _asked(self, line: Line, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["method"] == "SUBSCRIBE":
            with self.server.lock:
                line.streams += asked["params"]
                for market in line.books.markets.values():
                    line.sent |= {"bookTicker " + market.id: _touch(market), "aggTrade " + market.id: market.last}
            return {"result": None, "id": asked["id"]}
        params = dict(sorted(asked["params"].items()))
        signature = params.pop("signature")
        if hmac.new(self.secret.encode(), urlencode(params).encode(), hashlib.sha256).hexdigest() != signature:
            return {"id": asked["id"], "status": 400, "error": {"code": -1022, "msg": "Signature is not valid."}}
        line.private = True
        return {"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}}

    async def _tell(self, line: Line) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                with self.server.lock:
                    texts = [*line.raw, *(json.dumps(one) for one in self._news(line))]
                    line.raw.clear()
                for text in texts:
                    self.sent += 1
                    await line.socket.send_str(text)
                await asyncio.sleep(EVERY_S)

    def _news(self, line: Line) -> list[dict[str, Any]]:
        now, found = self.server.clock_ms(), []
        for market in line.books.markets.values():
            values = {
                "bookTicker": _touch(market),
                "aggTrade": market.last,
                "markPrice@1s": now // int(1000 * MARK_EVERY_S),
            }
            for name, value in values.items():
                known = f"{name} {market.id}"
                if (
                    f"{market.id.lower()}@{name}" not in line.streams
                    or name in self.mute
                    or line.sent.get(known) == value
                ):
                    continue
                line.sent[known] = value
                found.append(_price(name, market, now, swap=line.books.swap))
        if line.private and "orders" not in self.mute:
            for order in line.books.orders:
                if line.sent.get(str(order.id)) != _state(order):
                    line.sent[str(order.id)] = _state(order)
                    found.append(_update(order, now))
        return found


def _touch(market: Market) -> tuple[str, str]:
    return str(market.bid), str(market.ask)


def _state(order: Resting) -> tuple[str, str]:
    return order.status, str(order.executed)


def _price(name: str, market: Market, now: int, *, swap: bool) -> dict[str, Any]:
    if name == "bookTicker":
        row = {"u": now, "s": market.id, "b": str(market.bid), "B": "1", "a": str(market.ask), "A": "1"}
        return row | ({"e": "bookTicker", "T": now, "E": now} if swap else {})
    if name == "aggTrade":
        return {
            "e": "aggTrade", "E": now, "s": market.id, "a": now, "p": str(market.last), "q": "1", "f": 1, "l": 1,
            "T": now, "m": True,
        }  # fmt: skip
    return {
        "e": "markPriceUpdate",
        "E": now,
        "s": market.id,
        "p": str(market.mark or market.last),
        "r": "0.0001",
        "T": now,
    }


def _update(order: Resting, now: int) -> dict[str, Any]:
    row = {
        "s": order.market.id, "c": order.client_id, "S": order.side, "o": order.kind, "f": order.tif,
        "q": str(order.qty), "p": str(order.price), "x": "TRADE" if order.executed else order.status,
        "X": order.status, "i": order.id, "l": str(order.executed), "z": str(order.executed), "L": str(order.price),
        "T": order.update_ms,
    }  # fmt: skip
    if order.market.swap:
        wrapped = row | {"ps": order.position, "R": order.reduce_only, "ap": str(order.price), "sp": "0"}
        return {"e": "ORDER_TRADE_UPDATE", "E": now, "T": order.update_ms, "o": wrapped}
    spot = row | {"e": "executionReport", "E": now, "C": "", "O": order.time_ms, "Z": str(order.quote_executed)}
    return {"subscriptionId": 0, "event": spot}
