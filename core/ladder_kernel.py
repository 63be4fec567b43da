"""The ladder of `core.machines.ladder` at the venue of `core.simulation`, compiled, over whole numbers. An optimisation only.

As with `core.grid_kernel`, whose table of levels and venue it shares, the core is the specification: every fill must be the
one that `core.backtest.run` gives, or the run ends with a status other than `DONE`. A trade is a column of the table: BID is
its entry, ASK its exit. The rows and parameters below stand behind the grid's.

A trade's leg may stand off its own price (a maker offset), and its order off the leg's (where that would cross). All such
orders are in the list of moved ones; a leg only ever moves back to its own price.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core.grid_book_kernel import move, recall, send_order
from core.path_kernel import price_at, rises_first, time_at
from core.search_kernel import next_outside

Ints = NDArray[np.int64]

# Parameters behind the grid's: the maker offsets in price units, whether a trade whose entry is not below the price waits,
# whether it starts again after its exit.
OFFSET_BUY, OFFSET_SELL, WAITS, LOOPS = range(t.PARAMETERS, t.PARAMETERS + 4)
LADDER_PARAMETERS = t.PARAMETERS + 4
# Rows behind the grid's: where the leg stands, where it stood when its order was sent, and what the trade does.
LEG, ASKED, PHASE = range(t.LEVEL_ROWS, t.LEVEL_ROWS + 3)
LADDER_ROWS = t.LEVEL_ROWS + 3
PENDING, TRADING, COMPLETED = range(3)


def run_ladder(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> int:  # fmt: skip
    """Run a ladder over all bars from its start: arguments and answer as of `core.grid_kernel.run`, `p` and `g` longer."""
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
        if s[t.S_DUE_FROM] == s[t.S_DUE_TO]:
            i = next_outside(low, high, low_1, high_1, i, bars, s[t.S_LOW], s[t.S_HIGH])
    if s[t.S_STATUS] == t.DONE and s[t.S_FILLS] > len(log):
        s[t.S_STATUS] = t.LOG_FULL
    return s[t.S_STATUS]


def _begin(s: Ints, g: Ints) -> None:
    for j in range(t.SCALARS):
        s[j] = 0
    for i in range(g.shape[1]):
        for row in range(t.HOLDING, LADDER_ROWS):
            g[row, i] = 0
        g[t.ATTEMPT, i] = g[t.ORDER, i] = -1
        g[PHASE, i] = PENDING
    s[t.S_TOP], s[t.S_BOTTOM] = -1, g.shape[1]
    s[t.S_NEXT_ID] = 1


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
        elif s[t.S_DUE_FROM] == s[t.S_DUE_TO] and s[t.S_LOW] < price < s[t.S_HIGH]:
            s[t.S_PRICE], s[t.S_TIME] = price, at
            continue
        else:
            move(price, at, p, s, g, due, log)
        _settle(price, at, p, s, g, due, log)
        if s[t.S_STATUS] != t.DONE:
            return


def _settle(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    # What machine and order layer do at one moment, round by round: fills, trades that start, legs that move home, orders
    # that are called back, and then exits before entries, by name.
    again = True
    while again and s[t.S_STATUS] == t.DONE:
        _fold(price, p, s, g)
        _tend(price, p, s, g)
        orders = _take_queue(s, g)
        _withdraw(price, now, p, s, g, due)
        for k in range(orders):
            _place(g[t.NOW, k], price, now, p, s, g, due, log)
        again = s[t.S_QUEUE] > 0
    _set_edges(p, s, g)


def _fold(price: int, p: Ints, s: Ints, g: Ints) -> None:
    # A trade whose order was filled wants its other leg, off its own price where that is too near, or nothing any more.
    kept = 0
    for k in range(s[t.S_QUEUE]):
        i = g[t.QUEUE, k]
        if g[t.ATTEMPT, i] < 0:
            if g[t.HOLDING, i]:
                off = -(-(price + p[OFFSET_SELL]) // p[t.TICK]) * p[t.TICK]
                g[LEG, i] = max(off, g[t.ASK, i])
            else:
                g[PHASE, i] = PENDING if p[LOOPS] else COMPLETED
                g[t.ORDER, i] = -1  # a cancel still on its way finds nothing
                continue
        g[t.QUEUE, kept] = i
        kept += 1
    s[t.S_QUEUE] = kept


def _tend(price: int, p: Ints, s: Ints, g: Ints) -> None:
    for i in range(g.shape[1]):
        if g[PHASE, i] == TRADING:
            if g[t.HOLDING, i]:
                if price <= g[t.ASK, i] - p[OFFSET_SELL]:
                    g[LEG, i] = g[t.ASK, i]
            elif price >= g[t.BID, i] + p[OFFSET_BUY]:
                g[LEG, i] = g[t.BID, i]
        elif g[PHASE, i] == PENDING and (g[t.BID, i] < price or not p[WAITS]):
            g[PHASE, i] = TRADING
            g[LEG, i] = min((price - p[OFFSET_BUY]) // p[t.TICK] * p[t.TICK], g[t.BID, i])
            g[t.QUEUE, s[t.S_QUEUE]] = i
            s[t.S_QUEUE] += 1


def _take_queue(s: Ints, g: Ints) -> int:
    count, levels = s[t.S_QUEUE], g.shape[1]
    s[t.S_QUEUE] = 0
    for k in range(count):
        i = g[t.QUEUE, k]
        key = g[t.RANK, i] + (0 if g[t.HOLDING, i] else levels)
        j = k
        while j > 0 and g[t.RANK, g[t.NOW, j - 1]] + (0 if g[t.HOLDING, g[t.NOW, j - 1]] else levels) > key:
            g[t.NOW, j] = g[t.NOW, j - 1]
            j -= 1
        g[t.NOW, j] = i
    return count


def _withdraw(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    # An order whose leg has moved, or that stands behind its leg where that would rest by now.
    k = 0
    while k < s[t.S_MOVED]:
        i = g[t.MOVED, k]
        leg = g[LEG, i]
        free = leg > price if g[t.HOLDING, i] else leg < price
        wrong = leg != g[ASKED, i] or (leg != g[t.PRICE, i] and free)
        if not wrong or g[t.CANCELING, i] or not recall(i, now, p, s, g, due):
            k += 1


def _place(i: int, last: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    price = g[ASKED, i] = g[LEG, i]
    if g[t.HOLDING, i]:
        own = g[t.ASK, i]
        if price <= last:
            price = max(price, -(-last // p[t.TICK]) * p[t.TICK])
            price = price if price > last else price + p[t.TICK]
    else:
        own = g[t.BID, i]
        if price >= last:
            price = min(price, last // p[t.TICK] * p[t.TICK])
            price = price if price < last else price - p[t.TICK]
    g[t.ATTEMPT, i] += 1
    if price <= 0 or price * g[t.QTY, i] < p[t.MIN_NOTIONAL]:
        s[t.S_STATUS] = t.BELOW_MINIMUM
    if price != own:
        g[t.MOVED, s[t.S_MOVED]] = i
        s[t.S_MOVED] += 1
    send_order(i, price, last, now, p, s, g, due, log)


def _set_edges(p: Ints, s: Ints, g: Ints) -> None:
    # Prices at or beyond which something happens: fills, trades that may start, legs and orders that may go home.
    low, high = -t.FAR, t.FAR
    if s[t.S_TOP] >= 0:
        low = g[t.BID, s[t.S_TOP]] - p[t.EDGE]
    if s[t.S_BOTTOM] < g.shape[1]:
        high = g[t.ASK, s[t.S_BOTTOM]] + p[t.EDGE]
    for k in range(s[t.S_MOVED]):
        i = g[t.MOVED, k]
        leg = g[LEG, i]
        if g[t.HOLDING, i]:
            high = min(high, g[t.PRICE, i] + p[t.EDGE])
            if leg != g[t.ASK, i]:
                low = max(low, g[t.ASK, i] - p[OFFSET_SELL])
            if leg != g[t.PRICE, i]:
                low = max(low, leg - 1)
        else:
            low = max(low, g[t.PRICE, i] - p[t.EDGE])
            if leg != g[t.BID, i]:
                high = min(high, g[t.BID, i] + p[OFFSET_BUY])
            if leg != g[t.PRICE, i]:
                high = min(high, leg + 1)
    for i in range(g.shape[1]):
        if g[PHASE, i] == PENDING:
            high = min(high, g[t.BID, i] + 1)
            break  # the others stand higher
    s[t.S_LOW], s[t.S_HIGH] = low, high
