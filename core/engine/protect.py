"""Keeps one stop of each swap position resting at the exchange, for the time when this process is away (RULES 5).

It is reduce-only and triggered on mark. It covers the bot's own position and what its resting entries may still add on
the way to the stop, for they fill while nobody is there to enlarge it; entries beyond the stop do not rest, for they would
buy anew after it. When its size or place changes, the new stop is placed before the old one is cancelled, so that no moment
is bare. None resting for ten seconds is an incident and holds entries back. A stop that executed, or that could not be
placed because the price is past it already, latches the bot.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from core.engine.draft import BotDraft, Draft
from core.engine.unwind import start_unwind, tend_unwind
from core.engine.world import BotSpec, Mode
from core.machine import Wake
from core.market import Instrument, Market
from core.orders import Kind, Leg, Order, Role, Status, leg_id
from core.values import ONE, ZERO, Side, plain, ratio
from core.working import NEW, Work, wanted

# A position may be bare for this long: the time of a resize with one lost answer.
BARE = timedelta(seconds=10)
UNPROTECTED = "unprotected"
STOPPED = "venue_stop"


@dataclass(frozen=True, slots=True)
class _Wish:
    """The stop that a position needs: which way, how much, where."""

    side: Side
    qty: Decimal
    price: Decimal


def tend_stops(draft: Draft, bot: BotDraft) -> dict[Market, Wake]:
    """Say which stops are wanted now; returns what would make a bare position an incident.

    Must run before the legs are worked: after a restart a resting stop has no leg, and would be withdrawn.
    """
    wakes: dict[Market, Wake] = {}
    if not has_stop(bot.spec):
        return wakes
    for index, instrument in enumerate(bot.spec.instruments):
        if instrument.swap:
            deadline = _tend(draft, bot, instrument, index)
            if deadline is not None:
                wakes[instrument.market] = deadline
    return wakes


def _tend(draft: Draft, bot: BotDraft, instrument: Instrument, index: int) -> Wake | None:
    ours = {name: work for name, work in bot.works.items() if name.startswith(f"{Role.STOP.value}{index}-")}
    if any(work.executed > ZERO for work in ours.values()):
        _latch(draft, bot, f"its stop at {instrument.venue} executed; exits only until control release")
    stops = {name: work for name, work in ours.items() if work.leg is not None or work.order is not None}
    wish = _wish(bot, instrument)
    if wish is None:
        for name, work in stops.items():
            _want(bot, name, work, None)
        return _protected(draft, bot, instrument)
    fitting = next((name for name, work in stops.items() if _fits(work, wish)), None)
    if not any(_resting(work.order) for work in stops.values()):
        _close_if_passed(draft, bot, instrument, wish)
    if fitting is None:
        fitting = leg_id(Role.STOP, index, bot.episodes)
        bot.episodes += 1
        stops[fitting] = NEW
        bot.dirty.update(bot.works)  # entries may lie beyond it now
    leg = _leg(fitting, instrument, wish)
    _want(bot, fitting, stops[fitting], leg)
    resting = _resting(stops[fitting].order)
    for name, work in stops.items():
        if name != fitting:
            old = work.order if not resting and _resting(work.order) else None
            _want(bot, name, work, None if old is None else _leg_of(old))
    if resting:
        return _protected(draft, bot, instrument)
    return _bare(draft, bot, instrument).meet(Wake(low=wish.price) if wish.side is Side.SELL else Wake(high=wish.price))


def _wish(bot: BotDraft, instrument: Instrument) -> _Wish | None:
    held = bot.inventory_at(instrument.market)
    qty = instrument.floor_qty(abs(held))
    if qty < instrument.min_qty or qty <= ZERO:
        return None
    long = held > ZERO
    price = bot.spec.venue_stop_price
    if price is None:
        lots = [lot for lot in bot.lots.values() if (lot.venue, lot.symbol) == instrument.market]
        net_cost = sum((lot.cost * lot.side.sign for lot in lots), ZERO)
        entry = ratio(net_cost, held)
        fraction = bot.spec.venue_stop or ZERO
        price = entry * (ONE - fraction if long else ONE + fraction)
    # Rounded towards the price: early, never late.
    price = instrument.ceil_price(price) if long else instrument.floor_price(price)
    side = Side.SELL if long else Side.BUY
    return _Wish(side, qty + _coming(bot, instrument, side, price), price)


def _coming(bot: BotDraft, instrument: Instrument, side: Side, stop: Decimal) -> Decimal:
    # What entries that rest before the stop may still add to the position.
    orders = [work.order for work in bot.works.values() if work.order is not None and work.order.role is Role.ENTRY]
    found = ZERO
    for order in orders:
        mine = (order.venue, order.symbol) == instrument.market and order.side is not side
        if mine and (order.price is None or not _beyond(order.price, side, stop)):
            found += order.remaining
    return instrument.floor_qty(found)


def _beyond(price: Decimal, side: Side, stop: Decimal) -> bool:
    return price <= stop if side is Side.SELL else price >= stop


def beyond_stop(bot: BotDraft, leg: Leg) -> str | None:
    """Say why an entry may not rest: it lies beyond the stop of the position that is open. None where it may."""
    if leg.role is not Role.ENTRY or leg.price is None or not has_stop(bot.spec):
        return None
    instrument = bot.spec.rule((leg.venue, leg.symbol))
    wish = _wish(bot, instrument) if instrument.swap else None
    if wish is None or leg.side is wish.side or not _beyond(leg.price, wish.side, wish.price):
        return None
    return f"beyond the stop that rests at {plain(wish.price)}"


def has_stop(spec: BotSpec) -> bool:
    """Whether a bot's swap positions have a stop."""
    return spec.venue_stop is not None or spec.venue_stop_price is not None


