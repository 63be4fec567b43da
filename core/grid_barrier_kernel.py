"""Barriers of the compiled grid: which one fires at a price, and between which prices none can.

As `core.machines.grid.barriers`. All of it is exact but where the trailing stop compares fractions of costs that differ, which
are counted in floats: where those lie too near to each other to tell, the run ends as `UNDECIDED`. Arguments as in
`core.grid_kernel`.
"""

import numpy as np
from numpy.typing import NDArray

from core import grid_table as t

Ints = NDArray[np.int64]

# Fractions of cost are whole numbers of 2**-50. A fraction has an error of a few of them, as long as it is below MUCH.
ONE = 1 << 50
SLACK = 1 << 12
MUCH = 1 << 10


def barrier_hit(price: int, now: int, p: Ints, s: Ints) -> int:
    """Return the word of `core.grid_table` for the first barrier that fires, in the core's order; NO_BARRIER where none does."""
    if p[t.GUARDED] == 0:
        return t.HIT_TIME if now >= p[t.DEADLINE_US] else t.NO_BARRIER
    sign = -1 if p[t.SHORT] else 1
    if p[t.LIMIT] and price * sign <= p[t.LIMIT] * sign:
        return t.HIT_LIMIT
    if p[t.STOP_DEN] and s[t.S_INVENTORY] and price * sign <= stop_price(p, s) * sign:
        return t.HIT_STOP
    if p[t.TRAIL_DEN]:
        _follow(price, p, s)
    bot = _bot_profit(price, p, s)
    if bot <= p[t.BOT_STOP]:
        return t.HIT_BOT_STOP
    if now >= p[t.DEADLINE_US]:
        return t.HIT_TIME
    if p[t.TRAIL_DEN] and _trails(price, p, s):
        return t.HIT_TRAIL
    if bot >= p[t.BOT_TAKE]:
        return t.HIT_BOT_TAKE
    return t.HIT_RANGE if price <= p[t.RANGE_LOW] or price >= p[t.RANGE_HIGH] else t.NO_BARRIER


