"""The ATR grid. Rule: every way it can change begins in `step`.

A place has no level, rests, holds, and starts over:

    Idle ──laid below the price──> Resting ──bought──> Holding ──sold at its target──> Resting (next cycle)
      ^                              │ ^                 │
      └── withdrawn, laid anew ──────┘ └─ price moved ─┘  └── cut: hedge profit pays, or a profit is taken early

One step answers, in this order: fills; the short's hard stop; the newest closed candle (`candles`); the hedge's size
(`short`). Spot legs rest at the exchange, post-only; the short's legs take the book.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.facts import BarClosed
from core.indicators import EMA_LENGTHS, Reading, follow
from core.machine import LegFilled, LegRefused, LotCut, MachineEvent, Outcome, PlaceView, View
from core.machines.atr_grid import short
from core.machines.atr_grid.adoption import adopted
from core.machines.atr_grid.candles import decide, recover, stop_hit
from core.machines.atr_grid.config import AtrGridPlan
from core.machines.atr_grid.draft import Draft
from core.machines.atr_grid.levels import WARMS_UP, bought, is_entry, parted, place_of
from core.machines.atr_grid.state import (
    AtrGridState,
    Holding,
    Idle,
    Level,
    Money,
    Mood,
    Resting,
    Short,
    level_data,
    read_head,
    read_level,
    write_head,
)
from core.market import Candle
from core.orders import Kind, Leg, Role, leg_id
from core.recovery import Past
from core.values import ONE, ZERO, Side, plain

_LEVEL, _HEDGE = (ZERO, ZERO, ZERO), (ONE, ZERO, ZERO)
_TOLD_NAMES = ("open", "high", "low", "close", "volume", "tr", "atr_14", "atr_28", *(f"ema_{n}" for n in EMA_LENGTHS))
_TOLD = "{" + ", ".join(f'"{name}": "%s"' for name in ("ts", *_TOLD_NAMES)) + "}"
_PHASES = {Idle: "Waiting", Resting: "Entering", Holding: "Holding"}


def begin(plan: AtrGridPlan, view: View) -> Outcome:
    """Start with nothing laid: the first grid waits for its candles."""
    levels = tuple(Idle(0, WARMS_UP) for _ in range(plan.config.levels))
    state = AtrGridState(levels, None, None, None, Mood(), Money(plan.grid_quote), Short())
    outcome = step(plan, state, (), view)
    places = plan.config.levels + (2 if plan.futures is not None else 0)
    return Outcome(outcome.state, outcome.wants, outcome.notes, tuple(range(places)), outcome.wake, wakes=outcome.wakes)


def step(plan: AtrGridPlan, state: AtrGridState, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Answer fills, refusals, closed candles and prices. Total: every event has an answer in every state."""
    draft = Draft.of(plan, state, view)
    newest: Candle | None = None
    for event in events:
        newest = _fold(draft, event) or newest
    stopped = _hard_stop(draft)
    if newest is not None and draft.gauge is not None and draft.gauge.ready:
        decide(draft, newest)
    short.tend(draft, news=bool(events) or stopped)
    after = draft.frozen()
    spot, futures = short.stop_wakes(draft)
    return Outcome(
        state=after,
        wants=_changes(plan, state, after),
        notes=tuple(draft.notes),
        touched=_touched(plan, state, after),
        wake=short.wake_of(draft).meet(spot),
        wakes={plan.futures.market: futures} if plan.futures is not None else {},
        alarms=tuple(draft.alarms),
        calm=tuple(draft.calm),
    )


def wants(plan: AtrGridPlan, state: AtrGridState) -> dict[str, Leg]:
    """List every leg wanted now."""
    legs: dict[str, Leg] = {}
    for index, level in enumerate(state.levels):
        legs |= _legs(plan, index, level)
    return legs | short.legs_of(plan, state.short)


