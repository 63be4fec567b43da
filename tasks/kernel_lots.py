"""Counts what a kernel run earned where lots were closed in parts: its fills, booked into lots as the core books them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from core.facts import Fill
from core.lots import Lot, enlarge, reduce, split_oldest_first, unrealized
from core.orders import Role, decode
from core.values import ZERO, share_of_cost


@dataclass(frozen=True, slots=True)
class Booked:
    """Quote amounts of lots: `won` of `trips` closed ones earned more than their fees; `floating` is that of open ones."""

    realized: Decimal
    grid_profit: Decimal
    floating: Decimal
    trips: int
    won: int


# Whether, when a closing's fill was booked, an order may still sell a lot: its fill, the lot.
InView = Callable[[Fill, Lot], bool]


def booked(fills: Iterable[Fill], mark: Decimal, in_view: InView) -> Booked:
    """Book fills of one spot or swap market whose fees are in quote, in their order, as `core.engine.booking.book_fill`.

    An exit closes the lots of its place; with none of those, as an unwinding, whatever is open, the oldest first, but last
    those that an exit may still sell.
    """
    still_open: dict[str, Lot] = {}
    closed: list[Lot] = []
    for fill in fills:
        who = decode(fill.client_id)
        assert who is not None  # noqa: S101  the kernel's fills bear ids of this house
        lot_id = who.leg_id[1:]
        if who.role is Role.ENTRY:
            still_open[lot_id] = enlarge(still_open.get(lot_id), lot_id, who.bot_id, fill, fill.qty, fill.fee)
            continue
        own = [lot for lot in still_open.values() if lot.lot_id.partition("-")[0] == str(who.place)]
        against = own if who.role is Role.EXIT and own else list(still_open.values())
        spared = {lot.lot_id: lot.qty for lot in against if who.role is Role.UNWIND and in_view(fill, lot)}
        parts, _ = split_oldest_first(against, fill.qty, spared)
        fee_left = fill.fee
        for index, (one, part) in enumerate(parts):
            share = fee_left if index == len(parts) - 1 else share_of_cost(fill.fee, part, fill.qty)
            fee_left -= share
            after = reduce(one, fill.price, part, share, who.role, fill.ts)
            if after.open:
                still_open[after.lot_id] = after
            else:
                del still_open[after.lot_id]
                closed.append(after)
    lots = [*closed, *still_open.values()]
    return Booked(
        realized=sum((lot.realized for lot in lots), ZERO),
        grid_profit=sum((lot.grid_profit for lot in lots), ZERO),
        floating=sum((unrealized(lot, mark) for lot in still_open.values()), ZERO),
        trips=len(closed),
        won=sum(1 for lot in closed if lot.realized - lot.fees > ZERO),
    )
