"""Funding-rate arbitrage. Rule: every way it can change begins in `step`.

    Scanning ──a pair pays──> Opening ──both legs in──> Open ──an exit holds──> Closing ──flat──> Scanning
                                 └── a leg alone for too long, or refused ──ROLLBACK──> Closing

Both legs go out as one group of capped orders. A leg that stands alone is followed by its sibling; what does not come in
in time goes back, by what is really held. Rates are compared by the hour; an unknown rate or price allows nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from core import pairing
from core.facts import RateSeen
from core.funding import per_hour
from core.machine import LegFilled, LegRefused, MachineEvent, Outcome, PlaceView, View, Wake
from core.machines.funding_arb import exits, opening
from core.machines.funding_arb.config import FundingArbPlan
from core.machines.funding_arb.draft import Draft, legs_of, name_into, name_out
from core.machines.funding_arb.state import Closing, FundingArbState, Open, Opening, Rate, Scanning, Side
from core.market import Market
from core.orders import Leg
from core.recovery import Past
from core.values import ZERO, plain
from core.written import read_back, written

# A rate says something until the second interval after it is over.
RATE_INTERVALS = 2


def begin(plan: FundingArbPlan, view: View) -> Outcome:
    """Start flat, without a rate."""
    state = FundingArbState(Scanning(view.now), tuple(Side() for _ in plan.rules))
    return replace(step(plan, state, (), view), touched=tuple(range(len(plan.rules))))


def step(plan: FundingArbPlan, state: FundingArbState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills, rates, refusals, prices and time. Total: every event has an answer in every state."""
    draft = Draft(plan, view, state)
    observed = _take_in(draft, events)
    match draft.state.phase:
        case Scanning():
            if _stray(draft):
                exits.close(draft)
            else:
                opening.look(draft, news=observed is not None)
        case Opening():
            opening.go_on(draft)
            if isinstance(draft.state.phase, Closing):
                exits.close(draft)
        case Open():
            exits.watch(draft, observed)
            if isinstance(draft.state.phase, Closing):
                exits.close(draft)
        case Closing():
            exits.close(draft)
    after = draft.state
    retired = _names(state) if state.cycle != after.cycle else []
    wakes = _wakes(draft)
    first = plan.rules[0].market
    return Outcome(
        state=after, wants=pairing.changes(wants(plan, state), wants(plan, after), retired), notes=tuple(draft.notes),
        touched=tuple(range(len(plan.rules))) if after != state else (), wake=wakes.pop(first, Wake()), wakes=wakes,
        alarms=tuple(draft.alarms), calm=tuple(draft.calm),
    )  # fmt: skip


def wants(plan: FundingArbPlan, state: FundingArbState) -> dict[str, Leg]:
    """List both legs on their way in, or what is on its way out."""
    grouped = isinstance(state.phase, Opening) and not state.phase.hedging
    legs: dict[str, Leg] = {}
    for index, rule in enumerate(plan.rules):
        legs |= legs_of(rule, state, index, grouped=grouped)
    return legs


def prices(plan: FundingArbPlan) -> tuple[tuple[Any, Any, Any], ...]:  # noqa: ARG001  the kind's port
    """List nothing: prices are the market's."""
    return ()


def place(plan: FundingArbPlan, state: FundingArbState, index: int) -> PlaceView:
    """Show one swap: on which side it stands, and its rate."""
    side, rule = state.sides[index], plan.rules[index]
    # Flat, it still knows which ones the last pair stood in.
    roles = {} if isinstance(state.phase, Scanning) else {state.long: "long", state.short: "short"}
    rate = "no rate is known" if side.rate is None else f"funding {plain(side.rate.hourly * 24)} a day"
    return PlaceView(
        place=index, phase=f"{type(state.phase).__name__} {roles.get(index, 'aside')}", entry=name_into(state, index),
        exit=name_out(state, index), entry_price=side.into.cap, exit_price=side.out.cap, qty=side.into.qty,
        held=side.into.done - side.out.done if roles else ZERO, reason=state.refusal or f"{rule.venue}: {rate}",
        data={},
    )  # fmt: skip


def head(state: FundingArbState) -> dict[str, Any]:
    """Return everything as plain data."""
    return written(state)


