"""The grid of `core.machines.grid` at the venue of `core.simulation`, compiled, over whole numbers. An optimisation only.

The core is the specification: every fill here, with its time, price, cycle, attempt and trade number, must be the one that
`core.backtest.run` gives, and tests compare them. Nothing is approximated: what is not modelled ends the run with a status
other than `DONE`, and the caller refuses or leaves the work to the core.

Prices are int64 in one unit, quantities in another, times microseconds since 1970 UTC. A level has at most one live order,
because the simulated venue fills in full; so a grid is a table of columns (`LEVEL_ROWS`), one column a level. Orders at
their level's own price are found through one pointer a side; the few that had to be moved behind the touch stand in a list.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# How a run ended. All but DONE say that the kernel does not know what the core would do.
DONE, LOG_FULL, BELOW_MINIMUM, BARRIER_LATE, ROUNDING, QUEUE_FULL, WOULD_CROSS = range(7)

# Parameters. EDGE is what a price must pass a limit by; SAFE_* and SLIP_* are numerators over *_DEN; MAKER and TAKER over
# RATE_DEN give a fee in 1e-8 quote; COST_MUL and FEE_MUL bring cost and fees to one unit. 0 or FAR: not set.
(TICK, EDGE, SHORT, PATH, LATENCY_US, THIRD_US, CLOSE_US, SAFE_LESS, SAFE_MORE, SAFE_DEN, MIN_NOTIONAL, MIN_QTY, INVENTORY,
 LIMIT, KEEP, STOP_NUM, STOP_DEN, DEADLINE_US, DEADLINE_BAR, MAKER, TAKER, RATE_DEN, COST_MUL, FEE_MUL, SLIP_LESS,
 SLIP_MORE, SLIP_DEN) = range(27)  # fmt: skip
PARAMETERS = 27
HIGH_FIRST, LOW_FIRST, NEARER_FIRST = range(3)
MARKET, RESTING, NONE = range(3)
FAR = 1 << 62
# Bars a block: short enough to look at one by one, long enough that a year of minutes is half a megabyte of blocks.
BLOCK = 16

# Rows of the table of levels; the first five are given, the others are the run's.
(BID, ASK, QTY, RANK, BY_RANK, HOLDING, STATE, PRICE, ORDER, CANCELING, CYCLE, ATTEMPT, TAKES, ON_BID, ON_ASK, LOT_COST,
 LOT_FEE, TODO, NOW, MOVED, BID_FEE, ASK_FEE) = range(22)  # fmt: skip
LEVEL_ROWS = 22
_ABSENT, _SENT, _LIVE = range(3)

# The run's scalars. TOP and BOTTOM point to the best own-price bid and ask, LOW and HIGH are the prices that matter next.
# INVENTORY, COST and FEES are those of open lots; PROFIT of TRIPS closed ones, WON of them after fees; PAID is all fees.
# NET_LEAST is the least that profit after fees ever was. Costs and profits in price times quantity, fees in 1e-8.
(S_LOW, S_HIGH, S_TOP, S_BOTTOM, S_TODO, S_MOVED, S_DUE_FROM, S_DUE_TO, S_NEXT_ID, S_FILLS, S_STATUS, S_CLOSED, S_UNARMED,
 S_INVENTORY, S_COST, S_FEES, S_PRICE, S_TIME, S_VISITED, S_BAR, S_PROFIT, S_PAID, S_TRIPS, S_WON, S_INITIAL,
 S_NET_LEAST, S_OPENED) = range(27)  # fmt: skip
SCALARS = 27

# Columns of the log of fills. A level of -1 is the unwinding of everything after a barrier.
(FILL_US, FILL_BAR, FILL_LEVEL, FILL_CYCLE, FILL_ATTEMPT, FILL_EXIT, FILL_PRICE, FILL_QTY, FILL_MAKER, FILL_TRADE,
 FILL_FEE) = range(11)  # fmt: skip
FILL_COLUMNS = 11
# Columns of the queue of what is on its way to the venue.
_AT, _ID, _PLACES, _LEVEL = range(4)
DUE_COLUMNS = 4


def run(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> int:  # fmt: skip
    """Run a grid over all bars from its start; returns a status and leaves fills in `log` and scalars in `s`.

    `ts` is milliseconds, `low_1` and `high_1` are the extremes of every BLOCK bars. `p` holds PARAMETERS numbers, `s` SCALARS, `g` is (LEVEL_ROWS, levels), `due` and `log` have room
    of the caller's choice: after LOG_FULL `s[S_FILLS]` says how much would have been needed.
    """
    bars = len(ts)
    _begin(p, s, g)
    i = 0
    while i < bars and s[S_STATUS] == DONE and s[S_CLOSED] == 0:
        if i > 0 and _is_plain(p, s, g):
            _run_plain(i, ts, open_, high, low, close, low_1, high_1, p, s, g, log)
            break
        if i > 0:
            s[S_PRICE] = close[i - 1]
            s[S_TIME] = ts[i - 1] * 1000 + p[CLOSE_US]
        s[S_BAR], s[S_OPENED] = i, ts[i] * 1000
        _bar(ts[i] * 1000, open_[i], high[i], low[i], close[i], i == 0, p, s, g, due, log)
        s[S_VISITED] += 1
        i += 1
        if s[S_DUE_FROM] == s[S_DUE_TO]:
            end = max(i, min(bars, p[DEADLINE_BAR]))
            i = _next_outside(low, high, low_1, high_1, i, end, s[S_LOW], s[S_HIGH])
    if s[S_STATUS] == DONE and s[S_FILLS] > len(log):
        s[S_STATUS] = LOG_FULL
    return s[S_STATUS]


def _begin(p: Ints, s: Ints, g: Ints) -> None:
    levels = g.shape[1]
    # Loops instead of slices: a slice may raise, and code that cannot raise needs nothing of Python to run.
    for j in range(SCALARS):
        s[j] = 0
    for i in range(levels):
        for row in range(HOLDING, LEVEL_ROWS):
            g[row, i] = 0
        g[ATTEMPT, i] = -1
        g[BID_FEE, i] = -((-g[BID, i] * g[QTY, i] * p[MAKER]) // p[RATE_DEN])
        g[ASK_FEE, i] = -((-g[ASK, i] * g[QTY, i] * p[MAKER]) // p[RATE_DEN])
    s[S_TOP], s[S_BOTTOM] = -1, levels
    s[S_NEXT_ID] = 1
    s[S_UNARMED] = levels - 1 if p[SHORT] else 0
    if p[INVENTORY] != NONE:
        for i in range(levels):
            g[TODO, i] = g[BY_RANK, i]
        s[S_TODO] = levels


def _is_plain(p: Ints, s: Ints, g: Ints) -> bool:
    # Whether from now on every order stands at its own price and nothing but the price matters.
    if p[LATENCY_US] or p[LIMIT] or p[STOP_DEN] or p[DEADLINE_US] < FAR or s[S_MOVED]:
        return False
    return p[INVENTORY] != NONE or (s[S_UNARMED] < 0 if p[SHORT] else s[S_UNARMED] >= g.shape[1])


def _run_plain(
    first: int, ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    p: Ints, s: Ints, g: Ints, log: Ints,
) -> None:  # fmt: skip
    # The same rules as below for a plain grid, in one loop: what fills at a point rests on its other side after it.
    bars, below, above = len(ts), s[S_LOW], s[S_HIGH]
    path, third_us, close_us = p[PATH], p[THIRD_US], p[CLOSE_US]
    visited = 0
    i = _next_outside(low, high, low_1, high_1, first, bars, below, above)
    while i < bars:
        visited += 1
        o, h, lo = open_[i], high[i], low[i]
        high_first = path == HIGH_FIRST or (path == NEARER_FIRST and h - o < o - lo)
        if o <= below or o >= above:
            below, above = _plain_point(o, ts[i] * 1000, i, p, s, g, log)
        one, two = (h, lo) if high_first else (lo, h)
        if one <= below or one >= above:
            below, above = _plain_point(one, ts[i] * 1000 + third_us, i, p, s, g, log)
        if two <= below or two >= above:
            below, above = _plain_point(two, ts[i] * 1000 + 2 * third_us, i, p, s, g, log)
        if close[i] <= below or close[i] >= above:
            below, above = _plain_point(close[i], ts[i] * 1000 + close_us, i, p, s, g, log)
        i = _next_outside(low, high, low_1, high_1, i + 1, bars, below, above)
    s[S_VISITED] += visited


def _plain_point(price: int, at: int, bar: int, p: Ints, s: Ints, g: Ints, log: Ints) -> tuple[int, int]:
    # Fill what the price reaches; returns the prices that matter next. All orders of a side have different prices, so the
    # order in which the filled levels are placed again shows nowhere but in how many numbers they take.
    top, bottom, edge, levels = s[S_TOP], s[S_BOTTOM], p[EDGE], g.shape[1]
    before = count = s[S_FILLS]
    trade = s[S_NEXT_ID]
    bids = 0
    while top >= 0 and price <= g[BID, top] - edge:
        _plain_fill(top, p[SHORT], g[BID, top], at, bar, count, trade, g[BID_FEE, top], p, s, g, log)
        g[TODO, bids], g[ON_BID, top] = top, 0
        count, trade, bids = count + 1, trade + 1, bids + 1
        while top >= 0 and g[ON_BID, top] == 0:
            top -= 1
    asks = bids
    while bottom < levels and price >= g[ASK, bottom] + edge:
        _plain_fill(bottom, 1 - p[SHORT], g[ASK, bottom], at, bar, count, trade, g[ASK_FEE, bottom], p, s, g, log)
        g[TODO, asks], g[ON_ASK, bottom] = bottom, 0
        count, trade, asks = count + 1, trade + 1, asks + 1
        while bottom < levels and g[ON_ASK, bottom] == 0:
            bottom += 1
    for k in range(bids):
        g[ON_ASK, g[TODO, k]] = 1
        bottom = min(bottom, g[TODO, k])
    for k in range(bids, asks):
        g[ON_BID, g[TODO, k]] = 1
        top = max(top, g[TODO, k])
    s[S_TOP], s[S_BOTTOM], s[S_FILLS], s[S_NEXT_ID] = top, bottom, count, trade + count - before
    return g[BID, top] - edge if top >= 0 else -FAR, g[ASK, bottom] + edge if bottom < levels else FAR


def _plain_fill(
    i: int, leaves: int, price: int, at: int, bar: int, k: int, trade: int, fee: int,
    p: Ints, s: Ints, g: Ints, log: Ints,
) -> None:  # fmt: skip
    _count(i, leaves, price * g[QTY, i], fee, p, s, g)
    cycle, attempt = g[CYCLE, i], g[ATTEMPT, i]
    g[CYCLE, i], g[ATTEMPT, i], g[HOLDING, i] = cycle + leaves, 0, 1 - leaves
    if k >= len(log):
        return
    log[k, FILL_US] = at
    log[k, FILL_BAR] = bar
    log[k, FILL_LEVEL] = i
    log[k, FILL_CYCLE] = cycle
    log[k, FILL_ATTEMPT] = attempt
    log[k, FILL_EXIT] = leaves
    log[k, FILL_PRICE] = price
    log[k, FILL_QTY] = g[QTY, i]
    log[k, FILL_MAKER] = 1
    log[k, FILL_TRADE] = trade
    log[k, FILL_FEE] = fee


def _next_outside(
    low: Ints, high: Ints, low_1: Ints, high_1: Ints, start: int, end: int, below: int, above: int
) -> int:
    # Bars up to the end of a block one by one, then whole blocks by their extremes, then bars again.
    i, stop = start, min(end, (start + BLOCK - 1) // BLOCK * BLOCK)
    while i < stop and low[i] > below and high[i] < above:
        i += 1
    if i < stop or i >= end:
        return i
    k, last = i // BLOCK, (end + BLOCK - 1) // BLOCK
    while k < last and low_1[k] > below and high_1[k] < above:
        k += 1
    i = min(k * BLOCK, end)
    while i < end and low[i] > below and high[i] < above:
        i += 1
    return i


def _bar(
    opened_us: int, open_: int, high: int, low: int, close: int, first: bool,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> None:  # fmt: skip
    high_first = p[PATH] == HIGH_FIRST or (p[PATH] == NEARER_FIRST and high - open_ < open_ - low)
    for k in range(4):
        if k == 0:
            price, at = open_, opened_us
        elif k == 3:
            price, at = close, opened_us + p[CLOSE_US]
        else:
            price = high if high_first == (k == 1) else low
            at = opened_us + k * p[THIRD_US]
        if first and k == 0:
            # The first price falls from the sky: nothing rests yet.
            s[S_PRICE], s[S_TIME] = price, at
        elif s[S_DUE_FROM] == s[S_DUE_TO] and s[S_LOW] < price < s[S_HIGH] and at < p[DEADLINE_US]:
            s[S_PRICE], s[S_TIME] = price, at
            continue
        else:
            _move(price, at, p, s, g, due, log)
        _settle(price, at, p, s, g, due, log)
        if s[S_STATUS] != DONE or s[S_CLOSED]:
            return


def _move(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    start, since = s[S_PRICE], s[S_TIME]
    while s[S_DUE_FROM] < s[S_DUE_TO] and due[s[S_DUE_FROM], _AT] <= now:
        k = s[S_DUE_FROM]
        s[S_DUE_FROM] = k + 1
        i = due[k, _LEVEL]
        if g[ORDER, i] != due[k, _ID]:
            continue  # it was over before this move, and another order has its place
        here = _between(start, since, price, now, due[k, _AT], p, s)
        at = max(due[k, _AT], since)
        _sweep(here, at, p, s, g, log)
        if g[STATE, i] == _ABSENT:
            continue
        if due[k, _PLACES]:
            _activate(i, here, at, p, s, g, log)
        else:
            _take_off(i, p, s, g)
            _end(i, s, g)
    if s[S_DUE_FROM] == s[S_DUE_TO]:
        s[S_DUE_FROM] = s[S_DUE_TO] = 0
    _sweep(price, now, p, s, g, log)
    s[S_TIME] = now


def _between(start: int, since: int, end: int, now: int, at: int, p: Ints, s: Ints) -> int:
    # Where the straight path is at `at`, rounded to the tick towards its start.
    if at <= since or now <= since:
        return s[S_PRICE]
    share = at - since
    way = (end - start) * share
    down = way // (now - since)
    if down * (now - since) == way and abs(down) * 20 > start and not _terminates(share, now - since):
        # The core divides to 28 digits; on so steep a path that may fall short of an exact tick.
        s[S_STATUS] = ROUNDING
    if end > start:
        return (start + down) // p[TICK] * p[TICK]
    return -((-start - -(-way // (now - since))) // p[TICK]) * p[TICK]


def _terminates(part: int, whole: int) -> bool:
    a, b = part, whole
    while b:
        a, b = b, a % b
    rest = whole // a
    while rest % 2 == 0:
        rest //= 2
    while rest % 5 == 0:
        rest //= 5
    return rest == 1


def _is_bid(i: int, p: Ints, g: Ints) -> bool:
    return g[HOLDING, i] == p[SHORT]


def _best(bid: bool, p: Ints, s: Ints, g: Ints) -> int:
    # The level whose resting order fills first on a side, or -1; at one price the older order does.
    best = s[S_TOP] if bid else s[S_BOTTOM]
    if best == g.shape[1]:
        best = -1
    sign = 1 if bid else -1
    for k in range(s[S_MOVED]):
        i = g[MOVED, k]
        if g[STATE, i] != _LIVE or _is_bid(i, p, g) != bid:
            continue
        ahead = 1 if best < 0 else (g[PRICE, i] - g[PRICE, best]) * sign
        if ahead > 0 or (ahead == 0 and g[ORDER, i] < g[ORDER, best]):
            best = i
    return best


def _sweep(to: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    s[S_PRICE] = to
    i = _best(True, p, s, g)
    while i >= 0 and to <= g[PRICE, i] - p[EDGE]:
        _take_off(i, p, s, g)
        _fill(i, g[PRICE, i], True, at, p, s, g, log)
        i = _best(True, p, s, g)
    i = _best(False, p, s, g)
    while i >= 0 and to >= g[PRICE, i] + p[EDGE]:
        _take_off(i, p, s, g)
        _fill(i, g[PRICE, i], True, at, p, s, g, log)
        i = _best(False, p, s, g)


def _take_off(i: int, p: Ints, s: Ints, g: Ints) -> None:
    # Out of the book and out of the list of moved orders, before the order ends in whichever way.
    bid = _is_bid(i, p, g)
    if g[PRICE, i] != (g[BID, i] if bid else g[ASK, i]):
        last = s[S_MOVED] - 1
        k = 0
        while g[MOVED, k] != i:
            k += 1
        g[MOVED, k] = g[MOVED, last]
        s[S_MOVED] = last
    elif bid:
        g[ON_BID, i] = 0
        while s[S_TOP] >= 0 and g[ON_BID, s[S_TOP]] == 0:
            s[S_TOP] -= 1
    else:
        g[ON_ASK, i] = 0
        while s[S_BOTTOM] < g.shape[1] and g[ON_ASK, s[S_BOTTOM]] == 0:
            s[S_BOTTOM] += 1


def _activate(i: int, here: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    bid = _is_bid(i, p, g)
    price = g[PRICE, i]
    if price >= here if bid else price <= here:
        if g[TAKES, i]:
            _fill(i, here, False, at, p, s, g, log)
        elif p[LATENCY_US] == 0:
            s[S_STATUS] = WOULD_CROSS  # the core backs off for a while; only safe_extra_spread 0 leads here
        else:
            _take_off(i, p, s, g)
            _end(i, s, g)
        return
    g[STATE, i] = _LIVE
    if bid and price == g[BID, i]:
        g[ON_BID, i] = 1
        s[S_TOP] = max(s[S_TOP], i)
    elif not bid and price == g[ASK, i]:
        g[ON_ASK, i] = 1
        s[S_BOTTOM] = min(s[S_BOTTOM], i)


def _end(i: int, s: Ints, g: Ints) -> None:
    # An order ended without a trade: its leg is worked again with the next settling.
    g[STATE, i] = _ABSENT
    g[TODO, s[S_TODO]] = i
    s[S_TODO] += 1


def _fill(i: int, price: int, maker: bool, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    holding = g[HOLDING, i]
    value = price * g[QTY, i]
    fee = -((-value * (p[MAKER] if maker else p[TAKER])) // p[RATE_DEN])
    _write(i, holding, price, g[QTY, i], maker, at, fee, s, g, log)
    if holding:
        s[S_INVENTORY] -= g[QTY, i]
        s[S_COST] -= g[LOT_COST, i]
        s[S_FEES] -= g[LOT_FEE, i]
        g[CYCLE, i] += 1
    else:
        s[S_INVENTORY] += g[QTY, i]
        s[S_COST] += value
        s[S_FEES] += fee
        s[S_INITIAL] += not maker
    _count(i, holding, value, fee, p, s, g)
    g[HOLDING, i] = 1 - holding
    g[ATTEMPT, i] = -1
    g[TAKES, i] = 0
    _end(i, s, g)


def _count(i: int, leaves: int, value: int, fee: int, p: Ints, s: Ints, g: Ints) -> None:
    # What a fill earned and cost.
    s[S_PAID] += fee
    if leaves:
        gain = g[LOT_COST, i] - value if p[SHORT] else value - g[LOT_COST, i]
        s[S_PROFIT] += gain
        s[S_TRIPS] += 1
        s[S_WON] += gain * p[COST_MUL] > (fee + g[LOT_FEE, i]) * p[FEE_MUL]
    else:
        g[LOT_COST, i], g[LOT_FEE, i] = value, fee
    s[S_NET_LEAST] = min(s[S_NET_LEAST], s[S_PROFIT] * p[COST_MUL] - s[S_PAID] * p[FEE_MUL])


def _write(
    i: int, leaves: int, price: int, qty: int, maker: bool, at: int, fee: int, s: Ints, g: Ints, log: Ints
) -> None:
    k = s[S_FILLS]
    s[S_FILLS] = k + 1
    trade = s[S_NEXT_ID]
    s[S_NEXT_ID] = trade + 1
    if k >= len(log):
        return  # counted on, so that the caller learns how much room is needed
    log[k, FILL_US] = at
    # Between two candles further apart than their length, a fill belongs to the one before.
    log[k, FILL_BAR] = s[S_BAR] - (at < s[S_OPENED])
    log[k, FILL_LEVEL] = i
    log[k, FILL_CYCLE] = g[CYCLE, i] if i >= 0 else 0
    log[k, FILL_ATTEMPT] = g[ATTEMPT, i] if i >= 0 else 0
    log[k, FILL_EXIT] = leaves
    log[k, FILL_PRICE] = price
    log[k, FILL_QTY] = qty
    log[k, FILL_MAKER] = maker
    log[k, FILL_TRADE] = trade
    log[k, FILL_FEE] = fee


def _settle(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    # What the engine does at one moment: barriers, then exits before entries, by name; round by round.
    while True:
        barrier = _barrier(price, now, p, s)
        if barrier:
            _close(barrier, price, now, p, s, g, log)
            return
        if p[INVENTORY] == NONE:
            _arm(price, p, s, g)
        count = _take_todo(s, g)
        _withdraw_moved(price, now, p, s, g, due)
        for k in range(count):
            _place(g[NOW, k], price, now, p, s, g, due, log)
        if s[S_TODO] == 0 or s[S_STATUS] != DONE:
            break
    _set_edges(p, s, g)


def _take_todo(s: Ints, g: Ints) -> int:
    count = s[S_TODO]
    s[S_TODO] = 0
    levels = g.shape[1]
    for k in range(count):
        i = g[TODO, k]
        key = g[RANK, i] + (0 if g[HOLDING, i] else levels)
        j = k
        while j > 0 and g[RANK, g[NOW, j - 1]] + (0 if g[HOLDING, g[NOW, j - 1]] else levels) > key:
            g[NOW, j] = g[NOW, j - 1]
            j -= 1
        g[NOW, j] = i
    return count


def _arm(price: int, p: Ints, s: Ints, g: Ints) -> None:
    # `initial_inventory: none`: a level enters once the price has been on the side where its entry rests.
    i = s[S_UNARMED]
    if p[SHORT]:
        while i >= 0 and g[ASK, i] > price:
            _end(i, s, g)
            i -= 1
    else:
        while i < g.shape[1] and g[BID, i] < price:
            _end(i, s, g)
            i += 1
    s[S_UNARMED] = i


def _withdraw_moved(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    # An order that stands behind its own price goes back there once that would rest.
    k = 0
    while k < s[S_MOVED]:
        i = g[MOVED, k]
        free = g[BID, i] < price if _is_bid(i, p, g) else g[ASK, i] > price
        if not free or g[CANCELING, i]:
            k += 1
        elif p[LATENCY_US] == 0:
            _take_off(i, p, s, g)
            _end(i, s, g)
        else:
            g[CANCELING, i] = 1
            _send(i, 0, now, p, s, g, due)
            k += 1


def _place(i: int, last: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    bid = _is_bid(i, p, g)
    own = g[BID, i] if bid else g[ASK, i]
    price = own
    g[ATTEMPT, i] += 1
    through = own >= last if bid else own <= last
    if p[INVENTORY] == MARKET and g[ORDER, i] == 0:
        g[TAKES, i] = through  # the very first order of a level that the price has passed already
    if through and not g[TAKES, i]:
        if bid:
            price = min(own, last * p[SAFE_LESS] // (p[SAFE_DEN] * p[TICK]) * p[TICK])
        else:
            price = max(own, -(-last * p[SAFE_MORE] // (p[SAFE_DEN] * p[TICK])) * p[TICK])
        if price <= 0 or price * g[QTY, i] < p[MIN_NOTIONAL]:
            s[S_STATUS] = BELOW_MINIMUM
        if price != own:
            g[MOVED, s[S_MOVED]] = i
            s[S_MOVED] += 1
    g[PRICE, i], g[ORDER, i] = price, s[S_NEXT_ID]
    s[S_NEXT_ID] += 1
    g[STATE, i], g[CANCELING, i] = _SENT, 0
    if p[LATENCY_US] == 0:
        _activate(i, last, now, p, s, g, log)
    else:
        _send(i, 1, now, p, s, g, due)


def _send(i: int, places: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    # Onto the queue, which is in order of time and then of order number: cancels are of older orders.
    first, k = s[S_DUE_FROM], s[S_DUE_TO]
    if k == len(due):
        if first == 0:
            s[S_STATUS] = QUEUE_FULL
            return
        for j in range(first, k):
            _shift(j, j - first, due)
        s[S_DUE_FROM], k, first = 0, k - first, 0
    s[S_DUE_TO] = k + 1
    at = now + p[LATENCY_US]
    while k > first and due[k - 1, _AT] == at and due[k - 1, _ID] > g[ORDER, i]:
        _shift(k - 1, k, due)
        k -= 1
    due[k, _AT], due[k, _ID], due[k, _PLACES], due[k, _LEVEL] = at, g[ORDER, i], places, i


def _shift(here: int, there: int, due: Ints) -> None:
    for column in range(DUE_COLUMNS):
        due[there, column] = due[here, column]


def _stop_price(p: Ints, s: Ints) -> int:
    # The price at which the open inventory has lost `stop_loss` of its cost after the fees paid on it.
    cost, fees = s[S_COST] * p[COST_MUL], s[S_FEES] * p[FEE_MUL]
    whole = p[STOP_DEN] * s[S_INVENTORY] * p[COST_MUL]
    if p[SHORT]:
        return -((fees * p[STOP_DEN] - cost * (p[STOP_DEN] + p[STOP_NUM])) // whole)
    return (cost * (p[STOP_DEN] - p[STOP_NUM]) + fees * p[STOP_DEN]) // whole


def _barrier(price: int, now: int, p: Ints, s: Ints) -> int:
    # 0: none fires; 1: limit price; 2: stop loss; 3: time limit. In the core's order.
    sign = -1 if p[SHORT] else 1
    if p[LIMIT] and price * sign <= p[LIMIT] * sign:
        return 1
    if p[STOP_DEN] and s[S_INVENTORY] and price * sign <= _stop_price(p, s) * sign:
        return 2
    return 3 if now >= p[DEADLINE_US] else 0


def _close(barrier: int, price: int, now: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    # Everything is withdrawn and what is held is sold (or bought back) at the touch, down to the exchange's minimum.
    if p[LATENCY_US]:
        s[S_STATUS] = BARRIER_LATE
        return
    s[S_CLOSED] = barrier
    held = s[S_INVENTORY]
    if (barrier == 1 and p[KEEP]) or held == 0 or held < p[MIN_QTY] or held * price < p[MIN_NOTIONAL]:
        return
    if p[SHORT]:
        cap = -(-price * p[SLIP_MORE] // (p[SLIP_DEN] * p[TICK])) * p[TICK]
        paid = -(-price // p[TICK]) * p[TICK]
    else:
        cap = price * p[SLIP_LESS] // (p[SLIP_DEN] * p[TICK]) * p[TICK]
        paid = price // p[TICK] * p[TICK]
    if cap * held < p[MIN_NOTIONAL]:
        s[S_STATUS] = BELOW_MINIMUM
        return
    s[S_NEXT_ID] += 1
    fee = -((-paid * held * p[TAKER]) // p[RATE_DEN])
    s[S_PAID] += fee
    _write(-1, 1, paid, held, False, now, fee, s, g, log)


def _set_edges(p: Ints, s: Ints, g: Ints) -> None:
    # Prices at or beyond which something happens: fills, moved orders that may go home, barriers, levels to arm.
    low, high = -FAR, FAR
    if s[S_TOP] >= 0:
        low = g[PRICE, s[S_TOP]] - p[EDGE]
    if s[S_BOTTOM] < g.shape[1]:
        high = g[PRICE, s[S_BOTTOM]] + p[EDGE]
    for k in range(s[S_MOVED]):
        i = g[MOVED, k]
        if _is_bid(i, p, g):
            low, high = max(low, g[PRICE, i] - p[EDGE]), min(high, g[BID, i] + 1)
        else:
            low, high = max(low, g[ASK, i] - 1), min(high, g[PRICE, i] + p[EDGE])
    if p[SHORT]:
        if p[LIMIT]:
            high = min(high, p[LIMIT])
        if p[STOP_DEN] and s[S_INVENTORY]:
            high = min(high, _stop_price(p, s))
        if p[INVENTORY] == NONE and s[S_UNARMED] >= 0:
            low = max(low, g[ASK, s[S_UNARMED]] - 1)
    else:
        low = max(low, p[LIMIT])
        if p[STOP_DEN] and s[S_INVENTORY]:
            low = max(low, _stop_price(p, s))
        if p[INVENTORY] == NONE and s[S_UNARMED] < g.shape[1]:
            high = min(high, g[BID, s[S_UNARMED]] + 1)
    s[S_LOW], s[S_HIGH] = low, high
