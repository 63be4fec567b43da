"""What a closed candle decides in the compiled ATR grid, as `core.machines.atr_grid.candles` has it.

Arguments as in `core.atr_levels_kernel`; `g` is the gauge, `j` the candle's column in it.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core.atr_levels_kernel import cut, dearest, end_cuts, held_against, is_line, lay, sale_cap, withdraw
from core.atr_short_kernel import close_short, is_short, profit_at, spot_loss, stop_hit
from core.wide_kernel import above_zero, less, minus, plus, product, times

Ints = NDArray[np.int64]
# Factors of the spacing, in tenths: as the grid is adjusted, and as it is laid anew.
ADJUST_CALM, ADJUST_WILD, RECENTER_CALM, RECENTER_WILD, PLAIN = 10, 20, 8, 13, 10
NANO = 10**9


def decide(j: int, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    """Answer the newest closed candle; the indicators have taken it in and are ready."""
    end_cuts(p, lv)
    _feel(j, p, s, g)
    done = _hedge_exit(p, s)
    recovered = recover(done, p, s, lv, room)
    if not s[a.S_LAYOUT]:
        if not s[a.S_RECOVERY]:
            base = min(g[a.G_CLOSE, j], s[a.S_TOUCH_BID])
            lay(base, _spacing(j, PLAIN, 0, p, g), p, s, lv, lines, room)
            s[a.S_ADJUSTED] = s[a.S_RECENTERED] = s[a.S_COUNT]
    elif recovered:
        _recenter(j, p, s, lv, lines, g, room)
    else:
        _move_grid(j, done, p, s, lv, lines, g, room)
    if p[a.HEDGE]:
        _zone(j, p, s, lines, g)
        _sell_with_budget(p, s, lv, room)


def _feel(j: int, p: Ints, s: Ints, g: Ints) -> None:
    if _has_width(j, g):
        if _wide(j, p[a.WILD_NUM], p[a.WILD_DEN], g) > 0:
            s[a.S_VOLATILITY] = a.WILD
        elif _wide(j, p[a.CALM_NUM], p[a.CALM_DEN], g) < 0:
            s[a.S_VOLATILITY] = a.CALM
    s[a.S_TREND] = g[a.G_TREND, j]


def _has_width(j: int, g: Ints) -> bool:
    return g[a.G_ATR_28, j] > 0 or g[a.G_ATR_28_LOW, j] > 0


def _wide(j: int, num: int, den: int, g: Ints) -> int:
    # ATR 14 / ATR 28 against a fraction: 1 above, 0 equal, -1 below.
    below, below_2 = g[a.G_ATR_14_LOW, j] * den, g[a.G_ATR_28_LOW, j] * num
    way = g[a.G_ATR_14, j] * den + below // NANO - (g[a.G_ATR_28, j] * num + below_2 // NANO)
    if way == 0:
        way = below % NANO - below_2 % NANO
    return 1 if way > 0 else 0 if way == 0 else -1


def _spacing(j: int, tenths: int, before: int, p: Ints, g: Ints) -> int:
    # ATR 14 times its factors, three round trips of fees, two ticks: the largest, on the tick above.
    close, tick = g[a.G_CLOSE, j], p[a.TICK]
    mul = p[a.ATR_NUM] * tenths
    below = g[a.G_ATR_14_LOW, j] * mul
    whole = g[a.G_ATR_14, j] * mul + below // NANO
    ticks = whole // p[a.ATR_DEN]
    if whole % p[a.ATR_DEN] or below % NANO:
        ticks += 1
    if ticks == 0:
        ticks = before // tick if before > 0 else -(-close * 3 // (100 * tick))
    fees = -(-6 * p[a.MAKER] * close // (p[a.FEE_DEN] * tick))
    return max(ticks, fees, 2) * tick


def _move_grid(j: int, done: int, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    close = g[a.G_CLOSE, j]
    if s[a.S_PENDING]:
        if done == a.PENDING_DONE or s[a.S_TREND] != a.DOWN:
            s[a.S_PENDING] = 0
            _recenter(j, p, s, lv, lines, g, room)
        return
    if s[a.S_RECOVERY]:
        return
    filled = 0
    for i in range(p[a.LEVELS]):
        filled += lv[a.L_STATE, i] == a.HOLDING
    mostly = filled * p[a.CONSUMED_DEN] > p[a.CONSUMED_NUM] * p[a.LEVELS]
    if s[a.S_FALLEN] and close >= lines[0] and not mostly:
        s[a.S_FALLEN] = 0
    cooled = s[a.S_COUNT] >= s[a.S_RECENTERED] + p[a.RECENTER_BARS]
    if _shall_recenter(close, filled == p[a.LEVELS], mostly, cooled, p, s, lines):
        _by_trend(j, p, s, lv, lines, g, room)
    elif cooled and _stands_idle(p, lv):
        _recenter(j, p, s, lv, lines, g, room)
    else:
        _adjust(j, p, s, lv, lines, g, room)


def _stands_idle(p: Ints, lv: Ints) -> bool:
    working = 0
    for i in range(p[a.LEVELS]):
        working += lv[a.L_STATE, i] != a.IDLE
    return working == 0


def _shall_recenter(close: int, full: bool, mostly: bool, cooled: bool, p: Ints, s: Ints, lines: Ints) -> bool:
    down = s[a.S_TREND] == a.DOWN
    if (down and s[a.S_FALLEN]) or (full and not down and not cooled):
        return False  # answered already, or nothing to lay
    way = p[a.DRIFT_NUM] * s[a.S_SPACING]
    if (close - lines[s[a.S_LINES] - 1]) * p[a.DRIFT_DEN] > way or (lines[0] - close) * p[a.DRIFT_DEN] > way:
        return True
    return mostly and cooled


def _by_trend(j: int, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    if s[a.S_TREND] == a.DOWN:
        s[a.S_PENDING] = s[a.S_FALLEN] = 1
        withdraw(p, lv)
        if p[a.SALE_NUM]:
            reduce_by(p[a.SALE_NUM], p[a.SALE_DEN], p, s, lv, room)
        return
    hedged = is_short(p, s)
    if hedged:
        h, _ = profit_at(s[a.S_TOUCH_ASK_2], p, s)
        if h < 0 and s[a.S_TREND] == a.SIDEWAYS:
            if s[a.S_COUNT] >= s[a.S_RECENTERED] + p[a.RECENTER_BARS]:
                s[a.S_RECENTERED] = s[a.S_COUNT]
            return
        if h >= 0:
            close_short(p, s)
    if s[a.S_TREND] == a.UP:
        take_profits(p, s, lv)
    elif p[a.LOSS_SALE]:
        reduce_by(1, 1, p, s, lv, room)
    _recenter(j, p, s, lv, lines, g, room)


def _recenter(j: int, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    s[a.S_RECENTERED] = s[a.S_ADJUSTED] = s[a.S_COUNT]
    full = True
    for i in range(p[a.LEVELS]):
        full = full and lv[a.L_STATE, i] == a.HOLDING
    if full or s[a.S_RECOVERY]:
        return
    tenths = PLAIN
    if _has_width(j, g):
        if _wide(j, p[a.WILD_NUM], p[a.WILD_DEN], g) >= 0:
            tenths = RECENTER_WILD
        elif _wide(j, p[a.CALM_NUM], p[a.CALM_DEN], g) <= 0:
            tenths = RECENTER_CALM
    spacing = _spacing(j, tenths, s[a.S_SPACING], p, g)
    lay(min(g[a.G_CLOSE, j], s[a.S_TOUCH_BID]), spacing, p, s, lv, lines, room)


def _adjust(j: int, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    if not s[a.S_VOLATILITY] or s[a.S_COUNT] < s[a.S_ADJUSTED] + p[a.ADJUST_BARS]:
        return
    if _has_width(j, g):
        if _wide(j, p[a.CALM_NUM], p[a.CALM_DEN], g) >= 0 and _wide(j, p[a.WILD_NUM], p[a.WILD_DEN], g) <= 0:
            return  # between the two thresholds the spacing stays as it is
    else:
        return
    tenths = ADJUST_WILD if s[a.S_VOLATILITY] == a.WILD else ADJUST_CALM
    spacing, old = _spacing(j, tenths, s[a.S_SPACING], p, g), s[a.S_SPACING]
    if abs(spacing - old) * p[a.ADJUST_DEN] <= p[a.ADJUST_NUM] * old:
        return
    base = min(g[a.G_CLOSE, j], s[a.S_TOUCH_BID])
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] == a.HOLDING:
            base = min(base, lv[a.L_PRICE, i])
            lv[a.L_KEPT, i] = is_line(lv[a.L_PRICE, i], s, lines)
    s[a.S_ADJUSTED] = s[a.S_COUNT]
    lay(base, spacing, p, s, lv, lines, room)


def reduce_by(num: int, den: int, p: Ints, s: Ints, lv: Ints, room: Ints) -> None:
    """Sell a part of the bag, the dearest lots first; lots in loss are left alone unless they may be sold so."""
    left = num * max(s[a.S_INVENTORY], 0)
    cap = sale_cap(s[a.S_TOUCH_BID], p)
    for k in range(dearest(p, lv, room)):
        i = room[k]
        losing = held_against(i, p[a.FEE_DEN], cap * (p[a.FEE_DEN] - p[a.TAKER]), p, lv) < 0
        if left <= 0 or (losing and not p[a.LOSS_SALE]):
            continue
        qty = min(left // den, lv[a.L_HELD, i]) // p[a.LOT] * p[a.LOT]
        held = lv[a.L_HELD, i]
        if cut(i, qty, cap, p, s, lv):
            left -= held * den


def take_profits(p: Ints, s: Ints, lv: Ints) -> None:
    """Sell whole lots that earn more than their fees at the market, though their targets are not reached."""
    cap = sale_cap(s[a.S_TOUCH_BID], p)
    value = cap * (p[a.FEE_DEN] - p[a.TAKER])
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] == a.HOLDING and held_against(i, p[a.FEE_DEN] + p[a.MAKER], value, p, lv) > 0:
            cut(i, lv[a.L_HELD, i], cap, p, s, lv)


def _hedge_exit(p: Ints, s: Ints) -> int:
    # End the short where one of its exits is reached, the first of them in order.
    if not is_short(p, s) or s[a.S_OPENED_AT] == a.NEVER:
        return a.NO_EXIT
    h, low = profit_at(s[a.S_TOUCH_ASK_2], p, s)
    loss_h, loss = spot_loss(p, s)
    turned = s[a.S_TREND] == a.UP and h < 0
    gains = above_zero(h, low)
    trip_h, trip = product(s[a.S_TOUCH_ASK_2] * s[a.S_SHORT], 2 * p[a.TAKER_2] * p[a.FINE_FEE_2])
    paid_off = gains and _reaches(h, low, trip_h, trip, p[a.COST_NUM], p[a.COST_DEN])
    if s[a.S_PENDING] and paid_off:
        word = a.PENDING_DONE
    elif stop_hit(h, low, p, s):
        word = a.MAX_LOSS
    elif paid_off and (loss_h < 0 or _reaches(h, low, loss_h, loss, p[a.PROFIT_NUM], p[a.PROFIT_DEN])):
        word = a.TAKE_PROFIT
    elif turned and _turned_too_far(h, low, loss_h, loss, p):
        word = a.REVERSAL_STOP
    elif turned and s[a.S_NOW] - s[a.S_OPENED_AT] >= p[a.CUT_US]:
        word = a.REVERSAL_CUT
    else:
        return a.NO_EXIT
    close_short(p, s)
    return word


def _turned_too_far(h: int, low: int, loss_h: int, loss: int, p: Ints) -> bool:
    h, low = minus(0, 0, h, low)
    if loss_h < 0:
        loss_h, loss = minus(0, 0, loss_h, loss)
    return _reaches(h, low, loss_h, loss, p[a.TURN_NUM], p[a.TURN_DEN])


def _reaches(h: int, low: int, h2: int, low2: int, num: int, den: int) -> bool:
    # Whether an amount is at least num / den of another.
    h, low = times(h, low, den)
    h2, low2 = times(h2, low2, num)
    return not less(h, low, h2, low2)


def recover(lost: int, p: Ints, s: Ints, lv: Ints, room: Ints) -> bool:
    """Begin or end recovery: no purchases while the bag's loss is deep; whether it has just ended."""
    if not s[a.S_RECOVERY] and lost not in (a.MAX_LOSS, a.REVERSAL_STOP, a.REVERSAL_CUT):
        return False
    loss_h, loss = spot_loss(p, s)
    if loss_h < 0:
        loss_h, loss = 0, 0
    if s[a.S_RECOVERY]:
        h, low = times(p[a.CAPITAL], p[a.CAPITAL_LOW], p[a.UNTIL_NUM])
        own_h, own = times(loss_h, loss, p[a.UNTIL_DEN])
        if not less(h, low, own_h, own):
            s[a.S_RECOVERY] = 0
        return s[a.S_RECOVERY] == 0
    if not _reaches(loss_h, loss, p[a.CAPITAL], p[a.CAPITAL_LOW], p[a.FROM_NUM], p[a.FROM_DEN]):
        return False
    s[a.S_RECOVERY] = 1
    withdraw(p, lv)
    h, low = times(p[a.CAPITAL], p[a.CAPITAL_LOW], p[a.SALE_FROM_NUM])
    own_h, own = times(loss_h, loss, p[a.SALE_FROM_DEN])
    if less(h, low, own_h, own):
        reduce_by(p[a.REDUCE_NUM], p[a.REDUCE_DEN], p, s, lv, room)
    return False


