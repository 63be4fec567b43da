"""What the web sockets of one account say: prices that spare a reading, and news of own orders that hasten one.

Rule: a stream is never the truth. A price of it counts while it is fresh and no reading disproves it; an update of an
order becomes no fact, it only brings the next reading forward. Every `CHECK_S` the exchange is asked all the same.

    line      Binance                                 elsewhere
    quotes    bookTicker                              watch_tickers: bid, ask and last together
    last      aggTrade                                (in quotes)
    mark      markPrice, once a second, on swaps      (none, as in the readings)
    orders    executionReport, ORDER_TRADE_UPDATE     watch_orders

A line that is silent need not be broken: a market may stand still. It is broken where the exchange's answer differs from
what the line last said and nothing came of that symbol for `STALL_S`, or where a trade of an own order was read of which
the line never told. Then it is dialled again, and until it speaks everything is read as without it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.facts import Fill
from core.market import Quote
from core.orders import decode
from core.values import ZERO
from tasks.exchange_client import Client
from tasks.exchange_clock import from_ms, utc_now
from tasks.exchange_line import Line
from tasks.exchange_parse import contract_size, number, time_ms
from tasks.exchange_quotes import AHEAD_S_MAX, market_of
from tasks.exchange_wire import BadAnswer
from tasks.venue import ConfigRefused, OrderTold

# A price is fresh for this long; a mark price comes once a second.
FRESH_S, MARK_FRESH_S = 2.0, 5.0
# What arrives later than this after its own time is no price of now.
LAG_S_MAX = 2.0
CHECK_S = 20.0
STALL_S = 10.0
# A line that is down for less is dialled again without a word: exchanges close every connection once a day.
LOST_S = 10.0
# A trade's time is the exchange's, an update's ours; and the line may have been dialled just then.
SLACK = timedelta(seconds=2)
ORDERS_KEPT = 1000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a symbol last: the numbers, when they came (s of a clock that never jumps), the time they bear."""

    values: tuple[Decimal, ...]
    at_s: float
    ts: datetime
    lag_s: float
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where ccxt keeps what a line of prices brought, and which of its numbers are wanted."""

    watch: Callable[[Any, list[str]], Awaitable[Any]]
    row: Callable[[Any, str], Row | None]
    fields: tuple[str, ...]


def _pass_over(client: Any, message: Any) -> None:
    """Take no trades from a stream: they are read."""


def _newest_trade(api: Any, symbol: str) -> Row | None:
    rows = api.trades.get(symbol)
    return rows[-1] if rows else None


TOUCH = Source(lambda api, symbols: api.watch_bids_asks(symbols), lambda api, s: api.bidsasks.get(s), ("bid", "ask"))
LAST = Source(
    lambda api, symbols: api.watch_trades_for_symbols(symbols, None, None, {"name": "aggTrade"}),
    _newest_trade,
    ("price",),
)
MARK = Source(lambda api, symbols: api.watch_mark_prices(symbols), lambda api, s: api.tickers.get(s), ("markPrice",))
WHOLE = Source(
    lambda api, symbols: api.watch_tickers(symbols), lambda api, s: api.tickers.get(s), ("bid", "ask", "last")
)


class Streams:
    """The lines of one account. `begin` before they say anything, `close` always."""

    def __init__(self, venue: str, rest: Client, dial: Callable[[], Client]) -> None:
        """Connect nothing yet. `dial` makes one ccxt object for each line; raises `ConfigRefused` where it can't."""
        self.venue = venue
        self._rest = rest
        self._dial = dial
        self._has: Mapping[str, Any] = dial().api.has
        self._sources = self._price_sources()
        if not self._sources and not self._has.get("watchOrders"):
            raise ConfigRefused(
                "streams", f"ccxt watches neither prices nor orders of {rest.exchange}; leave streams out"
            )
        self._symbols: list[str] = []
        self._lines: dict[str, Line] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._said: dict[tuple[str, str], Said] = {}
        # The first reading of what a line has not spoken of since it was dialled, and since when a line is disproved.
        self._first: dict[tuple[str, str], tuple[Decimal, ...]] = {}
        self._doubted: dict[tuple[str, str], float] = {}
        self._stalled: dict[str, tuple[int, str]] = {}
        self._checked_s: float | None = None
        self._read: dict[str, tuple[float, Decimal]] = {}
        self._told: dict[str, datetime] = {}
        self._awaited: dict[str, float] = {}
        self._updates: list[OrderTold] = []
        self._heard_dial = 0
        self._last_order: tuple[Any, ...] = ()

    def _price_sources(self) -> dict[str, Source]:
        if not self._rest.binance:
            return {"quotes": WHOLE} if self._has.get("watchTickers") else {}
        swap = self._rest.market == "swap"
        return {"quotes": TOUCH, "last": LAST} | ({"mark": MARK} if swap and self._rest.knows_marks else {})

    def begin(self, symbols: Sequence[str]) -> None:
        """Dial every line; the answers are not waited for. More symbols than before dial the lines of prices again."""
        more = [symbol for symbol in symbols if symbol not in self._symbols]
        if not more:
            return
        self._symbols += more
        if self._tasks:
            for name in self._sources:
                self._lines[name].restart("more symbols are wanted")
            return
        for name, source in self._sources.items():
            self._follow(name, lambda api, watch=source.watch: watch(api, self._symbols), self._hear_price)
        if self._has.get("watchOrders"):
            self._follow("orders", lambda api: api.watch_orders(), self._hear_order)

    def _follow(self, name: str, watch: Callable[[Any], Awaitable[Any]], hear: Callable[[Line], None]) -> None:
        client = self._dial()
        client.api.set_markets_from_exchange(self._rest.api)
        if self._rest.binance:
            # ccxt adds up the fees of an order's trades before it takes the order in, and drops the message where one of
            # them bears no fee: the second part of such an order would never be heard.
            client.api.handle_my_trade = _pass_over
        line = self._lines[name] = Line(name, client, watch, hear, self._before_dial)
        # In no context of the tick that began it: under Prefect that of a flow run, which is over in a moment.
        task = asyncio.create_task(line.follow(), name=f"stream {self.venue} {name}", context=Context())
        self._tasks[name] = task

    def _before_dial(self, line: Line) -> None:
        # What it said before is of another connection; and what signs is signed with the clock as it is known now.
        line.client.api.options["timeDifference"] = self._rest.api.options.get("timeDifference", 0)
        for known in (self._said, self._first, self._doubted):
            for key in [key for key in known if key[0] == line.name]:
                del known[key]
        if line.name == "orders":
            self._awaited.clear()
            self._last_order = ()

    @property
    def up(self) -> bool:
        """Whether every socket is open."""
        return bool(self._lines) and all(line.connected for line in self._lines.values())

    def quotes(self, symbols: Sequence[str], now: datetime) -> dict[str, Quote]:
        """Return the quotes that are fresh; what is missing, or everything where a check is due, must be read."""
        at_s = time.monotonic()
        self._give_up_stalled(at_s)
        if self._checked_s is None or at_s - self._checked_s >= CHECK_S:
            return {}
        found = {symbol: self._quote(symbol, at_s, now) for symbol in symbols}
        return {symbol: quote for symbol, quote in found.items() if quote is not None}

    def compare(self, read: Sequence[Quote]) -> None:
        """Hold what was read against what the lines said; a difference must be explained within `STALL_S`."""
        at_s = time.monotonic()
        if read and {quote.symbol for quote in read} >= set(self._symbols):
            self._checked_s = at_s
        for quote in read:
            self._read[quote.symbol] = (at_s, quote.last)
            values = {"quotes": (quote.bid, quote.ask), "last": (quote.last,)}
            if self._sources.get("quotes") is WHOLE:
                values = {"quotes": (quote.bid, quote.ask, quote.last)}
            if quote.mark is not None and "mark" in self._sources:
                values["mark"] = (quote.mark,)
            for name, numbers in values.items():
                self._hold(name, quote.symbol, numbers, at_s)

    def expect(self, fills: Sequence[Fill]) -> None:
        """Hear which trades were read: a line that is up since before them must tell of their orders."""
        line = self._lines.get("orders")
        since = line.up_since if line is not None else None
        if since is None:
            return
        for fill in fills:
            told = self._told.get(fill.client_id)
            late = told is None or told < fill.ts - SLACK
            if late and decode(fill.client_id) is not None and fill.ts > since + SLACK:
                self._awaited.setdefault(fill.client_id, time.monotonic())

    def take_updates(self) -> list[OrderTold]:
        """Hand over what was said of own orders since the last call."""
        updates, self._updates = self._updates, []
        return updates

    def reopened(self) -> bool:
        """Whether the line of orders was opened since the last call: it tells nothing of what happened before."""
        line = self._lines.get("orders")
        if line is None or not line.connected or line.dials == self._heard_dial:
            return False
        self._heard_dial = line.dials
        return True

    def troubles(self) -> dict[str, str]:
        """Say of every line why it is down, "" where it is not."""
        at_s = time.monotonic()
        said: dict[str, str] = {}
        for name, line in self._lines.items():
            dials, word = self._stalled.get(name, (line.dials, ""))
            if line.connected and (name == "orders" or line.heard_s is not None):
                line.down_s = None
            if (
                line.dials > dials
                and line.connected
                and (name == "orders" or any(key[0] == name for key in self._said))
            ):
                word = ""
                del self._stalled[name]
            if (task := self._tasks.get(name)) is not None and task.done() and not task.cancelled():
                word = f"ended by {type(task.exception()).__name__}"  # a bug of ours: nothing dials it again
            elif not word and line.down_s is not None and at_s - line.down_s > LOST_S:
                word = line.reason
            said[name] = f"stream of {name}: {word}; the exchange is read as without it" if word else ""
        return said

    async def close(self) -> None:
        """Hang up every line; may be called twice."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        for line in self._lines.values():
            await line.close()

    def _quote(self, symbol: str, at_s: float, now: datetime) -> Quote | None:
        touch = self._fresh("quotes", symbol, at_s, FRESH_S)
        if touch is None:
            return None
        bid, ask = touch.values[:2]
        last = touch.values[2] if len(touch.values) > 2 else self._last(symbol)
        mark = self._fresh("mark", symbol, at_s, MARK_FRESH_S) if "mark" in self._sources else None
        wanted = "mark" in self._sources and self._rest.knows_marks
        if last is None or (wanted and mark is None) or touch.ts > now + timedelta(seconds=AHEAD_S_MAX):
            return None
        price = mark.values[0] if mark is not None else None
        return Quote(venue=self.venue, symbol=symbol, bid=bid, ask=ask, last=last, ts=touch.ts, mark=price)

    def _fresh(self, name: str, symbol: str, at_s: float, within_s: float) -> Said | None:
        said = self._said.get((name, symbol))
        if said is None or at_s - said.at_s > within_s or said.lag_s > LAG_S_MAX or not self._lines[name].connected:
            return None
        return said

    def _last(self, symbol: str) -> Decimal | None:
        # The newer of what was traded and what was read: between trades the last price stands.
        said, read = self._said.get(("last", symbol)), self._read.get(symbol)
        if not self._lines["last"].connected or (said is not None and said.lag_s > LAG_S_MAX):
            return None
        if said is not None and (read is None or said.at_s >= read[0]):
            return said.values[0]
        return read[1] if read is not None else None

    def _hold(self, name: str, symbol: str, values: tuple[Decimal, ...], at_s: float) -> None:
        line, key = self._lines.get(name), (name, symbol)
        if line is None or not line.connected or symbol not in self._symbols:
            return
        said = self._said.get(key)
        known = said.values if said is not None else self._first.setdefault(key, values)
        if known == values:
            self._doubted.pop(key, None)
        else:
            self._doubted.setdefault(key, at_s)

    def _give_up_stalled(self, at_s: float) -> None:
        for (name, symbol), since_s in list(self._doubted.items()):
            if at_s - since_s > STALL_S:
                self._restart(name, f"nothing of {symbol} for {at_s - since_s:.0f} s, though its price has moved")
        for client_id, since_s in list(self._awaited.items()):
            if at_s - since_s > STALL_S:
                self._restart("orders", f"nothing of order {client_id}, though it has traded")

    def _restart(self, name: str, reason: str) -> None:
        line = self._lines[name]
        self._stalled[name] = (line.dials, reason)
        for key in [key for key in self._doubted if key[0] == name]:
            del self._doubted[key]
        if name == "orders":
            self._awaited.clear()
        line.restart(reason)

    def _hear_price(self, line: Line) -> None:
        source = self._sources[line.name]
        for symbol in self._symbols:
            row, known = source.row(line.client.api, symbol), self._said.get((line.name, symbol))
            if row is None or (known is not None and known.row is row):
                continue
            try:
                self._said[line.name, symbol] = self._checked(row, source.fields)
            except BadAnswer as fault:
                line.note_strange(f"{symbol}: {fault}")
                continue
            self._doubted.pop((line.name, symbol), None)

    def _checked(self, row: Row, fields: Sequence[str]) -> Said:
        values = tuple(number(row, name) for name in fields)
        if min(values) <= ZERO or (len(values) > 1 and values[0] > values[1]):
            raise BadAnswer(f"{', '.join(str(one) for one in values)} is no market")
        now, offset = utc_now(), self._rest.offset
        ts = now
        if row.get("timestamp") is not None:
            ts = from_ms(time_ms(row, "timestamp") - (offset.offset_ms if offset is not None else 0))
        return Said(values, time.monotonic(), min(ts, now), (now - ts).total_seconds(), row)

    def _hear_order(self, line: Line) -> None:
        rows = line.client.api.orders
        if not rows:
            return
        row = rows[-1]
        mark = tuple(row.get(name) for name in ("id", "status", "filled", "lastUpdateTimestamp"))
        if mark == self._last_order:
            return
        self._last_order = mark
        client_id = str(row.get("clientOrderId") or "")
        if decode(client_id) is None:
            return
        try:
            filled = number(row, "filled", least=ZERO) * contract_size(market_of(self._rest, str(row.get("symbol"))))
        except (BadAnswer, ConfigRefused) as fault:
            line.note_strange(f"order {client_id}: {fault}")
            return
        self._told.pop(client_id, None)
        self._told[client_id] = utc_now()
        while len(self._told) > ORDERS_KEPT:
            del self._told[next(iter(self._told))]
        self._awaited.pop(client_id, None)
        self._updates.append(OrderTold(client_id, filled, over=row.get("status") != "open"))
