"""The venue's half of the compiled ATR grid: orders on their way and in the book, the path between two points, fills.

What `core.simulation` does for spot orders that fill in full. `p` are parameters, `s` scalars, `w` the legs with their
orders, `due` what is on its way, `news` what the engine has not heard yet; `core.atr_table` has the words.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core import grid_table as t

Ints = NDArray[np.int64]


def is_entry(leg: int) -> bool:
    """Whether a leg buys: the first SLOTS of each place."""
    return leg // a.SLOTS % 2 == a.ENTRY


def place_of(leg: int) -> int:
    """Return the place of a leg."""
    return leg // (2 * a.SLOTS)


def submit(leg: int, price: int, now: int, p: Ints, s: Ints, w: Ints, due: Ints, news: Ints) -> None:
    """Take an order in: set aside what it needs, and send it on its way or to the book. `price` is the last one."""
    qty = w[a.W_OQTY, leg]
    if is_entry(leg):
        need = w[a.W_OPRICE, leg] * qty * (p[a.FEE_DEN] + max(p[a.MAKER], p[a.TAKER])) * p[a.MONEY_FEE_MUL]
        free = s[a.S_QUOTE] - s[a.S_LOCKED_QUOTE]
        s[a.S_LOCKED_QUOTE] += need
    else:
        need = qty
        free = s[a.S_INVENTORY] - s[a.S_LOCKED_BASE]
        s[a.S_LOCKED_BASE] += need
    if need > free:
        s[a.S_STATUS] = a.NO_FUNDS
    w[a.W_LOCKED, leg] = need
    w[a.W_ORDER, leg] = s[a.S_NEXT_ID]
    s[a.S_NEXT_ID] += 1
    if p[a.LATENCY_US]:
        w[a.W_VENUE, leg] = a.SENT
        send(leg, 1, now, p, s, w, due)
    else:
        activate(leg, price, now, p, s, w, news)


def recall(leg: int, now: int, p: Ints, s: Ints, w: Ints, due: Ints, news: Ints) -> None:
    """Take a cancel in: it works at once, or later."""
    if p[a.LATENCY_US]:
        send(leg, 0, now, p, s, w, due)
    else:
        end(leg, s, w, news)


def send(leg: int, places: int, now: int, p: Ints, s: Ints, w: Ints, due: Ints) -> None:
    """Put an order or its cancel on the queue."""
    s[a.S_DUE] = line_up(leg, places, now + p[a.LATENCY_US], s[a.S_DUE], s, w, due)


def line_up(leg: int, places: int, at: int, k: int, s: Ints, w: Ints, due: Ints) -> int:
    """Add to a queue of `k`, which goes by time, then by the order's number, cancels first; returns its length."""
    if k == len(due):
        s[a.S_STATUS] = a.CROWDED
        return k
    length, order = k + 1, w[a.W_ORDER, leg]
    while k > 0 and (
        due[k - 1, a.DUE_US] > at
        or (due[k - 1, a.DUE_US] == at and due[k - 1, a.DUE_ORDER] * 2 + due[k - 1, a.DUE_PLACES] > order * 2 + places)
    ):
        for column in range(a.DUE_COLUMNS):
            due[k, column] = due[k - 1, column]
        k -= 1
    due[k, a.DUE_US], due[k, a.DUE_ORDER], due[k, a.DUE_PLACES], due[k, a.DUE_LEG] = at, order, places, leg
    return length


def next_due(k: int, due: Ints) -> int:
    """Take the first of a queue of `k` away; returns its length."""
    for row in range(k - 1):
        for column in range(a.DUE_COLUMNS):
            due[row, column] = due[row + 1, column]
    return k - 1


def bid_at(last: int, tick: int, p: Ints) -> int:
    """Return the best bid around a last price: half the spread below it, on the tick; without a spread the price itself."""
    if p[a.HALF_NUM] == 0:
        return last
    return last * (p[a.HALF_DEN] - p[a.HALF_NUM]) // (p[a.HALF_DEN] * tick) * tick


