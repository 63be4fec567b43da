"""The hedge of the compiled ATR grid: its size, its two legs, what it earned, as `core.machines.atr_grid.short` has it.

Amounts are pairs in 1e-18 quote (`core.wide_kernel`); arguments as in `core.atr_levels_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import atr_table as a
from core.atr_perp_kernel import value_of
from core.wide_kernel import HALF, WIDE, above_zero, less, minus, plus, product, times

Ints = NDArray[np.int64]
RETRY_US = 5_000_000


def short_fill(leg_cycle: int, sold: bool, price: int, qty: int, at: int, p: Ints, s: Ints) -> None:
    """Take in a fill of the hedge, a late one of an earlier cycle included."""
    own = qty if leg_cycle == s[a.S_SHORT_CYCLE] else 0
    moved_h, moved = value_of(price, qty, p)
    h, low = s[a.S_PROCEEDS], s[a.S_PROCEEDS_LOW]
    if sold:
        s[a.S_SOLD] += own
        s[a.S_PROCEEDS], s[a.S_PROCEEDS_LOW] = plus(h, low, moved_h, moved)
    else:
        s[a.S_BOUGHT] += own
        s[a.S_PROCEEDS], s[a.S_PROCEEDS_LOW] = minus(h, low, moved_h, moved)
    fee_h, fee = product(price * qty, p[a.TAKER_2] * p[a.FINE_FEE_2])
    s[a.S_COSTS], s[a.S_COSTS_LOW] = plus(s[a.S_COSTS], s[a.S_COSTS_LOW], fee_h, fee)
    if s[a.S_OPENED_AT] == a.NEVER:
        s[a.S_OPENED_AT] = at


def profit_at(price: int, p: Ints, s: Ints) -> tuple[int, int]:
    """Return the short's profit as if bought back at `price`, all fees counted."""
    h, low = product(price * s[a.S_SHORT], (p[a.FEE_DEN_2] + p[a.TAKER_2]) * p[a.FINE_FEE_2])
    h, low = plus(h, low, s[a.S_COSTS], s[a.S_COSTS_LOW])
    return minus(s[a.S_PROCEEDS], s[a.S_PROCEEDS_LOW], h, low)


def spot_loss(p: Ints, s: Ints) -> tuple[int, int]:
    """Return the bag's floating loss at the last price, below zero where it is a profit."""
    h, low = value_of(s[a.S_LAST], s[a.S_INVENTORY], p)
    return minus(s[a.S_NET_COST], s[a.S_NET_COST_LOW], h, low)


def ratio_of(zone: int, p: Ints) -> int:
    """Return the numerator of the share of the bag that a zone wants short."""
    return p[a.ZONE_NUM + 2 * zone]


def is_short(p: Ints, s: Ints) -> bool:
    """Whether a short stands that is wanted."""
    return s[a.S_SHORT] > 0 and ratio_of(s[a.S_ZONE], p) > 0


def stop_hit(h: int, low: int, p: Ints, s: Ints) -> bool:
    """Whether a short with this profit lost what it may: more than the bag did, or its hard stop."""
    h, low = minus(0, 0, h, low)
    most_h, most = times(s[a.S_SHORT_COST], s[a.S_SHORT_COST_LOW], p[a.STOP_NUM])
    lost_h, lost = times(h, low, p[a.STOP_DEN])
    if not less(lost_h, lost, most_h, most):
        return True
    bag_h, bag = spot_loss(p, s)
    if less(bag_h, bag, p[a.LOSS_MOST], p[a.LOSS_MOST_LOW]):
        bag_h, bag = p[a.LOSS_MOST], p[a.LOSS_MOST_LOW]
    # The larger of the bag's loss and the capital's share; both are never below zero.
    return not less(h, low, bag_h, bag)


