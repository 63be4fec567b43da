"""Where levels lie: far enough apart for fees and ticks, below the price, free of lots that are still held."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.machines.atr_grid.draft import Draft
from core.machines.atr_grid.levels import FEES_APART, lay, spacing_of
from core.machines.atr_grid.state import Holding, Resting
from tests.core.machines.atr_grid.bots import SPOT, plan_of, rules
from tests.core.machines.atr_grid.test_machine import holding, state, view
from tests.core.worlds import D


def plan_at(maker: str, tick: str, **changes: object):  # noqa: ANN201  a plan
    """A plan whose spot market has this fee and tick."""
    about = rules()
    return replace(plan_of(**changes), spot=replace(about[SPOT], maker=D(maker), tick_size=D(tick)))


@pytest.mark.parametrize(
    ("wished", "before", "maker", "tick", "spacing"),
    [
        ("2", "1", "0.001", "0.01", "2"),
        ("0.4", "1", "0.001", "0.01", "0.6"),  # three round trips of 0.1 % at 100
        ("0.005", "1", "0", "0.01", "0.02"),  # two ticks
        ("2", "1", "-0.0001", "0.01", "2"),  # a rebate is no reason to lie closer
        ("1.234", "1", "0", "0.1", "1.3"),  # on the tick, never closer than wished
        ("0", "1.5", "0.001", "0.01", "1.5"),  # nothing is wished: as before
        ("0", "0", "0.001", "0.01", "3"),  # nothing was before: 3 % of the price
    ],
)
def test_a_spacing_pays_its_fees_and_lies_on_the_tick(
    wished: str, before: str, maker: str, tick: str, spacing: str
) -> None:
    """At least three round trips of fees and two ticks."""
    assert spacing_of(plan_at(maker, tick), D(wished), D(100), D(before)) == D(spacing)


@given(
    st.decimals("0.00", "20", places=3), st.decimals("1", "300", places=2), st.sampled_from(["0", "0.0002", "0.001"]),
    st.sampled_from(["0.01", "0.1", "1"]), st.integers(2, 12),
)  # fmt: skip
def test_levels_lie_apart_below_the_price_and_above_zero(
    wished: Decimal, price: Decimal, maker: str, tick: str, count: int
) -> None:
    """Whatever volatility, price, fee and tick: on the tick, positive, below the price, as far apart as fees ask."""
    plan = plan_at(maker, tick, levels=count)
    draft = Draft.of(plan, replace(state(), levels=state().levels[:1] * count), view(str(price)))
    spacing = spacing_of(plan, wished, price)
    lay(draft, price, spacing, "test")
    prices = [one.price for one in draft.levels if isinstance(one, Resting)]
    assert all(0 < one < price and one % D(tick) == 0 for one in prices)
    assert all(a - b >= max(2 * D(tick), FEES_APART * 2 * D(maker) * a) for a, b in pairwise(prices))


def test_a_lot_keeps_its_target_when_the_grid_is_laid_anew() -> None:
    """Free levels move and none lies on what a lot has paid; the lot is sold where it was to be sold."""
    draft = Draft.of(plan_of(), state(holding()), view("98"))
    lot = draft.levels[0]
    assert isinstance(lot, Holding)
    lay(draft, lot.entry + 2, D(2), "test")
    assert draft.levels[0] is lot
    prices = [one.price for one in draft.levels if isinstance(one, Resting)]
    assert len(prices) == 4
    assert all(abs(one - lot.entry) >= 1 for one in prices)
