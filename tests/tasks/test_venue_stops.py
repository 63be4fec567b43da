"""Where a stop rests, and which exits stand too near to liquidation."""

from typing import Any

import pytest

from core.portfolio import Portfolio
from tasks.assemble import specs_of
from tasks.errors import Refused
from tasks.venue_stops import liquidation_distance
from tests.core.worlds import SWAP, D, instrument, swap

RULES = {("perp", SWAP): swap(), ("spot", "BTC/USDT"): instrument()}


def made(mode: str = "live", *, venue: str = "perp", **bot: Any) -> Any:
    """The spec of one grid between 96 and 104."""
    market = {"venue": venue, "symbol": SWAP if venue == "perp" else "BTC/USDT"}
    grid = {"id": "g", "kind": "grid", "start_price": 96, "end_price": 104, "levels": 4, "amount_base": "0.1"}
    portfolio = Portfolio.model_validate({
        "mode": mode, "venues": [{"id": "perp", "exchange": "binanceusdm", "market": "swap"},
                                 {"id": "spot", "exchange": "binance"}],
        "bots": [grid | {"min_order_amount_quote": 1} | market | bot],
    })  # fmt: skip
    return specs_of(portfolio, RULES, "test")["g"]


@pytest.mark.parametrize(
    ("leverage", "stop"), [(1, "0.495"), (2, "0.245"), (5, "0.095"), (10, "0.045"), (20, "0.02"), (50, "0.005")]
)
def test_auto_is_half_way_to_liquidation(leverage: int, stop: str) -> None:
    """In demo and live each swap bot has a stop: half of the way from its entry to liquidation."""
    assert made(leverage=leverage).venue_stop == D(stop)
    assert made("demo", leverage=leverage).venue_stop == D(stop)
    assert liquidation_distance(leverage) == 2 * D(stop)


def test_paper_and_spot_have_none_unless_told() -> None:
    """`auto` is nothing in paper and on spot; `none` is nothing anywhere; a fraction or a price is itself."""
    assert made("paper").venue_stop is None
    assert made(venue="spot").venue_stop is None
    assert made(venue_stop="none").venue_stop is None
    assert made("paper", venue_stop="0.1").venue_stop == D("0.1")
    assert made("paper", venue_stop={"price": 80}).venue_stop_price == 80


@pytest.mark.parametrize(
    ("bot", "key"),
    [
        ({"leverage": 10, "venue_stop": "0.05"}, "bots[0].venue_stop"),
        ({"leverage": 5, "venue_stop": {"price": 85}}, "bots[0].venue_stop"),
        ({"venue": "spot", "venue_stop": "0.1"}, "bots[0].venue_stop"),
    ],
)
def test_exits_near_liquidation_are_refused(bot: dict[str, Any], key: str) -> None:
    """An exit that is not twice as near as liquidation is refused, naming the field; so is a stop on spot."""
    with pytest.raises(Refused) as refused:
        made("paper", **bot)
    assert refused.value.key == key
    assert refused.value.accepted


def test_less_leverage_makes_room() -> None:
    """The same exits pass once liquidation is far enough away."""
    assert made(leverage=9, venue_stop="0.05").venue_stop == D("0.05")
    assert made(leverage=2, venue_stop={"price": 85}).venue_stop_price == 85


def test_a_fixed_stop_is_held_against_the_whole_way_of_a_range_that_moves() -> None:
    """The range may climb to 200: seen from there a stop at 92 stands nearer to liquidation than the start lets think."""
    still = made(leverage=4, venue_stop={"price": 92})
    assert still.venue_stop_price == 92
    with pytest.raises(Refused) as refused:
        made(leverage=4, venue_stop={"price": 92}, trailing_up=200)
    assert refused.value.key == "bots[0].venue_stop"
    assert made(leverage=4, venue_stop={"price": 92}, trailing_up=106).venue_stop_price == 92


def test_an_infinite_grid_has_no_fixed_stop() -> None:
    """A price that stays behind while the grid follows the market protects less and less; a fraction works."""
    endless = {"end_price": None, "levels": None, "amount_base": None, "infinite": True}
    more = {"min_spread_between_orders": "0.02", "total_amount_quote": 2000}
    with pytest.raises(ValueError, match="venue_stop"):
        made(**endless, **more, venue_stop={"price": 40})
    assert made(**endless, **more, venue_stop="0.3").venue_stop == D("0.3")
