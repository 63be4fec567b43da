"""The risk gate. Rule: only an `Approved` order can be sent, and only `check` makes one.

Entries must pass every limit. What reduces risk passes all of them except its own inventory and the exchange's filters
(RULES 7). Orders of unknown fate count as live. Exposure is measured at cost and at order prices, so that it changes
with fills and orders alone.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.market import Quote
from core.orders import Kind, Leg, Role
from core.quick import quick
from core.values import ZERO, exact_product, plain
from core.working import Send


@quick
@dataclass(frozen=True, slots=True)
class Approved:
    """A leg that may be sent, with the price and quantity that were approved."""

    leg: Leg
    send: Send


@dataclass(frozen=True, slots=True)
class Declined:
    """A leg that may not be sent now, and why. `passing` where a fresh price alone may change it: ask every tick."""

    reason: str
    passing: bool = False


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is at stake before this order. Quantities base, amounts quote.

    `live_*_qty` is what orders may still add to or take from the inventory, trades not yet booked included;
    `live_entries` counts entry orders that may still fill; `bot_quote` is this bot's part of `account_quote`.
    """

    inventory: Decimal
    live_entries: int
    live_entry_qty: Decimal
    live_exit_qty: Decimal
    account_quote: Decimal
    bot_quote: Decimal = ZERO


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Limits that apply to this order; None is unlimited."""

    max_open_orders: int | None
    max_position_size: Decimal | None
    max_exposure_quote: Decimal | None
    max_price_age_s: float
    max_bound_quote: Decimal | None = None


def check(
    leg: Leg, send: Send, quote: Quote, at: Exposure, caps: Caps, now: datetime, *, swap: bool
) -> Approved | Declined:
    """Approve or decline one order."""
    if leg.role.reduces:
        return _check_reducing(leg, send, at, swap=swap)
    if leg.role is Role.HEDGE:
        # What it hedges was approved; without the hedge there would be more at stake, not less (RULES 7, 9b).
        return Approved(leg, send)
    objection = quote.objection(now, caps.max_price_age_s)
    if objection is not None:
        return Declined(objection, passing=True)
    if caps.max_open_orders is not None and at.live_entries >= caps.max_open_orders:
        return Declined(f"max_open_orders {caps.max_open_orders} is reached by orders that may still fill")
    if caps.max_position_size is not None:
        size = abs(at.inventory) + at.live_entry_qty + send.qty
        if size > caps.max_position_size:
            return Declined(f"max_position_size {plain(caps.max_position_size)} would be passed")
    if caps.max_bound_quote is not None:
        price = max((p for p in (leg.price, send.price) if p is not None), default=quote.mid)
        if at.bot_quote + exact_product(price, send.qty) > caps.max_bound_quote:
            return Declined(
                f"the bot's lots and orders may be worth {plain(caps.max_bound_quote)}", passing=price != leg.price
            )
    if caps.max_exposure_quote is not None:
        # The dearest that it can get: a purchase its own price, however far behind the touch it is sent.
        price = max((p for p in (leg.price, send.price) if p is not None), default=quote.mid)
        if at.account_quote + exact_product(price, send.qty) > caps.max_exposure_quote:
            # A sale sent above its own price may fit later, without any fill.
            moving = price != leg.price
            return Declined(f"max_exposure_quote {plain(caps.max_exposure_quote)} would be passed", passing=moving)
    return Approved(leg, send)


def _check_reducing(leg: Leg, send: Send, at: Exposure, *, swap: bool) -> Approved | Declined:
    # Never sell more than is held, nor close more than is open: orders still live are counted as filled. A stop rests
    # beside the exits and covers what entries may add: reduce-only keeps it from ever opening anything.
    free = abs(at.inventory) + (at.live_entry_qty if leg.kind is Kind.STOP_MARKET else -at.live_exit_qty)
    if send.qty > free:
        held = "open" if swap else "held"
        return Declined(f"waits: {plain(max(free, ZERO))} of {plain(abs(at.inventory))} {held} is free of other exits")
    return Approved(leg, send)
