"""How fills change places: lots opened, added to, taken off, completed. Rule: what a place holds changes here alone."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.machine import LegFilled, LotCut
from core.machines.rolling_grid.config import RollingGridPlan
from core.machines.rolling_grid.draft import Draft, lot_name
from core.machines.rolling_grid.state import (
    Closing,
    Entering,
    Flattening,
    Free,
    Holding,
    Laddered,
    Leaving,
    Lot,
    Offered,
    Rung,
)
from core.stuck import stuck_beyond
from core.values import AMOUNT_PLACES, ONE, ZERO, Side, exact_product, floor_to, plain, ratio

STOP_LOSS = "STOP_LOSS"
# The incident of a stop loss that is not over in its time.
STOP_LATE = "stop_loss_late"
# The incident of a lot whose recovery takes too long.
STUCK = "stuck_lot"


def lot_at(plan: RollingGridPlan, cycle: int, held: Decimal, entry: Decimal, since: datetime) -> Lot:
    """Make a lot: its target rounded away from the entry, its stop and its stuck distance exact."""
    long = plan.side is Side.BUY
    target, stop, stuck = marks(plan, entry)
    assert long is (target >= entry)  # noqa: S101  the plan's profit is above its fees
    return Lot(cycle, held, entry, since, target, stop, stuck, opened=held)


def marks(plan: RollingGridPlan, entry: Decimal) -> tuple[Decimal, Decimal | None, Decimal]:
    """Return a lot's target, stop and stuck prices for a mean entry."""
    if plan.side is Side.BUY:
        target = plan.instrument.ceil_price(exact_product(entry, ONE + plan.take_profit))
        stop = None if plan.stop_loss is None else exact_product(entry, ONE - plan.stop_loss)
    else:
        target = plan.instrument.floor_price(exact_product(entry, ONE - plan.take_profit))
        stop = None if plan.stop_loss is None else exact_product(entry, ONE + plan.stop_loss)
    return target, stop, stuck_beyond(target, plan.config.stuck_distance, plan.side)


def entered(draft: Draft, index: int, cycle: int, event: LegFilled) -> None:
    """Take in a fill of an entry, a late one of an earlier number included."""
    slot, plan = draft.slots[index], draft.plan
    match slot:
        case Free(used=used, dust=dust, entry=entry):
            # The fill outran the withdrawal of its order: hold what it brought, under an exit number of its own.
            held, mean = _mixed(dust, entry, event)
            if held <= ZERO:
                return
            lot = lot_at(plan, cycle, held, mean, event.ts)
            draft.slots[index] = Holding(used + 1, lot, Offered(used + 1))
        case Entering():
            lot = _grown(plan, slot.lot or _dust_lot(slot, event.ts), event, slot.cycle)
            bought = slot.bought + (event.qty if cycle == slot.cycle else ZERO)
            draft.slots[index] = replace(slot, lot=lot, bought=bought)
            if bought >= slot.qty:
                draft.slots[index] = Holding(slot.used, lot, Offered(slot.cycle, slot.sold))
                log_open(draft, index, lot)
        case Holding():
            lot = _grown(plan, slot.lot, event, slot.lot.cycle)
            draft.slots[index] = replace(
                slot, lot=lot, leaving=_more(slot.leaving, plan.instrument.floor_qty(event.net))
            )
    settle(draft, index)