def restore(
    plan: FundingArbPlan,  # noqa: ARG001  the kind's port
    head: Mapping[str, Any],
    places: Mapping[int, Mapping[str, str]],  # noqa: ARG001
) -> FundingArbState:
    """Build the state back; the places hold nothing of their own."""
    return read_back(FundingArbState, head)


def adopt(plan: FundingArbPlan, past: Past) -> FundingArbState:
    """Stand up from what orders and trades tell: no order tells why a pair was entered, so what is held is closed."""
    cycles = [int(name.partition("-")[2]) for name in past.seen]
    held = [_held(past, index) for index in range(len(plan.rules))]
    long = next((index for index, sign in enumerate(held) if sign > ZERO), -1)
    short = next((index for index, sign in enumerate(held) if sign < ZERO), -1)
    sides = tuple(Side() for _ in plan.rules)
    closing = Closing(past.now, "REBUILT", past.now)
    return FundingArbState(closing, sides, max(cycles, default=0) + 1, long, short)


def _held(past: Past, index: int) -> Any:
    fills = [one for one in past.events if isinstance(one, LegFilled) and one.leg_id[1:].startswith(f"{index}-")]
    return sum((one.qty * one.side.sign for one in fills), ZERO)


def _names(state: FundingArbState) -> list[str]:
    return [name(state, index) for index in range(len(state.sides)) for name in (name_into, name_out)]


def _take_in(draft: Draft, events: tuple[MachineEvent, ...]) -> datetime | None:
    """Count fills, note refusals, keep rates; returns the time of the newest rate that concerns the pair, or the scan."""
    observed: datetime | None = None
    for event in events:
        match event:
            case LegFilled():
                _count(draft, event)
            case LegRefused() if event.leg_id in _names(draft.state):
                _refused(draft, event)
            case RateSeen():
                index = _keep_rate(draft, event)
                concerned = isinstance(draft.state.phase, Scanning) or index in {draft.state.long, draft.state.short}
                if index is not None and concerned:
                    observed = event.ts if observed is None else max(observed, event.ts)
            case _:
                pass  # a lot cut by other hands shows in what is held; candles were not asked for
    return observed


def _count(draft: Draft, event: LegFilled) -> None:
    for index, side in enumerate(draft.state.sides):
        if event.leg_id == name_into(draft.state, index):
            draft.put(index, into=replace(side.into, done=side.into.done + event.qty))
        elif event.leg_id == name_out(draft.state, index):
            draft.put(index, out=replace(side.out, done=side.out.done + event.qty))


def _refused(draft: Draft, event: LegRefused) -> None:
    # On the way in it ends the opening: such a leg waits longer than the other may stand alone. On the way out it is told.
    draft.change(refusal=f"{event.leg_id} refused ({event.kind.value}): {event.reason}")


def _keep_rate(draft: Draft, seen: RateSeen) -> int | None:
    markets = [rule.market for rule in draft.plan.rules]
    if seen.market not in markets or seen.interval_s <= 0:
        return None
    index = markets.index(seen.market)
    before = draft.side(index).rate
    if before is not None and seen.ts <= before.at:
        return None
    until = seen.ts + timedelta(seconds=RATE_INTERVALS * seen.interval_s)
    draft.put(index, rate=Rate(per_hour(seen.rate, seen.interval_s), seen.ts, until))
    return index


def _stray(draft: Draft) -> bool:
    # A fill that came after a pair was given up, or that no cycle knows: it is closed, by what is held.
    if not any(exits.closable(draft, index) > ZERO for index in range(len(draft.plan.rules))):
        return False
    draft.enter(Closing(draft.now, "STRAY", draft.now), "LEAVE", "a fill came after the end of the pair")
    return True


def _wakes(draft: Draft) -> dict[Market, Wake]:
    first = draft.plan.rules[0].market
    match draft.state.phase:
        case Scanning(recheck_at=recheck_at, rest_until=rest_until):
            dust = any(draft.held(index) != ZERO for index in range(len(draft.plan.rules)))
            wake = Wake(deadline=draft.now if dust else rest_until)
            return {first: wake.meet(Wake(deadline=recheck_at))}
        case Open() as phase:
            return exits.bands(draft, phase)
        case _:
            return {first: Wake(deadline=draft.now)}
