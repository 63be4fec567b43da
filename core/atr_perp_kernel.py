"""The futures venue of the compiled ATR grid: orders that take the book or expire, the short and its margin.

What `core.simulation` does for capped market orders on a swap. `due` and `news` are this venue's own; the rest as in
`core.atr_book_kernel`. The short's average cost is that of the one lot that hedges open, at the venue and in the books.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core.atr_book_kernel import ask_at, between, bid_at, line_up, next_due, place_of, tell, tell_fill
from core.wide_kernel import HALF, WIDE, less, minus, over, plus, product, times

Ints = NDArray[np.int64]


def sells(leg: int, p: Ints) -> bool:
    """Whether a leg of the hedge sells: those of the first place after the levels."""
    return place_of(leg) == p[a.LEVELS]


def submit_2(leg: int, price: int, now: int, p: Ints, s: Ints, w: Ints, due: Ints, news: Ints) -> None:
    """Take an order of the hedge in. `price` is the last one."""
    if sells(leg, p):
        # A bound: what is refused might just do.
        need_h, need = product(w[a.W_OPRICE, leg] * w[a.W_OQTY, leg], p[a.FINE_VALUE])
        margin_h, margin, _ = over(s[a.S_SHORT_COST], s[a.S_SHORT_COST_LOW], p[a.LEVERAGE])
        locked_h, locked = product(s[a.S_LOCKED_2], p[a.FINE_VALUE])
        free_h, free = minus(s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW], margin_h, margin)
        free_h, free = minus(free_h, free, locked_h, locked)
        if less(free_h, free, need_h + 1, need):
            s[a.S_STATUS] = a.NO_FUNDS
        w[a.W_LOCKED, leg] = w[a.W_OPRICE, leg] * w[a.W_OQTY, leg]
    else:
        w[a.W_LOCKED, leg] = 0
    s[a.S_LOCKED_2] += w[a.W_LOCKED, leg]
    w[a.W_ORDER, leg] = s[a.S_NEXT_ID_2]
    s[a.S_NEXT_ID_2] += 1
    w[a.W_VENUE, leg] = a.SENT
    if p[a.LATENCY_US]:
        s[a.S_DUE_2] = line_up(leg, 1, now + p[a.LATENCY_US], s[a.S_DUE_2], s, w, due)
    else:
        _take(leg, price, now, p, s, w, news)


def recall_2(leg: int, now: int, p: Ints, s: Ints, w: Ints, due: Ints, news: Ints) -> None:
    """Take a cancel in."""
    if p[a.LATENCY_US]:
        s[a.S_DUE_2] = line_up(leg, 0, now + p[a.LATENCY_US], s[a.S_DUE_2], s, w, due)
    else:
        _end(leg, s, w, news)


def move_2(price: int, now: int, p: Ints, s: Ints, w: Ints, due: Ints, news: Ints) -> None:
    """Lead the futures' price along a straight line to `price` at `now`."""
    start, since = s[a.S_PRICE_2], s[a.S_TIME_2]
    while s[a.S_DUE_2] and due[0, a.DUE_US] <= now:
        when, order, places, leg = due[0, a.DUE_US], due[0, a.DUE_ORDER], due[0, a.DUE_PLACES], due[0, a.DUE_LEG]
        s[a.S_DUE_2] = next_due(s[a.S_DUE_2], due)
        if w[a.W_VENUE, leg] == a.AWAY or w[a.W_ORDER, leg] != order:
            continue  # it was over before this move
        here = between(start, since, price, now, when, s[a.S_PRICE_2], p[a.TICK_2], s)
        reach(here, p, s)
        if w[a.W_VENUE, leg] == a.OVER:
            continue
        if places:
            _take(leg, here, max(when, since), p, s, w, news)
        else:
            _end(leg, s, w, news)
    reach(price, p, s)
    s[a.S_TIME_2] = now


def reach(price: int, p: Ints, s: Ints) -> None:
    """Note the price, and whether the short's margin is used up: a liquidation is the core's to play."""
    s[a.S_PRICE_2] = price
    if s[a.S_HELD_2] > 0 and s[a.S_HELD_2] == s[a.S_SHORT]:
        h, low = product(price * s[a.S_HELD_2], p[a.FINE_VALUE])
        h, low = times(h, low, 1005 * p[a.LEVERAGE])
        most_h, most = times(s[a.S_SHORT_COST], s[a.S_SHORT_COST_LOW], 1000 * (p[a.LEVERAGE] + 1))
        if not less(h, low, most_h, most):
            s[a.S_STATUS] = a.LIQUIDATED


def pay(row: int, bar: int, p: Ints, s: Ints, rates: Ints) -> int:
    """Pay the funding that is due when a bar opens, from a row of `rates` on; returns the first row that is not.

    As `core.simpurse.Purse.fund`: on the short that is held, at the last price, floored to 1e-8 quote.
    """
    s[a.S_FUNDED] = 0
    while row < p[a.RATES] and rates[a.R_BAR, row] <= bar:
        if s[a.S_HELD_2] > 0:
            _receive(row, p, s, rates)
        row += 1
    return row