def parted(draft: Draft, index: int, cycle: int, event: LegFilled | LotCut) -> None:
    """Take in that some of a place's lots left: by one of its own exits (number `cycle`), or by another order."""
    slot = draft.slots[index]
    own = isinstance(event, LegFilled)
    price = event.price if own else draft.view.quote.last
    given, sold = (event.net, event.qty) if own else (event.qty, ZERO)
    match slot:
        case Free():
            draft.slots[index] = replace(slot, dust=max(slot.dust - given, ZERO))
        case Entering():
            if slot.lot is None:
                draft.slots[index] = replace(slot, dust=max(slot.dust - given, ZERO))
            else:
                mine = sold if cycle == slot.cycle else ZERO
                draft.slots[index] = replace(slot, lot=_shrunk(slot.lot, given, price), sold=slot.sold + mine)
        case Holding():
            leaving = _sold(slot.leaving, cycle, sold)
            episode = slot.episode
            if episode is not None and not episode.outcome:
                loss = exact_product(slot.lot.entry - price, given) * draft.side.sign
                episode = episode.filled(given, loss, event.ts)
                stopped = isinstance(slot.leaving, Closing) and slot.leaving.word == STOP_LOSS
                if not stopped and not isinstance(draft.phase, Flattening):
                    draft.spent += max(loss, ZERO)
            draft.slots[index] = replace(slot, lot=_shrunk(slot.lot, given, price), leaving=leaving, episode=episode)
    settle(draft, index, cut=not own)


def settle(draft: Draft, index: int, *, cut: bool = False) -> None:
    """Fit a place's exits to what it holds; a lot that is gone frees its place once no hedge stands beside it.

    `cut`: others closed it.
    """
    slot = draft.slots[index]
    if not isinstance(slot, Holding):
        return
    whole = draft.whole(slot.lot)
    if whole > ZERO:
        draft.slots[index] = replace(slot, used=_used(slot), leaving=_fitted(slot, whole))
        return
    if slot.hedge is not None:
        if slot.hedge.wanted:
            draft.slots[index] = replace(slot, hedge=replace(slot.hedge, wanted=False))
        return
    _complete(draft, index, slot, cut=cut)


def shed(draft: Draft, index: int, slot: Holding) -> None:
    """Free a place whose rest no exchange would take; the next lot there takes it in."""
    if slot.hedge is not None:
        draft.slots[index] = replace(slot, hedge=replace(slot.hedge, wanted=False))
        return
    draft.note(
        f"lot {lot_name(index, slot.lot)}", "DUST",
        f"{plain(slot.lot.held)} is below the exchange's minimum; the next lot of its place takes it in",
    )  # fmt: skip
    _complete(draft, index, slot)


def _complete(draft: Draft, index: int, slot: Holding, *, cut: bool = False) -> None:
    lot, name = slot.lot, lot_name(index, slot.lot)
    _log_close(draft, name, lot)
    episode = slot.episode
    if episode is not None and not episode.outcome:
        episode = episode.ended(_outcome(draft, slot), draft.now)
        draft.note(
            f"lot {name}", "RECOVERY_END",
            f"{episode.mode}: {episode.outcome} after {episode.fills} fills, cost {plain(episode.cost)}",
        )  # fmt: skip
    if episode is not None and episode.escalated:
        draft.calm.append((STUCK, f"lot {name}"))
    if cut or isinstance(slot.leaving, Closing):
        draft.calm.append((STOP_LATE, f"lot {name}"))
    draft.slots[index] = Free(slot.used, lot.held, lot.entry if lot.held > ZERO else ZERO, episode)
    # A lot that reached an exit makes room at once; after one that was closed otherwise the cooldown begins anew.
    draft.freed = not (cut or isinstance(slot.leaving, Closing))
    draft.opened_at = draft.opened_at if draft.freed else draft.now


def _outcome(draft: Draft, slot: Holding) -> str:
    if isinstance(draft.phase, Flattening):
        return "flattened"
    if isinstance(slot.leaving, Closing) and slot.leaving.word == STOP_LOSS:
        return "stopped"
    episode = slot.episode
    return "recovered" if episode is not None and episode.cost <= ZERO else "closed"


def log_open(draft: Draft, index: int, lot: Lot) -> None:
    """Write document 002's line of an entry that is over."""
    draft.note(
        f"lot {lot_name(index, lot)}", "GRID_TRADE",
        f"Action=open | Size={plain(lot.held)} | Entry={plain(lot.entry)} | Exit={plain(lot.target)}",
    )  # fmt: skip


