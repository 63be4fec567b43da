"""The rolling grid. Rule: every way it can change begins in `step`.

A place is free, enters, holds, and is free again:

    Free ──next entry──> Entering ──filled──> Holding ──target, rungs, or the market──> Free
      ^                     │ └── left behind: a new price, up to `requotes` times
      └── given up ─────────┘      given up after a part ──> Holding that part

One step answers, in this order: fills; the stop price; stop losses; stuck lots and their hedges; closings under way;
and only then, behind its gates, the one entry (`entries`). What protects never waits behind a gate.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.machine import LegFilled, LotCut, MachineEvent, Outcome, PlaceView, View, Wake
from core.machines.rolling_grid import hedges
from core.machines.rolling_grid.adoption import adopted
from core.machines.rolling_grid.config import RollingGridPlan
from core.machines.rolling_grid.draft import Draft, lot_of, open_draft
from core.machines.rolling_grid.entries import tend_entry, tend_pause
from core.machines.rolling_grid.legs import entry_id, exit_id, legs_of, other_ids
from core.machines.rolling_grid.lots import STOP_LOSS, entered, parted
from core.machines.rolling_grid.recovery import guard_lots, guard_price, recover, tend_closings
from core.machines.rolling_grid.state import (
    Closing,
    Entering,
    Flattening,
    Free,
    Holding,
    Laddered,
    RollingGridState,
    Running,
    Slot,
    Stopped,
    read_head,
    read_slot,
    slot_data,
    write_head,
)
from core.orders import Leg, Role
from core.recovery import Past
from core.stuck import health_of, nearly_full
from core.values import ONE, ZERO, Side, exact_product


def begin(plan: RollingGridPlan, view: View) -> Outcome:
    """Start with every place free; the first entry goes out at once where the gates let it."""
    state = RollingGridState(tuple(Free(0) for _ in range(plan.config.max_orders)))
    outcome = step(plan, state, (), view)
    return replace(outcome, touched=tuple(range(plan.config.max_orders)))


def step(plan: RollingGridPlan, state: RollingGridState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills, cuts, prices and time. Total: every event has an answer in every state."""
    draft = open_draft(plan, state, view)
    for event in events:
        _fold(draft, event)
    guard_price(draft)
    if isinstance(draft.phase, Running):
        guard_lots(draft)
        recover(draft)
        hedges.tend(draft)
        tend_closings(draft)
    tend_pause(draft)
    wake = tend_entry(draft)
    after = _frozen(draft)
    return Outcome(
        state=after, wants=_changes(plan, state, after), notes=tuple(draft.notes), touched=_touched(state, after),
        wake=wake.meet(_wake(draft)), unwind=draft.unwind, alarms=tuple(draft.alarms), calm=tuple(draft.calm),
        trip=draft.trip,
    )  # fmt: skip


def wants(plan: RollingGridPlan, state: RollingGridState) -> dict[str, Leg]:
    """List every leg wanted now."""
    legs: dict[str, Leg] = {}
    for index, slot in enumerate(state.slots):
        legs |= legs_of(plan, index, slot, state.phase)
    return legs


def prices(plan: RollingGridPlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """List nothing but how many places there are: their prices follow the market, so none is planned."""
    return ((ZERO, ZERO, ZERO),) * plan.config.max_orders


def place(plan: RollingGridPlan, state: RollingGridState, index: int) -> PlaceView:  # noqa: ARG001  the kind's port
    """Show one place: its lot's mean entry price, its nearest exit, what it holds."""
    slot, lot = state.slots[index], lot_of(state.slots[index])
    entry, leave, qty = ZERO, ZERO, ZERO
    match slot:
        case Free():
            pass
        case Entering():
            entry, leave, qty = slot.price, lot.target if lot is not None else ZERO, slot.qty
        case Holding():
            entry, leave, qty = slot.lot.entry, slot.lot.target, slot.lot.opened
    held = lot.held if lot is not None else slot.dust if isinstance(slot, Free) else ZERO
    first = next((i for i, one in enumerate(state.slots) if isinstance(one, Free)), -1)
    return PlaceView(
        place=index, phase=_phase_word(slot), entry=entry_id(index, slot), exit=exit_id(index, slot), entry_price=entry,
        exit_price=leave, qty=qty, held=held,
        reason=_reason(state, index, first), data=slot_data(slot), others=other_ids(index, slot),
    )  # fmt: skip


def head(state: RollingGridState) -> dict[str, Any]:
    """Return what is not in the places as plain data."""
    return write_head(state)


def restore(
    plan: RollingGridPlan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]
) -> RollingGridState:
    """Build the state back; a place without a row has never been used."""
    slots = tuple(read_slot(places[i]) if i in places else Free(0) for i in range(plan.config.max_orders))
    return read_head(head, slots)


