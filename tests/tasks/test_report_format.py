"""Numbers as people read them."""

from decimal import Decimal
from typing import Any

import pytest

from tasks import report_format as form


@pytest.mark.parametrize(
    ("value", "signed", "written"),
    [
        (Decimal("1234567.891"), False, "1,234,567.89"), (Decimal("-12.3"), False, "\u221212.30"),
        (Decimal(5), True, "+5.00"),
        (Decimal("0.001234"), False, "0.00123"), (Decimal("-0.000000001"), True, "0.00000000"), (0, True, "0.00"),
        (None, True, "\u2013"), (float("nan"), False, "\u2013"), (Decimal("0.5"), False, "0.500"),
    ],
)  # fmt: skip
def test_money(value: Any, signed: bool, written: str) -> None:
    """Money is grouped, has a true minus, enough digits when small, and no sign on nothing."""
    assert form.amount(value, signed=signed) == written


@pytest.mark.parametrize(
    ("value", "places", "written"),
    [
        (Decimal("105766.6"), None, "105,766.6"), (Decimal("105766.6"), 2, "105,766.60"),
        (0.00012345, None, "0.00012345"), (100.0, None, "100"), (0, None, "0"),
    ],
)  # fmt: skip
def test_prices(value: Any, places: int | None, written: str) -> None:
    """Prices show the digits they have, or as many as their column."""
    assert form.price(value, places) == written


def test_column_of_prices_aligns() -> None:
    """The places of a column are those of its finest price, missing ones aside."""
    assert form.places_of([Decimal("1.50"), None, Decimal("2.125"), 3]) == 3
    assert form.places_of([]) == 0
    assert form.places_of([Decimal(1) / 3]) == 9


def test_fractions_become_percentages() -> None:
    """A fraction is a hundredth of its percentage; infinity is no number to show."""
    assert form.percent(0.1234, signed=True) == "+12.34\u00a0%"
    assert form.percent(-0.5, places=0) == "\u221250\u00a0%"
    assert form.percent(float("inf")) == form.percent(None) == form.ratio(None) == "\u2013"


@pytest.mark.parametrize(
    ("length_s", "written"),
    [
        (0, "0 s"), (12.4, "12 s"), (60, "1 min"), (3 * 3600 + 59, "3 h"), (90_061, "1 d 1 h"), (-5, "0 s"),
        (None, "\u2013"),
    ],
)  # fmt: skip
def test_lengths(length_s: float | None, written: str) -> None:
    """A length shows its two largest units and nothing that is zero."""
    assert form.duration(length_s).replace("\u00a0", " ") == written
