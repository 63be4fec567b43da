"""The order layer: works each wanted leg exactly once. Rule: every command to a venue is decided in `propose`.

One live order per leg; Σ executed never exceeds the leg; an order is replaced only after its cancel is confirmed; what
was filled is carried into the next attempt; refusals are paced and their reason is kept (DESIGN 4, RULES 9a). A machine
that says "buy 0.1 at 100 or better" gets partial fills, late fills, lost answers and post-only refusals right for free.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.facts import Refusal
from core.machine import Wake
from core.market import Instrument, Quote
from core.orders import Kind, Leg, Order, Role, Status
from core.quick import quick
from core.values import ONE, ZERO, Side


@quick
@dataclass(frozen=True, slots=True)
class Work:
    """A leg being worked. `leg` is None once it is no longer wanted but its order may still live.

    `done` is what finished attempts executed; `next_attempt` numbers the next order; `reason` says why no order rests.
    """

    leg: Leg | None
    order: Order | None
    done: Decimal
    next_attempt: int
    refusals: int = 0
    not_before: datetime | None = None
    reason: str = ""
    asked_price: Decimal | None = None

    @property
    def executed(self) -> Decimal:
        """Base quantity executed over all attempts."""
        return self.done + (self.order.filled_qty if self.order is not None else ZERO)


NEW = Work(None, None, ZERO, 0)


@quick
@dataclass(frozen=True, slots=True)
class Send:
    """Place an order of this quantity at this price (None: a plain market order)."""

    price: Decimal | None
    qty: Decimal
    post_only: bool


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel the live order, for this reason."""

    reason: str


@quick
@dataclass(frozen=True, slots=True)
class Rest:
    """Leave things as they are; `reason` says why no order rests where one is wanted."""

    reason: str = ""
    wake: Wake = Wake()


Proposal = Send | Withdraw | Rest

_IDLE = Rest()

# How long a leg waits after a refusal, by its kind: (first wait, longest wait) in seconds, doubling in between.
BACKOFF_S: dict[Refusal, tuple[float, float]] = {
    Refusal.POST_ONLY: (0.25, 4.0),
    Refusal.FUNDS: (60.0, 600.0),
    Refusal.FILTER: (300.0, 3600.0),
    Refusal.RATE: (10.0, 120.0),
    Refusal.REDUCE_ONLY: (1.0, 30.0),
    Refusal.CLOSED: (30.0, 600.0),
    Refusal.OTHER: (5.0, 300.0),
}
# A cancel that brought no news for this long is sent again.
CANCEL_PATIENCE_S = 10.0


def propose(work: Work, quote: Quote | None, instrument: Instrument, now: datetime, safe_spread: Decimal) -> Proposal:
    """Say what to do about a leg now. `safe_spread` is the extra distance a post-only price keeps (fraction)."""
    leg, order = work.leg, work.order
    if order is not None:
        return _tend(leg, order, work, quote)
    if leg is None:
        return _IDLE
    left = leg.qty - work.done
    if left <= ZERO:
        return _IDLE
    if work.not_before is not None and now < work.not_before:
        return Rest(work.reason, Wake(deadline=work.not_before))
    if quote is None:
        return Rest("no price has been read yet")
    price = price_to_send(leg, quote, instrument, safe_spread)
    if leg.kind is Kind.MARKET and leg.side is Side.SELL and price is not None:
        # The exchange reckons a capped order's notional at its cap: a wide cap must not make a sale too small.
        price = max(price, min(instrument.least_price(left), instrument.floor_price(quote.bid)))
    objection = instrument.objection(price if price is not None else instrument.floor_price(quote.bid), left)
    if objection is not None:
        return Rest(objection)
    return Send(price, left, leg.post_only)


