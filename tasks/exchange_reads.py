"""What an account at an exchange says of itself: orders, balances, positions. Rule: complete, or not at all.

A list that is no list, a page that fails, a row that does not parse: each makes the whole reading fail, because a
reading that lost a row looks like an order that is gone. Holdings that vanish from one reading to the next count only
when a second reading says so too.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.facts import BalanceRead, NotFound, PositionRead, Seen, SeenAs
from core.orders import Kind, Order
from core.values import ZERO
from tasks.exchange_client import CallFailed, Client
from tasks.exchange_clock import utc_now
from tasks.exchange_errors import Verdict
from tasks.exchange_parse import contract_size, number, row_of, seen_of, text
from tasks.exchange_quotes import market_of
from tasks.exchange_sides import add_position
from tasks.exchange_wire import BadAnswer, Call
from tasks.venue import ReadFailed, VenueHalted

KNOWN_IDS_MAX = 50_000
# Above this many symbols one request for all orders weighs less than one each (Binance: 6 each or 80; 1 each or 40).
ONE_BY_ONE_MAX = {"spot": 13, "swap": 40}
BAD_KEY = -2015
STRIKES = 3
STOPS = frozenset({Kind.STOP_MARKET, Kind.STOP_LIMIT})


class AccountReader:
    """Reads one account; remembers whose client id an exchange's order id is, because trades name only the latter."""

    def __init__(self, client: Client, venue: str, *, hedged: bool = False) -> None:
        """Know nothing yet. `hedged`: the account keeps two positions per symbol (Binance USD-M)."""
        self.client = client
        self.venue = venue
        self.hedged = hedged
        # Symbols of which a position is open on either side: long and short of one size sum to zero and are not nothing.
        self.standing: set[str] = set()
        self.halted: VenueHalted | None = None
        self._strikes = 0
        self._worked = False
        self._client_ids: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._assets: dict[str, Decimal] = {}
        self._positions: dict[str, Decimal] = {}
        self._entries: dict[str, Decimal] = {}
        self._vanished: set[str] = set()
        # Conditional orders of USD-M have a list of their own, read once one of ours is known to rest there.
        self.watches_stops = False
        # When the list of withdrawals, which weighs much, was last read.
        self.withdrawals_read: datetime | None = None

    def owner(self, symbol: str, exchange_id: str) -> str | None:
        """The client id of an order that was seen before, by the exchange's id."""
        return self._client_ids.get((symbol, exchange_id))

    def learn(self, symbol: str, exchange_id: str, client_id: str) -> None:
        """Remember whose order an exchange id is."""
        self._client_ids[symbol, exchange_id] = client_id
        if len(self._client_ids) > KNOWN_IDS_MAX:
            self._client_ids.popitem(last=False)

    async def read(self, call: Call, what: str, *asked: Any) -> Any:
        """Ask once; raises `ReadFailed`, or `VenueHalted` where the account or this address is shut out."""
        method, *arguments = asked
        try:
            told = await self.client.ask(call, method, *arguments)
        except CallFailed as fault:
            raise self.shut_out(fault, what) or ReadFailed(f"{self.venue}: {what}: {fault}") from None
        self.halted, self._strikes, self._worked = None, 0, True
        return told

    def shut_out(self, fault: CallFailed, what: str) -> VenueHalted | None:
        """Return the halt that a failure means, and remember it where only a person can end it.

        -2015 says that a key is bad, but also comes during short bans: for a key that worked, the third counts.
        """
        if fault.row.read is not Verdict.HALT:
            return None
        if fault.call.heard().code == BAD_KEY and self._worked:
            self._strikes += 1
            if self._strikes < STRIKES:
                return None
        quiet_s = fault.call.retry_after_s()
        until = None if quiet_s is None else utc_now() + timedelta(seconds=quiet_s)
        halt = VenueHalted(f"{self.venue}: {what}: {fault}", until)
        self.halted = halt if until is None else None
        return halt

    async def open_orders(self, symbols: Sequence[str], now: datetime) -> list[Seen]:
        """Read every open order of the symbols."""
        together = self.client.binance and len(symbols) > ONE_BY_ONE_MAX[self.client.market]
        scopes: list[str | None] = [None] if together else list(symbols)
        kinds = [{}, {"trigger": True}] if self.watches_stops and self.client.market == "swap" else [{}]
        asked = [(scope, params) for scope in scopes for params in kinds]
        # At once, for one symbol's list need not wait for another's; all are awaited, so that none is left behind.
        lists = await asyncio.gather(*(self._open_list(*one) for one in asked), return_exceptions=True)
        found: list[Seen] = []
        for rows in lists:
            if isinstance(rows, BaseException):
                raise rows
            found += self._open_rows(rows, symbols, now)
        return found

    async def _open_list(self, scope: str | None, params: dict[str, Any]) -> list[Any]:
        return await self.list_of("open orders", self.client.api.fetch_open_orders, scope, None, None, params)

    def _open_rows(self, rows: list[Any], symbols: Sequence[str], now: datetime) -> list[Seen]:
        found: list[Seen] = []
        for raw in rows:
            symbol = raw.get("symbol") if isinstance(raw, dict) else None
            if symbol is not None and symbol not in symbols:
                continue
            seen = self._seen(raw, str(symbol), now)
            if seen.status is not SeenAs.OPEN:
                raise ReadFailed(f"{self.venue}: open orders: {seen.client_id} is listed as open and as {seen.status}")
            found.append(seen)
        return found

    def _seen(self, raw: Any, symbol: str, now: datetime, client_id: str | None = None) -> Seen:
        try:
            size = contract_size(market_of(self.client, symbol))
            seen = seen_of(raw, symbol, size, now, binance=self.client.binance, client_id=client_id)
        except BadAnswer as fault:
            raise ReadFailed(f"{self.venue}: an order of {symbol}: {fault}") from None
        self.learn(symbol, seen.exchange_id, seen.client_id)
        return seen

    async def order(self, order: Order, now: datetime) -> Seen | NotFound:
        """Ask for one order by its client id; `NotFound` only where the exchange itself said so."""
        stop = order.kind in STOPS and self.client.market == "swap"
        params: dict[str, Any] = {"clientOrderId": order.client_id} | ({"trigger": True} if stop else {})
        call = Call(reducing=order.role.reduces or order.reduce_only)
        try:
            raw = await self.client.ask(
                call, self.client.api.fetch_order, order.exchange_id or None, order.symbol, params
            )
        except CallFailed as fault:
            if fault.row.read is Verdict.MISSING:
                return NotFound(order.client_id, now)
            what = f"order {order.client_id}"
            raise self.shut_out(fault, what) or ReadFailed(f"{self.venue}: {what}: {fault}") from None
        if stop:
            self.watches_stops = True
            worked = str((raw.get("info") or {}).get("actualOrderId") or "") if isinstance(raw, dict) else ""
            if worked not in {"", "0"}:
                return await self._triggered(order, worked, now)
        return self._seen(raw, order.symbol, now, order.client_id)

    async def _triggered(self, order: Order, exchange_id: str, now: datetime) -> Seen:
        # A stop that fired lives on as an order with an id of its own; its executions count for the stop.
        raw = await self.read(
            Call(reducing=True), "a triggered stop", self.client.api.fetch_order, exchange_id, order.symbol
        )
        seen = self._seen(raw, order.symbol, now)
        self.learn(order.symbol, exchange_id, order.client_id)
        return Seen(order.client_id, seen.exchange_id, seen.status, seen.executed, now)

    async def balances(self, now: datetime) -> list[BalanceRead]:
        """Read the total of every asset held; on swaps the wallet, without unrealised profit."""
        call = Call()
        raw = await self.read(call, "balances", self.client.api.fetch_balance)
        try:
            totals = self._totals(raw)
        except BadAnswer as fault:
            raise ReadFailed(f"{self.venue}: balances: {fault}") from None
        gone = {asset for asset, held in self._assets.items() if held != ZERO and asset not in totals}
        if gone - self._vanished:
            self._vanished |= gone
            raise ReadFailed(
                f"{self.venue}: balances: {', '.join(sorted(gone))} vanished; a second reading must say so"
            )
        self._vanished -= totals.keys() | gone
        totals |= dict.fromkeys(gone, ZERO)
        self._assets = {asset: held for asset, held in totals.items() if held != ZERO or asset in self._assets}
        return [BalanceRead(self.venue, asset, held, now) for asset, held in sorted(self._assets.items())]

    def _totals(self, raw: Any) -> dict[str, Decimal]:
        told = row_of(raw, "the balances")
        if not self.client.binance:
            totals = row_of(told.get("total"), "the totals")
            return {asset: number(totals, asset) for asset in totals}
        info = row_of(told.get("info"), "the account")
        name, parts = (
            ("assets", ("walletBalance",)) if self.client.market == "swap" else ("balances", ("free", "locked"))
        )
        rows = info.get(name)
        if not isinstance(rows, list):
            raise BadAnswer(f"the account has no list of {name}")
        return {text(row_of(row, name), "asset"): sum((number(row, part) for part in parts), ZERO) for row in rows}

    async def positions(self, symbols: Sequence[str], now: datetime) -> list[PositionRead]:
        """Read the signed position of every symbol, zero where flat; one that vanished is left out once."""
        if self.client.market == "spot":
            return []
        try:
            read = await (self._binance_positions() if self.client.binance else self._unified_positions(symbols))
        except BadAnswer as fault:
            raise ReadFailed(f"{self.venue}: positions: {fault}") from None
        found: list[PositionRead] = []
        for symbol in symbols:
            if symbol not in read and self._positions.get(symbol, ZERO) != ZERO and symbol not in self._vanished:
                self._vanished.add(symbol)
                continue
            self._vanished.discard(symbol)
            self._positions[symbol] = read.get(symbol, ZERO)
            found.append(PositionRead(self.venue, symbol, self._positions[symbol], now, self._entries.get(symbol)))
        return found

    async def _binance_positions(self) -> dict[str, Decimal]:
        rows = await self.list_of("positions", self.client.api.fapiPrivateV3GetPositionRisk)
        found: dict[str, Decimal] = {}
        standing: set[str] = set()
        self._entries = {}
        for row in rows:
            market = self.client.api.markets_by_id.get(text(row_of(row, "the position"), "symbol"))
            symbol = market[0]["symbol"] if market else text(row, "symbol")
            if add_position(found, symbol, row, hedged=self.hedged):
                standing.add(symbol)
                # In hedge mode two sides have two prices, and the sum of both has none.
                if not self.hedged:
                    self._entries[symbol] = number(row, "entryPrice", least=ZERO)
        self.standing = standing
        return found

    async def _unified_positions(self, symbols: Sequence[str]) -> dict[str, Decimal]:
        rows = await self.list_of("positions", self.client.api.fetch_positions, list(symbols))
        found: dict[str, Decimal] = {}
        self._entries = {}
        for row in rows:
            symbol = text(row_of(row, "the position"), "symbol")
            side = row.get("side")
            if side not in {"long", "short"}:
                raise BadAnswer(f"the position of {symbol} has side {side!r}")
            qty = number(row, "contracts", least=ZERO) * contract_size(market_of(self.client, symbol))
            if symbol not in found and row.get("entryPrice") is not None:
                self._entries[symbol] = number(row, "entryPrice", least=ZERO)
            else:
                self._entries.pop(symbol, None)
            found[symbol] = found.get(symbol, ZERO) + (qty if side == "long" else -qty)
        return found

    async def list_of(self, what: str, *asked: Any) -> list[Any]:
        """Read a list whose every row could be read; raises `ReadFailed`."""
        call = Call()
        rows = await self.read(call, what, *asked)
        # ccxt makes an empty list of an object it does not know: only the exchange's own list may be empty.
        if not isinstance(rows, list) or (self.client.binance and not isinstance(call.parsed, list)):
            raise ReadFailed(f"{self.venue}: {what}: the exchange sent no list")
        if self.client.binance and len(rows) != len(call.parsed):
            raise ReadFailed(f"{self.venue}: {what}: {len(call.parsed)} rows came, {len(rows)} could be read")
        return rows
