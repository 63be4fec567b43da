"""Recovery in the compiled rolling grid: episodes of stuck lots, ladders of rungs, what closing at the market may cost.

As `core.machines.rolling_grid.recovery` with `core.stuck`, without hedges. Arguments as in `core.rolling_kernel`. Losses of one
unit are doubled, for a mean entry may lie halfway between two prices; budgets are in 1 / (2 x BUDGET_DEN) of a unit of sums.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t
from core import rolling_table as r
from core.rolling_book_kernel import free_column
from core.rolling_place_kernel import call_rungs_back, can_trade, cap_at, close_lot

Ints = NDArray[np.int64]


def recover(price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    """Begin an episode for every lot that is stuck, and go on with those under way."""
    sign = -1 if p[t.SHORT] else 1
    for i in range(p[r.PLACES]):
        if g[r.HELD, i] == 0 or g[r.DOES, i] == r.ENTERING or (g[r.DOES, i] == r.CLOSING and g[r.STOPPING, i] == 1):
            continue
        if g[r.EPISODE, i]:
            _go_on(i, price, now, p, s, g, due)
        elif now >= g[r.SINCE, i] + p[r.TIMEOUT_US] and price * sign <= g[r.STUCK_AT, i] * sign:
            g[r.EPISODE, i], g[r.STUCK_SINCE, i], g[r.ANCHORED, i], g[r.ESCALATED, i] = 1, now, now, 0
            if p[r.MODE] == r.AT_MARKET:
                _realise(i, price, now, p, s, g, due)
            elif p[r.MODE] == r.BY_RUNGS:
                _lay(i, price, p, s, g)


def _go_on(i: int, price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    patient = now < g[r.ANCHORED, i] + p[r.PATIENCE_US]
    if g[r.ESCALATED, i] == 0 and now >= g[r.STUCK_SINCE, i] + p[r.ESCALATE_US]:
        g[r.ESCALATED, i] = 1
        if p[r.ESCALATES] and g[r.DOES, i] != r.CLOSING:
            _realise(i, price, now, p, s, g, due)
        if not patient:
            s[r.R_AGAIN] = r.BY_TIME
        return
    if patient:
        return
    g[r.ANCHORED, i] = now
    if g[r.DOES, i] == r.CLOSING:
        return
    if p[r.MODE] == r.AT_MARKET or (p[r.ESCALATES] == 1 and g[r.ESCALATED, i] == 1):
        _realise(i, price, now, p, s, g, due)
    elif p[r.MODE] == r.BY_RUNGS:
        _lay(i, price, p, s, g)


def _realise(i: int, price: int, now: int, p: Ints, s: Ints, g: Ints, due: Ints) -> None:
    # Close what the budget pays for.
    held = g[r.HELD, i]
    part = held
    if p[r.BUDGET_DEN]:
        part = _affordable(held, _loss_2(i, cap_at(price, now, now, p), p, g), _budget(i, p, s, g), p)
        if part < held and not (can_trade(part, price, p) and can_trade(held - part, price, p)):
            return
    close_lot(i, part, False, price, now, p, s, g, due)


def _lay(i: int, price: int, p: Ints, s: Ints, g: Ints) -> None:
    count = _wish(i, price, p, s, g)
    if p[r.BUDGET_DEN]:
        count = _cut(i, count, p, s, g)
    nearest = s[r.R_RUNG_PRICE]
    if count == 0 or (count == 1 and nearest == g[r.TARGET, i]):
        return
    if g[r.DOES, i] == r.LADDERED and not _is_nearer(i, nearest, p, s, g):
        return
    call_rungs_back(i, p, s, g)
    for k in range(count):
        c = free_column(i, 0, p, s, g)
        if c < 0:
            return
        g[r.LEFT, c], g[r.WANTED, c] = s[r.R_RUNG_QTY + k], s[r.R_RUNG_PRICE + k]
        g[r.NUMBER, c], g[r.FRESH, c], g[r.TAKES_BOOK, c] = g[r.USED, i] + 1 + k, 1, 0
    g[r.USED, i] += count
    g[r.DOES, i] = r.LADDERED


def _wish(i: int, price: int, p: Ints, s: Ints, g: Ints) -> int:
    # Lay rungs for what is held into the scalars, as many as the exchange's minimum lets be; returns how many.
    held, target = g[r.HELD, i], g[r.TARGET, i]
    for count in range(p[r.RUNGS], 0, -1):
        part = held // (count * p[r.LOT_STEP]) * p[r.LOT_STEP]
        first, last = _rung_price(0, price, target, p), _rung_price(count - 1, price, target, p)
        if not can_trade(part, min(first, last), p):
            continue
        laid = 0
        for k in range(count):
            at, qty = _rung_price(k, price, target, p), part if k else held - part * (count - 1)
            if laid and s[r.R_RUNG_PRICE + laid - 1] == at:
                s[r.R_RUNG_QTY + laid - 1] += qty
            else:
                s[r.R_RUNG_PRICE + laid], s[r.R_RUNG_QTY + laid] = at, qty
                laid += 1
        return laid
    return 0


def _rung_price(k: int, price: int, target: int, p: Ints) -> int:
    whole = p[r.RUNG_DEN] * p[t.TICK]
    if p[t.SHORT]:
        return max(price * p[r.RUNG_NUM + k] // whole * p[t.TICK], target)
    return min(-(-price * p[r.RUNG_NUM + k] // whole) * p[t.TICK], target)


def _cut(i: int, count: int, p: Ints, s: Ints, g: Ints) -> int:
    # Cut rungs to what the budget pays, the nearest first; the rest stays offered at the target. Returns how many are left.
    budget, at_target, kept, target = _budget(i, p, s, g), 0, 0, g[r.TARGET, i]
    for k in range(count):
        at, qty = s[r.R_RUNG_PRICE + k], s[r.R_RUNG_QTY + k]
        loss_2 = _loss_2(i, at, p, g)
        part = _affordable(qty, loss_2, budget, p)
        if not can_trade(part, at, p):
            part = 0
        if part:
            s[r.R_RUNG_PRICE + kept], s[r.R_RUNG_QTY + kept] = at, part
            kept += 1
            budget -= loss_2 * part * p[t.COST_MUL] * p[r.BUDGET_DEN]
        at_target += qty - part
    if at_target == 0:
        return kept
    if kept and s[r.R_RUNG_PRICE + kept - 1] == target:
        s[r.R_RUNG_QTY + kept - 1] += at_target
        return kept
    s[r.R_RUNG_PRICE + kept], s[r.R_RUNG_QTY + kept] = target, at_target
    return kept + 1


def _is_nearer(i: int, nearest: int, p: Ints, s: Ints, g: Ints) -> bool:
    # Rungs move towards the market alone.
    for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
        live = g[r.OWNER, c] == i and g[r.LEFT, c] > 0
        if live and (nearest <= g[r.WANTED, c] if p[t.SHORT] else nearest >= g[r.WANTED, c]):
            return False
    return True


def _loss_2(i: int, price: int, p: Ints, g: Ints) -> int:
    loss_2 = g[r.ENTRY_2, i] - 2 * price
    return max(-loss_2 if p[t.SHORT] else loss_2, 0)


def _affordable(qty: int, loss_2: int, budget: int, p: Ints) -> int:
    if loss_2 == 0:
        return qty
    return min(qty, budget // (loss_2 * p[t.COST_MUL] * p[r.BUDGET_DEN] * p[r.LOT_STEP]) * p[r.LOT_STEP])


def _budget(i: int, p: Ints, s: Ints, g: Ints) -> int:
    # What may still be lost; what other lots' rungs and closings may lose is set aside.
    net, spent_2 = s[t.S_PROFIT] * p[t.COST_MUL] - s[t.S_PAID] * p[t.FEE_MUL], s[r.R_SPENT_2] * p[t.COST_MUL]
    left = max(p[r.BUDGET_NUM] * max(2 * net + spent_2, 0) - p[r.BUDGET_DEN] * spent_2, 0)
    for other in range(p[r.PLACES]):
        if other == i or g[r.EPISODE, other] == 0:
            continue
        if g[r.DOES, other] == r.CLOSING and g[r.STOPPING, other] == 0:
            lost_2 = _loss_2(other, g[r.CAP, other], p, g) * g[r.GOAL, other]
            left -= lost_2 * p[t.COST_MUL] * p[r.BUDGET_DEN]
        elif g[r.DOES, other] == r.LADDERED:
            for c in range(3 * p[r.PLACES], s[r.R_COLUMNS]):
                if g[r.OWNER, c] == other:
                    lost_2 = _loss_2(other, g[r.WANTED, c], p, g) * g[r.LEFT, c]
                    left -= lost_2 * p[t.COST_MUL] * p[r.BUDGET_DEN]
    return max(left, 0)
