"""Closes inventory at the market, market by market: all of a bot's, or one lot, in capped slices (RULES 7)."""

from datetime import datetime, timedelta
from decimal import Decimal

from core.engine.draft import BotDraft, Draft
from core.engine.world import Mode, Unwind
from core.machine import Wake
from core.market import Instrument, Market, Quote
from core.orders import Kind, Leg, Order, Role, Status, leg_id
from core.values import ONE, ZERO, Side, total
from core.working import NEW, Work, wanted

# What is heard of within the tick: exits about to be cancelled, a market exit of an unwind that this one replaces.
_SOON_OVER = {(Role.EXIT, Status.OPEN), (Role.UNWIND, Status.PENDING)}
# How long a cancel may be on its way before what is free no longer waits for it.
CANCEL_WAIT_S = 2.0


def start_unwind(draft: Draft, bot: BotDraft, reason: str) -> None:
    """Begin to close everything that the bot holds."""
    bot.unwind = Unwind(reason, draft.now, bot.episodes)
    bot.episodes += 1
    bot.dirty.update(bot.works)


def tend_unwind(draft: Draft, bot: BotDraft) -> dict[Market, Wake]:
    """Say for every market of the bot what is still to be closed; end the unwind once nothing is.

    Returns when cancels on their way are no longer waited for.
    """
    unwind = bot.unwind
    if unwind is None:
        if bot.mode is Mode.FLATTENING:
            bot.mode, bot.mode_reason = Mode.HALTED, bot.mode_reason.replace("flattened", "halted after flatten", 1)
        return {}
    names = {leg_id(Role.UNWIND, index, unwind.episode) for index in range(len(bot.spec.instruments))}
    _drop_other_unwinds(bot, names)
    wakes: dict[Market, Wake] = {}
    open_markets = [_tend_market(draft, bot, unwind, index, wakes) for index in range(len(bot.spec.instruments))]
    if not any(open_markets):
        _end(draft, bot, unwind, names)
    return wakes


def _tend_market(draft: Draft, bot: BotDraft, unwind: Unwind, index: int, wakes: dict[Market, Wake]) -> bool:
    """Work one market's part; whether anything is left of it. `wakes` learns until when cancels are waited for."""
    instrument = bot.spec.instruments[index]
    name = leg_id(Role.UNWIND, index, unwind.episode)
    work = bot.works.get(name, NEW)
    held = _held(bot, unwind, instrument)
    busy = work.order is not None or any(
        w.order is not None and _of(w.order, instrument) and _stands_in(w.order, unwind) for w in bot.works.values()
    )
    quote = draft.quotes.get(instrument.market)
    if quote is None:
        return busy or held != ZERO
    left = instrument.sellable(quote.last, abs(held))
    if left == ZERO and not busy:
        return False
    soon_over, until = _soon_over(draft, bot, unwind, instrument)
    if until is not None:
        wakes[instrument.market] = Wake(deadline=until)
    part = left if soon_over else _free_part(bot, instrument, quote, left)
    bot.put(name, wanted(work, _leg(bot, instrument, name, held, part + work.executed, quote, work)))
    bot.dirty.add(name)
    return True


def _soon_over(draft: Draft, bot: BotDraft, unwind: Unwind, instrument: Instrument) -> tuple[bool, datetime | None]:
    """Whether exits will be over in a moment, so that one order can close all; and when that has lasted long enough.

    Exits that rest are cancelled first. The answer to a cancel takes its time; one that was said not to come, or did not
    within `CANCEL_WAIT_S`, may be long in coming.
    """
    soon, until = False, None
    for name, work in bot.works.items():
        order = work.order
        if order is None or not _of(order, instrument) or not _stands_in(order, unwind):
            continue
        soon = soon or (order.role, order.status) in _SOON_OVER
        if order.role is Role.EXIT and order.status is Status.CANCELING and name not in bot.unanswered:
            end = order.updated_at + timedelta(seconds=CANCEL_WAIT_S)
            if draft.now < end:
                soon, until = True, end if until is None else max(until, end)
    return soon, until


