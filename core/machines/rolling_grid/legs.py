"""What a place wants worked. Rule: every leg of a rolling grid is made here."""

from decimal import Decimal

from core.machines.rolling_grid.config import RollingGridPlan
from core.machines.rolling_grid.state import (
    Closing,
    Entering,
    Free,
    Hedge,
    Holding,
    Laddered,
    Lot,
    Offered,
    Phase,
    Running,
    Slot,
)
from core.orders import Kind, Leg, Role, leg_id
from core.values import ZERO


def legs_of(plan: RollingGridPlan, index: int, slot: Slot, phase: Phase) -> dict[str, Leg]:
    """List the legs that a place wants."""
    match slot:
        case Free():
            return {}
        case Entering():
            legs = [_entry(plan, index, slot)]
            if slot.lot is not None:
                legs += _offer(plan, index, slot.lot, slot.cycle, slot.sold)
        case Holding(lot=lot, leaving=leaving, hedge=hedge):
            legs = _exits(plan, index, lot, leaving)
            if hedge is not None and isinstance(phase, Running):
                legs += _hedge(plan, index, hedge)
    return {leg.leg_id: leg for leg in legs}


def entry_id(index: int, slot: Slot) -> str:
    """Name the entry leg of a place's present lot."""
    return leg_id(Role.ENTRY, index, slot.lot.cycle if isinstance(slot, Holding) else slot.used)


def exit_id(index: int, slot: Slot) -> str:
    """Name the exit leg of a place that is worked now, the nearest where there are several."""
    match slot:
        case Free(used=used):
            return leg_id(Role.EXIT, index, used)
        case Entering(cycle=cycle):
            return leg_id(Role.EXIT, index, cycle)
        case Holding(leaving=leaving):
            return leg_id(Role.EXIT, index, _exit_cycle(leaving))


def other_ids(index: int, slot: Slot) -> tuple[str, ...]:
    """Name the legs that a place has beside those two: the other rungs of its ladder, both sides of its hedge."""
    if not isinstance(slot, Holding):
        return ()
    leaving, hedge = slot.leaving, slot.hedge
    rungs = leaving.rungs if isinstance(leaving, Laddered) else ()
    names = [leg_id(Role.EXIT, index, rung.cycle) for rung in rungs if rung.cycle != _exit_cycle(leaving)]
    if hedge is not None:
        names += [leg_id(Role.HEDGE, index, cycle) for cycle in (hedge.open_cycle, hedge.close_cycle)]
    return tuple(names)


def _exit_cycle(leaving: Offered | Laddered | Closing) -> int:
    if not isinstance(leaving, Laddered):
        return leaving.cycle
    live = [rung.cycle for rung in leaving.rungs if rung.sold < rung.qty]
    return live[0] if live else leaving.rungs[-1].cycle


def _entry(plan: RollingGridPlan, index: int, slot: Entering) -> Leg:
    rules = plan.instrument
    return Leg(
        leg_id=leg_id(Role.ENTRY, index, slot.cycle), venue=rules.venue, symbol=rules.symbol, side=plan.side,
        role=Role.ENTRY, kind=Kind.LIMIT, qty=slot.qty, price=slot.price, post_only=True, lot_id=f"{index}-{slot.cycle}",
    )  # fmt: skip


def _exits(plan: RollingGridPlan, index: int, lot: Lot, leaving: Offered | Laddered | Closing) -> list[Leg]:
    match leaving:
        case Offered(cycle=cycle, sold=sold):
            return _offer(plan, index, lot, cycle, sold)
        case Laddered(rungs=rungs):
            return [_exit(plan, index, lot, r.cycle, r.qty, r.price) for r in rungs if r.sold < r.qty]
        case Closing(cycle=cycle, goal=goal, sold=sold, cap=cap):
            if sold >= goal:
                return []
            return [_exit(plan, index, lot, cycle, goal, cap, kind=Kind.MARKET)]


def _offer(plan: RollingGridPlan, index: int, lot: Lot, cycle: int, sold: Decimal) -> list[Leg]:
    left = plan.instrument.floor_qty(lot.held)
    return [] if left <= ZERO else [_exit(plan, index, lot, cycle, sold + left, lot.target)]


def _exit(
    plan: RollingGridPlan, index: int, lot: Lot, cycle: int, qty: Decimal, price: Decimal, kind: Kind = Kind.LIMIT
) -> Leg:
    rules = plan.instrument
    return Leg(
        leg_id=leg_id(Role.EXIT, index, cycle), venue=rules.venue, symbol=rules.symbol, side=plan.side.opposite,
        role=Role.EXIT, kind=kind, qty=qty, price=price, post_only=kind is Kind.LIMIT, reduce_only=rules.swap,
        lot_id=f"{index}-{lot.cycle}",
    )  # fmt: skip


def _hedge(plan: RollingGridPlan, index: int, hedge: Hedge) -> list[Leg]:
    rules = plan.hedge
    if rules is None:
        return []
    opens = hedge.wanted and hedge.goal > ZERO
    legs = [
        (hedge.open_cycle, plan.side.opposite, hedge.goal if opens else ZERO, hedge.cap_open),
        (hedge.close_cycle, plan.side, hedge.asked, hedge.cap_close),
    ]
    return [
        Leg(
            leg_id=leg_id(Role.HEDGE, index, cycle), venue=rules.venue, symbol=rules.symbol, side=side, role=Role.HEDGE,
            kind=Kind.MARKET, qty=qty, price=cap, reduce_only=side is plan.side,
        )
        for cycle, side, qty, cap in legs
        if qty > ZERO and cap > ZERO
    ]  # fmt: skip