def adopt(plan: RollingGridPlan, past: Past) -> RollingGridState:
    """Stand up from what orders and trades tell alone."""
    return adopted(plan, past)


def _fold(draft: Draft, event: MachineEvent) -> None:
    match event:
        case LegFilled() if event.role is Role.HEDGE:
            found = _place_of(event.leg_id[1:], len(draft.slots))
            if found is not None:
                hedges.traded(draft, *found, event)
        case LegFilled() | LotCut():
            found = _place_of(event.lot_id.removeprefix(Role.HEDGE.value), len(draft.slots))
            if found is None:
                return
            if event.lot_id.startswith(Role.HEDGE.value):
                hedges.cut(draft, found[0], event.qty)
            elif isinstance(event, LegFilled) and event.role is Role.ENTRY:
                entered(draft, *found, event)
            else:
                parted(draft, *found, event)
        case _:
            pass  # neither candles nor rates nor refusals were asked for


def _place_of(lot_id: str, count: int) -> tuple[int, int] | None:
    index, _, cycle = lot_id.partition("-")
    if not (index.isdigit() and cycle.isdigit()) or int(index) >= count:
        return None
    return int(index), int(cycle)


def _frozen(draft: Draft) -> RollingGridState:
    before = draft.before
    slots = tuple(draft.slots)
    kept = all(old is new for old, new in zip(before.slots, slots, strict=True))
    health = _health(draft)
    after = RollingGridState(
        before.slots if kept else slots, draft.phase, draft.opened_at, draft.freed, draft.spent, health, draft.why_not
    )
    if health != before.health:
        draft.note("bot", "HEALTH", f"{before.health} -> {health}")
    return before if after == before else after


def _health(draft: Draft) -> Any:
    episodes = [slot.episode for slot in draft.slots if isinstance(slot, Holding) and slot.episode is not None]
    standing = [episode for episode in episodes if not episode.outcome]
    stopping = any(
        isinstance(slot, Holding) and isinstance(slot.leaving, Closing) and slot.leaving.word == STOP_LOSS
        for slot in draft.slots
    )
    return health_of(
        recovering=bool(standing),
        escalated=stopping or not isinstance(draft.phase, Running) or any(one.escalated for one in standing),
        full=nearly_full(draft.view.cost, draft.plan.bound_quote)
        or nearly_full(abs(draft.view.inventory), draft.plan.config.max_position_size),
    )


def _changes(plan: RollingGridPlan, before: RollingGridState, after: RollingGridState) -> dict[str, Leg | None]:
    changes: dict[str, Leg | None] = {}
    rephased = isinstance(before.phase, Running) is not isinstance(after.phase, Running)
    for index, (old, new) in enumerate(zip(before.slots, after.slots, strict=True)):
        if old is new and not rephased:
            continue
        was, wanted = legs_of(plan, index, old, before.phase), legs_of(plan, index, new, after.phase)
        changes.update({name: None for name in was if name not in wanted})
        changes.update({name: leg for name, leg in wanted.items() if was.get(name) != leg})
    return changes


def _touched(before: RollingGridState, after: RollingGridState) -> tuple[int, ...]:
    found = {i for i, (old, new) in enumerate(zip(before.slots, after.slots, strict=True)) if old is not new}
    if found or before.why_not != after.why_not:
        # The first free place says what keeps the next entry back.
        for state in (before, after):
            first = next((i for i, slot in enumerate(state.slots) if isinstance(slot, Free)), None)
            found |= set() if first is None else {first}
    return tuple(sorted(found))