def close_short(p: Ints, s: Ints) -> None:
    """Want no short any more, and none for the cooldown."""
    s[a.S_ZONE] = a.ZONE_NONE
    s[a.S_COOL_UNTIL] = s[a.S_COUNT] + p[a.COOL_BARS]


def tend(news: bool, p: Ints, s: Ints) -> None:
    """Bring the asked quantities in line with what is wanted; renew caps; notice the end of a short."""
    _end_if_flat(p, s)
    again = (
        s[a.S_OFF_SINCE] != a.NEVER
        and s[a.S_ASKED_AT] != a.NEVER
        and (s[a.S_NOW] >= s[a.S_ASKED_AT] + (RETRY_US << min(s[a.S_TRIES], 4)))
    )
    if news or again:
        _ask(again, p, s)


def _end_if_flat(p: Ints, s: Ints) -> None:
    if s[a.S_OPENED_AT] == a.NEVER or s[a.S_SHORT] != 0:
        return
    h, low = minus(s[a.S_PROCEEDS], s[a.S_PROCEEDS_LOW], s[a.S_COSTS], s[a.S_COSTS_LOW])
    s[a.S_BUDGET], s[a.S_BUDGET_LOW] = plus(s[a.S_BUDGET], s[a.S_BUDGET_LOW], h, low)
    s[a.S_HEDGED], s[a.S_HEDGED_LOW] = plus(s[a.S_HEDGED], s[a.S_HEDGED_LOW], h, low)
    s[a.S_SHORT_CYCLE] += 1
    if s[a.S_INVENTORY] <= 0:
        s[a.S_ZONE] = a.ZONE_NONE
    s[a.S_COOL_UNTIL] = max(s[a.S_COOL_UNTIL], s[a.S_COUNT] + p[a.COOL_BARS])
    for k in (a.S_ASKED_SELL, a.S_ASKED_BUY, a.S_SOLD, a.S_BOUGHT, a.S_CAP_SELL, a.S_CAP_BUY, a.S_TRIES):
        s[k] = 0
    s[a.S_PROCEEDS] = s[a.S_PROCEEDS_LOW] = s[a.S_COSTS] = s[a.S_COSTS_LOW] = 0
    s[a.S_ASKED_AT] = s[a.S_OPENED_AT] = a.NEVER
    s[a.S_SHORT_CHANGED] = 1


def _ask(again: bool, p: Ints, s: Ints) -> None:
    move = _move(p, s)
    sell, buy = s[a.S_SOLD] + max(move, 0), s[a.S_BOUGHT] + max(-move, 0)
    if sell != s[a.S_ASKED_SELL] or buy != s[a.S_ASKED_BUY]:
        s[a.S_ASKED_SELL], s[a.S_ASKED_BUY], s[a.S_TRIES] = sell, buy, 0
        _cap(0, p, s)
    elif again and move != 0:
        s[a.S_TRIES] += 1
        _cap(min(s[a.S_TRIES], 6), p, s)
    if move == 0:
        if s[a.S_OFF_SINCE] != a.NEVER:
            s[a.S_OFF_SINCE] = s[a.S_ASKED_AT] = a.NEVER
    elif s[a.S_OFF_SINCE] == a.NEVER:
        s[a.S_OFF_SINCE] = s[a.S_NOW]


