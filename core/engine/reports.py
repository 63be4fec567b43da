"""Applies what a venue reports of orders to the legs that they work."""

from datetime import timedelta
from decimal import Decimal

from core.engine.booking import book_fill
from core.engine.draft import BotDraft, Draft
from core.facts import (
    Accepted,
    CancelRefused,
    NotFound,
    OrderFact,
    Refused,
    Seen,
    SeenAs,
    Unanswered,
)
from core.facts import Fill as FillFact
from core.machine import LegRefused
from core.orders import Decoded, Event, Order, Status, apply
from core.working import CANCEL_PATIENCE_S, NEW, refused, with_order

_SEEN_EVENT = {
    SeenAs.OPEN: Event.SEEN_OPEN,
    SeenAs.FILLED: Event.COMPLETED,
    SeenAs.CANCELED: Event.SEEN_CANCELED,
    SeenAs.EXPIRED: Event.SEEN_EXPIRED,
}


def take_in(draft: Draft, bot: BotDraft, fact: OrderFact, who: Decoded) -> None:
    """Answer one report about an order of this bot. Total: any report in any state of the order."""
    work = bot.works.get(who.leg_id, NEW)
    order = work.order
    mine = order is not None and order.client_id == fact.client_id
    if isinstance(fact, FillFact):
        if book_fill(draft, bot, fact, who):
            bot.dirty.add(who.leg_id)
            if mine and order is not None:
                _put(draft, bot, who, apply(order, Event.ACKED, fact.ts, traded=fact.qty))
            elif who.leg_id in bot.works:
                # A trade of an attempt that was put away: it counts, so the leg is never worked twice.
                _count_late(bot, who, fact)
        return
    if not mine or order is None:
        return
    after = _after(draft, order, fact)
    if after is None:
        return
    bot.dirty.add(who.leg_id)
    _put(draft, bot, who, after)
    if isinstance(fact, Refused):
        draft.note(bot.spec.bot_id, who.leg_id, "REFUSED", f"{fact.kind.value}: {fact.reason}")
        work = refused(bot.works[who.leg_id], fact.kind, fact.reason, draft.now)
        bot.put(who.leg_id, work)
        if bot.spec.hears_refusals:
            bot.events.append(LegRefused(who.leg_id, fact.kind, fact.reason, work.refusals, draft.now))


def _count_late(bot: BotDraft, who: Decoded, fill: FillFact) -> None:
    work = bot.works[who.leg_id]
    bot.works[who.leg_id] = type(work)(
        leg=work.leg, order=work.order, done=work.done + fill.qty, next_attempt=work.next_attempt,
        refusals=work.refusals, not_before=work.not_before, reason=work.reason, asked_price=work.asked_price,
    )  # fmt: skip


def _put(draft: Draft, bot: BotDraft, who: Decoded, order: Order) -> None:
    bot.put(who.leg_id, with_order(bot.works[who.leg_id], order))
    draft.orders[order.client_id] = order
    if not order.live:
        draft.room_freed = True


def _after(draft: Draft, order: Order, fact: OrderFact) -> Order | None:
    match fact:
        case Accepted(exchange_id=exchange_id, executed=executed):
            return apply(order, Event.ACKED, fact.ts, executed=executed, exchange_id=exchange_id)
        case Refused(reason=reason):
            return apply(order, Event.REFUSED, fact.ts, reason=reason)
        case Unanswered(reason=reason):
            return apply(order, Event.UNANSWERED, fact.ts, reason=reason)
        case Seen(status=status, executed=executed, exchange_id=exchange_id):
            return _seen(order, status, fact, executed, exchange_id)
        case NotFound():
            return _not_found(draft, order, fact)
        case CancelRefused():
            # "Unknown order" may mean filled, expired or never arrived: the order is asked for, nothing is assumed.
            return None
        case FillFact():
            return None


def _seen(order: Order, status: SeenAs, fact: Seen, executed: Decimal, exchange_id: str) -> Order | None:
    event = _SEEN_EVENT[status]
    if status is SeenAs.OPEN and order.status is Status.CANCELING:
        patience = timedelta(seconds=CANCEL_PATIENCE_S)
        if fact.ts < order.updated_at + patience:
            return None
        event = Event.CANCEL_FAILED
    unchanged = status is SeenAs.OPEN and order.status is Status.OPEN and executed <= order.filled_qty
    return None if unchanged else apply(order, event, fact.ts, executed=executed, exchange_id=exchange_id)


def _not_found(draft: Draft, order: Order, fact: NotFound) -> Order | None:
    # Not found proves death only once nothing can still be on its way (RULES 4, reliability 0.3).
    quarantine = timedelta(seconds=draft.limits.unknown_quarantine_s)
    if order.status in {Status.PENDING, Status.UNKNOWN}:
        if fact.ts < order.created_at + quarantine:
            return None
        return apply(order, Event.NEVER_ARRIVED, fact.ts, reason="never reached the venue")
    if order.live and fact.ts >= order.updated_at + quarantine:
        draft.alarm(
            "order_vanished", order.bot_id, order.client_id, "warning", f"{order.client_id} is unknown to the venue"
        )
        return apply(order, Event.SEEN_CANCELED, fact.ts, reason="vanished from the venue")
    return None
