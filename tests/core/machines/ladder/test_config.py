"""Where a ladder's trades stand, and what is refused with which key and which number that works."""

from decimal import Decimal
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import PlanRefused
from core.machines.ladder.config import LadderPlan, entry_prices, make_plan
from tests.core.machines.ladder.ladders import ladder
from tests.core.worlds import TICK, D, instrument


def plan_of(**changes: Any) -> LadderPlan:
    """The plan of a ladder on the usual instrument."""
    return make_plan(ladder(**changes), instrument())


def entries(**changes: Any) -> list[Decimal]:
    """The entry prices of a ladder."""
    return [trade.entry_price for trade in plan_of(**changes).trades]


def test_linear_trades_stand_evenly_with_both_ends() -> None:
    """Five entries over 98 to 102 stand one apart; each exits one per cent higher."""
    plan = plan_of()
    assert [trade.entry_price for trade in plan.trades] == [98, 99, 100, 101, 102]
    assert [trade.exit_price for trade in plan.trades] == [D("98.98"), D("99.99"), 101, D("102.01"), D("103.02")]


def test_normal_trades_are_quantiles_of_the_cut_distribution() -> None:
    """Each entry has its even share of the probability below it; ends are covered; the middle is densest."""
    found = entries(distribution="normal", min_price=60000, max_price=65000, count=20, mean=61500, sigma=900)
    normal = NormalDist(61500, 900)
    low, high = normal.cdf(60000), normal.cdf(65000)
    assert (found[0], found[-1]) == (60000, 65000)
    for index, price in enumerate(found[1:-1], start=1):
        share = (normal.cdf(float(price)) - low) / (high - low)
        assert share == pytest.approx(index / 19, abs=1e-5)
    gaps = [b - a for a, b in pairwise(found)]
    assert all(gap > 0 for gap in gaps)
    assert min(gaps) < (65000 - 60000) / 19 / 2 < max(gaps)


def test_the_documents_gaussian_grid_is_symmetric_about_its_centre() -> None:
    """20 trades from 60,000 to 65,000: the mean is the middle, sigma a sixth of the range, nothing is clipped twice."""
    config = ladder(distribution="normal", min_price=60000, max_price=65000, count=20, qty="0.001", profit="0.005")
    assert (config.center, config.deviation) == (62500, Decimal(5000) / 6) or abs(config.deviation - D("833.333")) < 1
    found = entry_prices(config, 20, TICK)
    assert len(set(found)) == 20
    assert all(abs(a + b - 125000) <= TICK for a, b in zip(found, reversed(found), strict=True))


@pytest.mark.parametrize("changes", [{"distribution": "linear"}, {"distribution": "normal"}])
def test_a_single_trade_stands_at_the_centre(changes: dict[str, Any]) -> None:
    """Count 1 gives the mean; where none is said, the middle."""
    assert entries(count=1, **changes) == [100]


def test_a_single_normal_trade_stands_at_its_mean() -> None:
    """Count 1 gives the mean that was said."""
    assert entries(count=1, distribution="normal", mean="98.5", sigma=1) == [D("98.5")]


def test_a_mean_at_an_end_clips_nothing() -> None:
    """All of the distribution that lies in the range is used; both ends are covered and no two entries are the same."""
    found = entries(distribution="normal", mean=98, sigma=1, count=12)
    assert (found[0], found[-1], len(set(found))) == (98, 102, 12)


def test_a_narrow_sigma_still_covers_the_ends() -> None:
    """A hundredth of the range as sigma: the probability outside is nothing to floating point, and nothing breaks."""
    found = entries(distribution="normal", sigma="0.04", count=7)
    assert (found[0], found[3], found[-1]) == (98, 100, 102)
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"max_price": 97}, "max_price"),
        ({"mean": 100}, "mean"),
        ({"sigma": 1}, "sigma"),
        ({"distribution": "normal", "mean": 110}, "mean"),
        ({"distribution": "normal", "sigma": 1, "sigma_divisor": 4}, "sigma_divisor"),
        ({"profit": "0.3"}, "allow_wide"),
        ({"profit": 0}, "profit"),
        ({"count": 0}, "count"),
        ({"maker_offset_buy": 98}, "maker_offset_buy"),
        ({"post_only": False}, "post_only"),
        ({"distribution": "gauss"}, "distribution"),
        ({"levels": 4}, "levels"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes: dict[str, Any], word: str) -> None:
    """The message names the key."""
    with pytest.raises(ValidationError, match=word):
        ladder(**changes)


def test_a_wide_profit_can_be_meant() -> None:
    """With allow_wide a profit of 30 % is taken."""
    assert entries(profit="0.3", allow_wide=True, count=1) == [100]


def test_entries_closer_than_a_tick_are_refused_with_the_count_that_fits() -> None:
    """The count of the message works, one more does not."""
    rules = instrument(tick_size=D("0.5"))
    with pytest.raises(PlanRefused, match="9 fit") as caught:
        make_plan(ladder(count=30), rules)
    assert caught.value.key == "count"
    assert len(make_plan(ladder(count=9), rules).trades) == 9


def test_a_profit_below_the_fees_is_refused_with_one_that_earns() -> None:
    """Two maker fees of 0.1 % eat a profit of 0.1 %; what the message names is accepted."""
    rules = instrument(maker=D("0.001"))
    with pytest.raises(PlanRefused, match="0.0022") as caught:
        make_plan(ladder(profit="0.001"), rules)
    assert caught.value.key == "profit"
    assert make_plan(ladder(profit="0.0022"), rules)


@pytest.mark.parametrize(("qty", "works"), [("0.0015", "0.001"), ("0.0001", "0.001")])
def test_a_quantity_off_the_lot_is_refused(qty: str, works: str) -> None:
    """Sizes are never rounded silently."""
    with pytest.raises(PlanRefused, match=f"{works} works") as caught:
        make_plan(ladder(qty=qty), instrument(min_notional=D("0.01")))
    assert caught.value.key == "qty"


def test_a_quantity_below_the_minimum_is_refused_with_one_that_works() -> None:
    """Five of quote at least: 0.001 at 98 is refused, the number of the message is accepted."""
    rules = instrument(min_notional=D(5))
    with pytest.raises(PlanRefused, match="0.052 works"):
        make_plan(ladder(qty="0.001"), rules)
    assert make_plan(ladder(qty="0.052"), rules)
