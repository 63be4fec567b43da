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
from core.atr_book_kernel import ask_at, bid_at, is_entry, move, place_of, tighten, write
from core.atr_candle_kernel import decide, recover
from core.atr_levels_kernel import bought, parted, target_of
from core.atr_orders_kernel import ROOM, is_hedge, is_late, mark, only_want, over, want, work
from core.atr_perp_kernel import book_2, move_2, pay, reach, sells, share, value_of
from core.atr_short_kernel import close_short, is_short, profit_at, short_fill, stop_band, stop_hit, tend
from core.path_kernel import price_at, rises_first, time_at
from core.search_kernel import next_outside
from core.wide_kernel import HALF, WIDE, minus, plus
from core.wide_kernel import over as over_by

Ints = NDArray[np.int64]


def run(
    ts: Ints, open_: Ints, high: Ints, low: Ints, close: Ints, low_1: Ints, high_1: Ints,
    open_2: Ints, high_2: Ints, low_2: Ints, close_2: Ints, low_1_2: Ints, high_1_2: Ints, told_ms: Ints, g: Ints,
    p: Ints, s: Ints, lv: Ints, w: Ints, lots: Ints, lines: Ints, queue: Ints, due: Ints, due_2: Ints, news: Ints, news_2: Ints,
    rates: Ints, log: Ints,
) -> int:  # fmt: skip
    """Run an ATR grid over all bars from its start; returns a status and leaves fills in `log` and scalars in `s`.

    `ts` is milliseconds, `low_1` and `high_1` are the extremes of every BLOCK bars, those with a 2 are the futures' (any
    without a hedge); `told_ms` says when each candle of the gauge `g` ends, `rates` rises in time and takes what was paid.
    `p` holds PARAMETERS numbers; the other tables are the run's own, of sizes that the caller chooses: after LOG_FULL
    `s[S_FILLS]` says how long `log` would have to be.
    """
    bars, told, paid = len(ts), 0, 0
    _begin(p, s, lv, w, lots)
    for row in range(p[a.RATES]):
        rates[a.R_PAID, row] = 0
    i = 0
    while i < bars and s[a.S_STATUS] == t.DONE:
        if i > 0:
            s[a.S_PRICE], s[a.S_PRICE_2] = close[i - 1], close_2[i - 1]
            s[a.S_TIME] = s[a.S_TIME_2] = ts[i - 1] * 1000 + p[a.CLOSE_US]
        before = told
        while told < len(told_ms) and told_ms[told] <= ts[i]:
            told += 1
        s[a.S_COUNT], s[a.S_BAR], s[a.S_OPENED] = told, i, ts[i] * 1000
        paid = pay(paid, i, p, s, rates)
        _bar(
            i, told > before, open_, high, low, close, open_2, high_2, low_2, close_2, g,
            p, s, lv, w, lots, lines, queue, due, due_2, news, news_2, log,
        )  # fmt: skip
        s[a.S_VISITED] += 1
        i += 1
        if s[a.S_DUE] == 0 and s[a.S_DUE_2] == 0:
            end = bars
            if told < len(told_ms):
                end = _first_at(told_ms[told], ts, i, p)
            if s[a.S_HELD_2] > 0 and paid < p[a.RATES]:
                end = min(end, rates[a.R_BAR, paid])
            end = next_outside(low, high, low_1, high_1, i, end, s[a.S_LOW], s[a.S_HIGH])
            i = next_outside(low_2, high_2, low_1_2, high_1_2, i, end, -t.FAR, s[a.S_HIGH_2]) if p[a.HEDGE] else end
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


def _begin(p: Ints, s: Ints, lv: Ints, w: Ints, lots: Ints) -> None:
    for k in range(a.SCALARS):
        s[k] = 0
    for i in range(lv.shape[1]):
        for row in range(a.LEVEL_ROWS):
            if row != a.L_RANK:
                lv[row, i] = 0
    for leg in range(w.shape[1]):
        for row in range(a.LEG_ROWS):
            w[row, leg] = 0
    for lot in range(lots.shape[1]):
        lots[a.T_QTY, lot] = 0
    s[a.S_CASH], s[a.S_QUOTE], s[a.S_NEXT_ID], s[a.S_NEXT_ID_2] = p[a.CASH], p[a.OPENING], 1, 1
    s[a.S_QUOTE_2], s[a.S_QUOTE_2_LOW] = p[a.OPENING_2], p[a.OPENING_2_LOW]
    s[a.S_ROOM] = a.UNBOUNDED
    if p[a.CAPPED]:
        _find_room(p, s)
    s[a.S_ASKED_AT] = s[a.S_OPENED_AT] = s[a.S_OFF_SINCE] = a.NEVER
    s[a.S_BID], s[a.S_ASK], s[a.S_LOW], s[a.S_HIGH], s[a.S_HIGH_2] = -t.FAR, t.FAR, -t.FAR, t.FAR, t.FAR