def ask_at(last: int, tick: int, p: Ints) -> int:
    """Return the best ask around a last price, as `bid_at`."""
    if p[a.HALF_NUM] == 0:
        return last
    return -(-last * (p[a.HALF_DEN] + p[a.HALF_NUM]) // (p[a.HALF_DEN] * tick)) * tick


def activate(leg: int, last: int, now: int, p: Ints, s: Ints, w: Ints, news: Ints) -> None:
    """Bring an order to the book: it rests, takes the touch, or is refused where it may not."""
    buys, price = is_entry(leg), w[a.W_OPRICE, leg]
    touch = ask_at(last, p[a.TICK], p) if buys else bid_at(last, p[a.TICK], p)
    crosses = price >= touch if buys else price <= touch
    if crosses and w[a.W_OPOST, leg]:
        end(leg, s, w, news)
    elif crosses:
        fill(leg, touch, now, False, p, s, w, news)
    else:
        w[a.W_VENUE, leg] = a.RESTS
        s[a.S_STALE] = 1


def end(leg: int, s: Ints, w: Ints, news: Ints) -> None:
    """End an order without a trade."""
    _unlock(leg, s, w)
    s[a.S_NEWS] = tell(leg, s[a.S_NEWS], s, news)


def _unlock(leg: int, s: Ints, w: Ints) -> None:
    if w[a.W_VENUE, leg] == a.RESTS:
        s[a.S_STALE] = 1
    s[a.S_LOCKED_QUOTE if is_entry(leg) else a.S_LOCKED_BASE] -= w[a.W_LOCKED, leg]
    w[a.W_VENUE, leg] = a.OVER


def tell(leg: int, k: int, s: Ints, news: Ints) -> int:
    """Add a line to the news, of an order that ended; returns how many there are."""
    if k == len(news):
        s[a.S_STATUS] = a.CROWDED
        return k
    for column in range(a.NEWS_COLUMNS):
        news[k, column] = 0
    news[k, a.NEWS_LEG] = leg
    return k + 1


def tell_fill(
    leg: int, k: int, price: int, qty: int, now: int, maker: bool, fee: int, trade: int, s: Ints, news: Ints
) -> int:
    """Add a trade to the news; returns how many lines there are."""
    after = tell(leg, k, s, news)
    if after > k:
        news[k, a.NEWS_FILLED], news[k, a.NEWS_PRICE], news[k, a.NEWS_QTY], news[k, a.NEWS_US] = 1, price, qty, now
        news[k, a.NEWS_MAKER], news[k, a.NEWS_FEE], news[k, a.NEWS_TRADE] = maker, fee, trade
    return after


def fill(leg: int, price: int, now: int, maker: bool, p: Ints, s: Ints, w: Ints, news: Ints) -> None:
    """Execute an order in full."""
    _unlock(leg, s, w)
    qty = w[a.W_OQTY, leg]
    value = price * qty
    fee = -((-value * (p[a.PAID_MAKER] if maker else p[a.PAID_TAKER])) // p[a.PAID_DEN])
    sign = 1 if is_entry(leg) else -1
    s[a.S_QUOTE] -= value * p[a.MONEY_MUL] * sign + fee * p[a.PAID_MUL]
    if s[a.S_QUOTE] > a.GROWTH * p[a.OPENING]:
        s[a.S_STATUS] = a.STRANGE
    s[a.S_NEWS] = tell_fill(leg, s[a.S_NEWS], price, qty, now, maker, fee, s[a.S_NEXT_ID], s, news)
    s[a.S_NEXT_ID] += 1


def write(k: int, exits: int, s: Ints, w: Ints, news: Ints, log: Ints) -> None:
    """Log a trade of the news as the engine books it; `exits` is 0 for a purchase, 1 for a sale, 2 for a hedge."""
    row, leg, now = s[a.S_FILLS], news[k, a.NEWS_LEG], news[k, a.NEWS_US]
    s[a.S_FILLS] = row + 1
    if row >= len(log):
        return  # counted on, so that the caller learns how much room is needed
    log[row, t.FILL_US] = now
    # Between two candles further apart than their length, a fill belongs to the one before.
    log[row, t.FILL_BAR] = s[a.S_BAR] - (now < s[a.S_OPENED])
    log[row, t.FILL_LEVEL] = place_of(leg)
    log[row, t.FILL_CYCLE] = w[a.W_CYCLE, leg]
    log[row, t.FILL_ATTEMPT] = w[a.W_ATTEMPT, leg]
    log[row, t.FILL_EXIT] = exits
    log[row, t.FILL_PRICE] = news[k, a.NEWS_PRICE]
    log[row, t.FILL_QTY] = news[k, a.NEWS_QTY]
    log[row, t.FILL_MAKER] = news[k, a.NEWS_MAKER]
    log[row, t.FILL_TRADE] = news[k, a.NEWS_TRADE]
    log[row, t.FILL_FEE] = news[k, a.NEWS_FEE]


def move(price: int, now: int, p: Ints, s: Ints, w: Ints, due: Ints, news: Ints) -> None:
    """Lead the price along a straight line to `price` at `now`, filling and activating what it meets."""
    start, since = s[a.S_PRICE], s[a.S_TIME]
    while s[a.S_DUE] and due[0, a.DUE_US] <= now:
        when, order, places, leg = due[0, a.DUE_US], due[0, a.DUE_ORDER], due[0, a.DUE_PLACES], due[0, a.DUE_LEG]
        s[a.S_DUE] = next_due(s[a.S_DUE], due)
        if w[a.W_VENUE, leg] == a.AWAY or w[a.W_ORDER, leg] != order:
            continue  # it was over before this move
        here = between(start, since, price, now, when, s[a.S_PRICE], p[a.TICK], s)
        at = max(when, since)
        _sweep(here, at, p, s, w, news)
        if w[a.W_VENUE, leg] == a.OVER:
            continue
        if places:
            activate(leg, here, at, p, s, w, news)
        else:
            end(leg, s, w, news)
    _sweep(price, now, p, s, w, news)
    s[a.S_TIME] = now


def between(start: int, since: int, end_: int, now: int, at: int, here: int, tick: int, s: Ints) -> int:
    """Return where the straight path is at `at`, rounded to the tick towards its start; `here` is where it is by now."""
    if at <= since or now <= since:
        return here
    share = at - since
    way = (end_ - start) * share
    down = way // (now - since)
    if down * (now - since) == way and abs(down) * 20 > start and not _terminates(share, now - since):
        # The core divides to 28 digits; on so steep a path that may fall short of an exact tick.
        s[a.S_STATUS] = t.ROUNDING
    if end_ > start:
        return (start + down) // tick * tick
    return -((-start - -(-way // (now - since))) // tick) * tick


def _terminates(part: int, whole: int) -> bool:
    b, c = part, whole
    while c:
        b, c = c, b % c
    rest = whole // b
    while rest % 2 == 0:
        rest //= 2
    while rest % 5 == 0:
        rest //= 5
    return rest == 1


def _sweep(to: int, now: int, p: Ints, s: Ints, w: Ints, news: Ints) -> None:
    s[a.S_PRICE] = to
    tighten(p, s, w)
    while to <= s[a.S_BID] - p[a.EDGE]:
        leg = _first(True, s, w)
        fill(leg, w[a.W_OPRICE, leg], now, True, p, s, w, news)
        tighten(p, s, w)
    while to >= s[a.S_ASK] + p[a.EDGE]:
        leg = _first(False, s, w)
        fill(leg, w[a.W_OPRICE, leg], now, True, p, s, w, news)
        tighten(p, s, w)


def _first(buys: bool, s: Ints, w: Ints) -> int:
    # The resting order that fills first on a side: at one price the older one.
    best, price = -1, s[a.S_BID] if buys else s[a.S_ASK]
    for leg in range(w.shape[1]):
        if w[a.W_VENUE, leg] != a.RESTS or w[a.W_OPRICE, leg] != price or is_entry(leg) != buys:
            continue
        if best < 0 or w[a.W_ORDER, leg] < w[a.W_ORDER, best]:
            best = leg
    return best


def tighten(p: Ints, s: Ints, w: Ints) -> None:
    """Find the best resting prices, and the prices that matter next, where orders came or went."""
    if not s[a.S_STALE]:
        return
    s[a.S_STALE] = 0
    bid, ask, low, high, moved = -t.FAR, t.FAR, -t.FAR, t.FAR, 0
    num, den = p[a.HALF_NUM], p[a.HALF_DEN]
    for leg in range(w.shape[1]):
        if w[a.W_VENUE, leg] != a.RESTS:
            continue
        price, wished = w[a.W_OPRICE, leg], w[a.W_PRICE, leg]
        behind = w[a.W_STATUS, leg] == a.OPEN and w[a.W_WANTED, leg] and w[a.W_POST, leg] and wished != price
        if is_entry(leg):
            bid = max(bid, price)
            if behind:
                high, moved = min(high, wished * den // (den + num) + 1), moved + 1
        else:
            ask = min(ask, price)
            if behind:
                low, moved = max(low, -(-wished * den // (den - num)) - 1), moved + 1
    s[a.S_BID], s[a.S_ASK], s[a.S_MOVED] = bid, ask, moved
    s[a.S_LOW], s[a.S_HIGH] = max(low, bid - p[a.EDGE]), min(high, ask + p[a.EDGE])
