"""What a closed candle decides in the compiled ATR grid, as `core.machines.atr_grid.candles` has it.

Arguments as in `core.atr_levels_kernel`; `g` is the gauge, `j` the candle's column in it.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core.atr_levels_kernel import cut, dearest, end_cuts, held_against, is_line, lay, sale_cap, withdraw

Ints = NDArray[np.int64]
# Factors of the spacing, in tenths: as the grid is adjusted, and as it is laid anew.
ADJUST_CALM, ADJUST_WILD, RECENTER_CALM, RECENTER_WILD, PLAIN = 10, 20, 8, 13, 10
NANO = 10**9


def decide(j: int, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    """Answer the newest closed candle; the indicators have taken it in and are ready."""
    end_cuts(p, lv)
    _feel(j, p, s, g)
    if not s[a.S_LAYOUT]:
        base = min(g[a.G_CLOSE, j], s[a.S_LAST])
        lay(base, _spacing(j, PLAIN, 0, p, g), p, s, lv, lines, room)
        s[a.S_ADJUSTED] = s[a.S_RECENTERED] = s[a.S_COUNT]
    else:
        _move_grid(j, p, s, lv, lines, g, room)


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


def _move_grid(j: int, p: Ints, s: Ints, lv: Ints, lines: Ints, g: Ints, room: Ints) -> None:
    close = g[a.G_CLOSE, j]
    if s[a.S_PENDING]:
        if s[a.S_TREND] != a.DOWN:
            s[a.S_PENDING] = 0
            _recenter(j, p, s, lv, lines, g, room)
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
    lay(min(g[a.G_CLOSE, j], s[a.S_LAST]), spacing, p, s, lv, lines, room)


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
    base = min(g[a.G_CLOSE, j], s[a.S_LAST])
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] == a.HOLDING:
            base = min(base, lv[a.L_PRICE, i])
            lv[a.L_KEPT, i] = is_line(lv[a.L_PRICE, i], s, lines)
    s[a.S_ADJUSTED] = s[a.S_COUNT]
    lay(base, spacing, p, s, lv, lines, room)


def reduce_by(num: int, den: int, p: Ints, s: Ints, lv: Ints, room: Ints) -> None:
    """Sell a part of the bag, the dearest lots first; lots in loss are left alone unless they may be sold so."""
    left = num * max(s[a.S_INVENTORY], 0)
    cap = sale_cap(s[a.S_LAST], p)
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
    cap = sale_cap(s[a.S_LAST], p)
    value = cap * (p[a.FEE_DEN] - p[a.TAKER])
    for i in range(p[a.LEVELS]):
        if lv[a.L_STATE, i] == a.HOLDING and held_against(i, p[a.FEE_DEN] + p[a.MAKER], value, p, lv) > 0:
            cut(i, lv[a.L_HELD, i], cap, p, s, lv)
