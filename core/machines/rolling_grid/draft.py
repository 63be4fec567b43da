"""The step under way: places being changed, and what has to be said about it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.machine import Alarm, Note, View
from core.machines.rolling_grid.config import RollingGridPlan
from core.machines.rolling_grid.state import Entering, Free, Holding, Lot, Phase, RollingGridState, Slot
from core.values import ONE, ZERO, Side, exact_product

# A closing at the market widens its cap every so many seconds, up to half the price.
WIDER_AFTER_S = 5.0
_SLIP_MOST = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Prices:
    """The price that barriers are held against: extremes since the last look, now, and whether touch bands bound it."""

    low: Decimal
    high: Decimal
    now: Decimal
    bounded: bool

    def worst(self, side: Side) -> Decimal:
        """The extreme at which a lot of this side is worth least."""
        return self.low if side is Side.BUY else self.high


@dataclass(slots=True)
class Draft:
    """A step: the state being changed; everything of it that is not named here stays as it was."""

    plan: RollingGridPlan
    view: View
    prices: Prices
    before: RollingGridState
    slots: list[Slot]
    phase: Phase
    opened_at: datetime | None
    freed: bool
    spent: Decimal
    why_not: str
    notes: list[Note] = field(default_factory=list[Note])
    alarms: list[Alarm] = field(default_factory=list[Alarm])
    calm: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    trip: str = ""
    unwind: str = ""

    @property
    def now(self) -> datetime:
        """The time of the step."""
        return self.view.now

    @property
    def side(self) -> Side:
        """The side of the bot's entries."""
        return self.plan.side

    def note(self, subject: str, decision: str, reason: str) -> None:
        """Write one line of the journal."""
        self.notes.append(Note(subject, decision, reason))

    def lots(self) -> list[tuple[int, Lot]]:
        """The places that hold something, with what they hold."""
        return [(index, lot) for index, slot in enumerate(self.slots) if (lot := lot_of(slot)) is not None]

    def whole(self, lot: Lot) -> Decimal:
        """What of a lot an order could close, as far as lots go."""
        return self.plan.instrument.floor_qty(lot.held)

    def sellable(self, lot: Lot, qty: Decimal | None = None) -> Decimal:
        """What of a lot an order at about the present price could close."""
        return self.plan.instrument.sellable(self.view.quote.last, lot.held if qty is None else qty)

    def cap(self, since: datetime) -> Decimal:
        """The worst price at which a closing under way since then may trade: wider, the longer it takes."""
        steps = min(int((self.now - since).total_seconds() // WIDER_AFTER_S), 6)
        slip = min(exact_product(self.plan.slippage, Decimal(2**steps)), _SLIP_MOST)
        quote, rules = self.view.quote, self.plan.instrument
        if self.side is Side.BUY:
            return rules.floor_price(exact_product(quote.bid, ONE - slip))
        return rules.ceil_price(exact_product(quote.ask, ONE + slip))


def open_draft(plan: RollingGridPlan, state: RollingGridState, view: View) -> Draft:
    """Begin a step."""
    return Draft(
        plan, view, prices_of(plan, view), state, list(state.slots), state.phase, state.opened_at, state.freed,
        state.spent, state.why_not,
    )  # fmt: skip


def prices_of(plan: RollingGridPlan, view: View) -> Prices:
    """Return the configured price (RULES 9e): mark on swaps where it was read, else the touch."""
    quote = view.quote
    source = plan.config.price_source or ("mark" if plan.instrument.swap else "touch")
    if source == "mark" and quote.mark is not None:
        return Prices(quote.mark, quote.mark, quote.mark, bounded=False)
    if source == "last":
        traded = [price for price in (quote.last, quote.low, quote.high) if price is not None]
        return Prices(min(traded), max(traded), quote.last, bounded=False)
    if source == "mid":
        return Prices(quote.mid, quote.mid, quote.mid, bounded=True)
    return Prices(view.low, view.high, quote.mid, bounded=True)


def lot_of(slot: Slot) -> Lot | None:
    """What a place holds that could be closed; None where it holds nothing."""
    match slot:
        case Free():
            return None
        case Entering(lot=lot):
            return lot if lot is not None and lot.held > ZERO else None
        case Holding(lot=lot):
            return lot if lot.held > ZERO else None


def lot_name(index: int, lot: Lot) -> str:
    """Name a lot as the books do."""
    return f"{index}-{lot.cycle}"
