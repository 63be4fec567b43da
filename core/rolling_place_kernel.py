"""What a place of the compiled rolling grid holds and how it lets go: fills, marks, stop losses, closings at the market.

As `core.machines.rolling_grid.lots` and, for closings, `core.machines.rolling_grid.recovery`. Arguments as in
`core.rolling_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.rolling_book_kernel import set_aside, set_exit_aside
from core.rolling_lots_kernel import close_at_place, close_everything, open_lot

Ints = NDArray[np.int64]

# A closing at the market widens its cap every so often, so many times.
WIDER_AFTER_US = 5_000_000
WIDER_MOST = 6


def fold(c: int, now: int, p: Ints, s: Ints, g: Ints) -> None:
    """Take a fill in: into the books, then into the place it concerns (-1: what closed everything, into all)."""
    n = p[r.PLACES]
    if c < 0:
        s[t.S_PAID] += s[r.R_OUT_FEE]
        close_everything(p, s, g)
        for i in range(n):
            cut = g[r.TAKEN, i] + g[r.TAKEN, n + i]
            if cut:
                _part(i, cut, s[r.R_OUT_PAID], now, p, s, g)
                _fit(i, now, True, p, s, g)
    else:
        g[t.ORDER, c] = -1
        s[t.S_PAID] += g[r.PAID_FEE, c]
        if g[r.ENTERS, c]:
            open_lot(c, p, s, g)
            _entered(c, p, s, g)
        else:
            close_at_place(c, p, s, g)
            _left(c, now, p, s, g)
    s[t.S_NET_LEAST] = min(s[t.S_NET_LEAST], s[t.S_PROFIT] * p[t.COST_MUL] - s[t.S_PAID] * p[t.FEE_MUL])


def _entered(c: int, p: Ints, s: Ints, g: Ints) -> None:
    i = g[r.OWNER, c]
    if g[r.DOES, i] == r.FREE:
        # The fill outran the withdrawal of its order: its exit takes a number of its own.
        g[r.USED, i] += 1
        g[r.NUMBER, i], g[r.FRESH, i], g[r.IS_LOT, i], g[r.DOES, i] = g[r.USED, i], 1, 0, r.OFFERED
    if g[r.IS_LOT, i] == 0:
        g[r.IS_LOT, i], g[r.SINCE, i] = 1, g[t.ENDED, c]
    if g[r.HELD, i] == 0:
        g[r.ENTRY_2, i] = 2 * g[r.PAID, c]
    elif g[r.HELD, i] == g[r.SIZE, c] and g[r.ENTRY_2, i] % 2 == 0 and g[r.DOES, i] != r.LADDERED:
        g[r.ENTRY_2, i] = g[r.ENTRY_2, i] // 2 + g[r.PAID, c]
    else:
        s[t.S_STATUS] = r.LATE_ENTRY
    g[r.HELD, i] += g[r.SIZE, c]
    _mark(i, p, g)
    if g[r.DOES, i] == r.CLOSING:
        g[r.GOAL, i] += g[r.SIZE, c]
    elif g[r.DOES, i] == r.ENTERING and c < 2 * p[r.PLACES]:
        g[r.DOES, i] = r.OFFERED


def _mark(i: int, p: Ints, g: Ints) -> None:
    # Target, stop and stuck price of what a place holds.
    entry_2, tick = g[r.ENTRY_2, i], p[t.TICK]
    if p[t.SHORT]:
        target = entry_2 * p[r.TARGET_NUM] // (2 * p[r.TARGET_DEN] * tick) * tick
        stop = -(-entry_2 * p[r.LOSS_NUM] // (2 * p[r.LOSS_DEN])) if p[r.LOSS_DEN] else t.FAR
        stuck = target * p[r.STUCK_NUM] // p[r.STUCK_DEN] + 1 if p[r.STUCK_DEN] else t.FAR
    else:
        target = -(-entry_2 * p[r.TARGET_NUM] // (2 * p[r.TARGET_DEN] * tick)) * tick
        stop = entry_2 * p[r.LOSS_NUM] // (2 * p[r.LOSS_DEN]) if p[r.LOSS_DEN] else -t.FAR
        stuck = (target * p[r.STUCK_NUM] - 1) // p[r.STUCK_DEN] if p[r.STUCK_DEN] else -t.FAR
    g[r.WANTED, i] = g[r.TARGET, i] = target
    g[r.STOP, i], g[r.STUCK_AT, i] = stop, stuck


def _left(c: int, now: int, p: Ints, s: Ints, g: Ints) -> None:
    i, qty = g[r.OWNER, c], g[r.SIZE, c]
    _part(i, qty, g[r.PAID, c], g[t.ENDED, c], p, s, g)
    if c < p[r.PLACES]:
        g[r.GOAL, i] -= qty if g[r.TAKES_BOOK, c] else 0
    elif g[r.LEFT, c]:
        # An order filled before it could be made smaller closes more than its rung should.
        g[r.LEFT, c] = max(g[r.LEFT, c] - qty, 0)
    _fit(i, now, False, p, s, g)


def _part(i: int, qty: int, paid: int, at: int, p: Ints, s: Ints, g: Ints) -> None:
    # So much left a place at a price; in an episode that counts, and its patience begins anew.
    g[r.HELD, i] -= qty
    if g[r.EPISODE, i]:
        g[r.ANCHORED, i] = at
        loss_2 = (g[r.ENTRY_2, i] - 2 * paid) * qty
        loss_2 = -loss_2 if p[t.SHORT] else loss_2
        stopped = g[r.DOES, i] == r.CLOSING and g[r.STOPPING, i] == 1
        if not stopped and s[r.R_PHASE] != r.FLATTENS:
            s[r.R_SPENT_2] += max(loss_2, 0)


def _fit(i: int, now: int, cut: bool, p: Ints, s: Ints, g: Ints) -> None:
    # Fit a place's exits to what it holds.
    does, held = g[r.DOES, i], g[r.HELD, i]
    if held == 0 and does != r.ENTERING:
        s[r.R_FREED] = does != r.CLOSING and not cut
        if not s[r.R_FREED]:
            s[r.R_OPENED_AT] = now
        g[r.DOES, i], g[r.EPISODE, i] = r.FREE, 0
        call_rungs_back(i, p, s, g)
    elif does == r.CLOSING:
        if g[r.GOAL, i] <= 0:
            g[r.USED, i] += 1
            g[r.DOES, i], g[r.NUMBER, i], g[r.FRESH, i] = r.OFFERED, g[r.USED, i], 1
        else:
            g[r.GOAL, i] = min(g[r.GOAL, i], held)
    elif does == r.LADDERED:
        _fit_rungs(i, p, s, g)


def _fit_rungs(i: int, p: Ints, s: Ints, g: Ints) -> None:
    # Less is held than the rungs would close: the farthest, which has the highest number, gives way.
    over = -g[r.HELD, i]
    for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
        over += g[r.LEFT, c] if g[r.OWNER, c] == i else 0
    while over > 0:
        far = -1
        for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
            if g[r.OWNER, c] == i and g[r.LEFT, c] and (far < 0 or g[r.NUMBER, c] > g[r.NUMBER, far]):
                far = c
        part = min(over, g[r.LEFT, far])
        g[r.LEFT, far] -= part
        over -= part


def call_rungs_back(i: int, p: Ints, s: Ints, g: Ints) -> None:
    """Make the rungs of a place wanted no more; orders of them that live are called back."""
    for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
        if g[r.OWNER, c] == i:
            g[r.LEFT, c] = 0


def can_trade(qty: int, price: int, p: Ints) -> bool:
    """Whether the exchange takes an order of so much at about a price."""
    return qty > 0 and qty >= p[t.MIN_QTY] and qty * price >= p[t.MIN_NOTIONAL]


def cap_at(price: int, since: int, now: int, p: Ints) -> int:
    """Return the worst price of a closing: an empty book must not fill at any; the cap widens with time, up to half."""
    part = p[t.SLIP_NUM]
    for _ in range(min((now - since) // WIDER_AFTER_US, WIDER_MOST)):
        part *= 2
    part, whole = min(2 * part, p[t.SLIP_DEN]), 2 * p[t.SLIP_DEN]
    if p[t.SHORT]:
        return -(-price * (whole + part) // (whole * p[t.TICK])) * p[t.TICK]
    return price * (whole - part) // (whole * p[t.TICK]) * p[t.TICK]


def lifted(cap: int, qty: int, price: int, p: Ints) -> int:
    """Return a sale's cap: the exchange reckons its notional at that, so a wide one must not make the sale too small."""
    least = -(-p[t.MIN_NOTIONAL] // (qty * p[t.TICK])) * p[t.TICK]
    return max(cap, min(least, price // p[t.TICK] * p[t.TICK]))


def close_lot(i: int, qty: int, stops: bool, price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Begin to close so much of what a place holds at the market; its other exits and its entry go first."""
    if not can_trade(qty, price, p):
        s[t.S_STATUS] = t.BELOW_MINIMUM
    g[r.GOAL, i], g[r.STOPPING, i] = qty, stops
    if g[r.DOES, i] == r.CLOSING:
        return
    if g[r.DOES, i] == r.ENTERING:
        set_aside(i, p, s, g, due)
    if qty < g[r.HELD, i]:
        set_exit_aside(i, p, s, g, due)  # a part may be sold beside what is called back, where that is not all
    call_rungs_back(i, p, s, g)
    g[r.USED, i] += 1
    g[r.DOES, i], g[r.NUMBER, i], g[r.FRESH, i], g[r.BEGAN, i] = r.CLOSING, g[r.USED, i], 1, now
    g[r.CAP, i] = cap_at(price, now, now, p)


def guard_lots(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Close every lot whose stop loss was passed."""
    sign = -1 if p[t.SHORT] else 1
    for i in range(p[r.PLACES]):
        held, closing = g[r.HELD, i], g[r.DOES, i] == r.CLOSING
        if held == 0 or price * sign > g[r.STOP, i] * sign or (closing and g[r.STOPPING, i] == 1):
            continue
        if can_trade(held, price, p):
            close_lot(i, held, True, price, now, p, s, g, due)


def tend_closings(price: int, now: int, p: Ints, s: Ints, g: Ints) -> None:
    """Keep the caps of closings near the market."""
    for i in range(p[r.PLACES]):
        if g[r.DOES, i] == r.CLOSING and g[r.HELD, i]:
            if not can_trade(g[r.GOAL, i], price, p):
                s[t.S_STATUS] = t.BELOW_MINIMUM  # the core leaves it as dust
            g[r.CAP, i] = cap_at(price, g[r.BEGAN, i], now, p)