def prices(plan: AtrGridPlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """List what a restart holds against the store: levels follow the market, so only what a place is for is planned.

    Zero for a level, one for a side of the hedge: a store that has more places, or others, is of another configuration.
    """
    hedge = 2 if plan.futures is not None else 0
    return (_LEVEL,) * plan.config.levels + (_HEDGE,) * hedge


def place(plan: AtrGridPlan, state: AtrGridState, index: int) -> PlaceView:
    """Show one level, or one side of the hedge."""
    if index >= plan.config.levels:
        return _hedge_place(plan, state.short, index)
    level = state.levels[index]
    entry = exit_ = qty = held = ZERO
    match level:
        case Idle():
            pass
        case Resting():
            entry, exit_, qty, held = level.price, level.price + level.spacing, level.qty, level.held
        case Holding():
            entry, exit_, qty, held = level.entry, level.target, level.held, level.held
    return PlaceView(
        place=index, phase=_PHASES[type(level)], entry=leg_id(Role.ENTRY, index, level.cycle),
        exit=leg_id(Role.EXIT, index, level.cycle), entry_price=entry, exit_price=exit_, qty=qty, held=held,
        reason=level.reason if isinstance(level, Idle) else "", data=level_data(level) | _planned(_LEVEL),
    )  # fmt: skip


def head(state: AtrGridState) -> dict[str, Any]:
    """Return indicators, layout, mood, money and hedge as plain data."""
    return write_head(state)


def restore(plan: AtrGridPlan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> AtrGridState:
    """Build the state back; a place without a row has never been touched."""
    count = plan.config.levels
    levels = tuple(read_level(places[i]) if i in places else Idle(0, WARMS_UP) for i in range(count))
    return read_head(head, levels)


def adopt(plan: AtrGridPlan, past: Past) -> AtrGridState:
    """Stand up from what orders and trades tell alone."""
    return adopted(plan, past)


def _planned(numbers: tuple[Decimal, ...]) -> dict[str, str]:
    return {"planned": " ".join(str(one) for one in numbers)}


def _fold(draft: Draft, event: MachineEvent) -> Candle | None:
    """Take one event in; returns the candle where it was the next one."""
    match event:
        case LegFilled(role=Role.HEDGE):
            short.traded(draft, event)
        case LegFilled() | LotCut():
            _fold_spot(draft, event)
        case LegRefused():
            short.refused(draft, event)
        case BarClosed(candle=candle) if draft.bar_at is None or candle.ts > draft.bar_at:
            draft.bar_at = candle.ts
            draft.gauge = follow(draft.gauge, candle, draft.plan.config.atr_smoothing)
            draft.note("candle", "CLOSED", _told_candle(candle, draft.gauge.reading))
            return candle
        case _:
            pass  # a candle that was told before; funding rates, which were not asked for
    return None


def _told_candle(candle: Candle, reading: Reading) -> str:
    """Write a candle and its indicators as JSON, exact: the journal is where SQL finds them (sql/views/atr_candles.sql)."""
    numbers = (
        candle.open, candle.high, candle.low, candle.close, candle.volume, reading.tr, reading.atr_14, reading.atr_28,
        *reading.emas,
    )  # fmt: skip
    return _TOLD % (candle.ts.isoformat(sep=" "), *map(plain, numbers))


def _fold_spot(draft: Draft, event: LegFilled | LotCut) -> None:
    found = place_of(event.lot_id, len(draft.levels))
    if found is None:
        if isinstance(event, LotCut) and event.lot_id.startswith(Role.HEDGE.value):
            short.lost(draft, event.qty)
        return
    index, cycle = found
    if isinstance(event, LegFilled) and is_entry(event):
        bought(draft, index, cycle, event)
    else:
        parted(draft, index, cycle, event)


def _hard_stop(draft: Draft) -> bool:
    # Between candles the short has this one barrier: on the worst price since the last look, not on a sample (RULES 9e).
    quote = draft.futures_quote
    if quote is None or draft.short_qty <= ZERO or draft.short.ratio == ZERO:
        return False
    profit = short.profit_at(draft, quote.highest)
    if not stop_hit(draft, profit):
        return False
    short.close(
        draft, "MAX_LOSS", f"the short stood at {plain(profit.quantize(Decimal('0.01')))} at {plain(quote.highest)}"
    )
    if not draft.mood.recovery:
        recover(draft, "MAX_LOSS")
    return True


def _changes(plan: AtrGridPlan, before: AtrGridState, after: AtrGridState) -> dict[str, Leg | None]:
    changes: dict[str, Leg | None] = {}
    for index, (old, new) in _moved(before, after):
        if old is not new:
            changes |= _change(_legs(plan, index, old), _legs(plan, index, new))
    if before.short is not after.short:
        changes |= _change(short.legs_of(plan, before.short), short.legs_of(plan, after.short))
    return changes


def _moved(before: AtrGridState, after: AtrGridState) -> Iterable[tuple[int, tuple[Level, Level]]]:
    # Most steps leave the levels alone: then nothing is compared.
    return () if before.levels is after.levels else enumerate(zip(before.levels, after.levels, strict=True))


def _change(old: Mapping[str, Leg], new: Mapping[str, Leg]) -> dict[str, Leg | None]:
    gone: dict[str, Leg | None] = {name: None for name in old if name not in new}
    return gone | {name: leg for name, leg in new.items() if old.get(name) != leg}


def _touched(plan: AtrGridPlan, before: AtrGridState, after: AtrGridState) -> tuple[int, ...]:
    changed = [index for index, (old, new) in _moved(before, after) if old is not new]
    if plan.futures is not None and before.short is not after.short and before.short != after.short:
        changed += [plan.hedge_place, plan.hedge_place + 1]
    return tuple(changed)


def _legs(plan: AtrGridPlan, index: int, level: Level) -> dict[str, Leg]:
    match level:
        case Idle():
            return {}
        case Resting():
            legs = [_entry(plan, index, level)]
            target = plan.spot.ceil_price(level.entry + level.spacing)
            exit_ = _exit(plan, index, level.cycle, level.sold, level.held, target)
            return {leg.leg_id: leg for leg in (*legs, exit_) if leg is not None}
        case Holding(cut_to=cut_to) if cut_to > ZERO:
            leg = _sale(plan, index, level.cycle, cut_to, level.cap, post_only=False)
            return {leg.leg_id: leg}
        case Holding():
            leg = _exit(plan, index, level.cycle, level.sold, level.held, level.target)
            return {} if leg is None else {leg.leg_id: leg}


def _entry(plan: AtrGridPlan, index: int, level: Resting) -> Leg:
    return Leg(
        leg_id=leg_id(Role.ENTRY, index, level.cycle), venue=plan.spot.venue, symbol=plan.spot.symbol, side=Side.BUY,
        role=Role.ENTRY, kind=Kind.LIMIT, qty=level.qty, price=level.price, post_only=True,
        lot_id=f"{index}-{level.cycle}",
    )  # fmt: skip


def _exit(plan: AtrGridPlan, index: int, cycle: int, sold: Decimal, held: Decimal, target: Decimal) -> Leg | None:
    left = plan.spot.floor_qty(held)
    return None if left <= ZERO else _sale(plan, index, cycle, sold + left, target, post_only=True)


def _sale(plan: AtrGridPlan, index: int, cycle: int, qty: Decimal, price: Decimal, *, post_only: bool) -> Leg:
    return Leg(
        leg_id=leg_id(Role.EXIT, index, cycle), venue=plan.spot.venue, symbol=plan.spot.symbol, side=Side.SELL,
        role=Role.EXIT, kind=Kind.LIMIT, qty=qty, price=price, post_only=post_only, lot_id=f"{index}-{cycle}",
    )  # fmt: skip


def _hedge_place(plan: AtrGridPlan, hedge: Short, index: int) -> PlaceView:
    sells = index == plan.hedge_place
    wanted = (
        f"the {hedge.zone} zone wants {plain(hedge.ratio)} of the bag short" if hedge.zone else "no zone wants a short"
    )
    leg = leg_id(Role.HEDGE, index, hedge.cycle)
    asked, done = (hedge.asked_sell, hedge.sold) if sells else (hedge.asked_buy, hedge.bought)
    # With nothing left to trade a side is no order that is missing.
    phase = ("Short" if sells else "Cover") if asked > done else "Waiting"
    if sells:
        reason = hedge.refusal or wanted
    else:
        reason = hedge.refusal or ("buys the short back" if asked > done else "nothing has to be bought back")
    return PlaceView(
        place=index, phase=phase, entry=leg, exit=leg, entry_price=ZERO, exit_price=ZERO, qty=asked, held=done,
        reason=reason, data=_planned(_HEDGE),
    )  # fmt: skip
