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
from core.orders import Decoded, Event, Order, Role, Status, apply
from core.values import plain
from core.working import CANCEL_PATIENCE_S, NEW, refused, with_order

# An order that the exchange shows otherwise than its booked trades say, for longer than lists lag.
MISPLACED = "trade_misplaced"
MISPLACED_AFTER = timedelta(seconds=30)
# Two own orders that traded with each other: two fees for nothing, although all books agree (RULES, test C).
SELF_TRADE = "self_trade"
# One that was not seen again by then was a lag.
FORGOTTEN = timedelta(hours=1)

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
            _look_for_both_sides(draft, bot, fact)
            if mine and order is not None:
                _put(draft, bot, who, apply(order, Event.ACKED, fact.ts, traded=fact.qty))
            elif who.leg_id in bot.works:
                # A trade of an attempt that was put away: it counts, so the leg is never worked twice.
                _count_late(bot, who, fact)
        return
    if isinstance(fact, Seen):
        _hold_against_books(draft, bot, order if mine else None, fact)
    if not mine or order is None:
        return
    after = _after(draft, order, fact)
    if after is None:
        return
    bot.dirty.add(who.leg_id)
    _put(draft, bot, who, after)
    if isinstance(fact, Unanswered):
        bot.unanswered.add(who.leg_id)
    if isinstance(fact, Refused):
        draft.note(bot.spec.bot_id, who.leg_id, "REFUSED", f"{fact.kind.value}: {fact.reason}")
        work = refused(bot.works[who.leg_id], fact.kind, fact.reason, draft.now)
        bot.put(who.leg_id, work)
        if bot.spec.hears_refusals:
            bot.events.append(LegRefused(who.leg_id, fact.kind, fact.reason, work.refusals, draft.now))


def _look_for_both_sides(draft: Draft, bot: BotDraft, fill: FillFact) -> None:
    """Raise an incident where the other side of a trade was an order of ours too: the exchange should have prevented it."""
    if draft.seen((fill.venue, fill.symbol, fill.trade_id, fill.side.opposite.value)):
        detail = (
            f"trade {fill.trade_id} of {fill.symbol}: both sides were orders of this account, and both paid their fee"
        )
        draft.alarm(SELF_TRADE, bot.spec.bot_id, fill.trade_id, "warning", f"{detail}; is self-trade prevention on?")


def _hold_against_books(draft: Draft, bot: BotDraft, order: Order | None, seen: Seen) -> None:
    """Raise an incident where the exchange's view of one of our orders contradicts the trades that were booked to it.

    It executed less than was booked, or rests though it counts as over. Orders and trades are two lists that lag apart by
    seconds; what stands for longer means that a trade was booked to the wrong order, and so perhaps to the wrong bot,
    though every wallet agrees.
    """
    key = (seen.client_id, "trades")
    if order is None and seen.status is SeenAs.OPEN:
        said = f"{seen.client_id} rests at the exchange, and is over in the books of bot {bot.spec.bot_id}"
    elif order is not None and seen.executed < order.traded_qty:
        booked, done = plain(order.traded_qty), plain(seen.executed)
        said = f"{booked} were booked to {seen.client_id} of bot {bot.spec.bot_id}, the exchange executed {done} of it"
    else:
        if draft.suspect_since.pop(key, None) is not None:
            draft.all_clear(MISPLACED, bot.spec.bot_id, seen.client_id)
        return
    for old in [name for name, at in draft.suspect_since.items() if name[1] == key[1] and at < draft.now - FORGOTTEN]:
        del draft.suspect_since[old]
    if draft.now >= draft.suspect_since.setdefault(key, draft.now) + MISPLACED_AFTER:
        detail = f"{said}: a trade was booked that belongs to another order"
        draft.alarm(MISPLACED, bot.spec.bot_id, seen.client_id, "critical", detail)


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
    quarantine_s = draft.limits.unknown_quarantine_s
    if order.role is Role.UNWIND:
        quarantine_s = min(quarantine_s, draft.limits.protective_quarantine_s)
    quarantine = timedelta(seconds=quarantine_s)
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
