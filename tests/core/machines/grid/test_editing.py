"""A running grid gets another range or other money: what is held keeps its exit, and no leg is worked for two lines."""

from dataclasses import replace
from typing import Any

import pytest

from core.config import PlanRefused
from core.machines.grid import machine
from core.machines.grid.config import GridPlan
from core.machines.grid.editing import EDITABLE, changes, edited
from core.machines.grid.state import Entering, GridState, Holding, Running, Waiting
from tests.core.machines.grid.test_entries import at, entering, plan
from tests.core.worlds import T0, D

STATE = GridState(
    (
        Holding(2, D("0.1"), D(0), T0), Entering(0, D("0.04"), D("0.04"), D(0), T0), Entering(5, D(0), D(0), D(0), T0),
        Waiting(1, armed=True),
    ),
    Running(T0), None, D("0.01"),
)  # fmt: skip


def test_editing_the_range_keeps_what_is_held_and_its_exit() -> None:
    """The lot bought at 96 for 98 is offered at 98 still; its place buys at the new price afterwards."""
    old, new = plan(), plan(start_price=90, end_price=110, levels=5)
    state = edited(old, new, STATE)
    assert state.levels[0] == Holding(2, D("0.1"), D(0), T0, D(98))
    assert state.levels[1] == Holding(0, D("0.04"), D(0), T0, D(100))
    assert [level.cycle for level in state.levels] == [2, 0, 6, 2, 0]
    assert (state.phase, state.peak) == (STATE.phase, STATE.peak)
    told = changes(old, STATE, new, state)
    assert told["e2-5"] is None
    leave = told["x0-2"]
    assert leave is not None
    assert leave.price == 98
    after = machine.step(new, state, (), at("101", 1)).state
    assert entering(after) == [2, 3, 4]
    data = {i: machine.place(new, state, i).data for i in range(5)}
    assert machine.restore(new, machine.head(state), data) == state
    assert data[0]["planned"].split() == [str(x) for x in machine.prices(new)[0]]


def test_editing_the_investment_alone_keeps_the_lines() -> None:
    """Sizes change with the next cycle; prices stay."""
    old, new = plan(), plan(amount_base="0.2")
    state = edited(old, new, STATE)
    assert [level.held for level in state.levels if isinstance(level, Holding)] == [D("0.1"), D("0.04")]
    assert machine.wants(new, state)["x0-2"].qty == D("0.1")


def test_editing_a_barrier_changes_no_level() -> None:
    """The same lines: the same state."""
    assert edited(plan(), plan(triple_barrier={"stop_loss": "0.05"}), STATE) == STATE


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"levels": 1}, "levels"),
        ({"symbol": "ETH/USDT"}, "symbol"),
        ({"leverage": 2}, "leverage"),
        ({"trigger_price": 99}, "trigger_price"),
    ],
)
def test_what_cannot_be_edited_is_refused(more: dict[str, Any], key: str) -> None:
    """A place that holds must not vanish, and another market is another bot."""
    with pytest.raises(PlanRefused) as refused:
        edited(plan(), plan(**more) if "symbol" not in more else elsewhere(), STATE)
    assert refused.value.key == key
    assert key == "levels" or key not in EDITABLE


def elsewhere() -> GridPlan:
    """The usual plan in another market."""
    return replace(plan(), config=plan().config.model_copy(update={"symbol": "ETH/USDT"}))