def _log_close(draft: Draft, name: str, lot: Lot) -> None:
    # Document 002's line; profit before fees. What an unwind took off counts at the price of that moment.
    if lot.given <= ZERO:
        return
    exit_price = ratio(lot.proceeds, lot.given).quantize(draft.plan.instrument.tick_size)
    profit = (lot.proceeds - exact_product(lot.entry, lot.given)) * draft.side.sign
    seconds = int((draft.now - lot.since).total_seconds())
    draft.note(
        f"lot {name}", "GRID_TRADE",
        f"Action=close | Size={plain(lot.given)} | Entry={plain(lot.entry)} | Exit={plain(exit_price)} | "
        f"PnL={plain(profit)} | Duration={seconds}s",
    )  # fmt: skip


def _dust_lot(slot: Entering, ts: datetime) -> Lot | None:
    if slot.dust <= ZERO:
        return None
    return Lot(slot.cycle, slot.dust, slot.dust_entry, ts, ZERO, None, ZERO, opened=slot.dust)


def _grown(plan: RollingGridPlan, lot: Lot | None, event: LegFilled, cycle: int) -> Lot:
    if lot is None:
        return lot_at(plan, cycle, event.net, event.price, event.ts)
    held, entry = _mixed(lot.held, lot.entry, event)
    target, stop, stuck = marks(plan, entry)
    return replace(lot, held=held, entry=entry, target=target, stop=stop, stuck=stuck, opened=lot.opened + event.net)


def _mixed(held: Decimal, entry: Decimal, event: LegFilled) -> tuple[Decimal, Decimal]:
    if held <= ZERO:
        return event.net, event.price
    cost = exact_product(entry, held) + exact_product(event.price, event.net)
    return held + event.net, floor_to(ratio(cost, held + event.net), AMOUNT_PLACES)


def _shrunk(lot: Lot, given: Decimal, price: Decimal) -> Lot:
    return replace(
        lot,
        held=max(lot.held - given, ZERO),
        given=lot.given + given,
        proceeds=lot.proceeds + exact_product(price, given),
    )


def _sold(leaving: Leaving, cycle: int, qty: Decimal) -> Leaving:
    match leaving:
        case Laddered(rungs=rungs):
            return Laddered(tuple(replace(r, sold=r.sold + qty) if r.cycle == cycle else r for r in rungs))
        case Offered() | Closing():
            return replace(leaving, sold=leaving.sold + qty) if leaving.cycle == cycle else leaving


def _more(leaving: Leaving, qty: Decimal) -> Leaving:
    return replace(leaving, goal=leaving.goal + qty) if isinstance(leaving, Closing) else leaving


def _used(slot: Holding) -> int:
    # An exit that has done its part, while something is left, is followed by one with a number of its own.
    leaving = slot.leaving
    over = isinstance(leaving, Closing) and leaving.sold >= leaving.goal
    empty = isinstance(leaving, Laddered) and all(rung.sold >= rung.qty for rung in leaving.rungs)
    return slot.used + 1 if over or empty else slot.used


def _fitted(slot: Holding, whole: Decimal) -> Leaving:
    leaving = slot.leaving
    if _used(slot) > slot.used:
        return Offered(_used(slot))
    match leaving:
        case Offered():
            return leaving
        case Closing(goal=goal, sold=sold):
            return leaving if goal <= sold + whole else replace(leaving, goal=sold + whole)
        case Laddered(rungs=rungs):
            return Laddered(_fitted_rungs(rungs, whole))


def _fitted_rungs(rungs: tuple[Rung, ...], whole: Decimal) -> tuple[Rung, ...]:
    # Less is held than the rungs would close: the farthest give way. More: the farthest takes it. One whose order was filled
    # before it could be made smaller has sold more than it should: it closes nothing more, and the others give way for it.
    left = sum((rung.left for rung in rungs), ZERO)
    if left == whole:
        return rungs
    if left < whole:
        last = rungs[-1]
        return (*rungs[:-1], replace(last, qty=max(last.qty, last.sold) + whole - left))
    over, kept = left - whole, list(rungs)
    for position in range(len(kept) - 1, -1, -1):
        cut = min(over, kept[position].left)
        kept[position] = replace(kept[position], qty=kept[position].qty - cut)
        over -= cut
    return tuple(kept)
