"""What the executors' machines are made ready with, and the refusals that their configurations share."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.config import PlanRefused, TripleBarrier
from core.market import Instrument
from core.values import ZERO, Side, exact_product, plain

# Binance and others stamp in Unix time; ours is naive UTC.
_EPOCH = datetime(1970, 1, 1)
# A post-only order that would cross is sent one tick behind the touch: rounding down from a hair below makes it that.
ONE_TICK = Decimal("1E-9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An executor made ready for its instrument.

    `entries` are price and base quantity of every slot where the configuration says them, else zeros. `closes`: whether it
    closes what it opened; one that does not ends by holding it. `slices`: a failed entry costs itself alone. `slippage`
    caps market orders (fraction of the touch).
    """

    config: Any
    instrument: Instrument
    side: Side
    entries: tuple[tuple[Decimal, Decimal], ...]
    barriers: TripleBarrier
    closes: bool
    market: bool
    post_only: bool
    slippage: Decimal
    max_retries: int
    slices: bool = False

    @property
    def exit_place(self) -> int | None:
        """The place of the exit: a single slot's own, else one after the last; None where nothing is closed."""
        if not self.closes:
            return None
        return 0 if len(self.entries) == 1 else len(self.entries)

    @property
    def places(self) -> int:
        """How many places can be shown."""
        return max(len(self.entries), 0 if self.exit_place is None else self.exit_place + 1)

    def ends_at(self, started_at: datetime) -> datetime | None:
        """Return when the time limit is over: it counts from `timestamp`, or from the bot's first tick."""
        limit = self.barriers.time_limit
        return None if limit is None else self.begins_at(started_at) + timedelta(seconds=limit)

    def begins_at(self, started_at: datetime) -> datetime:
        """Return the configured timestamp, else when the bot first ticked; neither is ever missing."""
        stamp: float | None = self.config.timestamp
        return started_at if stamp is None else _EPOCH + timedelta(seconds=stamp)


def objection_to_barriers(barriers: TripleBarrier) -> str | None:
    """Say what stands in the way of these barriers whatever the market, or None."""
    wide = barriers.too_wide()
    if wide is not None:
        return f"triple_barrier.{wide}: above 0.2 is unusual; set allow_wide: true to keep it"
    for name in ("stop_loss_order_type", "time_limit_order_type"):
        if getattr(barriers, name) == "LIMIT_MAKER":
            return f"triple_barrier.{name}: an exit that must get out cannot be post-only; LIMIT or MARKET works"
    trailing = barriers.trailing_stop
    if trailing is not None and trailing.delta > trailing.activation:
        return (
            f"triple_barrier.trailing_stop.delta: {plain(trailing.delta)} is more than the activation, so it would lock a "
            f"loss in; at most {plain(trailing.activation)} works"
        )
    return None


def check_amount(key: str, instrument: Instrument, price: Decimal, qty: Decimal) -> None:
    """Raise `PlanRefused` where an order of `qty` at `price` is below the exchange's minimums; says what would work."""
    floored = instrument.floor_qty(qty)
    if (
        floored >= instrument.min_qty
        and floored > ZERO
        and instrument.notional(price, floored) >= instrument.min_notional
    ):
        return
    least = max(instrument.min_qty, instrument.lot_step)
    while instrument.notional(price, least) < instrument.min_notional:
        least = max(instrument.floor_qty(instrument.min_notional / price), least) + instrument.lot_step
    raise PlanRefused(
        key,
        f"{plain(qty)} {instrument.base} at {plain(price)} is below the exchange's minimum; {plain(least)} {instrument.base} "
        f"({plain(exact_product(least, price))} {instrument.quote}) works",
    )


def needs_swap_to_short(config: Any, instrument: Instrument) -> None:
    """Raise `PlanRefused` for a short of an executor that closes its position, on spot."""
    if config.side == "SELL" and not instrument.swap:
        raise PlanRefused("side", "opens a short and needs a swap venue; BUY works on spot")


def check_lot(amount: Decimal, instrument: Instrument) -> None:
    """Raise `PlanRefused` where an amount is no multiple of the lot step or below the least quantity."""
    floored = instrument.floor_qty(amount)
    if floored != amount:
        works = plain(max(floored, instrument.min_qty, instrument.lot_step))
        raise PlanRefused(
            "amount", f"{plain(amount)} is no multiple of the lot step {plain(instrument.lot_step)}; {works} works"
        )
    if amount < instrument.min_qty:
        raise PlanRefused("amount", f"{plain(amount)} is below the least quantity; {plain(instrument.min_qty)} works")
