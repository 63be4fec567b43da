"""The grid without an upper end: what it holds is worth the same after every sale, however high the price goes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import PlanRefused
from core.engine import Bot
from core.machine import LegFilled, LotCut
from core.machines.grid import machine
from core.machines.grid.config import GridConfig, GridPlan, make_plan
from core.machines.grid.editing import edited
from core.machines.grid.infinity import HALF, REACH, backed, behind, followed
from core.machines.grid.state import Closed, Entering, GridState, Holding, Waiting
from core.market import Instrument
from core.orders import Role
from core.recovery import RebuildRefused
from core.values import ZERO, Side, total
from tests.core.machines.grid.test_entries import at
from tests.core.worlds import D, Run, account, after, candles, instrument, random_steps, run, spec, world


def endless(rules: Instrument | None = None, **changes: Any) -> GridPlan:
    """From 50 up by 2 % a step, with 2,000 of quote."""
    return make_plan(config(**changes), rules or instrument())


def config(**changes: Any) -> GridConfig:
    """Its configuration."""
    values: dict[str, Any] = {
        "id": "g", "venue": "spot", "symbol": "BTC/USDT", "start_price": 50, "infinite": True,
        "min_spread_between_orders": "0.02", "total_amount_quote": 2000, "min_order_amount_quote": 1,
    }  # fmt: skip
    return GridConfig(**(values | changes))


def bought_all(of: GridPlan, state: GridState, price: str = "100") -> GridState:
    """The opening purchase filled."""
    level = state.levels[of.opening]
    assert isinstance(level, Entering)
    assert level.qty is not None
    name = f"{of.opening}-0"
    fill = LegFilled(f"e{name}", Role.ENTRY, name, level.qty, level.qty, D(price), after(1), Side.BUY)
    return machine.step(of, state, (fill,), at(price, 5)).state


def sold(of: GridPlan, state: GridState, index: int, price: str) -> GridState:
    """A level above the price sold its part of the opening purchase: the lot is cut, the level's exit filled."""
    level = state.levels[index]
    assert isinstance(level, Holding)
    fill = LegFilled(f"x{index}-0", Role.EXIT, f"{index}-0", level.held, ZERO, D(price), after(9), Side.SELL)
    return machine.step(of, state, (LotCut(f"{of.opening}-0", level.held, after(9)), fill), at(price, 9)).state


def base_of(of: GridPlan, state: GridState) -> Any:
    """What is held: the opening purchase, and what levels bought on their own."""
    opening = state.levels[of.opening]
    own = [
        one.held
        for i, one in enumerate(state.levels[: of.opening])
        if not isinstance(one, Waiting) and not backed(of, state.base, i, one.cycle)
    ]
    return total(own) + (ZERO if isinstance(opening, Waiting) else opening.held)


def test_lines_rise_by_the_step_a_hundredfold() -> None:
    """Level after level one step apart; the last line is the opening purchase's."""
    of = endless()
    assert of.lines[0].entry_price == 50
    assert of.lines[1].entry_price == 51
    assert of.lines[of.opening - 1].exit_price * D("1.02") * D("1.02") > 50 * 100
    assert of.capital_quote == 2000


def test_one_purchase_buys_for_all_levels_above_and_never_more_than_the_money() -> None:
    """It starts with one market purchase; with all levels below it costs the money at most."""
    of = endless()
    state = machine.begin(of, at("100")).state
    legs = machine.wants(of, state)
    opening = legs[f"e{of.opening}-0"]
    assert not opening.post_only
    assert opening.price is not None
    entries = [leg for leg in legs.values() if leg.role is Role.ENTRY and leg is not opening]
    assert len(entries) == REACH
    assert all(leg.price < 100 and leg.post_only for leg in entries if leg.price is not None)
    assert state.base is not None
    levels = total(of.lines[i].entry_price * machine.place(of, state, i).qty for i in range(state.base))
    cost = opening.qty * opening.price + levels
    assert D(1900) < cost <= 2000


def test_levels_above_the_price_offer_the_opening_purchase() -> None:
    """Once it is filled, the nearest levels' exits rest; what the far ones will sell stands behind them."""
    of = endless()
    state = bought_all(of, machine.begin(of, at("100")).state)
    exits = [leg for leg in machine.wants(of, state).values() if leg.role is Role.EXIT]
    assert len(exits) == REACH
    assert all(leg.price is not None and leg.price > 100 for leg in exits)
    shown = total(machine.place(of, state, i).held for i in range(len(of.lines)))
    assert shown == base_of(of, state)


def test_after_each_sale_the_rest_is_worth_the_same() -> None:
    """Base times price is the worth again, up to one lot, at every line on the way up."""
    of = endless()
    state = bought_all(of, machine.begin(of, at("100")).state)
    assert state.base is not None
    assert state.worth is not None
    for index in range(state.base, state.base + 60):
        line = of.lines[index]
        state = sold(of, state, index, str(line.exit_price))
        assert abs(base_of(of, state) * line.exit_price - state.worth) <= line.exit_price * of.instrument.lot_step
        assert isinstance(state.levels[index], Entering)  # buys it back one step below


