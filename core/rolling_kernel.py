"""The rolling grid of `core.machines.rolling_grid` at the venue of `core.simulation`, compiled, over whole numbers.

An optimisation only: the core is the specification, every fill must be the one that `core.backtest.run` gives, or the run
ends with a status other than `DONE`. Modelled are the one entry and its gates (`core.rolling_entry_kernel`), targets, the
stop loss of each lot with its closing at the market, the pause price; orders are in `core.rolling_book_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.grid_book_kernel import send
from core.rolling_book_kernel import buys, move, send_order, set_aside
from core.rolling_entry_kernel import tend_entry
from core.search_kernel import next_outside

Ints = NDArray[np.int64]

# A closing at the market widens its cap every so often, so many times.
WIDER_AFTER_US = 5_000_000
WIDER_MOST = 6


def run_rolling(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> int:  # fmt: skip
    """Run a rolling grid over all bars from its start: arguments as of `core.grid_kernel.run`, with three columns a place."""
    bars = len(ts)
    _begin(s, g)
    i = 0
    while i < bars and s[t.S_STATUS] == t.DONE:
        if i > 0:
            s[t.S_PRICE] = close[i - 1]
            s[t.S_TIME] = ts[i - 1] * 1000 + p[t.CLOSE_US]
        s[t.S_BAR], s[t.S_OPENED] = i, ts[i] * 1000
        _bar(ts[i] * 1000, open_[i], high[i], low[i], close[i], i == 0, p, s, g, due, log)
        s[t.S_VISITED] += 1
        i += 1
        if s[t.S_DUE_FROM] == s[t.S_DUE_TO] and i < bars:
            end = bars if s[r.R_NEXT_AT] >= t.FAR else _bar_of(s[r.R_NEXT_AT], i, ts, p)
            i = next_outside(low, high, low_1, high_1, i, end, s[t.S_LOW], s[t.S_HIGH])
    if s[t.S_STATUS] == t.DONE and s[t.S_FILLS] > len(log):
        s[t.S_STATUS] = t.LOG_FULL
    return s[t.S_STATUS]


def _begin(s: Ints, g: Ints) -> None:
    for j in range(r.ROLLING_SCALARS):
        s[j] = 0
    for c in range(g.shape[1]):
        for row in range(t.HOLDING, r.ROLLING_ROWS):
            g[row, c] = 0
        g[t.ORDER, c] = -1
    s[r.R_OPENED_AT] = -1
    s[t.S_NEXT_ID] = 1


def _bar_of(at: int, first: int, ts: Ints, p: Ints) -> int:
    # The bar that holds a time: the last one from `first` on that opens at or before it.
    i = first
    if at > ts[first] * 1000:
        i = min(first + (at // 1000 - ts[first]) // p[r.STEP_MS], len(ts) - 1)
    while i > first and ts[i] * 1000 > at:
        i -= 1
    return i


def _bar(
    opened_us: int, open_: int, high: int, low: int, close: int, first: bool,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> None:  # fmt: skip
    high_first = p[t.PATH] == t.HIGH_FIRST or (p[t.PATH] == t.NEARER_FIRST and high - open_ < open_ - low)
    for k in range(4):
        if k == 0:
            price, at = open_, opened_us
        elif k == 3:
            price, at = close, opened_us + p[t.CLOSE_US]
        else:
            price = high if high_first == (k == 1) else low
            at = opened_us + k * p[t.THIRD_US]
        if first and k == 0:
            # The first price falls from the sky: nothing rests yet.
            s[t.S_PRICE], s[t.S_TIME] = price, at
        elif s[t.S_DUE_FROM] == s[t.S_DUE_TO] and s[t.S_LOW] < price < s[t.S_HIGH] and at < s[r.R_NEXT_AT]:
            s[t.S_PRICE], s[t.S_TIME] = price, at
            continue
        else:
            move(price, at, p, s, g, due, log)
        _settle(price, at, p, s, g, due, log)
        if s[t.S_STATUS] != t.DONE:
            return


def _settle(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    # What machine and order layer do at one moment, round by round: fills, stop losses, the entry, then the orders.
    again = True
    while again and s[t.S_STATUS] == t.DONE:
        for c in range(g.shape[1]):
            if g[t.STATE, c] == t.ABSENT:
                g[t.ORDER, c] = -1  # a cancel still on its way finds nothing
        for k in range(s[t.S_QUEUE]):
            _fold(g[t.QUEUE, k], now, p, s, g)
        s[t.S_QUEUE] = 0
        _guard_lots(price, now, p, s, g, due)
        tend_entry(price, now, p, s, g, due)
        sent = _place_exits(price, now, p, s, g, due, log)
        _place_entry(price, now, p, s, g, due, log)
        again = _withdraw(price, now, p, g, s, due) or sent
    _set_edges(now, p, s, g)


def _fold(c: int, now: int, p: Ints, s: Ints, g: Ints) -> None:
    # Take a fill in, as `core.machines.rolling_grid.lots` does.
    places = g.shape[1] // 3
    i = c % places
    if c < places:
        g[r.HELD, i] -= g[r.UNITS, c]
        if g[r.HELD, i] == 0 and g[r.DOES, i] != r.ENTERING:
            s[r.R_FREED] = g[r.DOES, i] != r.CLOSING
            if not s[r.R_FREED]:
                s[r.R_OPENED_AT] = now
            g[r.DOES, i] = r.FREE
        return
    if g[r.DOES, i] == r.FREE:
        # The fill outran the withdrawal of its order: its exit takes a number of its own.
        g[r.USED, i] += 1
        g[r.NUMBER, i], g[r.FRESH, i], g[r.IS_LOT, i], g[r.DOES, i] = g[r.USED, i], 1, 0, r.OFFERED
    if g[r.IS_LOT, i] == 0:
        g[r.IS_LOT, i], g[r.SINCE, i] = 1, g[t.ENDED, c]
    if g[r.HELD, i] == 0:
        g[r.ENTRY_2, i] = 2 * g[t.PRICE, c]
    elif g[r.HELD, i] == 1 and g[r.ENTRY_2, i] % 2 == 0:
        g[r.ENTRY_2, i] = g[r.ENTRY_2, i] // 2 + g[t.PRICE, c]
    else:
        s[t.S_STATUS] = r.LATE_ENTRY
    g[r.HELD, i] += 1
    _mark(i, p, g)
    if g[r.DOES, i] == r.ENTERING and c < 2 * places:
        g[r.DOES, i] = r.OFFERED


def _mark(i: int, p: Ints, g: Ints) -> None:
    # Target, stop and stuck price of what a place holds.
    entry_2, tick = g[r.ENTRY_2, i], p[t.TICK]
    if p[t.SHORT]:
        target = entry_2 * p[r.TARGET_NUM] // (2 * p[r.TARGET_DEN] * tick) * tick
        stop = -(-entry_2 * p[r.LOSS_NUM] // (2 * p[r.LOSS_DEN])) if p[r.LOSS_DEN] else t.FAR
        stuck = target * p[r.STUCK_NUM] // p[r.STUCK_DEN] + 1 if p[r.STUCK_DEN] else t.FAR
    else:
        target = -(-entry_2 * p[r.TARGET_NUM] // (2 * p[r.TARGET_DEN] * tick)) * tick
        stop = entry_2 * p[r.LOSS_NUM] // (2 * p[r.LOSS_DEN]) if p[r.LOSS_DEN] else -t.FAR
        stuck = (target * p[r.STUCK_NUM] - 1) // p[r.STUCK_DEN] if p[r.STUCK_DEN] else -t.FAR
    g[r.WANTED, i] = g[r.TARGET, i] = target
    g[r.STOP, i], g[r.STUCK_AT, i] = stop, stuck


def _guard_lots(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    sign = -1 if p[t.SHORT] else 1
    for i in range(g.shape[1] // 3):
        if g[r.HELD, i] == 0:
            continue
        enough = price * g[t.QTY, i] * g[r.HELD, i] >= p[t.MIN_NOTIONAL]
        if g[r.DOES, i] == r.CLOSING:
            if not enough:
                s[t.S_STATUS] = t.BELOW_MINIMUM
        elif price * sign <= g[r.STOP, i] * sign and enough:
            if g[r.DOES, i] == r.ENTERING:
                set_aside(i, s, g, due)
            g[r.USED, i] += 1
            g[r.DOES, i], g[r.NUMBER, i], g[r.FRESH, i], g[r.BEGAN, i] = r.CLOSING, g[r.USED, i], 1, now
        elif g[r.DOES, i] == r.OFFERED and p[r.STUCK_DEN]:
            old = now >= g[r.SINCE, i] + p[r.TIMEOUT_US]
            s[t.S_STATUS] = r.STUCK if old and price * sign <= g[r.STUCK_AT, i] * sign else s[t.S_STATUS]


def _cap(price: int, since: int, now: int, p: Ints) -> int:
    # An empty book must not fill at any price: the cap widens with time, up to half the price.
    part = p[t.SLIP_NUM]
    for _ in range(min((now - since) // WIDER_AFTER_US, WIDER_MOST)):
        part *= 2
    part, whole = min(2 * part, p[t.SLIP_DEN]), 2 * p[t.SLIP_DEN]
    if p[t.SHORT]:
        return -(-price * (whole + part) // (whole * p[t.TICK])) * p[t.TICK]
    return price * (whole - part) // (whole * p[t.TICK]) * p[t.TICK]


def _place_exits(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> bool:
    # Whether any was filled at once.
    before = s[t.S_FILLS]
    for k in range(g.shape[1] // 3):
        i = g[t.BY_RANK, k]
        if g[r.HELD, i] == 0 or g[t.STATE, i] != t.ABSENT or g[t.ORDER, i] >= 0:
            continue
        g[r.UNITS, i], g[r.TAKES_BOOK, i] = g[r.HELD, i], g[r.DOES, i] == r.CLOSING
        if g[r.TAKES_BOOK, i]:
            cap = _cap(price, g[r.BEGAN, i], now, p)
            if not p[t.SHORT]:
                # The exchange reckons the order's notional at its cap: a wide cap must not make the sale too small.
                least = -(-p[t.MIN_NOTIONAL] // (g[t.QTY, i] * g[r.HELD, i] * p[t.TICK])) * p[t.TICK]
                cap = max(cap, min(least, price // p[t.TICK] * p[t.TICK]))
            _send(i, cap, price, now, p, s, g, due, log)
        else:
            _send(i, _behind(i, price, p, g), price, now, p, s, g, due, log)
    return s[t.S_FILLS] > before


def _place_entry(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    places = g.shape[1] // 3
    for i in range(places):
        c = places + i
        if g[r.DOES, i] != r.ENTERING or g[t.STATE, c] != t.ABSENT or g[t.ORDER, c] >= 0:
            continue
        g[r.UNITS, c] = 1
        sent = _behind(c, price, p, g)
        worth = s[t.S_COST] + max(sent, g[r.WANTED, c]) * g[t.QTY, c]
        for other in range(places, g.shape[1]):
            if g[t.STATE, other] != t.ABSENT:
                worth += g[t.PRICE, other] * g[t.QTY, other]
        if worth > p[r.BOUND_QUOTE]:
            s[t.S_STATUS] = r.BOUND
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
    if price <= 0 or price * g[t.QTY, c] * g[r.UNITS, c] < p[t.MIN_NOTIONAL]:
        s[t.S_STATUS] = t.BELOW_MINIMUM
    g[t.ATTEMPT, c] = 0 if g[r.FRESH, c] else g[t.ATTEMPT, c] + 1
    g[t.CYCLE, c], g[r.ASKED, c], g[r.FRESH, c] = g[r.NUMBER, c % (g.shape[1] // 3)], g[r.WANTED, c], 0
    send_order(c, price, last, now, p, s, g, due, log)


def _withdraw(price: int, now: int, p: Ints, g: Ints, s: Ints, due: Ints) -> bool:
    # Call back what is no longer wanted; whether any is off the book at once.
    ended = False
    for c in range(g.shape[1]):
        if g[t.STATE, c] == t.ABSENT or g[t.CANCELING, c] or not _is_wrong(c, price, p, g):
            continue
        if p[t.LATENCY_US] == 0:
            g[t.STATE, c] = t.ABSENT
            ended = True
        else:
            g[t.CANCELING, c] = now
            send(c, g[t.ORDER, c], 0, now, p, s, due)
    return ended


def _is_wrong(c: int, price: int, p: Ints, g: Ints) -> bool:
    places = g.shape[1] // 3
    if c >= 2 * places:
        return True
    if g[r.TAKES_BOOK, c]:
        return False
    if c < places and (g[r.DOES, c] == r.CLOSING or g[r.UNITS, c] != g[r.HELD, c]):
        return True
    rests = g[r.WANTED, c] < price if buys(c, p, g) else g[r.WANTED, c] > price
    return g[r.WANTED, c] != g[r.ASKED, c] or (g[t.PRICE, c] != g[r.WANTED, c] and rests)


def _set_edges(now: int, p: Ints, s: Ints, g: Ints) -> None:
    # Prices and the time at or beyond which something happens.
    low, high, places = s[r.R_NEAR], s[r.R_OVER], g.shape[1] // 3
    for c in range(g.shape[1]):
        if g[t.STATE, c] == t.LIVE:
            moved = g[t.PRICE, c] != g[r.WANTED, c] and c < 2 * places
            if buys(c, p, g):
                low = max(low, g[t.PRICE, c] - p[t.EDGE])
                high = min(high, g[r.WANTED, c] + 1) if moved else high
            else:
                high = min(high, g[t.PRICE, c] + p[t.EDGE])
                low = max(low, g[r.WANTED, c] - 1) if moved else low
    for i in range(places):
        if g[r.HELD, i] == 0:
            continue
        if g[r.DOES, i] == r.CLOSING:
            s[r.R_NEXT_AT] = 0  # every moment is looked at
            continue
        edge = g[r.STOP, i]
        if p[r.STUCK_DEN] and g[r.DOES, i] == r.OFFERED:
            old = g[r.SINCE, i] + p[r.TIMEOUT_US]
            if now < old:
                s[r.R_NEXT_AT] = min(s[r.R_NEXT_AT], old)
            else:
                edge = min(edge, g[r.STUCK_AT, i]) if p[t.SHORT] else max(edge, g[r.STUCK_AT, i])
        if p[t.SHORT]:
            high = min(high, edge)
        else:
            low = max(low, edge)
    s[t.S_LOW], s[t.S_HIGH] = low, high
