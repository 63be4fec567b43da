"""The path of the price inside a bar, compiled: opening, both extremes in the order that the rules say, close.

As `core.market.path` orders them; `worst` is one of the two fixed orders, by the side of a bot.
"""

from core.grid_table import HIGH_FIRST, NEARER_FIRST


def rises_first(open_: int, high: int, low: int, path: int) -> bool:
    """Whether the path goes to the high of a bar before its low."""
    return path == HIGH_FIRST or (path == NEARER_FIRST and high - open_ < open_ - low)


def price_at(k: int, open_: int, high: int, low: int, close: int, rises: bool) -> int:
    """Return the price at point `k` of the four; `rises` says what `rises_first` did."""
    if k == 0:
        return open_
    if k == 3:
        return close
    return high if rises == (k == 1) else low


def time_at(k: int, opened_us: int, third_us: int, close_us: int) -> int:
    """Return when the path is at point `k`, in microseconds since 1970; the close is told just before the next opening."""
    return opened_us + (close_us if k == 3 else k * third_us)
