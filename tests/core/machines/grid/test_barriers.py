"""Barriers: when each fires, in which order, and that their wake band never hides one."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.machine import View
from core.machines.grid.barriers import barrier_hit, barrier_wake, profit_fraction
from core.machines.grid.config import GridPlan, make_plan
from core.machines.grid.state import Closed, GridState, Running, Waiting
from tests.core.worlds import T0, D, after, grid, instrument, quote, swap

RUNNING = GridState(levels=(Waiting(0, armed=True),), phase=Running(T0), last_batch_at=None, peak=None)


def plan(*, short: bool = False, **changes: Any) -> GridPlan:
    """A plan with barriers."""
    rules = swap() if short else instrument()
    side = "SELL" if short else "BUY"
    return make_plan(grid(side=side, venue=rules.venue, symbol=rules.symbol, **changes), rules)


def view(price: str, held: str = "1", cost: str = "100", fees: str = "0", at_s: float = 0, **changes: Any) -> View:
    """What a machine sees at a price while it holds something."""
    values: dict[str, Any] = {
        "now": after(at_s), "started_at": T0, "quote": quote(price), "high": D(price), "low": D(price),
        "instrument": instrument(), "inventory": D(held), "cost": D(cost), "fees_open": D(fees),
    }  # fmt: skip
    return View(**(values | changes))


def hit(of: GridPlan, at: View, peak: str | None = None) -> str | None:
    """The word of the barrier that fires."""
    found, _ = barrier_hit(of, replace(RUNNING, peak=None if peak is None else D(peak)), at)
    return None if found is None else found.word


@pytest.mark.parametrize(
    ("barriers", "price", "at_s", "peak", "word"),
    [
        ({"stop_loss": "0.02"}, "98.01", 0, None, None),
        ({"stop_loss": "0.02"}, "98", 0, None, "STOP_LOSS"),
        ({"time_limit": 60}, "100", 59.9, None, None),
        ({"time_limit": 60}, "100", 60, None, "TIME_LIMIT"),
        ({"trailing_stop": {"activation": "0.02", "delta": "0.01"}}, "101", 0, "0.019", None),
        ({"trailing_stop": {"activation": "0.02", "delta": "0.01"}}, "101", 0, "0.02", "TRAILING_STOP"),
        ({"trailing_stop": {"activation": "0.02", "delta": "0.01"}}, "101.01", 0, "0.02", None),
        ({"stop_loss": "0.02", "time_limit": 60}, "90", 99, None, "STOP_LOSS"),
    ],
)
@pytest.mark.parametrize("short", [False, True])
def test_when_a_barrier_fires(
    barriers: dict[str, Any], price: str, at_s: float, peak: str | None, word: str | None, short: bool
) -> None:
    """At its threshold and beyond; a short grid is the mirror image around its cost of 100."""
    at = str(200 - D(price)) if short else price
    seen = view(at, "-1" if short else "1", at_s=at_s)
    assert hit(plan(short=short, triple_barrier=barriers), seen, peak) == word


def test_without_inventory_only_price_and_time_count() -> None:
    """A stop has nothing to lose; a limit price and a time limit end the grid all the same."""
    empty = view("90", "0", "0", at_s=99)
    assert hit(plan(triple_barrier={"stop_loss": "0.02"}), empty) is None
    assert hit(plan(triple_barrier={"time_limit": 60}), empty) == "TIME_LIMIT"
    assert hit(plan(limit_price=91), empty) == "STOP_LOSS"
    assert hit(plan(limit_price=91, keep_position=True), empty) == "POSITION_HOLD"


def test_a_barrier_sees_the_low_between_two_looks() -> None:
    """RULES 9e: the extreme since the last look counts, not the price of this moment alone."""
    assert hit(plan(triple_barrier={"stop_loss": "0.02"}), view("100", low=D(98))) == "STOP_LOSS"
    assert hit(plan(limit_price=91), view("100", low=D(91))) == "STOP_LOSS"


def test_fees_count_against_the_profit() -> None:
    """A stop of 2 % fires earlier by what was paid in fees."""
    assert profit_fraction(view("100", fees="0.5"), D(100)) == D("-0.005")
    assert hit(plan(triple_barrier={"stop_loss": "0.02"}), view("98.5", fees="0.5")) == "STOP_LOSS"


PRICES = st.decimals("80", "120", places=2)


@given(
    PRICES, PRICES, st.decimals("60", "140", places=3), st.decimals("0", "2", places=3), st.booleans(),
    st.none() | st.sampled_from(["0.005", "0.01", "0.03"]),
)  # fmt: skip
def test_a_band_hides_no_barrier(
    here: Decimal, there: Decimal, cost: Decimal, fees: Decimal, short: bool, peak: str | None
) -> None:
    """If nothing fires here, and the band of here does not hold there, then there nothing fires nor does the peak move."""
    of = plan(
        short=short, limit_price=121 if short else 79,
        triple_barrier={"stop_loss": "0.03", "trailing_stop": {"activation": "0.005", "delta": "0.004"}},
    )  # fmt: skip
    held = "-1" if short else "1"
    at = view(str(here), held, str(cost), str(fees))
    before = replace(RUNNING, peak=None if peak is None else D(peak))
    found, best = barrier_hit(of, before, at)
    if found is not None:
        return
    state = replace(before, peak=best)
    if barrier_wake(of, state, at).due(there, there, T0):
        return
    later, moved = barrier_hit(of, state, view(str(there), held, str(cost), str(fees)))
    assert later is None
    # Below its activation the best profit is of no consequence yet.
    assert moved == best or moved is None or moved < D("0.005")


def test_a_grid_that_is_over_waits_for_nothing() -> None:
    """No barrier wakes it."""
    over = replace(RUNNING, phase=Closed("STOP_LOSS", T0))
    wake = barrier_wake(plan(limit_price=91), over, view("100"))
    assert (wake.low, wake.high, wake.deadline) == (None, None, None)
