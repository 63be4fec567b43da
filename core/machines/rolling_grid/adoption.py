"""Stands a rolling grid up from what its orders and trades tell alone, when the store is lost (RULES 9d).

Every place is followed through its fills. What is held is offered at its target; no entry is wanted, for the bot is
latched to exits until a person releases it. What no order tells: episodes of recovery (a lot that is stuck begins a new
one), what they have spent (nothing), whether the stop price was passed (the price says it anew), and when the last entry
went out (now). A hedge that stands is kept as one to be closed.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.machine import LegFilled, LotCut, MachineEvent
from core.machines.rolling_grid.config import RollingGridPlan
from core.machines.rolling_grid.lots import lot_at
from core.machines.rolling_grid.state import Free, Hedge, Holding, Offered, RollingGridState, Slot
from core.orders import Role, leg_id
from core.recovery import Past
from core.values import AMOUNT_PLACES, ZERO, exact_product, floor_to, ratio


@dataclass(slots=True)
class _Trace:
    """What is known of one place: its lot's number, what is held at which mean price since when, its highest number."""

    used: int = 0
    cycle: int = 0
    held: Decimal = ZERO
    entry: Decimal = ZERO
    since: datetime | None = None
    hedged: Decimal = ZERO


def adopted(plan: RollingGridPlan, past: Past) -> RollingGridState:
    """Return the state of a rolling grid with this past."""
    traces = [_Trace() for _ in range(plan.config.max_orders)]
    for name in past.seen:
        index, cycle = _numbers(name[1:])
        if 0 <= index < len(traces):
            traces[index].used = max(traces[index].used, cycle)
    for event in past.events:
        _follow(plan, traces, event)
    slots = tuple(_slot(plan, index, trace, past) for index, trace in enumerate(traces))
    return RollingGridState(slots, opened_at=past.now)


def _follow(plan: RollingGridPlan, traces: list[_Trace], event: MachineEvent) -> None:
    if not isinstance(event, LegFilled | LotCut):
        return
    hedge = isinstance(event, LegFilled) and event.role is Role.HEDGE
    index, cycle = _numbers(event.leg_id[1:] if isinstance(event, LegFilled) and hedge else event.lot_id)
    if not 0 <= index < len(traces):
        return
    trace = traces[index]
    if isinstance(event, LegFilled) and hedge:
        trace.hedged -= event.qty * event.side.sign * plan.side.sign
    elif isinstance(event, LegFilled) and event.role is Role.ENTRY:
        if plan.instrument.floor_qty(trace.held) <= ZERO or trace.since is None:
            trace.since, trace.cycle = event.ts, cycle
        cost = exact_product(trace.entry, trace.held) + exact_product(event.price, event.net)
        trace.held += event.net
        trace.entry = floor_to(ratio(cost, trace.held), AMOUNT_PLACES) if trace.held > ZERO else event.price
    else:
        trace.held = max(trace.held - (event.net if isinstance(event, LegFilled) else event.qty), ZERO)


def _slot(plan: RollingGridPlan, index: int, trace: _Trace, past: Past) -> Slot:
    rules = plan.instrument
    if rules.floor_qty(trace.held) <= ZERO and trace.hedged <= ZERO:
        return Free(trace.used, trace.held, trace.entry if trace.held > ZERO else ZERO)
    number = trace.used + 1
    since = trace.since or past.now
    lot = lot_at(plan, trace.cycle, trace.held, trace.entry, since)
    sold = ZERO
    own = leg_id(Role.EXIT, index, trace.cycle)
    if own in past.live:
        # Its profit target rests: the same leg goes on, with what it has sold.
        number = trace.cycle
        sold = sum((e.qty for e in past.events if isinstance(e, LegFilled) and e.leg_id == own), ZERO)
    used = max(trace.used, number)
    hedge = None
    if trace.hedged > ZERO and plan.hedge is not None:
        hedge = Hedge(used + 1, used + 2, past.now, ZERO, ZERO, ZERO, opened=trace.hedged, wanted=False)
        used += 2
    return Holding(used, lot, Offered(number, sold), hedge)


def _numbers(text: str) -> tuple[int, int]:
    index, _, cycle = text.partition("-")
    return (int(index), int(cycle)) if index.isdigit() and cycle.isdigit() else (-1, -1)