def _fits(work: Work, wish: _Wish) -> bool:
    if work.order is not None:
        order = work.order
        return order.live and order.status is not Status.CANCELING and (
            (order.side, order.qty - order.filled_qty, order.stop_price) == (wish.side, wish.qty, wish.price)
        )  # fmt: skip
    leg = work.leg
    return leg is not None and (leg.side, leg.qty - work.done, leg.stop_price) == (wish.side, wish.qty, wish.price)


def _leg(name: str, instrument: Instrument, wish: _Wish) -> Leg:
    return Leg(
        leg_id=name, venue=instrument.venue, symbol=instrument.symbol, side=wish.side, role=Role.STOP,
        kind=Kind.STOP_MARKET, qty=wish.qty, price=None, stop_price=wish.price, reduce_only=True,
    )  # fmt: skip


def _leg_of(order: Order) -> Leg:
    return Leg(
        leg_id=order.leg_id, venue=order.venue, symbol=order.symbol, side=order.side, role=Role.STOP,
        kind=Kind.STOP_MARKET, qty=order.qty, price=None, stop_price=order.stop_price, reduce_only=True,
    )  # fmt: skip


def _want(bot: BotDraft, name: str, work: Work, leg: Leg | None) -> None:
    if leg is not None and work.order is not None:
        leg = _leg_of(work.order)
    if work.leg != leg or name not in bot.works:
        bot.put(name, wanted(work, leg))
    bot.dirty.add(name)


def _resting(order: Order | None) -> bool:
    return order is not None and order.status is Status.OPEN


def _close_if_passed(draft: Draft, bot: BotDraft, instrument: Instrument, wish: _Wish) -> None:
    # No exchange takes a stop that would fire at once. Where none rests and the price is past it, it is its time.
    quote = draft.quotes.get(instrument.market)
    if quote is None or (bot.unwind is not None and not bot.unwind.lot_id):
        return
    passed = quote.last <= wish.price if wish.side is Side.SELL else quote.last >= wish.price
    if passed:
        reason = f"price {plain(quote.last)} is past the venue stop at {plain(wish.price)}"
        _latch(draft, bot, f"{reason}; exits only until control release")
        start_unwind(draft, bot, reason)
        tend_unwind(draft, bot)


def _latch(draft: Draft, bot: BotDraft, reason: str) -> None:
    draft.alarm(STOPPED, bot.spec.bot_id, "bot", "critical", reason)
    if bot.mode in {Mode.RUN, Mode.PAUSED}:
        bot.mode, bot.mode_reason = Mode.TRIPPED, reason
        bot.dirty.update(bot.works)


def _bare(draft: Draft, bot: BotDraft, instrument: Instrument) -> Wake:
    since = draft.suspect_since.setdefault((bot.spec.bot_id, f"stop of {instrument.symbol}"), draft.now)
    if draft.now < since + BARE:
        return Wake(deadline=since + BARE)
    detail = f"{instrument.symbol}: no stop covers the position at {instrument.venue} since {since:%H:%M:%S} UTC"
    draft.alarm(UNPROTECTED, bot.spec.bot_id, instrument.symbol, "critical", detail)
    draft.blocked[bot.spec.bot_id] = detail.partition(" since")[0]
    return Wake(deadline=draft.now)


def _protected(draft: Draft, bot: BotDraft, instrument: Instrument) -> None:
    draft.suspect_since.pop((bot.spec.bot_id, f"stop of {instrument.symbol}"), None)
    key = f"{UNPROTECTED}/{bot.spec.bot_id}/{instrument.symbol}"
    if key in draft.incidents:
        draft.all_clear(UNPROTECTED, bot.spec.bot_id, instrument.symbol)
        if draft.blocked.pop(bot.spec.bot_id, None) is not None:
            draft.room_freed = True
