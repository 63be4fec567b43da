"""An exchange account as it really is: requests get lost or come late, answers too, lists lag, people cancel by hand.

Underneath is `core.simulation.Account`, whose books are the truth; this wrapper adds everything that lies between that
truth and us. What others do on the same account stands in `tests.simulation.beside`. One seeded generator decides all of
it, in the order of the calls, so a run repeats exactly.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from core.facts import (
    Accepted,
    BalanceRead,
    CancelRefused,
    Fill,
    FundingPaid,
    NotFound,
    PositionRead,
    Refusal,
    Refused,
    Seen,
    SeenAs,
    Transfer,
    Unanswered,
)
from core.market import Quote
from core.orders import ClientId, Order, decode
from core.simbook import SimOrder
from core.values import ZERO, Side
from tests.simulation.beside import Beside, Till

Answer = Accepted | Refused | Unanswered
CancelAnswer = Seen | CancelRefused | Unanswered
Income = FundingPaid | Transfer
# An order that ended longer ago than any reading lags is in no list of open ones.
LISTED_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often things go wrong, as probabilities per request, reading, trade or tick; times in seconds.

    By request: `lost_before`, `lost_after`, `late`, `refused`, `self_trade`; by reading: `read_fails`, `truncated`,
    `repeated`; by trade: `odd_fee`; by boundary: `crash`, of which the share `store_lost` also loses the database; all
    others by tick.
    """

    lost_before: float = 0.05
    lost_after: float = 0.05
    late: float = 0.05
    late_s: float = 5.0
    refused: float = 0.02
    self_trade: float = 0.01
    read_fails: float = 0.05
    truncated: float = 0.05
    lag_s: float = 2.0
    trade_lag_s: float = 20.0
    repeated: float = 0.1
    odd_fee: float = 0.03
    by_hand: float = 0.02
    partial: float = 0.3
    stranger: float = 0.01
    transfer: float = 0.005
    funding: float = 0.01
    narrowed: float = 0.002
    storm: float = 0.002
    banned: float = 0.002
    crash: float = 0.005
    store_lost: float = 0.12


CALM = Faults(
    lost_before=0, lost_after=0, late=0, refused=0, self_trade=0, read_fails=0, truncated=0, lag_s=0, trade_lag_s=0,
    repeated=0, odd_fee=0, by_hand=0, partial=0, stranger=0, transfer=0, funding=0, narrowed=0, storm=0, banned=0, crash=0,
    store_lost=0,
)  # fmt: skip


@dataclass(slots=True)
class History:
    """What became of one order at the exchange: what was sent, and its states, each with its moment."""

    order: SimOrder
    sent: Order
    states: list[tuple[datetime, SeenAs, Decimal]]


