"""A simulated venue as a value: balances, a book of our own resting orders, fees and fill rules; no clock, no chance.

The price moves along straight segments between path points. Rules, each of them pessimistic or exact:

* A resting limit fills in full at its own price once the path reaches it (`touch`) or trades through it by one tick
  (`cross`, the default). Never at the close of the bar that crossed it.
* What is sent becomes active `latency_s` later, on the path; a cancel takes effect likewise, and the order may fill first.
* A post-only order that would cross when it becomes active is refused. A marketable order fills at the touch, plus
  `slippage` (fraction) where it is a market order, never beyond its cap; what the cap cuts off expires.
* Spot needs the money or the coins free; a swap needs margin (notional / leverage) in the wallet.
* With `participation` the orders of a symbol trade no more than that share of a bar's volume within the bar, the earlier
  ones first. The rest of a limit goes on resting and waits for the next bar; the rest of a market order expires. Stops and
  liquidations are not held back: a stop that waited would flatter.
* A stop-market fills at the worse of its trigger and the price there, plus `slippage`, and never more than is open.
* A swap settles profit against the average entry price of the position, as exchanges do; reduce-only orders reduce it, and
  it is liquidated where its margin is used up (`core.simpurse`).
"""

from bisect import insort
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from core.facts import Accepted, CancelRefused, Fill, Refusal, Refused, Seen, SeenAs
from core.market import Quote
from core.orders import ClientId, Kind, Order
from core.simbook import Book, SimOrder, Stops, Swap
from core.simpurse import Purse
from core.values import ONE, ZERO, Side, ratio


