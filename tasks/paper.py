"""The paper venue: the port of `tasks.venue` over a simulated account with durable books and a price feed."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

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
    Transfer,
)
from core.market import Candle, Instrument, Quote
from core.orders import Order
from core.recovery import OwnOrder
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO
from tasks.feeds import Feed, Moment
from tasks.paper_books import RECENT_TRADES, FeedState, PaperBooks


class PaperVenue:
    """One simulated account. The tick takes the feeds' moments in, one by one, before it gathers at each."""

    def __init__(
        self, venue_id: str, books: Path, instruments: Mapping[str, Instrument], feeds: Mapping[str, Feed],
        rules: FillRules, opening: Mapping[str, Decimal], leverage: int,
    ) -> None:  # fmt: skip
        """Open the account's books at the path `books`; a new account starts with the `opening` balances."""
        self.id = venue_id
        self.feeds = dict(feeds)
        self._books = PaperBooks(books)
        self.account = Account(venue_id, dict(instruments), rules, dict(opening), leverage)
        self._states = self._books.load(self.account)
        if self._books.get("opened") is None:
            self._books.open_account(self.account)
        self._recent: deque[Fill] = deque(self._books.recent_trades(venue_id), maxlen=RECENT_TRADES)
        self._touches: dict[str, Quote] = {}

    async def start(self, symbols: Sequence[str]) -> None:
        """Need nothing: the account is here."""

    async def instruments(self, symbols: Sequence[str]) -> dict[str, Instrument]:
        """Return the trading rules that the account was opened with."""
        return {symbol: self.account.instruments[symbol] for symbol in symbols}

    async def moments(self, clock: datetime) -> list[Moment]:
        """Ask every feed what happened since its cursor; in order of time."""
        found: list[Moment] = []
        for symbol, feed in self.feeds.items():
            state = self._states.get(symbol)
            moments = await feed.moments(state.cursor if state else 0, clock)
            found += [replace(moment, venue=self.id) for moment in moments]
        return sorted(found, key=lambda moment: moment.at)

    @property
    def ended(self) -> bool:
        """Whether every feed is played out."""
        return all(feed.ended(self._states[s].cursor if s in self._states else 0) for s, feed in self.feeds.items())

    @property
    def ticks_left(self) -> int | None:
        """How many ticks its played candles will last, or None where prices never end."""
        left = [feed.ticks_left(self._states[s].cursor if s in self._states else 0) for s, feed in self.feeds.items()]
        known = [count for count in left if count is not None]
        return max(known) if known else None

    @property
    def in_candle_time(self) -> bool:
        """Whether the account lives in the time of played candles rather than in the clock's."""
        return any(feed.kind == "candles" for feed in self.feeds.values())

    @property
    def now(self) -> datetime | None:
        """The time of the last moment taken in, or None before the first."""
        return max((state.at for state in self._states.values()), default=None)

    @property
    def synthetic(self) -> bool:
        """Whether any of its prices are made up."""
        return any(feed.synthetic for feed in self.feeds.values())

    @property
    def label(self) -> str:
        """What its prices are, in words."""
        return "; ".join(f"{symbol}: {feed.label}" for symbol, feed in self.feeds.items())

    def take(self, moment: Moment) -> None:
        """Let the price move to a moment and commit what that did to the account."""
        if moment.quote is not None:
            self._touches[moment.symbol] = moment.quote
            self.account.touches[moment.symbol] = (moment.quote.bid, moment.quote.ask)
        if moment.jump:
            self.account.jump(moment.symbol, self._last(moment), moment.at)
        paid = self._pay_funding(moment)
        self.account.move(moment.symbol, self._last(moment), moment.at)
        self._states[moment.symbol] = FeedState(moment.cursor, moment.price, moment.at)
        self._save({moment.symbol: self._states[moment.symbol]}, paid)

    async def quotes(self, symbols: Sequence[str], now: datetime) -> list[Quote]:  # noqa: ARG002  the port's signature
        """Return the simulated touch; stamped when the feed last moved, so that a stalled feed grows old."""
        found = (self._quote(symbol) for symbol in symbols)
        return [quote for quote in found if quote is not None]

    async def open_orders(self, symbols: Sequence[str], now: datetime) -> list[Seen]:  # noqa: ARG002  the port's signature
        """List every open order."""
        return self.account.open_orders(now)

    async def order(self, order: Order, now: datetime) -> Seen | NotFound:
        """Look one order up by its client id."""
        found = self._books.order(order.client_id)
        if found is None:
            return NotFound(order.client_id, now)
        exchange_id, status, filled = found
        return Seen(order.client_id, exchange_id, status, filled, now)

    async def trades(self, symbol: str, since: datetime, now: datetime) -> list[Fill]:  # noqa: ARG002  the port's signature
        """Read own trades from `since` on."""
        if len(self._recent) < RECENT_TRADES or self._recent[0].ts < since:
            return [fill for fill in self._recent if fill.symbol == symbol and fill.ts >= since]
        return self._books.trades_since(self.id, symbol, since)

    async def history(
        self,
        symbols: Sequence[str],
        now: datetime,  # noqa: ARG002  the port's signature
    ) -> tuple[list[OwnOrder], datetime | None]:
        """Read every order that the account ever took."""
        found = [
            OwnOrder(
                venue=self.id, symbol=o.symbol, client_id=o.client_id, exchange_id=o.exchange_id, side=o.side, kind=o.kind,
                price=o.price, qty=o.qty, executed=o.filled, status=o.status, created_at=o.created_at,
                updated_at=o.created_at, post_only=o.post_only, reduce_only=o.reduce_only,
                stop_price=o.stop_price,
            )
            for o in self._books.all_orders() if o.symbol in symbols
        ]  # fmt: skip
        return found, None

    async def balances(self, now: datetime) -> list[BalanceRead]:
        """Read the total of every asset."""
        return [BalanceRead(self.id, asset, total, now) for asset, total in sorted(self.account.balances.items())]

    async def positions(self, symbols: Sequence[str], now: datetime) -> list[PositionRead]:
        """Read the signed position of every swap."""
        return [
            PositionRead(self.id, s, self.account.swaps[s].qty if s in self.account.swaps else ZERO, now)
            for s in symbols
        ]

    async def income(self, symbols: Sequence[str], since: datetime, now: datetime) -> list[FundingPaid | Transfer]:  # noqa: ARG002  the port's signature
        """Read funding that the account received or paid since a time."""
        return [*self._books.income_since(self.id, since)]

    async def candles(self, symbol: str, timeframe_s: int, since: datetime, now: datetime) -> list[Candle]:
        """Read finished candles of a symbol's feed."""
        return await self.feeds[symbol].candles(timeframe_s, since, now)

    @property
    def rates_are_free(self) -> bool:
        """Whether a rate costs no request: played files tell theirs at once."""
        return all(feed.kind != "live" for feed in self.feeds.values())

    async def rates(self, symbols: Sequence[str], now: datetime) -> list[RateSeen]:
        """Read the newest known funding rate of each symbol's feed."""
        return [
            replace(rate, market=(self.id, symbol))
            for symbol in symbols
            for rate in await self.feeds[symbol].rates(now)
        ]

    async def place(self, order: Order, now: datetime) -> Accepted | Refused:
        """Take one order in; the answer is committed before it is given."""
        if self._books.order(order.client_id) is not None:
            return self.account.place(order, now) if order.client_id in self.account.orders else _twice(order, now)
        answer = self.account.place(order, now)
        self._save({})
        return answer

    async def cancel(self, order: Order, now: datetime) -> Seen | CancelRefused:
        """Cancel one order; with latency the cancel takes effect later and the order is still seen open."""
        answer = self.account.cancel(order.client_id, now)
        seen = answer or self.account.seen(order.client_id, now)
        self._save({})
        return seen or CancelRefused(order.client_id, "Unknown order sent.", now)

    async def close(self) -> None:
        """Close feeds and books."""
        for feed in self.feeds.values():
            await feed.close()
        self._books.close()

    def _pay_funding(self, moment: Moment) -> list[FundingPaid]:
        # Paid on what was held before this moment's fills (RULES 18b).
        state = self._states.get(moment.symbol)
        if state is None or not self.account.instruments[moment.symbol].swap:
            return []
        due = self.feeds[moment.symbol].payments(state.at, moment.at)
        paid = [self.account.fund(moment.symbol, rate, at) for at, rate in due]
        return [one for one in paid if one is not None]

    def _last(self, moment: Moment) -> Decimal:
        # A last trade outside the touch is old news: what could be traded now lies between bid and ask.
        if moment.quote is None:
            return moment.price
        return min(max(moment.price, moment.quote.bid), moment.quote.ask)

    def _quote(self, symbol: str) -> Quote | None:
        state = self._states.get(symbol)
        if state is None:
            return None
        return self._touches.get(symbol) or self.account.quote(symbol, state.at)

    def _save(self, feeds: dict[str, FeedState], paid: Sequence[FundingPaid] = ()) -> None:
        self._recent.extend(self._books.save(self.account, feeds, paid))


def _twice(order: Order, now: datetime) -> Refused:
    return Refused(order.client_id, Refusal.OTHER, "Duplicate order sent.", now)
