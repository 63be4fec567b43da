"""The books of the compiled rolling grid: lots that entries open, exits close in parts, and a closing of everything takes.

What `core.engine.booking` and `core.lots` do for one bot. A lot is one entry's, so its cost is its price times what is left,
and every part of it exact; shares of an exit's fee are floored to 1e-18, as there. Arguments as in `core.rolling_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r

Ints = NDArray[np.int64]

# Parts of a fee's unit of 1e-8 in the ledger's 1e-18, and its root: shares are divided in two steps.
FINEST = 10**10
ROOT = 10**5


def open_lot(c: int, p: Ints, s: Ints, g: Ints) -> None:
    """Book an entry's fill."""
    i = g[r.OWNER, c]
    lot = i if g[t.HOLDING, i] == 0 else p[r.PLACES] + i
    if g[t.HOLDING, lot]:
        s[t.S_STATUS] = r.LATE_ENTRY
    g[t.HOLDING, lot], g[t.LOT_FEE, lot], g[r.LOT_FINE, lot], g[r.LOT_GAIN, lot] = 1, g[r.PAID_FEE, c], 0, 0
    g[r.LOT_PRICE, lot], g[r.LOT_LEFT, lot] = g[r.PAID, c], g[r.SIZE, c]
    g[r.OPENED, lot], g[r.LOT_NUMBER, lot], g[r.BORN, lot] = g[t.ENDED, c], g[t.CYCLE, c], s[r.R_BORN]
    s[r.R_BORN] += 1
    s[t.S_COST] += g[r.PAID, c] * g[r.SIZE, c]
    s[t.S_INVENTORY] += g[r.SIZE, c]


def close_at_place(c: int, p: Ints, s: Ints, g: Ints) -> None:
    """Book an exit's fill against the lots of its place, the oldest first; each bears its share of the fee."""
    i, qty, fee = g[r.OWNER, c], g[r.SIZE, c], g[r.PAID_FEE, c]
    left, fee_left, fine_left = qty, fee, 0
    while left > 0:
        lot = _oldest_at(i, p, g)
        if g[t.HOLDING, lot] == 0:
            s[t.S_STATUS] = r.OVERSOLD
            return
        part = min(left, g[r.LOT_LEFT, lot])
        share, fine = (fee_left, fine_left) if part == left else _share(fee, part, qty)
        fee_left, fine_left = _without(fee_left, fine_left, share, fine)
        _reduce(lot, g[r.PAID, c], part, share, fine, p, s, g)
        left -= part


def close_everything(p: Ints, s: Ints, g: Ints) -> None:
    """Book the fill that closes all: the oldest lots first, but last what exits may still sell. TAKEN tells the parts."""
    _spare(p, s, g)
    qty, fee, price = s[t.S_OUT_QTY], s[r.R_OUT_FEE], s[r.R_OUT_PAID]
    left = qty
    for sparing in range(2):
        lot = _next_oldest(-1, p, g)
        while left > 0 and lot >= 0:
            part = g[r.LOT_LEFT, lot] - g[r.TAKEN, lot] - (g[r.SPARED, lot] if sparing == 0 else 0)
            part = max(min(left, part), 0)
            g[r.TAKEN, lot] += part
            left -= part
            lot = _next_oldest(lot, p, g)
    if left > 0:
        s[t.S_STATUS] = r.OVERSOLD
    left, fee_left, fine_left, before = qty - left, fee, 0, s[t.S_PROFIT]
    lot = _next_oldest(-1, p, g)
    while left > 0 and lot >= 0:
        # What comes next is looked for first: this lot may be gone afterwards.
        coming, part = _next_oldest(lot, p, g), g[r.TAKEN, lot]
        if part > 0:
            share, fine = (fee_left, fine_left) if part == left else _share(fee, part, qty)
            fee_left, fine_left = _without(fee_left, fine_left, share, fine)
            _reduce(lot, price, part, share, fine, p, s, g)
            left -= part
        lot = coming
    s[r.R_UNWOUND] += s[t.S_PROFIT] - before


def is_before(one: int, other: int) -> bool:
    """Whether a number comes first as text."""
    a, b, size = one, other, 1
    while size * 10 <= max(one, other):
        size *= 10
    while a < size:
        a *= 10
    while b < size:
        b *= 10
    return a < b or (a == b and one < other)


