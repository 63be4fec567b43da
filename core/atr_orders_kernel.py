"""The order layer of the compiled ATR grid: works each wanted leg exactly once, as `core.working` and the engine's gates do.

Arguments as in `core.atr_book_kernel`; `queue` holds the legs to look at, and the room to sort them in.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core.atr_book_kernel import is_entry, place_of, recall, submit
from core.atr_perp_kernel import recall_2, sells, submit_2

Ints = NDArray[np.int64]
# Rows of `queue`: legs to look at, the same in order, the commands of this round.
WAITING, SORTED, COMMANDS, ROOM = range(4)
# `core.working.CANCEL_PATIENCE_S`.
PATIENCE_US = 10_000_000


def mark(leg: int, s: Ints, w: Ints, queue: Ints) -> None:
    """Have a leg looked at."""
    if not w[a.W_MARK, leg]:
        w[a.W_MARK, leg] = 1
        queue[WAITING, s[a.S_QUEUE]] = leg
        s[a.S_QUEUE] += 1


def want(place: int, role: int, cycle: int, qty: int, price: int, post: int, s: Ints, w: Ints, queue: Ints) -> int:
    """Note that a leg is wanted; returns its column, or -1 where no slot is free."""
    leg = slot_of(place, role, cycle, w)
    if leg < 0:
        s[a.S_STATUS] = a.CROWDED
        return -1
    if not w[a.W_USED, leg] or w[a.W_CYCLE, leg] != cycle:
        w[a.W_USED, leg], w[a.W_CYCLE, leg], w[a.W_WANTED, leg] = 1, cycle, 0
        w[a.W_DONE, leg], w[a.W_NEXT, leg] = 0, 0
    same = w[a.W_QTY, leg] == qty and w[a.W_PRICE, leg] == price and w[a.W_POST, leg] == post
    if not w[a.W_WANTED, leg] or not same:
        w[a.W_WANTED, leg], w[a.W_QTY, leg], w[a.W_PRICE, leg], w[a.W_POST, leg] = 1, qty, price, post
        mark(leg, s, w, queue)
    return leg


def slot_of(place: int, role: int, cycle: int, w: Ints) -> int:
    """Find the leg of a cycle, or room for it: a slot whose cycle is over and that no order works any more."""
    first = (place * 2 + role) * a.SLOTS
    free = -1
    for leg in range(first, first + a.SLOTS):
        if w[a.W_USED, leg] and w[a.W_CYCLE, leg] == cycle:
            return leg
        idle = w[a.W_STATUS, leg] == a.NONE and not w[a.W_MARK, leg]
        if free < 0 and (not w[a.W_USED, leg] or (w[a.W_CYCLE, leg] < cycle and idle and not w[a.W_WANTED, leg])):
            free = leg
    return free


def only_want(place: int, one: int, other: int, s: Ints, w: Ints, queue: Ints) -> None:
    """Note that of a place's legs none but these two are wanted any more."""
    for leg in range(place * 2 * a.SLOTS, (place + 1) * 2 * a.SLOTS):
        if leg not in (one, other) and w[a.W_USED, leg] and w[a.W_WANTED, leg]:
            w[a.W_WANTED, leg] = 0
            mark(leg, s, w, queue)


def over(leg: int, executed: int, s: Ints, w: Ints, queue: Ints) -> None:
    """Put an order away that is over, with what it executed."""
    if not is_entry(leg):
        s[a.S_LIVE_EXIT] -= w[a.W_OQTY, leg]
    w[a.W_DONE, leg] += executed
    w[a.W_STATUS, leg] = a.NONE
    w[a.W_VENUE, leg] = a.AWAY
    mark(leg, s, w, queue)


def work(
    price: int, now: int, p: Ints, s: Ints, lv: Ints, w: Ints, queue: Ints, due: Ints, due_2: Ints, news: Ints, news_2: Ints
) -> int:  # fmt: skip
    """Look at every leg that waits for it, exits first; sends what is to be sent.

    Returns 0 where nothing was, 1 where only cancels were that are still on their way, else 2: then the engine is answered.
    """
    count = _take_sorted(p, s, lv, w, queue)
    commands, answered = 0, p[a.LATENCY_US] == 0
    for k in range(count):
        leg = queue[SORTED, k]
        restless = _look_at_hedge(leg, p, s, w) if is_hedge(leg, p) else _look_at(leg, p, s, lv, w)
        if restless == 2:
            queue[COMMANDS, commands] = leg
            commands += 1
        if restless:
            mark(leg, s, w, queue)
    for k in range(commands):
        leg = queue[COMMANDS, k]
        sent = w[a.W_STATUS, leg] == a.PENDING
        answered = answered or sent
        if sent:
            w[a.W_STATUS, leg] = a.OPEN
        if is_hedge(leg, p):
            if sent:
                submit_2(leg, s[a.S_LAST_2], now, p, s, w, due_2, news_2)
            else:
                recall_2(leg, now, p, s, w, due_2, news_2)
        elif sent:
            submit(leg, price, now, p, s, w, due, news)
        else:
            recall(leg, now, p, s, w, due, news)
    s[a.S_STALE] = 1
    return 0 if commands == 0 else 2 if answered else 1


