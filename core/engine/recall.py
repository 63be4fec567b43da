"""Which legs a restart must know the past of, so that none is worked twice and no client id is used again."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.engine.world import BotSpec, Unwind
from core.orders import ClientId, Leg, Order, Role, leg_id
from core.values import total
from core.working import Work


def legs_to_recall(spec: BotSpec, state: Any, unwind: Unwind | None) -> dict[str, Leg | None]:
    """Return the legs wanted now and those that may be wanted again: all legs of every place's present life.

    A level that was withdrawn wants nothing, yet its leg may have used up client ids and may still have an order.
    """
    legs: dict[str, Leg | None] = {}
    if state is not None:
        for index in range(spec.places):
            legs |= dict.fromkeys(spec.machine.place(spec.plan, state, index).legs)
        legs |= spec.machine.wants(spec.plan, state)
    if unwind is not None:
        for index in range(len(spec.instruments)):
            legs.setdefault(leg_id(Role.UNWIND, index, unwind.episode), None)
    return legs


def recall_works(
    legs: Mapping[str, Leg | None], orders: Iterable[Order], asked: Mapping[ClientId, Decimal | None]
) -> dict[str, Work]:
    """Build the works of one bot from all its stored orders: what was done, which attempt is next, which order lives.

    An order that is over and fully booked only counts; one that may still trade, or whose trades are still to come, is
    its leg's own. `asked` is what the leg asked for when that order was sent (`Work.asked_price`). Raises `ValueError`
    where a leg has two of those: nobody could say which one is worked.
    """
    by_leg: dict[str, list[Order]] = {}
    for order in orders:
        by_leg.setdefault(order.leg_id, []).append(order)
    works: dict[str, Work] = {}
    for name in {**legs, **by_leg}:
        attempts = by_leg.get(name, [])
        unsettled = [o for o in attempts if o.live or o.traded_qty < o.filled_qty]
        if len(unsettled) > 1:
            ids = ", ".join(order.client_id for order in unsettled)
            message = f"leg {name} has two orders that may still trade: {ids}; look at both on the exchange, cancel one"
            raise ValueError(message)
        if name not in legs and not unsettled:
            continue
        if not attempts and legs.get(name) is None:
            continue
        works[name] = Work(
            leg=legs.get(name),
            order=unsettled[0] if unsettled else None,
            done=_done(attempts, unsettled),
            next_attempt=max((order.attempt for order in attempts), default=-1) + 1,
            asked_price=asked.get(unsettled[0].client_id) if unsettled else None,
        )
    return works


def _done(attempts: list[Order], unsettled: list[Order]) -> Decimal:
    return total(order.filled_qty for order in attempts if order not in unsettled)
