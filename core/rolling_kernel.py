"""The rolling grid of `core.machines.rolling_grid` at the venue of `core.simulation`, compiled, over whole numbers.

An optimisation only: the core is the specification, every fill must be the one that `core.backtest.run` gives, or the run
ends with a status other than `DONE`. This is the run: bars, the points of their path, and what is answered at each, in the
machine's order. Modelled are the one entry and its gates (`core.rolling_entry_kernel`), lots with their targets and stop losses
(`core.rolling_place_kernel`), their recovery without hedges (`core.rolling_recovery_kernel`), the stop price
(`core.rolling_stop_kernel`); orders are in `core.rolling_orders_kernel` and `core.rolling_book_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.path_kernel import price_at, rises_first, time_at
from core.rolling_book_kernel import buys, move
from core.rolling_entry_kernel import tend_entry
from core.rolling_orders_kernel import place_entry, place_exits, withdraw
from core.rolling_place_kernel import fold, guard_lots, tend_closings
from core.rolling_recovery_kernel import recover
from core.rolling_stop_kernel import guard_price, is_over, tend_unwind
from core.search_kernel import next_outside

Ints = NDArray[np.int64]


def run_rolling(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    p: Ints, s: Ints, g: Ints, due: Ints, log: Ints,
) -> int:  # fmt: skip
    """Run a rolling grid over all bars from its start: arguments as of `core.grid_kernel.run`.

    Its table has three columns a place, and more for lots that leave in parts.
    """
    bars = len(ts)
    _begin(p, s, g)
    i = 0
    while i < bars and s[t.S_STATUS] == t.DONE and s[t.S_OVER] == 0:
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


def _begin(p: Ints, s: Ints, g: Ints) -> None:
    for j in range(r.ROLLING_SCALARS):
        s[j] = 0
    for c in range(g.shape[1]):
        for row in range(t.HOLDING, r.ROLLING_ROWS):
            g[row, c] = 0
        g[t.ORDER, c], g[r.OWNER, c] = -1, c % p[r.PLACES]
        g[r.ENTERS, c] = p[r.PLACES] <= c < 3 * p[r.PLACES]
    s[r.R_OPENED_AT], s[r.R_COLUMNS] = -1, 3 * p[r.PLACES]
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
    rises = rises_first(open_, high, low, p[t.PATH])
    for k in range(4):
        price = price_at(k, open_, high, low, close, rises)
        at = time_at(k, opened_us, p[t.THIRD_US], p[t.CLOSE_US])
        if first and k == 0:
            # The first price falls from the sky: nothing rests yet.
            s[t.S_PRICE], s[t.S_TIME] = price, at
        elif s[t.S_DUE_FROM] == s[t.S_DUE_TO] and s[t.S_LOW] < price < s[t.S_HIGH] and at < s[r.R_NEXT_AT]:
            s[t.S_PRICE], s[t.S_TIME] = price, at
            continue
        else:
            move(price, at, p, s, g, due, log)
        _settle(price, at, p, s, g, due, log)
        if s[t.S_STATUS] != t.DONE or s[t.S_OVER]:
            return


def _settle(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    # What engine and machine do at one moment, round by round: fills, what protects, the entry, then the orders.
    again = True
    while again and s[t.S_STATUS] == t.DONE:
        _take_in(now, p, s, g)
        if p[r.STOP_AT]:
            guard_price(price, p, s, g, due)
        if s[r.R_PHASE] == r.TRADES:
            guard_lots(price, now, p, s, g, due)
            if p[r.STUCK_DEN]:
                recover(price, now, p, s, g, due)
            tend_closings(price, now, p, s, g)
        tend_entry(price, now, p, s, g, due)
        first, sent = s[t.S_NEXT_ID], False
        if s[t.S_UNWINDS]:
            sent = tend_unwind(price, now, p, s, g, due, log)
        if s[t.S_UNWINDS] == 0:
            sent = place_exits(price, now, p, s, g, due, log)
        place_entry(price, now, p, s, g, due, log)
        back = withdraw(price, now, p, s, g, due)
        again = sent or back == 2
        if s[r.R_AGAIN] and not again:
            again = s[t.S_NEXT_ID] > first or (back == 1 and (s[r.R_AGAIN] == r.BY_TIME or _is_awake(now, p, s, g)))
    _set_edges(now, p, s, g)
    if s[r.R_TRIPPED]:
        s[t.S_OVER] = is_over(s, g)


def _is_awake(now: int, p: Ints, s: Ints, g: Ints) -> bool:
    # Whether the engine would look at the bot once more at this moment though it has heard nothing: as at every moment.
    if p[r.UNBOUNDED] or s[r.R_NEXT_AT] == 0:
        return True
    for c in range(s[r.R_COLUMNS]):
        closes = c < p[r.PLACES] and g[r.DOES, c] == r.CLOSING
        late = (
            g[t.STATE, c] != t.ABSENT and g[t.CANCELING, c] > 0 and now >= g[t.CANCELING, c] + r.PATIENCE_OF_CANCELS_US
        )
        if closes or late:
            return True
    return False


def _take_in(now: int, p: Ints, s: Ints, g: Ints) -> None:
    # Trades first, then orders that are over: a cancel still on its way to one finds nothing.
    for k in range(s[t.S_QUEUE]):
        fold(g[t.QUEUE, k], now, p, s, g)
    s[t.S_QUEUE] = s[r.R_AGAIN] = 0
    columns = s[r.R_COLUMNS]
    for c in range(columns):
        if g[t.STATE, c] == t.ABSENT:
            g[t.ORDER, c] = -1
    last = columns - 1
    while last >= 3 * p[r.PLACES] and g[r.LEFT, last] == 0 and g[t.ORDER, last] < 0:
        last -= 1
    s[r.R_COLUMNS] = last + 1


def _set_edges(now: int, p: Ints, s: Ints, g: Ints) -> None:
    # Prices and the time at or beyond which something happens.
    low, high, n, columns, through = s[r.R_NEAR], s[r.R_OVER], p[r.PLACES], s[r.R_COLUMNS], p[t.EDGE]
    for c in range(columns):
        if g[t.STATE, c] == t.LIVE:
            moved = g[t.PRICE, c] != g[r.WANTED, c] and (c < 2 * n or g[r.LEFT, c] > 0)
            if buys(c, p, g):
                low = max(low, g[t.PRICE, c] - through)
                high = min(high, g[r.WANTED, c] + 1) if moved else high
            else:
                high = min(high, g[t.PRICE, c] + through)
                low = max(low, g[r.WANTED, c] - 1) if moved else low
    for i in range(n):
        if g[r.HELD, i] == 0:
            continue
        edge = _edge_of(i, now, p, s, g)
        if p[t.SHORT]:
            high = min(high, edge)
        else:
            low = max(low, edge)
    if p[r.STOP_AT]:
        stopped = s[r.R_PHASE] == r.STOPPED
        edge = p[r.STOP_BACK] if stopped else p[r.STOP_AT]
        if (p[r.STOP_FALLS] == 1) == stopped:
            high = min(high, edge)
        else:
            low = max(low, edge)
        if s[r.R_PHASE] == r.FLATTENS:
            s[r.R_NEXT_AT] = 0
    s[t.S_LOW], s[t.S_HIGH] = low, high


def _edge_of(i: int, now: int, p: Ints, s: Ints, g: Ints) -> int:
    # The price at which something is done about a place that holds something; the time of it goes into NEXT_AT.
    edge = g[r.STOP, i]
    if g[r.DOES, i] == r.CLOSING:
        s[r.R_NEXT_AT] = 0  # every moment is looked at
    elif g[r.EPISODE, i]:
        s[r.R_NEXT_AT] = min(s[r.R_NEXT_AT], g[r.ANCHORED, i] + p[r.PATIENCE_US])
        if g[r.ESCALATED, i] == 0:
            s[r.R_NEXT_AT] = min(s[r.R_NEXT_AT], g[r.STUCK_SINCE, i] + p[r.ESCALATE_US])
    elif p[r.STUCK_DEN] and g[r.DOES, i] != r.ENTERING:
        old = g[r.SINCE, i] + p[r.TIMEOUT_US]
        if now < old:
            s[r.R_NEXT_AT] = min(s[r.R_NEXT_AT], old)
        elif p[t.SHORT]:
            edge = min(edge, g[r.STUCK_AT, i])
        else:
            edge = max(edge, g[r.STUCK_AT, i])
    return edge
