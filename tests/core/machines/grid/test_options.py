"""Single options of a grid: trigger, order types, price sources, exits from fills, bounds for exits, whole-bot barriers."""

from dataclasses import replace
from typing import Any

import pytest

from core.machine import LegFilled, View
from core.machines.grid import machine
from core.machines.grid.barriers import barrier_hit, bot_profit, seen_by
from core.machines.grid.state import Closed, Closing, Entering, GridState, Holding, Pending, Running, Waiting
from core.orders import Role
from core.values import Side
from tests.core.machines.grid.test_barriers import plan as barrier_plan
from tests.core.machines.grid.test_barriers import view
from tests.core.machines.grid.test_entries import at, entering, plan
from tests.core.worlds import T0, D, after, grid, quote, swap


def bought(qty: str, price: str, cycle: int = 0) -> LegFilled:
    """A part of the first level's entry."""
    return LegFilled(f"e0-{cycle}", Role.ENTRY, f"0-{cycle}", D(qty), D(qty), D(price), after(1), Side.BUY)


@pytest.mark.parametrize(("start", "still", "reached"), [("101", "99.01", "99"), ("97", "98.99", "99")])
def test_trigger_price_is_waited_for_from_either_side(start: str, still: str, reached: str) -> None:
    """Nothing is wanted until the price has come to it; then the grid is latched on, wherever the price goes."""
    of = plan(trigger_price=99)
    begun = machine.begin(of, at(start))
    assert isinstance(begun.state.phase, Pending)
    assert machine.wants(of, begun.state) == {}
    waiting = machine.step(of, begun.state, (), at(still, 5))
    assert waiting.state == begun.state
    assert waiting.wake.due(D(still), D(still), after(5)) is False
    assert waiting.wake.due(D(reached), D(reached), after(5))
    again = machine.restore(of, machine.head(waiting.state), {})
    started = machine.step(of, again, (), at(reached, 9))
    assert entering(started.state) == [0, 1, 2, 3]
    assert [note.decision for note in started.notes] == ["TRIGGERED"]
    assert entering(machine.step(of, started.state, (), at(start, 12)).state) == [0, 1, 2, 3]


def test_trigger_price_counts_between_two_looks_and_at_the_start() -> None:
    """The low since the last look triggers; a first price that stands on it starts at once; time counts from then."""
    of = plan(trigger_price=99, triple_barrier={"time_limit": 60})
    begun = machine.begin(of, at("101")).state
    started = machine.step(of, begun, (), replace(at("101", 100), low=D(99))).state
    assert isinstance(started.phase, Running)
    assert isinstance(machine.step(of, started, (), at("101", 159)).state.phase, Running)
    assert isinstance(machine.step(of, started, (), at("101", 160)).state.phase, Closed)
    assert isinstance(machine.begin(of, at("99")).state.phase, Running)


def bot(price: str, held: str, cost: str, **sums: str) -> View:
    """A bot with sums over its life."""
    signed = D(cost) if D(held) >= 0 else -D(cost)
    return replace(view(price, held, cost, net_cost=signed), **{name: D(value) for name, value in sums.items()})


@pytest.mark.parametrize(
    ("changes", "seen", "word"),
    [
        ({"bot_take_profit": 5}, bot("104", "1", "100", realized="2", fees="1"), "BOT_TAKE_PROFIT"),
        ({"bot_take_profit": 5}, bot("103.99", "1", "100", realized="2", fees="1"), None),
        ({"bot_take_profit": 5}, bot("103", "1", "100", realized="2", fees="1", funding="1"), "BOT_TAKE_PROFIT"),
        ({"bot_take_profit": 5}, bot("100", "0", "0", realized="6", fees="1"), "BOT_TAKE_PROFIT"),
        ({"bot_stop_loss": 5}, bot("95", "1", "100"), "BOT_STOP_LOSS"),
        ({"bot_stop_loss": 5}, bot("95.01", "1", "100"), None),
        ({"bot_stop_loss": 5}, bot("93", "1", "100", realized="3", fees="1", funding="0.01"), None),
        ({"bot_stop_loss": 5}, bot("93", "1", "100", realized="2", fees="0.5", funding="-0.5"), "BOT_STOP_LOSS"),
    ],
)
def test_bot_take_profit_and_bot_stop_loss_in_quote(changes: dict[str, Any], seen: View, word: str | None) -> None:
    """Realised + floating - fees + funding of the whole bot, to the last digit, held or not."""
    of = barrier_plan(**changes)
    hit, _ = barrier_hit(of, GridState((), Running(T0), None, None), seen)
    assert (hit.word if hit else None) == word


