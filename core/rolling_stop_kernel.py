"""The stop price of the compiled rolling grid: all is given up and closed at the market, and nothing is entered any more.

As `guard_price` of `core.machines.rolling_grid.recovery` and the unwinds of `core.engine.unwind` do it for one bot that nobody
releases. Exits must be off the book before what they would sell is sold; those whose cancel is long on its way are not waited
for by the rest. Arguments as in `core.rolling_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.grid_book_kernel import closing_cap, send_closing
from core.rolling_book_kernel import activate_closing
from core.rolling_entry_kernel import give_up
from core.rolling_place_kernel import can_trade, lifted

Ints = NDArray[np.int64]


def guard_price(price: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Flatten once the stop price is passed; stopped until it is back, and from then on only what is left is looked after."""
    falls, held = p[r.STOP_FALLS] == 1, s[t.S_INVENTORY] > 0
    if s[r.R_PHASE] == r.TRADES:
        if price > p[r.STOP_AT] if falls else price < p[r.STOP_AT]:
            return
        s[r.R_PHASE], s[r.R_TRIPPED] = r.FLATTENS, 1
        for i in range(p[r.PLACES]):
            if g[r.DOES, i] == r.ENTERING:
                give_up(i, p, s, g, due)
    if held and not can_trade(s[t.S_INVENTORY], price, p):
        s[t.S_STATUS] = t.BELOW_MINIMUM  # the core leaves it to its exits
    if s[r.R_PHASE] == r.FLATTENS:
        s[r.R_PHASE] = r.FLATTENS if held else r.STOPPED
    elif held:
        s[r.R_PHASE] = r.FLATTENS
    elif price >= p[r.STOP_BACK] if falls else price <= p[r.STOP_BACK]:
        s[r.R_PHASE] = r.TRADES
    if s[r.R_PHASE] == r.FLATTENS and s[t.S_UNWINDS] == 0:
        s[t.S_UNWINDS], s[t.S_OUT_ATTEMPT] = 1, -1
        s[t.S_EPISODE] += 1


def tend_unwind(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> bool:
    """Send what closes everything, as far as it is free; whether that was filled at once. Over once nothing lives or is held."""
    live, free = s[t.S_OUT_ORDER] != 0, s[t.S_INVENTORY]
    for c in range(s[r.R_COLUMNS]):
        if g[t.STATE, c] == t.ABSENT:
            continue
        live = True
        if g[r.ENTERS, c] == 0:
            # Called back at this moment, or so lately that it will be over in another.
            soon = g[t.CANCELING, c] == 0 or now < g[t.CANCELING, c] + t.CANCEL_WAIT_US
            free = -t.FAR if soon else free - g[r.SIZE, c]
    if s[t.S_INVENTORY] == 0:
        s[t.S_UNWINDS] = 1 if live else 0
        return False
    if s[t.S_OUT_ORDER] or not can_trade(free, price, p):
        return False
    before = s[t.S_FILLS]
    _place(free, price, now, p, s, g, due, log)
    return s[t.S_FILLS] > before


def is_over(s: Ints, g: Ints) -> bool:
    """Whether nothing can happen any more: tripped, nothing held, nothing live."""
    if s[r.R_TRIPPED] == 0 or s[t.S_UNWINDS] or s[t.S_INVENTORY] or s[t.S_DUE_FROM] < s[t.S_DUE_TO]:
        return False
    live = 0
    for c in range(s[r.R_COLUMNS]):
        live += g[t.STATE, c] != t.ABSENT
    return live == 0


def _place(qty: int, price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints, log: Ints) -> None:
    cap = closing_cap(price, p, s)
    if send_closing(qty, cap if p[t.SHORT] else lifted(cap, qty, price, p), now, p, s, due):
        activate_closing(price, now, p, s, g, log)
