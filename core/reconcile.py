"""What has to be asked of a venue, so that no order of ours is ever lost. Rule: nothing here believes, it only asks.

The list of open orders is the cheap reading of every tick. Whatever it does not show of our live orders is asked for by
client id, one by one; whatever shows more executed than is booked makes the trades of its symbol due. Trades are read
with an overlap and walked in full every few minutes, because lists lag behind answers and each other (RULES 9f).

The order of a tick's reading: open orders, then `to_ask`, then `trades_due` with what both showed, then the trades.
"""

from collections.abc import Iterable, Mapping, Set
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from core.facts import Fill, Seen, SeenAs
from core.market import Instrument
from core.orders import ClientId, Order, decode

# Binance shows a trade up to some seconds after the order that made it; a minute of overlap has never missed one.
TRADE_OVERLAP_S = 60.0
# Every symbol's trades are walked at least this often, whatever the orders say (RULES 9f).
WALK_EVERY_S = 300.0


class Worked(Protocol):
    """A leg under work: all that matters here is its order."""

    @property
    def order(self) -> Order | None:
        """The order that works it, if any."""
        ...


class Trader(Protocol):
    """A bot under work."""

    @property
    def works(self) -> Mapping[str, Worked]:
        """Its legs, by leg id."""
        ...


class Settled(Protocol):
    """A bot as configured."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments that it trades."""
        ...


class Known(Protocol):
    """What is known before reading: the world of the engine is one."""

    @property
    def specs(self) -> Mapping[str, Settled]:
        """The bots as configured, by id."""
        ...

    @property
    def bots(self) -> Mapping[str, Trader]:
        """The bots at work, by id."""
        ...

    @property
    def suspects(self) -> Mapping[tuple[str, str], Decimal]:
        """Balances, by (venue, asset), and positions, by (venue, symbol), that differ from the ledger."""
        ...


def ours(world: Known, venue: str) -> dict[ClientId, Order]:
    """Return every order at a venue that is not put away: live, or over with trades still to come."""
    return {
        work.order.client_id: work.order
        for bot in world.bots.values()
        for work in bot.works.values()
        if work.order is not None and work.order.venue == venue
    }


def to_book(world: Known, fills: Iterable[Fill], opened_at: datetime | None) -> list[Fill]:
    """Leave out trades of strangers that were made before the wallets were opened (None: they are not open yet).

    The first reading of the balances holds what they moved; booked beside it they would count twice, for ever.
    """
    return [
        fill
        for fill in fills
        if ((who := decode(fill.client_id)) is not None and who.bot_id in world.bots)
        or (opened_at is not None and fill.ts > opened_at)
    ]


def to_ask(world: Known, venue: str, listed: Set[ClientId], now: datetime) -> tuple[Order, ...]:
    """Return our live orders that the list of open orders does not show; each must be asked for by its client id.

    PENDING and UNKNOWN ones are among them: an order whose answer was lost is found here and nowhere else. The oldest
    come first, so that where a limit on requests cuts the list, nobody starves. An order created after `now` is none.
    """
    missing = [
        order
        for cid, order in ours(world, venue).items()
        if order.live and cid not in listed and order.created_at <= now
    ]
    return tuple(sorted(missing, key=lambda order: (order.updated_at, order.client_id)))


def changed(world: Known, venue: str, seen: Iterable[Seen]) -> frozenset[ClientId]:
    """Return our orders that a list or a query showed otherwise than known: more executed, or over."""
    known = ours(world, venue)
    return frozenset(
        one.client_id
        for one in seen
        if (order := known.get(one.client_id)) is not None
        and (one.executed > order.traded_qty or (order.live and one.status is not SeenAs.OPEN))
    )


def trades_due(
    world: Known,
    venue: str,
    changed: Set[ClientId],
    now: datetime,
    *,
    walked: Mapping[str, datetime],
    walk_every_s: float = WALK_EVERY_S,
) -> tuple[str, ...]:
    """Return the symbols whose trades must be read now, in alphabetical order.

    Due is a symbol with an order in `changed`, with an order whose trades do not yet add up to what it executed, with a
    base or quote balance that differs from the ledger, or whose last full walk (`walked`, by symbol) is
    `walk_every_s` ago or never was.
    """
    due = {
        order.symbol
        for cid, order in ours(world, venue).items()
        if cid in changed or order.traded_qty < order.filled_qty
    }
    suspect = {asset for place, asset in world.suspects if place == venue}
    every = timedelta(seconds=walk_every_s)
    for instrument in (one for spec in world.specs.values() for one in spec.instruments):
        if instrument.venue != venue:
            continue
        last = walked.get(instrument.symbol)
        if last is None or now >= last + every or suspect & {instrument.base, instrument.quote, instrument.symbol}:
            due.add(instrument.symbol)
    return tuple(sorted(due))


def trades_since(
    world: Known, venue: str, symbol: str, now: datetime, *, walked: datetime | None, walk_every_s: float = WALK_EVERY_S
) -> datetime:
    """Return from when a symbol's trades have to be read, so that none is missed between two readings.

    From the last full walk; where an order's trades are still missing, from its creation; each less the overlap. After
    a start (`walked` is None) from the oldest order that is not put away: what happened meanwhile happened to those.
    """
    start = walked if walked is not None else now - timedelta(seconds=walk_every_s)
    for order in ours(world, venue).values():
        if order.symbol == symbol and (walked is None or order.traded_qty < order.filled_qty):
            start = min(start, order.created_at)
    return start - timedelta(seconds=TRADE_OVERLAP_S)