def _phase_word(slot: Slot) -> str:
    match slot:
        case Free():
            return "Waiting"
        case Entering():
            return "Entering"
        case Holding(hedge=hedge) if hedge is not None:
            return "HEDGED"
        case Holding(leaving=Laddered()):
            return "LADDER"
        case Holding(leaving=Closing()):
            return "CLOSING"
        case Holding():
            return "Holding"


def _reason(state: RollingGridState, index: int, first: int) -> str:
    match state.slots[index]:
        case Free() if index == first:
            return state.why_not or "one entry at a time"
        case Free():
            return "entries take the first free place"
        case Holding(leaving=Closing(word=word)):
            return word
        case Holding(episode=episode) if episode is not None and not episode.outcome:
            return f"stuck since {episode.began_at:%Y-%m-%d %H:%M}: {episode.mode}"
        case _:
            return ""


def _wake(draft: Draft) -> Wake:
    """Return the band and the deadline inside which nothing but the entry can change."""
    wake = _stop_wake(draft)
    if isinstance(draft.phase, Flattening):
        return Wake(deadline=draft.now)
    if isinstance(draft.phase, Stopped):
        return wake
    wake = wake.meet(_aging_wake(draft))
    for slot in draft.slots:
        if isinstance(slot, Holding) and (slot.episode is not None or slot.hedge is not None or _closes(slot)):
            wake = wake.meet(_lot_wake(draft, slot))
    if (wake.low is not None or wake.high is not None) and not draft.prices.bounded:
        return wake.meet(Wake(deadline=draft.now))  # no band over the touch bounds the mark
    return wake


def _closes(slot: Holding) -> bool:
    return isinstance(slot.leaving, Closing)


def _aging_wake(draft: Draft) -> Wake:
    """Return what would stop a lot or make it stuck: one pass, for most of the time most places are asked nothing else."""
    timeout = timedelta(minutes=draft.plan.config.position_timeout_minutes)
    edges: list[Decimal] = []
    due: datetime | None = None
    for slot in draft.slots:
        lot = lot_of(slot)
        if lot is None:
            continue
        if lot.stop is not None:
            edges.append(lot.stop)
        if not isinstance(slot, Holding) or (slot.episode is not None and not slot.episode.outcome):
            continue
        old = lot.since + timeout
        if draft.now >= old:
            edges.append(lot.stuck)
        elif due is None or old < due:
            due = old
    if not edges:
        return Wake(deadline=due)
    return Wake(low=max(edges), deadline=due) if draft.side is Side.BUY else Wake(high=min(edges), deadline=due)


def _stop_wake(draft: Draft) -> Wake:
    stop = draft.plan.config.stop_price
    if stop is None:
        return Wake()
    below = draft.plan.stops_below
    if isinstance(draft.phase, Stopped):
        edge = exact_product(stop, ONE + (1 if below else -1) * draft.plan.config.pause_hysteresis)
        return Wake(high=edge) if below else Wake(low=edge)
    return Wake(low=stop) if below else Wake(high=stop)


def _lot_wake(draft: Draft, slot: Holding) -> Wake:
    config, lot, long = draft.plan.config, slot.lot, draft.side is Side.BUY
    if isinstance(slot.leaving, Closing) or hedges.busy(draft.plan, slot):
        return Wake(deadline=draft.now)
    episode = slot.episode
    if episode is None or episode.outcome:
        return Wake()
    wake = Wake(deadline=episode.anchored_at + timedelta(minutes=config.recovery_patience_minutes))
    if not episode.escalated:
        wake = wake.meet(Wake(deadline=episode.began_at + timedelta(minutes=config.recovery_escalation_minutes)))
    if slot.hedge is not None and slot.hedge.wanted:
        edge = hedges.release_price(draft.plan, lot)
        wake = wake.meet(Wake(high=edge) if long else Wake(low=edge))
        wake = wake.meet(Wake(deadline=slot.hedge.since + timedelta(minutes=config.hedge_max_age_minutes)))
    return wake