def _tend(leg: Leg | None, order: Order, work: Work, quote: Quote | None) -> Proposal:
    if order.status is Status.CANCELING:
        patience = order.updated_at + timedelta(seconds=CANCEL_PATIENCE_S)
        return Rest("cancel is under way", Wake(deadline=patience))
    if not order.live:
        return Rest("over; its trades are still to come")
    if order.status is not Status.OPEN:
        return Rest("sent, answer outstanding" if order.status is Status.PENDING else "fate unknown, being asked for")
    if leg is None:
        return Withdraw("no longer wanted")
    if leg.kind is Kind.MARKET:
        return Rest("on its way to the book")
    if leg.qty - work.done != order.qty:
        return Withdraw(f"quantity changed to {leg.qty - work.done}")
    if leg.price != work.asked_price:
        return Withdraw(f"price changed to {leg.price}")
    if leg.post_only and leg.price != order.price and leg.price is not None and quote is not None:
        # Sent at a worse price than wished because the wish would have crossed; once it would rest, move there.
        if _rests(leg.side, leg.price, quote):
            return Withdraw(f"its own price {leg.price} is free again")
        return Rest(wake=Wake(high=leg.price) if leg.side is Side.BUY else Wake(low=leg.price))
    return _IDLE


def price_to_send(leg: Leg, quote: Quote, instrument: Instrument, safe_spread: Decimal) -> Decimal | None:
    """Return the limit to send: the leg's own price, moved behind the touch where a post-only order would cross.

    Where bid and ask are one, as in candles, the touch itself would cross: it goes one tick behind. A market leg gets its
    cap; without one, None. Moving only ever makes the price better for us.
    """
    if leg.price is None or not leg.post_only or _rests(leg.side, leg.price, quote):
        return leg.price
    if leg.side is Side.BUY:
        price = min(leg.price, instrument.floor_price(quote.bid * (ONE - safe_spread)))
        return price if price < quote.ask else instrument.floor_price(quote.ask) - instrument.tick_size
    price = max(leg.price, instrument.ceil_price(quote.ask * (ONE + safe_spread)))
    return price if price > quote.bid else instrument.ceil_price(quote.bid) + instrument.tick_size


def _rests(side: Side, price: Decimal, quote: Quote) -> bool:
    return price < quote.ask if side is Side.BUY else price > quote.bid


def refused(work: Work, kind: Refusal, reason: str, now: datetime) -> Work:
    """Pace a leg after a refusal; exits wait no longer than the first step, they must get out."""
    first, longest = BACKOFF_S[kind]
    reducing = work.leg is not None and (work.leg.role.reduces or work.leg.reduce_only)
    wait_s = first if reducing and kind is not Refusal.FILTER else min(first * 2**work.refusals, longest)
    return Work(
        leg=work.leg, order=work.order, done=work.done, next_attempt=work.next_attempt,
        refusals=min(work.refusals + 1, 20), not_before=now + timedelta(seconds=wait_s),
        reason=f"refused ({kind.value}): {reason}",
    )  # fmt: skip


def wanted(work: Work, leg: Leg | None) -> Work:
    """Note what is wanted now; the work already done stays."""
    return Work(
        leg=leg, order=work.order, done=work.done, next_attempt=work.next_attempt, refusals=work.refusals,
        not_before=work.not_before, reason=work.reason, asked_price=work.asked_price,
    )  # fmt: skip


def with_order(work: Work, order: Order) -> Work:
    """Replace the order by its next state; one that is over and whose trades are all booked is put away."""
    if not order.live and order.traded_qty >= order.filled_qty:
        return Work(
            leg=work.leg, order=None, done=work.done + order.filled_qty, next_attempt=work.next_attempt,
            refusals=work.refusals if order.filled_qty == ZERO else 0, not_before=work.not_before, reason=order.reason,
        )  # fmt: skip
    return Work(
        leg=work.leg, order=order, done=work.done, next_attempt=work.next_attempt, refusals=work.refusals,
        not_before=work.not_before, reason=work.reason, asked_price=work.asked_price,
    )  # fmt: skip


def started(work: Work, order: Order) -> Work:
    """Take up the next attempt with `order`."""
    asked = work.leg.price if work.leg is not None else order.price
    return Work(
        leg=work.leg, order=order, done=work.done, next_attempt=work.next_attempt + 1, refusals=work.refusals,
        asked_price=asked,
    )  # fmt: skip


def is_exit(work: Work) -> bool:
    """Whether this work only takes risk off."""
    if work.leg is not None:
        return work.leg.role.reduces
    return work.order is not None and work.order.role is not Role.ENTRY


def is_market(leg: Leg) -> bool:
    """Whether the leg takes the book rather than rests in it."""
    return leg.kind is Kind.MARKET
