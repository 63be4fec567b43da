"""Grid configurations: what is refused, with the key and a number that works, and the lines that a grid is made of."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.machines.grid.config import PlanRefused, make_plan
from core.values import total
from tests.core.worlds import D, grid, instrument, swap

BARRIER = {"take_profit": "0.01"}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"start_price": 104, "end_price": 96}, "start_price: 104 must be below end_price 96"),
        ({"start_price": 0}, "start_price"),
        ({"end_price": "NaN"}, "NaN is no finite number"),
        ({"end_price": "Infinity"}, "no finite number"),
        ({"amount_base": -1}, "amount_base"),
        ({"amount_base": True}, "not true or false"),
        ({"total_amount_quote": 100}, "total_amount_quote: give either"),
        ({"amount_base": None}, "total_amount_quote: give either"),
        ({"levels": None}, "levels: one of levels and min_spread_between_orders"),
        ({"min_spread_between_orders": "0.01"}, "levels: give either"),
        ({"levels": None, "min_spread_between_orders": 0}, "for example 0.01 for 1 %"),
        ({"levels": None, "min_spread_between_orders": "2.0"}, "write 0.8 % as 0.008"),
        ({"levels": 0}, "levels"),
        ({"levels": 2001}, "levels"),
        ({"exit": "take_profit"}, "triple_barrier.take_profit: needed"),
        ({"triple_barrier": {"stop_loss": "0.3"}}, "needs allow_wide: true"),
        ({"triple_barrier": {"stop_loss": "2"}}, "write 0.8 % as 0.008"),
        ({"activation_bounds": "0.6"}, "write 0.8 % as 0.008"),
        ({"limit_price": 97}, "limit_price: a BUY grid stops below its start_price 96"),
        ({"side": "SELL", "limit_price": 103}, "limit_price: a SELL grid stops above its end_price 104"),
        ({"side": "HOLD"}, "side"),
        ({"exit_from": "fill"}, "exit_from: with exit: next_level"),
        ({"activation_bounds": ("0.01", "0")}, "activation_bounds: the second fraction bounds exits"),
        ({"deduct_base_fees": False}, "deduct_base_fees"),
        ({"bot_stop_loss": -1}, "bot_stop_loss"),
        ({"levles": 4}, "levles"),
        ({"id": "Too Long!"}, "id"),
        ({"max_open_orders": 0}, "max_open_orders"),
        ({"order_frequency": -1}, "order_frequency"),
    ],
)
def test_a_mistake_is_refused_with_its_key(changes: dict[str, Any], word: str) -> None:
    """The message names the key, and where a number could work, one that does."""
    with pytest.raises(ValidationError, match=word.replace(".", r"\.").replace("(", r"\(")):
        grid(**changes)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"side": "SELL"}, "side"),
        ({"levels": 1000, "end_price": 97}, "levels"),
        ({"amount_base": "0.0015"}, "amount_base"),
        ({"amount_base": "0.005"}, "amount_base"),
        ({"amount_base": None, "total_amount_quote": 8, "min_order_amount_quote": 5}, "total_amount_quote"),
        ({"levels": 400, "end_price": 104}, "levels"),
        ({"levels": None, "min_spread_between_orders": "0.5"}, "min_spread_between_orders"),
    ],
    ids=[
        "short on spot",
        "below a tick",
        "off the lot",
        "below the minimum",
        "too little",
        "eaten by fees",
        "too wide",
    ],
)
def test_what_the_exchange_does_not_allow_is_refused(changes: dict[str, Any], key: str) -> None:
    """The plan names the field that stands in the way."""
    with pytest.raises(PlanRefused) as refused:
        make_plan(grid(**changes), instrument())
    assert refused.value.key == key
    assert str(refused.value).startswith(f"{key}: ")


@pytest.mark.parametrize("levels", [2, 7, 20])
@pytest.mark.parametrize("least", [5, 11])
def test_the_amount_named_in_a_refusal_works(levels: int, least: int) -> None:
    """Whoever follows the message is not refused again."""
    small = {"amount_base": None, "levels": levels, "min_order_amount_quote": least}
    with pytest.raises(PlanRefused) as refused:
        make_plan(grid(**small, total_amount_quote=levels), instrument())
    works = refused.value.reason.split("; ")[1].split()[0]
    assert make_plan(grid(**small, total_amount_quote=works), instrument())


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, [(96, 98), (98, 100), (100, 102), (102, 104)]),
        ({"side": "SELL"}, [(98, 96), (100, 98), (102, 100), (104, 102)]),
        ({"levels": 1}, [(96, 104)]),
        ({"start_price": 64, "end_price": 144, "levels": 2, "spacing": "geometric"}, [(64, 96), (96, 144)]),
        (
            {"levels": 3, "exit": "take_profit", "triple_barrier": BARRIER},
            [(96, "96.96"), (100, "101"), (104, "105.04")],
        ),
        (
            {"levels": 3, "exit": "take_profit", "triple_barrier": BARRIER, "coerce_tp_to_step": True},
            [(96, "100"), (100, "104.17"), (104, "108.34")],
        ),
        ({"levels": 1, "exit": "take_profit", "triple_barrier": BARRIER}, [(100, 101)]),
        ({"levels": None, "min_spread_between_orders": "0.02"}, [(96, 98), (98, 100), (100, 102), (102, 104)]),
    ],
    ids=["next level", "short", "one", "geometric", "take profit", "coerced", "one with profit", "by spread"],
)
def test_the_lines_of_a_grid(changes: dict[str, Any], lines: list[tuple[Any, Any]]) -> None:
    """Entry and exit of every level, ascending: RULES 13."""
    rules = swap() if changes.get("side") == "SELL" else instrument()
    plan = make_plan(grid(venue=rules.venue, symbol=rules.symbol, **changes), rules)
    assert [(line.entry_price, line.exit_price) for line in plan.lines] == [(D(a), D(b)) for a, b in lines]


@given(
    st.integers(1, 60), st.sampled_from(["arithmetic", "geometric"]), st.integers(200, 90_000), st.booleans(),
    st.sampled_from(["0.01", "0.05", "0.1"]),
)  # fmt: skip
def test_a_plan_keeps_the_exchanges_rules_and_its_budget(
    levels: int, spacing: str, budget: int, short: bool, tick: str
) -> None:
    """Prices ascend on the tick inside the range, sizes lie on the lot, and all of it together costs no more."""
    rules = (swap if short else instrument)(tick_size=D(tick), lot_step=D("0.0001"), maker=D(0))
    config = grid(
        side="SELL" if short else "BUY", start_price=50, end_price=150, levels=levels, spacing=spacing,
        amount_base=None, total_amount_quote=budget,
    )  # fmt: skip
    plan = make_plan(config, rules)
    entries = [line.entry_price for line in plan.lines]
    assert entries == sorted(set(entries))
    assert len(entries) == levels
    assert plan.capital_quote <= budget
    assert total(line.qty * line.entry_price for line in plan.lines) == plan.capital_quote
    for line in plan.lines:
        assert D(50) <= min(line.entry_price, line.exit_price) <= max(line.entry_price, line.exit_price) <= D(150)
        assert rules.objection(line.entry_price, line.qty) is None
        assert (line.exit_price > line.entry_price) != short
    assert plan.step_min > Decimal(0)
