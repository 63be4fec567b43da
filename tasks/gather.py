"""Reads what a tick must know from every venue: prices, orders, trades, balances, and words of control.

A reading that fails is absent, never empty: the facts it would have brought are simply not there, an incident says so,
and nothing is decided from silence (RULES, reliability 0.6).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.facts import (
    Accepted,
    Action,
    BalanceRead,
    BarClosed,
    Command,
    Fact,
    Fill,
    FundingPaid,
    NotFound,
    PositionRead,
    RateSeen,
    Seen,
    SeenAs,
    Transfer,
    Trouble,
)
from core.market import Quote
from core.orders import ClientId, Order, Status
from core.reconcile import changed, ours, to_ask, to_book, trades_due, trades_since
from tasks.market_news import read_news
from tasks.session import Session
from tasks.venue import HearsOrders, KeepsIncome, Venue, VenueError

# Balances are read when trades came in, and at least this often; sooner where one differs from the ledger.
BALANCES_EVERY_S = 60.0
SUSPECT_EVERY_S = 5.0
# Inventory held for longer than this without a price is an incident (RULES 7).
UNPRICED_S = 60.0
# Funding and transfers are read this often, with an overlap: the exchange may write its records down late.
INCOME_EVERY_S = 60.0
INCOME_OVERLAP = timedelta(hours=1)


async def gather(session: Session, now: datetime) -> list[Fact]:
    """Read every venue once; returns facts in the order in which the engine should hear of them."""
    facts: list[Fact] = [*session.carried(), *session.commands(), *session.targets.troubles(session.world.incidents)]
    if any(isinstance(fact, Command) and fact.action is Action.CLAIM for fact in facts):
        session.balanced.clear()  # a position is taken over as it is read in the same tick
    for venue in session.venues.values():
        read = _Readings()
        session.priced.setdefault(venue.id, {})
        try:
            await _read_venue(session, venue, now, read)
        except VenueError as fault:
            facts += [*read.facts(), _unreadable(venue.id, str(fault))]
        else:
            facts += read.facts()
            if f"venue_unreadable//{venue.id}" in session.world.incidents:
                facts.append(_unreadable(venue.id, "", over=True))
        facts += [*_unpriced(session, venue, read.quotes, now), *_unheard(session, venue)]
    return facts


@dataclass(slots=True)
class _Readings:
    """What was read of a venue so far; it counts even where a later reading of the same tick fails."""

    quotes: list[Quote] = field(default_factory=list[Quote])
    news: list[BarClosed | RateSeen] = field(default_factory=list[BarClosed | RateSeen])
    trades: list[Fill] = field(default_factory=list[Fill])
    orders: list[Seen | NotFound] = field(default_factory=list[Seen | NotFound])
    income: list[FundingPaid | Transfer] = field(default_factory=list[FundingPaid | Transfer])
    holdings: list[BalanceRead | PositionRead] = field(default_factory=list[BalanceRead | PositionRead])

    def facts(self) -> list[Fact]:
        # Trades first: an order that is seen filled should find its trades already booked. Holdings last: they are held
        # against all that is booked.
        return [*self.quotes, *self.news, *self.trades, *self.orders, *self.income, *self.holdings]


def _unreadable(venue: str, reason: str, *, over: bool = False) -> Trouble:
    return Trouble("venue_unreadable", "", venue, "warning", f"{venue}: {reason}", over)


def _unheard(session: Session, venue: Venue) -> list[Trouble]:
    # A web socket that is down costs nothing but time: what it said is read. A person should know, once.
    said = venue.stream_troubles() if isinstance(venue, HearsOrders) else {}
    standing = {key.removeprefix("stream_lost//") for key in session.world.incidents if key.startswith("stream_lost//")}
    down = {f"{venue.id} {line}": reason for line, reason in said.items() if reason}
    over = [one for one in standing if one.partition(" ")[0] == venue.id and one not in down]
    told = [Trouble("stream_lost", "", one, "warning", why) for one, why in down.items() if one not in standing]
    return [*told, *(Trouble("stream_lost", "", one, "warning", "", over=True) for one in over)]


def _unpriced(session: Session, venue: Venue, quotes: list[Quote], now: datetime) -> list[Trouble]:
    # Exposed without a price nobody can say what is at stake, and no barrier can act (RULES 7).
    priced = session.priced[venue.id]
    priced |= {quote.symbol: quote.ts for quote in quotes}
    told: list[Trouble] = []
    for spec in session.world.specs.values():
        held = {(lot.venue, lot.symbol) for lot in session.world.bots[spec.bot_id].lots.values()}
        for symbol in (one.symbol for one in spec.instruments if one.venue == venue.id and one.market in held):
            age_s = (now - priced.setdefault(symbol, now)).total_seconds()
            stale = age_s > UNPRICED_S
            if stale or f"no_price/{spec.bot_id}/{symbol}" in session.world.incidents:
                detail = f"{symbol}: the newest price is {age_s:.0f} s old, and inventory is held"
                told.append(Trouble("no_price", spec.bot_id, symbol, "critical", detail, over=not stale))
    return told


async def answer_reads(session: Session, answers: Iterable[Fact], now: datetime) -> list[Fact]:
    """Read the trades that the answers of a round speak of: an order that was filled as it was placed."""
    facts: list[Fact] = []
    done = [a for a in answers if isinstance(a, Accepted | Seen) and a.executed > 0]
    if not done:
        return facts
    for venue in session.venues.values():
        known = ours(session.world, venue.id)
        moved = frozenset(a.client_id for a in done if a.client_id in known)
        symbols = {known[cid].symbol for cid in moved}
        for symbol in sorted(symbols):
            try:
                facts += await _trades(session, venue, symbol, now)
            except VenueError as fault:
                facts.append(_unreadable(venue.id, str(fault)))
    return facts


async def _read_venue(session: Session, venue: Venue, now: datetime, read: _Readings) -> None:
    symbols = session.symbols[venue.id]
    read.quotes += await venue.quotes(symbols, now)
    session.note_quotes(venue, read.quotes, now)
    read.news += await read_news(session, venue, now)
    listed = await venue.open_orders(symbols, now)
    known = ours(session.world, venue.id)
    doubted = session.world.suspect_since
    read.orders += [one for one in listed if _is_news(known, one) or (one.client_id, "trades") in doubted]
    for order in to_ask(session.world, venue.id, frozenset(one.client_id for one in listed), now):
        read.orders.append(await venue.order(order, now))
    seen = [one for one in read.orders if isinstance(one, Seen)]
    moved = changed(session.world, venue.id, seen)
    for symbol in trades_due(session.world, venue.id, moved, now, walked=session.walked[venue.id]):
        read.trades += await _trades(session, venue, symbol, now)
    if read.trades or _balances_due(session, venue, now):
        read.income += await _income(session, venue, now)
        read.holdings += [*await venue.balances(now), *await venue.positions(session.symbols[venue.id], now)]
        session.balanced[venue.id] = now


def _is_news(known: Mapping[ClientId, Order], one: Seen) -> bool:
    order = known.get(one.client_id)
    if order is None:
        return True  # one of ours that is over in the books must not rest; a stranger's is nobody's fact
    return one.status is not SeenAs.OPEN or order.status is not Status.OPEN or one.executed != order.filled_qty


async def _trades(session: Session, venue: Venue, symbol: str, now: datetime) -> list[Fill]:
    walked = session.walked[venue.id].get(symbol)
    since = trades_since(session.world, venue.id, symbol, now, walked=walked)
    found = await venue.trades(symbol, since, now)
    session.walked[venue.id][symbol] = now
    news = [fill for fill in found if not _booked(session, fill)]
    return to_book(session.world, news, session.store.income_since(venue.id)[0]) if news else news


def _booked(session: Session, fill: Fill) -> bool:
    return (fill.venue, fill.symbol, fill.trade_id, fill.side.value) in session.world.trades


async def _income(session: Session, venue: Venue, now: datetime) -> list[FundingPaid | Transfer]:
    # What happened before the wallets were opened is part of what they were opened with.
    last = session.income_read.get(venue.id)
    every_s = SUSPECT_EVERY_S if _suspected(session, venue) else INCOME_EVERY_S
    if not isinstance(venue, KeepsIncome) or (last is not None and now < last + timedelta(seconds=every_s)):
        return []
    opened, newest = session.store.income_since(venue.id)
    if opened is None:
        return []
    since = max(opened, (newest or opened) - INCOME_OVERLAP)
    found = await venue.income(session.symbols[venue.id], since, now)
    session.income_read[venue.id] = now
    booked = session.store.incomes_booked(venue.id, [one.ref for one in found]) if found else frozenset[str]()
    news = [one for one in found if one.ref not in booked and one.ts > opened]
    return [_with_trades(session, one) if isinstance(one, FundingPaid) else one for one in news]


def _with_trades(session: Session, paid: FundingPaid) -> FundingPaid:
    # It was paid for what was held then; trades that are booked since have changed that.
    return replace(paid, traded_since=session.store.traded_since(paid.venue, paid.symbol, paid.ts))


def _suspected(session: Session, venue: Venue) -> bool:
    return any(place == venue.id for place, _ in session.world.suspects)


def _balances_due(session: Session, venue: Venue, now: datetime) -> bool:
    last = session.balanced.get(venue.id)
    every_s = SUSPECT_EVERY_S if _suspected(session, venue) else BALANCES_EVERY_S
    return last is None or now >= last + timedelta(seconds=every_s)
