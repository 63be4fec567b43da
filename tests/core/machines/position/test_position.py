"""The position executor, and for each fault of the original the test that shows ours has it not."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import PlanRefused
from core.executors.executor import stopped
from core.executors.life import CloseType, Closing, Running
from core.facts import Fill, Refusal, Refused, SeenAs
from core.machines.position.config import PositionConfig
from core.orders import ClientId, Kind, Role
from core.simulation import Account
from core.values import ZERO, Side
from tests.core.executors.bench import config_of, settle, spec_of, stage
from tests.core.worlds import D, after


def position(**changes: Any) -> Any:
    """A long of 0.5 at 100, stopped at -2 %, with a target at +2 %, unless told otherwise."""
    barriers = {"stop_loss": "0.02", "take_profit": "0.02", "take_profit_order_type": "LIMIT"} | changes.pop(
        "barriers", {}
    )
    values = {"amount": "0.5", "entry_price": 100, "triple_barrier": barriers} | changes
    return config_of("position", **values)


def test_enters_rests_its_target_and_ends_with_it() -> None:
    """Entry at 100, target resting at 102 for all that was bought; its fill ends the executor as TAKE_PROFIT."""
    run = stage(position())
    settle(run, 101, 100)
    assert run.bot.inventory == D("0.5")
    target = run.order("x0-0")
    assert (target.side, target.qty, target.price) == (Side.SELL, D("0.5"), D(102))
    settle(run, 102, 102)
    assert run.ended is CloseType.TAKE_PROFIT
    assert run.bot.inventory == ZERO


def test_a_short_is_the_mirror_image() -> None:
    """Sold at 100, stopped above, its target below."""
    run = stage(position(on_swap=True, side="SELL"))
    settle(run, 99, 100)
    assert run.bot.inventory == D("-0.5")
    assert run.order("x0-0").price == D(98)
    settle(run, "102.5", "102.5")
    assert run.ended is CloseType.STOP_LOSS
    assert run.bot.inventory == ZERO


def test_a_partial_entry_has_its_stop() -> None:
    """The original's barriers wait for the whole entry; here a fifth of it is stopped, and the rest is withdrawn."""
    run = stage(position())
    settle(run, 101)
    run.part("p-test-e0-0-0", "0.1", 101)
    assert run.order("x0-0").qty == D("0.1")
    # Nobody trades with the rest of it on the way down: it was cancelled, and is refused for a while.
    Account._end(run.account, run.account.orders[ClientId("p-test-e0-0-0")], SeenAs.CANCELED, "by hand")
    run.place = lambda order, now: (
        Refused(order.client_id, Refusal.RATE, "busy", now)
        if order.role is Role.ENTRY
        else run.account.place(order, now)
    )
    settle(run, 97, 97)
    assert run.ended is CloseType.STOP_LOSS
    assert run.bot.inventory == ZERO
    assert run.executed["e0-0"] == D("0.1")


def test_stopped_by_hand_with_a_partial_entry_leaves_no_orphan() -> None:
    """The original closes as EARLY_STOP and forgets the part that was bought; here it is sold."""
    run = stage(position())
    settle(run, 101)
    run.part("p-test-e0-0-0", "0.2", 101)
    state = stopped(run.machine, run.now, keep_position=False)
    run.put(state)
    assert isinstance(state.life, Closing)
    settle(run, 101, 101, 101)
    assert run.ended is CloseType.EARLY_STOP
    assert run.bot.inventory == ZERO
    assert stopped(run.machine, run.now, keep_position=True) is run.machine  # said again, it changes nothing


def test_stopped_by_hand_keeping_the_position() -> None:
    """POSITION_HOLD: what was bought stays, nothing rests, and no barrier ever sells it."""
    run = stage(position())
    settle(run, 101)
    run.part("p-test-e0-0-0", "0.2", 101)
    state = stopped(run.machine, run.now, keep_position=True)
    run.put(state)
    settle(run, 101, 50, 200)
    assert run.ended is CloseType.POSITION_HOLD
    assert run.bot.inventory == D("0.2")
    assert all(work.order is None for work in run.bot.works.values())


def test_a_partial_target_then_the_stop_never_oversells() -> None:
    """The original sells the full size at the stop although its target had sold a part: ours sells what is left."""
    run = stage(position())
    settle(run, 101, 100)
    run.part("p-test-x0-0-0", "0.3", 101)
    settle(run, 97, 97)
    assert run.ended is CloseType.STOP_LOSS
    sold = {leg: done for leg, done in run.executed.items() if leg[0] != "e"}
    assert sold == {"x0-0": D("0.3"), "u0-0": D("0.2")}
    assert run.bot.inventory == ZERO


