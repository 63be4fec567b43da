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
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.machine import Alarm, LegFilled, LotCut, MachineEvent, Note, Outcome, PlaceView, View, Wake
from core.machines.grid.adoption import adopted
from core.machines.grid.barriers import HOLD, LIMIT_PATIENCE, barrier_hit, barrier_wake
from core.machines.grid.config import GridPlan
from core.machines.grid.entries import Choice, Scope, choose_entries, exits_in_reach
from core.machines.grid.infinity import UNFUNDED, backed, followed, opened, share_of, supply
from core.machines.grid.legs import exit_after_fills, held_of, legs_of, shown_of, size_of
from core.machines.grid.opening import claimed, clear_of_market, laid_out
from core.machines.grid.state import (
    Closed,
    Closing,
    Entering,
    GridState,
    Holding,
    Level,
    Pending,
    Running,
    Waiting,
    level_data,
    read_head,
    read_level,
    write_head,
)
from core.machines.grid.window import moved, moving_wake
from core.orders import Leg, Role, leg_id
from core.recovery import Past
from core.values import ZERO, exact_product, ratio


@dataclass(slots=True)
class _Draft:
    """The step under way: a state being changed and what has to be said about it."""

    levels: list[Level]
    dirty: set[int]
    wants: dict[str, Leg | None]
    notes: list[Note]
    base: int | None = None


def begin(plan: GridPlan, view: View) -> Outcome:
    """Lay out the levels, or wait for the trigger; those through the market buy as `initial_inventory` says."""
    trigger, price = plan.config.trigger_price, view.quote.last
    if trigger is not None and price != trigger:
        levels: tuple[Level, ...] = tuple(Waiting(0, armed=False) for _ in plan.lines)
        state = GridState(levels, Pending(price > trigger, view.now), last_batch_at=None, peak=None)
        note = Note("grid", "PENDING", f"waits for the price to {'fall' if price > trigger else 'rise'} to {trigger}")
        return Outcome(state, notes=(note,), wake=barrier_wake(plan, state, view))
    return _started(plan, view)


def _started(plan: GridPlan, view: View) -> Outcome:
    if plan.config.infinite:
        return _started_infinite(plan, view)
    state = laid_out(plan, view)
    if plan.config.initial_inventory != "owned":
        return step(plan, state, (), view)
    levels, claims = claimed(plan, state, view)
    begun = step(plan, replace(state, levels=levels), (), view)
    wanted: dict[str, Leg | None] = dict(wants(plan, begun.state))
    # The claims are booked after this look: the next one, at once, tests the barriers against them.
    wake = begun.wake.meet(Wake(deadline=view.now))
    places = tuple(range(len(plan.lines)))
    return replace(begun, wants={**begun.wants, **wanted}, touched=places, claims=claims, wake=wake)


def _started_infinite(plan: GridPlan, view: View) -> Outcome:
    start = opened(plan, view)
    begun = step(plan, start.state, (), view)
    places = tuple(range(len(plan.lines)))
    if start.objection:
        alarm = Alarm("grid_not_started", "grid", "critical", start.objection)
        return replace(
            begun, touched=places, notes=(Note("grid", UNFUNDED, start.objection), *begun.notes), alarms=(alarm,)
        )
    wanted: dict[str, Leg | None] = dict(wants(plan, begun.state))
    return replace(begun, wants={**begun.wants, **wanted}, touched=places)


