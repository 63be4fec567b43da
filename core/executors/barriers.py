"""The triple barrier: stop loss, trailing stop, take profit and time limit of a position against its average entry.

With average entry E, open quantity q, fees f paid on what is open and sign s (+1 long, -1 short), profit at price P is

    p(P) = (s (P - E) q - f) / (E q)

a fraction of cost after fees, without leverage. The price is a long's bid and a short's ask (`touch`), or as configured;
the extremes since the last look count, not one sample (RULES 9e). Barriers hold from the first partial fill on and are
tested in this order: stop loss, trailing stop, take profit, time limit.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.config import TripleBarrier
from core.executors.life import CloseType
from core.machine import View, Wake
from core.market import Instrument
from core.values import ONE, exact_product, plain, ratio


@dataclass(frozen=True, slots=True)
class Stake:
    """What barriers watch: open base (> 0), its cost at the average entry and the fees paid on it in quote, which side."""

    qty: Decimal
    cost: Decimal
    fees: Decimal
    long: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The prices since the last look at which a stake is worth least and most."""

    worst: Decimal
    best: Decimal


@dataclass(frozen=True, slots=True)
class Hit:
    """A barrier that fired, with its numbers."""

    word: CloseType
    reason: str


def seen_by(barriers: TripleBarrier, instrument: Instrument, view: View, *, long: bool) -> Seen:
    """Return the extremes of the configured reference price since the last look."""
    quote = view.quote
    match source_of(barriers, instrument, view):
        case "mark":
            prices = [quote.mark or quote.last]
        case "last":
            prices = [p for p in (quote.last, quote.low, quote.high) if p is not None]
        case "mid":
            prices = [quote.mid]
        case _:
            touch = quote.bid if long else quote.ask
            prices = [p for p in (touch, quote.low, quote.high) if p is not None]
    return Seen(min(prices), max(prices)) if long else Seen(max(prices), min(prices))


def source_of(barriers: TripleBarrier, instrument: Instrument, view: View) -> str:
    """Name the reference price: mark on swaps where the venue tells it, else the touch, unless configured."""
    source = barriers.price_source or ("mark" if instrument.swap else "touch")
    return "touch" if source == "mark" and view.quote.mark is None else source


def profit_fraction(stake: Stake, price: Decimal) -> Decimal:
    """Return p(price) of the header."""
    value = exact_product(price, stake.qty)
    gross = value - stake.cost if stake.long else stake.cost - value
    return ratio(gross - stake.fees, stake.cost)


def price_at(stake: Stake, profit: Decimal) -> Decimal:
    """Return the price at which p is `profit`, to 60 digits."""
    if stake.long:
        return ratio(stake.cost * (ONE + profit) + stake.fees, stake.qty)
    return ratio(stake.cost * (ONE - profit) - stake.fees, stake.qty)


def peak_of(barriers: TripleBarrier, peak: Decimal | None, stake: Stake | None, seen: Seen) -> Decimal | None:
    """Return the best profit since the trailing stop was armed; None where it is not, or nothing is held."""
    trailing = barriers.trailing_stop
    if trailing is None or stake is None:
        return None
    best = profit_fraction(stake, seen.best)
    if peak is None:
        return best if best >= trailing.activation else None
    return max(peak, best)


def barrier_hit(
    barriers: TripleBarrier,
    stake: Stake | None,
    seen: Seen,
    peak: Decimal | None,
    now: datetime,
    ends_at: datetime | None,
) -> Hit | None:
    """Return the first barrier that fires. `peak` includes what was seen now; `ends_at` is the time limit's moment."""
    if stake is not None:
        worst, best = profit_fraction(stake, seen.worst), profit_fraction(stake, seen.best)
        if barriers.stop_loss is not None and worst <= -barriers.stop_loss:
            return Hit(CloseType.STOP_LOSS, f"lost {_percent(-worst)} of its cost at {plain(seen.worst)}")
        trailing = barriers.trailing_stop
        if trailing is not None and peak is not None and worst <= peak - trailing.delta:
            return Hit(CloseType.TRAILING_STOP, f"profit fell from {_percent(peak)} to {_percent(worst)} of cost")
        if takes_at_market(barriers) and barriers.take_profit is not None and best >= barriers.take_profit:
            return Hit(CloseType.TAKE_PROFIT, f"won {_percent(best)} of its cost at {plain(seen.best)}")
    if ends_at is not None and now >= ends_at:
        return Hit(CloseType.TIME_LIMIT, f"its time was over at {ends_at:%Y-%m-%d %H:%M:%S} UTC")
    return None


def takes_at_market(barriers: TripleBarrier) -> bool:
    """Whether the take profit is a barrier that sells at the market, and not an order that rests."""
    return barriers.take_profit_order_type in {None, "MARKET"}


def resting_take_profit(barriers: TripleBarrier, instrument: Instrument, stake: Stake) -> Decimal | None:
    """Return where the take profit rests: gross from the average entry, rounded away from it; None where none rests."""
    if takes_at_market(barriers) or barriers.take_profit is None:
        return None
    entry = ratio(stake.cost, stake.qty)
    if stake.long:
        return instrument.ceil_price(entry * (ONE + barriers.take_profit))
    return instrument.floor_price(entry * (ONE - barriers.take_profit))


def barrier_wake(
    barriers: TripleBarrier,
    stake: Stake | None,
    instrument: Instrument,
    view: View,
    peak: Decimal | None,
    ends_at: datetime | None,
) -> Wake:
    """Return the band and deadline inside which no barrier can fire, rounded to be rather too narrow (RULES 18c)."""
    wake = Wake(deadline=ends_at)
    if stake is None:
        return wake
    losses = [] if barriers.stop_loss is None else [-barriers.stop_loss]
    gains: list[Decimal] = []
    if takes_at_market(barriers) and barriers.take_profit is not None:
        gains.append(barriers.take_profit)
    trailing = barriers.trailing_stop
    if trailing is not None:
        gains.append(trailing.activation if peak is None else peak)
        if peak is not None:
            losses.append(peak - trailing.delta)
    if (losses or gains) and source_of(barriers, instrument, view) in {"mark", "last"}:
        return Wake(deadline=view.now)  # no band over the touch bounds these prices
    for profit in losses:
        wake = wake.meet(_towards(price_at(stake, profit), instrument, view, up=not stake.long))
    for profit in gains:
        wake = wake.meet(_towards(price_at(stake, profit), instrument, view, up=stake.long))
    return wake


def _towards(price: Decimal, instrument: Instrument, view: View, *, up: bool) -> Wake:
    # Rounded towards the present price: early, never late. A band that the price is past already wakes at once.
    near = instrument.floor_price(price) if price > view.quote.last else instrument.ceil_price(price)
    return Wake(high=near) if up else Wake(low=near)


def _percent(fraction: Decimal) -> str:
    return f"{plain((fraction * 100).quantize(Decimal('0.01')))} %"
