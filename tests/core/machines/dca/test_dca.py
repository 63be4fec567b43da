"""The DCA executor: levels in order, everything else on their average."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import PlanRefused
from core.executors.executor import stopped
from core.executors.life import CloseType
from core.facts import SeenAs
from core.orders import Kind, Role
from core.values import ZERO
from tests.core.executors.bench import config_of, settle, spec_of, stage
from tests.core.worlds import D


def dca(**changes: Any) -> Any:
    """100, 200, 300 at 100, 99, 98, with a resting target at +2 % and a stop at -3 % of the average."""
    values = {
        "amounts_quote": [100, 198, 294], "prices": [100, 99, 98], "take_profit": "0.02", "take_profit_order_type": "LIMIT",
        "stop_loss": "0.03",
    }  # fmt: skip
    return config_of("dca", **(values | changes))


def test_levels_fill_and_the_target_follows_their_average() -> None:
    """After 1 at 100 the target is 102; after 2 more at 99 the average is 99.33.. and the target 101.32."""
    run = stage(dca())
    settle(run, 101, 100)
    assert (run.order("x3-0").qty, run.order("x3-0").price) == (D(1), D(102))
    settle(run, 99, 99)
    assert (run.order("x3-0").qty, run.order("x3-0").price) == (D(3), D("101.32"))
    settle(run, "101.32", "101.32")
    assert run.ended is CloseType.TAKE_PROFIT
    assert run.bot.inventory == ZERO
    assert all(work.order is None for work in run.bot.works.values())  # level 2 was withdrawn


def test_the_stop_holds_from_the_first_level_on() -> None:
    """The original's maker DCA has no stop until all levels are done; here one level alone is stopped."""
    run = stage(dca(prices=[100, 99, "98"], stop_loss="0.03", activation_bounds="0.001"))
    settle(run, 100)
    assert run.bot.inventory == D(1)
    run.account.jump(run.symbol, D("96.9"), run.now)  # a gap: the levels below never rested
    settle(run, "96.9", "96.9", "96.9")
    assert run.ended is CloseType.STOP_LOSS
    assert run.bot.inventory == ZERO


def test_levels_enter_in_the_order_of_the_list() -> None:
    """A level waits until the one before it is placed, however near its price is."""
    run = stage(dca(prices=[90, 99, 98], amounts_quote=[90, 198, 294], stop_loss=None, activation_bounds="0.005"))
    settle(run, 99)
    assert run.sent == []
    settle(run, 90)
    assert next(one.leg_id for one in run.sent if one.role is Role.ENTRY) == "e0-0"


def test_placed_levels_stay_when_the_price_leaves_the_bounds() -> None:
    """Latched once placed."""
    run = stage(dca(activation_bounds="0.01"))
    settle(run, 101, 101)
    assert run.order("e0-0") is not None
    settle(run, 110)
    assert run.order("e0-0") is not None


def test_taker_levels_and_a_gap_through_them() -> None:
    """TAKER buys once the mid price is near the level or beyond it; the original skips levels that the price jumped over."""
    run = stage(dca(mode="TAKER", stop_loss="0.04"))
    settle(run, 101)
    assert run.sent == []
    settle(run, "97.9")  # past all three levels at once
    assert [one.kind for one in run.sent if one.role is Role.ENTRY] == [Kind.MARKET] * 3
    assert run.bot.inventory == D(6)
    assert run.bot.cost == D("587.4")


def test_a_short_dca_is_the_mirror_image() -> None:
    """Sells above, target below, on a swap."""
    run = stage(dca(on_swap=True, side="SELL", prices=[100, 101, 102], amounts_quote=[100, 202, 306]))
    settle(run, 99, 100, 101)
    assert run.bot.inventory == D(-3)
    assert run.order("x3-0").price == D("98.65")
    settle(run, 97)
    assert run.ended is CloseType.TAKE_PROFIT


def test_the_target_can_be_a_barrier_at_the_market() -> None:
    """As in the original, without an order type the target is taken at the market, net of fees."""
    run = stage(dca(take_profit_order_type=None))
    settle(run, 101, 100, 102, "102.1", "102.1")
    assert run.ended is CloseType.TAKE_PROFIT
    assert [one.role for one in run.sent][-1] is Role.UNWIND


def test_a_close_that_filled_in_part_does_not_wait_for_ever() -> None:
    """The original waits for ever after a partly filled close, or an entry that fills after it; here the rest is sold."""
    run = stage(dca())
    settle(run, 101, 100)
    calls: list[Any] = []

    def thin(order: Any, now: Any) -> Any:
        if order.kind is not Kind.MARKET or calls:
            return run.account.place(order, now)
        calls.append(order)
        answer = run.account.place(replace(order, qty=D("0.4")), now)
        made = run.account.orders[order.client_id]
        made.qty, made.status = order.qty, SeenAs.EXPIRED
        return answer

    run.place = thin
    run.put(stopped(run.machine, run.now, keep_position=False))
    settle(run, "100.5", "100.5", "100.5")
    assert run.ended is CloseType.EARLY_STOP
    assert run.bot.inventory == ZERO


def test_early_stop_with_keep_still_shows_the_position() -> None:
    """The original's position and its profit vanish from every report; here the lots stay in the books."""
    run = stage(dca())
    settle(run, 101, 100, 99)
    run.put(stopped(run.machine, run.now, keep_position=True))
    settle(run, 99, 90)
    assert run.ended is CloseType.POSITION_HOLD
    assert run.bot.inventory == D(3)
    assert run.bot.cost == D(298)


def test_fees_in_the_coin_are_taken_off_what_is_sold() -> None:
    """The original closes with the gross quantity and is refused for want of coins; here the net of it is offered."""
    from tests.core.worlds import instrument

    run = stage(dca(), rules=instrument(fee_in_base=True, maker=D("0.001"), taker=D("0.001")))
    settle(run, 101, 100)
    assert run.bot.inventory == D("0.999")
    assert run.order("x3-0").qty == D("0.999")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prices": [100, 99]}, "one amount for each price"),
        ({"amounts_quote": [0, 1, 2]}, "greater than 0"),
        ({"prices": [0, 1, 2]}, "greater than 0"),
        ({"prices": [], "amounts_quote": []}, "at least 1"),
        ({"stop_loss": "0.4"}, "allow_wide"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    """A zero amount or price divides by zero in the original."""
    with pytest.raises(ValidationError, match=said):
        dca(**changes)


def test_a_stop_before_the_next_level_is_refused_with_one_that_works() -> None:
    """With the stop from the first level on, a level behind it could never fill."""
    with pytest.raises(PlanRefused, match=r"reached before level 1 at 99; 0\.010\d works"):
        spec_of(dca(stop_loss="0.005"))


def test_levels_below_the_minimum_are_refused() -> None:
    """The level is named, with an amount that works."""
    with pytest.raises(PlanRefused, match="works") as refused:
        spec_of(dca(amounts_quote=[100, "0.5", 300]))
    assert refused.value.key == "amounts_quote[1]"
