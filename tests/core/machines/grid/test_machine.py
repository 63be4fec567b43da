"""The grid's levels, transition by transition, and what is written down of them for a restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.machine import LegFilled, LotCut, MachineEvent
from core.machines.grid import machine
from core.machines.grid.state import Closed, Closing, Entering, GridState, Holding, Level, Running, Waiting, read_level
from core.orders import Kind, Role
from core.values import Side
from tests.core.machines.grid.test_barriers import view
from tests.core.machines.grid.test_entries import at, plan
from tests.core.worlds import T0, D, after

NOW = after(9)


def filled(name: str, qty: str, net: str | None = None) -> LegFilled:
    """A fill of a leg."""
    role = Role.ENTRY if name.startswith("e") else Role.EXIT
    return LegFilled(
        name, role, name[1:], D(qty), D(net or qty), D(100), NOW, Side.BUY if role is Role.ENTRY else Side.SELL
    )


def entering(bought: str, held: str, sold: str = "0") -> Entering:
    """A level that buys, since the start."""
    return Entering(0, D(bought), D(held), D(sold), T0)


def holding(held: str, sold: str = "0", cycle: int = 0) -> Holding:
    """A level that holds, since the start."""
    return Holding(cycle, D(held), D(sold), T0)


@pytest.mark.parametrize(
    ("level", "event", "then"),
    [
        (entering("0", "0"), filled("e0-0", "0.04"), entering("0.04", "0.04")),
        (entering("0.04", "0.04"), filled("e0-0", "0.06"), Holding(0, D("0.10"), D(0), NOW)),
        (entering("0", "0"), filled("e0-0", "0.1", "0.0999"), Holding(0, D("0.0999"), D(0), NOW)),
        (entering("0.04", "0.04"), filled("x0-0", "0.04"), entering("0.04", "0.00", "0.04")),
        (entering("0.04", "0.04"), LotCut("0-0", D("0.01"), NOW), entering("0.04", "0.03")),
        (Waiting(0, armed=True), filled("e0-0", "0.04"), Holding(0, D("0.04"), D(0), NOW)),
        (Waiting(3, armed=True), filled("e0-2", "0.04"), Holding(3, D("0.04"), D(0), NOW)),
        (entering("0.02", "0.02"), filled("e0-7", "0.04"), entering("0.02", "0.06")),
        (holding("0.1", cycle=4), filled("e0-3", "0.01"), holding("0.11", cycle=4)),
        (holding("0.1"), filled("x0-0", "0.04"), holding("0.06", "0.04")),
        (holding("0.06", "0.04"), filled("x0-0", "0.06"), Waiting(1, armed=True)),
        (holding("0.1"), LotCut("0-0", D("0.1"), NOW), Waiting(1, armed=True)),
        (holding("0.1"), LotCut("0-0", D("0.04"), NOW), holding("0.06")),
        (holding("0.0999"), filled("x0-0", "0.099"), Waiting(1, armed=True)),
        (holding("0.1", cycle=4), filled("x0-3", "0.02"), holding("0.08", cycle=4)),
        (Waiting(1, armed=True), filled("x0-0", "0.02"), Waiting(1, armed=True)),
        (holding("0.1"), filled("e9-0", "0.1"), holding("0.1")),
        (holding("0.1"), LotCut("over-12", D("0.1"), NOW), holding("0.1")),
    ],
    ids=[
        "part bought", "all bought", "fee in base", "part sold while buying", "cut while buying", "outran withdrawal",
        "late, next cycle waits", "late, next cycle buys", "late, next cycle holds", "part sold", "all sold", "cut whole",
        "cut in part", "dust left", "late sale", "late sale, nothing held", "no such level", "no level's lot",
    ],
)  # fmt: skip
def test_every_event_has_an_answer(level: Level, event: MachineEvent, then: Level) -> None:
    """Fills and cuts in every state of a level, late ones of earlier cycles included."""
    draft = machine._Draft([level], set(), {}, [])
    machine._fold(plan(levels=1), draft, event, NOW)
    assert draft.levels == [then]


AMOUNTS = st.integers(0, 120).map(lambda n: D(n) / 1000)
LEVELS = st.one_of(
    st.builds(Waiting, st.integers(0, 3), armed=st.booleans(), reason=st.text(max_size=9)),
    st.builds(Entering, st.integers(0, 3), AMOUNTS, AMOUNTS, AMOUNTS, st.just(T0), at_market=st.booleans()),
    st.builds(Holding, st.integers(0, 3), AMOUNTS, AMOUNTS, st.just(NOW)),
)
PHASES = st.sampled_from([Running(T0), Closing("STOP_LOSS", NOW), Closed("TIME_LIMIT", NOW)])
STATES = st.builds(
    GridState, st.lists(LEVELS, min_size=4, max_size=4).map(tuple), PHASES, st.none() | st.just(NOW),
    st.none() | st.decimals("-1", "1", places=6),
)  # fmt: skip


@given(STATES)
def test_a_grid_stands_up_again_from_what_is_written_down(state: GridState) -> None:
    """Head and places as plain data give back the same state, to the digit."""
    of = plan()
    places = {i: machine.place(of, state, i).data for i in range(4)}
    assert machine.restore(of, machine.head(state), places) == state


@given(STATES, st.lists(st.tuples(st.sampled_from("ex"), st.integers(0, 4), st.integers(0, 4), AMOUNTS), max_size=5))
def test_no_event_in_any_state_is_left_without_an_answer(
    state: GridState, told: list[tuple[str, int, int, object]]
) -> None:
    """Whatever is told in whatever state: a state comes back, and what it wants is what it lists."""
    of = plan()
    events = tuple(filled(f"{role}{place}-{cycle}", str(qty)) for role, place, cycle, qty in told)
    outcome = machine.step(of, state, events, at("101", 9))
    listed = machine.wants(of, outcome.state)
    for name, leg in outcome.wants.items():
        assert listed.get(name) == leg
    for leg in listed.values():
        assert leg.qty > 0
        assert leg.kind is Kind.LIMIT


@pytest.mark.parametrize(
    ("level", "exit_qty"),
    [
        (holding("0.1"), "0.1"),
        (holding("0.06", "0.04"), "0.10"),
        (holding("0.0999"), "0.099"),
        (entering("0.04", "0.03", "0.01"), "0.04"),
    ],
)
def test_an_exit_is_for_all_that_was_ever_held(level: Level, exit_qty: str) -> None:
    """What it sold already counts, since the order layer takes it off; what an order cannot hold is left."""
    state = GridState((level,), Running(T0), None, None)
    leg = machine.wants(plan(levels=1), state)["x0-0"]
    assert leg.qty == D(exit_qty)
    assert (leg.price, leg.post_only, leg.lot_id) == (D(104), True, "0-0")


def test_a_stop_closes_and_ends_the_grid() -> None:
    """Fired, latched, closed when nothing is held; a late trade is closed as well."""
    of = plan(levels=1, triple_barrier={"stop_loss": "0.02"})
    state = GridState((holding("0.1"),), Running(T0), None, None)
    fired = machine.step(of, state, (), view("94", "0.1", "9.6"))
    assert (fired.unwind, type(fired.state.phase), machine.wants(of, fired.state)) == ("STOP_LOSS", Closing, {})
    ended = machine.step(of, fired.state, (LotCut("0-0", D("0.1"), NOW),), at("94"))
    assert (ended.unwind, type(ended.state.phase)) == ("", Closed)
    late = machine.step(of, ended.state, (filled("e0-0", "0.1"),), view("94", "0.1", "9.6"))
    assert (late.unwind, type(late.state.phase)) == ("STOP_LOSS", Closing)


def test_an_unknown_state_is_refused() -> None:
    """A newer version's level is not guessed at."""
    with pytest.raises(ValueError, match="unknown level state 'Resting'"):
        read_level({"is": "Resting", "cycle": "0"})


def test_a_withdrawn_entry_whose_exit_has_sold_starts_a_new_cycle() -> None:
    """An exit that sold what an older cycle left has worked its leg: the next purchase must have one of its own."""
    level = machine._withdrawn(plan(), entering("0", "0", sold="0.1"), "bounds", after(1))
    assert isinstance(level, Waiting)
    assert level.cycle == 1
