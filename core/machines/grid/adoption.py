"""Stands a grid up from what its orders and trades tell alone, when the store is lost (RULES 9d).

Each level is followed through its cycles by its own fills: an independent second way to the state that the machine
keeps step by step. What no order tells: whether a barrier had fired (the grid counts as running, for its bot is latched
to exits until a person releases it), the trailing stop's best profit (measured anew), when the last batch went out
(now), and whether fresh money for a reset is left (none is). A range that had moved stands where its entries rest; a
neutral grid is split where its entries change sides, or by the first price where none ever filled. A level that ever
traded has been passed by the price; it is never bought at the market again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.machine import LegFilled, LotCut, MachineEvent
from core.machines.grid.config import GridPlan
from core.machines.grid.entries import looks_at_price
from core.machines.grid.legs import exit_after_fills
from core.machines.grid.state import Entering, GridState, Holding, Level, Pending, Running, Waiting
from core.orders import Role, leg_id
from core.recovery import Past, RebuildRefused
from core.values import ZERO, Side, exact_product


@dataclass(slots=True)
class _Trace:
    """What is known of one level: its newest cycle, what that bought and sold (gross), and what is held (net)."""

    cycle: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    held: Decimal = ZERO
    spent: Decimal = ZERO
    seen: bool = False

    def reach(self, cycle: int, plan: GridPlan) -> None:
        """Move on to a cycle; dust that was left of an older one is no part of it."""
        self.seen = True
        if cycle > self.cycle:
            self.cycle, self.bought, self.sold, self.spent = cycle, ZERO, ZERO, ZERO
            if plan.instrument.floor_qty(self.held) <= ZERO:
                self.held = ZERO


def adopted(plan: GridPlan, past: Past) -> GridState:
    """Return the state of a grid with this past.

    Raises `RebuildRefused` for a grid that took coins over, and for an infinite one: no order tells which, or its worth.
    """
    if plan.config.initial_inventory == "owned":
        message = "a grid with initial_inventory: owned cannot be told from its orders; sell or claim its coins by hand"
        raise RebuildRefused(message)
    if plan.config.infinite:
        message = "an infinite grid's worth hangs on the price at its start, which no order tells; close it by hand"
        raise RebuildRefused(message)
    traces = [_Trace() for _ in plan.lines]
    for event in past.events:
        _follow(plan, traces, event)
    for index, cycle in _places(past.seen):
        if index < len(traces):
            traces[index].reach(cycle, plan)
    levels = tuple(_level(plan, index, trace, past) for index, trace in enumerate(traces))
    pivot = _pivot(past.events) if plan.config.side == "NEUTRAL" else None
    unsplit = plan.config.side == "NEUTRAL" and pivot is None
    untouched = plan.config.trigger_price is not None and not past.seen
    begins = Pending(None, past.now) if unsplit or untouched else Running(past.started_at)
    return GridState(
        levels=levels, phase=begins, last_batch_at=past.now, peak=None, window=_window(plan, past.live),
        resets=plan.config.max_resets, pivot=pivot,
    )  # fmt: skip


def _pivot(events: Iterable[MachineEvent]) -> int | None:
    # Purchases opened places below the pivot, sales those from it up.
    opened = [event for event in events if isinstance(event, LegFilled) and event.role is Role.ENTRY]
    sold = [int(one.lot_id.partition("-")[0]) for one in opened if one.side is Side.SELL]
    bought = [int(one.lot_id.partition("-")[0]) for one in opened if one.side is Side.BUY]
    return min(sold) if sold else max(bought) + 1 if bought else None


def _window(plan: GridPlan, live: Iterable[str]) -> tuple[int, int] | None:
    entries = [index for index, _ in _places(name for name in live if name[0] == Role.ENTRY.value)]
    first, end = plan.window
    if not plan.config.moves or not entries:
        return None
    shift = min(min(entries) - first, 0) or max(max(entries) + 1 - end, 0)
    return (first + shift, end + shift) if shift else None


def _follow(plan: GridPlan, traces: list[_Trace], event: MachineEvent) -> None:
    match event:
        case LegFilled(lot_id=lot_id, role=role, qty=qty, net=net, price=price):
            place = _place_of(lot_id, len(traces))
            if place is None:
                return
            index, cycle = place
            trace = traces[index]
            trace.reach(cycle, plan)
            own = cycle == trace.cycle
            if role is Role.ENTRY:
                trace.held += net
                trace.bought += qty if own else ZERO
                trace.spent += exact_product(price, qty) if own else ZERO
            else:
                trace.held = max(trace.held - net, ZERO)
                trace.sold += qty if own else ZERO
        case LotCut(lot_id=lot_id, qty=qty):
            place = _place_of(lot_id, len(traces))
            if place is not None:
                trace = traces[place[0]]
                trace.held = max(trace.held - qty, ZERO)
        case _:
            pass


def _level(plan: GridPlan, index: int, trace: _Trace, past: Past) -> Level:
    line, cycle = plan.lines[index], trace.cycle
    since: datetime = past.now
    live = leg_id(Role.ENTRY, index, cycle) in past.live
    left = line.qty - trace.bought
    # A grid that follows the price withdraws entries for good after a part; a plain one goes on with what is left.
    unfinished = (
        trace.bought > ZERO
        and not looks_at_price(plan.config)
        and plan.instrument.sellable(line.entry_price, left) > ZERO
    )
    leave = exit_after_fills(plan, trace.bought, trace.spent)
    if left > ZERO and (live or unfinished):
        spent = trace.spent if plan.config.exit_from == "fill" else ZERO
        return Entering(cycle, trace.bought, trace.held, trace.sold, since, spent=spent, exit_price=leave)
    if plan.instrument.floor_qty(trace.held) > ZERO:
        return Holding(cycle, trace.held, trace.sold, since, leave)
    if trace.bought > ZERO or trace.sold > ZERO:
        return Waiting(cycle + 1, armed=True)
    return Waiting(cycle, armed=trace.seen or plan.config.initial_inventory != "none")


def _places(legs: Iterable[str]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for name in legs:
        if name[0] in {Role.ENTRY.value, Role.EXIT.value}:
            index, _, cycle = name[1:].partition("-")
            found.append((int(index), int(cycle)))
    return sorted(found)


def _place_of(lot_id: str, count: int) -> tuple[int, int] | None:
    index, _, cycle = lot_id.partition("-")
    if not (index.isdigit() and cycle.isdigit()) or int(index) >= count:
        return None
    return int(index), int(cycle)
