"""The one entry of the compiled rolling grid: its gates, its price, how it is followed (`core.machines.rolling_grid.entries`).

Arguments as in `core.rolling_kernel`. What would change the entry next is left in NEAR, OVER and NEXT_AT.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.rolling_book_kernel import set_aside
from core.rolling_place_kernel import can_trade

Ints = NDArray[np.int64]


def tend_entry(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Look after the entry under way, or start the next one."""
    s[r.R_NEAR], s[r.R_OVER], s[r.R_NEXT_AT] = -t.FAR, t.FAR, t.FAR
    if s[r.R_TRIPPED]:
        return
    _tend_pause(price, p, s, g, due)
    fresh = _entry_price(price, p)
    for i in range(p[r.PLACES]):
        if g[r.DOES, i] == r.ENTERING and _follow(i, fresh, now, p, s, g, due):
            return
    if s[r.R_PAUSED]:
        return
    busy, free = 0, -1
    for i in range(p[r.PLACES] - 1, -1, -1):
        if g[r.DOES, i] == r.FREE:
            free = i
        else:
            busy += 1
    if free < 0 or not _is_worth(fresh, p, s, g) or not _is_cool(busy, now, p, s) or not _is_a_step(price, p, s, g):
        return
    if fresh <= 0:
        s[t.S_STATUS] = t.BELOW_MINIMUM
    g[r.USED, free] += 1
    g[r.NUMBER, free], g[r.DOES, free], g[r.IS_LOT, free] = g[r.USED, free], r.ENTERING, 0
    g[r.QUOTED, free], g[r.TIMES, free] = now, 0
    entry, leave = p[r.PLACES] + free, free
    g[r.WANTED, entry], g[r.FRESH, entry], g[r.FRESH, leave] = fresh, 1, 1
    s[r.R_OPENED_AT], s[r.R_FREED] = now, 0
    _watch(free, p, s, g)


def give_up(i: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Give the entry of a place up; what it holds by a late fill of an earlier one is offered."""
    if g[r.HELD, i] and not can_trade(g[r.HELD, i], g[r.TARGET, i], p):
        s[t.S_STATUS] = t.BELOW_MINIMUM
    g[r.DOES, i] = r.OFFERED if g[r.HELD, i] else r.FREE
    if g[r.HELD, i]:
        s[r.R_AGAIN] = max(s[r.R_AGAIN], r.BY_PRICE)  # it may be stuck by now, which the machine finds when next asked
    set_aside(i, p, s, g, due)


def _tend_pause(price: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    if p[r.PAUSE] == 0:
        return
    sign = -1 if p[t.SHORT] else 1
    if s[r.R_PAUSED] == 0 and price * sign >= p[r.PAUSE] * sign:
        s[r.R_PAUSED] = 1
        for i in range(p[r.PLACES]):
            if g[r.DOES, i] == r.ENTERING:
                give_up(i, p, s, g, due)
    elif s[r.R_PAUSED] and price * sign <= p[r.BACK] * sign:
        s[r.R_PAUSED] = 0
    edge = p[r.BACK] if s[r.R_PAUSED] else p[r.PAUSE]
    if (s[r.R_PAUSED] == 1) != (p[t.SHORT] == 1):
        s[r.R_NEAR] = edge
    else:
        s[r.R_OVER] = edge


def _entry_price(price: int, p: Ints) -> int:
    if p[t.SHORT]:
        return -(-price // p[t.TICK]) * p[t.TICK] + p[r.AWAY]
    return price // p[t.TICK] * p[t.TICK] - p[r.AWAY]


def _watch(i: int, p: Ints, s: Ints, g: Ints) -> None:
    # The next price at which the entry is left behind by a tick.
    away, wanted = p[r.AWAY] + p[t.TICK], g[r.WANTED, p[r.PLACES] + i]
    if p[t.SHORT]:
        s[r.R_NEAR] = max(s[r.R_NEAR], wanted - away)
    else:
        s[r.R_OVER] = min(s[r.R_OVER], wanted + away)


def _follow(i: int, fresh: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> bool:
    # Move an entry that the price has left behind; False where it was given up.
    entry = p[r.PLACES] + i
    behind = fresh < g[r.WANTED, entry] if p[t.SHORT] else fresh > g[r.WANTED, entry]
    if not behind:
        _watch(i, p, s, g)
    elif now < g[r.QUOTED, i] + p[r.REQUOTE_US]:
        s[r.R_NEXT_AT] = g[r.QUOTED, i] + p[r.REQUOTE_US]
    elif g[r.TIMES, i] < p[r.REQUOTES] and g[r.HELD, i] == 0:
        g[r.WANTED, entry], g[r.QUOTED, i] = fresh, now
        g[r.TIMES, i] += 1
        _watch(i, p, s, g)
    else:
        give_up(i, p, s, g, due)
        s[r.R_OPENED_AT] = now
        return False
    return True


def _is_worth(fresh: int, p: Ints, s: Ints, g: Ints) -> bool:
    # Not too little for the exchange, nor too much for the bot's margin.
    qty, room = g[t.QTY, 0], p[r.BOUND_QUOTE] - s[t.S_COST]
    tick, away = p[t.TICK], p[r.AWAY]
    if fresh * qty < p[t.MIN_NOTIONAL]:
        least = -(-p[t.MIN_NOTIONAL] // (qty * tick)) * tick
        s[r.R_OVER] = min(s[r.R_OVER], least - away - tick + 1 if p[t.SHORT] else least + away)
        return False
    if fresh * qty > room:
        most = room // (qty * tick) * tick
        if room > 0:
            s[r.R_NEAR] = max(s[r.R_NEAR], most - away if p[t.SHORT] else most + away + tick - 1)
        return False
    return True


def _is_cool(busy: int, now: int, p: Ints, s: Ints) -> bool:
    if s[r.R_OPENED_AT] < 0 or s[r.R_FREED]:
        return True
    most = p[r.PLACES]
    if 3 * busy >= 2 * most:
        wait = p[r.COOL_TWICE]
    elif 3 * busy >= most:
        wait = p[r.COOL_ONCE]
    else:
        wait = p[r.COOL_HALF] if 6 * busy >= most else p[r.COOL_LEAST]
    if now >= s[r.R_OPENED_AT] + wait:
        return True
    s[r.R_NEXT_AT] = s[r.R_OPENED_AT] + wait
    return False


def _is_a_step(price: int, p: Ints, s: Ints, g: Ints) -> bool:
    # Whether a new lot's exit would lie so far before the nearest one that is offered.
    nearest = 0
    for i in range(p[r.PLACES]):
        if g[r.DOES, i] == r.OFFERED:
            nearest = _nearer(nearest, g[r.TARGET, i], p)
    for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
        if g[r.LEFT, c]:
            nearest = _nearer(nearest, g[r.WANTED, c], p)
    if nearest == 0:
        return True
    if p[t.SHORT]:
        edge = nearest * p[r.STEP_NUM] // p[r.STEP_DEN] + 1
        if price < edge:
            s[r.R_OVER] = min(s[r.R_OVER], edge)
        return price >= edge
    edge = (nearest * p[r.STEP_NUM] - 1) // p[r.STEP_DEN]
    if price > edge:
        s[r.R_NEAR] = max(s[r.R_NEAR], edge)
    return price <= edge


def _nearer(nearest: int, price: int, p: Ints) -> int:
    # Of two exits (0: none yet) the one that comes first.
    if nearest == 0:
        return price
    return max(nearest, price) if p[t.SHORT] else min(nearest, price)