def test_what_a_whole_bot_won() -> None:
    """The formula, long and short."""
    assert bot_profit(bot("105", "2", "200", realized="3", fees="1", funding="-0.5"), D(105)) == D("11.5")
    assert bot_profit(bot("95", "-2", "200", realized="3", fees="1", funding="0.5"), D(95)) == D("12.5")


@pytest.mark.parametrize(
    ("source", "low", "high"),
    [
        ("touch", "97", "103"),
        ("mid", "100.5", "100.5"),
        ("last", "98", "102"),
        ("mark", "99", "99"),
        (None, "99", "99"),
    ],
)
def test_price_source_of_barriers(source: str | None, low: str, high: str) -> None:
    """Mark, last, touch or mid; on a swap the mark is the default where it was read."""
    of = barrier_plan(short=True, triple_barrier={"price_source": source} if source else {})
    told = quote("101", low=D(98), high=D(102), mark=D(99), bid=D(100), ask=D(101), last=D(101))
    seen = seen_by(of, view("101", "-1", quote=told, low=D(97), high=D(103)))
    assert (str(seen.low), str(seen.high), seen.worst) == (low, high, seen.high)


def test_without_a_mark_the_touch_counts() -> None:
    """A venue that tells no mark leaves what can be seen."""
    of = barrier_plan(short=True, triple_barrier={"price_source": "mark"})
    assert seen_by(of, view("101", "-1", low=D(97), high=D(103))).high == 103


@pytest.mark.parametrize(("kind", "post_only"), [("LIMIT", False), ("LIMIT_MAKER", True), (None, True)])
def test_open_and_take_profit_order_types(kind: str | None, post_only: bool) -> None:
    """LIMIT takes what the book has at the level; the default only rests."""
    types = {"open_order_type": kind, "take_profit_order_type": kind} if kind else {}
    of = plan(levels=1, triple_barrier=types)
    state = GridState((Entering(0, D("0.05"), D("0.05"), D(0), T0),), Running(T0), None, None)
    legs = machine.wants(of, state)
    assert [legs["e0-0"].post_only, legs["x0-0"].post_only] == [post_only, post_only]


@pytest.mark.parametrize("barrier", ["stop_loss", "time_limit"])
def test_closing_at_a_limit_first_then_at_the_market(barrier: str) -> None:
    """With LIMIT what is held is offered at the touch; after half a minute what is left goes to the market."""
    barriers: dict[str, Any] = {barrier: "0.02" if barrier == "stop_loss" else 60, f"{barrier}_order_type": "LIMIT"}
    of = plan(levels=1, triple_barrier=barriers)
    state = GridState((Holding(0, D("0.1"), D(0), T0),), Running(T0), None, None)
    fired = machine.step(of, state, (), view("94", "0.1", "9.6", at_s=60))
    assert fired.unwind == ""
    leg = fired.wants["x0-0"]
    assert leg is not None
    assert (leg.price, leg.post_only, leg.qty) == (94, False, D("0.1"))
    assert machine.restore(of, machine.head(fired.state), {0: machine.place(of, fired.state, 0).data}) == fired.state
    patient = machine.step(of, fired.state, (), view("93", "0.1", "9.6", at_s=89))
    assert (patient.unwind, machine.wants(of, patient.state)["x0-0"].price) == ("", 94)
    over = machine.step(of, patient.state, (), view("93", "0.1", "9.6", at_s=90))
    assert over.unwind == barrier.upper()
    assert isinstance(over.state.phase, Closing)
    assert machine.wants(of, over.state) == {}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"open_order_type": "MARKET"}, "LIMIT takes what the book has"),
        ({"take_profit_order_type": "MARKET"}, "LIMIT takes what the book has"),
        ({"stop_loss_order_type": "LIMIT_MAKER"}, "MARKET or LIMIT works"),
    ],
)
def test_order_types_that_make_no_sense_are_refused(changes: dict[str, Any], word: str) -> None:
    """With the one that does."""
    with pytest.raises(ValueError, match=word):
        grid(triple_barrier=changes)


