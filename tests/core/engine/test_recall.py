"""What a restart must know of the past of each leg."""

from dataclasses import replace

import pytest

from core.engine.recall import legs_to_recall, recall_works
from core.engine.world import Unwind
from core.machines.grid import machine
from core.orders import ClientId, Order, Status
from tests.core.machines.grid.test_entries import at
from tests.core.test_orders import order
from tests.core.worlds import T0, D, grid, instrument, spec


def attempt(number: int, status: Status, filled: str = "0", traded: str | None = None, leg: str = "e0-0") -> Order:
    """One attempt at a leg."""
    made = replace(order(status, "1", filled, traded or filled), leg_id=leg, attempt=number)
    return replace(made, client_id=ClientId(f"g-test-{leg}-{number}"))


def test_a_withdrawn_level_is_remembered() -> None:
    """It wants nothing, yet its legs have used up client ids: both legs of every present cycle are recalled."""
    ready = spec(grid(activation_bounds="0.0095"), instrument())
    state = machine.begin(ready.plan, at("102")).state
    legs = legs_to_recall(ready, state, Unwind("STOP_LOSS", T0, 4))
    assert set(legs) == {f"{role}{i}-0" for role in "ex" for i in range(4)} | {"u0-4"}
    assert [name for name, leg in legs.items() if leg is not None] == ["e3-0"]


def test_attempts_are_counted_and_what_they_did() -> None:
    """The next attempt has a number of its own; what is over counts, what may still trade is the leg's order."""
    past = [
        attempt(0, Status.CANCELED, "0.4"), attempt(1, Status.REJECTED), attempt(2, Status.OPEN),
        attempt(0, Status.FILLED, "1", "0.5", leg="e1-7"), attempt(0, Status.FILLED, "1", leg="e9-9"),
    ]  # fmt: skip
    works = recall_works({"e0-0": None, "x0-0": None}, past, {past[2].client_id: D(99)})
    assert set(works) == {"e0-0", "e1-7"}
    one = works["e0-0"]
    assert (one.done, one.next_attempt, one.order, one.asked_price) == (D("0.4"), 3, past[2], D(99))
    assert works["e1-7"].order == past[3]


def test_two_orders_that_may_both_trade_are_refused() -> None:
    """Nobody could say which of them is worked: a person has to look."""
    with pytest.raises(ValueError, match="leg e0-0 has two orders that may still trade"):
        recall_works({}, [attempt(0, Status.OPEN), attempt(1, Status.UNKNOWN)], {})
