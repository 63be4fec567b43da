"""The levels of the compiled ATR grid: laid below the price, filled, sold, reduced, as `core.machines.atr_grid.levels` does.

`p` are parameters, `s` scalars, `lv` the table of levels, `lines` the prices of the grid as last laid, rising; `room` is
memory to sort in. `core.atr_table` has the words.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core.wide_kernel import HALF, less, minus, over, product, times

Ints = NDArray[np.int64]


def bought(i: int, cycle: int, price: int, qty: int, p: Ints, s: Ints, lv: Ints) -> None:
    """Take in a fill of a level's purchase, a late one of an earlier cycle included."""
    s[a.S_CASH] -= price * qty * (p[a.FEE_DEN] + p[a.MAKER]) * p[a.MONEY_FEE_MUL]
    lv[a.L_CHANGED, i] = 1
    if lv[a.L_STATE, i] == a.IDLE:
        # The fill outran the withdrawal of its order: hold what it bought.
        if not s[a.S_LAYOUT]:
            s[a.S_STATUS] = a.STRANGE
        lv[a.L_CYCLE, i] = max(lv[a.L_CYCLE, i], cycle)
        lv[a.L_PRICE, i], lv[a.L_SPACING, i] = price, s[a.S_SPACING]
        lv[a.L_HELD, i], lv[a.L_ENTRY, i], lv[a.L_FINER, i], lv[a.L_SOLD, i] = qty, price, 0, 0
        _hold(i, p, lv)
        return
    _mix(i, price, qty, p, s, lv)
    lv[a.L_HELD, i] += qty
    if lv[a.L_STATE, i] == a.RESTING:
        if cycle == lv[a.L_CYCLE, i]:
            lv[a.L_BOUGHT, i] += qty
        if lv[a.L_BOUGHT, i] >= lv[a.L_QTY, i]:
            _hold(i, p, lv)


def _hold(i: int, p: Ints, lv: Ints) -> None:
    lv[a.L_STATE, i] = a.HOLDING
    lv[a.L_TARGET, i] = target_of(i, p, lv)
    lv[a.L_CUT_TO, i] = lv[a.L_CAP, i] = 0