def _receive(row: int, p: Ints, s: Ints, rates: Ints) -> None:
    # What a short receives (< 0: pays) counts as proceeds until it is closed.
    if s[a.S_HELD_2] != s[a.S_SHORT] or s[a.S_OPENED_AT] == a.NEVER:
        s[a.S_STATUS] = a.STRANGE
    h, low = product(s[a.S_PRICE_2] * s[a.S_HELD_2], rates[a.R_RATE, row])
    for _ in range(p[a.RATE_NINES]):
        h, low, _ = over(h, low, HALF)
    h, low, _ = over(h, low, p[a.RATE_REST])
    rates[a.R_PAID, row], s[a.S_FUNDED] = h * WIDE + low, 1
    h, low = product(rates[a.R_PAID, row], 10**10)
    s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW] = plus(s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW], h, low)
    s[a.S_PROCEEDS], s[a.S_PROCEEDS_LOW] = plus(s[a.S_PROCEEDS], s[a.S_PROCEEDS_LOW], h, low)


def _take(leg: int, last: int, now: int, p: Ints, s: Ints, w: Ints, news: Ints) -> None:
    # At the touch and what slips, on the tick that is worse, in full, or not at all where that is beyond the cap.
    tick, cap, qty, num, den = p[a.TICK_2], w[a.W_OPRICE, leg], w[a.W_OQTY, leg], p[a.SLIP_NUM], p[a.SLIP_DEN]
    if sells(leg, p):
        paid = bid_at(last, tick, p) * (den - num) // (den * tick) * tick
    else:
        paid = -(-ask_at(last, tick, p) * (den + num) // (den * tick)) * tick
    if (paid < cap) if sells(leg, p) else (paid > cap):
        _end(leg, s, w, news)
        return
    _unlock(leg, s, w)
    fee = -((-paid * qty * p[a.PAID_TAKER_2]) // p[a.PAID_DEN])
    if sells(leg, p):
        s[a.S_HELD_2] += qty
    else:
        if qty > s[a.S_HELD_2]:
            s[a.S_STATUS] = a.STRANGE
        s[a.S_HELD_2] -= qty
    s[a.S_NEWS_2] = tell_fill(leg, s[a.S_NEWS_2], paid, qty, now, False, fee, s[a.S_NEXT_ID_2], s, news)
    s[a.S_NEXT_ID_2] += 1


def _end(leg: int, s: Ints, w: Ints, news: Ints) -> None:
    _unlock(leg, s, w)
    s[a.S_NEWS_2] = tell(leg, s[a.S_NEWS_2], s, news)


def _unlock(leg: int, s: Ints, w: Ints) -> None:
    s[a.S_LOCKED_2] -= w[a.W_LOCKED, leg]
    w[a.W_VENUE, leg] = a.OVER


def book_2(k: int, p: Ints, s: Ints, w: Ints, news: Ints) -> None:
    """Book a trade of the hedge: a sale opens or enlarges its lot, a purchase closes a part of it."""
    leg, qty = news[k, a.NEWS_LEG], news[k, a.NEWS_QTY]
    value_h, value = product(news[k, a.NEWS_PRICE] * qty, p[a.FINE_VALUE])
    fee_h, fee = product(news[k, a.NEWS_FEE], 10**10)
    cost_h, cost = s[a.S_SHORT_COST], s[a.S_SHORT_COST_LOW]
    s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW] = minus(s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW], fee_h, fee)
    if sells(leg, p):
        if s[a.S_SHORT] > 0 and s[a.S_LOT_CYCLE] != w[a.W_CYCLE, leg]:
            s[a.S_STATUS] = a.STRANGE
        if s[a.S_SHUT] and s[a.S_LOT_CYCLE] == w[a.W_CYCLE, leg]:
            s[a.S_STATUS] = a.STRANGE  # the core keeps one row of a lot and moment, and counts what it closes by those
        s[a.S_LOT_CYCLE] = w[a.W_CYCLE, leg]
        s[a.S_SHORT] += qty
        s[a.S_SHORT_COST], s[a.S_SHORT_COST_LOW] = plus(cost_h, cost, value_h, value)
        return
    if qty > s[a.S_SHORT]:
        s[a.S_STATUS] = a.STRANGE
        return
    part_h, part = share(cost_h, cost, qty, s[a.S_SHORT], s)
    s[a.S_SHORT] -= qty
    s[a.S_SHUT] = s[a.S_SHORT] == 0
    s[a.S_SHORT_COST], s[a.S_SHORT_COST_LOW] = minus(cost_h, cost, part_h, part)
    gain_h, gain = minus(part_h, part, value_h, value)
    s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW] = plus(s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW], gain_h, gain)


def share(h: int, low: int, part: int, whole: int, s: Ints) -> tuple[int, int]:
    """Split a cost by part / whole, floored to 1e-18 as the core does: its product has 28 digits."""
    if part == whole:
        return h, low
    if whole >= 9 * 10**9:
        s[a.S_STATUS] = a.STRANGE
        return h, low
    h, low = times(h, low, part)
    # 18 decimals of the cost and those of the quantity make up to 36 digits; the product keeps 28.
    drop, size = 1, h
    while size >= 10**10:
        drop, size = drop * 10, size // 10
    rest = low % drop
    low -= rest
    if 2 * rest > drop or (2 * rest == drop and low // drop % 2 == 1):
        h, low = plus(h, low, 0, drop)
    h, low, _ = over(h, low, whole)
    return h, low


def value_of(price: int, qty: int, p: Ints) -> tuple[int, int]:
    """Return a price times a quantity, in 1e-18 quote."""
    return product(price * qty, p[a.FINE_VALUE])
