"""The step that every executor shares. Rule: every way an executor's life can change begins here or in `draft.end`.

A kind says, in its `choose`, which of its entries are wanted now and when it has reached its own end; the rest (fills,
refusals, barriers, the one exit, the shutdown) is the same for all of them. The exit is sized from fills: what is open
and nothing else, so a partial entry has its stop and a partial exit can't be sold twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.executors.barriers import barrier_hit, barrier_wake, peak_of, resting_take_profit, seen_by
from core.executors.draft import LIMIT_PATIENCE, Draft, Tally, end, fold, open_draft, shut
from core.executors.life import Closed, CloseType, Closing, Running
from core.executors.plan import Plan
from core.executors.state import (
    ExecutorState,
    Exit,
    Idle,
    Over,
    Slot,
    Working,
    read_head,
    read_slot,
    slot_data,
    write_head,
)
from core.facts import Refusal
from core.machine import MachineEvent, Outcome, PlaceView, View, Wake
from core.orders import Kind, Leg, Role, leg_id
from core.recovery import Past
from core.values import ZERO, Side

Choose = Callable[[Draft], Wake]
# What the order layer paces and what is nobody's failure: the market moved, or the venue rests.
_PASSING = frozenset({Refusal.POST_ONLY, Refusal.RATE, Refusal.CLOSED})


def begin(plan: Plan, view: View, choose: Choose) -> Outcome:
    """Start: nothing is entered by one whose time was over before its first price."""
    state = ExecutorState(tuple(Idle() for _ in plan.entries), Running(view.now))
    ends_at = plan.ends_at(view.started_at)
    if ends_at is None or view.now < ends_at:
        return step(plan, state, (), view, choose)
    draft = open_draft(plan, state, view)
    end(draft, CloseType.EXPIRED, f"its time was over at {ends_at:%Y-%m-%d %H:%M:%S} UTC, before it began")
    return _outcome(plan, state, draft, Wake())


def step(plan: Plan, state: ExecutorState, events: tuple[MachineEvent, ...], view: View, choose: Choose) -> Outcome:
    """Answer fills, refusals, prices and the clock. Total: every event has an answer in every state."""
    draft = open_draft(plan, state, view)
    for event in events:
        fold(draft, event)
    if isinstance(draft.life, Running):
        _judge(draft, draft.life)
    wake = choose(draft) if isinstance(draft.life, Running) else Wake()
    if not isinstance(draft.life, Running) and not isinstance(state.life, Running):
        shut(draft, news=bool(events))
    return _outcome(plan, state, draft, wake)


def _judge(draft: Draft, life: Running) -> None:
    refusal = next((r for r in draft.refused if r.kind not in _PASSING and not draft.plan.slices), None)
    if refusal is not None and refusal.kind is Refusal.FUNDS and draft.done <= ZERO:
        end(draft, CloseType.INSUFFICIENT_BALANCE, refusal.reason)
        return
    if refusal is not None and refusal.times > draft.plan.max_retries:
        end(draft, CloseType.FAILED, f"an entry was refused {refusal.times} times: {refusal.reason}")
        return
    if draft.plan.closes and draft.own_exit and draft.plan.instrument.floor_qty(draft.held) <= ZERO:
        end(draft, CloseType.TAKE_PROFIT, "the exit has sold all that was held")
        return
    # What is left of a resting exit may still trade, however little it is; what others left may not.
    if draft.plan.closes and draft.by_others and not draft.own_exit and not draft.closable:
        end(draft, CloseType.EARLY_STOP, "what it held was closed by others")
        return
    if draft.done <= ZERO and all(isinstance(slot, Over) for slot in draft.slots):
        end(draft, CloseType.EARLY_STOP, "its entries are over and none of them executed")
        return
    _test_barriers(draft, life)


def _test_barriers(draft: Draft, life: Running) -> None:
    plan, view = draft.plan, draft.view
    stake = draft.stake
    seen = seen_by(plan.barriers, plan.instrument, view, long=plan.side is Side.BUY)
    peak = peak_of(plan.barriers, life.peak, stake, seen)
    hit = barrier_hit(plan.barriers, stake, seen, peak, view.now, plan.ends_at(view.started_at))
    if hit is not None:
        end(draft, hit.word, hit.reason)
    elif peak != life.peak:
        draft.life = Running(life.since, peak)


def _outcome(plan: Plan, before: ExecutorState, draft: Draft, wake: Wake) -> Outcome:
    running = isinstance(draft.life, Running)
    if not running:
        draft.slots = [_withdrawn(slot, draft.life) for slot in draft.slots]
    after = ExecutorState(tuple(draft.slots), draft.life, _exit(draft, before.exit), draft.cut)
    if isinstance(draft.life, Running):
        wake = wake.meet(
            barrier_wake(
                plan.barriers,
                draft.stake,
                plan.instrument,
                draft.view,
                draft.life.peak,
                plan.ends_at(draft.view.started_at),
            )
        )
    elif isinstance(draft.life, Closing):
        # Looks every time until nothing is held; one that waits for its limit, when its patience ends.
        wait = draft.view.now if draft.life.limit is None else draft.life.since + LIMIT_PATIENCE
        wake = Wake(deadline=wait)
    return Outcome(
        after, _changes(plan, before, after), tuple(draft.notes), _touched(plan, before, after), wake, draft.unwind,
        alarms=tuple(draft.alarms),
    )  # fmt: skip


def _withdrawn(slot: Slot, life: Closing | Closed | Running) -> Slot:
    word = life.word.name if isinstance(life, Closing | Closed) else ""
    match slot:
        case Idle():
            return Over(word)
        case Working(done=done, spent=spent):
            return Over(word, done, spent)
        case Over():
            return slot


def _exit(draft: Draft, before: Exit) -> Exit:
    price: Decimal | None = None
    stake = draft.stake
    if isinstance(draft.life, Running) and stake is not None:
        price = resting_take_profit(draft.plan.barriers, draft.plan.instrument, stake)
    elif isinstance(draft.life, Closing):
        price = draft.life.limit
    left = ZERO if price is None else draft.plan.instrument.floor_qty(draft.held)
    if price is None or left <= ZERO:
        return Exit(draft.sold, ZERO, before.price)
    return Exit(draft.sold, left, price)


def wants(plan: Plan, state: ExecutorState) -> dict[str, Leg]:
    """List every leg wanted now."""
    legs: dict[str, Leg] = {}
    for index, slot in enumerate(state.slots):
        if isinstance(slot, Working) and slot.wanted:
            leg = _entry(plan, index, slot)
            legs[leg.leg_id] = leg
    place = plan.exit_place
    if place is not None and state.exit.left > ZERO:
        leg = _leave(plan, place, state)
        legs[leg.leg_id] = leg
    return legs


def _changes(plan: Plan, before: ExecutorState, after: ExecutorState) -> dict[str, Leg | None]:
    old, new = wants(plan, before), wants(plan, after)
    if not isinstance(after.life, Running):
        # Said again at every step of an end: a state that was ended from outside has no step that took them back.
        names = [leg_id(Role.ENTRY, index, 0) for index in range(len(plan.entries))]
        leave = [] if plan.exit_place is None else [leg_id(Role.EXIT, plan.exit_place, 0)]
        return dict.fromkeys([*names, *leave, *old]) | new
    gone: dict[str, Leg | None] = {name: None for name in old if name not in new}
    return gone | {name: leg for name, leg in new.items() if old.get(name) != leg}


def _entry(plan: Plan, index: int, slot: Working) -> Leg:
    instrument = plan.instrument
    return Leg(
        leg_id=leg_id(Role.ENTRY, index, 0), venue=instrument.venue, symbol=instrument.symbol, side=plan.side,
        role=Role.ENTRY, kind=Kind.MARKET if plan.market else Kind.LIMIT, qty=slot.qty, price=slot.price,
        post_only=plan.post_only, lot_id=f"{index}-0",
    )  # fmt: skip


def _leave(plan: Plan, place: int, state: ExecutorState) -> Leg:
    instrument, running = plan.instrument, isinstance(state.life, Running)
    return Leg(
        leg_id=leg_id(Role.EXIT, place, 0), venue=instrument.venue, symbol=instrument.symbol, side=plan.side.opposite,
        role=Role.EXIT, kind=Kind.LIMIT, qty=state.exit.sold + state.exit.left, price=state.exit.price,
        post_only=running and plan.barriers.take_profit_order_type == "LIMIT_MAKER", reduce_only=instrument.swap,
        lot_id=f"{place}-0",
    )  # fmt: skip


def _touched(plan: Plan, before: ExecutorState, after: ExecutorState) -> tuple[int, ...]:
    changed = {i for i, (old, new) in enumerate(zip(before.slots, after.slots, strict=True)) if old != new}
    if plan.exit_place is not None and before.exit != after.exit:
        changed.add(plan.exit_place)
    return tuple(sorted(changed))


def prices(plan: Plan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """List entry price, exit price and quantity of every place as configured; zero is what the configuration leaves open."""
    return tuple(_planned(plan, index) for index in range(plan.places))


def _planned(plan: Plan, index: int) -> tuple[Decimal, Decimal, Decimal]:
    if index >= len(plan.entries):
        return ZERO, ZERO, ZERO
    price, qty = plan.entries[index]
    return price, price * (1 + (plan.barriers.take_profit or ZERO) * plan.side.sign), qty


def place(plan: Plan, state: ExecutorState, index: int) -> PlaceView:
    """Show one entry, or the exit."""
    leave = state.exit
    out = leg_id(Role.EXIT, index if plan.exit_place is None else plan.exit_place, 0)
    planned = {"planned": " ".join(str(number) for number in _planned(plan, index))}
    if index >= len(state.slots):
        return PlaceView(
            place=index, phase="Holding" if leave.left > ZERO else "Waiting", entry=out, exit=out, entry_price=ZERO,
            exit_price=leave.price, qty=leave.sold + leave.left, held=leave.left, reason="nothing is offered", data=planned,
        )  # fmt: skip
    slot = state.slots[index]
    price, qty = plan.entries[index]
    held = ZERO if isinstance(slot, Idle) else slot.done
    match slot:
        case Idle(reason=reason):
            phase = "Waiting"
        case Working(price=price, qty=qty, wanted=wanted, reason=reason):
            phase = "Entering" if wanted else "Waiting"
        case Over(word=phase, done=qty):
            reason = ""
    return PlaceView(
        place=index, phase=phase, entry=leg_id(Role.ENTRY, index, 0), exit=out, entry_price=price,
        exit_price=leave.price, qty=qty, held=held, reason=reason, data=slot_data(slot) | planned,
    )  # fmt: skip


def head(state: ExecutorState) -> dict[str, Any]:
    """Return life, exit and cuts as plain data."""
    return write_head(state)


def restore(plan: Plan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> ExecutorState:
    """Build the state back; a slot without a row has never been touched."""
    slots = tuple(read_slot(places[i]) if i in places else Idle() for i in range(len(plan.entries)))
    return read_head(head, slots)


def adopt(plan: Plan, past: Past) -> ExecutorState:
    """Stand up from what orders and trades tell alone: entries that ever had an order enter nothing anew (RULES 9d).

    The trailing stop's best profit is measured anew; the bot is latched to exits until a person releases it.
    """
    slots: list[Slot] = [Idle() for _ in plan.entries]
    for name in past.seen:
        if name.startswith(Role.ENTRY.value) and int(name[1:].partition("-")[0]) < len(slots):
            slots[int(name[1:].partition("-")[0])] = Over("REBUILT")
    tally = Tally(slots=slots)
    for event in past.events:
        fold(tally, event)
    return ExecutorState(tuple(tally.slots), Running(past.started_at), Exit(tally.sold), tally.cut)


def stopped(state: ExecutorState, now: datetime, *, keep_position: bool) -> ExecutorState:
    """End an executor by hand: it closes what it holds, or keeps it. One that has ended already stays as it is."""
    if not isinstance(state.life, Running):
        return state
    life = Closed(CloseType.POSITION_HOLD, now) if keep_position else Closing(CloseType.EARLY_STOP, now)
    slots = tuple(_withdrawn(slot, life) for slot in state.slots)
    return replace(state, slots=slots, life=life, exit=replace(state.exit, left=ZERO))