def target_of(i: int, p: Ints, lv: Ints) -> int:
    """Return where a level's lot is for sale: its entry and its spacing, on the tick above."""
    tick = p[a.TICK]
    up = lv[a.L_ENTRY, i] + lv[a.L_SPACING, i] + (lv[a.L_FINER, i] > 0)
    return -(-up // tick) * tick


def _mix(i: int, price: int, qty: int, p: Ints, s: Ints, lv: Ints) -> None:
    # The average entry, floored to 1e-18.
    held, entry = lv[a.L_HELD, i], lv[a.L_ENTRY, i]
    if held + qty >= 9 * HALF:
        s[a.S_STATUS] = a.STRANGE
        return
    if held == 0:
        lv[a.L_ENTRY, i], lv[a.L_FINER, i] = price, 0
        return
    if lv[a.L_FINER, i]:
        s[a.S_STATUS] = a.MIXED  # the core's sum may be beyond its 28 digits
        return
    h, low = times(*product(entry * held + price * qty, 1), p[a.FINE])
    h, low, _ = over(h, low, held + qty)
    # Back to whole units and what is below: WIDE is FINE times a power of ten.
    lv[a.L_ENTRY, i] = h * p[a.FINE_PLACES] + low // p[a.FINE]
    lv[a.L_FINER, i] = low % p[a.FINE]


def parted(i: int, cycle: int, price: int, qty: int, p: Ints, s: Ints, lv: Ints, lines: Ints) -> None:
    """Take in that some of a level's lot was sold by its own leg; a level sold out is free again."""
    cutting = lv[a.L_STATE, i] == a.HOLDING and lv[a.L_CUT_TO, i] > 0
    fee = p[a.TAKER] if cutting else p[a.MAKER]
    s[a.S_CASH] += price * qty * (p[a.FEE_DEN] - fee) * p[a.MONEY_FEE_MUL]
    if lv[a.L_STATE, i] == a.IDLE:
        return
    lv[a.L_CHANGED, i] = 1
    if cutting and price < lv[a.L_ENTRY, i] + (lv[a.L_FINER, i] > 0):
        _pay(i, price, qty, p, s, lv)
    lv[a.L_HELD, i] = max(lv[a.L_HELD, i] - qty, 0)
    if cycle == lv[a.L_CYCLE, i]:
        lv[a.L_SOLD, i] += qty
    if lv[a.L_STATE, i] == a.RESTING:
        return
    if lv[a.L_HELD, i] > 0:
        if lv[a.L_SOLD, i] >= lv[a.L_CUT_TO, i]:
            lv[a.L_CUT_TO, i] = lv[a.L_CAP, i] = 0
        return
    _again(i, p, s, lv, lines)


def _pay(i: int, price: int, qty: int, p: Ints, s: Ints, lv: Ints) -> None:
    # What hedges earned pays for the loss of a cut, and its fee.
    if lv[a.L_FINER, i]:
        s[a.S_STATUS] = a.MIXED  # the core's sum may be beyond its 28 digits
    loss = (lv[a.L_ENTRY, i] - price) * p[a.FEE_DEN] + price * p[a.TAKER]
    h, low = times(*product(loss, p[a.FINE_FEE]), qty)
    s[a.S_BUDGET], s[a.S_BUDGET_LOW] = minus(s[a.S_BUDGET], s[a.S_BUDGET_LOW], h, low)


def _again(i: int, p: Ints, s: Ints, lv: Ints, lines: Ints) -> None:
    cycle = lv[a.L_CYCLE, i] + 1
    if s[a.S_PENDING] or s[a.S_RECOVERY] or not s[a.S_LAYOUT]:
        idle(i, cycle, lv)
        return
    price = lv[a.L_PRICE, i]
    known = is_line(price, s, lines)
    if not known:
        # A lot of an older grid: its place goes on as one more level below the present one.
        price = (lines[0] - s[a.S_SPACING]) // p[a.TICK] * p[a.TICK]
        if price <= 0:
            idle(i, cycle, lv)
            return
    free, reserved = 1, 0
    for k in range(p[a.LEVELS]):
        free += lv[a.L_STATE, k] != a.HOLDING
        if lv[a.L_STATE, k] == a.RESTING:
            reserved += lv[a.L_PRICE, k] * (lv[a.L_QTY, k] - lv[a.L_BOUGHT, k])
    unreserved = s[a.S_CASH] - reserved * (p[a.FEE_DEN] + p[a.MAKER]) * p[a.MONEY_FEE_MUL]
    qty = min(bought_by(s[a.S_CASH], free, price, p), part_of(unreserved, 1, price, p))
    fresh(i, cycle, price, s[a.S_SPACING], qty, p, lv)
    if not known and lv[a.L_STATE, i] == a.RESTING:
        _put_below(price, s, lines)


def _put_below(price: int, s: Ints, lines: Ints) -> None:
    count = s[a.S_LINES]
    if count == len(lines):
        s[a.S_STATUS] = a.CROWDED
        return
    for k in range(count, 0, -1):
        lines[k] = lines[k - 1]
    lines[0] = price
    s[a.S_LINES] = count + 1


def is_line(price: int, s: Ints, lines: Ints) -> bool:
    """Whether a price is one of the grid's."""
    for k in range(s[a.S_LINES]):  # noqa: SIM110  compiled
        if lines[k] == price:
            return True
    return False


def bought_by(cash: int, free: int, price: int, p: Ints) -> int:
    """Return what one of `free` unfilled levels buys at a price: by the configured size, else its part of the cash."""
    if p[a.ORDER_QUOTE]:
        return p[a.ORDER_QUOTE] // (price * p[a.LOT] * p[a.MONEY_MUL]) * p[a.LOT]
    return part_of(cash, free, price, p) if free and cash > 0 else 0


def part_of(money: int, free: int, price: int, p: Ints) -> int:
    """Return what nine tenths of money buy at a price, shared by `free`, on the lot."""
    whole = 10 * free * price * p[a.LOT] * p[a.MONEY_MUL]
    return (9 * (money // whole) + 9 * (money % whole) // whole) * p[a.LOT]


def fresh(i: int, cycle: int, price: int, spacing: int, qty: int, p: Ints, lv: Ints) -> None:
    """Let a level rest at a price, or leave it out where its order would be too small."""
    if qty < p[a.MIN_QTY] or price * qty < p[a.LEAST]:
        idle(i, cycle, lv)
        return
    lv[a.L_CHANGED, i], lv[a.L_STATE, i], lv[a.L_CYCLE, i] = 1, a.RESTING, cycle
    lv[a.L_PRICE, i], lv[a.L_SPACING, i], lv[a.L_QTY, i] = price, spacing, qty
    lv[a.L_BOUGHT, i] = lv[a.L_HELD, i] = lv[a.L_ENTRY, i] = lv[a.L_FINER, i] = lv[a.L_SOLD, i] = 0
    lv[a.L_CUT_TO, i] = lv[a.L_CAP, i] = 0


def idle(i: int, cycle: int, lv: Ints) -> None:
    """Leave a place without a level."""
    lv[a.L_CHANGED, i], lv[a.L_STATE, i], lv[a.L_CYCLE, i] = 1, a.IDLE, cycle
    lv[a.L_SOLD, i] = lv[a.L_BOUGHT, i] = lv[a.L_HELD, i] = 0


def let_go(i: int, p: Ints, lv: Ints) -> None:
    """Free a level before its first fill; one that bought a part holds it."""
    if lv[a.L_STATE, i] != a.RESTING:
        return
    if lv[a.L_HELD, i] > 0:
        lv[a.L_CHANGED, i] = 1
        _hold(i, p, lv)
    elif lv[a.L_BOUGHT, i] == 0 and lv[a.L_SOLD, i] == 0:
        idle(i, lv[a.L_CYCLE, i], lv)
    else:
        idle(i, lv[a.L_CYCLE, i] + 1, lv)


def withdraw(p: Ints, lv: Ints) -> None:
    """Want no more purchases; what was bought stays for sale."""
    for i in range(p[a.LEVELS]):
        let_go(i, p, lv)


def lay(base: int, spacing: int, p: Ints, s: Ints, lv: Ints, lines: Ints, room: Ints) -> None:
    """Lay every free level anew below `base`; levels marked as kept stay part of the grid by their prices."""
    levels = p[a.LEVELS]
    withdraw(p, lv)
    free, found = 0, 0
    for i in range(levels):
        free += lv[a.L_STATE, i] == a.IDLE
    price = (base - spacing) // p[a.TICK] * p[a.TICK]
    while found < free and price > 0:
        if _has_room(price, spacing, p, lv):
            room[found] = price
            found += 1
        price = (price - spacing) // p[a.TICK] * p[a.TICK]
    k = 0
    for i in range(levels):
        if lv[a.L_STATE, i] == a.IDLE and k < found:
            qty = bought_by(s[a.S_CASH], found, room[k], p)
            fresh(i, lv[a.L_CYCLE, i], room[k], spacing, qty, p, lv)
            k += 1
    _draw_lines(spacing, p, s, lv, lines)


def _has_room(price: int, spacing: int, p: Ints, lv: Ints) -> bool:
    # No lot was bought within half a spacing.
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] != a.HOLDING:
            continue
        entry, finer = lv[a.L_ENTRY, i], lv[a.L_FINER, i]
        if price > entry:
            beyond = 2 * (price - entry) - spacing  # at least twice what is finer
            near = beyond < 0 or (beyond == 0 and finer > 0) or (beyond == 1 and 2 * finer > p[a.FINE])
        else:
            missing = spacing - 2 * (entry - price)  # at most twice what is finer
            near = missing > 1 or (missing == 1 and 2 * finer < p[a.FINE])
        if near:
            return False
    return True


def _draw_lines(spacing: int, p: Ints, s: Ints, lv: Ints, lines: Ints) -> None:
    # The prices of what was laid and of what is kept, rising, each once; with none of them the old grid stays.
    count = 0
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] != a.RESTING and not lv[a.L_KEPT, i]:
            continue
        price, k = lv[a.L_PRICE, i], 0
        lv[a.L_KEPT, i] = 0
        if count == 0:
            s[a.S_LINES] = 0
        while k < count and lines[k] < price:
            k += 1
        if k < count and lines[k] == price:
            continue
        for j in range(count, k, -1):
            lines[j] = lines[j - 1]
        lines[k] = price
        count += 1
    if count:
        s[a.S_LAYOUT], s[a.S_SPACING], s[a.S_LINES], s[a.S_FALLEN] = 1, spacing, count, 0


def sale_cap(bid: int, p: Ints) -> int:
    """Return the lowest price at which a cut sells."""
    return bid * p[a.CAP_NUM] // (p[a.CAP_DEN] * p[a.TICK]) * p[a.TICK]


def cut(i: int, qty: int, cap: int, p: Ints, s: Ints, lv: Ints) -> bool:
    """Begin to sell a part of a lot at the market, capped; False where an order for it would be too small."""
    if cap <= 0:
        s[a.S_STATUS] = a.STRANGE
        return False
    sale = _sellable(cap, min(qty, lv[a.L_HELD, i]), p)
    rest = lv[a.L_HELD, i] - sale
    if sale > 0 and rest > 0 and _sellable(cap, rest, p) == 0:
        least = p[a.MIN_NOTIONAL] // (cap * p[a.LOT]) * p[a.LOT]
        sale = _sellable(cap, sale - (least + p[a.LOT] - rest), p)
    if sale <= 0:
        return False
    lv[a.L_CUT_TO, i], lv[a.L_CAP, i], lv[a.L_CHANGED, i] = lv[a.L_SOLD, i] + sale, cap, 1
    return True


def _sellable(price: int, qty: int, p: Ints) -> int:
    floored = qty // p[a.LOT] * p[a.LOT]
    if floored < p[a.MIN_QTY] or floored <= 0 or price * floored < p[a.MIN_NOTIONAL]:
        return 0
    return floored


def end_cuts(p: Ints, lv: Ints) -> None:
    """Offer what is left of unfinished cuts at their targets again."""
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] == a.HOLDING and lv[a.L_CUT_TO, i] > 0:
            lv[a.L_CUT_TO, i] = lv[a.L_CAP, i] = 0
            lv[a.L_CHANGED, i] = 1


