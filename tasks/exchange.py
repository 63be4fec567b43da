"""A live or demo account at any exchange that ccxt knows, Binance spot and USD-M in depth: a `tasks.venue.Venue`.

Rule: a write is sent once and its outcome is a fact. What an answer means is decided in `tasks.exchange_errors` alone.
The modules of this room, from the wire up:

    exchange_wire    one sending, whole JSON or nothing      exchange_errors   the decision table
    exchange_limiter the budget of requests                  exchange_clock    the exchange's clock
    exchange_client  the ccxt object                         exchange_parse    answers to facts
    exchange_quotes, exchange_reads, exchange_trades, exchange_income, exchange_history    what is read
    exchange_account what is checked and set before trading
    exchange_streams, exchange_line, exchange_socket    what web sockets say, where `streams` is set
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from core.facts import (
    Accepted,
    BalanceRead,
    CancelRefused,
    Fill,
    FundingPaid,
    NotFound,
    PositionRead,
    RateSeen,
    Refusal,
    Refused,
    Seen,
    SeenAs,
    Transfer,
    Unanswered,
)
from core.market import Candle, Instrument, Quote
from core.orders import Kind, Order, Role
from core.recovery import OwnOrder
from core.values import ZERO, on_grid, plain
from tasks.credentials import Credentials
from tasks.exchange_account import account_fees, check_account, settle_terms
from tasks.exchange_client import CallFailed, Client
from tasks.exchange_clock import utc_now
from tasks.exchange_errors import CLOCK, Op, Verdict
from tasks.exchange_history import read_history
from tasks.exchange_income import read_income
from tasks.exchange_limiter import BUDGETS, Throttled
from tasks.exchange_market import read_candles, read_rates
from tasks.exchange_parse import contract_size, number, row_of, seen_of, text
from tasks.exchange_quotes import instruments_of, market_of, read_quotes
from tasks.exchange_reads import STOPS, AccountReader
from tasks.exchange_sides import Directions, side_params
from tasks.exchange_streams import Streams
from tasks.exchange_trades import read_trades
from tasks.exchange_wire import BadAnswer, Call
from tasks.venue import Answer, CancelAnswer, ConfigRefused, OrderTold, ReadFailed

# A decision older than this is not sent: the process may have slept (SIGSTOP, a laptop lid) and the world moved on.
# The portfolio's `risk.max_decision_age_s` sets it.
DECISION_AGE_S = 15.0
# A closing at the market arrives within this time or never, so that it is soon known whether another one is needed.
PROTECTIVE_WINDOW_MS = 2000
# Above this share of the request weight nothing is read before its time.
BUSY_SHARE = 0.6
# Orders per ten seconds and account that Binance allows (exchangeInfo, rateLimits).
ORDERS_PER_10_S = {"spot": 100, "swap": 300}


class CcxtVenue:
    """One account at one exchange. `start` before anything else, `close` always."""

    rates_are_free = False

    def __init__(
        self,
        venue_id: str,
        exchange: str,
        market: str = "spot",
        mode: str = "demo",
        api_url: str | None = None,
        credentials: Credentials | None = None,
        *,
        position_mode: str = "one_way",
        margin_mode: str = "isolated",
        leverage: Mapping[str, int] | None = None,
        directions: Directions | None = None,
        testnet: bool = False,
        allow_withdrawals: bool = False,
        decision_age_s: float = DECISION_AGE_S,
        streams: bool = False,
    ) -> None:
        """Check the configuration; raises `ConfigRefused`. Nothing is sent before `start`.

        `leverage` by symbol is set at the start, with the margin mode, where nothing is open; None leaves both alone.
        `directions` says on which side of a symbol each bot stands: an account in hedge mode needs it.
        """
        if mode not in {"demo", "live"}:
            raise ConfigRefused("mode", f"a real account has mode demo or live, not {mode!r}")
        if market not in {"spot", "swap"}:
            raise ConfigRefused("market", f"{market!r} is neither spot nor swap")
        if credentials is None:
            raise ConfigRefused("api_key", f"{mode} mode needs api_key and secret of venue {venue_id}")
        if position_mode not in {"one_way", "hedge"}:
            raise ConfigRefused("position_mode", f"{position_mode!r} is neither one_way nor hedge")
        if margin_mode not in {"isolated", "cross"}:
            raise ConfigRefused("margin_mode", f"{margin_mode!r} is neither isolated nor cross")
        self.id = venue_id
        self.mode = mode
        self.allow_withdrawals = allow_withdrawals
        self.margin_mode = margin_mode
        self.leverage = leverage
        self.decision_age_s = decision_age_s
        dial = partial(
            Client, exchange, market, mode=mode, api_url=api_url, credentials=credentials, testnet=testnet
        )  # fmt: skip
        self.client = dial()
        self.streams = Streams(venue_id, self.client, partial(dial, streaming=True)) if streams else None
        self._asked = False
        hedged = position_mode == "hedge" and market == "swap"
        if hedged and not self.client.binance:
            raise ConfigRefused("position_mode", f"hedge is traded at Binance USD-M alone, not at {exchange}")
        self.directions: Directions = directions or {}
        self.reader = AccountReader(self.client, venue_id, hedged=hedged)
        self._fees: dict[str, dict[str, Decimal]] = {}
        self._orders = BUDGETS.orders(f"{self.client.base} {credentials.identity}", ORDERS_PER_10_S[market], 10.0)

    async def start(self, symbols: Sequence[str]) -> None:
        """Load markets and check clock, symbols, keys and position mode.

        Raises `ConfigRefused` where they are not as configured, `ReadFailed` where the exchange does not answer.
        """
        try:
            await self.client.open()
        except CallFailed as fault:
            raise ReadFailed(f"{self.id}: start: {fault}") from None
        for symbol in symbols:
            if market_of(self.client, symbol).get("active") is False:
                raise ConfigRefused("symbol", f"{symbol} is not open for trading at {self.client.exchange}")
        await check_account(self.reader, symbols, live=self.mode == "live", allow_withdrawals=self.allow_withdrawals)
        if self.leverage is not None and self.client.binance and self.client.market == "swap":
            for symbol in symbols:
                await settle_terms(self.reader, symbol, self.leverage.get(symbol, 1), self.margin_mode)
        self._fees = await account_fees(self.reader, symbols)

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the trading rules, with the account's own fees where the exchange tells them."""
        return instruments_of(self.client, self.id, symbols, self._fees)

    async def quotes(self, symbols: Sequence[str], now: datetime) -> list[Quote]:
        """Read best bid, best ask and last price; a symbol without a trustworthy quote is left out."""
        await self._keep_time()
        if self.streams is None:
            return await read_quotes(self.client, self.id, symbols, now)
        if self._asked:
            # From the second tick on: a process that ticks once opens no socket.
            self.streams.begin(symbols)
        self._asked = True
        heard = self.streams.quotes(symbols, now)
        read = await read_quotes(self.client, self.id, [one for one in symbols if one not in heard], now)
        self.streams.compare(read)
        return [*heard.values(), *read]

    async def open_orders(self, symbols: Sequence[str], now: datetime) -> list[Seen]:
        """Read every open order of the symbols, complete or not at all."""
        return await self.reader.open_orders(symbols, now)

    async def order(self, order: Order, now: datetime) -> Seen | NotFound:
        """Ask for one order by its client id."""
        return await self.reader.order(order, now)

    async def trades(self, symbol: str, since: datetime, now: datetime) -> list[Fill]:
        """Read own trades of a symbol from `since` on, oldest first, all pages."""
        found = await read_trades(self.reader, symbol, since, now)
        if self.streams is not None:
            self.streams.expect(found)
        return found

    async def balances(self, now: datetime) -> list[BalanceRead]:
        """Read the total of every asset held (on swaps the wallet, without unrealised profit)."""
        return await self.reader.balances(now)

    async def positions(self, symbols: Sequence[str], now: datetime) -> list[PositionRead]:
        """Read the signed position of every symbol, in base."""
        return await self.reader.positions(symbols, now)

    async def income(self, symbols: Sequence[str], since: datetime, now: datetime) -> list[FundingPaid | Transfer]:
        """Read funding payments and transfers of a swap account since a time (Binance USD-M; elsewhere nothing)."""
        return await read_income(self.reader, symbols, since, now)

    async def candles(self, symbol: str, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Read finished candles that open from `since` on, oldest first; raises `ReadFailed`."""
        return await read_candles(self.client, symbol, timeframe_s, since, now)

    async def rates(self, symbols: Sequence[str], now: datetime) -> list[RateSeen]:
        """Read the funding rate that each perpetual will next apply; raises `ReadFailed`."""
        return await read_rates(self.client, self.id, symbols, now)

    async def history(self, symbols: Sequence[str], now: datetime) -> tuple[list[OwnOrder], datetime | None]:
        """Read every order of the symbols that the exchange still lists, and since when they are complete."""
        return await read_history(self.reader, symbols, now)

    async def place(self, order: Order, now: datetime) -> Answer:
        """Send one order, once. A decision of long ago, or one that a filter would refuse, is refused here."""
        call = self._write_call(order, now)
        try:
            how = self._request(order)
        except (BadAnswer, ConfigRefused, ReadFailed) as fault:
            return Refused(order.client_id, Refusal.FILTER, str(fault), now)
        if self.reader.halted is not None:
            return Refused(order.client_id, Refusal.CLOSED, str(self.reader.halted), now)
        try:
            await self._orders.take(1, reducing=call.reducing, patience_s=call.patience_s)
            raw = await self.client.ask(call, self.client.api.create_order, *how)
        except Throttled as wait:
            return Refused(order.client_id, Refusal.RATE, f"order rate: {wait}", now)
        except CallFailed as fault:
            return self._fate(order, fault, now)
        try:
            return self._acknowledged(order, raw, now)
        except BadAnswer as fault:
            return Unanswered(order.client_id, f"answered, but {fault}", now)

    async def cancel(self, order: Order, now: datetime) -> CancelAnswer:
        """Cancel one order, once, by its client id."""
        stop = order.kind in STOPS and self.client.market == "swap"
        call = self._write_call(order, now)
        call.reducing = True
        by_client_id = self.client.binance or not order.exchange_id
        params: dict[str, Any] = {"clientOrderId": order.client_id} if by_client_id else {}
        params |= {"trigger": True} if stop else {}
        try:
            raw = await self.client.ask(
                call, self.client.api.cancel_order, order.exchange_id or None, order.symbol, params
            )
        except CallFailed as fault:
            self._note(fault)
            if fault.row.verdict(Op.CANCEL) is Verdict.UNKNOWN:
                return Unanswered(order.client_id, fault.reason, now)
            return CancelRefused(order.client_id, fault.reason, now)
        try:
            size = contract_size(market_of(self.client, order.symbol))
            return seen_of(raw, order.symbol, size, now, binance=self.client.binance, client_id=order.client_id)
        except BadAnswer as fault:
            return Unanswered(order.client_id, f"the cancel was answered, but {fault}", now)

    @property
    def hears(self) -> bool:
        """Whether web sockets are wanted at all."""
        return self.streams is not None

    @property
    def busy(self) -> bool:
        """Whether three fifths of the exchange's request weight are used; ordinary requests may use four."""
        return self.client.budget.used > BUSY_SHARE

    def stream_troubles(self) -> dict[str, str]:
        """Say of every web socket why it is down, "" where it is not; nothing where none is open."""
        return self.streams.troubles() if self.streams is not None else {}

    def take_updates(self) -> list[OrderTold]:
        """Hand over what web sockets said of own orders since the last call."""
        return self.streams.take_updates() if self.streams is not None else []

    def reopened(self) -> bool:
        """Whether the socket of own orders was opened since the last call."""
        return self.streams is not None and self.streams.reopened()

    async def close(self) -> None:
        """Release connections; may be called twice."""
        if self.streams is not None:
            await self.streams.close()
        await self.client.close()

    async def _keep_time(self) -> None:
        if self.client.offset is not None and not self.client.offset.stale():
            return
        try:
            await self.client.sync_clock()
        except CallFailed as fault:
            raise ReadFailed(f"{self.id}: clock: {fault}") from None

    def _write_call(self, order: Order, now: datetime) -> Call:
        def ready() -> str | None:
            age_s = (utc_now() - now) / timedelta(seconds=1)
            if age_s > self.decision_age_s:
                return f"decided {age_s:.1f} s ago, at most {self.decision_age_s:g} s are allowed: not sent"
            return None

        return Call(reducing=order.role.reduces or order.reduce_only, patience_s=2.0, ready=ready)

    def _request(self, order: Order) -> tuple[Any, ...]:
        # The arguments of ccxt's create_order. Raises `BadAnswer` where ccxt would round what we decided.
        market = market_of(self.client, order.symbol)
        amount = order.qty / contract_size(market)
        rules = instruments_of(self.client, self.id, [order.symbol])[order.symbol]
        if not on_grid(order.qty, rules.lot_step):
            raise BadAnswer(f"quantity {plain(order.qty)} is no multiple of lot {plain(rules.lot_step)}")
        for price in (order.price, order.stop_price):
            if price is not None and not on_grid(price, rules.tick_size):
                raise BadAnswer(f"price {plain(price)} is no multiple of tick {plain(rules.tick_size)}")
        params: dict[str, Any] = {"clientOrderId": order.client_id}
        capped = order.kind is Kind.MARKET and order.price is not None
        if capped:
            params["timeInForce"] = "IOC"
        if order.post_only:
            params["postOnly"] = True
        if order.role is Role.UNWIND and self.client.binance:
            params["recvWindow"] = PROTECTIVE_WINDOW_MS
        if self.reader.hedged:
            params |= side_params(order, self.directions)
        elif order.reduce_only and rules.swap:
            params["reduceOnly"] = True
        if order.stop_price is not None:
            params["stopLossPrice"] = plain(order.stop_price)
            if rules.swap and self.client.binance:
                params["workingType"] = "MARK_PRICE"
                self.reader.watches_stops = True
        if self.client.binance and order.kind not in STOPS:
            # Two bots of one account meet in the book: the newer order gives way, nothing trades with itself.
            params["selfTradePrevention"] = "EXPIRE_TAKER"
        limited = order.kind in {Kind.LIMIT, Kind.STOP_LIMIT} or capped
        price = plain(order.price) if limited and order.price is not None else None
        return (order.symbol, "limit" if limited else "market", order.side.value, plain(amount), price, params)

    def _acknowledged(self, order: Order, raw: Any, now: datetime) -> Answer:
        size = contract_size(market_of(self.client, order.symbol))
        if not self.client.binance:
            # Most exchanges acknowledge with the id alone.
            told = row_of(raw, "the acknowledgement")
            if told.get("clientOrderId") not in {None, "", order.client_id}:
                raise BadAnswer(f"it speaks of order {told.get('clientOrderId')!r}")
            executed = number(told, "filled", least=ZERO) * size if told.get("filled") is not None else ZERO
            return Accepted(order.client_id, text(told, "id"), now, executed)
        seen = seen_of(raw, order.symbol, size, now, binance=True, client_id=order.client_id)
        told_qty, told_side = number(raw, "amount") * size, raw.get("side")
        if told_qty != order.qty or told_side != order.side.value:
            raise BadAnswer(f"it speaks of {told_side} {plain(told_qty)}, not of {order.side} {plain(order.qty)}")
        self.reader.learn(order.symbol, seen.exchange_id, order.client_id)
        if seen.status is SeenAs.EXPIRED and order.post_only and seen.executed == ZERO:
            return Refused(order.client_id, Refusal.POST_ONLY, "it would have matched at once", now)
        if raw["info"].get("status") == "REJECTED":
            return Refused(order.client_id, Refusal.OTHER, "acknowledged as rejected", now)
        return Accepted(order.client_id, seen.exchange_id, now, seen.executed)

    def _fate(self, order: Order, fault: CallFailed, now: datetime) -> Answer:
        self._note(fault)
        if fault.row.verdict(Op.PLACE) is Verdict.UNKNOWN:
            return Unanswered(order.client_id, fault.reason, now)
        return Refused(order.client_id, fault.row.refusal, fault.reason, now)

    def _note(self, fault: CallFailed) -> None:
        if fault.row is CLOCK:
            self.client.offset = None
        self.reader.shut_out(fault, "a write")
