"""The venue's half of the compiled grid: orders on their way and in the book, the path between two points, fills.

What `core.simulation` does for one symbol and one order a level. Arguments as in `core.grid_kernel`: `p` parameters, `s`
scalars, `g` levels, `due` the queue of what is on its way, `log` the fills; `core.grid_table` names their places.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t

Ints = NDArray[np.int64]

# The cap of what closes everything doubles with each attempt, so many times.
DOUBLED_MOST = 6


def move(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Lead the price along a straight line to `price` at `now`, filling and activating what it meets."""
    start, since = s[t.S_PRICE], s[t.S_TIME]
    while s[t.S_DUE_FROM] < s[t.S_DUE_TO] and due[s[t.S_DUE_FROM], t.DUE_US] <= now:
        k = s[t.S_DUE_FROM]
        s[t.S_DUE_FROM] = k + 1
        i = due[k, t.DUE_LEVEL]
        if i >= 0 and g[t.ORDER, i] != due[k, t.DUE_ORDER]:
            continue  # it was over before this move, and another order has its place
        here = between(start, since, price, now, due[k, t.DUE_US], p, s)
        at = max(due[k, t.DUE_US], since)
        _sweep(here, at, p, s, g, log)
        if i < 0:
            unwind_now(here, at, p, s, g, log)
        elif g[t.STATE, i] == t.ABSENT:
            continue
        elif due[k, t.DUE_PLACES]:
            _activate(i, here, at, p, s, g, log)
        else:
            _take_off(i, p, s, g)
            end_order(i, s, g)
            g[t.ENDED, i] = at
    if s[t.S_DUE_FROM] == s[t.S_DUE_TO]:
        s[t.S_DUE_FROM] = s[t.S_DUE_TO] = 0
    _sweep(price, now, p, s, g, log)
    s[t.S_TIME] = now


