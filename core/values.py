"""Money, quantities and their rounding. Rule: every rounding in the house has a name and stands here.

Amounts are `Decimal` throughout. Python's default context holds 28 significant digits; `exact_product` widens it, so
that price x quantity x rate never loses a digit on the way into the ledger.
"""

from collections.abc import Iterable
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    Inexact,
    InvalidOperation,
)
from enum import StrEnum
from typing import Self

ZERO = Decimal(0)
ONE = Decimal(1)
# The ledger's columns are DECIMAL(38, 18): no asset of any listed exchange is finer.
AMOUNT_PLACES = Decimal("1E-18")
# Exchanges book commissions to eight decimals (Binance spot: "commission" in account trades).
FEE_PLACES = Decimal("1E-8")

_WIDE = Context(prec=60, traps=[Inexact, InvalidOperation])
_DIVIDE = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])
_MULTIPLY = _WIDE.multiply


class Side(StrEnum):
    """Which way an order trades: buy adds base, sell removes it.

    `sign` is +1 for a buy, -1 for a sell: the direction in which the position moves.
    """

    BUY = "buy"
    SELL = "sell"

    sign: int

    def __new__(cls, value: str) -> Self:
        """Make a member with its sign: a plain attribute, for it is asked several times a fill."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.sign = 1 if value == "buy" else -1
        return made

    @property
    def opposite(self) -> "Side":
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


def exact_product(*factors: Decimal) -> Decimal:
    """Multiply without losing a digit; raises `decimal.Inexact` where 60 digits do not hold the result."""
    if len(factors) == 2:  # nearly always
        return _MULTIPLY(*factors)
    product = ONE
    for factor in factors:
        product = _MULTIPLY(product, factor)
    return product


def ratio(part: Decimal, whole: Decimal) -> Decimal:
    """Return part / whole to 60 digits, half-even; for shares and averages shown to people, never for booking."""
    return _DIVIDE.divide(part, whole)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Round towards minus infinity to a multiple of `step` (> 0)."""
    return _to_step(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Round towards plus infinity to a multiple of `step` (> 0)."""
    return _to_step(value, step, ROUND_CEILING)


def nearest_to(value: Decimal, step: Decimal) -> Decimal:
    """Round to the nearest multiple of `step` (> 0), ties to the even multiple."""
    return _to_step(value, step, ROUND_HALF_EVEN)


def on_grid(value: Decimal, step: Decimal) -> bool:
    """Tell whether `value` is an exact multiple of `step`: what an exchange's price and lot filters test."""
    return value % step == 0


def round_fee(amount: Decimal) -> Decimal:
    """Round a computed fee up to eight decimals (a rebate towards zero): an estimate may never flatter."""
    return amount.quantize(FEE_PLACES, rounding=ROUND_CEILING)


def share_of_cost(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Split `cost` by part / whole, floored to the ledger's places; the last part takes what is left.

    Raises `ValueError` when part exceeds whole: more would be closed than was ever open.
    """
    if part > whole:
        message = f"cannot take {part} of {whole}"
        raise ValueError(message)
    if part == whole:
        return cost
    return _DIVIDE.divide(cost * part, whole).quantize(AMOUNT_PLACES, rounding=ROUND_FLOOR, context=_DIVIDE)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Sum decimals, starting from an exact zero."""
    return sum(amounts, ZERO)


def plain(value: Decimal) -> str:
    """Write a decimal for people and JSON: no exponent, no trailing zeros after the point."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    steps = _DIVIDE.divide(value, step).to_integral_value(rounding=rounding)
    return steps * step