def test_a_market_close_that_filled_in_part_closes_the_rest_alone() -> None:
    """A close that was cancelled after a part is sent again for the remainder, not in full."""
    run = stage(position())
    settle(run, 101, 100)
    place = run.account.place
    short: list[Any] = []

    def thin(order: Any, now: Any) -> Any:
        if order.kind is Kind.MARKET and not short:
            short.append(order)
            answer = place(replace(order, qty=D("0.2")), now)
            sent = run.account.orders[order.client_id]
            sent.qty, sent.status = order.qty, SeenAs.EXPIRED
            return answer
        return place(order, now)

    run.place = thin
    settle(run, "97.9", "97.9", "97.9")
    unwinds = [order.qty for order in run.sent if order.role is Role.UNWIND]
    assert unwinds == [D("0.5"), D("0.3")]
    assert run.ended is CloseType.STOP_LOSS
    assert run.bot.inventory == ZERO


def test_leaving_and_entering_the_bounds_sends_the_remainder() -> None:
    """Out of its bounds the entry is withdrawn, back in it asks for what is missing: the original asks for all again."""
    run = stage(position(activation_bounds="0.01"))
    settle(run, 103)
    assert run.order("e0-0") is None
    assert "more than 0.01 from the price" in run.bot.shown[0].reason
    settle(run, 101)
    run.part("p-test-e0-0-0", "0.2", 101)
    settle(run, "101.9")
    assert run.order("e0-0") is None
    settle(run, "100.5")
    assert run.order("e0-0").qty == D("0.3")
    settle(run, 100)
    assert run.bot.inventory == D("0.5")


def test_a_market_entry_waits_for_its_bounds() -> None:
    """BUY between price (1 - b0) and price (1 + b1), then from the book under a cap."""
    run = stage(position(activation_bounds=["0.01", "0.005"], barriers={"open_order_type": "MARKET"}))
    settle(run, 101, "98.5")
    assert run.sent == []
    settle(run, "100.5")
    assert run.bot.inventory == D("0.5")
    assert run.sent[0].price == D("101.01")  # 50 bp above the ask, never any price


def test_post_only_entry_and_target() -> None:
    """LIMIT_MAKER goes behind the touch where its price would cross, for the entry and for the target."""
    run = stage(
        position(entry_price=102, barriers={"open_order_type": "LIMIT_MAKER", "take_profit_order_type": "LIMIT_MAKER"})
    )
    settle(run, 101)
    assert (run.order("e0-0").price, run.order("e0-0").post_only) == (D("100.99"), True)
    settle(run, "100.9")
    assert run.order("x0-0").post_only


def test_a_late_fill_after_the_end_is_closed_too() -> None:
    """A trade that is told after all was closed opens the shutdown again: nothing stays by accident."""
    run = stage(position(barriers={"time_limit": 10}))
    settle(run, 101)
    cid = "p-test-e0-0-0"
    run.now = after(30)
    settle(run, 101, 101)
    assert run.ended is CloseType.TIME_LIMIT
    told = Fill(
        venue="spot", symbol=run.symbol, trade_id="late", client_id=ClientId(cid), side=Side.BUY, price=D(100),
        qty=D("0.1"), fee=ZERO, fee_asset="USDT", ts=run.now, maker=True,
    )  # fmt: skip
    run.account.balances["BTC"] += D("0.1")
    run.carried = [told]
    settle(run, 101, 101, 101)
    assert run.ended is CloseType.TIME_LIMIT
    assert run.bot.inventory == ZERO


def test_insufficient_balance_ends_it_with_nothing_sent_again() -> None:
    """A venue without the money for the entry: INSUFFICIENT_BALANCE, said as an incident, one order ever sent."""
    run = stage(position(amount=20_000))
    settle(run, 101, 100, 99, 98)
    assert run.ended is CloseType.INSUFFICIENT_BALANCE
    assert len(run.sent) == 1
    assert [one.kind for one in run.raised] == ["executor_failed"]


def test_failed_never_hides_exposure() -> None:
    """The original gives up after its retries and leaves the position; here FAILED sells it first, and says so."""
    run = stage(position(max_retries=2))
    settle(run, 101)
    run.part("p-test-e0-0-0", "0.2", 101)
    failing = run.account.place

    def refusing(order: Any, now: Any) -> Any:
        if order.role is Role.ENTRY:
            return Refused(order.client_id, Refusal.OTHER, "no", now)
        return failing(order, now)

    run.place = refusing
    Account._end(run.account, run.account.orders[ClientId("p-test-e0-0-0")], SeenAs.CANCELED, "by hand")
    for _ in range(12):
        run.tick(D(101), 400)
    assert run.ended is CloseType.FAILED
    assert run.bot.inventory == ZERO
    failed = [one for one in run.raised if one.kind == "executor_failed"]
    assert [one.severity for one in failed] == ["critical"]
    assert "it holds 0.2 BTC, which is being closed" in failed[0].detail


