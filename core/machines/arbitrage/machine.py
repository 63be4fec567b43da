"""Arbitrage between two markets. Rule: every way it can change begins in `step`.

    Watching ──it pays──> Sent ──both filled──> Watching (next round) | Ended COMPLETED
       ^                   │
       └─ nothing filled ──┴── one leg alone, or refused ──> Mending ──balanced──> Watching | Ended

Both legs go out as one group, all or none, as capped immediate-or-cancel orders: at both caps together the round still
earns its minimum, so sending what did not fill again can do no harm until the time is up.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core import pairing
from core.machine import Alarm, MachineEvent, Note, Outcome, PlaceView, View, Wake
from core.machines.arbitrage.config import ArbitragePlan
from core.machines.arbitrage.state import ArbitrageState, Ended, Mending, Sent, Watching
from core.market import Quote
from core.orders import Leg
from core.pairing import Pair, Target, name_of, names_of
from core.recovery import Past
from core.values import ONE, ZERO, exact_product, plain
from core.written import read_back, written

NAKED, RESIDUE = "arbitrage_naked_leg", "arbitrage_residue"


def begin(plan: ArbitragePlan, view: View) -> Outcome:
    """Start to watch."""
    return step(plan, ArbitrageState(Watching(view.now)), (), view)


def step(plan: ArbitragePlan, state: ArbitrageState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills, refusals, prices and time. Total: every event has an answer in every state."""
    after = _advance(plan, replace(state, pair=pairing.counted(state.pair, events, ("entry", "hedge"))), view)
    after = replace(after, residue=ZERO if after.pair.off is not None else pairing.net_of(plan.ways, view))
    retired = names_of(state.pair.cycle) if state.pair.cycle != after.pair.cycle else []
    alarms, calm = _incidents(plan, state, after, view)
    first, second = _wakes(plan, after, view)
    return Outcome(
        state=after, wants=pairing.changes(wants(plan, state), wants(plan, after), retired),
        notes=_notes(state, after), touched=(0, 1) if after != state else (), wake=first,
        wakes={plan.ways.second.market: second}, alarms=alarms, calm=calm,
    )  # fmt: skip


def wants(plan: ArbitragePlan, state: ArbitrageState) -> dict[str, Leg]:
    """List both legs, or what balances them."""
    group = f"a{state.pair.cycle}" if isinstance(state.phase, Sent) else ""
    legs: dict[str, Leg] = {}
    for name in ("entry", "hedge", "undo", "cover"):
        legs |= pairing.taking(plan.ways, name, state.pair, group=group)
    return legs


