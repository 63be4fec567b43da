"""How numbers, times and lengths are written in a report: with grouping, a true minus sign and a unit.

Everything returned here is plain text; the writers escape it where it enters HTML.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

MINUS = "\u2212"
DASH = "\u2013"
GAP = "\u00a0"  # No-break space, between a number and its unit.


def is_missing(value: Any) -> bool:
    """True for None, NaN and pandas' NaT: what a frame holds where there is no value."""
    return value is None or value != value  # noqa: PLR0124 - only NaN and NaT differ from themselves


def amount(value: Any, *, signed: bool = False, places: int | None = None) -> str:
    """Write a sum of money: with `places` decimals, else with those `amount_places` finds; a dash when missing."""
    if is_missing(value):
        return DASH
    exact = Decimal(str(value))
    places = amount_places([exact]) if places is None else places
    return _signs(f"{exact:{'+' if signed else ''},.{places}f}")


def amount_places(values: Iterable[Any]) -> int:
    """Return the decimals of a column of money: two where any is 1 or more, else three digits of the largest."""
    largest = max((abs(Decimal(str(value))) for value in values if not is_missing(value)), default=Decimal(0))
    return 2 if largest == 0 or largest >= 1 else min(8, max(2, 2 - largest.adjusted()))


def price(value: Any, places: int | None = None) -> str:
    """Write a price or a quantity: with `places` decimals, else as many as it needs; a dash when missing."""
    if is_missing(value):
        return DASH
    exact = Decimal(str(value))
    return _signs(f"{exact:,.{places_of([exact]) if places is None else places}f}")


def places_of(values: Iterable[Any]) -> int:
    """Return the decimals that a column of prices needs, so that its points align: nine significant digits at most."""
    needed = 0
    for value in values:
        exact = Decimal(0) if is_missing(value) else Decimal(str(value))
        if exact != 0:
            rounded = round(exact, max(0, 8 - exact.adjusted())).normalize()
            needed = max(needed, -int(rounded.as_tuple().exponent))
    return needed


def percent(fraction: Any, *, signed: bool = False, places: int = 2) -> str:
    """Write a fraction as a percentage, with its sign when asked; a dash when missing."""
    if is_missing(fraction) or not math.isfinite(float(fraction)):
        return DASH
    return _signs(f"{float(fraction) * 100:{'+' if signed else ''},.{places}f}{GAP}%")


def ratio(value: Any, places: int = 2) -> str:
    """Write a number without a unit; a dash when missing."""
    if is_missing(value) or not math.isfinite(float(value)):
        return DASH
    return _signs(f"{float(value):,.{places}f}")


def count(value: int) -> str:
    """Write a whole number with grouping."""
    return _signs(f"{value:,}")


def moment(value: Any, *, seconds: bool = False) -> str:
    """Write a UTC time as `2025-05-04 00:00`, with seconds when asked; a dash when missing. The caller says UTC."""
    if is_missing(value):
        return DASH
    return value.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def duration(length_s: float | None) -> str:
    """Write a length in its two largest units: `3 d 4 h`, `12 s`; a dash when missing."""
    if length_s is None or is_missing(length_s):
        return DASH
    left = max(0, round(length_s))
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        whole, left = divmod(left, size)
        if whole or parts:
            parts.append(f"{whole}{GAP}{unit}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0")) or f"0{GAP}s"


def span(length_s: float) -> str:
    """Write how long the data is: whole days from two days upwards, the two largest units below."""
    return f"{round(length_s / 86_400):,} days" if length_s >= 2 * 86_400 else duration(length_s)


def years_between(start: datetime, end: datetime) -> float:
    """Return the years of 365 days between two times."""
    return (end - start).total_seconds() / (365 * 86_400)


# A rounded "-0.00" would claim a loss that is none.
def _signs(written: str) -> str:
    if written[:1] in "+-" and not any(digit in "123456789" for digit in written):
        written = written[1:]
    return written.replace("-", MINUS)