def between(start: int, since: int, end: int, now: int, at: int, p: Ints, s: Ints) -> int:
    """Return where the straight path is at `at`, rounded to the tick towards its start."""
    if at <= since or now <= since:
        return s[t.S_PRICE]
    share = at - since
    way = (end - start) * share
    down = way // (now - since)
    if down * (now - since) == way and abs(down) * 20 > start and not _terminates(share, now - since):
        # The core divides to 28 digits; on so steep a path that may fall short of an exact tick.
        s[t.S_STATUS] = t.ROUNDING
    if end > start:
        return (start + down) // p[t.TICK] * p[t.TICK]
    return -((-start - -(-way // (now - since))) // p[t.TICK]) * p[t.TICK]


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


def is_bid(i: int, p: Ints, g: Ints) -> bool:
    """Whether a level's order buys: the entries of a long grid, the exits of a short one."""
    return g[t.HOLDING, i] == p[t.SHORT]


def _best(bid: bool, p: Ints, s: Ints, g: Ints) -> int:
    # The level whose resting order fills first on a side, or -1; at one price the older order does.
    best = s[t.S_TOP] if bid else s[t.S_BOTTOM]
    if best == g.shape[1]:
        best = -1
    sign = 1 if bid else -1
    for k in range(s[t.S_MOVED]):
        i = g[t.MOVED, k]
        if g[t.STATE, i] != t.LIVE or is_bid(i, p, g) != bid:
            continue
        ahead = 1 if best < 0 else (g[t.PRICE, i] - g[t.PRICE, best]) * sign
        if ahead > 0 or (ahead == 0 and g[t.ORDER, i] < g[t.ORDER, best]):
            best = i
    return best


def _sweep(to: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    s[t.S_PRICE] = to
    i = _best(True, p, s, g)
    while i >= 0 and to <= g[t.PRICE, i] - p[t.EDGE]:
        _take_off(i, p, s, g)
        _fill(i, g[t.PRICE, i], True, at, p, s, g, log)
        i = _best(True, p, s, g)
    i = _best(False, p, s, g)
    while i >= 0 and to >= g[t.PRICE, i] + p[t.EDGE]:
        _take_off(i, p, s, g)
        _fill(i, g[t.PRICE, i], True, at, p, s, g, log)
        i = _best(False, p, s, g)


def _take_off(i: int, p: Ints, s: Ints, g: Ints) -> None:
    # Out of the book and out of the list of moved orders, before the order ends in whichever way.
    bid = is_bid(i, p, g)
    if g[t.PRICE, i] != (g[t.BID, i] if bid else g[t.ASK, i]):
        last = s[t.S_MOVED] - 1
        k = 0
        while g[t.MOVED, k] != i:
            k += 1
        g[t.MOVED, k] = g[t.MOVED, last]
        s[t.S_MOVED] = last
    elif bid:
        g[t.ON_BID, i] = 0
        while s[t.S_TOP] >= 0 and g[t.ON_BID, s[t.S_TOP]] == 0:
            s[t.S_TOP] -= 1
    else:
        g[t.ON_ASK, i] = 0
        while s[t.S_BOTTOM] < g.shape[1] and g[t.ON_ASK, s[t.S_BOTTOM]] == 0:
            s[t.S_BOTTOM] += 1


def _activate(i: int, here: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    bid = is_bid(i, p, g)
    price = g[t.PRICE, i]
    if price >= here if bid else price <= here:
        if g[t.TAKES, i]:
            _fill(i, here, False, at, p, s, g, log)
        elif p[t.LATENCY_US] == 0:
            s[t.S_STATUS] = t.WOULD_CROSS  # the core backs off for a while; only safe_extra_spread 0 leads here
        else:
            _take_off(i, p, s, g)
            end_order(i, s, g)
            g[t.ENDED, i] = at
        return
    g[t.STATE, i] = t.LIVE
    if bid and price == g[t.BID, i]:
        g[t.ON_BID, i] = 1
        s[t.S_TOP] = max(s[t.S_TOP], i)
    elif not bid and price == g[t.ASK, i]:
        g[t.ON_ASK, i] = 1
        s[t.S_BOTTOM] = min(s[t.S_BOTTOM], i)


def end_order(i: int, s: Ints, g: Ints) -> None:
    """Note that a level has no order any more: its leg is worked again when the moment is settled."""
    g[t.STATE, i] = t.ABSENT
    g[t.QUEUE, s[t.S_QUEUE]] = i
    s[t.S_QUEUE] += 1


def _fill(i: int, price: int, maker: bool, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    holding = g[t.HOLDING, i]
    value = price * g[t.QTY, i]
    fee = -((-value * (p[t.MAKER] if maker else p[t.TAKER])) // p[t.RATE_DEN])
    write(i, holding, price, g[t.QTY, i], maker, at, fee, s, g, log)
    if holding:
        s[t.S_INVENTORY] -= g[t.QTY, i]
        s[t.S_COST] -= g[t.LOT_COST, i]
        s[t.S_FEES] -= g[t.LOT_FEE, i]
        g[t.CYCLE, i] += 1
    else:
        s[t.S_INVENTORY] += g[t.QTY, i]
        s[t.S_COST] += value
        s[t.S_FEES] += fee
        s[t.S_INITIAL] += not maker
    count(i, holding, value, fee, p, s, g)
    g[t.HOLDING, i] = 1 - holding
    g[t.ATTEMPT, i] = -1
    g[t.TAKES, i] = 0
    end_order(i, s, g)
    g[t.ENDED, i] = at


def count(i: int, leaves: int, value: int, fee: int, p: Ints, s: Ints, g: Ints) -> None:
    """Add up what a fill earned and cost."""
    s[t.S_PAID] += fee
    if leaves:
        gain = g[t.LOT_COST, i] - value if p[t.SHORT] else value - g[t.LOT_COST, i]
        s[t.S_PROFIT] += gain
        s[t.S_TRIPS] += 1
        s[t.S_WON] += gain * p[t.COST_MUL] > (fee + g[t.LOT_FEE, i]) * p[t.FEE_MUL]
    else:
        g[t.LOT_COST, i], g[t.LOT_FEE, i] = value, fee
    s[t.S_NET_LEAST] = min(s[t.S_NET_LEAST], s[t.S_PROFIT] * p[t.COST_MUL] - s[t.S_PAID] * p[t.FEE_MUL])


def write(
    i: int, leaves: int, price: int, qty: int, maker: bool, at: int, fee: int, s: Ints, g: Ints, log: Ints
) -> None:
    """Log a fill (level -1: the unwinding of all) and give it the venue's next number."""
    k = s[t.S_FILLS]
    s[t.S_FILLS] = k + 1
    trade = s[t.S_NEXT_ID]
    s[t.S_NEXT_ID] = trade + 1
    if k >= len(log):
        return  # counted on, so that the caller learns how much room is needed
    log[k, t.FILL_US] = at
    # Between two candles further apart than their length, a fill belongs to the one before.
    log[k, t.FILL_BAR] = s[t.S_BAR] - (at < s[t.S_OPENED])
    log[k, t.FILL_LEVEL] = i
    log[k, t.FILL_CYCLE] = g[t.CYCLE, i] if i >= 0 else s[t.S_EPISODE] - 1
    log[k, t.FILL_ATTEMPT] = g[t.ATTEMPT, i] if i >= 0 else s[t.S_OUT_ATTEMPT]
    log[k, t.FILL_EXIT] = leaves
    log[k, t.FILL_PRICE] = price
    log[k, t.FILL_QTY] = qty
    log[k, t.FILL_MAKER] = maker
    log[k, t.FILL_TRADE] = trade
    log[k, t.FILL_FEE] = fee


def closing_cap(price: int, p: Ints, s: Ints) -> int:
    """Return the worst price that the next order which closes everything may trade at."""
    # An empty book must not fill at any price: the distance doubles with every attempt, up to half the price.
    part = p[t.SLIP_NUM]
    for _ in range(min(s[t.S_OUT_ATTEMPT] + 1, DOUBLED_MOST)):
        part *= 2
    part, whole = min(2 * part, p[t.SLIP_DEN]), 2 * p[t.SLIP_DEN]
    if p[t.SHORT]:
        return -(-price * (whole + part) // (whole * p[t.TICK])) * p[t.TICK]
    return price * (whole - part) // (whole * p[t.TICK]) * p[t.TICK]


def send_closing(qty: int, cap: int, now: int, p: Ints, s: Ints, due: Ints) -> bool:
    """Send the order that closes everything; whether it is at the venue at once, as without latency."""
    if cap * qty < p[t.MIN_NOTIONAL]:
        s[t.S_STATUS] = t.BELOW_MINIMUM
        return False
    s[t.S_OUT_ATTEMPT] += 1
    s[t.S_OUT_CAP], s[t.S_OUT_QTY], s[t.S_OUT_ORDER] = cap, qty, s[t.S_NEXT_ID]
    s[t.S_NEXT_ID] += 1
    if p[t.LATENCY_US] == 0:
        return True
    send(-1, s[t.S_OUT_ORDER], 1, now, p, s, due)
    return False


def unwind_now(price: int, at: int, p: Ints, s: Ints, g: Ints, log: Ints) -> None:
    """Fill the order that closes everything at the touch and what slips, or let it expire where that is beyond its cap."""
    s[t.S_OUT_ORDER] = 0
    if p[t.SHORT]:
        paid = -(-price * p[t.SLIPPED_NUM] // (p[t.SLIPPED_DEN] * p[t.TICK])) * p[t.TICK]
        beyond = paid > s[t.S_OUT_CAP]
    else:
        paid = price * p[t.SLIPPED_NUM] // (p[t.SLIPPED_DEN] * p[t.TICK]) * p[t.TICK]
        beyond = paid < s[t.S_OUT_CAP]
    if beyond:
        return
    fee = -((-paid * s[t.S_OUT_QTY] * p[t.TAKER]) // p[t.RATE_DEN])
    write(-1, 1, paid, s[t.S_OUT_QTY], False, at, fee, s, g, log)
    s[t.S_PAID] += fee
    s[t.S_INVENTORY] -= s[t.S_OUT_QTY]


def withdraw_moved(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Call back orders that stand behind their own price where that would rest by now."""
    k = 0
    while k < s[t.S_MOVED]:
        i = g[t.MOVED, k]
        free = g[t.BID, i] < price if is_bid(i, p, g) else g[t.ASK, i] > price
        if not free or g[t.CANCELING, i] or not recall(i, now, p, s, g, due):
            k += 1


def recall(i: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> bool:
    """Call a level's order back; whether it is off the book at once, as without latency."""
    if p[t.LATENCY_US] == 0:
        _take_off(i, p, s, g)
        end_order(i, s, g)
        return True
    g[t.CANCELING, i] = now
    send(i, g[t.ORDER, i], 0, now, p, s, due)
    return False


def place(i: int, last: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Send the order of a level's present leg, moved behind the touch where its own price would cross."""
    bid = is_bid(i, p, g)
    own = g[t.BID, i] if bid else g[t.ASK, i]
    price = own
    g[t.ATTEMPT, i] += 1
    through = own >= last if bid else own <= last
    if p[t.CHOOSES]:
        g[t.TAKES, i] = g[t.AT_MARKET, i]
    elif p[t.INVENTORY] == t.MARKET and g[t.ORDER, i] == 0:
        g[t.TAKES, i] = through  # the very first order of a level that the price has passed already
    if through and not g[t.TAKES, i]:
        if bid:
            price = min(own, last * p[t.SAFE_LESS] // (p[t.SAFE_DEN] * p[t.TICK]) * p[t.TICK])
        else:
            price = max(own, -(-last * p[t.SAFE_MORE] // (p[t.SAFE_DEN] * p[t.TICK])) * p[t.TICK])
        if price <= 0 or price * g[t.QTY, i] < p[t.MIN_NOTIONAL]:
            s[t.S_STATUS] = t.BELOW_MINIMUM
        if price != own:
            g[t.MOVED, s[t.S_MOVED]] = i
            s[t.S_MOVED] += 1
    send_order(i, price, last, now, p, s, g, due, log)


def send_order(i: int, price: int, last: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Give a level's order its number and send it to the venue."""
    g[t.PRICE, i], g[t.ORDER, i] = price, s[t.S_NEXT_ID]
    s[t.S_NEXT_ID] += 1
    g[t.STATE, i], g[t.CANCELING, i], g[t.ENDED, i] = t.SENT, 0, t.FAR
    if p[t.LATENCY_US] == 0:
        _activate(i, last, now, p, s, g, log)
    else:
        send(i, g[t.ORDER, i], 1, now, p, s, due)


def send(i: int, order: int, places: int, now: int, p: Ints, s: Ints, due: Ints) -> None:
    """Put an order or its cancel on the queue, which goes by time and then by number: cancels are of older orders."""
    first, k = s[t.S_DUE_FROM], s[t.S_DUE_TO]
    if k == len(due):
        if first == 0:
            s[t.S_STATUS] = t.QUEUE_FULL
            return
        for j in range(first, k):
            _shift(j, j - first, due)
        s[t.S_DUE_FROM], k, first = 0, k - first, 0
    s[t.S_DUE_TO] = k + 1
    at = now + p[t.LATENCY_US]
    while k > first and due[k - 1, t.DUE_US] == at and due[k - 1, t.DUE_ORDER] > order:
        _shift(k - 1, k, due)
        k -= 1
    due[k, t.DUE_US], due[k, t.DUE_ORDER], due[k, t.DUE_PLACES], due[k, t.DUE_LEVEL] = at, order, places, i


def _shift(here: int, there: int, due: Ints) -> None:
    for column in range(t.DUE_COLUMNS):
        due[there, column] = due[here, column]
