"""Out of a pair. The exits in their order; the first that holds decides.

1. LIQUIDATION: the price is too near to where a leg would be liquidated
2. LEG_MISSING: one leg is gone, seen twice; ALL_LEGS_CLOSED: both are
3. IMBALANCE: the legs differ by more than `imbalance_exit`; below it the larger one is reduced
4. FLIP: the rates turned against the pair, seen twice
5. EROSION: the difference fell below `erosion_ratio` of the entry's, seen twice
6. TAKE_PROFIT: funding and price profit, all fees counted, reach `profit_target`
7. TIME_LIMIT: `max_age_hours` are over
8. STOP_LOSS: the same sum has lost `max_loss`
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.machine import Alarm, Wake
from core.machines.funding_arb.config import MAINTENANCE
from core.machines.funding_arb.draft import Draft, closable, still, take_out
from core.machines.funding_arb.state import Closing, Open, Scanning
from core.market import Market
from core.pairing import Target
from core.values import ONE, ZERO, exact_product, floor_to, plain, ratio

# One rate may be a slip; the next one, of another time, is none.
SEEN = 2
UNBALANCED, UNCLOSED, RESIDUE = "funding_imbalance", "funding_unclosed", "funding_residue"


def watch(draft: Draft, observed: datetime | None) -> None:
    """Hold an open pair against its exits. `observed` is the time of a new rate of one of its legs, if there was one."""
    phase = draft.state.phase
    assert isinstance(phase, Open)  # noqa: S101  asked of open pairs alone
    phase = _observe(draft, phase, observed)
    draft.feel(phase)
    reason = _reason(draft, phase)
    if reason:
        for index in range(len(draft.plan.rules)):
            still(draft, index)
        draft.enter(Closing(draft.now, reason, draft.now), "LEAVE", _why(draft, phase, reason))
        return
    _rebalance(draft, phase)


def _observe(draft: Draft, phase: Open, observed: datetime | None) -> Open:
    if observed is not None and (phase.seen_at is None or observed > phase.seen_at):
        edge = draft.edge_h
        flipped = edge is not None and edge < -draft.plan.config.flip_margin
        eroded = edge is not None and edge < phase.edge_h * draft.plan.config.erosion_ratio
        fades = phase.fades + 1 if eroded and draft.plan.config.erosion_ratio > ZERO else 0
        phase = replace(phase, flips=phase.flips + 1 if flipped else 0, fades=fades, seen_at=observed)
    long, short = draft.sizes
    missing = min(long, short) < draft.plan.step
    return replace(phase, gone_since=(phase.gone_since or draft.now) if missing else None)


def _reason(draft: Draft, phase: Open) -> str:
    config = draft.plan.config
    long, short = draft.sizes
    if any(_near_liquidation(draft, index) for index in (draft.state.long, draft.state.short)):
        return "LIQUIDATION"
    if phase.gone_since is not None:
        confirmed = draft.now >= phase.gone_since + timedelta(seconds=config.confirm_s)
        both = max(long, short) < draft.plan.step
        return ("ALL_LEGS_CLOSED" if both else "LEG_MISSING") if confirmed else ""
    if imbalance(draft) > config.imbalance_exit:
        return "IMBALANCE"
    if phase.flips >= SEEN:
        return "FLIP"
    if phase.fades >= SEEN:
        return "EROSION"
    profit = draft.profit(phase.before)
    if profit is not None and config.profit_target is not None and profit >= config.profit_target * config.size_quote:
        return "TAKE_PROFIT"
    if draft.now >= _ends_at(draft, phase):
        return "TIME_LIMIT"
    return "STOP_LOSS" if profit is not None and profit <= -config.max_loss * config.size_quote else ""


def _why(draft: Draft, phase: Open, reason: str) -> str:
    profit, edge = draft.profit(phase.before), draft.edge_h
    won = "unknown" if profit is None else plain(profit.quantize(Decimal("0.01")))
    rates = "unknown" if edge is None else plain((edge * 24).quantize(Decimal("1E-7")))
    return f"{reason}: the rates earn {rates} a day, the pair stands at {won} after all fees"


def imbalance(draft: Draft) -> Decimal:
    """Return by how much the legs differ, as a fraction of the larger."""
    long, short = draft.sizes
    return ratio(abs(long - short), max(long, short)) if max(long, short) > ZERO else ZERO


def liquidation_price(draft: Draft, index: int) -> Decimal | None:
    """Return where an isolated leg would be liquidated: its margin, less what must be maintained, is lost. None if flat."""
    qty = draft.held(index)
    if qty == ZERO:
        return None
    entry = ratio(draft.net_cost(index), qty)
    reach = ratio(ONE, Decimal(draft.plan.config.leverage)) - MAINTENANCE
    return entry * (ONE - reach if qty > ZERO else ONE + reach)


def _near_liquidation(draft: Draft, index: int) -> bool:
    quote, at = draft.quote(index), liquidation_price(draft, index)
    if quote is None or at is None:
        return False
    reach = draft.plan.config.liquidation_distance
    if draft.held(index) > ZERO:
        mark = min(quote.lowest, quote.mark or quote.lowest)
        return mark - at < exact_product(mark, reach)
    mark = max(quote.highest, quote.mark or quote.highest)
    return at - mark < exact_product(mark, reach)


def _ends_at(draft: Draft, phase: Open) -> datetime:
    return phase.since + timedelta(hours=float(draft.plan.config.max_age_hours))


def _rebalance(draft: Draft, phase: Open) -> None:
    """Tell a difference between the legs, and take the larger one back to the smaller, reduce-only."""
    config, found = draft.plan.config, imbalance(draft)
    base = draft.plan.rules[0].base
    long, short = draft.sizes
    if phase.gone_since is not None:
        return
    if found > config.imbalance_alert:
        detail = f"{plain(long)} long and {plain(short)} short"
        draft.alarms.append(Alarm(UNBALANCED, base, "warning", detail))
    else:
        draft.calm.append((UNBALANCED, base))
    larger, smaller = (draft.state.long, draft.state.short) if long > short else (draft.state.short, draft.state.long)
    qty = min(floor_to(abs(long - short), draft.plan.rules[larger].lot_step), closable(draft, larger))
    if found <= config.imbalance_rebalance or qty <= ZERO:
        still(draft, larger)
        still(draft, smaller)
        return
    out = draft.side(larger).out
    if not out.open or out.qty != out.done + qty or draft.retry_due(phase.asked_at):
        tries = phase.tries + 1 if out.open else 0
        take_out(draft, larger, qty, tries)
        draft.feel(replace(phase, asked_at=draft.now, tries=tries))


def close(draft: Draft) -> None:
    """Close what is held, wider from try to try; flat, look for the next pair after a rest."""
    phase, config = draft.state.phase, draft.plan.config
    assert isinstance(phase, Closing)  # noqa: S101  asked of closing pairs alone
    left = {index: closable(draft, index) for index in range(len(draft.plan.rules))}
    _face_what_is_held(draft, left)
    base = draft.plan.rules[0].base
    if not any(left.values()):
        _be_out(draft, phase)
        return
    again = draft.retry_due(phase.asked_at)
    tries = phase.tries + 1 if again else phase.tries
    for index, qty in left.items():
        out = draft.side(index).out
        if qty > ZERO and (again or out.qty != out.done + qty):
            take_out(draft, index, qty, tries)
        elif qty <= ZERO:
            still(draft, index)
    if again:
        draft.feel(replace(phase, asked_at=draft.now, tries=tries))
    if draft.now >= phase.since + timedelta(seconds=config.close_deadline_s):
        held = ", ".join(f"{plain(draft.held(i))} at {draft.plan.rules[i].venue}" for i, qty in left.items() if qty)
        detail = f"{phase.reason}: {held} {base} are open since {phase.since:%H:%M:%S} UTC {draft.state.refusal}"
        draft.alarms.append(Alarm(UNCLOSED, base, "critical", detail.rstrip()))


def _face_what_is_held(draft: Draft, left: Mapping[int, Decimal]) -> None:
    # The way out follows the signed position. A leg has one side for life: where the sign is another, new legs are named.
    signs = {index: draft.held(index) > ZERO for index, qty in left.items() if qty > ZERO}
    if all(draft.side(index).sells == long for index, long in signs.items()):
        return
    sides = tuple(
        replace(side, into=Target(), out=Target(), sells=signs.get(index, side.sells))
        for index, side in enumerate(draft.state.sides)
    )
    draft.change(cycle=draft.state.cycle + 1, sides=sides)


def _be_out(draft: Draft, phase: Closing) -> None:
    base = draft.plan.rules[0].base
    for index in range(len(draft.plan.rules)):
        still(draft, index)
        dust = abs(draft.held(index))
        subject = draft.plan.rules[index].venue
        if dust >= draft.plan.rules[index].lot_step:
            detail = f"{plain(dust)} {base} are too little for an order and stay"
            draft.alarms.append(Alarm(RESIDUE, subject, "warning", detail))
    draft.calm += [(UNCLOSED, base), (UNBALANCED, base)]
    won = draft.balance - draft.state.before
    rest = draft.now + timedelta(hours=float(draft.plan.config.cooldown_hours))
    said = f"{phase.reason}: {plain(won.quantize(Decimal('0.01')))} after fees and funding"
    draft.enter(Scanning(draft.now, rest_until=rest), "OUT", said)


def bands(draft: Draft, phase: Open) -> dict[Market, Wake]:
    """Return the prices inside which no exit that prices decide can hold, by market (RULES 18c).

    What is missing to the nearest bound of profit is shared by both legs: neither may move further than half of it.
    """
    profit, config = draft.profit(phase.before), draft.plan.config
    found: dict[Market, Wake] = {}
    room = None
    if profit is not None:
        room = profit + config.max_loss * config.size_quote
        if config.profit_target is not None:
            room = min(room, config.profit_target * config.size_quote - profit)
    for index in (draft.state.long, draft.state.short):
        rule, price, qty = draft.plan.rules[index], draft.closing_price(index), abs(draft.held(index))
        wake = Wake()
        if price is None:
            wake = Wake(deadline=draft.now)
        elif room is not None and qty > ZERO:
            reach = ratio(max(room, ZERO) / 2, qty * (ONE + max(rule.taker, ZERO)))
            wake = Wake(rule.ceil_price(price - reach), rule.floor_price(price + reach))
        at = liquidation_price(draft, index)
        if at is not None:
            near = config.liquidation_distance
            edge = Wake(low=ratio(at, ONE - near)) if draft.held(index) > ZERO else Wake(high=ratio(at, ONE + near))
            wake = wake.meet(edge)
        found[rule.market] = wake
    ends = _ends_at(draft, phase)
    first = draft.plan.rules[0].market
    found[first] = found.get(first, Wake()).meet(Wake(deadline=ends))
    if phase.gone_since is not None:
        at_s = phase.gone_since + timedelta(seconds=config.confirm_s)
        found[first] = found[first].meet(Wake(deadline=at_s))
    mending = any(draft.side(index).out.open for index in (draft.state.long, draft.state.short))
    if mending or imbalance(draft) > config.imbalance_rebalance:
        found[first] = found[first].meet(Wake(deadline=draft.now))
    return found