def test_orders_follow_the_price_without_an_end() -> None:
    """The reach is laid anew once the price is half of it off its middle; inside its band nothing changes."""
    of = endless()
    reach, wake = followed(of, None, at("100"))
    assert wake.low is not None
    assert wake.high is not None
    assert followed(of, reach, at(str(wake.low)))[0] == reach
    assert followed(of, reach, at(str(wake.high - D("0.01"))))[0] == reach
    assert followed(of, reach, at(str(wake.low - D("0.01"))))[0][0] == reach[0] - HALF - 1
    far, _ = followed(of, reach, at("4000"))
    assert of.lines[far[0]].entry_price > 2000


def test_a_part_closed_by_others_is_missing_at_the_farthest_levels() -> None:
    """A cut of the opening purchase takes from the top; the nearest levels keep what they offer."""
    of = endless()
    state = bought_all(of, machine.begin(of, at("100")).state)
    assert state.base is not None
    held = base_of(of, state)
    cut = machine.step(of, state, (LotCut(f"{of.opening}-0", held - D("0.5"), after(8)),), at("100", 8)).state
    near = cut.levels[state.base]
    assert near == state.levels[state.base]
    offered = [one.held for one in cut.levels[: of.opening] if isinstance(one, Holding)]
    assert D("0.4") < total(offered) <= D("0.5")
    assert behind(of, cut, list(cut.levels)) >= 0


def test_money_that_is_too_little_for_this_price_starts_nothing_and_says_what_works() -> None:
    """The first price decides the sizes; where they are below the minimum the grid does not begin, with the number."""
    rules = instrument(min_notional=D(5))
    of = endless(rules, total_amount_quote=400)
    begun = machine.begin(of, at("400"))
    assert isinstance(begun.state.phase, Closed)
    assert machine.wants(of, begun.state) == {}
    assert "works at this price" in begun.alarms[0].detail
    works = begun.alarms[0].detail.rsplit("; ", 1)[1].split()[0]
    assert not machine.begin(endless(rules, total_amount_quote=works), at("400")).alarms


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"end_price": 90}, "end_price"),
        ({"levels": 5}, "levels"),
        ({"min_spread_between_orders": None, "levels": 5}, "min_spread_between_orders"),
        ({"total_amount_quote": None, "amount_base": 1}, "total_amount_quote"),
        ({"side": "NEUTRAL"}, "side"),
        ({"initial_inventory": "none"}, "initial_inventory"),
        ({"trailing_up": 100_000}, "trailing_up"),
        ({"on_range_exit": "reset"}, "on_range_exit"),
        ({"reinvest": True}, "reinvest"),
    ],
)
def test_what_it_cannot_be_is_refused_by_name(changes: dict[str, Any], word: str) -> None:
    """Fields of a grid with two ends have no meaning here."""
    with pytest.raises(ValueError, match=word):
        config(**changes)


@pytest.mark.parametrize(
    ("changes", "key", "works"),
    [
        ({"min_spread_between_orders": "0.001"}, "min_spread_between_orders", "0.0024"),
        ({"total_amount_quote": 40}, "total_amount_quote", "51"),
    ],
)
def test_what_the_exchange_would_refuse_is_refused_with_what_works(
    changes: dict[str, Any], key: str, works: str
) -> None:
    """Too many levels, and too little money, at any price."""
    with pytest.raises(PlanRefused, match=works) as refused:
        endless(**changes)
    assert refused.value.key == key


def test_a_start_that_hangs_on_the_price_is_neither_rebuilt_nor_edited() -> None:
    """No order tells the worth; the refusals say so."""
    of = endless()
    with pytest.raises(RebuildRefused, match="worth"):
        machine.adopt(of, None)  # type: ignore[arg-type]  it looks at the plan first
    with pytest.raises(PlanRefused, match="another id"):
        edited(of, endless(start_price=60), machine.begin(of, at("100")).state)


def played(seed: int, widest: int, *, jump: bool, in_base: bool) -> Run:
    """A run over a seeded walk around 100."""
    rules = instrument(fee_in_base=in_base)
    start = world(spec(config(), rules))
    return run(start, account(rules), candles(random_steps(seed, 200, widest)), jump=jump)


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([40, 150, 400]), st.booleans())
def test_on_random_paths_books_and_levels_agree_and_jumps_change_nothing(seed: int, widest: int, in_base: bool) -> None:
    """What the levels and the opening purchase hold is what the lots hold; skipping quiet bars changes nothing."""
    made = played(seed, widest, jump=True, in_base=in_base)
    assert made.record == played(seed, widest, jump=False, in_base=in_base).record
    bot: Bot = made.result.world.bots["g"]
    lots = total(lot.qty for lot in bot.lots.values())
    # A fee taken in the coin leaves less than a lot behind with each round trip.
    dust = lots - base_of(endless(instrument(fee_in_base=in_base)), bot.state)
    assert lots == bot.inventory
    assert ZERO <= dust <= (len(made.fills) * D("0.001") if in_base else ZERO)
    spent = total(fill.price * fill.qty * (1 if fill.side is Side.BUY else -1) for fill in made.fills)
    assert spent <= 2000
    restored = machine.restore(
        endless(instrument(fee_in_base=in_base)), machine.head(bot.state),
        {i: machine.place(endless(), bot.state, i).data for i in range(len(bot.state.levels))},
    )  # fmt: skip
    assert restored == bot.state
