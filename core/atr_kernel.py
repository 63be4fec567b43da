"""The ATR grid of `core.machines.atr_grid` at the venue of `core.simulation`, compiled, over whole numbers. An optimisation only.

The core is the specification: every fill here, with its time, price, cycle, attempt and trade number, must be the one that
`core.backtest.run` gives, and tests compare them. Nothing is approximated: what is not modelled ends the run with a status
other than `DONE`, and the caller refuses or leaves the work to the core.

A level's legs are worked as the order layer works them (`core.atr_orders_kernel`), the venue is `core.atr_book_kernel`, the
levels `core.atr_levels_kernel`, a closed candle `core.atr_candle_kernel`. Bars between two candles are skipped where no
price that matters is reached.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core import grid_table as t
from core.atr_book_kernel import is_entry, move, place_of, tighten
from core.atr_candle_kernel import decide
from core.atr_levels_kernel import bought, parted, target_of
from core.atr_orders_kernel import over, unwant, want, work
from core.search_kernel import next_outside

Ints = NDArray[np.int64]


def run(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints, told_ms: Ints, g: Ints,
    p: Ints, s: Ints, lv: Ints, w: Ints, lines: Ints, queue: Ints, due: Ints, news: Ints, log: Ints,
) -> int:  # fmt: skip
    """Run an ATR grid over all bars from its start; returns a status and leaves fills in `log` and scalars in `s`.

    `ts` is milliseconds, `low_1` and `high_1` are the extremes of every BLOCK bars, `told_ms` says when each candle of the
    gauge `g` ends. `p` holds PARAMETERS numbers; the other tables are the run's own, of sizes that the caller chooses:
    after LOG_FULL `s[S_FILLS]` says how long `log` would have to be.
    """
    bars, told = len(ts), 0
    _begin(p, s, lv, w)
    i = 0
    while i < bars and s[a.S_STATUS] == t.DONE:
        if i > 0:
            s[a.S_PRICE], s[a.S_TIME] = close[i - 1], ts[i - 1] * 1000 + p[a.CLOSE_US]
        before = told
        while told < len(told_ms) and told_ms[told] <= ts[i]:
            told += 1
        s[a.S_COUNT], s[a.S_BAR], s[a.S_OPENED] = told, i, ts[i] * 1000
        _bar(i, told > before, open_, high, low, close, g, p, s, lv, w, lines, queue, due, news, log)
        s[a.S_VISITED] += 1
        i += 1
        if s[a.S_DUE] == 0:
            end = bars
            if told < len(told_ms):
                end = _first_at(told_ms[told], ts, i, p)
            i = next_outside(low, high, low_1, high_1, i, end, s[a.S_LOW], s[a.S_HIGH])
    if s[a.S_STATUS] == t.DONE and s[a.S_FILLS] > len(log):
        s[a.S_STATUS] = t.LOG_FULL
    return s[a.S_STATUS]


def _first_at(at_ms: int, ts: Ints, start: int, p: Ints) -> int:
    # The first bar from `start` on that opens at or after a time; bars are at least a timeframe apart.
    step_ms = p[a.CLOSE_US] // 1000 + 1
    i = min(len(ts), max(start, start - 1 - (ts[start - 1] - at_ms) // step_ms))
    while i > start and ts[i - 1] >= at_ms:
        i -= 1
    return i


def _begin(p: Ints, s: Ints, lv: Ints, w: Ints) -> None:
    for k in range(a.SCALARS):
        s[k] = 0
    for i in range(p[a.LEVELS]):
        for row in range(a.LEVEL_ROWS):
            if row != a.L_RANK:
                lv[row, i] = 0
    for leg in range(w.shape[1]):
        for row in range(a.LEG_ROWS):
            w[row, leg] = 0
    s[a.S_CASH], s[a.S_QUOTE], s[a.S_NEXT_ID] = p[a.CASH], p[a.OPENING], 1
    s[a.S_BID], s[a.S_ASK], s[a.S_LOW], s[a.S_HIGH] = -t.FAR, t.FAR, -t.FAR, t.FAR


def _bar(
    i: int, told: bool, open_: Ints, high: Ints, low: Ints, close: Ints, g: Ints,
    p: Ints, s: Ints, lv: Ints, w: Ints, lines: Ints, queue: Ints, due: Ints, news: Ints, log: Ints,
) -> None:  # fmt: skip
    o, h, lo = open_[i], high[i], low[i]
    high_first = p[a.PATH] == t.HIGH_FIRST or (p[a.PATH] == t.NEARER_FIRST and h - o < o - lo)
    for k in range(4):
        price, at = o, s[a.S_OPENED]
        if k == 3:
            price, at = close[i], s[a.S_OPENED] + p[a.CLOSE_US]
        elif k > 0:
            price = h if high_first == (k == 1) else lo
            at = s[a.S_OPENED] + k * p[a.THIRD_US]
        if i == 0 and k == 0:
            # The first price falls from the sky: nothing rests yet.
            s[a.S_PRICE], s[a.S_TIME] = price, at
        quiet = s[a.S_DUE] == 0 and s[a.S_LOW] < price < s[a.S_HIGH]
        if quiet:
            s[a.S_PRICE], s[a.S_TIME] = price, at
        else:
            move(price, at, p, s, w, due, news, log)
        fresh = told and k == 0
        if fresh or not quiet:
            _settle(price, at, fresh, g, p, s, lv, w, lines, queue, due, news, log)
        if s[a.S_STATUS] != t.DONE:
            return


def _settle(
    price: int, now: int, told: bool, g: Ints,
    p: Ints, s: Ints, lv: Ints, w: Ints, lines: Ints, queue: Ints, due: Ints, news: Ints, log: Ints,
) -> None:  # fmt: skip
    # What the engine does at one moment, round by round: fills and ends are booked, the machine answers, legs are worked.
    if s[a.S_MOVED]:
        _look_at_moved(s, w, queue)
    s[a.S_LAST] = price
    fresh = told
    while s[a.S_STATUS] == t.DONE:
        count = s[a.S_NEWS]
        _book(count, s, lv, w, queue, news)
        for k in range(count):
            _fold(k, p, s, lv, w, lines, news)
        s[a.S_NEWS] = 0
        if fresh and s[a.S_COUNT] >= a.WARMUP:
            decide(s[a.S_COUNT] - 1, p, s, lv, lines, g, queue[1])
        fresh = False
        _say_wants(p, s, lv, w, queue)
        if not work(price, now, p, s, lv, w, queue, due, news, log):
            break
    tighten(p, s, w)


def _look_at_moved(s: Ints, w: Ints, queue: Ints) -> None:
    # Orders that stand behind their own price are looked at again each time anything is.
    for leg in range(w.shape[1]):
        if w[a.W_VENUE, leg] == a.RESTS and w[a.W_OPRICE, leg] != w[a.W_PRICE, leg] and not w[a.W_MARK, leg]:
            w[a.W_MARK, leg] = 1
            queue[0, s[a.S_QUEUE]] = leg
            s[a.S_QUEUE] += 1


def _book(count: int, s: Ints, lv: Ints, w: Ints, queue: Ints, news: Ints) -> None:
    for k in range(count):
        leg, qty = news[k, a.NEWS_LEG], news[k, a.NEWS_QTY]
        sign = 1 if is_entry(leg) else -1
        s[a.S_INVENTORY] += qty * sign
        lv[a.L_OPEN, place_of(leg)] += qty * sign
        if lv[a.L_OPEN, place_of(leg)] < 0:
            s[a.S_STATUS] = a.STRANGE
        over(leg, qty, s, w, queue)


def _fold(k: int, p: Ints, s: Ints, lv: Ints, w: Ints, lines: Ints, news: Ints) -> None:
    if not news[k, a.NEWS_FILLED]:
        return
    leg, price, qty = news[k, a.NEWS_LEG], news[k, a.NEWS_PRICE], news[k, a.NEWS_QTY]
    if is_entry(leg):
        bought(place_of(leg), w[a.W_CYCLE, leg], price, qty, p, s, lv)
    else:
        parted(place_of(leg), w[a.W_CYCLE, leg], price, qty, p, s, lv, lines)


def _say_wants(p: Ints, s: Ints, lv: Ints, w: Ints, queue: Ints) -> None:
    # Derive the legs of each level that changed, and hold them against what was wanted.
    for i in range(p[a.LEVELS]):
        if not lv[a.L_CHANGED, i]:
            continue
        lv[a.L_CHANGED, i] = 0
        entry = leave = -1
        cycle, state = lv[a.L_CYCLE, i], lv[a.L_STATE, i]
        if state == a.RESTING:
            entry = want(i, a.ENTRY, cycle, lv[a.L_QTY, i], lv[a.L_PRICE, i], 1, s, w, queue)
        if state == a.HOLDING and lv[a.L_CUT_TO, i] > 0:
            leave = want(i, a.EXIT, cycle, lv[a.L_CUT_TO, i], lv[a.L_CAP, i], 0, s, w, queue)
        elif lv[a.L_HELD, i] > 0 and state != a.IDLE:
            target = lv[a.L_TARGET, i] if state == a.HOLDING else target_of(i, p, lv)
            leave = want(i, a.EXIT, cycle, lv[a.L_SOLD, i] + lv[a.L_HELD, i], target, 1, s, w, queue)
        for leg in range(i * 2 * a.SLOTS, (i + 1) * 2 * a.SLOTS):
            if leg not in (entry, leave):
                unwant(leg, s, w, queue)