def test_exits_at_the_levels_or_the_fills_price() -> None:
    """`exit_from: fill` takes the profit from the mean price paid, over all parts; `level` from the level's own."""
    barrier = {"take_profit": "0.01"}
    for source, price in (("level", "96.96"), ("fill", "95.95")):
        of = plan(exit="take_profit", exit_from=source, triple_barrier=barrier)
        state = machine.begin(of, at("101")).state
        state = machine.step(of, state, (bought("0.05", "96"),), at("96", 1)).state
        state = machine.step(of, state, (bought("0.05", "94"),), at("96", 2)).state
        leg = machine.wants(of, state)["x0-0"]
        assert (str(leg.price), leg.qty) == (price, D("0.1"))
        data = {i: machine.place(of, state, i).data for i in range(4)}
        assert machine.restore(of, machine.head(state), data) == state
        assert ("planned" in data[0]) is (source == "fill")


def test_activation_bounds_of_exits() -> None:
    """The second fraction of a pair holds exits back that are too far away; when the price comes near they rest again."""
    of = plan(activation_bounds=("0.1", "0.02"))
    state = GridState(
        (Holding(0, D("0.1"), D(0), T0), *(Waiting(0, armed=True) for _ in range(3))), Running(T0), None, None
    )
    far = machine.step(of, state, (), view("95", "0.1", "9.6"))
    assert "x0-0" not in machine.wants(of, far.state)
    near = machine.step(of, far.state, (), view("97", "0.1", "9.6"))
    leg = near.wants["x0-0"]
    assert leg is not None
    assert leg.price == 98


def test_reinvest_grows_the_next_cycle_and_never_shrinks_it() -> None:
    """Profit of a tenth of the capital makes the next entry a tenth larger; a loss leaves it as planned."""
    of = plan(reinvest=True)
    state = machine.begin(of, at("101")).state
    assert machine.wants(of, state)["e0-0"].qty == D("0.1")
    state = machine.step(of, state, (bought("0.1", "96"),), view("96", "0.1", "9.6")).state
    sold = LegFilled("x0-0", Role.EXIT, "0-0", D("0.1"), D("0.1"), D(98), after(2), Side.SELL)
    for won, qty in (("3.97", "0.11"), ("-3", "0.1")):
        again = machine.step(of, state, (sold,), replace(at("101", 3), realized=D(won), fees=D("0.01"))).state
        assert machine.wants(of, again)["e0-1"].qty == D(qty)
        data = {i: machine.place(of, again, i).data for i in range(4)}
        assert machine.restore(of, machine.head(again), data) == again


def test_names_of_the_executors_are_taken() -> None:
    """connector_name, trading_pair, triple_barrier_config, activation_price, trailing_delta; both at once are refused."""
    values = {
        "id": "g", "connector_name": "spot", "trading_pair": "BTC-USDT", "start_price": 96, "end_price": 104, "levels": 4,
        "amount_base": "0.1", "venue": None, "symbol": None,
        "triple_barrier_config": {"trailing_stop": {"activation_price": "0.02", "trailing_delta": "0.01"}},
    }  # fmt: skip
    made = grid(**values)
    assert (made.venue, made.symbol) == ("spot", "BTC/USDT")
    assert made.triple_barrier.trailing_stop is not None
    assert made.triple_barrier.trailing_stop.delta == D("0.01")
    with pytest.raises(ValueError, match="venue: given twice, once as connector_name"):
        grid(**(values | {"venue": "spot"}))


def test_a_short_grid_closes_at_the_ask() -> None:
    """The limit of a closing stands on the other side of the book for a short."""
    rules = swap()
    of = plan(side="SELL", levels=1, triple_barrier={"stop_loss": "0.02", "stop_loss_order_type": "LIMIT"})
    state = GridState((Holding(0, D("0.1"), D(0), T0),), Running(T0), None, None)
    told = quote("107", rules=rules, bid=D(107), ask=D("107.5"), last=D(107))
    fired = machine.step(of, state, (), view("107", "-0.1", "10.4", quote=told, instrument=rules))
    leg = fired.wants["x0-0"]
    assert leg is not None
    assert (leg.price, leg.side) == (D("107.5"), Side.BUY)
