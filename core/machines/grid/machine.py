"""The grid. Rule: every way a level or the grid can change is in this file.

A level waits, enters, holds, and starts over:

    Waiting ──wanted──> Entering ──entry filled──> Holding ──exit filled──> Waiting (next cycle)
       ^                   │  └── withdrawn before a fill ──> Waiting
       └── nothing held ───┘      withdrawn after a part ───> Holding that part

Partial fills count at once: what an entry has bought is offered by the exit while the rest of the entry still rests.
The public names (NOT_ACTIVE, OPEN_ORDER_PLACED, OPEN_ORDER_FILLED, CLOSE_ORDER_PLACED, COMPLETE) are these states seen
together with the orders that work them; the engine puts the two together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.machine import LegFilled, LotCut, MachineEvent, Note, Outcome, PlaceView, View, Wake
from core.machines.grid.adoption import adopted
from core.machines.grid.barriers import HOLD, barrier_hit, barrier_wake
from core.machines.grid.config import GridPlan
from core.machines.grid.entries import Choice, choose_entries
from core.machines.grid.state import (
    Closed,
    Closing,
    Entering,
    GridState,
    Holding,
    Level,
    Running,
    Waiting,
    level_data,
    lot_name,
    read_head,
    read_level,
    write_head,
)
from core.orders import Kind, Leg, Role, leg_id
from core.recovery import Past
from core.values import ZERO


@dataclass(slots=True)
class _Draft:
    """The step under way: a state being changed and what has to be said about it."""

    levels: list[Level]
    dirty: set[int]
    wants: dict[str, Leg | None]
    notes: list[Note]


def begin(plan: GridPlan, view: View) -> Outcome:
    """Lay out the levels; those through the market wait for their first purchase as `initial_inventory` says."""
    levels = tuple(Waiting(0, armed=_clear_of_market(plan, i, view)) for i in range(len(plan.lines)))
    state = GridState(levels=levels, phase=Running(view.now), last_batch_at=None, peak=None)
    return step(plan, state, (), view)


def step(plan: GridPlan, state: GridState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills, time and price: fold the events, test the barriers, then choose which entries may rest."""
    draft = _Draft(list(state.levels), set(), {}, [])
    for event in events:
        _fold(plan, draft, event, view.now)
    if isinstance(state.phase, Running):
        _arm(plan, draft, view)
    phase, unwind, peak = _phase(plan, state, draft, view)
    choice = _choose(plan, state, draft, phase, view)
    for index in choice.start:
        draft.dirty.add(index)
    for index in choice.stop:
        draft.dirty.add(index)
    _settle(plan, draft, choice, view.now, exits=isinstance(phase, Running))
    new = GridState(
        levels=tuple(draft.levels) if draft.dirty else state.levels,
        phase=phase,
        last_batch_at=view.now if choice.start else state.last_batch_at,
        peak=peak,
    )
    wake = choice.wake.meet(barrier_wake(plan, new, view))
    return Outcome(new, draft.wants, tuple(draft.notes), tuple(sorted(draft.dirty)), wake, unwind)


def wants(plan: GridPlan, state: GridState) -> dict[str, Leg]:
    """List every leg wanted now."""
    exits = isinstance(state.phase, Running)
    legs: dict[str, Leg] = {}
    for index, level in enumerate(state.levels):
        legs.update({name: leg for name, leg in _legs(plan, index, level, exits=exits).items() if leg is not None})
    return legs


