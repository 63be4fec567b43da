"""How the compiled grid ends: orders called back, what is held sold (or bought back) at the market.

As `core.machines.grid.machine` and the unwinds of `core.engine.bot` do it for one grid. With latency a closing takes
several moments: exits must be off the book before their coins can be sold (those whose cancel is long on its way are not
waited for by the rest), a late entry is closed as well, and an order whose cap the price has passed is followed by one with
twice the slippage. Arguments as in `core.grid_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core.grid_book_kernel import closing_cap, is_bid, send, send_closing, unwind_now

Ints = NDArray[np.int64]


def close(barrier: int, price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Latch a barrier: call every order back and start to unwind, unless the position is kept or too small to trade."""
    s[t.S_CLOSED] = barrier
    s[t.S_LOW], s[t.S_HIGH] = t.FAR, -t.FAR  # from now on every moment is looked at
    s[t.S_MODE] = t.GONE
    if (barrier == t.HIT_LIMIT and p[t.KEEP]) or (barrier == t.HIT_RANGE and p[t.RANGE_KEEPS]):
        s[t.S_MODE] = t.KEPT
    elif _sellable(price, p, s):
        s[t.S_MODE] = t.CLOSING
        _start(s)
    if p[t.LATENCY_US] == 0:
        if s[t.S_MODE] == t.CLOSING:
            _place_unwind(s[t.S_INVENTORY], price, now, p, s, g, due, log)
        s[t.S_OVER] = 1
        return
    for i in range(g.shape[1]):
        if g[t.STATE, i] != t.ABSENT and g[t.CANCELING, i] == 0:
            g[t.CANCELING, i] = now
            send(i, g[t.ORDER, i], 0, now, p, s, due)
    settle_closed(price, now, p, s, g, due, log)


def settle_closed(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    """Answer one moment of a grid that has ended: close what late fills left, and see whether all is over."""
    for k in range(s[t.S_QUEUE]):
        g[t.ORDER, g[t.QUEUE, k]] = -1  # nothing is placed again, so a cancel still on its way finds nothing
    s[t.S_QUEUE] = 0
    held = _sellable(price, p, s)
    late = s[t.S_FILLS] > s[t.S_SEEN]
    s[t.S_SEEN] = s[t.S_FILLS]
    if s[t.S_MODE] == t.CLOSING and not held:
        s[t.S_MODE] = t.GONE
    elif s[t.S_MODE] == t.GONE and late and held:
        s[t.S_MODE] = t.CLOSING
        if not s[t.S_UNWINDS]:
            _start(s)
    live = s[t.S_OUT_ORDER] != 0
    for i in range(g.shape[1]):
        live = live or g[t.STATE, i] != t.ABSENT
    if s[t.S_UNWINDS]:
        if not held and not live:
            s[t.S_UNWINDS] = 0
        elif held and s[t.S_OUT_ORDER] == 0:
            part = _free_part(price, now, p, s, g)
            if part:
                _place_unwind(part, price, now, p, s, g, due, log)
                live = True
    s[t.S_OVER] = s[t.S_MODE] != t.CLOSING and not s[t.S_UNWINDS] and not live


def _start(s: Ints) -> None:
    s[t.S_UNWINDS] = 1
    s[t.S_EPISODE] += 1
    s[t.S_OUT_ATTEMPT] = -1


def _sellable(price: int, p: Ints, s: Ints) -> bool:
    return _tradable(s[t.S_INVENTORY], price, p)


def _tradable(qty: int, price: int, p: Ints) -> bool:
    return qty > 0 and qty >= p[t.MIN_QTY] and qty * price >= p[t.MIN_NOTIONAL]


def _free_part(price: int, now: int, p: Ints, s: Ints, g: Ints) -> int:
    # What may be sold now: nothing while exits are called back that will be over in a moment, else what none counts on.
    free = s[t.S_INVENTORY]
    for i in range(g.shape[1]):
        if g[t.STATE, i] != t.ABSENT and is_bid(i, p, g) == (p[t.SHORT] == 1):
            if now < g[t.CANCELING, i] + t.CANCEL_WAIT_US:
                return 0
            free -= g[t.QTY, i]
    return free if _tradable(free, price, p) else 0


def _place_unwind(qty: int, price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    if send_closing(qty, closing_cap(price, p, s), now, p, s, due):
        unwind_now(price, now, p, s, g, log)