def step(plan: GridPlan, state: GridState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills, time and price: fold the events, test the barriers, then choose which entries may rest."""
    if isinstance(state.phase, Pending):
        return _await_trigger(plan, state, view)
    draft = _Draft(list(state.levels), set(), {}, [], state.base)
    for event in events:
        _fold(plan, draft, event, view.now)
    if plan.opening in draft.dirty:
        draft.dirty |= supply(plan, state, draft.levels, view.now, cover=isinstance(state.phase, Running))
    window, resets = state.window, state.resets
    if isinstance(state.phase, Running):
        if plan.config.moves:
            window, resets = _follow(plan, state, draft, view)
            state = replace(state, window=window)
        _arm(plan, state.pivot, draft, window or plan.window, view)
    phase, unwind, peak = _phase(plan, state, draft, view)
    reach, reach_wake = followed(plan, state.reach, view) if plan.config.infinite else exits_in_reach(plan, view)
    if reach != state.reach or phase is not state.phase:
        draft.dirty.update(i for i, level in enumerate(draft.levels) if not isinstance(level, Waiting))
    at_work = reach if plan.config.infinite else window
    scope = Scope(at_work or plan.window, _funded(plan, resets), state.pivot, state.base)
    choice = _choose(plan, state, draft, phase, view, scope)
    draft.dirty.update(choice.start)
    draft.dirty.update(choice.stop)
    new = GridState(
        state.levels, phase, view.now if choice.start else state.last_batch_at, peak, window, reach, resets,
        state.pivot, state.base, state.worth,
    )  # fmt: skip
    _settle(plan, new, draft, choice, view)
    if draft.dirty:
        new = GridState(
            tuple(draft.levels), new.phase, new.last_batch_at, new.peak, new.window, new.reach, new.resets, new.pivot,
            new.base, new.worth,
        )  # fmt: skip
    wake = choice.wake.meet(barrier_wake(plan, new, view)).meet(reach_wake)
    if plan.config.moves and isinstance(phase, Running):
        wake = wake.meet(moving_wake(plan, window, resets))
    return Outcome(new, draft.wants, tuple(draft.notes), tuple(sorted(draft.dirty)), wake, unwind)


def _await_trigger(plan: GridPlan, state: GridState, view: View) -> Outcome:
    # Nothing was ever wanted, so no event can tell anything; the extreme since the last look counts (RULES 9e).
    trigger, phase = plan.config.trigger_price, state.phase
    assert isinstance(phase, Pending)  # noqa: S101  asked by `step` alone
    if phase.falls is None:
        return begin(plan, view)
    if trigger is not None and not (view.low <= trigger if phase.falls else view.high >= trigger):
        return Outcome(state, wake=barrier_wake(plan, state, view))
    started = _started(plan, view)
    return replace(started, notes=(Note("grid", "TRIGGERED", f"price reached {trigger}"), *started.notes))


def wants(plan: GridPlan, state: GridState) -> dict[str, Leg]:
    """List every leg wanted now."""
    legs: dict[str, Leg] = {}
    for index, level in enumerate(state.levels):
        wanted = legs_of(plan, index, level, state.phase, state)
        legs.update({name: leg for name, leg in wanted.items() if leg is not None})
    return legs


def prices(plan: GridPlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """List entry price, exit price and quantity of every level, as planned."""
    return tuple((line.entry_price, line.exit_price, line.qty) for line in plan.lines)


def place(plan: GridPlan, state: GridState, index: int) -> PlaceView:
    """Show one level. Where its prices or size are not the plan's, `data["planned"]` says what the plan has."""
    planned, level = plan.lines[index], state.levels[index]
    line = shown_of(plan, state, index)
    data = level_data(level)
    shown = (line.entry_price, line.exit_price, line.qty)
    if shown != (planned.entry_price, planned.exit_price, planned.qty):
        data["planned"] = f"{planned.entry_price} {planned.exit_price} {planned.qty}"
    return PlaceView(
        place=index, phase=type(level).__name__, entry=leg_id(Role.ENTRY, index, level.cycle),
        exit=leg_id(Role.EXIT, index, level.cycle), entry_price=shown[0], exit_price=shown[1], qty=shown[2],
        held=held_of(plan, state, index),
        reason=level.reason if isinstance(level, Waiting) else "", data=data,
    )  # fmt: skip


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
        after = _entered(plan, index, level, event, own=cycle == level.cycle, now=now)
    else:
        own = isinstance(event, LegFilled) and cycle == level.cycle
        given, sold = (event.net, event.qty) if isinstance(event, LegFilled) else (event.qty, ZERO)
        if own and backed(plan, draft.base, index, cycle):
            given = sold  # what it closed was bought by the opening purchase, which is told of it apart
        after = _reduced(plan, index, level, given, sold if own else ZERO, draft)
    if after.cycle != level.cycle:
        # The next cycle may be entered in the same step, under other names.
        draft.wants |= {leg_id(role, index, level.cycle): None for role in (Role.EXIT, Role.ENTRY)}
    draft.levels[index] = after


def _entered(plan: GridPlan, index: int, level: Level, fill: LegFilled, *, own: bool, now: datetime) -> Level:
    bought, net = fill.qty if own else ZERO, fill.net
    match level:
        case Waiting(cycle=cycle):
            # The fill outran the withdrawal of its order: hold what it bought, want no more.
            return Holding(cycle, net, ZERO, now)
        case Entering(cycle=cycle, bought=before, held=held, sold=sold, since=since, at_market=at_market):
            spent = level.spent
            if own and plan.config.exit_from == "fill":
                spent += exact_product(fill.price, bought)
            leave = exit_after_fills(plan, before + bought, spent)
            if before + bought >= size_of(plan.lines[index], level):
                if plan.config.side == "NEUTRAL" and plan.instrument.floor_qty(held + net) <= ZERO:
                    return Waiting(cycle + 1, armed=True)  # it only closed what stood against it
                return Holding(cycle, held + net, sold, now, leave)
            return Entering(
                cycle, before + bought, held + net, sold, since, at_market=at_market, qty=level.qty, spent=spent,
                exit_price=leave,
            )  # fmt: skip
        case Holding(cycle=cycle, held=held, sold=sold, since=since):
            return Holding(cycle, held + net, sold, since, level.exit_price)


def _reduced(plan: GridPlan, index: int, level: Level, given: Decimal, sold: Decimal, draft: _Draft) -> Level:
    match level:
        case Waiting():
            return level
        case Entering(cycle=cycle, bought=bought, held=held, sold=before, since=since, at_market=at_market):
            return Entering(
                cycle, bought, max(held - given, ZERO), before + sold, since, at_market=at_market, qty=level.qty,
                spent=level.spent, exit_price=level.exit_price,
            )  # fmt: skip
        case Holding(cycle=cycle, held=held, sold=before, since=since):
            left = max(held - given, ZERO)
            if plan.instrument.floor_qty(left) > ZERO:
                return Holding(cycle, left, before + sold, since, level.exit_price)
            draft.notes.append(Note(f"level {index}", "COMPLETE", f"cycle {cycle} entered and exited"))
            return Waiting(cycle + 1, armed=True)


def _follow(plan: GridPlan, state: GridState, draft: _Draft, view: View) -> tuple[tuple[int, int] | None, int]:
    move = moved(plan, state.window, state.resets, view)
    here = state.window or plan.window
    if move.window == here:
        return state.window, state.resets
    draft.notes.extend(move.notes)
    for index in range(*move.window):
        level = draft.levels[index]
        if not here[0] <= index < here[1] and isinstance(level, Waiting):
            # What is through the market by now enters as it would on the first day.
            armed = clear_of_market(plan, state.pivot, index, view)
            draft.levels[index] = Waiting(level.cycle, armed=armed, reason=level.reason)
            draft.dirty.add(index)
    return move.window, move.resets


def _funded(plan: GridPlan, resets: int) -> int:
    # Fresh money comes with a reset towards the loss side, not before.
    if plan.config.on_range_exit != "reset":
        return plan.funded
    return (plan.window[1] - plan.window[0]) * (1 + resets)


def _phase(plan: GridPlan, state: GridState, draft: _Draft, view: View) -> tuple[Any, str, Decimal | None]:
    match state.phase:
        case Pending():
            return state.phase, "", state.peak
        case Running():
            hit, peak = barrier_hit(plan, state, view)
            if hit is None:
                return state.phase, "", peak
            draft.notes.append(Note("grid", hit.word, hit.reason))
            draft.dirty.update(range(len(draft.levels)))
            if hit.keeps_position or not _held(plan, view):
                return Closed(hit.word, view.now), "", peak
            limit = _closing_limit(plan, hit.word, view)
            return Closing(hit.word, view.now, limit), hit.word if limit is None else "", peak
        case Closing(word=word):
            if not _held(plan, view):
                draft.notes.append(Note("grid", "closed", f"{word}: nothing is held any more"))
                return Closed(word, view.now), "", state.peak
            if state.phase.limit is None:
                return state.phase, word, state.peak
            if view.now < state.phase.since + LIMIT_PATIENCE:
                return state.phase, "", state.peak
            draft.notes.append(Note("grid", word, f"the limit {state.phase.limit} did not fill; closed at the market"))
            return Closing(word, state.phase.since), word, state.peak
        case Closed(word=word):
            if word == HOLD or not draft.dirty or not _held(plan, view):
                return state.phase, "", state.peak
            # A trade that was reported after all was closed: it is closed as well.
            draft.notes.append(Note("grid", "closing", f"{word}: a late trade left {abs(view.inventory)} held"))
            return Closing(word, view.now), word, state.peak


def _closing_limit(plan: GridPlan, word: str, view: View) -> Decimal | None:
    barriers = plan.config.triple_barrier
    kinds = {"STOP_LOSS": barriers.stop_loss_order_type, "TIME_LIMIT": barriers.time_limit_order_type}
    if kinds.get(word) != "LIMIT":
        return None
    return view.quote.bid if view.inventory > ZERO else view.quote.ask


def _held(plan: GridPlan, view: View) -> bool:
    # Whether anything is held that an order could close; what is below the exchange's minimum stays.
    return plan.instrument.sellable(view.quote.last, abs(view.inventory)) > ZERO


def _choose(plan: GridPlan, state: GridState, draft: _Draft, phase: Any, view: View, scope: Scope) -> Choice:
    if isinstance(phase, Running):
        return choose_entries(plan, draft.levels, state.last_batch_at, view, scope, changed=draft.dirty)
    word = phase.word
    stop = {i: word for i, level in enumerate(draft.levels) if not isinstance(level, Holding)}
    return Choice(start=(), stop=stop, wake=Wake())


def _settle(plan: GridPlan, new: GridState, draft: _Draft, choice: Choice, view: View) -> None:
    starting = set(choice.start)
    for index in draft.dirty:
        level = draft.levels[index]
        if index in starting and isinstance(level, Waiting):
            at_market = not level.armed and plan.config.initial_inventory == "market"
            qty = _grown(plan, index, view) if plan.config.reinvest else None
            qty = share_of(plan, new, index) if plan.config.infinite else qty
            draft.levels[index] = level = Entering(
                level.cycle, ZERO, ZERO, ZERO, view.now, at_market=at_market, qty=qty
            )
        elif index in choice.stop:
            withdrawn = _withdrawn(plan, level, choice.stop[index], view.now)
            if withdrawn.cycle != level.cycle:
                gone = legs_of(plan, index, Waiting(level.cycle, armed=True), new.phase, new)
                draft.wants.update(gone)
            draft.levels[index] = level = withdrawn
        draft.wants.update(legs_of(plan, index, level, new.phase, new))


def _grown(plan: GridPlan, index: int, view: View) -> Decimal | None:
    # Net profit grows the sizes, losses never shrink them: sizing stays the plan's then.
    profit = view.realized - view.fees + view.funding
    if profit <= ZERO:
        return None
    planned = plan.lines[index].qty
    grown = plan.instrument.floor_qty(planned + ratio(planned * profit, plan.capital_quote))
    return grown if grown > planned else None


def _withdrawn(plan: GridPlan, level: Level, reason: str, now: datetime) -> Level:
    match level:
        case Waiting(cycle=cycle, armed=armed):
            return Waiting(cycle, armed=armed, reason=reason)
        case Entering(cycle=cycle, bought=bought, held=held, sold=sold):
            if plan.instrument.floor_qty(held) > ZERO:
                return Holding(cycle, held, sold, now, level.exit_price)
            # A leg of this cycle has done part of its work, be it only the exit that sold what an older cycle's late
            # fill had left: it must not be worked from the start.
            return Waiting(cycle + 1 if bought > ZERO or sold > ZERO else cycle, armed=True, reason=reason)
        case Holding():
            return level


def _arm(plan: GridPlan, pivot: int | None, draft: _Draft, window: tuple[int, int], view: View) -> None:
    # Latched: a level that the price has passed may enter later, wherever the price is by then.
    if plan.config.initial_inventory != "none":
        return
    for index in range(*window):
        level = draft.levels[index]
        if isinstance(level, Waiting) and not level.armed and clear_of_market(plan, pivot, index, view):
            draft.levels[index] = Waiting(level.cycle, armed=True, reason=level.reason)
            draft.dirty.add(index)


def _place_of(lot_id: str) -> tuple[int, int]:
    place, _, cycle = lot_id.partition("-")
    return (int(place), int(cycle)) if place.isdigit() and cycle.isdigit() else (-1, -1)
