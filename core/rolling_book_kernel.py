"""The venue's half of the compiled rolling grid: its orders on their way and in the book, the path between two points, fills.

What `core.simulation` does for one symbol and one order a column. Arguments as in `core.rolling_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.grid_book_kernel import between, send

Ints = NDArray[np.int64]


def move(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Lead the price along a straight line to `price` at `now`, filling and activating what it meets."""
    start, since = s[t.S_PRICE], s[t.S_TIME]
    while s[t.S_DUE_FROM] < s[t.S_DUE_TO] and due[s[t.S_DUE_FROM], t.DUE_US] <= now:
        k = s[t.S_DUE_FROM]
        s[t.S_DUE_FROM] = k + 1
        c = due[k, t.DUE_LEVEL]
        if c >= 0 and g[t.ORDER, c] != due[k, t.DUE_ORDER]:
            continue  # it was over before this move
        here = between(start, since, price, now, due[k, t.DUE_US], p, s)
        at = max(due[k, t.DUE_US], since)
        _sweep(here, at, p, s, g, log)
        if c < 0:
            activate_closing(here, at, p, s, g, log)
            continue
        if g[t.STATE, c] == t.ABSENT:
            continue
        if due[k, t.DUE_PLACES]:
            activate(c, here, at, p, s, g, log)
        else:
            g[t.STATE, c] = t.ABSENT
    if s[t.S_DUE_FROM] == s[t.S_DUE_TO]:
        s[t.S_DUE_FROM] = s[t.S_DUE_TO] = 0
    _sweep(price, now, p, s, g, log)
    s[t.S_TIME] = now


def buys(c: int, p: Ints, g: Ints) -> bool:
    """Whether a column's order buys: the entries of a long grid, the exits of a short one."""
    return g[r.ENTERS, c] != p[t.SHORT]


