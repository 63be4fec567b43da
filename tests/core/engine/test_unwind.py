"""Closing at the market: what is free goes out at once, what a resting exit may still sell waits for its end."""

from dataclasses import replace

import pytest

from core.engine import Place, Step
from core.engine.world import Unwind
from core.facts import Action, Command, SeenAs
from core.values import Side, plain, total
from tests.core.transcript import Script
from tests.core.worlds import D, after, grid

LOW, HIGH = "g-test-x0-0-0", "g-test-x1-0-0"


def scene() -> Script:
    """Two levels of 0.1 hold, their exits rest at 100 and 102; the price has fallen to the stop's edge."""
    script = Script(grid(start_price=98, end_price=102, levels=2, triple_barrier={"stop_loss": "0.03"}))
    script.price("101")
    script.tell(script.accepted("g-test-e0-0-0"), script.accepted("g-test-e1-0-0"))
    script.tell(script.fill("g-test-e1-0-0", "0.1", "100"), later_s=1)
    script.tell(script.fill("g-test-e0-0-0", "0.1", "98"), later_s=1)
    script.tell(script.accepted(LOW), script.accepted(HIGH))
    return script


def sold(step: Step) -> list[str]:
    """The quantities that a step sends to the market."""
    return [plain(one.order.qty) for one in step.intents if isinstance(one, Place) and one.order.leg_id.startswith("u")]


def test_exits_that_rest_are_cancelled_first_and_one_order_closes_all() -> None:
    """While the cancels are being sent nothing is sold twice; once both are over, all of it is sold in one order."""
    script = scene()
    assert sold(script.price("95", later_s=5)) == []
    step = script.tell(script.seen(LOW, SeenAs.CANCELED), script.seen(HIGH, SeenAs.CANCELED))
    assert sold(step) == ["0.2"]


def test_what_is_free_does_not_wait_for_a_cancel_without_an_answer() -> None:
    """One cancel confirmed, the other unanswered: the free lot goes to the market in the same tick."""
    script = scene()
    script.price("95", later_s=5)
    step = script.tell(script.seen(LOW, SeenAs.CANCELED), script.unanswered(HIGH))
    assert sold(step) == ["0.1"]
    script.tell(script.accepted("g-test-u0-0-0"))
    script.tell(
        script.fill("g-test-u0-0-0", "0.1", "95", Side.SELL), script.seen("g-test-u0-0-0", SeenAs.FILLED, "0.1")
    )
    # The exit filled after all: nothing is left to sell, and nothing more is sent.
    step = script.tell(script.fill(HIGH, "0.1", "102", Side.SELL), script.seen(HIGH, SeenAs.FILLED, "0.1"), later_s=5)
    assert sold(step) == []
    assert script.state.bots["g"].inventory == D(0)


def test_the_rest_follows_once_the_cancel_is_confirmed() -> None:
    """After the free part the other follows; the sum of both is what was held."""
    script = scene()
    script.price("95", later_s=5)
    first = script.tell(script.seen(LOW, SeenAs.CANCELED), script.unanswered(HIGH))
    script.tell(script.accepted("g-test-u0-0-0"))
    script.tell(
        script.fill("g-test-u0-0-0", "0.1", "95", Side.SELL), script.seen("g-test-u0-0-0", SeenAs.FILLED, "0.1")
    )
    second = script.tell(script.seen(HIGH, SeenAs.CANCELED), later_s=5)
    assert total(D(qty) for qty in sold(first) + sold(second)) == D("0.2")


def test_nothing_is_sent_while_nothing_is_free() -> None:
    """Both cancels unanswered: either exit may still sell its lot, and a sale beside them could be one too many."""
    script = scene()
    script.price("95", later_s=5)
    assert sold(script.tell(script.unanswered(LOW), script.unanswered(HIGH))) == []


@pytest.mark.parametrize(("age_s", "again"), [(19, []), (20, ["0.1"])])
def test_a_closing_that_never_arrived_is_sent_again_after_the_short_quarantine(age_s: int, again: list[str]) -> None:
    """A closing may arrive within 2 s: 20 s after it was sent "not found" is the end of it, 30 s for any other order."""
    script = scene()
    script.price("95", later_s=5)
    script.tell(script.seen(LOW, SeenAs.CANCELED), script.unanswered(HIGH))
    script.tell(script.unanswered("g-test-u0-0-0"))
    step = script.tell(script.not_found("g-test-u0-0-0", later_s=age_s), later_s=age_s)
    assert sold(step) == again


def test_a_sale_spares_what_an_exit_has_sold_already() -> None:
    """A trade that is still to be told finds its lot open: the sale at the market is booked against all the others."""
    script = scene()
    script.price("95", later_s=5)
    step = script.tell(script.seen(LOW, SeenAs.CANCELED), script.seen(HIGH, SeenAs.CANCELED, "0.04"))
    assert sold(step) == ["0.16"]
    script.tell(script.fill("g-test-u0-0-0", "0.16", "95", Side.SELL), later_s=1)
    assert {lot.lot_id: lot.qty for lot in script.state.bots["g"].lots.values()} == {"1-0": D("0.04")}
    last = script.tell(script.fill(HIGH, "0.04", "102", Side.SELL), later_s=5)
    assert not last.raised
    assert script.state.bots["g"].lots == {}


def test_an_unwind_keeps_its_numbers_over_a_restart_without_a_price() -> None:
    """Closed and started again while no price is known: the next purchase is sold under an id that was not used yet."""
    script = scene()
    script.tell(Command(1, "g", Action.FLATTEN, "", "test", "", after(5)), later_s=5)
    script.tell(script.seen(LOW, SeenAs.CANCELED), script.seen(HIGH, SeenAs.CANCELED))
    script.tell(
        script.accepted("g-test-u0-0-0"), script.fill("g-test-u0-0-0", "0.2", "95", Side.SELL),
        script.seen("g-test-u0-0-0", SeenAs.FILLED, "0.2"),
    )  # fmt: skip
    script.state = replace(
        script.state, bots={"g": replace(script.state.bots["g"], unwind=Unwind("FLATTEN", after(5), 0))}
    )
    script.memory.bots["g"] = (script.state.bots["g"], script.memory.bots["g"][1])
    script.restart()
    script.tell(Command(2, "g", Action.RELEASE, "", "test", "", after(10)), later_s=5)
    assert script.state.bots["g"].works["u0-0"].next_attempt == 1


def test_a_cancel_on_its_way_is_waited_for_two_seconds() -> None:
    """No word of one cancel yet: one order for all is worth two seconds; then the free lot goes out."""
    script = scene()
    script.price("95", later_s=5)
    step = script.tell(script.seen(LOW, SeenAs.CANCELED), later_s=1)
    assert sold(step) == []
    deadline = step.world.bots["g"].wake.deadline
    assert deadline is not None
    assert deadline <= after(script.now_s + 1)
    assert sold(script.tell(later_s=0.9)) == []
    assert sold(script.price("95", later_s=0.1)) == ["0.1"]
    assert sold(script.tell(script.seen(HIGH, SeenAs.CANCELED), later_s=1)) == []


def test_a_cancel_confirmed_within_two_seconds_lets_one_order_close_all() -> None:
    """As with a venue that takes half a second: both cancels are confirmed a moment later, and one order sells both lots."""
    script = scene()
    script.price("95", later_s=5)
    assert sold(script.tell(script.seen(LOW, SeenAs.CANCELED), later_s=0.5)) == []
    assert sold(script.tell(script.seen(HIGH, SeenAs.CANCELED), later_s=0.5)) == ["0.2"]
