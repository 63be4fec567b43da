"""Cross-exchange market making. Rule: every way it can change begins in `step`.

    Quoting ──maker filled and hedged──> Quoting (next round) | Ended COMPLETED
       │
       └── refused, or not hedged in time ──> Closing ──balanced──> Ended

The maker order follows the hedge's price and is kept until its cancel is confirmed (the order layer's work). Every fill of
it, of whichever attempt or round, changes what the bot holds, and what it holds in both markets together is what must be
hedged: so a fill during a cancel is hedged like any other.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core import pairing
from core.machine import Alarm, MachineEvent, Note, Outcome, PlaceView, View, Wake
from core.machines.xemm.config import XemmPlan
from core.machines.xemm.state import Closing, Ended, Quoting, XemmState
from core.market import Quote
from core.orders import Kind, Leg, Role
from core.pairing import Pair, Target, name_of, names_of
from core.recovery import Past
from core.values import ZERO, plain
from core.written import read_back, written

UNHEDGED, RESIDUE = "xemm_unhedged", "xemm_residue"


def begin(plan: XemmPlan, view: View) -> Outcome:
    """Start with the maker's first price."""
    return step(plan, XemmState(), (), view)


def step(plan: XemmPlan, state: XemmState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills, refusals, prices and time. Total: every event has an answer in every state."""
    after = _balance(plan, replace(state, pair=pairing.counted(state.pair, events)), view)
    after = _advance(plan, after, view)
    after = _quote(plan, after, view)
    notes = _notes(state, after)
    retired = names_of(state.pair.cycle) if state.pair.cycle != after.pair.cycle else []
    alarms, calm = _incidents(plan, state, after, view)
    first, second = _wakes(plan, after, view)
    return Outcome(
        state=after, wants=pairing.changes(wants(plan, state), wants(plan, after), retired) if events or after != state else {},
        notes=notes, touched=(0, 1) if after != state else (), wake=first, wakes={plan.taker.market: second},
        alarms=alarms, calm=calm,
    )  # fmt: skip


def wants(plan: XemmPlan, state: XemmState) -> dict[str, Leg]:
    """List the maker's order, and what balances it."""
    legs: dict[str, Leg] = {}
    for name in ("hedge", "undo", "cover"):
        legs |= pairing.taking(plan.ways, name, state.pair)
    if isinstance(state.phase, Quoting) and state.phase.price > ZERO and state.pair.entry.open:
        rule, name = plan.maker, name_of("entry", state.pair.cycle)
        legs[name] = Leg(
            leg_id=name, venue=rule.venue, symbol=rule.symbol, side=plan.ways.side, role=Role.ENTRY, kind=Kind.LIMIT,
            qty=state.pair.entry.qty, price=state.phase.price, post_only=plan.config.post_only,
            lot_id=f"0-{state.pair.cycle}",
        )  # fmt: skip
    return legs


def prices(plan: XemmPlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:  # noqa: ARG001  the kind's port
    """List nothing: the maker's price follows the market."""
    return ()


def place(plan: XemmPlan, state: XemmState, index: int) -> PlaceView:
    """Show the maker's side (0) or the hedge's (1)."""
    pair, cycle = state.pair, state.pair.cycle
    open_, back = ("entry", "undo") if index == 0 else ("hedge", "cover")
    target: Target = getattr(pair, open_)
    undone: Target = getattr(pair, back)
    price = state.phase.price if isinstance(state.phase, Quoting) else ZERO
    return PlaceView(
        place=index, phase=_word(state), entry=name_of(open_, cycle), exit=name_of(back, cycle),
        entry_price=price if index == 0 else target.cap, exit_price=undone.cap, qty=target.qty,
        held=target.done - undone.done, reason=_reason(plan, state, index), data={},
    )  # fmt: skip


def head(state: XemmState) -> dict[str, Any]:
    """Return everything as plain data."""
    return written(state)


def restore(plan: XemmPlan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> XemmState:  # noqa: ARG001
    """Build the state back; the places hold nothing of their own."""
    return read_back(XemmState, head)


def adopt(plan: XemmPlan, past: Past) -> XemmState:  # noqa: ARG001  the kind's port
    """Stand up from what orders and trades tell: what is open is balanced, and nothing new is begun (RULES 9d)."""
    cycles = [int(name.partition("-")[2]) for name in past.seen]
    return XemmState(Closing("EARLY_STOP", past.now), Pair(cycle=max(cycles, default=-1) + 1))


def stopped(state: XemmState, now: datetime) -> XemmState:
    """End it by hand, keeping what is held: no maker order any more, and what it left is balanced before the end."""
    return replace(state, phase=Closing("POSITION_HOLD", now)) if isinstance(state.phase, Quoting) else state


def _balance(plan: XemmPlan, state: XemmState, view: View) -> XemmState:
    pair = state.pair
    waits = pairing.stalled(pair, view.now)
    if pair.off is None and not pair.refusal and not waits and isinstance(state.phase, Quoting):
        # It was undone because the venue asked for a pause; now hedges are to be had again.
        pair = replace(pair, back=False, stalled_until=None)
    pair = pairing.balanced(plan.ways, pair, view)
    if pair.off is not None and not pair.back and (pair.refusal or waits or _late(plan, pair, view)):
        pair = pairing.balanced(plan.ways, pairing.turned_back(pair, view.now), view)
    return replace(state, pair=pair, residue=ZERO if pair.off is not None else pairing.net_of(plan.ways, view))


def _late(plan: XemmPlan, pair: Pair, view: View) -> bool:
    # Whether it has been out of balance for so long that nothing else is to be tried.
    return pair.off is not None and view.now >= pair.off.since + timedelta(seconds=plan.config.unwind_after_s)


def _advance(plan: XemmPlan, state: XemmState, view: View) -> XemmState:
    """Move the phase on: a round that is complete, a refusal, an end."""
    pair = state.pair
    match state.phase:
        case Quoting() if pair.refusal or _late(plan, pair, view):
            told = "INSUFFICIENT_BALANCE" if "(funds)" in pair.refusal else "FAILED"
            closing = replace(state, phase=Closing(told, view.now))
            return _advance(plan, closing, view) if pair.off is None else closing
        case Quoting() if (
            pair.off is None and pair.entry.qty > ZERO and _is_done(plan, pair, state.phase.price or view.quote.bid)
        ):
            rounds = state.rounds + 1
            if rounds >= plan.config.rounds:
                return replace(state, phase=Ended("COMPLETED", view.now), rounds=rounds)
            return replace(
                state, phase=Quoting(), pair=Pair(cycle=pair.cycle + 1, stalled_until=pair.stalled_until), rounds=rounds
            )
        case Closing(close_type=told) if pair.off is None:
            return replace(state, phase=Ended(told, view.now))
        case _:
            return state


def _is_done(plan: XemmPlan, pair: Pair, price: Decimal) -> bool:
    # What is left of the maker's quantity could not be ordered any more.
    left = pair.entry.qty - pair.entry.done
    return left <= ZERO or (pair.entry.done > ZERO and plan.maker.sellable(price, left) == ZERO)


def _quote(plan: XemmPlan, state: XemmState, view: View) -> XemmState:
    """Price the maker's order from the hedge's price; none while the hedge is late or its price unknown."""
    if not isinstance(state.phase, Quoting):
        return state
    pair = state.pair
    if pair.entry.qty == ZERO:
        pair = replace(pair, entry=Target(plan.config.order_amount, pair.entry.done))
    quote, before = _taker_quote(plan, view), state.phase.price
    price = before
    if quote is None or _overdue(plan, pair, view) or pairing.stalled(pair, view.now):
        price = ZERO
    else:
        at = quote.bid if plan.buys else quote.ask
        if before == ZERO or not _earns(plan, before, at):
            wish = plan.price_for(plan.config.target_profitability, at)
            price = plan.maker.floor_price(wish) if plan.buys else plan.maker.ceil_price(wish)
    return replace(state, pair=pair, phase=Quoting(max(price, ZERO)))


def _earns(plan: XemmPlan, price: Decimal, taker_price: Decimal) -> bool:
    found = plan.profitability(price, taker_price)
    return plan.config.min_profitability <= found <= plan.config.max_profitability


def _taker_quote(plan: XemmPlan, view: View) -> Quote | None:
    # A price that may not open risk may not be quoted from.
    quote = pairing.held_beside(plan.ways, view).quote
    if quote is None or quote.objection(view.now, plan.config.max_quote_age_s) is not None:
        return None
    return quote


def _overdue(plan: XemmPlan, pair: Pair, view: View) -> bool:
    return pair.off is not None and view.now >= pair.off.since + timedelta(seconds=plan.config.hedge_deadline_s)


def _wakes(plan: XemmPlan, state: XemmState, view: View) -> tuple[Wake, Wake]:
    pair, config = state.pair, plan.config
    first, second = pairing.wakes_of(plan.ways, pair, view)
    if pair.off is not None:
        for wait_s in (config.hedge_deadline_s, config.unwind_after_s):
            at = pair.off.since + timedelta(seconds=wait_s)
            first = first.meet(Wake(deadline=at)) if at > view.now else first
    if not isinstance(state.phase, Quoting):
        return first, second
    quote, price = _taker_quote(plan, view), state.phase.price
    if pair.stalled_until is not None:
        first = first.meet(Wake(deadline=pair.stalled_until))
    if quote is None or price == ZERO:
        return first, second.meet(Wake(deadline=view.now))
    edges = sorted(plan.taker_at(one, price) for one in (config.min_profitability, config.max_profitability))
    stale = quote.ts + timedelta(seconds=config.max_quote_age_s)
    return first, second.meet(Wake(plan.taker.ceil_price(edges[0]), plan.taker.floor_price(edges[1]), stale))


def _incidents(
    plan: XemmPlan, before: XemmState, after: XemmState, view: View
) -> tuple[tuple[Alarm, ...], tuple[tuple[str, str], ...]]:
    raised: list[Alarm] = []
    calm: list[tuple[str, str]] = []
    subject = plan.taker.symbol
    if _overdue(plan, after.pair, view):
        net = pairing.net_of(plan.ways, view)
        why = after.pair.refusal or "no order could be filled"
        since = after.pair.off.since if after.pair.off is not None else view.now
        detail = f"{plain(net)} {plan.maker.base} are unhedged since {since:%H:%M:%S} UTC: {why}"
        raised.append(Alarm(UNHEDGED, subject, "critical", detail))
    elif before.pair.off is not None and after.pair.off is None:
        calm.append((UNHEDGED, subject))
    if isinstance(after.phase, Ended) and abs(after.residue) >= plan.taker.lot_step:
        detail = pairing.residue_said(plan.ways, view)
        raised.append(Alarm(RESIDUE, subject, "warning", detail))
    elif isinstance(after.phase, Ended) and before.residue != after.residue:
        calm.append((RESIDUE, subject))
    return tuple(raised), tuple(calm)


def _notes(before: XemmState, after: XemmState) -> tuple[Note, ...]:
    said: list[Note] = []
    if after.pair.back and not before.pair.back:
        why = "the venue refuses hedges for now" if after.pair.stalled_until else "could not be hedged in time"
        said.append(Note("hedge", "UNDO", after.pair.refusal or why))
    if after.rounds != before.rounds:
        said.append(Note("round", "COMPLETED", f"round {after.rounds}"))
    if type(after.phase) is not type(before.phase):
        close_type = "" if isinstance(after.phase, Quoting) else after.phase.close_type
        said.append(Note("bot", _word(after), after.pair.refusal or close_type or "begins"))
    return tuple(said)


def _word(state: XemmState) -> str:
    match state.phase:
        case Quoting():
            return "RUNNING"
        case Closing():
            return "SHUTTING_DOWN"
        case Ended(close_type=told):
            return f"TERMINATED {told}"


def _reason(plan: XemmPlan, state: XemmState, index: int) -> str:
    if index == 1 and state.residue != ZERO:
        return f"{plain(state.residue)} {plan.maker.base} are unhedged, too little for an order"
    if state.pair.refusal:
        return state.pair.refusal
    if index == 0 and isinstance(state.phase, Quoting) and state.phase.price == ZERO:
        return "no hedge is to be had" if state.pair.off is not None else "no price to hedge at is known"
    return ""
