"""Reads what a tick must know from every venue: prices, orders, trades, balances, and words of control.

A reading that fails is absent, never empty: the facts it would have brought are simply not there, an incident says so,
and nothing is decided from silence (RULES, reliability 0.6).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from core.facts import Accepted, Fact, Fill, Seen, SeenAs, Trouble
from core.orders import ClientId, Order, Status
from core.reconcile import changed, ours, to_ask, trades_due, trades_since
from tasks.session import Session
from tasks.venue import Venue, VenueError

# Balances are read when trades came in, and at least this often.
BALANCES_EVERY_S = 60.0


async def gather(session: Session, now: datetime) -> list[Fact]:
    """Read every venue once; returns facts in the order in which the engine should hear of them."""
    facts: list[Fact] = [*session.carried(), *session.commands()]
    for venue in session.venues.values():
        symbols = session.symbols[venue.id]
        try:
            facts += await venue.quotes(symbols, now)
            facts += await _orders_and_trades(session, venue, symbols, now)
        except VenueError as fault:
            facts.append(_unreadable(venue.id, str(fault)))
        else:
            if f"venue_unreadable//{venue.id}" in session.world.incidents:
                facts.append(_unreadable(venue.id, "", over=True))
    return facts


def _unreadable(venue: str, reason: str, *, over: bool = False) -> Trouble:
    return Trouble("venue_unreadable", "", venue, "warning", f"{venue}: {reason}", over)


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


async def _orders_and_trades(session: Session, venue: Venue, symbols: list[str], now: datetime) -> list[Fact]:
    listed = await venue.open_orders(symbols, now)
    known = ours(session.world, venue.id)
    seen: list[Seen] = [one for one in listed if _is_news(known, one)]
    facts: list[Fact] = []
    for order in to_ask(session.world, venue.id, frozenset(one.client_id for one in listed), now):
        told = await venue.order(order, now)
        facts.append(told)
        if isinstance(told, Seen):
            seen.append(told)
    moved = changed(session.world, venue.id, seen)
    due = trades_due(session.world, venue.id, moved, now, walked=session.walked[venue.id])
    trades: list[Fact] = []
    for symbol in due:
        trades += await _trades(session, venue, symbol, now)
    # Trades first: an order that is seen filled should find its trades already booked.
    facts = [*trades, *(one for one in seen if one not in facts), *facts]
    if trades or _balances_due(session, venue, now):
        session.balanced[venue.id] = now
        facts += await venue.balances(now)
    return facts


def _is_news(known: Mapping[ClientId, Order], one: Seen) -> bool:
    order = known.get(one.client_id)
    if order is None:
        return False
    return one.status is not SeenAs.OPEN or order.status is not Status.OPEN or one.executed > order.filled_qty


async def _trades(session: Session, venue: Venue, symbol: str, now: datetime) -> list[Fact]:
    walked = session.walked[venue.id].get(symbol)
    since = trades_since(session.world, venue.id, symbol, now, walked=walked)
    found = await venue.trades(symbol, since, now)
    session.walked[venue.id][symbol] = now
    return [fill for fill in found if not _booked(session, fill)]


def _booked(session: Session, fill: Fill) -> bool:
    return (fill.venue, fill.symbol, fill.trade_id, fill.side.value) in session.world.trades


def _balances_due(session: Session, venue: Venue, now: datetime) -> bool:
    last = session.balanced.get(venue.id)
    return last is None or now >= last + timedelta(seconds=BALANCES_EVERY_S)
