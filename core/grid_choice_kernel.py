"""Which levels of the compiled grid may work at a price: activation bounds, the cap on open entries, batches.

As `core.machines.grid.entries` chooses them: the levels nearest to the price come first, and one that falls out of the bounds
or of the cap gives its place up. A grid without such fields wants every level, always, and asks nothing here. Arguments as in
`core.grid_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core.grid_book_kernel import recall

Ints = NDArray[np.int64]


def lay_out(price: int, p: Ints, g: Ints) -> None:
    """Mark the levels that the first price has passed: they enter at the market where the grid begins with inventory."""
    if p[t.INVENTORY] == t.MARKET:
        for i in range(g.shape[1]):
            g[t.AT_MARKET, i] = _enter(i, p, g) <= price if p[t.SHORT] else _enter(i, p, g) >= price


def choose(price: int, now: int, p: Ints, s: Ints, g: Ints) -> None:
    """Say of every level whether its leg is wanted, and between which prices and until when that holds."""
    s[t.S_CHOICE_LOW], s[t.S_CHOICE_HIGH], s[t.S_NEXT_AT] = -t.FAR, t.FAR, t.FAR
    for i in range(g.shape[1]):
        if g[t.HOLDING, i]:
            _give_up(i, g)
            g[t.WANTED, i] = _is_near(price, _leave(i, p, g), p[t.EXIT_NUM], p[t.EXIT_DEN], True, True, s)
    _batch(_rank(price, p, s, g), now, p, s, g)
    for i in range(g.shape[1]):
        if g[t.HOLDING, i] == 0:
            g[t.WANTED, i] = g[t.ENTERS, i]


def withdraw(now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Call back the orders of legs that are not wanted any more."""
    for i in range(g.shape[1]):
        if g[t.WANTED, i] == 0 and g[t.STATE, i] != t.ABSENT and g[t.CANCELING, i] == 0:
            recall(i, now, p, s, g, due)


def room(p: Ints, g: Ints) -> int:
    """Return how many entries may be sent beside those that may still fill, be they called back or not."""
    if p[t.OPEN_MOST] == 0:
        return g.shape[1]
    left = p[t.OPEN_MOST]
    for i in range(g.shape[1]):
        left -= g[t.STATE, i] != t.ABSENT and g[t.HOLDING, i] == 0
    return left


def _give_up(i: int, g: Ints) -> None:
    # What has begun to enter does so at the market only once.
    if g[t.ENTERS, i]:
        g[t.ENTERS, i] = g[t.AT_MARKET, i] = 0


def _enter(i: int, p: Ints, g: Ints) -> int:
    return g[t.ASK, i] if p[t.SHORT] else g[t.BID, i]


def _leave(i: int, p: Ints, g: Ints) -> int:
    return g[t.BID, i] if p[t.SHORT] else g[t.ASK, i]


def _is_near(price: int, own: int, num: int, den: int, above: bool, below: bool, s: Ints) -> bool:
    # Whether an order's own price is within a fraction of the present one; `above` and `below` say on which of its sides it is
    # bounded. The band is drawn to where that changes.
    if den == 0:
        return True
    least = -(-own * den // (den + num)) if above else -t.FAR
    most = own * den // (den - num) if below else t.FAR
    if price < least:
        s[t.S_CHOICE_HIGH] = min(s[t.S_CHOICE_HIGH], least)
        return False
    if price > most:
        s[t.S_CHOICE_LOW] = max(s[t.S_CHOICE_LOW], most)
        return False
    if above:
        s[t.S_CHOICE_LOW] = max(s[t.S_CHOICE_LOW], least - 1)
    if below:
        s[t.S_CHOICE_HIGH] = min(s[t.S_CHOICE_HIGH], most + 1)
    return True


def _is_able(i: int, price: int, p: Ints, s: Ints, g: Ints) -> bool:
    # Whether a level that holds nothing may enter as far as armed and bounds go; it gives up its place where it may not.
    short = p[t.SHORT] == 1
    able = p[t.INVENTORY] != t.NONE or (i > s[t.S_UNARMED] if short else i < s[t.S_UNARMED])
    near = _is_near(price, _enter(i, p, g), p[t.ENTRY_NUM], p[t.ENTRY_DEN], short, not short, s)
    if not (able and near):
        _give_up(i, g)
    return able and near


def _rank(price: int, p: Ints, s: Ints, g: Ints) -> int:
    # Goes through the able levels from the nearest on, the lower of two as near first; those beyond the cap give their places
    # up. Leaves in NOW the ones that are to start, and returns how many.
    up, starts, rank, farthest = 0, 0, 0, 0
    while up < g.shape[1] and _enter(up, p, g) < price:
        up += 1
    down = up - 1
    while True:
        while down >= 0 and (g[t.HOLDING, down] or not _is_able(down, price, p, s, g)):
            down -= 1
        while up < g.shape[1] and (g[t.HOLDING, up] or not _is_able(up, price, p, s, g)):
            up += 1
        if down < 0 and up == g.shape[1]:
            return starts
        if up == g.shape[1] or (down >= 0 and price - _enter(down, p, g) <= _enter(up, p, g) - price):
            i, down = down, down - 1
        else:
            i, up = up, up + 1
        rank += 1
        away = abs(_enter(i, p, g) - price)
        if p[t.OPEN_MOST] == 0 or rank <= p[t.OPEN_MOST]:
            farthest = away
            if g[t.ENTERS, i] == 0:
                g[t.NOW, starts] = i
                starts += 1
            continue
        _give_up(i, g)
        if rank == p[t.OPEN_MOST] + 1:
            # Each distance changes by at most the price's move, so the ranking holds for half the gap between the two.
            slack = (away - farthest) // 2
            s[t.S_CHOICE_LOW] = max(s[t.S_CHOICE_LOW], price - slack)
            s[t.S_CHOICE_HIGH] = min(s[t.S_CHOICE_HIGH], price + slack)


def _batch(starts: int, now: int, p: Ints, s: Ints, g: Ints) -> None:
    if starts == 0:
        return
    if p[t.BATCH_US] and now < s[t.S_BATCHED_AT] + p[t.BATCH_US]:
        s[t.S_NEXT_AT] = s[t.S_BATCHED_AT] + p[t.BATCH_US]
        return
    size = starts if p[t.BATCH_MOST] == 0 else min(starts, p[t.BATCH_MOST])
    for k in range(size):
        g[t.ENTERS, g[t.NOW, k]] = 1
    s[t.S_BATCHED_AT] = now
    if size < starts:
        s[t.S_NEXT_AT] = now + p[t.BATCH_US]