def prices(plan: GridPlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """List entry price, exit price and quantity of every level, as planned."""
    return tuple((line.entry_price, line.exit_price, line.qty) for line in plan.lines)


def place(plan: GridPlan, state: GridState, index: int) -> PlaceView:
    """Show one level."""
    line, level = plan.lines[index], state.levels[index]
    held = ZERO if isinstance(level, Waiting) else level.held
    return PlaceView(
        place=index,
        phase=type(level).__name__,
        entry=leg_id(Role.ENTRY, index, level.cycle),
        exit=leg_id(Role.EXIT, index, level.cycle),
        entry_price=line.entry_price,
        exit_price=line.exit_price,
        qty=line.qty,
        held=held,
        reason=level.reason if isinstance(level, Waiting) else "",
        data=level_data(level),
    )


def head(state: GridState) -> dict[str, Any]:
    """Return phase and clocks as plain data."""
    return write_head(state)


def restore(plan: GridPlan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> GridState:
    """Build the state back; a level without a row has never been touched."""
    levels = tuple(read_level(places[i]) if i in places else Waiting(0, armed=True) for i in range(len(plan.lines)))
    return read_head(head, levels)


def adopt(plan: GridPlan, past: Past) -> GridState:
    """Stand up from what orders and trades tell alone."""
    return adopted(plan, past)


def _fold(plan: GridPlan, draft: _Draft, event: MachineEvent, now: datetime) -> None:
    if not isinstance(event, LegFilled | LotCut):
        return  # refusals are the order layer's business, and a grid asks for no candles
    index, cycle = _place_of(event.lot_id)
    if index < 0 or index >= len(draft.levels):
        return
    level = draft.levels[index]
    draft.dirty.add(index)
    if isinstance(event, LegFilled) and event.role is Role.ENTRY:
        # A late fill of a cycle that was over: what it bought is held by the present one, and its exit offers it.
        bought = event.qty if cycle == level.cycle else ZERO
        draft.levels[index] = _entered(plan, index, level, bought, event.net, now)
        return
    own = isinstance(event, LegFilled) and cycle == level.cycle
    given, sold = (event.net, event.qty) if isinstance(event, LegFilled) else (event.qty, ZERO)
    draft.levels[index] = _reduced(plan, index, level, given, sold if own else ZERO, draft)


def _entered(plan: GridPlan, index: int, level: Level, bought: Decimal, net: Decimal, now: datetime) -> Level:
    match level:
        case Waiting(cycle=cycle):
            # The fill outran the withdrawal of its order: hold what it bought, want no more.
            return Holding(cycle, net, ZERO, now)
        case Entering(cycle=cycle, bought=before, held=held, sold=sold, since=since, at_market=at_market):
            if before + bought >= plan.lines[index].qty:
                return Holding(cycle, held + net, sold, now)
            return Entering(cycle, before + bought, held + net, sold, since, at_market=at_market)
        case Holding(cycle=cycle, held=held, sold=sold, since=since):
            return Holding(cycle, held + net, sold, since)


def _reduced(plan: GridPlan, index: int, level: Level, given: Decimal, sold: Decimal, draft: _Draft) -> Level:
    match level:
        case Waiting():
            return level
        case Entering(cycle=cycle, bought=bought, held=held, sold=before, since=since, at_market=at_market):
            return Entering(cycle, bought, max(held - given, ZERO), before + sold, since, at_market=at_market)
        case Holding(cycle=cycle, held=held, sold=before, since=since):
            left = max(held - given, ZERO)
            if plan.instrument.floor_qty(left) > ZERO:
                return Holding(cycle, left, before + sold, since)
            draft.notes.append(Note(f"level {index}", "COMPLETE", f"cycle {cycle} entered and exited"))
            draft.wants[leg_id(Role.EXIT, index, cycle)] = None
            draft.wants[leg_id(Role.ENTRY, index, cycle)] = None
            return Waiting(cycle + 1, armed=True)


def _phase(plan: GridPlan, state: GridState, draft: _Draft, view: View) -> tuple[Any, str, Decimal | None]:
    match state.phase:
        case Running():
            hit, peak = barrier_hit(plan, state, view)
            if hit is None:
                return state.phase, "", peak
            draft.notes.append(Note("grid", hit.word, hit.reason))
            draft.dirty.update(range(len(draft.levels)))
            if hit.keeps_position or not _held(plan, view):
                return Closed(hit.word, view.now), "", peak
            return Closing(hit.word, view.now), hit.word, peak
        case Closing(word=word):
            if _held(plan, view):
                return state.phase, word, state.peak
            draft.notes.append(Note("grid", "closed", f"{word}: nothing is held any more"))
            return Closed(word, view.now), "", state.peak
        case Closed(word=word):
            if word == HOLD or not draft.dirty or not _held(plan, view):
                return state.phase, "", state.peak
            # A trade that was reported after all was closed: it is closed as well.
            draft.notes.append(Note("grid", "closing", f"{word}: a late trade left {abs(view.inventory)} held"))
            return Closing(word, view.now), word, state.peak


def _held(plan: GridPlan, view: View) -> bool:
    # Whether anything is held that an order could close; what is below the exchange's minimum stays.
    return plan.instrument.sellable(view.quote.last, abs(view.inventory)) > ZERO


def _choose(plan: GridPlan, state: GridState, draft: _Draft, phase: Any, view: View) -> Choice:
    if isinstance(phase, Running):
        return choose_entries(plan, draft.levels, state.last_batch_at, view, changed=draft.dirty)
    word = phase.word
    stop = {i: word for i, level in enumerate(draft.levels) if not isinstance(level, Holding)}
    return Choice(start=(), stop=stop, wake=Wake())


def _settle(plan: GridPlan, draft: _Draft, choice: Choice, now: datetime, *, exits: bool) -> None:
    starting = set(choice.start)
    for index in draft.dirty:
        level = draft.levels[index]
        if index in starting and isinstance(level, Waiting):
            at_market = not level.armed and plan.config.initial_inventory == "market"
            draft.levels[index] = level = Entering(level.cycle, ZERO, ZERO, ZERO, now, at_market=at_market)
        elif index in choice.stop:
            withdrawn = _withdrawn(plan, level, choice.stop[index], now)
            if withdrawn.cycle != level.cycle:
                draft.wants.update(dict.fromkeys(_legs(plan, index, level, exits=False)))
            draft.levels[index] = level = withdrawn
        draft.wants.update(_legs(plan, index, level, exits=exits))


def _withdrawn(plan: GridPlan, level: Level, reason: str, now: datetime) -> Level:
    match level:
        case Waiting(cycle=cycle, armed=armed):
            return Waiting(cycle, armed=armed, reason=reason)
        case Entering(cycle=cycle, bought=bought, held=held, sold=sold):
            if plan.instrument.floor_qty(held) > ZERO:
                return Holding(cycle, held, sold, now)
            # A leg of this cycle has done part of its work, be it only the exit that sold what an older cycle's late
            # fill had left: it must not be worked from the start.
            return Waiting(cycle + 1 if bought > ZERO or sold > ZERO else cycle, armed=True, reason=reason)
        case Holding():
            return level


def _legs(plan: GridPlan, index: int, level: Level, *, exits: bool) -> dict[str, Leg | None]:
    entry_id, exit_id = leg_id(Role.ENTRY, index, level.cycle), leg_id(Role.EXIT, index, level.cycle)
    match level:
        case Waiting():
            return {entry_id: None, exit_id: None}
        case Entering(cycle=cycle, held=held, sold=sold, at_market=at_market):
            entry = _entry(plan, index, cycle, at_market=at_market)
            return {entry_id: entry, exit_id: _exit(plan, index, cycle, held, sold) if exits else None}
        case Holding(cycle=cycle, held=held, sold=sold):
            return {entry_id: None, exit_id: _exit(plan, index, cycle, held, sold) if exits else None}


def _entry(plan: GridPlan, index: int, cycle: int, *, at_market: bool) -> Leg:
    line = plan.lines[index]
    instrument = plan.instrument
    return Leg(
        leg_id=leg_id(Role.ENTRY, index, cycle), venue=instrument.venue, symbol=instrument.symbol,
        side=plan.config.entry_side, role=Role.ENTRY, kind=Kind.LIMIT, qty=line.qty, price=line.entry_price,
        post_only=not at_market, lot_id=lot_name(index, cycle),
    )  # fmt: skip


def _exit(plan: GridPlan, index: int, cycle: int, held: Decimal, sold: Decimal) -> Leg | None:
    instrument = plan.instrument
    left = instrument.floor_qty(held)
    if left <= ZERO:
        return None
    return Leg(
        leg_id=leg_id(Role.EXIT, index, cycle), venue=instrument.venue, symbol=instrument.symbol,
        side=plan.config.entry_side.opposite, role=Role.EXIT, kind=Kind.LIMIT, qty=sold + left,
        price=plan.lines[index].exit_price, post_only=True, reduce_only=instrument.swap, lot_id=lot_name(index, cycle),
    )  # fmt: skip


def _arm(plan: GridPlan, draft: _Draft, view: View) -> None:
    # Latched: a level that the price has passed may enter later, wherever the price is by then.
    if plan.config.initial_inventory != "none":
        return
    for index, level in enumerate(draft.levels):
        if isinstance(level, Waiting) and not level.armed and _clear_of_market(plan, index, view):
            draft.levels[index] = Waiting(level.cycle, armed=True, reason=level.reason)
            draft.dirty.add(index)


def _place_of(lot_id: str) -> tuple[int, int]:
    place_text, _, cycle_text = lot_id.partition("-")
    if not (place_text.isdigit() and cycle_text.isdigit()):
        return -1, -1
    return int(place_text), int(cycle_text)


def _clear_of_market(plan: GridPlan, index: int, view: View) -> bool:
    price = plan.lines[index].entry_price
    return price < view.quote.ask if plan.config.side == "BUY" else price > view.quote.bid