def _zone(j: int, p: Ints, s: Ints, lines: Ints, g: Ints) -> None:
    # How much of the bag shall be hedged, by where the candle closed; nothing while a hedge has just ended.
    if not s[a.S_LAYOUT] or s[a.S_COUNT] < s[a.S_COOL_UNTIL]:
        return
    close, lowest, second = g[a.G_CLOSE, j], lines[0], lines[min(1, s[a.S_LINES] - 1)]
    if s[a.S_PENDING]:
        s[a.S_ZONE] = a.ZONE_PENDING
    elif s[a.S_TREND] == a.DOWN and _atrs_apart(lowest - close, p[a.BREAK_ATR_NUM], p[a.BREAK_ATR_DEN], j, p, g):
        s[a.S_ZONE] = a.ZONE_BREAK
    elif lowest <= close <= second and g[a.G_UNDER, j]:
        s[a.S_ZONE] = a.ZONE_DANGER
    elif s[a.S_ZONE] and _atrs_apart(close - second, p[a.LEAVE_ATR_NUM], p[a.LEAVE_ATR_DEN], j, p, g):
        if s[a.S_SHORT] > 0:
            close_short(p, s)
        else:
            s[a.S_ZONE] = a.ZONE_NONE


def _atrs_apart(way: int, num: int, den: int, j: int, p: Ints, g: Ints) -> bool:
    # Whether a distance is above num / den of ATR 14.
    below = g[a.G_ATR_14_LOW, j] * num
    return way * p[a.NANOS] * den - g[a.G_ATR_14, j] * num > below // NANO


