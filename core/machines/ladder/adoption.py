"""Stands a ladder up from what its orders and trades tell alone, when the store is lost (RULES 9d).

A trade whose entry was filled in part goes on entering where its order still rests, and otherwise holds the part.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from core.machine import LegFilled, LotCut, MachineEvent
from core.machines.ladder.config import LadderPlan
from core.machines.ladder.state import Completed, Entering, Exiting, LadderState, Pending, Rung
from core.orders import Role, leg_id
from core.recovery import Past
from core.values import ZERO


@dataclass(slots=True)
class _Trace:
    """What is known of one trade: its newest cycle, what that bought and sold (gross), and what is held (net)."""

    cycle: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    held: Decimal = ZERO


def adopted(plan: LadderPlan, past: Past) -> LadderState:
    """Return the state of a ladder with this past."""
    traces = [_Trace() for _ in plan.trades]
    for event in past.events:
        _follow(plan, traces, event)
    for index, cycle in _places(past.seen):
        if index < len(traces):
            _reach(plan, traces[index], cycle)
    return LadderState(tuple(_rung(plan, index, trace, past) for index, trace in enumerate(traces)))


def _reach(plan: LadderPlan, trace: _Trace, cycle: int) -> None:
    # Dust that was left of an older cycle is no part of the next one.
    if cycle > trace.cycle:
        trace.cycle, trace.bought, trace.sold = cycle, ZERO, ZERO
        if plan.instrument.floor_qty(trace.held) <= ZERO:
            trace.held = ZERO


def _follow(plan: LadderPlan, traces: list[_Trace], event: MachineEvent) -> None:
    if not isinstance(event, LegFilled | LotCut):
        return
    index_text, _, cycle_text = event.lot_id.partition("-")
    if not (index_text.isdigit() and cycle_text.isdigit()) or int(index_text) >= len(traces):
        return
    trace = traces[int(index_text)]
    if isinstance(event, LotCut):
        trace.held = max(trace.held - event.qty, ZERO)
        return
    _reach(plan, trace, int(cycle_text))
    own = int(cycle_text) == trace.cycle
    if event.role is Role.ENTRY:
        trace.held += event.net
        trace.bought += event.qty if own else ZERO
    else:
        trace.held = max(trace.held - event.net, ZERO)
        trace.sold += event.qty if own else ZERO


def _rung(plan: LadderPlan, index: int, trace: _Trace, past: Past) -> Rung:
    trade, cycle = plan.trades[index], trace.cycle
    if leg_id(Role.ENTRY, index, cycle) in past.live and trace.bought < trade.qty:
        return Entering(cycle, trace.bought, trace.held, trace.sold, past.now)
    if plan.instrument.floor_qty(trace.held) > ZERO:
        return Exiting(cycle, trace.held, trace.sold, past.now)
    if trace.bought > ZERO or trace.sold > ZERO:
        return Pending(cycle + 1) if plan.config.loop else Completed(cycle + 1)
    # Without a loop a cycle above the first one is only reached by having completed.
    return Completed(cycle) if cycle > 0 and not plan.config.loop else Pending(cycle)


def _places(legs: Iterable[str]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for name in legs:
        if name[0] in {Role.ENTRY.value, Role.EXIT.value}:
            index, _, cycle = name[1:].partition("-")
            found.append((int(index), int(cycle)))
    return sorted(found)
