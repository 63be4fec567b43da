"""Recovery of stuck lots: when a lot counts as stuck, how its exits are laid anew, what its closing may cost.

A lot is stuck once it is older than a time and further than a distance from where it would exit. What is then done is
an episode: it begins, has fills and a cost, may escalate, and ends with an outcome. Everything here is pure and knows
no strategy; a kind keeps the episode beside its lot. Prices and amounts are quote, quantities base, fractions of price.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from core.market import Instrument
from core.values import ONE, ZERO, Side, exact_product, floor_to, ratio

RecoveryMode = Literal["aggressive", "ladder", "hedge", "none"]
Escalation = Literal["alert", "market", "hedge"]
# How a bot stands: `warning` while a lot is recovered or a limit is nearly used, `critical` once one had to escalate or stop.
Health = Literal["healthy", "warning", "critical"]
# From this share of a limit on a bot is no longer healthy.
LIMIT_NEARLY_USED = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class Episode:
    """One recovery of one lot, from the moment it was found stuck. `left` is what was open then, bought at `entry`.

    `rungs` are the exits as last laid (price, quantity), at `anchored_at`; `cost` is the loss that its fills realised
    before fees (negative: a gain), `closed` the quantity they took off. `outcome` is empty while it goes on.
    """

    lot_id: str
    mode: RecoveryMode
    began_at: datetime
    price: Decimal
    entry: Decimal
    left: Decimal
    anchored_at: datetime
    rungs: tuple[tuple[Decimal, Decimal], ...] = ()
    fills: int = 0
    closed: Decimal = ZERO
    cost: Decimal = ZERO
    escalated: str = ""
    outcome: str = ""
    ended_at: datetime | None = None

    def filled(self, qty: Decimal, loss: Decimal, now: datetime) -> "Episode":
        """Take in a fill that took `qty` off the lot at this loss (negative: a gain); the wait for the next rungs starts anew."""
        return replace(
            self, fills=self.fills + 1, closed=self.closed + qty, cost=self.cost + loss, anchored_at=now
        )  # fmt: skip

    def ended(self, outcome: str, now: datetime) -> "Episode":
        """Close it."""
        return replace(self, outcome=outcome, ended_at=now)


def stuck_beyond(target: Decimal, distance: Decimal, side: Side) -> Decimal:
    """Return the price beyond which a lot that exits at `target` is too far away: below it for a long one, else above."""
    return exact_product(target, ONE - distance if side is Side.BUY else ONE + distance)


def is_beyond(price: Decimal, edge: Decimal, side: Side) -> bool:
    """Whether a price lies beyond `stuck_beyond` on the losing side."""
    return price < edge if side is Side.BUY else price > edge


def reachable_distance(take_profit: Decimal, stop_loss: Decimal, side: Side) -> Decimal:
    """Return the distance from the exit at which a lot's stop loss fires: only lots stuck nearer than it can be recovered.

    Long: 1 - (1 - sl) / (1 + tp); short: (1 + sl) / (1 - tp) - 1.
    """
    if side is Side.BUY:
        return ONE - ratio(ONE - stop_loss, ONE + take_profit)
    return ratio(ONE + stop_loss, ONE - take_profit) - ONE


def loss_at(entry: Decimal, price: Decimal, side: Side) -> Decimal:
    """Return what one unit bought (or sold) at `entry` loses when it is closed at `price`; a gain counts as nothing."""
    return max((entry - price) * side.sign, ZERO)


def budget_left(share: Decimal | None, net_profit: Decimal, spent: Decimal) -> Decimal | None:
    """Return how much loss recovery may still realise: a share of what was earned beside it, less what it has spent.

    `net_profit` is realised profit after fees and includes those losses; None means there is no limit.
    """
    if share is None:
        return None
    return max(exact_product(share, max(net_profit + spent, ZERO)) - spent, ZERO)


def affordable(qty: Decimal, loss_each: Decimal, budget: Decimal | None, lot_step: Decimal) -> Decimal:
    """Return how much of `qty` may be closed at a loss of `loss_each` per unit, floored to the lot step."""
    if budget is None or loss_each <= ZERO:
        return qty
    return min(qty, floor_to(ratio(budget, loss_each), lot_step))


def lay_rungs(
    instrument: Instrument, side: Side, left: Decimal, price: Decimal, target: Decimal, distances: Sequence[Decimal]
) -> tuple[tuple[Decimal, Decimal], ...]:
    """Lay exits for `left` at these distances from `price`, none beyond `target`: (price, quantity), the nearest first.

    Parts are equal, floored to the lot step; what is over goes to the nearest. Fewer parts where they would be below the
    exchange's minimum; rungs that meet at the target are one. Empty where not even the whole can be ordered.
    """
    whole = instrument.floor_qty(left)
    prices = [_rung_price(instrument, side, price, target, one) for one in distances]
    for count in range(len(prices), 0, -1):
        part = instrument.floor_qty(whole / count)
        # A smaller price decides: for a long lot the first, for a short one the last.
        if instrument.sellable(min(prices[:count]), part) == ZERO:
            continue
        parts = [whole - part * (count - 1), *([part] * (count - 1))]
        merged: dict[Decimal, Decimal] = {}
        for rung, qty in zip(prices, parts, strict=False):
            merged[rung] = merged.get(rung, ZERO) + qty
        return tuple(merged.items())
    return ()


def _rung_price(instrument: Instrument, side: Side, price: Decimal, target: Decimal, distance: Decimal) -> Decimal:
    if side is Side.BUY:
        return min(instrument.ceil_price(exact_product(price, ONE + distance)), target)
    return max(instrument.floor_price(exact_product(price, ONE - distance)), target)


def within_budget(
    rungs: Sequence[tuple[Decimal, Decimal]], entry: Decimal, side: Side, target: Decimal, budget: Decimal | None,
    instrument: Instrument,
) -> tuple[tuple[Decimal, Decimal], ...]:  # fmt: skip
    """Cut rungs to what the budget pays, the nearest first; what it does not pay stays offered at the target.

    Nothing is cut to a part that no exchange would take: such a rung moves to the target whole.
    """
    if budget is None:
        return tuple(rungs)
    kept: dict[Decimal, Decimal] = {}
    at_target = ZERO
    for price, qty in rungs:
        loss = loss_at(entry, price, side)
        part = instrument.sellable(price, affordable(qty, loss, budget, instrument.lot_step))
        if part > ZERO:
            kept[price] = kept.get(price, ZERO) + part
            budget -= exact_product(loss, part)
        at_target += qty - part
    if at_target > ZERO:
        kept[target] = kept.get(target, ZERO) + at_target
    return tuple(kept.items())


def nearly_full(bound: Decimal, most: Decimal | None) -> bool:
    """Whether a limit is nearly used."""
    return most is not None and bound >= exact_product(most, LIMIT_NEARLY_USED)


def health_of(*, recovering: bool, escalated: bool, full: bool) -> Health:
    """Judge how a bot stands: by its episodes, and by whether one of its limits is nearly used."""
    if escalated:
        return "critical"
    return "warning" if recovering or full else "healthy"
