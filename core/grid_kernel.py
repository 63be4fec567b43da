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

from core import grid_table as t
from core.grid_barrier_kernel import band, barrier_hit
from core.grid_book_kernel import count, end_order, is_bid, move, place, withdraw_moved
from core.grid_choice_kernel import choose, lay_out, room, withdraw
from core.grid_close_kernel import close, settle_closed
from core.path_kernel import price_at, rises_first, time_at
from core.search_kernel import next_outside

Ints = NDArray[np.int64]


def run(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> int:  # fmt: skip
    """Run a grid over all bars from its start; returns a status and leaves fills in `log` and scalars in `s`.

    `ts` is milliseconds, `low_1` and `high_1` are the extremes of every BLOCK bars. `p` holds PARAMETERS numbers, `s`
    SCALARS, `g` is (LEVEL_ROWS, levels), `due` and `log` have room of the caller's choice: after LOG_FULL `s[S_FILLS]` says
    how much would have been needed. The words are `core.grid_table`'s.
    """
    bars = len(ts)
    _begin(p, s, g)
    if bars and p[t.CHOOSES]:
        lay_out(open_[0], p, g)
    i = 0
    while i < bars and s[t.S_STATUS] == t.DONE and s[t.S_OVER] == 0:
        if i > 0 and _is_plain(p, s, g):
            _run_plain(i, ts, open_, high, low, close, low_1, high_1, p, s, g, log)
            break
        if i > 0:
            s[t.S_PRICE] = close[i - 1]
            s[t.S_TIME] = ts[i - 1] * 1000 + p[t.CLOSE_US]
        s[t.S_BAR], s[t.S_OPENED] = i, ts[i] * 1000
        _bar(ts[i] * 1000, open_[i], high[i], low[i], close[i], i == 0, p, s, g, due, log)
        s[t.S_VISITED] += 1
        i += 1
        if s[t.S_DUE_FROM] == s[t.S_DUE_TO] and s[t.S_CLOSED] == 0:
            end = max(i, min(bars, p[t.DEADLINE_BAR])) if s[t.S_NEXT_AT] == t.FAR else i
            i = next_outside(low, high, low_1, high_1, i, end, s[t.S_LOW], s[t.S_HIGH])
    if s[t.S_STATUS] == t.DONE and s[t.S_FILLS] > len(log):
        s[t.S_STATUS] = t.LOG_FULL
    return s[t.S_STATUS]


def _begin(p: Ints, s: Ints, g: Ints) -> None:
    levels = g.shape[1]
    # Loops instead of slices: a slice may raise, and code that cannot raise needs nothing of Python to run.
    for j in range(t.SCALARS):
        s[j] = 0
    for i in range(levels):
        for row in range(t.HOLDING, t.LEVEL_ROWS):
            g[row, i] = 0
        g[t.ATTEMPT, i] = -1
        g[t.BID_FEE, i] = -((-g[t.BID, i] * g[t.QTY, i] * p[t.MAKER]) // p[t.RATE_DEN])
        g[t.ASK_FEE, i] = -((-g[t.ASK, i] * g[t.QTY, i] * p[t.MAKER]) // p[t.RATE_DEN])
    s[t.S_TOP], s[t.S_BOTTOM], s[t.S_PEAK] = -1, levels, -t.FAR
    s[t.S_NEXT_ID], s[t.S_BATCHED_AT], s[t.S_NEXT_AT] = 1, -t.FAR, t.FAR
    s[t.S_UNARMED] = levels - 1 if p[t.SHORT] else 0
    if p[t.INVENTORY] != t.NONE:
        for i in range(levels):
            g[t.QUEUE, i] = g[t.BY_RANK, i]
        s[t.S_QUEUE] = levels


def _is_plain(p: Ints, s: Ints, g: Ints) -> bool:
    # Whether from now on every order stands at its own price and nothing but the price matters.
    if p[t.LATENCY_US] or p[t.GUARDED] or p[t.CHOOSES] or p[t.DEADLINE_US] < t.FAR or s[t.S_MOVED]:
        return False
    return p[t.INVENTORY] != t.NONE or (s[t.S_UNARMED] < 0 if p[t.SHORT] else s[t.S_UNARMED] >= g.shape[1])


def _run_plain(
    first: int, ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    p: Ints, s: Ints, g: Ints, log: Ints,
) -> None:  # fmt: skip
    # The same rules as below for a plain grid, in one loop: what fills at a point rests on its other side after it.
    bars, below, above = len(ts), s[t.S_LOW], s[t.S_HIGH]
    path, third_us, close_us = p[t.PATH], p[t.THIRD_US], p[t.CLOSE_US]
    visited = 0
    i = next_outside(low, high, low_1, high_1, first, bars, below, above)
    while i < bars:
        visited += 1
        o, h, lo = open_[i], high[i], low[i]
        if o <= below or o >= above:
            below, above = _plain_point(o, ts[i] * 1000, i, p, s, g, log)
        one, two = (h, lo) if rises_first(o, h, lo, path) else (lo, h)
        if one <= below or one >= above:
            below, above = _plain_point(one, ts[i] * 1000 + third_us, i, p, s, g, log)
        if two <= below or two >= above:
            below, above = _plain_point(two, ts[i] * 1000 + 2 * third_us, i, p, s, g, log)
        if close[i] <= below or close[i] >= above:
            below, above = _plain_point(close[i], ts[i] * 1000 + close_us, i, p, s, g, log)
        i = next_outside(low, high, low_1, high_1, i + 1, bars, below, above)
    s[t.S_VISITED] += visited


def _plain_point(price: int, at: int, bar: int, p: Ints, s: Ints, g: Ints, log: Ints) -> tuple[int, int]:
    # Fill what the price reaches; returns the prices that matter next. All orders of a side have different prices, so the
    # order in which the filled levels are placed again shows nowhere but in how many numbers they take.
    top, bottom, edge, levels = s[t.S_TOP], s[t.S_BOTTOM], p[t.EDGE], g.shape[1]
    before = count = s[t.S_FILLS]
    trade = s[t.S_NEXT_ID]
    bids = 0
    while top >= 0 and price <= g[t.BID, top] - edge:
        _plain_fill(top, p[t.SHORT], g[t.BID, top], at, bar, count, trade, g[t.BID_FEE, top], p, s, g, log)
        g[t.QUEUE, bids], g[t.ON_BID, top] = top, 0
        count, trade, bids = count + 1, trade + 1, bids + 1
        while top >= 0 and g[t.ON_BID, top] == 0:
            top -= 1
    asks = bids
    while bottom < levels and price >= g[t.ASK, bottom] + edge:
        _plain_fill(bottom, 1 - p[t.SHORT], g[t.ASK, bottom], at, bar, count, trade, g[t.ASK_FEE, bottom], p, s, g, log)
        g[t.QUEUE, asks], g[t.ON_ASK, bottom] = bottom, 0
        count, trade, asks = count + 1, trade + 1, asks + 1
        while bottom < levels and g[t.ON_ASK, bottom] == 0:
            bottom += 1
    for k in range(bids):
        g[t.ON_ASK, g[t.QUEUE, k]] = 1
        bottom = min(bottom, g[t.QUEUE, k])
    for k in range(bids, asks):
        g[t.ON_BID, g[t.QUEUE, k]] = 1
        top = max(top, g[t.QUEUE, k])
    s[t.S_TOP], s[t.S_BOTTOM], s[t.S_FILLS], s[t.S_NEXT_ID] = top, bottom, count, trade + count - before
    return g[t.BID, top] - edge if top >= 0 else -t.FAR, g[t.ASK, bottom] + edge if bottom < levels else t.FAR


def _plain_fill(
    i: int, leaves: int, price: int, at: int, bar: int, k: int, trade: int, fee: int,
    p: Ints, s: Ints, g: Ints, log: Ints,
) -> None:  # fmt: skip
    count(i, leaves, price * g[t.QTY, i], fee, p, s, g)
    cycle, attempt = g[t.CYCLE, i], g[t.ATTEMPT, i]
    g[t.CYCLE, i], g[t.ATTEMPT, i], g[t.HOLDING, i] = cycle + leaves, 0, 1 - leaves
    if k >= len(log):
        return
    log[k, t.FILL_US] = at
    log[k, t.FILL_BAR] = bar
    log[k, t.FILL_LEVEL] = i
    log[k, t.FILL_CYCLE] = cycle
    log[k, t.FILL_ATTEMPT] = attempt
    log[k, t.FILL_EXIT] = leaves
    log[k, t.FILL_PRICE] = price
    log[k, t.FILL_QTY] = g[t.QTY, i]
    log[k, t.FILL_MAKER] = 1
    log[k, t.FILL_TRADE] = trade
    log[k, t.FILL_FEE] = fee


def _bar(
    opened_us: int, open_: int, high: int, low: int, close: int, first: bool,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> None:  # fmt: skip
    rises = rises_first(open_, high, low, p[t.PATH])
    for k in range(4):
        price = price_at(k, open_, high, low, close, rises)
        at = time_at(k, opened_us, p[t.THIRD_US], p[t.CLOSE_US])
        if first and k == 0:
            # The first price falls from the sky: nothing rests yet.
            s[t.S_PRICE], s[t.S_TIME] = price, at
        elif s[t.S_DUE_FROM] == s[t.S_DUE_TO] and s[t.S_LOW] < price < s[t.S_HIGH] and at < s[t.S_UNTIL]:
            s[t.S_PRICE], s[t.S_TIME] = price, at
            continue
        else:
            move(price, at, p, s, g, due, log)
        _settle(price, at, p, s, g, due, log)
        if s[t.S_STATUS] != t.DONE or s[t.S_OVER]:
            return


def _settle(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    # What the engine does at one moment: barriers, then exits before entries, by name; round by round.
    if s[t.S_CLOSED]:
        settle_closed(price, now, p, s, g, due, log)
        return
    rounds = 0
    while True:
        rounds += 1
        barrier = barrier_hit(price, now, p, s)
        if barrier != t.NO_BARRIER:
            close(barrier, price, now, p, s, g, due, log)
            return
        if p[t.INVENTORY] == t.NONE:
            _arm(price, p, s, g)
        if p[t.CHOOSES]:
            if not _work_chosen(price, now, p, s, g, due, log):
                break
            if rounds == t.ROUNDS_MAX:
                s[t.S_STATUS] = t.CHAINED
                return
            continue
        orders = _take_queue(s, g)
        withdraw_moved(price, now, p, s, g, due)
        for k in range(orders):
            place(g[t.NOW, k], price, now, p, s, g, due, log)
        if s[t.S_QUEUE] == 0 or s[t.S_STATUS] != t.DONE:
            break
    _set_edges(p, s, g)


def _work_chosen(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> bool:
    # One round of a grid that chooses its levels; whether the venue was told anything, after which the engine looks again.
    choose(price, now, p, s, g)
    s[t.S_QUEUE] = 0
    # All that is wanted and has no order, be it that it was not sent the last time.
    for i in range(g.shape[1]):
        if g[t.WANTED, i] and g[t.STATE, i] == t.ABSENT:
            g[t.QUEUE, s[t.S_QUEUE]] = i
            s[t.S_QUEUE] += 1
    orders = _take_queue(s, g)
    under_way, number, left = s[t.S_DUE_TO] - s[t.S_DUE_FROM], s[t.S_NEXT_ID], room(p, g)
    withdraw_moved(price, now, p, s, g, due)
    for k in range(orders):
        i = g[t.NOW, k]
        if g[t.HOLDING, i] == 0:
            left -= 1
        if g[t.HOLDING, i] or left >= 0:
            place(i, price, now, p, s, g, due, log)
    withdraw(now, p, s, g, due)
    for i in range(g.shape[1]):
        if g[t.STATE, i] == t.ABSENT:
            g[t.ORDER, i] = -1  # a cancel that is still on its way finds nothing
    told = s[t.S_QUEUE] > 0 or s[t.S_NEXT_ID] > number or s[t.S_DUE_TO] - s[t.S_DUE_FROM] > under_way
    return told and s[t.S_STATUS] == t.DONE


def _take_queue(s: Ints, g: Ints) -> int:
    count = s[t.S_QUEUE]
    s[t.S_QUEUE] = 0
    levels = g.shape[1]
    for k in range(count):
        i = g[t.QUEUE, k]
        key = g[t.RANK, i] + (0 if g[t.HOLDING, i] else levels)
        j = k
        while j > 0 and g[t.RANK, g[t.NOW, j - 1]] + (0 if g[t.HOLDING, g[t.NOW, j - 1]] else levels) > key:
            g[t.NOW, j] = g[t.NOW, j - 1]
            j -= 1
        g[t.NOW, j] = i
    return count


def _arm(price: int, p: Ints, s: Ints, g: Ints) -> None:
    # `initial_inventory: none`: a level enters once the price has been on the side where its entry rests.
    i = s[t.S_UNARMED]
    if p[t.SHORT]:
        while i >= 0 and g[t.ASK, i] > price:
            end_order(i, s, g)
            i -= 1
    else:
        while i < g.shape[1] and g[t.BID, i] < price:
            end_order(i, s, g)
            i += 1
    s[t.S_UNARMED] = i


def _set_edges(p: Ints, s: Ints, g: Ints) -> None:
    # Prices at or beyond which something happens: fills, moved orders that may go home, barriers, levels to arm.
    low, high = band(p, s) if p[t.GUARDED] else (-t.FAR, t.FAR)
    if s[t.S_TOP] >= 0:
        low = max(low, g[t.PRICE, s[t.S_TOP]] - p[t.EDGE])
    if s[t.S_BOTTOM] < g.shape[1]:
        high = min(high, g[t.PRICE, s[t.S_BOTTOM]] + p[t.EDGE])
    for k in range(s[t.S_MOVED]):
        i = g[t.MOVED, k]
        if is_bid(i, p, g):
            low, high = max(low, g[t.PRICE, i] - p[t.EDGE]), min(high, g[t.BID, i] + 1)
        else:
            low, high = max(low, g[t.ASK, i] - 1), min(high, g[t.PRICE, i] + p[t.EDGE])
    if p[t.CHOOSES]:
        low, high = max(low, s[t.S_CHOICE_LOW]), min(high, s[t.S_CHOICE_HIGH])
    if p[t.INVENTORY] == t.NONE:
        if p[t.SHORT] and s[t.S_UNARMED] >= 0:
            low = max(low, g[t.ASK, s[t.S_UNARMED]] - 1)
        elif not p[t.SHORT] and s[t.S_UNARMED] < g.shape[1]:
            high = min(high, g[t.BID, s[t.S_UNARMED]] + 1)
    s[t.S_LOW], s[t.S_HIGH], s[t.S_UNTIL] = low, high, min(p[t.DEADLINE_US], s[t.S_NEXT_AT])
