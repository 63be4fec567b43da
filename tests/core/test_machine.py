"""Wake bands: when they are left, and how two of them meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.machine import Wake
from tests.core.worlds import D, after


@pytest.mark.parametrize(
    ("wake", "low", "high", "at_s", "due"),
    [
        (Wake(), "1", "9", 1e6, False),
        (Wake(low=D(5)), "5", "9", 0, True),
        (Wake(low=D(5)), "5.01", "9", 0, False),
        (Wake(high=D(8)), "1", "8", 0, True),
        (Wake(high=D(8)), "1", "7.99", 0, False),
        (Wake(deadline=after(10)), "1", "9", 9.999, False),
        (Wake(deadline=after(10)), "1", "9", 10, True),
    ],
)
def test_an_edge_belongs_to_the_outside(wake: Wake, low: str, high: str, at_s: float, due: bool) -> None:
    """Touching an edge wakes, at it and beyond; the deadline at its moment."""
    assert wake.due(D(low), D(high), after(at_s)) == due


EDGE = st.none() | st.decimals("1", "9", places=1)
WAKES = st.builds(Wake, EDGE, EDGE, st.none() | st.sampled_from([after(s) for s in (0, 5, 9)]))


@given(WAKES, WAKES, st.decimals("1", "9", places=1), st.integers(0, 10))
def test_two_bands_meet_in_the_narrower(one: Wake, two: Wake, price: object, at_s: int) -> None:
    """Together they wake exactly when either would, and it does not matter which comes first."""
    point, now = D(str(price)), after(at_s)
    both = one.meet(two)
    assert both == two.meet(one)
    assert both.due(point, point, now) == (one.due(point, point, now) or two.due(point, point, now))
    assert one.meet(Wake()) == one
