"""Pairs of 64 bits are whole numbers of 36 digits: held against Python's own, and shares of a cost against the core's."""

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core import atr_table as a
from core import wide_kernel as k
from core.atr_perp_kernel import share
from core.values import share_of_cost

FACTORS = st.integers(-4 * 10**18 + 1, 4 * 10**18 - 1)
AMOUNTS = st.integers(-(10**30), 10**30)


def whole(pair: tuple[int, ...]) -> int:
    """The number that a pair stands for."""
    assert 0 <= pair[1] < k.WIDE
    return pair[0] * k.WIDE + pair[1]


@given(FACTORS, FACTORS)
def test_a_product_of_two_numbers_is_exact(one: int, two: int) -> None:
    """No digit of 128 bits is lost, whatever the signs."""
    assert whole(k.product(one, two)) == one * two
    assert whole(k.wide(one)) == one


@given(AMOUNTS, AMOUNTS, st.integers(-(10**6), 10**6), st.integers(1, 9 * 10**9 - 1))
def test_sums_multiples_and_quotients_are_exact(one: int, two: int, factor: int, divisor: int) -> None:
    """Sums, differences, multiples, floored quotients and comparisons are Python's."""
    h, low = divmod(one, k.WIDE)
    h2, low2 = divmod(two, k.WIDE)
    assert whole(k.plus(h, low, h2, low2)) == one + two
    assert whole(k.minus(h, low, h2, low2)) == one - two
    assert whole(k.times(h, low, factor)) == one * factor
    quotient = k.over(h, low, divisor)
    assert (whole(quotient[:2]), quotient[2]) == (one // divisor, one % divisor != 0)
    assert k.less(h, low, h2, low2) == (one < two)
    assert (k.above_zero(h, low), k.below_zero(h)) == (one > 0, one < 0)


@given(st.integers(1, 10**25), st.integers(1, 10**9), st.data())
def test_a_share_of_a_cost_is_the_cores(cost: int, held: int, data: st.DataObject) -> None:
    """Floored to 1e-18, of a product that keeps 28 digits, as the core's ledger has it."""
    part = data.draw(st.integers(1, held))
    scalars = np.zeros(a.SCALARS, dtype=np.int64)
    found = whole(share(*divmod(cost, k.WIDE), part, held, scalars))
    places = Decimal("1E-5")
    told = share_of_cost(Decimal(cost).scaleb(-18), part * places, held * places)
    assert found == int(told.scaleb(18))
    assert scalars[a.S_STATUS] == 0