def _bar(
    i: int, told: bool, open_: Ints, high: Ints, low: Ints, close: Ints, open_2: Ints, high_2: Ints, low_2: Ints, close_2: Ints,
    g: Ints, p: Ints, s: Ints, lv: Ints, w: Ints, lots: Ints, lines: Ints, queue: Ints, due: Ints, due_2: Ints, news: Ints,
    news_2: Ints, log: Ints,
) -> None:  # fmt: skip
    rises = rises_first(open_[i], high[i], low[i], p[a.PATH])
    for k in range(4):
        price = price_at(k, open_[i], high[i], low[i], close[i], rises)
        price_2 = price_at(k, open_2[i], high_2[i], low_2[i], close_2[i], rises)
        at = time_at(k, s[a.S_OPENED], p[a.THIRD_US], p[a.CLOSE_US])
        fresh = told and k == 0
        asked = fresh or (k == 0 and s[a.S_FUNDED] > 0)
        quiet = s[a.S_DUE] == 0 and s[a.S_DUE_2] == 0 and s[a.S_LOW] < price < s[a.S_HIGH] and price_2 < s[a.S_HIGH_2]
        if quiet or (i == 0 and k == 0):
            # The first price falls from the sky: nothing rests yet.
            s[a.S_PRICE], s[a.S_TIME], s[a.S_PRICE_2], s[a.S_TIME_2] = price, at, price_2, at
        else:
            move(price, at, p, s, w, due, news)
            if p[a.HEDGE]:
                move_2(price_2, at, p, s, w, due_2, news_2)
        if asked or not quiet:
            s[a.S_NOW], s[a.S_LAST], s[a.S_LAST_2] = at, price, price_2
            _tell_touch(price, price_2, p, s)
            _settle(fresh, g, p, s, lv, w, lots, lines, queue, due, due_2, news, news_2, log)
        if s[a.S_STATUS] != t.DONE:
            return


def _tell_touch(price: int, price_2: int, p: Ints, s: Ints) -> None:
    if p[a.HALF_NUM] == 0:
        s[a.S_TOUCH_BID] = s[a.S_TOUCH_ASK] = price
        s[a.S_TOUCH_BID_2] = s[a.S_TOUCH_ASK_2] = price_2
        return
    s[a.S_TOUCH_BID], s[a.S_TOUCH_ASK] = bid_at(price, p[a.TICK], p), ask_at(price, p[a.TICK], p)
    if p[a.HEDGE]:
        s[a.S_TOUCH_BID_2], s[a.S_TOUCH_ASK_2] = bid_at(price_2, p[a.TICK_2], p), ask_at(price_2, p[a.TICK_2], p)


def _settle(
    fresh: bool, g: Ints, p: Ints, s: Ints, lv: Ints, w: Ints, lots: Ints, lines: Ints, queue: Ints,
    due: Ints, due_2: Ints, news: Ints, news_2: Ints, log: Ints,
) -> None:  # fmt: skip
    # What the engine does at one moment, round by round: fills and ends are booked, the machine answers, legs are worked.
    if s[a.S_MOVED]:
        _look_at_moved(s, w, queue)
    first, sent = True, 0
    while s[a.S_STATUS] == t.DONE:
        events = _book(p, s, lv, w, lots, queue, news, news_2, log)
        reach(s[a.S_PRICE_2], p, s)
        if first or events or _stopped_again(sent, p, s, w):
            for k in range(s[a.S_NEWS]):
                _fold(k, p, s, lv, w, lines, news)
            for k in range(s[a.S_NEWS_2]):
                _fold(k, p, s, lv, w, lines, news_2)
            _step(fresh, events or fresh, p, s, lv, lines, g, queue[ROOM])
            _say_wants(p, s, lv, w, queue)
        s[a.S_NEWS] = s[a.S_NEWS_2] = 0
        first = fresh = False
        sent = work(s[a.S_LAST], s[a.S_NOW], p, s, lv, w, queue, due, due_2, news, news_2)
        if sent == 0:
            break
    tighten(p, s, w)
    if p[a.HEDGE]:
        s[a.S_HIGH_2] = stop_band(p, s)


