"""The ladder. Rule: every way a trade of it can change is in this file.

    Pending ──may enter──> Entering ──entry filled──> Exiting ──exit filled──> Pending (next cycle), or Completed

The public names are these states seen together with the orders that work them: PENDING_ENTRY (no entry rests),
PLACED_ENTRY (it does), FILLED_WAIT (bought, no exit rests), PLACED_EXIT (it does), COMPLETED. Partial fills count at once:
what an entry has bought is offered by the exit while the rest of the entry still rests.

Maker offsets: an entry rests at its own price, or where that is nearer to the best ask than `maker_offset_buy`, by so much
below the ask; it moves to its own price as soon as that keeps the distance. Exits likewise from the best bid.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from core.machine import LegFilled, LotCut, MachineEvent, Note, Outcome, PlaceView, View, Wake
from core.machines.ladder.adoption import adopted
from core.machines.ladder.config import LadderPlan
from core.machines.ladder.state import (
    Completed,
    Entering,
    Exiting,
    LadderState,
    Pending,
    Rung,
    lot_name,
    read_rung,
    rung_data,
)
from core.orders import Kind, Leg, Role, leg_id
from core.recovery import Past
from core.values import ZERO, Side

# What the store and people read; the engine makes the two "placed" names of the two that an order works.
PHASES = {"Pending": "PENDING_ENTRY", "Entering": "Buying", "Exiting": "Selling", "Completed": "COMPLETED"}


@dataclass(slots=True)
class _Draft:
    """The step under way: trades being changed and what has to be said about it."""

    rungs: list[Rung]
    dirty: set[int]
    wants: dict[str, Leg | None]
    notes: list[Note]


def begin(plan: LadderPlan, view: View) -> Outcome:
    """Lay the trades out; those whose entry may rest want it at once."""
    outcome = step(plan, LadderState(tuple(Pending(0) for _ in plan.trades)), (), view)
    return replace(outcome, touched=tuple(range(len(plan.trades))))


def step(plan: LadderPlan, state: LadderState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills and the price: fold the events, start what may enter, move what stood off its own price."""
    draft = _Draft(list(state.rungs), set(), {}, [])
    for event in events:
        _fold(plan, draft, event, view)
    for index, rung in enumerate(draft.rungs):
        moved = _tended(plan, index, rung, view)
        if moved != rung:
            draft.rungs[index] = moved
            draft.dirty.add(index)
    for index in sorted(draft.dirty):
        draft.wants.update(_legs_of(plan, index, draft.rungs[index]))
    new = LadderState(tuple(draft.rungs)) if draft.dirty else state
    return Outcome(new, draft.wants, tuple(draft.notes), tuple(sorted(draft.dirty)), _wake(plan, new))


def wants(plan: LadderPlan, state: LadderState) -> dict[str, Leg]:
    """List every leg wanted now."""
    legs: dict[str, Leg] = {}
    for index, rung in enumerate(state.rungs):
        legs.update({name: leg for name, leg in _legs_of(plan, index, rung).items() if leg is not None})
    return legs


