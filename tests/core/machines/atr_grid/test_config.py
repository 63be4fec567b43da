"""What an ATR grid is told, and what it refuses with the value that would work."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.config import PlanRefused
from core.machines.atr_grid.config import Shares, make_plan, order_quote
from tests.core.machines.atr_grid.bots import PERP, SPOT, config, plan_of, rules, spec_of
from tests.core.worlds import D, instrument, swap


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"futures_venue": None}, "futures_venue: the hedge needs it; without a hedge write hedge: {enabled: false}"),
        ({"futures_symbol": None}, "futures_symbol: the hedge needs it"),
        ({"reserve_ratio": "0.5"}, "reserve_ratio: leaves no money to buy with"),
        ({"shares": {"grid": "0.5", "reserve": "0.3", "hedge": "0.3"}}, "sum to 1.1, not to 1"),
        ({"shares": {"grid": "0.7", "reserve": "0.3", "hedge": 0}}, "shares.hedge: a hedge needs margin"),
        ({"shares": Shares(), "reserve_ratio": "0.2"}, "give either reserve_ratio or shares"),
        ({"leverage": 3}, "a stop_distance of 0.164 works, or leverage 1"),
        ({"hedge": {"danger_ratio": "0.6"}}, "may not fall"),
        ({"hedge": {"recovery_until": "0.4"}}, "recovery would end before it begins"),
        ({"levels": 1}, "greater than or equal to 2"),
        ({"timeframe": "7m"}, "Input should be"),
        ({"hedge": {"deadline_s": 0}}, "greater than or equal to 1"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], says: str) -> None:
    """The message says what is wrong and what would be right."""
    with pytest.raises(ValidationError) as refused:
        config(**changes)
    assert says in str(refused.value)


def test_the_capital_is_split_as_the_origin_does() -> None:
    """A reserve ratio is taken twice, for reserve and margin; without one it is 40, 30 and 30 per cent."""
    assert config().split == Shares(grid=D("0.4"), reserve=D("0.3"), hedge=D("0.3"))
    assert config(reserve_ratio="0.2").split == Shares(grid=D("0.6"), reserve=D("0.2"), hedge=D("0.2"))
    plan = plan_of(reserve_ratio="0.2")
    assert (plan.grid_quote, plan.margin_quote) == (6000, 2000)


def test_markets_and_directions() -> None:
    """Spot first and long, futures second and short; without a hedge spot alone."""
    told = config()
    assert told.markets() == (SPOT, PERP)
    assert [told.direction_at(market) for market in told.markets()] == ["BUY", "SELL"]
    assert config(hedge={"enabled": False}).markets() == (SPOT,)
    assert spec_of(config(hedge={"enabled": False})).places == 5
    assert spec_of(config()).places == 7


@pytest.mark.parametrize(
    ("changes", "about", "key", "says"),
    [
        ({"order_size_quote": 1000}, {}, "order_size_quote", "800 works"),
        ({"initial_capital": 30, "hedge": {"enabled": False}}, {}, "initial_capital", "below the minimum 5; "),
        (
            {"initial_capital": 1000},
            {PERP: swap(min_notional=D(100))},
            "initial_capital",
            "the first hedge would be about 69",
        ),
        ({}, {SPOT: swap(venue="spot", symbol="BTC/USDT")}, "venue", "no spot market"),
        ({}, {PERP: instrument(venue="perp", symbol="BTC/USDT:USDT")}, "futures_venue", "a short needs a swap"),
        ({}, {PERP: swap(base="ETH")}, "futures_symbol", "does not hedge BTC/USDT"),
    ],
)
def test_what_the_exchanges_do_not_allow_is_refused(
    changes: dict[str, Any], about: dict[Any, Any], key: str, says: str
) -> None:
    """Sizes below a minimum name the capital that works; a market of the wrong kind is named."""
    with pytest.raises(PlanRefused) as refused:
        make_plan(config(**changes), rules() | about)
    assert refused.value.key == key
    assert says in refused.value.reason


def test_the_capital_that_is_said_to_work_works() -> None:
    """What a refusal proposes passes."""
    about = rules() | {PERP: swap(min_notional=D(100))}
    with pytest.raises(PlanRefused) as refused:
        make_plan(config(initial_capital=1000), about)
    works = refused.value.reason.rpartition("; ")[2].split()[0]
    assert make_plan(config(initial_capital=works), about).config.initial_capital == D(works)


def test_an_order_spends_what_is_configured_or_its_part_of_the_cash() -> None:
    """The origin ignored its order size; here it counts."""
    assert order_quote(plan_of(), D(4000), 5) == 720
    assert order_quote(plan_of(order_size_quote=300), D(4000), 5) == 300
    assert order_quote(plan_of(), D(0), 5) == 0


def test_any_number_of_levels_can_be_cut_from_the_cash() -> None:
    """A seventh of the cash has no end in decimals, and is an order size like any other."""
    for levels in range(2, 61):
        plan = plan_of(levels=levels, initial_capital=100_000)
        size = order_quote(plan, plan.grid_quote, levels)
        assert 0 <= plan.grid_quote * D("0.9") - size * levels < D("1e-15")
