"""The range that follows the price: step by step between its limits, or laid anew; and how it ends where it may not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.machine import LegFilled
from core.machines.grid import machine
from core.machines.grid.barriers import barrier_hit
from core.machines.grid.config import GridPlan, PlanRefused, make_plan
from core.machines.grid.state import Closed, Closing, Entering, GridState, Holding, Waiting
from core.machines.grid.window import ends_of, moved, moving_wake
from core.orders import Role
from core.values import Side, exact_product, total
from tests.core.machines.grid.test_barriers import view
from tests.core.machines.grid.test_entries import at, entering, plan, why
from tests.core.worlds import D, after, grid, instrument

# The usual grid: levels at 96, 98, 100, 102 that exit two higher.


def window(of: GridPlan, state: GridState) -> tuple[int, int]:
    """The ends of the range at work."""
    low, high = ends_of(of, state.window)
    return int(low), int(high)


def bought(index: int, cycle: int = 0) -> LegFilled:
    """The entry of a level filled."""
    name = f"{index}-{cycle}"
    return LegFilled(f"e{name}", Role.ENTRY, name, D("0.1"), D("0.1"), D(100), after(1), Side.BUY)


def test_lines_are_laid_between_the_limits_once() -> None:
    """A place is one price for ever; the range starts where the configuration says, and the plain grid is unchanged."""
    of = plan(trailing_up=110, trailing_down=90)
    assert [line.entry_price for line in of.lines] == [90, 92, 94, 96, 98, 100, 102, 104, 106, 108]
    assert of.window == (3, 7)
    assert plan().window == (0, 4)


@pytest.mark.parametrize(
    ("changes", "price", "ends"),
    [
        ({"trailing_up": 110}, "105.99", (96, 104)),
        ({"trailing_up": 110}, "106", (98, 106)),
        ({"trailing_up": 110}, "108.5", (100, 108)),
        ({"trailing_up": 110}, "150", (102, 110)),
        ({"trailing_up": 110}, "50", (96, 104)),
        ({"trailing_down": 90}, "94.01", (96, 104)),
        ({"trailing_down": 90}, "94", (94, 102)),
        ({"trailing_down": 90}, "10", (90, 98)),
        ({"trailing_up": 110, "side": "SELL"}, "106", (98, 106)),
        ({"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70}, "104", (96, 104)),
        ({"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70}, "104.01", (100, 108)),
        ({"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70}, "121", (116, 124)),
        ({"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70}, "200", (122, 130)),
        ({"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70}, "95.99", (96, 104)),
        (
            {"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70, "max_resets": 1},
            "95.99",
            (92, 100),
        ),
        (
            {"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70, "max_resets": 1, "side": "SELL"},
            "85",
            (80, 88),
        ),
    ],
)
def test_where_the_range_stands(changes: dict[str, Any], price: str, ends: tuple[int, int]) -> None:
    """One step beyond the end moves it by one; a reset lays it around the price; limits hold; losing needs fresh money."""
    of = plan(**changes)
    state = machine.begin(of, at("101")).state
    state = machine.step(of, state, (), at(price, 5)).state
    assert window(of, state) == ends


def test_trailing_up_gives_up_the_farthest_and_places_one() -> None:
    """The lowest entry is withdrawn and says why; the new one rests one step higher."""
    of = plan(trailing_up=110)
    state = machine.begin(of, at("101")).state
    assert entering(state) == [0, 1, 2, 3]
    moved_on = machine.step(of, state, (), at("106", 5))
    assert entering(moved_on.state) == [1, 2, 3, 4]
    assert why(moved_on.state)[0] == "outside the present range"
    assert moved_on.wants["e0-0"] is None
    leg = moved_on.wants["e4-0"]
    assert leg is not None
    assert leg.price == 104
    assert [note.decision for note in moved_on.notes] == ["TRAIL"]


def test_trailing_down_keeps_what_is_held_with_its_exit() -> None:
    """A level that the range leaves behind is not sold at a loss: its exit goes on resting."""
    of = plan(trailing_down=90)
    state = machine.begin(of, at("101")).state
    first = of.window[0]
    held = machine.step(of, state, tuple(bought(first + i) for i in range(4)), view("95", "0.4", "39.6")).state
    down = machine.step(of, held, (), view("94", "0.4", "39.6", at_s=5)).state
    assert window(of, down) == (94, 102)
    assert isinstance(down.levels[first + 3], Holding)
    assert f"x{first + 3}-0" in machine.wants(of, down)
    assert entering(down) == [first - 1]


def test_money_bound_in_levels_left_behind_is_not_spent_twice() -> None:
    """After a reset with nothing free, new levels wait and say so; a fresh share opens them."""
    limits = {"on_range_exit": "reset", "trailing_up": 130, "trailing_down": 70}
    for resets, opened in ((0, 0), (1, 4)):
        of = plan(**limits, max_resets=resets)
        first = of.window[0]
        state = machine.begin(of, at("101")).state
        events = tuple(bought(first + i) for i in range(4))
        down = machine.step(of, state, events, view("90", "0.4", "39.6", at_s=5)).state
        assert len(entering(down)) == opened
        assert [i for i, one in enumerate(down.levels) if isinstance(one, Holding)] == list(range(first, first + 4))


@given(st.lists(st.integers(7000, 13000), min_size=1, max_size=12), st.booleans())
def test_entries_never_cost_more_than_the_money(path: list[int], reset: bool) -> None:
    """Whatever the range does, entries that rest and lots that are held stay within total_amount_quote."""
    rules = instrument()
    limits = {"on_range_exit": "reset"} if reset else {}
    config = grid(amount_base=None, total_amount_quote=100, trailing_up=120, trailing_down=80, **limits)
    of = make_plan(config, rules)
    assert of.capital_quote <= 100
    state = machine.begin(of, at("101")).state
    for seconds, cents in enumerate(path, 1):
        price = D(cents) / 100
        filled = tuple(
            LegFilled(f"e{i}-{level.cycle}", Role.ENTRY, f"{i}-{level.cycle}", of.lines[i].qty, of.lines[i].qty, price,
                      after(seconds), Side.BUY)
            for i, level in enumerate(state.levels)
            if isinstance(level, Entering) and of.lines[i].entry_price >= price
        )  # fmt: skip
        state = machine.step(of, state, filled, view(str(price), "1", "100", at_s=seconds)).state
        bound = [i for i, level in enumerate(state.levels) if not isinstance(level, Waiting)]
        assert total(exact_product(of.lines[i].entry_price, of.lines[i].qty) for i in bound) <= 100


@given(
    st.integers(6000, 14000),
    st.integers(6000, 14000),
    st.sampled_from([{}, {"on_range_exit": "reset", "max_resets": 1}]),
)
def test_the_band_hides_no_move(here: int, there: int, more: dict[str, Any]) -> None:
    """If the band of here does not hold there, there the range stays where it is."""
    of = plan(trailing_up=120, trailing_down=80, **more)
    now = moved(of, None, 0, at(str(D(here) / 100)))
    price = D(there) / 100
    if not moving_wake(of, now.window, now.resets).due(price, price, after(1)):
        assert moved(of, now.window, now.resets, at(str(price))).window == now.window


@pytest.mark.parametrize(
    ("what", "price", "word"),
    [("close", "96", None), ("close", "95.99", "RANGE_EXIT"), ("close", "104", None), ("close", "104.01", "RANGE_EXIT"),
     ("hold", "95.99", "POSITION_HOLD")],
)  # fmt: skip
def test_on_range_exit(what: str, price: str, word: str | None) -> None:
    """Beyond the range's end the grid closes or ends with what it holds; at the end it still trades."""
    of = plan(on_range_exit=what)
    hit, _ = barrier_hit(of, machine.begin(of, at("101")).state, at(price))
    assert (hit.word if hit else None) == word
    if hit is not None:
        ended = machine.step(of, machine.begin(of, at("101")).state, (), view(price, "0.1", "9.6"))
        assert isinstance(ended.state.phase, Closed if what == "hold" else Closing)


def test_a_range_that_may_follow_has_not_ended() -> None:
    """on_range_exit counts where trailing cannot go any further, and nowhere before."""
    of = plan(on_range_exit="close", trailing_up=110)
    state = machine.begin(of, at("101")).state
    state = machine.step(of, state, (), at("105", 5)).state
    assert not isinstance(state.phase, Closed)
    state = machine.step(of, state, (), at("120", 9)).state
    assert isinstance(state.phase, Closed)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"trailing_up": 104}, "above end_price 104"),
        ({"trailing_down": 96}, "below start_price 96"),
        ({"trailing_down": 80, "limit_price": 85}, "a limit above it works"),
        ({"max_resets": 1}, "only with on_range_exit: reset"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(changes: dict[str, Any], word: str) -> None:
    """With the field and what would work."""
    with pytest.raises(ValueError, match=word):
        grid(**changes)


def test_too_many_lines_are_refused() -> None:
    """The number of levels that lie between the limits is said."""
    with pytest.raises(PlanRefused, match="2000 are possible"):
        plan(levels=400, amount_base=1, trailing_up=400)