def _sweep(to: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    s[t.S_PRICE] = to
    for side in range(2):
        bid = side == 0
        c = _best(bid, p, s, g)
        while c >= 0 and (to <= g[t.PRICE, c] - p[t.EDGE] if bid else to >= g[t.PRICE, c] + p[t.EDGE]):
            _fill(c, g[t.PRICE, c], True, at, p, s, g, log)
            c = _best(bid, p, s, g)


def _best(bid: bool, p: Ints, s: Ints, g: Ints) -> int:
    # The column whose resting order fills first on a side, or -1; at one price the older order does.
    n, sign = p[r.PLACES], 1 if bid else -1
    enters = bid != (p[t.SHORT] == 1)
    best = _better(-1, n, 3 * n, enters, sign, g) if enters else _better(-1, 0, n, enters, sign, g)
    return _better(best, 3 * n, s[r.R_COLUMNS], enters, sign, g) if s[r.R_COLUMNS] > 3 * n else best


def _better(best: int, first: int, last: int, enters: bool, sign: int, g: Ints) -> int:
    for c in range(first, last):
        if g[t.STATE, c] == t.LIVE and (g[r.ENTERS, c] == 1) == enters:
            ahead = 1 if best < 0 else (g[t.PRICE, c] - g[t.PRICE, best]) * sign
            if ahead > 0 or (ahead == 0 and g[t.ORDER, c] < g[t.ORDER, best]):
                best = c
    return best


def activate(c: int, here: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    """Let an order reach the venue: it rests, trades at the market, or expires."""
    bid, price = buys(c, p, g), g[t.PRICE, c]
    if g[r.TAKES_BOOK, c]:
        paid = _touch(here, bid, p)
        if paid <= price if bid else paid >= price:
            _fill(c, paid, False, at, p, s, g, log)
        else:
            g[t.STATE, c] = t.ABSENT
    elif price >= here if bid else price <= here:
        g[t.STATE, c] = t.ABSENT
    else:
        g[t.STATE, c] = t.LIVE


def activate_closing(here: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    """Let the order that closes everything reach the venue: it trades at the touch, or expires where that is beyond its cap."""
    bid = p[t.SHORT] == 1
    paid = _touch(here, bid, p)
    s[t.S_OUT_ORDER] = 0
    if paid > s[t.S_OUT_CAP] if bid else paid < s[t.S_OUT_CAP]:
        return
    qty = s[t.S_OUT_QTY]
    fee = _fee(paid, qty, False, p)
    _write(-1, paid, qty, False, at, fee, s, g, log)
    s[r.R_OUT_PAID], s[r.R_OUT_FEE] = paid, fee
    _note(-1, s, g)


def send_order(c: int, price: int, last: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Give a column's order its number and send it to the venue."""
    g[t.PRICE, c], g[t.ORDER, c] = price, s[t.S_NEXT_ID]
    s[t.S_NEXT_ID] += 1
    g[t.STATE, c], g[t.CANCELING, c] = t.SENT, 0
    if p[t.LATENCY_US] == 0:
        activate(c, last, now, p, s, g, log)
    else:
        send(c, g[t.ORDER, c], 1, now, p, s, due)


def set_aside(i: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Put the order of a place's entry that is given up where it may end, so that the place can work another."""
    own, c = p[r.PLACES] + i, 2 * p[r.PLACES] + i
    if g[t.STATE, own] == t.ABSENT:
        return
    if g[t.STATE, c] != t.ABSENT:
        # An older one has not ended yet.
        c = free_column(i, 1, p, s, g)
    if c >= 0:
        _shift(own, c, s, g, due)


def set_exit_aside(i: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Put the order of a place's exit that is called back into a column of its own, so that the place can work another."""
    if g[t.STATE, i] == t.ABSENT:
        return
    c = free_column(i, 0, p, s, g)
    if c >= 0:
        _shift(i, c, s, g, due)


def free_column(i: int, enters: int, p: Ints, s: Ints, g: Ints) -> int:
    """Give a place one more column for entries or exits, one that works nothing; -1, and the run ends, where there is none."""
    for c in range(3 * p[r.PLACES], g.shape[1]):
        if c >= s[r.R_COLUMNS] or (g[r.LEFT, c] == 0 and g[t.ORDER, c] < 0):
            s[r.R_COLUMNS] = max(s[r.R_COLUMNS], c + 1)
            g[r.OWNER, c], g[r.ENTERS, c], g[r.LEFT, c] = i, enters, 0
            return c
    s[t.S_STATUS] = r.NO_ROOM
    return -1


def _shift(own: int, c: int, s: Ints, g: Ints, due: Ints) -> None:
    # A live order goes from one column to another, with what is on its way to it.
    for row in (t.STATE, t.PRICE, t.ORDER, t.CANCELING, t.CYCLE, t.ATTEMPT, r.SIZE, r.TAKES_BOOK):
        g[row, c] = g[row, own]
    g[t.STATE, own], g[t.ORDER, own] = t.ABSENT, -1
    for k in range(s[t.S_DUE_FROM], s[t.S_DUE_TO]):
        if due[k, t.DUE_ORDER] == g[t.ORDER, c]:
            due[k, t.DUE_LEVEL] = c


def _touch(here: int, bid: bool, p: Ints) -> int:
    # What an order at the market pays.
    return -(-here // p[t.TICK]) * p[t.TICK] if bid else here // p[t.TICK] * p[t.TICK]


def _fee(price: int, qty: int, maker: bool, p: Ints) -> int:
    return -((-price * qty * (p[t.MAKER] if maker else p[t.TAKER])) // p[t.RATE_DEN])


def _fill(c: int, price: int, maker: bool, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    fee = _fee(price, g[r.SIZE, c], maker, p)
    _write(c, price, g[r.SIZE, c], maker, at, fee, s, g, log)
    g[r.PAID, c], g[r.PAID_FEE, c] = price, fee
    g[t.STATE, c], g[t.ENDED, c] = t.ABSENT, at
    _note(c, s, g)


def _note(c: int, s: Ints, g: Ints) -> None:
    g[t.QUEUE, s[t.S_QUEUE]] = c
    s[t.S_QUEUE] += 1


def _write(c: int, price: int, qty: int, maker: bool, at: int, fee: int, s: Ints, g: Ints, log: Ints) -> None:
    k, trade = s[t.S_FILLS], s[t.S_NEXT_ID]
    s[t.S_FILLS], s[t.S_NEXT_ID] = k + 1, trade + 1
    if k >= len(log):
        return  # counted on, so that the caller learns how much room is needed
    log[k, t.FILL_US] = at
    # Between two candles further apart than their length, a fill belongs to the one before.
    log[k, t.FILL_BAR] = s[t.S_BAR] - (at < s[t.S_OPENED])
    log[k, t.FILL_LEVEL] = g[r.OWNER, c] if c >= 0 else -1
    log[k, t.FILL_CYCLE] = g[t.CYCLE, c] if c >= 0 else s[t.S_EPISODE] - 1
    log[k, t.FILL_ATTEMPT] = g[t.ATTEMPT, c] if c >= 0 else s[t.S_OUT_ATTEMPT]
    log[k, t.FILL_EXIT] = 1 - g[r.ENTERS, c] if c >= 0 else 1
    log[k, t.FILL_PRICE], log[k, t.FILL_QTY] = price, qty
    log[k, t.FILL_MAKER], log[k, t.FILL_TRADE], log[k, t.FILL_FEE] = maker, trade, fee