def prices(plan: LadderPlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """List entry price, exit price and quantity of every trade, as planned."""
    return tuple((trade.entry_price, trade.exit_price, trade.qty) for trade in plan.trades)


def place(plan: LadderPlan, state: LadderState, index: int) -> PlaceView:
    """Show one trade."""
    trade, rung = plan.trades[index], state.rungs[index]
    return PlaceView(
        place=index, phase=PHASES[type(rung).__name__], entry=leg_id(Role.ENTRY, index, rung.cycle),
        exit=leg_id(Role.EXIT, index, rung.cycle), entry_price=trade.entry_price, exit_price=trade.exit_price,
        qty=trade.qty, held=rung.held if isinstance(rung, Entering | Exiting) else ZERO,
        reason=rung.reason if isinstance(rung, Pending) else "", data=rung_data(rung),
    )  # fmt: skip


def head(state: LadderState) -> dict[str, Any]:  # noqa: ARG001  the protocol's signature
    """Return nothing: all that a ladder remembers is in its places."""
    return {}


def restore(plan: LadderPlan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> LadderState:  # noqa: ARG001  the protocol's signature
    """Build the state back; a trade without a row has never been touched."""
    return LadderState(tuple(read_rung(places[i]) if i in places else Pending(0) for i in range(len(plan.trades))))


def adopt(plan: LadderPlan, past: Past) -> LadderState:
    """Stand up from what orders and trades tell alone."""
    return adopted(plan, past)


def _fold(plan: LadderPlan, draft: _Draft, event: MachineEvent, view: View) -> None:
    if not isinstance(event, LegFilled | LotCut):
        return  # refusals are the order layer's business, and a ladder asks for no candles
    index, cycle = _place_of(event.lot_id)
    if not 0 <= index < len(draft.rungs):
        return
    rung = draft.rungs[index]
    draft.dirty.add(index)
    own = isinstance(event, LegFilled) and cycle == rung.cycle
    if isinstance(event, LegFilled) and event.role is Role.ENTRY:
        # A late fill of a cycle that was over: what it bought is held by the present one, and its exit offers it.
        draft.rungs[index] = _bought(plan, index, rung, event.qty if own else ZERO, event.net, view)
        return
    given, sold = (event.net, event.qty) if isinstance(event, LegFilled) else (event.qty, ZERO)
    draft.rungs[index] = _sold(plan, index, rung, given, sold if own else ZERO, draft)


def _bought(plan: LadderPlan, index: int, rung: Rung, qty: Decimal, net: Decimal, view: View) -> Rung:
    trade = plan.trades[index]
    match rung:
        case Pending(cycle=cycle) | Completed(cycle=cycle):
            # The fill outran what was believed of its order: hold what it bought.
            return Exiting(cycle, net, ZERO, view.now, _exit_now(plan, index, view))
        case Exiting():
            return replace(rung, held=rung.held + net)
        case Entering(cycle=cycle, bought=before, held=held, sold=sold, exit_price=exit_price):
            first = plan.instrument.floor_qty(held) <= ZERO
            price = _exit_now(plan, index, view) if first else exit_price
            if before + qty >= trade.qty:
                return Exiting(cycle, held + net, sold, view.now, price)
            return replace(rung, bought=before + qty, held=held + net, exit_price=price)


def _sold(plan: LadderPlan, index: int, rung: Rung, given: Decimal, sold: Decimal, draft: _Draft) -> Rung:
    match rung:
        case Pending() | Completed():
            return rung
        case Entering():
            return replace(rung, held=max(rung.held - given, ZERO), sold=rung.sold + sold)
        case Exiting(cycle=cycle, held=held):
            left = max(held - given, ZERO)
            if plan.instrument.floor_qty(left) > ZERO:
                return replace(rung, held=left, sold=rung.sold + sold)
            loop = plan.config.loop
            draft.notes.append(Note(f"trade {index}", "COMPLETED", f"cycle {cycle} entered and exited"))
            draft.wants[leg_id(Role.EXIT, index, cycle)] = None
            draft.wants[leg_id(Role.ENTRY, index, cycle)] = None
            return Pending(cycle + 1) if loop else Completed(cycle + 1)


def _tended(plan: LadderPlan, index: int, rung: Rung, view: View) -> Rung:
    """Return a trade as the price has it: started where it may be, and back at its own prices where they may rest."""
    trade, quote = plan.trades[index], view.quote
    match rung:
        case Pending(cycle=cycle):
            if plan.config.above_market == "wait" and trade.entry_price >= quote.ask:
                return Pending(cycle, "waits for the price to rise above its entry")
            return Entering(cycle, ZERO, ZERO, ZERO, view.now, _entry_now(plan, index, view))
        case Entering(entry_price=entry_price, exit_price=exit_price):
            if entry_price is not None and quote.ask >= trade.entry_price + plan.offset_buy:
                rung = replace(rung, entry_price=None)
            if exit_price is not None and quote.bid <= trade.exit_price - plan.offset_sell:
                rung = replace(rung, exit_price=None)
            return rung
        case Exiting(exit_price=exit_price):
            if exit_price is not None and quote.bid <= trade.exit_price - plan.offset_sell:
                return replace(rung, exit_price=None)
            return rung
        case Completed():
            return rung


def _entry_now(plan: LadderPlan, index: int, view: View) -> Decimal | None:
    off = plan.instrument.floor_price(view.quote.ask - plan.offset_buy)
    return off if off < plan.trades[index].entry_price else None


def _exit_now(plan: LadderPlan, index: int, view: View) -> Decimal | None:
    off = plan.instrument.ceil_price(view.quote.bid + plan.offset_sell)
    return off if off > plan.trades[index].exit_price else None


def _wake(plan: LadderPlan, state: LadderState) -> Wake:
    highs: list[Decimal] = []
    lows: list[Decimal] = []
    for trade, rung in zip(plan.trades, state.rungs, strict=True):
        if isinstance(rung, Pending):
            highs.append(trade.entry_price)
        elif isinstance(rung, Entering) and rung.entry_price is not None:
            highs.append(trade.entry_price + plan.offset_buy)
        if isinstance(rung, Entering | Exiting) and rung.exit_price is not None:
            lows.append(trade.exit_price - plan.offset_sell)
    return Wake(low=max(lows, default=None), high=min(highs, default=None))


def _legs_of(plan: LadderPlan, index: int, rung: Rung) -> dict[str, Leg | None]:
    entry_id, exit_id = leg_id(Role.ENTRY, index, rung.cycle), leg_id(Role.EXIT, index, rung.cycle)
    match rung:
        case Pending() | Completed():
            return {entry_id: None, exit_id: None}
        case Entering():
            return {entry_id: _entry(plan, index, rung), exit_id: _exit(plan, index, rung)}
        case Exiting():
            return {entry_id: None, exit_id: _exit(plan, index, rung)}


def _entry(plan: LadderPlan, index: int, rung: Entering) -> Leg:
    instrument, trade = plan.instrument, plan.trades[index]
    return Leg(
        leg_id=leg_id(Role.ENTRY, index, rung.cycle), venue=instrument.venue, symbol=instrument.symbol, side=Side.BUY,
        role=Role.ENTRY, kind=Kind.LIMIT, qty=trade.qty, price=rung.entry_price or trade.entry_price, post_only=True,
        lot_id=lot_name(index, rung.cycle),
    )  # fmt: skip


def _exit(plan: LadderPlan, index: int, rung: Entering | Exiting) -> Leg | None:
    instrument = plan.instrument
    left = instrument.floor_qty(rung.held)
    if left <= ZERO:
        return None
    return Leg(
        leg_id=leg_id(Role.EXIT, index, rung.cycle), venue=instrument.venue, symbol=instrument.symbol, side=Side.SELL,
        role=Role.EXIT, kind=Kind.LIMIT, qty=rung.sold + left, price=rung.exit_price or plan.trades[index].exit_price,
        post_only=True, reduce_only=instrument.swap, lot_id=lot_name(index, rung.cycle),
    )  # fmt: skip


def _place_of(lot_id: str) -> tuple[int, int]:
    place, _, cycle = lot_id.partition("-")
    return (int(place), int(cycle)) if place.isdigit() and cycle.isdigit() else (-1, -1)