def band(p: Ints, s: Ints) -> tuple[int, int]:
    """Return the prices at or beyond which a barrier may fire, or the best profit grow: rather too narrow than too wide."""
    low, high = p[t.RANGE_LOW], p[t.RANGE_HIGH]
    if p[t.LIMIT]:
        low, high = _towards_loss(p[t.LIMIT], low, high, p)
    if s[t.S_INVENTORY] == 0:
        return low, high
    if p[t.STOP_DEN]:
        low, high = _towards_loss(stop_price(p, s), low, high, p)
    # Profit of the bot is `base` and the worth of so many units.
    units = s[t.S_INVENTORY] * p[t.COST_MUL]
    base = _bot_profit(0, p, s)
    if p[t.BOT_STOP] > -t.FAR:
        at = -((p[t.BOT_STOP] - base) // units) if p[t.SHORT] else (p[t.BOT_STOP] - base) // units
        low, high = _towards_loss(at, low, high, p)
    if p[t.BOT_TAKE] < t.FAR:
        at = (base - p[t.BOT_TAKE]) // units if p[t.SHORT] else -((base - p[t.BOT_TAKE]) // units)
        low, high = _towards_gain(at, low, high, p)
    if p[t.TRAIL_DEN]:
        best = max(s[t.S_PEAK], int(p[t.TRAIL_FROM] / p[t.TRAIL_DEN] * ONE))
        low, high = _towards_gain(_price_at(best, -1, p, s), low, high, p)
        if s[t.S_ARMED]:
            low, high = _towards_loss(_price_at(s[t.S_PEAK] - _delta(p), 1, p, s), low, high, p)
    return low, high


def stop_price(p: Ints, s: Ints) -> int:
    """Return the price at which the open inventory has lost `stop_loss` of its cost after the fees paid on it."""
    cost, fees = s[t.S_COST] * p[t.COST_MUL], s[t.S_FEES] * p[t.FEE_MUL]
    whole = p[t.STOP_DEN] * s[t.S_INVENTORY] * p[t.COST_MUL]
    if p[t.SHORT]:
        return -((fees * p[t.STOP_DEN] - cost * (p[t.STOP_DEN] + p[t.STOP_NUM])) // whole)
    return (cost * (p[t.STOP_DEN] - p[t.STOP_NUM]) + fees * p[t.STOP_DEN]) // whole


def _towards_loss(at: int, low: int, high: int, p: Ints) -> tuple[int, int]:
    return (low, min(high, at)) if p[t.SHORT] else (max(low, at), high)


def _towards_gain(at: int, low: int, high: int, p: Ints) -> tuple[int, int]:
    return (max(low, at), high) if p[t.SHORT] else (low, min(high, at))


def _bot_profit(price: int, p: Ints, s: Ints) -> int:
    floating = price * s[t.S_INVENTORY] - s[t.S_COST]
    if p[t.SHORT]:
        floating = -floating
    return (s[t.S_PROFIT] + floating) * p[t.COST_MUL] - s[t.S_PAID] * p[t.FEE_MUL]


def _follow(price: int, p: Ints, s: Ints) -> None:
    # The best profit of what is held, after its fees, over its cost; forgotten with the last of it. PEAK_COST 0 says that two
    # profits over different costs came too near to each other to tell which was the best.
    if s[t.S_INVENTORY] == 0:
        s[t.S_PEAK], s[t.S_PEAK_COST], s[t.S_ARMED] = -t.FAR, 0, 0
        return
    gain, cost = _gain(price, p, s), s[t.S_COST] * p[t.COST_MUL]
    share = _share(gain, cost, s)
    if gain * p[t.TRAIL_DEN] >= p[t.TRAIL_FROM] * cost:
        s[t.S_ARMED] = 1
    if cost == s[t.S_PEAK_COST]:
        if gain > s[t.S_PEAK_GAIN]:
            s[t.S_PEAK], s[t.S_PEAK_GAIN] = share, gain
    elif share > s[t.S_PEAK] + SLACK:
        s[t.S_PEAK], s[t.S_PEAK_GAIN], s[t.S_PEAK_COST] = share, gain, cost
    elif share >= s[t.S_PEAK] - SLACK:
        s[t.S_PEAK], s[t.S_PEAK_COST] = max(s[t.S_PEAK], share), 0


def _trails(price: int, p: Ints, s: Ints) -> bool:
    if s[t.S_ARMED] == 0:
        return False
    gain, cost = _gain(price, p, s), s[t.S_COST] * p[t.COST_MUL]
    if cost == s[t.S_PEAK_COST]:
        fallen = (s[t.S_PEAK_GAIN] - gain) * p[t.TRAIL_DEN] - p[t.TRAIL_DELTA] * cost
        if fallen == 0 and not _is_short(gain, cost):
            s[t.S_STATUS] = t.UNDECIDED  # the core divides to 28 digits
        return fallen >= 0
    fallen = s[t.S_PEAK] - _delta(p) - _share(gain, cost, s)
    if abs(fallen) <= SLACK:
        s[t.S_STATUS] = t.UNDECIDED
    return fallen > SLACK


def _gain(price: int, p: Ints, s: Ints) -> int:
    gross = s[t.S_COST] - price * s[t.S_INVENTORY] if p[t.SHORT] else price * s[t.S_INVENTORY] - s[t.S_COST]
    return gross * p[t.COST_MUL] - s[t.S_FEES] * p[t.FEE_MUL]


def _share(gain: int, cost: int, s: Ints) -> int:
    share = gain / cost
    if abs(share) > MUCH:
        s[t.S_STATUS] = t.UNDECIDED
        return 0
    return int(share * ONE)


def _delta(p: Ints) -> int:
    return int(p[t.TRAIL_DELTA] / p[t.TRAIL_DEN] * ONE)


def _is_short(part: int, whole: int) -> bool:
    # Whether a fraction has at most 18 decimals.
    a, b = abs(part), whole
    while b:
        a, b = b, a % b
    return 10**18 % (whole // a) == 0


def _price_at(share: int, side: int, p: Ints, s: Ints) -> int:
    # The price of a profit, drawn a little towards the present one: `side` says whether that is a better one (1) or worse.
    cost, fees = s[t.S_COST] * p[t.COST_MUL], s[t.S_FEES] * p[t.FEE_MUL]
    sign = -1 if p[t.SHORT] else 1
    price = int((cost * (1 + sign * share / ONE) + sign * fees) / (s[t.S_INVENTORY] * p[t.COST_MUL]))
    return price + sign * side * (2 + (price >> 36))
