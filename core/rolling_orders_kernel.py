"""What the order layer of the compiled rolling grid sends and calls back (`core.working`, `core.engine.gates`).

Arguments as in `core.rolling_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.grid_book_kernel import send
from core.rolling_book_kernel import buys, send_order
from core.rolling_lots_kernel import is_before, promised_at
from core.rolling_place_kernel import cap_at, lifted

Ints = NDArray[np.int64]


def place_exits(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> bool:
    """Send the exits that have no order, by the names of their legs; whether any was filled at once."""
    before, ladders = s[t.S_FILLS], s[r.R_COLUMNS] > 3 * p[r.PLACES]
    for k in range(p[r.PLACES]):
        i = g[t.BY_RANK, k]
        if g[r.HELD, i] == 0:
            continue
        if g[r.DOES, i] == r.LADDERED:
            _place_rungs(i, price, now, p, s, g, due, log)
            continue
        if g[t.STATE, i] != t.ABSENT or g[t.ORDER, i] >= 0:
            continue
        closing = g[r.DOES, i] == r.CLOSING
        size = g[r.GOAL, i] if closing else g[r.HELD, i]
        if ladders and promised_at(i, i, p, s, g) + size > g[r.HELD, i]:
            continue  # waits for the end of what was called back
        g[r.SIZE, i], g[r.TAKES_BOOK, i] = size, closing
        if closing:
            cap = cap_at(price, g[r.BEGAN, i], now, p)
            _send(i, cap if p[t.SHORT] else lifted(cap, size, price, p), price, now, p, s, g, due, log)
        else:
            _send(i, _behind(i, price, p, g), price, now, p, s, g, due, log)
    return s[t.S_FILLS] > before


def _place_rungs(i: int, price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    before = -1
    while True:
        best = -1
        for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
            if g[r.OWNER, c] != i or g[r.LEFT, c] == 0 or g[t.ORDER, c] >= 0:
                continue
            number = g[r.NUMBER, c]
            later = before < 0 or is_before(before, number)
            if later and (best < 0 or is_before(number, g[r.NUMBER, best])):
                best = c
        if best < 0:
            return
        before = g[r.NUMBER, best]
        if promised_at(i, best, p, s, g) + g[r.LEFT, best] <= g[r.HELD, i]:
            g[r.SIZE, best] = g[r.LEFT, best]
            _send(best, _behind(best, price, p, g), price, now, p, s, g, due, log)


def place_entry(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Send the entry under way where it has no order."""
    n = p[r.PLACES]
    for i in range(n):
        c = n + i
        if g[r.DOES, i] != r.ENTERING or g[t.STATE, c] != t.ABSENT or g[t.ORDER, c] >= 0:
            continue
        g[r.SIZE, c] = g[t.QTY, c]
        sent = _behind(c, price, p, g)
        worth = s[t.S_COST] + max(sent, g[r.WANTED, c]) * g[t.QTY, c]
        for other in range(n, s[r.R_COLUMNS]):
            if g[t.STATE, other] != t.ABSENT and g[r.ENTERS, other]:
                worth += g[t.PRICE, other] * g[r.SIZE, other]
        if worth > p[r.BOUND_QUOTE]:
            # Waits until less is held or called back. A sale that would cross is asked at every price: it may go for less.
            s[r.R_NEXT_AT] = s[r.R_NEXT_AT] if sent == g[r.WANTED, c] else 0
            continue
        _send(c, sent, price, now, p, s, g, due, log)


def _behind(c: int, last: int, p: Ints, g: Ints) -> int:
    # The leg's price, moved behind the touch where it would cross.
    price, tick = g[r.WANTED, c], p[t.TICK]
    if buys(c, p, g):
        if price >= last:
            price = min(price, last // tick * tick)
            price = price if price < last else price - tick
    elif price <= last:
        price = max(price, -(-last // tick) * tick)
        price = price if price > last else price + tick
    return price


def _send(c: int, price: int, last: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    if price <= 0 or price * g[r.SIZE, c] < p[t.MIN_NOTIONAL] or g[r.SIZE, c] < p[t.MIN_QTY]:
        s[t.S_STATUS] = t.BELOW_MINIMUM
    g[t.ATTEMPT, c] = 0 if g[r.FRESH, c] else g[t.ATTEMPT, c] + 1
    number = g[r.NUMBER, c if c >= 3 * p[r.PLACES] else g[r.OWNER, c]]
    g[t.CYCLE, c], g[r.ASKED, c], g[r.FRESH, c] = number, g[r.WANTED, c], 0
    send_order(c, price, last, now, p, s, g, due, log)


def withdraw(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> int:
    """Call back what is no longer wanted; returns 1 where there was any, 2 where it is off the book at once."""
    found, columns = 0, s[r.R_COLUMNS]
    for c in range(columns):
        if g[t.STATE, c] == t.ABSENT or g[t.CANCELING, c] or not _is_wrong(c, price, p, s, g):
            continue
        if p[t.LATENCY_US] == 0:
            g[t.STATE, c] = t.ABSENT
            found = 2
        else:
            g[t.CANCELING, c] = now
            send(c, g[t.ORDER, c], 0, now, p, s, due)
            found = 1
    return found


def _is_wrong(c: int, price: int, p: Ints, s: Ints, g: Ints) -> bool:
    n = p[r.PLACES]
    if 2 * n <= c < 3 * n or (s[t.S_UNWINDS] == 1 and g[r.ENTERS, c] == 0):
        return True
    if g[r.TAKES_BOOK, c]:
        return False
    if c < n and (g[r.DOES, c] >= r.CLOSING or g[r.SIZE, c] != g[r.HELD, c]):
        return True
    if c >= 3 * n and g[r.SIZE, c] != g[r.LEFT, c]:
        return True
    rests = g[r.WANTED, c] < price if buys(c, p, g) else g[r.WANTED, c] > price
    return g[r.WANTED, c] != g[r.ASKED, c] or (g[t.PRICE, c] != g[r.WANTED, c] and rests)