@dataclass(slots=True)
class Account(Purse):
    """One simulated account. Mutable inside, a plain value outside: copied, compared and written down as data."""

    orders: dict[ClientId, SimOrder] = field(default_factory=dict[ClientId, SimOrder])
    books: dict[str, Book] = field(default_factory=dict[str, Book])
    touches: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict[str, tuple[Decimal, Decimal]])
    times: dict[str, datetime] = field(default_factory=dict[str, datetime])
    due: list[tuple[datetime, int, str, ClientId]] = field(default_factory=list[tuple[datetime, int, str, ClientId]])
    stops: Stops = field(default_factory=Stops)
    next_id: int = 1
    touched: dict[ClientId, SimOrder] = field(default_factory=dict[ClientId, SimOrder])
    trades: list[Fill] = field(default_factory=list[Fill])
    # Base that may still trade within the present bar, by symbol, in whole lots; a symbol that is not here has no such limit.
    room: dict[str, Decimal] = field(default_factory=dict[str, Decimal])

    def open_bar(self, symbol: str, volume: Decimal) -> None:
        """Begin a bar in which `volume` base traded: what of it our orders may have."""
        if self.rules.participation is not None:
            self.room[symbol] = self.instruments[symbol].floor_qty(volume * self.rules.participation)

    def quote(self, symbol: str, now: datetime) -> Quote | None:
        """Return the best bid and ask around the last price, or None before the first.

        A touch that a real market told stands in `touches`; without one the rules' spread makes it.
        """
        last = self.prices.get(symbol)
        if last is None:
            return None
        touch = self.touches.get(symbol)
        if touch is not None:
            return Quote(venue=self.venue, symbol=symbol, bid=touch[0], ask=touch[1], last=last, ts=now)
        half = last * self.rules.spread / 2
        tick = self.instruments[symbol]
        bid, ask = (last, last) if not half else (tick.floor_price(last - half), tick.ceil_price(last + half))
        return Quote(venue=self.venue, symbol=symbol, bid=bid, ask=ask, last=last, ts=now)

    def place(self, order: Order, now: datetime) -> Accepted | Refused:
        """Take an order in. Raises nothing: what the venue would refuse comes back as `Refused`."""
        if order.client_id in self.orders:
            return Refused(order.client_id, Refusal.OTHER, "Duplicate order sent.", now)
        instrument = self.instruments.get(order.symbol)
        last = self.prices.get(order.symbol)
        if instrument is None or last is None:
            return Refused(order.client_id, Refusal.CLOSED, f"{order.symbol} has no market yet", now)
        objection = instrument.objection(order.price if order.price is not None else last, order.qty)
        if objection is not None:
            return Refused(order.client_id, Refusal.FILTER, objection, now)
        exchange_id = str(self.next_id)
        made = SimOrder(
            client_id=order.client_id, exchange_id=exchange_id, symbol=order.symbol, side=order.side, kind=order.kind,
            price=order.price, qty=order.qty, filled=ZERO, post_only=order.post_only, reduce_only=order.reduce_only,
            status=SeenAs.OPEN, created_at=now, active_at=now + timedelta(seconds=self.rules.latency_s),
            stop_price=order.stop_price,
        )  # fmt: skip
        if not self.lock(made, last):
            return Refused(
                order.client_id, Refusal.FUNDS, f"not enough free balance for {order.qty} {order.symbol}", now
            )
        self.next_id += 1
        self.orders[made.client_id] = made
        self.touched[made.client_id] = made
        if self.rules.latency_s > 0:
            insort(self.due, (made.active_at, int(exchange_id), "place", made.client_id))
            return Accepted(made.client_id, exchange_id, now)
        refusal = self._activate(made, last, now)
        if refusal is not None:
            del self.orders[made.client_id]
            self.touched.pop(made.client_id, None)
            return Refused(made.client_id, Refusal.POST_ONLY if made.post_only else Refusal.OTHER, refusal, now)
        return Accepted(made.client_id, exchange_id, now, made.filled)

    def cancel(self, client_id: ClientId, now: datetime) -> Seen | CancelRefused | None:
        """Cancel an order; with latency the answer is None and the end is seen later. Unknown or done: refused."""
        order = self.orders.get(client_id)
        if order is None or order.status is not SeenAs.OPEN:
            return CancelRefused(client_id, "Unknown order sent.", now)
        if self.rules.latency_s > 0:
            at = now + timedelta(seconds=self.rules.latency_s)
            insort(self.due, (at, int(order.exchange_id), "cancel", client_id))
            return None
        self._end(order, SeenAs.CANCELED, "canceled by us")
        return self.seen(client_id, now)

    def seen(self, client_id: ClientId, now: datetime) -> Seen | None:
        """Show an order as a query by client id would, or None where there is none."""
        order = self.orders.get(client_id)
        if order is None:
            return None
        return Seen(client_id, order.exchange_id, order.status, order.filled, now)

    def open_orders(self, now: datetime) -> list[Seen]:
        """List all open orders, in order of arrival."""
        return [
            Seen(cid, o.exchange_id, o.status, o.filled, now)
            for cid, o in self.orders.items()
            if o.status is SeenAs.OPEN
        ]

    def jump(self, symbol: str, price: Decimal, now: datetime) -> None:
        """Set the first price of a symbol, without a path that leads there."""
        self.prices[symbol] = price
        self.times[symbol] = now

    def move(self, symbol: str, price: Decimal, now: datetime) -> None:
        """Lead the price along a straight line to `price` at `now`, filling and activating what it meets."""
        start, since = self.prices.get(symbol), self.times.get(symbol)
        if start is None or since is None:
            self.jump(symbol, price, now)
            return
        while self.due and self.due[0][0] <= now:
            # A cancel that comes for an order already over finds nothing; another instrument's clock has not come this
            # far yet, its own move will serve it.
            self.due = [d for d in self.due if d[3] in self.orders]
            mine = next((d for d in self.due if d[0] <= now and self.orders[d[3]].symbol == symbol), None)
            if mine is None:
                break
            at, _, kind, client_id = mine
            order = self.orders[client_id]
            self.due.remove(mine)
            here = self._between(symbol, start, since, price, now, at)
            self._sweep(symbol, here, max(at, since))
            if order.status is SeenAs.OPEN:
                if kind == "cancel":
                    self._end(order, SeenAs.CANCELED, "canceled by us")
                else:
                    refusal = self._activate(order, here, max(at, since))
                    if refusal is not None:
                        self._end(order, SeenAs.EXPIRED, refusal)
        self._sweep(symbol, price, now)

    def edges(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """Return the prices at or beyond which the next resting order fills: (below, above)."""
        low, high = self.stops.edges(symbol) if symbol in self.stops.waiting else (None, None)
        if symbol in self.swaps:
            worst_low, worst_high = self.liquidation(symbol)
            low = worst_low if low is None else max(low, worst_low or low)
            high = worst_high if high is None else min(high, worst_high or high)
        book = self.books.get(symbol)
        if book is None:
            return low, high
        tick = self.instruments[symbol].tick_size if self.rules.cross else ZERO
        if book.bids and (low is None or book.bids[-1][0] - tick > low):
            low = book.bids[-1][0] - tick
        if book.asks and (high is None or book.asks[0][0] + tick < high):
            high = book.asks[0][0] + tick
        return low, high

    def last_prices_at(
        self, symbol: str, low: Decimal | None, high: Decimal | None
    ) -> tuple[Decimal | None, Decimal | None]:
        """Return the last prices at which bid or ask reach `low` or `high`: the inverse of `quote`, rather too near."""
        half = self.rules.spread / 2
        if not half:
            return low, high
        tick = self.instruments[symbol].tick_size
        return (
            None if low is None else ratio(low + tick, ONE - half),
            None if high is None else ratio(high - tick, ONE + half),
        )

    def news(self, now: datetime) -> list[Fill | Seen]:
        """Hand over what happened since the last call, as facts: trades, then orders that ended without one."""
        touched, trades = self.drain()
        ended = [
            Seen(cid, o.exchange_id, o.status, o.filled, now)
            for cid, o in touched.items()
            if o.status in {SeenAs.CANCELED, SeenAs.EXPIRED}
        ]
        return [*trades, *ended]

    def drain(self) -> tuple[dict[ClientId, SimOrder], list[Fill]]:
        """Hand over orders touched and trades made since the last call, and forget orders that are over."""
        touched, trades = self.touched, self.trades
        self.touched, self.trades = {}, []
        for client_id, order in touched.items():
            if order.status is not SeenAs.OPEN:
                self.orders.pop(client_id, None)
        return touched, trades

    def _between(
        self, symbol: str, start: Decimal, since: datetime, end: Decimal, now: datetime, at: datetime
    ) -> Decimal:
        span = (now - since).total_seconds()
        if span <= 0 or at <= since:
            return self.prices[symbol]
        share = Decimal(str((at - since).total_seconds())) / Decimal(str(span))
        exact = start + (end - start) * share
        tick = self.instruments[symbol]
        # Rounded towards the start: the path has not gone further than it surely has.
        return tick.floor_price(exact) if end > start else tick.ceil_price(exact)

    def _sweep(self, symbol: str, to: Decimal, now: datetime) -> None:
        while symbol in self.swaps and (edge := self._liquidated_at(symbol, to)) is not None:
            self._sweep_orders(symbol, edge, now)
            if self._liquidated_at(symbol, edge) == edge:
                self._liquidate(symbol, now)
        if symbol in self.stops.waiting:
            self._sweep_orders(symbol, to, now)
        else:
            self._sweep_book(symbol, to, now)

    def _liquidated_at(self, symbol: str, to: Decimal) -> Decimal | None:
        # The price on the way to `to` at which the position is gone; where it is gone already, the price that is.
        low, high = self.liquidation(symbol)
        here = self.prices.get(symbol, to)
        if low is not None and to <= low:
            return min(low, here)
        return max(high, here) if high is not None and to >= high else None

    def _liquidate(self, symbol: str, now: datetime) -> None:
        # The exchange cancels what rests in the symbol, takes the position over and keeps the margin.
        for order in [one for one in self.orders.values() if one.symbol == symbol and one.status is SeenAs.OPEN]:
            self._end(order, SeenAs.CANCELED, "canceled by liquidation")
        swap, price = self.swaps[symbol], self.bankruptcy(symbol)
        side, qty = (Side.SELL if swap.qty > ZERO else Side.BUY), abs(swap.qty)
        quote = self.instruments[symbol].quote
        settled = self.settle(self.instruments[symbol], side, price, qty)
        self.trades.append(Fill(
            venue=self.venue, symbol=symbol, trade_id=str(self.next_id), client_id=ClientId(f"autoclose-{self.next_id}"),
            side=side, price=price, qty=qty, fee=ZERO, fee_asset=quote, ts=now, maker=False, settled=settled,
        ))  # fmt: skip
        self.next_id += 1

    def _sweep_orders(self, symbol: str, to: Decimal, now: datetime) -> None:
        start = self.prices.get(symbol, to)
        for order in self.stops.reached(symbol, to) if symbol in self.stops.waiting else ():
            trigger = order.stop_price or to
            at = min(trigger, start) if order.side is Side.SELL else max(trigger, start)
            self._sweep_book(symbol, at, now)
            self._fire(order, at, now)
        self._sweep_book(symbol, to, now)

    def _sweep_book(self, symbol: str, to: Decimal, now: datetime) -> None:
        self.prices[symbol] = to
        self.times[symbol] = now
        book = self.books.get(symbol)
        if book is None:
            return
        tick = self.instruments[symbol].tick_size if self.rules.cross else ZERO
        if symbol in self.room:
            self._share_out(book, to, tick, now)
            return
        while book.bids and to <= book.bids[-1][0] - tick:
            self._fill(self.orders[book.bids.pop()[2]], None, now, maker=True)
        while book.asks and to >= book.asks[0][0] + tick:
            self._fill(self.orders[book.asks.pop(0)[2]], None, now, maker=True)

    def _share_out(self, book: Book, to: Decimal, tick: Decimal, now: datetime) -> None:
        # As the sweep of a whole book, until the bar's volume is used up: then the next order keeps what is left of it.
        reached = [self.orders[one[2]] for one in reversed(book.bids) if to <= one[0] - tick]
        reached += [self.orders[one[2]] for one in book.asks if to >= one[0] + tick]
        for order in reached:
            if self._has_room(order, now):
                side = book.bids if order.side is Side.BUY else book.asks
                side.remove(next(one for one in side if one[2] == order.client_id))
                self._fill(order, None, now, maker=True)

    def _has_room(self, order: SimOrder, now: datetime, price: Decimal | None = None, *, maker: bool = True) -> bool:
        """Whether the bar has volume left for all of an order; where not, it gets what there is and keeps its place."""
        room = self.room.get(order.symbol)
        if room is None or order.qty - order.filled <= room:
            return True
        if room > ZERO:
            self._fill(order, price, now, maker=maker, most=room)
            if order.status is not SeenAs.OPEN:
                return False
            self.lock(order, price or order.price or ZERO)
        return False

    def _fire(self, order: SimOrder, at: Decimal, now: datetime) -> None:
        self.stops.forget(order)
        held = max(self.swaps.get(order.symbol, Swap()).qty * -order.side.sign, ZERO)
        most = min(order.qty, held) if order.reduce_only else order.qty
        if most > ZERO:
            self._fill(order, self._slipped(order, at), now, maker=False, most=most)
        if order.status is SeenAs.OPEN:
            self._end(order, SeenAs.EXPIRED, "nothing is left to reduce")

    def _slipped(self, order: SimOrder, price: Decimal) -> Decimal:
        slipped = price * (ONE + self.rules.slippage * order.side.sign)
        tick = self.instruments[order.symbol]
        return tick.ceil_price(slipped) if order.side is Side.BUY else tick.floor_price(slipped)

    def _activate(self, order: SimOrder, last: Decimal, now: datetime) -> str | None:
        if order.kind is Kind.STOP_MARKET:
            refusal = self.stops.arm(order, last)
            if refusal is not None:
                self.unlock(order)
            return refusal
        quote = self.quote(order.symbol, now)
        touch = last if quote is None else (quote.ask if order.side is Side.BUY else quote.bid)
        crosses = order.price is None or (order.price >= touch if order.side is Side.BUY else order.price <= touch)
        if order.kind is Kind.MARKET:
            paid = self._slipped(order, touch)
            within = order.price is None or (paid <= order.price if order.side is Side.BUY else paid >= order.price)
            if within and self._has_room(order, now, paid, maker=False):
                self._fill(order, paid, now, maker=False)
            elif within and order.status is SeenAs.OPEN:
                self._end(order, SeenAs.EXPIRED, "no more of the bar's volume may be traded")
            elif not within:
                self._end(order, SeenAs.EXPIRED, f"the book at {paid} is beyond the cap {order.price}")
            return None
        if crosses and order.post_only:
            self.unlock(order)
            return f"would cross the touch at {touch}"
        if crosses and self._has_room(order, now, touch, maker=False):
            self._fill(order, touch, now, maker=False)
        if order.status is not SeenAs.OPEN:
            return None
        self.books.setdefault(order.symbol, Book()).add(order)
        self.touched[order.client_id] = order
        return None

    def _fill(
        self, order: SimOrder, price: Decimal | None, now: datetime, *, maker: bool, most: Decimal | None = None
    ) -> None:
        instrument = self.instruments[order.symbol]
        at = price if price is not None else (order.price or ZERO)
        qty = order.qty - order.filled if most is None else most
        if order.reduce_only:
            qty = min(qty, max(self.swaps.get(order.symbol, Swap()).qty * -order.side.sign, ZERO))
            if qty == ZERO:
                self._end(order, SeenAs.EXPIRED, "nothing is left to reduce")
                return
        self.unlock(order)
        settled = self.settle(instrument, order.side, at, qty)
        fee, fee_asset = self.fee(instrument, order.side, at, qty, maker=maker)
        self.balances[fee_asset] = self.balances.get(fee_asset, ZERO) - fee
        if order.symbol in self.room:
            self.room[order.symbol] = max(self.room[order.symbol] - qty, ZERO)
        order.filled += qty
        order.status = SeenAs.FILLED if order.filled >= order.qty else SeenAs.OPEN
        if order.reduce_only and order.status is SeenAs.OPEN and most is None:
            self._end(order, SeenAs.EXPIRED, "nothing is left to reduce")
        self.touched[order.client_id] = order
        self.trades.append(Fill(
            venue=self.venue, symbol=order.symbol, trade_id=str(self.next_id), client_id=order.client_id, side=order.side,
            price=at, qty=qty, fee=fee, fee_asset=fee_asset, ts=now, maker=maker, settled=settled,
        ))  # fmt: skip
        self.next_id += 1

    def _end(self, order: SimOrder, status: SeenAs, reason: str) -> None:
        self.stops.forget(order)
        book = self.books.get(order.symbol)
        if book is not None and order.price is not None:
            side, arrival = (
                (book.bids, -int(order.exchange_id)) if order.side is Side.BUY else (book.asks, int(order.exchange_id))
            )
            entry = (order.price, arrival, order.client_id)
            if entry in side:
                side.remove(entry)
        self.unlock(order)
        order.status = status
        order.reason = reason
        self.touched[order.client_id] = order
