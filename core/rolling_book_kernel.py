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
        if g[t.ORDER, c] != due[k, t.DUE_ORDER]:
            continue  # it was over before this move
        here = between(start, since, price, now, due[k, t.DUE_US], p, s)
        at = max(due[k, t.DUE_US], since)
        _sweep(here, at, p, s, g, log)
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
    return (c < g.shape[1] // 3) == (p[t.SHORT] == 1)


def _sweep(to: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    s[t.S_PRICE] = to
    for side in range(2):
        bid = side == 0
        c = _best(bid, p, g)
        while c >= 0 and (to <= g[t.PRICE, c] - p[t.EDGE] if bid else to >= g[t.PRICE, c] + p[t.EDGE]):
            _fill(c, g[t.PRICE, c], True, at, p, s, g, log)
            c = _best(bid, p, g)


def _best(bid: bool, p: Ints, g: Ints) -> int:
    # The column whose resting order fills first on a side, or -1; at one price the older order does.
    best, sign = -1, 1 if bid else -1
    for c in range(g.shape[1]):
        if g[t.STATE, c] == t.LIVE and buys(c, p, g) == bid:
            ahead = 1 if best < 0 else (g[t.PRICE, c] - g[t.PRICE, best]) * sign
            if ahead > 0 or (ahead == 0 and g[t.ORDER, c] < g[t.ORDER, best]):
                best = c
    return best


def activate(c: int, here: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    """Let an order reach the venue: it rests, trades at the market, or expires."""
    bid, price = buys(c, p, g), g[t.PRICE, c]
    if g[r.TAKES_BOOK, c]:
        paid = -(-here // p[t.TICK]) * p[t.TICK] if bid else here // p[t.TICK] * p[t.TICK]
        if paid <= price if bid else paid >= price:
            _fill(c, paid, False, at, p, s, g, log)
        else:
            g[t.STATE, c] = t.ABSENT
    elif price >= here if bid else price <= here:
        g[t.STATE, c] = t.ABSENT
    else:
        g[t.STATE, c] = t.LIVE


def send_order(c: int, price: int, last: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Give a column's order its number and send it to the venue."""
    g[t.PRICE, c], g[t.ORDER, c] = price, s[t.S_NEXT_ID]
    s[t.S_NEXT_ID] += 1
    g[t.STATE, c], g[t.CANCELING, c] = t.SENT, 0
    if p[t.LATENCY_US] == 0:
        activate(c, last, now, p, s, g, log)
    else:
        send(c, g[t.ORDER, c], 1, now, p, s, due)


def set_aside(i: int, s: Ints, g: Ints, due: Ints) -> None:
    """Put the order of a place's entry that is given up where it may end, so that the place can work another."""
    places = g.shape[1] // 3
    own, c = places + i, 2 * places + i
    if g[t.STATE, own] == t.ABSENT:
        return
    if g[t.STATE, c] != t.ABSENT:
        s[t.S_STATUS] = r.LATE_ENTRY
        return
    for row in (t.STATE, t.PRICE, t.ORDER, t.CANCELING, t.CYCLE, t.ATTEMPT):
        g[row, c] = g[row, own]
    g[t.STATE, own], g[t.ORDER, own] = t.ABSENT, -1
    for k in range(s[t.S_DUE_FROM], s[t.S_DUE_TO]):
        if due[k, t.DUE_ORDER] == g[t.ORDER, c]:
            due[k, t.DUE_LEVEL] = c


def _fill(c: int, price: int, maker: bool, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    places = g.shape[1] // 3
    i, leaves = c % places, c < places
    units = g[r.UNITS, c] if leaves else 1
    value = price * g[t.QTY, i]
    fee = -((-value * units * (p[t.MAKER] if maker else p[t.TAKER])) // p[t.RATE_DEN])
    _write(c, price, units, maker, at, fee, s, g, log)
    s[t.S_PAID] += fee
    if leaves:
        for _ in range(units):
            _close(_oldest(i, g), value, units, fee, p, s, g)
    else:
        lot = i if g[t.HOLDING, i] == 0 else places + i
        if g[t.HOLDING, lot]:
            s[t.S_STATUS] = r.LATE_ENTRY
        g[t.HOLDING, lot], g[t.LOT_COST, lot], g[t.LOT_FEE, lot] = 1, value, fee
        g[r.OPENED, lot], g[r.LOT_NUMBER, lot] = at, g[t.CYCLE, c]
        s[t.S_COST] += value
        s[t.S_INITIAL] += not maker
    s[t.S_NET_LEAST] = min(s[t.S_NET_LEAST], s[t.S_PROFIT] * p[t.COST_MUL] - s[t.S_PAID] * p[t.FEE_MUL])
    g[t.STATE, c], g[t.ENDED, c] = t.ABSENT, at
    g[t.QUEUE, s[t.S_QUEUE]] = c
    s[t.S_QUEUE] += 1


def _oldest(i: int, g: Ints) -> int:
    # The lot of a place that an exit closes first: the older one, of two of one moment the first by name.
    other = g.shape[1] // 3 + i
    if g[t.HOLDING, other] == 0:
        return i
    if g[t.HOLDING, i] == 0 or g[r.OPENED, other] < g[r.OPENED, i]:
        return other
    same = g[r.OPENED, other] == g[r.OPENED, i]
    return other if same and _is_before(g[r.LOT_NUMBER, other], g[r.LOT_NUMBER, i]) else i


def _is_before(one: int, other: int) -> bool:
    # Whether a number comes first as text.
    a, b, size = one, other, 1
    while size * 10 <= max(one, other):
        size *= 10
    while a < size:
        a *= 10
    while b < size:
        b *= 10
    return a < b or (a == b and one < other)


def _close(lot: int, value: int, units: int, fee: int, p: Ints, s: Ints, g: Ints) -> None:
    # One of the entries that an exit of `units` closes; each bears an equal share of its fee.
    gain = g[t.LOT_COST, lot] - value if p[t.SHORT] else value - g[t.LOT_COST, lot]
    s[t.S_PROFIT] += gain
    s[t.S_TRIPS] += 1
    s[t.S_WON] += gain * units * p[t.COST_MUL] > (fee + units * g[t.LOT_FEE, lot]) * p[t.FEE_MUL]
    s[t.S_COST] -= g[t.LOT_COST, lot]
    g[t.HOLDING, lot] = 0


def _write(c: int, price: int, units: int, maker: bool, at: int, fee: int, s: Ints, g: Ints, log: Ints) -> None:
    k, trade = s[t.S_FILLS], s[t.S_NEXT_ID]
    s[t.S_FILLS], s[t.S_NEXT_ID] = k + 1, trade + 1
    if k >= len(log):
        return  # counted on, so that the caller learns how much room is needed
    places = g.shape[1] // 3
    log[k, t.FILL_US] = at
    # Between two candles further apart than their length, a fill belongs to the one before.
    log[k, t.FILL_BAR] = s[t.S_BAR] - (at < s[t.S_OPENED])
    log[k, t.FILL_LEVEL], log[k, t.FILL_CYCLE], log[k, t.FILL_ATTEMPT] = c % places, g[t.CYCLE, c], g[t.ATTEMPT, c]
    log[k, t.FILL_EXIT], log[k, t.FILL_PRICE], log[k, t.FILL_QTY] = c < places, price, g[t.QTY, c] * units
    log[k, t.FILL_MAKER], log[k, t.FILL_TRADE], log[k, t.FILL_FEE] = maker, trade, fee