def is_late(s: Ints, w: Ints) -> bool:
    """Whether a cancel brought no news for so long that the engine looks at the bot whatever happens."""
    for leg in range(w.shape[1]):
        if w[a.W_STATUS, leg] == a.CANCELING and s[a.S_NOW] >= w[a.W_RECALLED, leg] + PATIENCE_US:
            return True
    return False


def is_hedge(leg: int, p: Ints) -> bool:
    """Whether a leg is the hedge's: those of the two places after the levels."""
    return place_of(leg) >= p[a.LEVELS]


def _take_sorted(p: Ints, s: Ints, lv: Ints, w: Ints, queue: Ints) -> int:
    count = s[a.S_QUEUE]
    s[a.S_QUEUE] = 0
    for k in range(count):
        leg = queue[WAITING, k]
        w[a.W_MARK, leg] = 0
        j = k
        while j > 0 and _ahead(leg, queue[SORTED, j - 1], p, lv, w):
            queue[SORTED, j] = queue[SORTED, j - 1]
            j -= 1
        queue[SORTED, j] = leg
    return count


def _ahead(leg: int, other: int, p: Ints, lv: Ints, w: Ints) -> bool:
    # Hedges, exits, entries, then by name: the place as text, then the cycle as text.
    mine, its = _group(leg, p), _group(other, p)
    if mine != its:
        return mine < its
    if place_of(leg) != place_of(other):
        return lv[a.L_RANK, place_of(leg)] < lv[a.L_RANK, place_of(other)]
    return text_before(w[a.W_CYCLE, leg], w[a.W_CYCLE, other])


def _group(leg: int, p: Ints) -> int:
    return 0 if is_hedge(leg, p) else 2 if is_entry(leg) else 1


def text_before(one: int, two: int) -> bool:
    """Whether a whole number comes before another as text: 10 before 9."""
    b, c = max(one, 0), max(two, 0)
    scale_b, scale_c = 1, 1
    while scale_b * 10 <= b:
        scale_b *= 10
    while scale_c * 10 <= c:
        scale_c *= 10
    while scale_b > 0 and scale_c > 0:
        if b // scale_b % 10 != c // scale_c % 10:
            return b // scale_b % 10 < c // scale_c % 10
        scale_b, scale_c = scale_b // 10, scale_c // 10
    return scale_b == 0 and scale_c > 0


def _look_at(leg: int, p: Ints, s: Ints, lv: Ints, w: Ints) -> int:
    # 0: nothing to do; 1: to be looked at again; 2: a command was given.
    if w[a.W_STATUS, leg] == a.CANCELING:
        return 1
    if w[a.W_STATUS, leg] == a.OPEN:
        return _tend(leg, s, w)
    if not w[a.W_WANTED, leg] or w[a.W_QTY, leg] <= w[a.W_DONE, leg]:
        return 0
    left = w[a.W_QTY, leg] - w[a.W_DONE, leg]
    own = w[a.W_PRICE, leg]
    sent = _behind_touch(leg, p, s, w)
    small = left < p[a.MIN_QTY] or own * left < p[a.MIN_NOTIONAL]
    if (
        sent <= 0
        or (not small and sent * left < p[a.MIN_NOTIONAL])
        or (small and left >= p[a.MIN_QTY] and sent * left >= p[a.MIN_NOTIONAL])
    ):
        s[a.S_STATUS] = a.BELOW_MINIMUM  # it depends on the price of the moment
    if small or not (_may_buy(own, left, p, s) if is_entry(leg) else _may_sell(leg, left, s, lv, w)):
        return 1
    w[a.W_STATUS, leg], w[a.W_OQTY, leg], w[a.W_OPRICE, leg] = a.PENDING, left, sent
    w[a.W_OPOST, leg], w[a.W_ASKED, leg] = w[a.W_POST, leg], own
    w[a.W_ATTEMPT, leg] = w[a.W_NEXT, leg]
    w[a.W_NEXT, leg] += 1
    if is_entry(leg):
        s[a.S_LIVE_ENTRY] += left
        s[a.S_LIVE_VALUE] += left * sent
    else:
        s[a.S_LIVE_EXIT] += left
    return 2