def prices(plan: ArbitragePlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:  # noqa: ARG001  the kind's port
    """List nothing: both prices are the market's."""
    return ()


def place(plan: ArbitragePlan, state: ArbitrageState, index: int) -> PlaceView:
    """Show the purchase (0) or the sale (1)."""
    pair, cycle = state.pair, state.pair.cycle
    open_, back = ("entry", "undo") if index == 0 else ("hedge", "cover")
    target: Target = getattr(pair, open_)
    undone: Target = getattr(pair, back)
    residue = f"{plain(state.residue)} {plan.ways.first.base} are unhedged, too little for an order"
    return PlaceView(
        place=index, phase=_word(state), entry=name_of(open_, cycle), exit=name_of(back, cycle), entry_price=target.cap,
        exit_price=undone.cap, qty=target.qty, held=target.done - undone.done,
        reason=pair.refusal or (residue if _left_over(state) and index == 1 else ""), data={},
    )  # fmt: skip


def _left_over(state: ArbitrageState) -> bool:
    # While both legs are out, what one of them has traded ahead is on its way, not left over.
    return state.residue != ZERO and not isinstance(state.phase, Sent)


def head(state: ArbitrageState) -> dict[str, Any]:
    """Return everything as plain data."""
    return written(state)


def restore(
    plan: ArbitragePlan,  # noqa: ARG001  the kind's port
    head: Mapping[str, Any],
    places: Mapping[int, Mapping[str, str]],  # noqa: ARG001  the kind's port
) -> ArbitrageState:
    """Build the state back; the places hold nothing of their own."""
    return read_back(ArbitrageState, head)


def adopt(plan: ArbitragePlan, past: Past) -> ArbitrageState:  # noqa: ARG001  the kind's port
    """Stand up from what orders and trades tell: what stands alone is undone, and nothing new is begun (RULES 9d)."""
    cycles = [int(name.partition("-")[2]) for name in past.seen]
    pair = Pair(cycle=max(cycles, default=-1) + 1, back=True)
    return ArbitrageState(Mending(past.now, "EARLY_STOP"), pair)


def stopped(state: ArbitrageState, now: datetime) -> ArbitrageState:
    """End it by hand, keeping what is held: nothing new is sent, and a leg that stands alone is balanced before the end."""
    if isinstance(state.phase, Ended):
        return state
    return replace(state, phase=Mending(now, "POSITION_HOLD"), pair=_given_up(state.pair))


def _advance(plan: ArbitragePlan, state: ArbitrageState, view: View) -> ArbitrageState:
    pair = state.pair
    match state.phase:
        case Watching():
            if pair.refusal or pairing.missing(plan.ways, pair, view, forward=True)[0]:  # a fill that came after all
                return _mend(plan, state, view)
            return _send(plan, state, view)
        case Sent(since=since):
            if pair.entry.done >= plan.config.order_amount and pair.hedge.done >= plan.to_sell:
                return _complete(plan, state, view)
            if (
                pair.refusal
                or pairing.stalled(pair, view.now)
                or view.now >= since + timedelta(seconds=plan.config.timeout_s)
            ):
                return _mend(plan, state, view)
            return state
        case Mending():
            return _mended(plan, state, view)
        case Ended():
            # What trades after the end is undone: nothing more is to be bought or sold.
            return replace(state, pair=pairing.balanced(plan.ways, replace(pair, back=True), view, forward=True))


def _send(plan: ArbitragePlan, state: ArbitrageState, view: View) -> ArbitrageState:
    buying, selling = _quotes(plan, view)
    if buying is None or selling is None or plan.slack(buying.ask, selling.bid) <= ZERO:
        return state
    if pairing.stalled(state.pair, view.now):
        return state
    dearest, cheapest = plan.limits(buying.ask, selling.bid)
    pair = state.pair
    if pair.entry.done or pair.hedge.done:
        pair = Pair(cycle=pair.cycle + 1, stalled_until=pair.stalled_until)
    entry = Target(plan.config.order_amount, cap=plan.ways.first.floor_price(dearest))
    hedge = Target(plan.to_sell, cap=plan.ways.second.ceil_price(cheapest))
    return replace(state, phase=Sent(view.now), pair=replace(pair, entry=entry, hedge=hedge))


def _mend(plan: ArbitragePlan, state: ArbitrageState, view: View) -> ArbitrageState:
    """Give up what did not fill, and choose how to balance what did."""
    pair = state.pair
    told = "" if not pair.refusal else "INSUFFICIENT_BALANCE" if "(funds)" in pair.refusal else "FAILED"
    still = replace(
        _given_up(pair), back=bool(pair.refusal) or pairing.stalled(pair, view.now) or _cheaper_back(plan, view)
    )
    return _mended(plan, replace(state, phase=Mending(view.now, told), pair=still), view)


def _given_up(pair: Pair) -> Pair:
    return replace(pair, entry=Target(pair.entry.done, pair.entry.done), hedge=Target(pair.hedge.done, pair.hedge.done))


def _cheaper_back(plan: ArbitragePlan, view: View) -> bool:
    """Whether undoing the leg that stands alone costs less than completing the other, fees counted."""
    buying, selling = view.quote, pairing.held_beside(plan.ways, view).quote
    if selling is None:
        return True
    first, second = plan.ways.first.taker, plan.ways.second.taker
    if pairing.net_of(plan.ways, view) > ZERO:
        return exact_product(buying.bid, ONE - first) > exact_product(selling.bid, ONE - second)
    return exact_product(selling.ask, ONE + second) < exact_product(buying.ask, ONE + first)


def _mended(plan: ArbitragePlan, state: ArbitrageState, view: View) -> ArbitrageState:
    pair = pairing.balanced(plan.ways, state.pair, view, forward=True)
    if pair.off is not None and not pair.back:
        late = view.now >= pair.off.since + timedelta(seconds=plan.config.unwind_after_s)
        if late or pair.refusal or pairing.stalled(pair, view.now):
            pair = pairing.balanced(plan.ways, pairing.turned_back(pair, view.now), view, forward=True)
    state = replace(state, pair=pair)
    if pair.off is not None or not isinstance(state.phase, Mending):
        return state
    if state.phase.close_type:
        return replace(state, phase=Ended(state.phase.close_type, view.now))
    kept = pair.entry.done - pair.undo.done
    return _complete(plan, state, view) if kept > ZERO else replace(state, phase=Watching(view.now))


def _complete(plan: ArbitragePlan, state: ArbitrageState, view: View) -> ArbitrageState:
    rounds = state.rounds + 1
    if rounds >= plan.config.rounds:
        return replace(state, phase=Ended("COMPLETED", view.now), rounds=rounds)
    pair = Pair(cycle=state.pair.cycle + 1, stalled_until=state.pair.stalled_until)
    return replace(state, phase=Watching(view.now), pair=pair, rounds=rounds)


def _quotes(plan: ArbitragePlan, view: View) -> tuple[Quote | None, Quote | None]:
    # Prices that may not open risk open none.
    age_s = plan.config.max_quote_age_s
    here, there = view.quote, pairing.held_beside(plan.ways, view).quote
    return (
        None if here.objection(view.now, age_s) is not None else here,
        None if there is None or there.objection(view.now, age_s) is not None else there,
    )


def _wakes(plan: ArbitragePlan, state: ArbitrageState, view: View) -> tuple[Wake, Wake]:
    first, second = pairing.wakes_of(plan.ways, state.pair, view, forward=True)
    match state.phase:
        case Watching():
            buying, selling = _quotes(plan, view)
            if buying is None or selling is None:
                return first.meet(Wake(deadline=view.now)), second
            if pairing.stalled(state.pair, view.now):
                first = first.meet(Wake(deadline=state.pair.stalled_until))
            # Neither price alone can make it pay before it has come half of the way.
            dearest, cheapest = plan.limits(buying.ask, selling.bid)
            low = Wake(low=plan.ways.first.ceil_price(dearest))
            return first.meet(low), second.meet(Wake(high=plan.ways.second.floor_price(cheapest)))
        case Sent(since=since):
            return first.meet(Wake(deadline=since + timedelta(seconds=plan.config.timeout_s))), second
        case _ if state.pair.off is not None:
            for wait_s in (plan.config.timeout_s, plan.config.unwind_after_s):
                at = state.pair.off.since + timedelta(seconds=wait_s)
                first = first.meet(Wake(deadline=at)) if at > view.now else first
            return first, second
        case _:
            return first, second


def _incidents(
    plan: ArbitragePlan, before: ArbitrageState, after: ArbitrageState, view: View
) -> tuple[tuple[Alarm, ...], tuple[tuple[str, str], ...]]:
    raised: list[Alarm] = []
    calm: list[tuple[str, str]] = []
    subject, off = plan.ways.first.symbol, after.pair.off
    if off is not None and view.now >= off.since + timedelta(seconds=plan.config.timeout_s):
        why = after.pair.refusal or "no order could be filled"
        net = plain(pairing.net_of(plan.ways, view))
        detail = f"{net} {plan.ways.first.base} stand alone since {off.since:%H:%M:%S} UTC: {why}"
        raised.append(Alarm(NAKED, subject, "critical", detail))
    elif before.pair.off is not None and off is None:
        calm.append((NAKED, subject))
    lot = max(plan.ways.first.lot_step, plan.ways.second.lot_step)
    rests = isinstance(after.phase, Watching | Ended)
    if rests and abs(after.residue) >= lot:
        raised.append(Alarm(RESIDUE, subject, "warning", pairing.residue_said(plan.ways, view)))
    elif rests and before.residue != after.residue:
        calm.append((RESIDUE, subject))
    return tuple(raised), tuple(calm)


def _notes(before: ArbitrageState, after: ArbitrageState) -> tuple[Note, ...]:
    said: list[Note] = []
    pair = after.pair
    if isinstance(after.phase, Sent) and not isinstance(before.phase, Sent):
        said.append(Note("round", "SENT", f"buy up to {plain(pair.entry.cap)}, sell down to {plain(pair.hedge.cap)}"))
    if isinstance(after.phase, Mending) and not isinstance(before.phase, Mending):
        way = "undo" if pair.back else "complete"
        why = "an order was refused for now" if pair.stalled_until is not None else "time is up"
        said.append(Note("round", "MEND", pair.refusal or f"{why}: {way} what stands alone"))
    if after.rounds != before.rounds:
        said.append(Note("round", "COMPLETED", f"round {after.rounds}"))
    if isinstance(after.phase, Ended) and not isinstance(before.phase, Ended):
        said.append(Note("bot", _word(after), pair.refusal or after.phase.close_type))
    return tuple(said)


def _word(state: ArbitrageState) -> str:
    match state.phase:
        case Watching() | Sent():
            return "RUNNING"
        case Mending(close_type=told):
            return "SHUTTING_DOWN" if told else "RUNNING"
        case Ended(close_type=told):
            return f"TERMINATED {told}"
