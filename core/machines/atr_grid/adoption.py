"""Stands an ATR grid up from what its orders and trades tell alone, when the store is lost (RULES 9d).

No order tells: the indicators (the candle history brings them back), the spacing (targets lie 2 % above what was paid),
where the grid lay (the next candle lays it anew), profit of hedges not yet spent (none), whether the bag was in recovery
(it is, until a candle finds its loss small). The short is kept as it stands until a candle decides.
"""

from dataclasses import dataclass
from decimal import Decimal

from core.machine import LegFilled, LotCut, MachineEvent
from core.machines.atr_grid.config import AtrGridPlan
from core.machines.atr_grid.levels import TARGET_FALLBACK, place_of
from core.machines.atr_grid.state import AtrGridState, Holding, Idle, Level, Money, Mood, Short
from core.orders import Role
from core.recovery import Past
from core.values import AMOUNT_PLACES, ONE, ZERO, Side, exact_product, floor_to, ratio

REBUILT = "rebuilt from the exchange: the next candle lays the grid"


@dataclass(slots=True)
class _Trace:
    """What is known of one place: its newest cycle, what that sold, what the place holds and at which average price."""

    cycle: int = 0
    used: bool = False
    sold: Decimal = ZERO
    held: Decimal = ZERO
    entry: Decimal = ZERO

    def reach(self, cycle: int) -> None:
        """Move on to a cycle."""
        if cycle > self.cycle:
            self.cycle, self.used, self.sold = cycle, False, ZERO


def adopted(plan: AtrGridPlan, past: Past) -> AtrGridState:
    """Return the state of an ATR grid with this past."""
    traces = [_Trace() for _ in range(plan.config.levels)]
    cash, hedge_cycle = plan.grid_quote, 0
    for event in past.events:
        cash += _follow(plan, traces, event)
    for name in sorted(past.seen):
        index, _, cycle = name[1:].partition("-")
        if name[0] == Role.HEDGE.value:
            hedge_cycle = max(hedge_cycle, int(cycle))
        elif name[0] in {Role.ENTRY.value, Role.EXIT.value} and int(index) < len(traces):
            traces[int(index)].reach(int(cycle))
            traces[int(index)].used = True
    levels = tuple(_level(plan, trace) for trace in traces)
    bag = sum((trace.held for trace in traces), ZERO)
    return AtrGridState(
        levels, None, None, None, Mood(recovery=True), Money(cash), _short(plan, past, hedge_cycle, bag)
    )


def _follow(plan: AtrGridPlan, traces: list[_Trace], event: MachineEvent) -> Decimal:
    """Take one event in; returns the cash that it moved, with the fee that such orders usually pay."""
    if not isinstance(event, LegFilled | LotCut):
        return ZERO
    found = place_of(event.lot_id, len(traces))
    if found is None:
        return ZERO
    trace = traces[found[0]]
    trace.reach(found[1])
    trace.used = True
    fee = max(plan.spot.maker, ZERO)
    if isinstance(event, LotCut):
        trace.held = max(trace.held - event.qty, ZERO)
        return exact_product(trace.entry, event.qty, ONE - fee)
    if event.role is Role.ENTRY:
        whole = exact_product(trace.entry, trace.held) + exact_product(event.price, event.net)
        trace.held += event.net
        trace.entry = floor_to(ratio(whole, trace.held), AMOUNT_PLACES) if trace.held > ZERO else event.price
        return -exact_product(event.price, event.qty, ONE + fee)
    trace.held = max(trace.held - event.net, ZERO)
    trace.sold += event.qty if found[1] == trace.cycle else ZERO
    return exact_product(event.price, event.qty, ONE - fee)


def _level(plan: AtrGridPlan, trace: _Trace) -> Level:
    if plan.spot.floor_qty(trace.held) > ZERO:
        spacing = exact_product(trace.entry, TARGET_FALLBACK)
        target = plan.spot.ceil_price(trace.entry + spacing)
        return Holding(trace.cycle, trace.entry, spacing, trace.held, trace.entry, target, trace.sold)
    return Idle(trace.cycle + 1 if trace.used else trace.cycle, REBUILT)


def _short(plan: AtrGridPlan, past: Past, cycle: int, bag: Decimal) -> Short:
    fills = [event for event in past.events if isinstance(event, LegFilled) and event.role is Role.HEDGE]
    mine = [event for event in fills if event.leg_id.endswith(f"-{cycle}")]
    sold = sum((event.qty for event in mine if event.side is Side.SELL), ZERO)
    back = sum((event.qty for event in mine if event.side is Side.BUY), ZERO)
    net = -sum((event.qty * event.side.sign for event in fills), ZERO)
    if net <= ZERO or plan.futures is None:
        return Short(cycle=cycle + 1 if f"h{plan.hedge_place}-{cycle}" in past.seen else cycle)
    moved = [exact_product(event.price, event.qty) for event in mine]
    fee = max(plan.futures.taker, ZERO)
    return Short(
        cycle=cycle, ratio=min(floor_to(ratio(net, bag), AMOUNT_PLACES), ONE) if bag > ZERO else ZERO,
        zone="kept", asked_sell=sold, asked_buy=back, sold=sold, bought=back,
        proceeds=-sum((one * event.side.sign for one, event in zip(moved, mine, strict=True)), ZERO),
        costs=sum((exact_product(one, fee) for one in moved), ZERO), opened_at=mine[0].ts if mine else past.started_at,
    )  # fmt: skip