def _look_at_hedge(leg: int, p: Ints, s: Ints, w: Ints) -> int:
    # As `_look_at`, for capped orders that take the book: one on its way stays as it is unless its leg is over.
    if w[a.W_STATUS, leg] == a.CANCELING:
        return 1
    if w[a.W_STATUS, leg] == a.OPEN:
        if w[a.W_WANTED, leg]:
            return 1
        w[a.W_STATUS, leg], w[a.W_RECALLED, leg] = a.CANCELING, s[a.S_NOW]
        return 2
    left = w[a.W_QTY, leg] - w[a.W_DONE, leg]
    if not w[a.W_WANTED, leg] or left <= 0:
        return 0
    price, tick = w[a.W_PRICE, leg], p[a.TICK_2]
    if sells(leg, p):
        # The exchange reckons the notional at the cap: a wide one must not make a sale too small.
        least = -(-p[a.MIN_NOTIONAL_2] // (left * tick)) * tick
        price = max(price, min(least, s[a.S_TOUCH_BID_2] // tick * tick))
    if left < p[a.MIN_QTY_2] or price * left < p[a.MIN_NOTIONAL_2]:
        if sells(leg, p):
            s[a.S_STATUS] = a.BELOW_MINIMUM  # it depends on the price of the moment
        return 1
    w[a.W_STATUS, leg], w[a.W_OQTY, leg], w[a.W_OPRICE, leg] = a.PENDING, left, price
    w[a.W_ATTEMPT, leg] = w[a.W_NEXT, leg]
    w[a.W_NEXT, leg] += 1
    return 2


def _tend(leg: int, s: Ints, w: Ints) -> int:
    own = w[a.W_PRICE, leg]
    stays = w[a.W_WANTED, leg] and w[a.W_QTY, leg] - w[a.W_DONE, leg] == w[a.W_OQTY, leg] and own == w[a.W_ASKED, leg]
    if stays and not (w[a.W_POST, leg] and own != w[a.W_OPRICE, leg]):
        return 0
    if stays and not (own < s[a.S_TOUCH_ASK] if is_entry(leg) else own > s[a.S_TOUCH_BID]):
        return 1
    w[a.W_STATUS, leg], w[a.W_RECALLED, leg] = a.CANCELING, s[a.S_NOW]
    return 2


def _behind_touch(leg: int, p: Ints, s: Ints, w: Ints) -> int:
    # The limit to send: the leg's own price, one tick behind the touch where a post-only order would cross.
    own, tick, bid, ask = w[a.W_PRICE, leg], p[a.TICK], s[a.S_TOUCH_BID], s[a.S_TOUCH_ASK]
    if not w[a.W_POST, leg]:
        return own
    if is_entry(leg):
        if own < ask:
            return own
        behind = min(own, bid // tick * tick)
        return behind if behind < ask else ask // tick * tick - tick
    if own > bid:
        return own
    behind = max(own, -(-ask // tick) * tick)
    return behind if behind > bid else -(-bid // tick) * tick + tick


def _may_buy(price: int, qty: int, p: Ints, s: Ints) -> bool:
    # Lots and purchases under way may come to no more than the limits; what is held back waits until there is room.
    base, value = s[a.S_LIVE_ENTRY] + qty, s[a.S_LIVE_VALUE] + price * qty
    return s[a.S_INVENTORY] + base <= p[a.MOST_QTY] and value <= s[a.S_ROOM]


def _may_sell(leg: int, qty: int, s: Ints, lv: Ints, w: Ints) -> bool:
    # Never more than is held, nor more than the place holds beside its other exits.
    if qty > abs(s[a.S_INVENTORY]) - s[a.S_LIVE_EXIT]:
        return False
    place = place_of(leg)
    promised = 0
    first = (place * 2 + a.EXIT) * a.SLOTS
    for other in range(first, first + a.SLOTS):
        if other != leg and w[a.W_STATUS, other] != a.NONE:
            promised += w[a.W_OQTY, other]
    return promised == 0 or promised + qty <= lv[a.L_OPEN, place]