def held_against(i: int, mul: int, value: int, p: Ints, lv: Ints) -> int:
    """Compare `value` with a lot's entry times `mul`: above (1), equal (0) or below it (-1)."""
    way, finer = value - lv[a.L_ENTRY, i] * mul, lv[a.L_FINER, i]
    if finer == 0 or way <= 0:
        return 1 if way > 0 else 0 if way == 0 and finer == 0 else -1
    if way >= mul:
        return 1
    h, low = product(way, p[a.FINE])
    h2, low2 = product(finer, mul)
    return -1 if less(h, low, h2, low2) else 0 if h == h2 and low == low2 else 1


def dearest(p: Ints, lv: Ints, room: Ints) -> int:
    """Sort the places that hold a lot into `room`, the one with the highest entry first; returns how many there are."""
    count = 0
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] != a.HOLDING:
            continue
        k = count
        while k > 0 and _cheaper(room[k - 1], i, lv):
            room[k] = room[k - 1]
            k -= 1
        room[k] = i
        count += 1
    return count


def _cheaper(i: int, j: int, lv: Ints) -> bool:
    return lv[a.L_ENTRY, i] < lv[a.L_ENTRY, j] or (
        lv[a.L_ENTRY, i] == lv[a.L_ENTRY, j] and lv[a.L_FINER, i] < lv[a.L_FINER, j]
    )