def promised_at(i: int, but: int, p: Ints, s: Ints, g: Ints) -> int:
    """Return what the exits of a place may still close, column `but` left out."""
    promised = g[r.SIZE, i] if g[t.ORDER, i] >= 0 and i != but else 0
    for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
        if g[t.ORDER, c] >= 0 and g[r.OWNER, c] == i and c != but and g[r.ENTERS, c] == 0:
            promised += g[r.SIZE, c]
    return promised


def _spare(p: Ints, s: Ints, g: Ints) -> None:
    n = p[r.PLACES]
    for i in range(n):
        promised, other = promised_at(i, -1, p, s, g), n + i
        g[r.TAKEN, i] = g[r.TAKEN, other] = 0
        swapped = g[t.HOLDING, i] == 0 or (g[t.HOLDING, other] == 1 and g[r.BORN, other] < g[r.BORN, i])
        first, second = (other, i) if swapped else (i, other)
        g[r.SPARED, first] = min(promised, g[r.LOT_LEFT, first]) if g[t.HOLDING, first] else 0
        promised -= g[r.SPARED, first]
        g[r.SPARED, second] = min(promised, g[r.LOT_LEFT, second]) if g[t.HOLDING, second] else 0


def _oldest_at(i: int, p: Ints, g: Ints) -> int:
    # The lot of a place that an exit closes first: the older one, of two of one moment the first by name.
    other = p[r.PLACES] + i
    if g[t.HOLDING, other] == 0:
        return i
    return other if g[t.HOLDING, i] == 0 or _is_older(other, i, p, g) else i


def _is_older(one: int, other: int, p: Ints, g: Ints) -> bool:
    if g[r.OPENED, one] != g[r.OPENED, other]:
        return g[r.OPENED, one] < g[r.OPENED, other]
    i, j = one % p[r.PLACES], other % p[r.PLACES]
    if i != j:
        return g[t.RANK, i] < g[t.RANK, j]
    return is_before(g[r.LOT_NUMBER, one], g[r.LOT_NUMBER, other])


def _next_oldest(after: int, p: Ints, g: Ints) -> int:
    # The oldest lot that is younger than one (-1: the oldest of all), or -1.
    best = -1
    for lot in range(2 * p[r.PLACES]):
        if g[t.HOLDING, lot] == 0 or lot == after or (after >= 0 and _is_older(lot, after, p, g)):
            continue
        if best < 0 or _is_older(lot, best, p, g):
            best = lot
    return best


def _share(fee: int, part: int, whole: int) -> tuple[int, int]:
    # The share of a fee, floored to 1e-18: units of 1e-8, and what is over in 1e-18.
    units, rest = fee * part // whole, fee * part % whole
    upper, rest = rest * ROOT // whole, rest * ROOT % whole
    return units, upper * ROOT + rest * ROOT // whole


def _without(fee: int, fine: int, share: int, share_fine: int) -> tuple[int, int]:
    left = fine - share_fine
    return (fee - share - 1, left + FINEST) if left < 0 else (fee - share, left)


def _reduce(lot: int, price: int, part: int, fee: int, fine: int, p: Ints, s: Ints, g: Ints) -> None:
    gain = (price - g[r.LOT_PRICE, lot]) * part
    if p[t.SHORT]:
        gain = -gain
    s[t.S_PROFIT] += gain
    s[t.S_COST] -= g[r.LOT_PRICE, lot] * part
    s[t.S_INVENTORY] -= part
    g[r.LOT_GAIN, lot] += gain
    g[t.LOT_FEE, lot] += fee
    g[r.LOT_FINE, lot] += fine
    g[r.LOT_LEFT, lot] -= part
    if g[r.LOT_LEFT, lot] == 0:
        g[t.HOLDING, lot] = 0
        s[t.S_TRIPS] += 1
        net = g[r.LOT_GAIN, lot] * p[t.COST_MUL] - g[t.LOT_FEE, lot] * p[t.FEE_MUL]
        s[t.S_WON] += net > g[r.LOT_FINE, lot] // p[r.FINE]