@dataclass(slots=True)
class HostileVenue:
    """The account, what is on its way to it, and everything that ever happened there."""

    account: Till
    rng: Random
    faults: Faults
    beside: Beside = field(default_factory=Beside)
    books: dict[ClientId, History] = field(default_factory=dict[ClientId, History])
    listed: dict[ClientId, History] = field(default_factory=dict[ClientId, History])
    trades: list[tuple[datetime, Fill]] = field(default_factory=list[tuple[datetime, Fill]])
    flying: list[tuple[datetime, str, Order]] = field(default_factory=list[tuple[datetime, str, Order]])
    committed: set[ClientId] = field(default_factory=set[ClientId])
    problems: list[str] = field(default_factory=list[str])
    log: list[str] = field(default_factory=list[str])
    by_kind: Counter[str] = field(default_factory=Counter[str])

    @property
    def injected(self) -> int:
        """How many faults have happened so far."""
        return self.by_kind.total()

    def chance(self, kind: str) -> bool:
        """Draw whether a fault of this kind (a field of `Faults`) happens now."""
        probability: float = getattr(self.faults, kind)
        hit = probability > 0 and self.rng.random() < probability
        if hit:
            self.by_kind[kind] += 1
        return hit

    def had_nothing_to_hit(self, kind: str) -> None:
        """Take a fault out of the count that found nothing to do harm to."""
        self.by_kind[kind] -= 1

    def move(self, prices: Mapping[str, Decimal], now: datetime, *, beside: bool = True) -> None:
        """Let time and prices go on: late requests arrive, orders fill whole or in parts, others do what they like."""
        for item in [one for one in self.flying if one[0] <= now]:
            self.flying.remove(item)
            _, kind, order = item
            self._accept(order, now) if kind == "place" else self._end(order.client_id, now)
        self.account.odd_fee = self.faults.odd_fee
        for symbol, price in prices.items():
            if self.chance("partial"):
                self._fill_part_of_nearest(symbol, now)
            self.account.move(symbol, price, now)
        self.note(now)
        if self.chance("by_hand"):
            open_ids = [cid for cid, o in self.account.orders.items() if o.status is SeenAs.OPEN]
            if open_ids:
                self._end(self.rng.choice(open_ids), now)
            else:
                self.had_nothing_to_hit("by_hand")
        if beside:
            self.beside.happen(self, now)
        self.by_kind["odd_fee"] = self.account.odd_fees

    def place(self, order: Order, now: datetime) -> Answer:
        """Send an order through the weather."""
        self.log.append(f"{now} place {order.client_id} {order.side} {order.qty} {order.price}")
        cid = order.client_id
        if cid not in self.committed:
            self.problems.append(f"{now} I-05 {cid} was sent before it was committed")
        if now < self.beside.banned_until:
            return Refused(cid, Refusal.RATE, "banned", now)
        if order.post_only and now < self.beside.storm_until:
            return Refused(cid, Refusal.POST_ONLY, "would take", now)
        if self.chance("refused"):
            return Refused(cid, self.rng.choice([Refusal.RATE, Refusal.POST_ONLY, Refusal.OTHER]), "not now", now)
        if self.chance("lost_before"):
            return Unanswered(cid, "connection reset", now)
        if self.chance("late"):
            arrival = now + timedelta(seconds=self.rng.uniform(0, self.faults.late_s))
            self.flying.append((arrival, "place", order))
            return Unanswered(cid, "time-out", now)
        answer = self._accept(order, now)
        if self.chance("lost_after"):
            return Unanswered(cid, "answer cut short", now)
        return answer

    def cancel(self, order: Order, now: datetime) -> CancelAnswer:
        """Send a cancel through the weather."""
        self.log.append(f"{now} cancel {order.client_id}")
        cid = order.client_id
        if now < self.beside.banned_until or self.chance("lost_before"):
            return Unanswered(cid, "connection reset", now)
        if self.chance("late"):
            arrival = now + timedelta(seconds=self.rng.uniform(0, self.faults.late_s))
            self.flying.append((arrival, "cancel", order))
            return Unanswered(cid, "time-out", now)
        done = self._end(cid, now)
        if self.chance("lost_after"):
            return Unanswered(cid, "answer cut short", now)
        return done

    def unread(self, now: datetime) -> bool:
        """Draw whether a reading fails; while banned all do."""
        return now < self.beside.banned_until or self.chance("read_fails")

    def quote(self, symbol: str, now: datetime) -> list[Quote]:
        """Read the price."""
        quote = self.account.quote(symbol, now)
        return [] if quote is None or self.unread(now) else [quote]

    def open_orders(self, now: datetime) -> list[Seen] | None:
        """List open orders as of a moment ago, sometimes cut short; None where the reading fails."""
        if self.unread(now):
            return None
        at = self._a_moment_ago(now)
        gone = now - LISTED_AFTER
        for cid in [c for c, h in self.listed.items() if h.states[-1][1] is not SeenAs.OPEN and h.states[-1][0] < gone]:
            del self.listed[cid]
        found = [seen for cid in self.listed if (seen := self._state(cid, at, now)) and seen.status is SeenAs.OPEN]
        if found and self.chance("truncated"):
            found = found[: self.rng.randrange(len(found))]
        return found

    def order(self, order: Order, now: datetime) -> Seen | NotFound | None:
        """Answer a query by client id as of a moment ago; None where the reading fails."""
        if self.unread(now):
            return None
        return self._state(order.client_id, self._a_moment_ago(now), now) or NotFound(order.client_id, now)

    def trades_since(self, symbol: str, since: datetime, now: datetime) -> list[Fill] | None:
        """List trades that have shown up by now, sometimes all of them twice; None where the reading fails."""
        if self.unread(now):
            return None
        found = [f for shown_at, f in self.trades if shown_at <= now and f.ts >= since and f.symbol == symbol]
        return found * 2 if found and self.chance("repeated") else found

    def balances(self, now: datetime) -> list[BalanceRead | PositionRead]:
        """Read totals and positions as they are at this moment."""
        account = self.account
        totals = [BalanceRead(account.venue, asset, amount, now) for asset, amount in account.balances.items()]
        swaps = {name: account.swaps.get(name) for name, one in account.instruments.items() if one.swap}
        return [
            *totals,
            *(PositionRead(account.venue, name, one.qty if one else ZERO, now) for name, one in swaps.items()),
        ]

    def incomes(self, now: datetime) -> list[Income]:
        """List funding payments, deposits and withdrawals that have shown up by now."""
        return [one for shown_at, one in self.beside.incomes if shown_at <= now]

    def open_truth(self) -> Iterable[SimOrder]:
        """The orders that really rest at this moment."""
        return [o for o in self.account.orders.values() if o.status is SeenAs.OPEN]

    def note(self, now: datetime) -> None:
        """Write down what the account did since the last look; each trade shows up at a moment of its own."""
        touched, trades = self.account.drain()
        for cid, order in touched.items():
            history = self.books.get(cid)
            if history is not None and history.states[-1][1:] != (order.status, order.filled):
                history.states.append((now, order.status, order.filled))
        for fill in trades:
            shown_at = now + timedelta(seconds=self.rng.uniform(0, self.faults.trade_lag_s))
            self.trades.append((shown_at, fill))

    def _accept(self, order: Order, now: datetime) -> Answer:
        held = self.books.get(order.client_id)
        answer = self.account.place(order, now)
        if isinstance(answer, Accepted):
            if held is not None:
                self.problems.append(f"{now} I-04 {order.client_id} was accepted twice")
            kept = self.account.touched.get(order.client_id) or self.account.orders[order.client_id]
            made = History(kept, order, [(now, SeenAs.OPEN, ZERO)])
            self.books[order.client_id] = self.listed[order.client_id] = made
            self._check_legs(order, now)
            if kept.status is SeenAs.OPEN and self.chance("self_trade"):
                self.account.expire_in_match(kept)
        self.note(now)
        return answer

    def _check_legs(self, order: Order, now: datetime) -> None:
        leg = decode(order.client_id)
        others = [
            o.client_id for o in self.open_truth()
            if (d := decode(o.client_id)) and leg and (d.bot_id, d.leg_id) == (leg.bot_id, leg.leg_id)
        ]  # fmt: skip
        if len(others) > 1:
            self.problems.append(f"{now} I-06 leg {order.leg_id} of {order.bot_id} has {others} open at once")

    def _end(self, cid: ClientId, now: datetime) -> CancelAnswer:
        answer = self.account.cancel(cid, now)
        self.note(now)
        return answer if answer is not None else Unanswered(cid, "still open", now)

    def _state(self, cid: ClientId, at: datetime, now: datetime) -> Seen | None:
        history = self.books.get(cid)
        if history is None:
            return None
        for since, status, filled in reversed(history.states):
            if since <= at:
                return Seen(cid, history.order.exchange_id, status, filled, now)
        return None

    def _a_moment_ago(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self.rng.uniform(0, self.faults.lag_s))

    def _fill_part_of_nearest(self, symbol: str, now: datetime) -> None:
        # Somebody takes a part of the order that stands first; a whole lot step at least stays.
        account, step = self.account, self.account.instruments[symbol].lot_step
        book = account.books.get(symbol)
        entries = [side[index] for side, index in ((book.bids, -1), (book.asks, 0)) if side] if book is not None else []
        order = account.orders[self.rng.choice(entries)[2]] if entries else None
        lots = int((order.qty - order.filled) / step) if order is not None else 0
        if order is None or lots <= 1:
            self.had_nothing_to_hit("partial")
            return
        self._fill_part(order, step * self.rng.randrange(1, lots), now)

    def _fill_part(self, order: SimOrder, part: Decimal, now: datetime) -> None:
        account = self.account
        instrument = account.instruments[order.symbol]
        share = order.locked * part / (order.qty - order.filled)
        asset = instrument.quote if instrument.swap or order.side is Side.BUY else instrument.base
        account.locked[asset] -= share
        order.locked -= share
        order.filled += part
        account.touched[order.client_id] = order
        account.trade(instrument, order.client_id, order.side, order.price or ZERO, part, now)
        self.note(now)
