"""Which levels may enter: bounds, caps, batches, frequency, and the first approach of the price."""

from datetime import datetime
from typing import Any

import pytest

from core.machine import LegFilled, View
from core.machines.grid import machine
from core.machines.grid.config import GridPlan, make_plan
from core.machines.grid.state import Entering, GridState, Holding, Level, Waiting
from core.orders import Role
from core.values import Side
from tests.core.machines.grid.test_barriers import view
from tests.core.worlds import D, after, grid, instrument, swap

# Lines of the usual grid: 96, 98, 100, 102, each exits two higher.


def plan(**changes: Any) -> GridPlan:
    """A plan on spot, or on a swap for a short grid."""
    rules = swap() if changes.get("side") == "SELL" else instrument()
    return make_plan(grid(venue=rules.venue, symbol=rules.symbol, **changes), rules)


def at(price: str, at_s: float = 0) -> View:
    """An empty account at a price."""
    return view(price, "0", "0", at_s=at_s)


def entering(state: GridState) -> list[int]:
    """The levels that want their entry."""
    return [i for i, level in enumerate(state.levels) if isinstance(level, Entering)]


def why(state: GridState) -> dict[int, str]:
    """The reasons of the levels that wait."""
    return {i: level.reason for i, level in enumerate(state.levels) if isinstance(level, Waiting)}


@pytest.mark.parametrize(
    ("changes", "price", "want"),
    [
        ({}, "101", [0, 1, 2, 3]),
        ({"initial_inventory": "market"}, "101", [0, 1, 2, 3]),
        ({"initial_inventory": "none"}, "101", [0, 1, 2]),
        ({"initial_inventory": "none"}, "95", []),
        ({"initial_inventory": "none", "side": "SELL"}, "101", [2, 3]),
        ({"activation_bounds": "0.02"}, "99", [1, 2, 3]),
        ({"activation_bounds": "0.02"}, "101", [2, 3]),
        ({"activation_bounds": "0.02", "side": "SELL"}, "99", [0, 1]),
        ({"max_open_orders": 2}, "97", [0, 1]),
        ({"max_open_orders": 2}, "101.5", [2, 3]),
        ({"max_orders_per_batch": 1}, "97.4", [1]),
        ({"max_orders_per_batch": 3, "max_open_orders": 2}, "97", [0, 1]),
        ({"activation_bounds": "0.02", "max_open_orders": 1}, "99.4", [2]),
    ],
)
def test_the_first_choice(changes: dict[str, Any], price: str, want: list[int]) -> None:
    """The levels nearest to the price come first, as far as bounds, cap and batch go."""
    outcome = machine.begin(plan(**changes), at(price))
    assert entering(outcome.state) == want


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation_bounds": "0.02"}, "further than activation_bounds 0.02"),
        ({"max_open_orders": 1}, "max_open_orders 1 is reached by nearer levels"),
        ({"max_orders_per_batch": 1}, "max_orders_per_batch 1: waits for the next batch"),
        ({"max_orders_per_batch": 1, "order_frequency": 30}, "order_frequency: one batch every 30 s"),
        ({"initial_inventory": "none"}, "waits for the price to rise above the level"),
    ],
)
def test_every_level_that_waits_says_why(changes: dict[str, Any], reason: str) -> None:
    """No level is silent, and the reason names the setting."""
    state = machine.begin(plan(**changes), at("101.5")).state
    assert all(why(state).values())
    assert any(reason in said for said in why(state).values())


def test_batches_go_out_one_by_one() -> None:
    """One entry every thirty seconds, the nearest first, and not a moment earlier."""
    of = plan(max_orders_per_batch=1, order_frequency=30)
    state = machine.begin(of, at("103")).state
    seen: list[tuple[float, list[int]]] = []
    for second in (1, 29.9, 30, 31, 60, 90, 120):
        outcome = machine.step(of, state, (), at("103", second))
        state = outcome.state
        seen.append((second, entering(state)))
    assert seen == [
        (1, [3]), (29.9, [3]), (30, [2, 3]), (31, [2, 3]), (60, [1, 2, 3]), (90, [0, 1, 2, 3]), (120, [0, 1, 2, 3]),
    ]  # fmt: skip


def test_a_batch_says_when_the_next_is_due() -> None:
    """The deadline is a wake event: nobody counts ticks."""
    outcome = machine.begin(plan(max_orders_per_batch=1, order_frequency=30), at("103"))
    assert outcome.wake.deadline == after(30)
    assert isinstance(outcome.wake.deadline, datetime)


def test_the_cap_moves_with_the_price() -> None:
    """The levels nearest to the price hold the places; one that falls out of them is withdrawn."""
    of = plan(max_open_orders=1)
    state = machine.begin(of, at("97.9")).state
    assert entering(state) == [1]
    moved = machine.step(of, state, (), at("99.1"))
    assert entering(moved.state) == [2]
    assert moved.wants["e1-0"] is None
    assert moved.wants["e2-0"] is not None


def fill(name: str, qty: str, price: str = "98") -> LegFilled:
    """An entry's fill."""
    return LegFilled(name, Role.ENTRY, name[1:], D(qty), D(qty), D(price), after(1), Side.BUY)


def test_a_started_entry_keeps_its_place() -> None:
    """What has bought a part stays, for a remainder may be too small to be sold."""
    of = plan(max_open_orders=1)
    state = machine.begin(of, at("97.9")).state
    state = machine.step(of, state, (fill("e1-0", "0.04"),), view("97.9", "0.04", "3.92")).state
    assert entering(machine.step(of, state, (), view("99.1", "0.04", "3.92")).state) == [1]


def test_a_level_that_the_price_has_passed_is_armed_for_good() -> None:
    """With initial_inventory none a level waits for its first approach, and not for a second one."""
    of = plan(initial_inventory="none", order_frequency=60)
    state = machine.begin(of, at("97")).state
    assert entering(state) == [0]
    state = machine.step(of, state, (), at("99", 10)).state
    state = machine.step(of, state, (), at("97", 60)).state
    assert entering(state) == [0, 1]


@pytest.mark.parametrize(
    ("level", "then"),
    [
        (Entering(0, D(0), D(0), D(0), after(0)), Waiting(0, armed=True, reason="off")),
        (Entering(0, D("0.05"), D("0.04"), D("0.01"), after(0)), Holding(0, D("0.04"), D("0.01"), after(9))),
        (Entering(0, D("0.05"), D(0), D("0.05"), after(0)), Waiting(1, armed=True, reason="off")),
        (Holding(0, D("0.1"), D(0), after(0)), Holding(0, D("0.1"), D(0), after(0))),
        (Waiting(2, armed=False), Waiting(2, armed=False, reason="off")),
    ],
    ids=["nothing bought", "a part held", "all sold again", "over already", "waits already"],
)
def test_what_a_withdrawal_makes_of_a_level(level: Level, then: Level) -> None:
    """What was bought is kept; a leg that has done part of its work is never begun anew."""
    assert machine._withdrawn(plan(), level, "off", after(9)) == then
