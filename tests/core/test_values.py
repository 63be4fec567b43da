"""Rounding, exact products and the sharing of cost."""

from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.values import (
    Side,
    ceil_to,
    exact_product,
    floor_to,
    nearest_to,
    on_grid,
    plain,
    ratio,
    round_fee,
    share_of_cost,
    total,
)

D = Decimal
AMOUNTS = st.decimals(min_value="0.00000001", max_value="1000000000", places=8)
STEPS = st.sampled_from([D("0.00000001"), D("0.01"), D("0.25"), D(1), D(10), D("0.003")])


@pytest.mark.parametrize(
    ("value", "step", "down", "near", "up"),
    [
        ("100.005", "0.01", "100", "100", "100.01"),
        ("100.015", "0.01", "100.01", "100.02", "100.02"),
        ("100", "0.01", "100", "100", "100"),
        ("0.0009", "0.001", "0", "0.001", "0.001"),
        ("-1.5", "1", "-2", "-2", "-1"),
        ("7", "2.5", "5", "7.5", "7.5"),
    ],
)
def test_rounding_to_a_step(value: str, step: str, down: str, near: str, up: str) -> None:
    """Each rounding goes the way its name says; a tie of `nearest` goes to the even multiple."""
    assert (floor_to(D(value), D(step)), nearest_to(D(value), D(step)), ceil_to(D(value), D(step))) == (
        D(down), D(near), D(up),
    )  # fmt: skip


@given(AMOUNTS, STEPS)
def test_rounding_lands_on_the_grid_and_no_further_than_a_step(value: Decimal, step: Decimal) -> None:
    """Floor ≤ value ≤ ceil, both multiples of the step and less than one step away."""
    down, up = floor_to(value, step), ceil_to(value, step)
    assert down <= value <= up
    assert value - down < step
    assert up - value < step
    assert on_grid(down, step)
    assert on_grid(up, step)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_product_loses_no_digit(one: Decimal, two: Decimal, three: Decimal) -> None:
    """The product is the exact one, whatever the default context would have kept."""
    exact = Fraction(one) * Fraction(two) * Fraction(three)
    assert Fraction(exact_product(one, two, three)) == exact


def test_a_product_that_does_not_fit_is_refused() -> None:
    """Sixty digits are the limit, and passing it is an error rather than a rounding."""
    with pytest.raises(Inexact):
        exact_product(*[D("1.2345678901234567890123456789")] * 3)


@given(AMOUNTS, st.lists(st.integers(1, 1000), min_size=1, max_size=6))
def test_shares_of_a_cost_add_up_to_it(cost: Decimal, parts: list[int]) -> None:
    """Closing a lot in any parts gives back its whole cost; no share is negative."""
    left, open_qty = cost, D(sum(parts))
    for part in parts:
        share = share_of_cost(left, D(part), open_qty)
        assert share >= 0
        left -= share
        open_qty -= part
    assert left == 0


def test_more_than_is_open_cannot_be_shared() -> None:
    """Closing more than was ever open is a mistake of the caller."""
    with pytest.raises(ValueError, match="cannot take 2 of 1"):
        share_of_cost(D(10), D(2), D(1))


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0.000000001", "0.00000001"), ("0.00000001", "0.00000001"), ("-0.000000019", "-0.00000001")],
)
def test_a_computed_fee_never_flatters(amount: str, rounded: str) -> None:
    """A fee is rounded up to eight decimals, a rebate towards zero."""
    assert round_fee(D(amount)) == D(rounded)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("1.500", "1.5"), ("-0", "0"), ("0.00", "0"), ("1E-8", "0.00000001"), ("100", "100")],
)
def test_decimals_for_people_have_no_exponent(value: str, text: str) -> None:
    """What people and JSON get is plain digits."""
    assert plain(D(value)) == text


def test_sides_are_opposites() -> None:
    """A buy adds, a sell removes, and each undoes the other."""
    assert [(side.sign, side.opposite) for side in Side] == [(1, Side.SELL), (-1, Side.BUY)]
    assert total([]) == 0


def test_a_ratio_has_sixty_digits() -> None:
    """Shares and averages are far finer than any amount, yet no exact numbers."""
    assert len(ratio(D(1), D(3)).as_tuple().digits) == 60