def _cap(doublings: int, p: Ints, s: Ints) -> None:
    # The caps lie `max_slippage_bps` beyond the price, twice that with each renewal, at most half.
    tick, den = p[a.TICK_2], 2 * p[a.CAP_DEN]
    part = min(((p[a.CAP_DEN] - p[a.CAP_NUM]) << (doublings + 1)), p[a.CAP_DEN])
    s[a.S_CAP_SELL] = s[a.S_TOUCH_BID_2] * (den - part) // (den * tick) * tick
    s[a.S_CAP_BUY] = -(-s[a.S_TOUCH_ASK_2] * (den + part) // (den * tick)) * tick
    s[a.S_ASKED_AT] = s[a.S_NOW]
    s[a.S_SHORT_CHANGED] = 1


def _move(p: Ints, s: Ints) -> int:
    # By how much the short shall grow or shrink; 0 inside the deadband or below the minimum.
    want, have, bag = _wanted(p, s), s[a.S_SHORT], max(s[a.S_INVENTORY], 0)
    if want > 0 and have > 0 and abs(want - have) * p[a.BAND_DEN] <= p[a.BAND_NUM] * bag and have <= bag:
        return 0
    if want > have:
        step = (want - have) // p[a.LOT_2] * p[a.LOT_2]
        # A first short must still be closable after a fall by a fifth.
        worth, least = (5, 5) if have > 0 else (4, 5)
        small = step < p[a.MIN_QTY_2] or step * s[a.S_TOUCH_BID_2] * worth < p[a.MIN_NOTIONAL_2] * least
        return 0 if small else step
    return want - have


def _wanted(p: Ints, s: Ints) -> int:
    bag = max(s[a.S_INVENTORY], 0)
    num, den = ratio_of(s[a.S_ZONE], p), p[a.ZONE_DEN + 2 * s[a.S_ZONE]]
    if num == 0 or bag == 0 or (s[a.S_SHORT] <= 0 and s[a.S_COUNT] < s[a.S_COOL_UNTIL]):
        return 0
    h, low = p[a.MARGIN], p[a.MARGIN_LOW]
    if s[a.S_HEDGED] < 0:
        h, low = plus(h, low, s[a.S_HEDGED], s[a.S_HEDGED_LOW])
    if not above_zero(h, low):
        return 0
    h, low = times(h, low, p[a.LEVERAGE])
    # The most lots that margin and bag allow.
    fewest, most = 0, num * bag // (den * p[a.LOT_2])
    while fewest < most:
        middle = (fewest + most + 1) // 2
        need_h, need = value_of(s[a.S_TOUCH_BID_2], middle * p[a.LOT_2], p)
        if less(h, low, need_h, need):
            most = middle - 1
        else:
            fewest = middle
    want = fewest * p[a.LOT_2]
    return 0 if want < p[a.MIN_QTY_2] or want * s[a.S_TOUCH_BID_2] < p[a.MIN_NOTIONAL_2] else want


def stop_band(p: Ints, s: Ints) -> int:
    """Return a futures' price below which neither the hard stop nor a liquidation can be reached; for the search alone."""
    if s[a.S_OFF_SINCE] != a.NEVER:
        return 0
    if s[a.S_SHORT] <= 0:
        return 1 << 62
    unit = 1 / WIDE
    cost = s[a.S_SHORT_COST] + s[a.S_SHORT_COST_LOW] * unit
    whole = s[a.S_PROCEEDS] + s[a.S_PROCEEDS_LOW] * unit - (s[a.S_COSTS] + s[a.S_COSTS_LOW] * unit)
    by_capital = p[a.LOSS_MOST] + p[a.LOSS_MOST_LOW] * unit
    slack = min(by_capital, cost * p[a.STOP_NUM] / p[a.STOP_DEN])
    each = s[a.S_SHORT] * unit * ((p[a.FEE_DEN_2] + p[a.TAKER_2]) * p[a.FINE_FEE_2])
    gone = cost * (p[a.LEVERAGE] + 1) / p[a.LEVERAGE] / (s[a.S_SHORT] * unit * p[a.FINE_VALUE] * 1005 / 1000)
    # What is bought back is bought at the ask, which lies up to a tick and half the spread above the price.
    stop = ((whole + slack) / each - p[a.TICK_2]) * p[a.HALF_DEN] / (p[a.HALF_DEN] + p[a.HALF_NUM])
    edge = gone if ratio_of(s[a.S_ZONE], p) == 0 else min(gone, stop)
    # Floats err by far less than this.
    return max(int(edge - edge / HALF) - 1, 0)
