"""The TWAP executor: slices in time, each costing nothing but itself."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.config import PlanRefused
from core.executors.executor import stopped
from core.executors.life import Closed, CloseType, Running
from core.facts import Action, Command, Refusal, Refused
from core.values import ZERO
from tests.core.executors.bench import config_of, spec_of, stage
from tests.core.worlds import D

MAKER = {"mode": "MAKER", "limit_order_buffer": "0.001"}


def twap(**changes: Any) -> Any:
    """300 in four slices, a minute apart."""
    return config_of("twap", **({"total_amount_quote": 300, "total_duration": 180, "order_interval": 60} | changes))


def test_slices_are_equal_and_in_time() -> None:
    """floor(duration / interval) + 1 slices at start + i x interval; COMPLETED, and the position is kept."""
    run = stage(twap())
    run.calm(D(100), 100)
    assert [one.qty for one in run.sent] == [D("0.75")] * 4
    assert [(one.created_at - run.sent[0].created_at).total_seconds() for one in run.sent] == [0, 60, 120, 180]
    assert run.ended is CloseType.COMPLETED
    assert run.bot.inventory == D(3)


def test_each_slice_takes_its_share_of_what_is_left() -> None:
    """Prices move: the quote spent stays the total, to a lot's worth."""
    run = stage(twap())
    for price in (100, 120, 80, 100):
        run.tick(D(price))
        run.calm(D(price), 30)
    assert abs(run.machine.spent - 300) < D("0.2")


def test_a_failed_slice_costs_nothing_but_itself() -> None:
    """The original rebuilds its plan with the failed slot alone and loses all others; here they go on with its share."""
    run = stage(twap())

    def once(order: Any, now: Any) -> Any:
        return (
            Refused(order.client_id, Refusal.FILTER, "no", now) if len(run.sent) == 2 else run.account.place(order, now)
        )

    run.place = once
    run.calm(D(100), 100)
    assert [slot.word for slot in run.machine.slots if hasattr(slot, "word")] == [
        "FILLED", "FAILED filter", "FILLED", "FILLED",
    ]  # fmt: skip
    assert [one.qty for one in run.sent] == [D("0.75"), D("0.75"), D("1.125"), D("1.125")]
    assert run.bot.inventory == D(3)
    assert run.ended is CloseType.COMPLETED
    assert [one.kind for one in run.raised] == ["twap_unexecuted"]


def test_time_away_does_not_make_one_large_order() -> None:
    """The original sends all overdue slices at once; here the newest goes, and the share of the missed is spread."""
    run = stage(twap())
    run.tick(D(100))
    run.tick(D(100), 150)  # slices 1 and 2 are overdue
    assert [one.qty for one in run.sent] == [D("0.75"), D("1.125")]
    run.calm(D(100), 60)
    assert run.bot.inventory == D(3)


def test_paused_it_misses_slices_and_does_not_pile_them_up() -> None:
    """What control holds back is not sent later all at once."""
    run = stage(twap())
    run.tick(D(100))
    run.carried = [Command(1, "p", Action.PAUSE, "", "anna", "", run.now)]
    run.calm(D(100), 65)
    run.carried = [Command(2, "p", Action.RESUME, "", "anna", "", run.now)]
    run.calm(D(100), 60)
    assert [one.qty for one in run.sent] in ([D("0.75"), D("2.25")], [D("0.75"), D("1.125"), D("1.125")])
    assert run.bot.inventory == D(3)


def test_maker_rests_at_its_buffer_and_is_moved() -> None:
    """Post-only at mid (1 - buffer), moved there again after the resubmission time, for what is missing alone."""
    run = stage(twap(**MAKER, order_resubmission_time=20))
    run.tick(D(100))
    assert (run.order("e0-0").price, run.order("e0-0").post_only) == (D("99.9"), True)
    run.account.some("p-test-e0-0-0", "0.25", run.now)
    run.calm(D(101), 12)
    assert [(one.qty, one.price) for one in run.sent] == [(D("0.750"), D("99.9")), (D("0.500"), D("100.89"))]
    assert run.executed["e0-0"] == D("0.25")  # the part of the replaced order stays in the totals


def test_what_nobody_takes_is_withdrawn_and_named() -> None:
    """One interval after the last slice it ends: EXPIRED, an incident says what is missing, nothing rests."""
    run = stage(twap(**MAKER))
    run.tick(D(100))
    run.account.some("p-test-e0-0-0", "0.25", run.now)
    run.calm(D(101), 140)
    assert run.ended is CloseType.EXPIRED
    assert all(work.order is None for work in run.bot.works.values())
    assert "not executed" in run.raised[0].detail


def test_without_money_for_any_slice() -> None:
    """Every slice refused for want of money: INSUFFICIENT_BALANCE; nothing is held and nothing hidden."""
    run = stage(twap(total_amount_quote=30_000_000, order_interval=60))
    run.calm(D(100), 150)
    assert run.ended is CloseType.INSUFFICIENT_BALANCE
    assert run.bot.inventory == ZERO


def test_early_stop_keeps_its_close_type() -> None:
    """The original overwrites the close type of a stop with COMPLETED; here it stands, and the held part is held."""
    run = stage(twap())
    run.calm(D(100), 35)
    run.put(stopped(run.machine, run.now, keep_position=True))
    run.calm(D(100), 100)
    assert run.ended is CloseType.POSITION_HOLD
    assert run.bot.inventory == D("1.5")


def test_a_slice_of_one() -> None:
    """A duration of zero is one slice, at once."""
    run = stage(twap(total_duration=0))
    run.calm(D(100), 3)
    assert run.bot.inventory == D(3)
    assert isinstance(run.machine.life, Closed)


def test_restart_between_slices() -> None:
    """A new process goes on with the slices that are still to come."""
    run = stage(twap())
    for _ in range(10):
        run.calm(D(100), 10)
        run.restart()
    assert run.bot.inventory == D(3)
    assert not isinstance(run.machine.life, Running)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "MAKER"}, "limit_order_buffer: MAKER needs one"),
        ({"mode": "MAKER", "limit_order_buffer": None}, "limit_order_buffer: MAKER needs one"),
        ({"limit_order_buffer": "0.001"}, "belongs to mode MAKER"),
        ({"order_resubmission_time": 3}, "belongs to mode MAKER"),
        ({"order_interval": 0}, "order_interval"),
        ({"total_duration": 100_000, "order_interval": 1}, "at most 2000"),
        ({"total_amount_quote": 0}, "total_amount_quote"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    """The original tests the buffer only where it is given; here a missing one is refused, null or not."""
    with pytest.raises(ValidationError, match=said):
        twap(**changes)


def test_slices_below_the_minimum_are_refused() -> None:
    """The least notional counts per slice, in quote; the refusal says how many slices work."""
    with pytest.raises(PlanRefused, match="at most 3 slices work"):
        spec_of(twap(total_amount_quote="3.5"))