def _sell_with_budget(p: Ints, s: Ints, lv: Ints, room: Ints) -> None:
    # Close losing lots, the dearest first, as far as what hedges earned pays for their loss; parts of lots too.
    h, low = s[a.S_BUDGET], s[a.S_BUDGET_LOW]
    if not above_zero(h, low) or less(h, low, p[a.BUDGET_LEAST], p[a.BUDGET_LEAST_LOW]):
        return
    left_h, left = times(h, low, p[a.QTY_SCALE])
    cap = sale_cap(s[a.S_TOUCH_BID], p)
    worth_h, worth = product(cap * (p[a.FEE_DEN] - p[a.TAKER]), p[a.FINE] // p[a.FEE_DEN])
    for k in range(dearest(p, lv, room)):
        i = room[k]
        loss_h, loss = plus(*product(lv[a.L_ENTRY, i], p[a.FINE]), 0, lv[a.L_FINER, i])
        loss_h, loss = minus(loss_h, loss, worth_h, worth)
        if not above_zero(loss_h, loss) or lv[a.L_CUT_TO, i] > 0:
            continue
        fewest, most = 0, lv[a.L_HELD, i] // p[a.LOT]
        while fewest < most:
            middle = (fewest + most + 1) // 2
            need_h, need = times(loss_h, loss, middle * p[a.LOT])
            if less(left_h, left, need_h, need):
                most = middle - 1
            else:
                fewest = middle
        if cut(i, fewest * p[a.LOT], cap, p, s, lv):
            need_h, need = times(loss_h, loss, lv[a.L_CUT_TO, i] - lv[a.L_SOLD, i])
            left_h, left = minus(left_h, left, need_h, need)