def test_expired_before_it_began() -> None:
    """A time limit that counts from a timestamp long ago enters nothing."""
    run = stage(position(timestamp=0, barriers={"time_limit": 60}))
    settle(run, 101, 100)
    assert run.ended is CloseType.EXPIRED
    assert run.sent == []


def test_time_limit_counts_from_the_first_tick_without_a_timestamp() -> None:
    """The original's time limit raises where the timestamp was left out; ours is stamped by the first tick."""
    run = stage(position(barriers={"time_limit": 60}))
    settle(run, 101, 100)
    assert isinstance(run.machine.life, Running)
    run.tick(D(100), 60)
    run.tick(D(100))
    assert run.ended is CloseType.TIME_LIMIT


def test_a_stop_at_a_limit_goes_to_the_market_when_it_does_not_fill() -> None:
    """stop_loss_order_type LIMIT rests at the touch for 30 s; what is left is then sold under a cap."""
    run = stage(position(barriers={"stop_loss_order_type": "LIMIT"}))
    settle(run, 101, 100)

    def falling(order: Any, now: Any) -> Any:
        if order.role is Role.EXIT:
            run.account.jump(run.symbol, D("97.5"), now)  # the book moves away while the order is on its way
        return run.account.place(order, now)

    run.place = falling
    settle(run, "97.9")
    assert isinstance(run.machine.life, Closing)
    settle(run, "97.8", "97.7")
    run.tick(D("97.7"), 30)
    run.tick(D("97.7"))
    assert run.ended is CloseType.STOP_LOSS
    assert run.bot.inventory == ZERO


def test_restart_in_each_state() -> None:
    """Waiting, entering, holding, closing, closed: a new process goes on where the old one was."""
    run = stage(position(activation_bounds="0.01"))
    for price in (103, 101, 100, "101.5", "97.5", "97.5"):
        settle(run, price)
        run.restart()
        settle(run, price)
    assert run.ended is CloseType.STOP_LOSS
    assert run.executed == {"e0-0": D("0.5"), "u0-0": D("0.5")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": 0}, "greater than 0"),
        ({"amount": "-1"}, "greater than 0"),
        ({"amount": "nan"}, "finite"),
        ({"entry_price": 0}, "greater than 0"),
        ({"barriers": {"stop_loss": 0}}, "stop_loss"),
        ({"barriers": {"stop_loss": "0.3"}}, "allow_wide"),
        ({"barriers": {"stop_loss_order_type": "LIMIT_MAKER"}}, "post-only"),
        ({"barriers": {"trailing_stop": {"activation": "0.01", "delta": "0.02"}}}, "at most 0.01 works"),
        ({"entry_price": None, "activation_bounds": "0.01"}, "need an entry_price"),
        ({"max_retries": -1}, "max_retries"),
        ({"surprise": 1}, "surprise"),
        ({"side": None}, "side"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    """The original validates no number; each of these says its field."""
    with pytest.raises(ValidationError, match=said):
        position(**changes)


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"amount": "0.0005"}, "amount", "0.001 works"),
        ({"amount": "0.0015"}, "amount", "0.001 works"),
        ({"amount": "0.005"}, "amount", "works"),
        ({"entry_price": "100.001"}, "entry_price", "tick"),
        ({"side": "SELL"}, "side", "swap"),
    ],
)
def test_what_the_exchange_would_refuse_is_refused_with_what_works(
    changes: dict[str, Any], key: str, said: str
) -> None:
    """Below a minimum, off the lot or the tick, or a short on spot."""
    with pytest.raises(PlanRefused, match=said) as refused:
        spec_of(position(**changes))
    assert refused.value.key == key


def test_names_of_the_original_are_taken() -> None:
    """connector_name, trading_pair, triple_barrier_config, activation_price and trailing_delta mean ours; both is refused."""
    told = {
        "id": "p", "side": "BUY", "amount": 1, "connector_name": "spot", "trading_pair": "BTC-USDT",
        "triple_barrier_config": {"trailing_stop": {"activation_price": "0.02", "trailing_delta": "0.01"}},
    }  # fmt: skip
    config = PositionConfig.model_validate(told)
    assert (config.venue, config.symbol) == ("spot", "BTC/USDT")
    assert config.triple_barrier.trailing_stop is not None
    assert config.triple_barrier.trailing_stop.delta == D("0.01")
    with pytest.raises(ValidationError, match="given twice"):
        PositionConfig.model_validate(told | {"venue": "spot"})