def _free_part(bot: BotDraft, instrument: Instrument, quote: Quote, left: Decimal) -> Decimal:
    """Return what is free of `left` where an exit's end may be long in coming, or all of it where nothing is.

    Such an exit may still sell its own part; the rest does not wait for it (RULES 7).
    """
    free = abs(bot.inventory_at(instrument.market)) - bot.live_at(instrument.market).exit_qty
    return instrument.sellable(quote.last, min(left, max(free, ZERO))) or left


def _end(draft: Draft, bot: BotDraft, unwind: Unwind, names: set[str]) -> None:
    left = total(abs(_held(bot, unwind, instrument)) for instrument in bot.spec.instruments)
    for name in names:
        bot.drop(name)
        bot.dirty.discard(name)
        bot.restless.discard(name)
    bot.unwind = None
    draft.note(bot.spec.bot_id, "unwind", "DONE", f"{unwind.reason}: {left} left below the exchange's minimum")
    if bot.mode is Mode.FLATTENING:
        bot.mode, bot.mode_reason = Mode.HALTED, f"halted after flatten at {draft.now:%Y-%m-%d %H:%M:%S} UTC"
    bot.dirty.update(bot.works)


def _held(bot: BotDraft, unwind: Unwind, instrument: Instrument) -> Decimal:
    if not unwind.lot_id:
        return bot.inventory_at(instrument.market)
    lot = bot.lots.get(unwind.lot_id)
    if lot is None or (lot.venue, lot.symbol) != instrument.market:
        return ZERO
    return max(lot.qty - _promised(bot, unwind), ZERO) * lot.side.sign


def _drop_other_unwinds(bot: BotDraft, names: set[str]) -> None:
    # An unwind that another one replaced must not go on: it would close what is bought after both are over.
    for other, work in list(bot.works.items()):
        if other[0] == Role.UNWIND.value and other not in names and work.leg is not None:
            bot.put(other, wanted(work, None))
            bot.dirty.add(other)


def _promised(bot: BotDraft, unwind: Unwind) -> Decimal:
    # What the lot's own exit may still sell of it, or has sold though its trades are still to come.
    orders = [work.order for work in bot.works.values() if work.order is not None]
    return total(order.unbooked for order in orders if order.role is Role.EXIT and _stands_in(order, unwind))


def _of(order: Order, instrument: Instrument) -> bool:
    return (order.venue, order.symbol) == instrument.market


def _stands_in(order: Order, unwind: Unwind) -> bool:
    # Whether an order may still change what there is to unwind; a trade still to come counts as much as a live order.
    # A place may close its lot by several exits, each with a number of its own.
    return not unwind.lot_id or order.role is Role.UNWIND or _place_of(order.leg_id[1:]) == _place_of(unwind.lot_id)


def _place_of(lot_id: str) -> str:
    return lot_id.partition("-")[0]


def _leg(
    bot: BotDraft, instrument: Instrument, name: str, held: Decimal, qty: Decimal, quote: Quote, work: Work
) -> Leg:
    side = Side.SELL if held > ZERO else Side.BUY
    # An empty book must not fill at any price: the cap doubles with every slice that did not fill.
    slip = min(bot.spec.slippage * 2 ** min(work.next_attempt, 6), Decimal("0.5"))
    cap = (
        instrument.floor_price(quote.bid * (ONE - slip))
        if side is Side.SELL
        else instrument.ceil_price(quote.ask * (ONE + slip))
    )
    return Leg(
        leg_id=name, venue=instrument.venue, symbol=instrument.symbol, side=side, role=Role.UNWIND, kind=Kind.MARKET,
        qty=qty, price=cap, reduce_only=instrument.swap,
    )  # fmt: skip
