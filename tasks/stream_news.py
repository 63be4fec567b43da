"""Brings the next tick forward where a web socket told of an own order what the books do not know yet (RULES 6).

What was told is not booked: the tick that it hastens reads the exchange, as every tick does. Between two such ticks lies
`HURRY_S`, and none is hurried while three fifths of an exchange's request weight are used: a storm of fills must not use
up what the readings need. The news is kept until then.
"""

import asyncio
import time

from core.reconcile import ours
from tasks.session import Session
from tasks.venue import HearsOrders

HURRY_S = 0.5
# What was told is looked at this often.
LOOK_S = 0.05


def told_more(session: Session) -> bool:
    """Say whether a stream told of a fill or an end of one of our live orders that the books do not have, or was opened.

    A stream that was opened just now, or again, told nothing of what happened before. What was told is forgotten by asking,
    unless an exchange is too busy for a tick before its time.
    """
    hearing = [venue for venue in session.venues.values() if isinstance(venue, HearsOrders)]
    if any(venue.busy for venue in hearing):
        return False
    more = False
    for venue in hearing:
        more = venue.reopened() or more
        updates = venue.take_updates()
        known = ours(session.world, venue.id) if updates else {}
        for update in updates:
            order = known.get(update.client_id)
            if order is not None and order.live and (update.over or update.filled != order.filled_qty):
                more = True
    return more


async def rest(session: Session, stop: asyncio.Event, wait_s: float) -> None:
    """Wait until the next tick is due: `wait_s`, less where a stream brings it forward, or until the word to stop."""
    began = time.monotonic()
    hears = any(isinstance(venue, HearsOrders) and venue.hears for venue in session.venues.values())
    while (left_s := began + wait_s - time.monotonic()) > 0 and not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), min(left_s, LOOK_S) if hears else left_s)
        except TimeoutError:
            if hears and time.monotonic() - began >= HURRY_S and told_more(session):
                return