def _stopped_again(sent: int, p: Ints, s: Ints, w: Ints) -> bool:
    # Whether the machine is asked though nothing was traded: a candle wanted a short back that is beyond its stop, and
    # something else makes the engine look at the bot.
    if not p[a.HEDGE] or not is_short(p, s):
        return False
    h, low = profit_at(s[a.S_TOUCH_ASK_2], p, s)
    return stop_hit(h, low, p, s) and (sent == 2 or is_late(s, w))


def _step(fresh: bool, news: bool, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    # The machine's answer once its events are taken in: the hard stop, the closed candle, the hedge's size.
    stopped = False
    if p[a.HEDGE] and is_short(p, s):
        h, low = profit_at(s[a.S_TOUCH_ASK_2], p, s)
        if stop_hit(h, low, p, s):
            stopped = True
            close_short(p, s)
            if not s[a.S_RECOVERY]:
                recover(a.MAX_LOSS, p, s, lv, room)
    if fresh and s[a.S_COUNT] >= a.WARMUP:
        decide(s[a.S_COUNT] - 1, p, s, lv, lines, g, room)
    if p[a.HEDGE]:
        tend(news or stopped, p, s)


def _look_at_moved(s: Ints, w: Ints, queue: Ints) -> None:
    # Orders that stand behind their own price are looked at again each time anything is.
    for leg in range(w.shape[1]):
        if w[a.W_VENUE, leg] == a.RESTS and w[a.W_OPRICE, leg] != w[a.W_PRICE, leg]:
            mark(leg, s, w, queue)


def _book(p: Ints, s: Ints, lv: Ints, w: Ints, lots: Ints, queue: Ints, news: Ints, news_2: Ints, log: Ints) -> bool:
    # Book all that was traded and put the orders away that are over; whether anything was traded.
    traded = False
    for k in range(s[a.S_NEWS]):
        leg, qty = news[k, a.NEWS_LEG], news[k, a.NEWS_QTY]
        if news[k, a.NEWS_FILLED]:
            traded = True
            write(k, 0 if is_entry(leg) else 1, s, w, news, log)
            sign = 1 if is_entry(leg) else -1
            s[a.S_INVENTORY] += qty * sign
            lv[a.L_OPEN, place_of(leg)] += qty * sign
            _book_lots(k, p, s, w, lots, news)
        if is_entry(leg):
            s[a.S_LIVE_ENTRY] -= w[a.W_OQTY, leg]
            s[a.S_LIVE_VALUE] -= w[a.W_OQTY, leg] * w[a.W_OPRICE, leg]
        over(leg, qty, s, w, queue)
    if traded and p[a.CAPPED]:
        _find_room(p, s)
    s[a.S_SHUT] = 0
    for k in range(s[a.S_NEWS_2]):
        leg = news_2[k, a.NEWS_LEG]
        if news_2[k, a.NEWS_FILLED]:
            traded = True
            write(k, 2, s, w, news_2, log)
            book_2(k, p, s, w, news_2)
        over(leg, news_2[k, a.NEWS_QTY], s, w, queue)
    return traded


def _find_room(p: Ints, s: Ints) -> None:
    # What purchases under way may be worth beside the lots; floored, which their whole numbers do not feel.
    h, low = minus(p[a.MOST_QUOTE], p[a.MOST_QUOTE_LOW], s[a.S_NET_COST], s[a.S_NET_COST_LOW])
    for _ in range(p[a.FINE_NINES]):
        h, low, _ = over_by(h, low, HALF)
    h, low, _ = over_by(h, low, p[a.FINE_REST])
    s[a.S_ROOM] = h * WIDE + low


def _book_lots(k: int, p: Ints, s: Ints, w: Ints, lots: Ints, news: Ints) -> None:
    # A purchase opens or enlarges the lot of its cycle; a sale closes those of its place, the oldest first.
    leg, qty, price = news[k, a.NEWS_LEG], news[k, a.NEWS_QTY], news[k, a.NEWS_PRICE]
    first, cycle = place_of(leg) * a.SLOTS, w[a.W_CYCLE, leg]
    h, low = s[a.S_NET_COST], s[a.S_NET_COST_LOW]
    if is_entry(leg):
        lot = _lot_of(first, cycle, s, lots)
        cost_h, cost = value_of(price, qty, p)
        s[a.S_NET_COST], s[a.S_NET_COST_LOW] = plus(h, low, cost_h, cost)
        if lots[a.T_QTY, lot] == 0:
            lots[a.T_CYCLE, lot], lots[a.T_OPENED, lot] = cycle, news[k, a.NEWS_US]
            lots[a.T_COST, lot] = lots[a.T_COST_LOW, lot] = 0
        lots[a.T_QTY, lot] += qty
        lots[a.T_COST, lot], lots[a.T_COST_LOW, lot] = plus(lots[a.T_COST, lot], lots[a.T_COST_LOW, lot], cost_h, cost)
        return
    while qty > 0 and s[a.S_STATUS] == t.DONE:
        lot = _oldest(first, s, lots)
        if lot < 0:
            s[a.S_STATUS] = a.STRANGE
            return
        part = min(qty, lots[a.T_QTY, lot])
        cost_h, cost = share(lots[a.T_COST, lot], lots[a.T_COST_LOW, lot], part, lots[a.T_QTY, lot], s)
        lots[a.T_COST, lot], lots[a.T_COST_LOW, lot] = minus(lots[a.T_COST, lot], lots[a.T_COST_LOW, lot], cost_h, cost)
        lots[a.T_QTY, lot] -= part
        qty -= part
        h, low = minus(h, low, cost_h, cost)
    s[a.S_NET_COST], s[a.S_NET_COST_LOW] = h, low


def _lot_of(first: int, cycle: int, s: Ints, lots: Ints) -> int:
    free = -1
    for lot in range(first, first + a.SLOTS):
        if lots[a.T_QTY, lot] == 0:
            free = lot
        elif lots[a.T_CYCLE, lot] == cycle:
            return lot
    if free < 0:
        s[a.S_STATUS] = a.CROWDED
        return first
    return free


def _oldest(first: int, s: Ints, lots: Ints) -> int:
    oldest = -1
    for lot in range(first, first + a.SLOTS):
        if lots[a.T_QTY, lot] == 0:
            continue
        if oldest >= 0 and lots[a.T_OPENED, lot] == lots[a.T_OPENED, oldest]:
            s[a.S_STATUS] = a.STRANGE
        if oldest < 0 or lots[a.T_OPENED, lot] < lots[a.T_OPENED, oldest]:
            oldest = lot
    return oldest


def _fold(k: int, p: Ints, s: Ints, lv: Ints, w: Ints, lines: Ints, news: Ints) -> None:
    if not news[k, a.NEWS_FILLED]:
        return
    leg, price, qty = news[k, a.NEWS_LEG], news[k, a.NEWS_PRICE], news[k, a.NEWS_QTY]
    cycle = w[a.W_CYCLE, leg]
    if is_hedge(leg, p):
        short_fill(cycle, sells(leg, p), price, qty, news[k, a.NEWS_US], p, s)
    elif is_entry(leg):
        bought(place_of(leg), cycle, price, qty, p, s, lv)
    else:
        parted(place_of(leg), cycle, price, qty, p, s, lv, lines)


def _say_wants(p: Ints, s: Ints, lv: Ints, w: Ints, queue: Ints) -> None:
    # Derive the legs of each level that changed, and of the hedge, and hold them against what was wanted.
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
        only_want(i, entry, leave, s, w, queue)
    if s[a.S_SHORT_CHANGED]:
        s[a.S_SHORT_CHANGED] = 0
        place, cycle = p[a.LEVELS], s[a.S_SHORT_CYCLE]
        for side in range(2):
            qty, leg = s[a.S_ASKED_SELL + side], -1
            if qty > 0:
                leg = want(place + side, a.ENTRY, cycle, qty, s[a.S_CAP_SELL + side], 0, s, w, queue)
            only_want(place + side, leg, leg, s, w, queue)
