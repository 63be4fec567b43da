"""Funding arbitrage, into a pair: when it pays, both legs at once, the way back; what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import PlanRefused
from core.facts import RateSeen, Refusal
from core.machine import LegRefused
from core.machines.funding_arb import machine
from core.machines.funding_arb.config import prepare
from core.machines.funding_arb.state import Open, Opening, Scanning
from core.values import Side
from tests.core.machines.funding_arb.fundings import GOOD, RULES, A, B, config, filled, plan, rate, view
from tests.core.worlds import SWAP, T0, D, swap


def test_it_goes_long_where_funding_is_low_and_short_where_it_is_high() -> None:
    """Both legs in one group, the same quantity, capped; the direction follows the rates."""
    about = plan()
    begun = machine.begin(about, view(about))
    assert machine.wants(about, begun.state) == {}
    went = machine.step(about, begun.state, GOOD, view(about))
    legs = {name: leg for name, leg in went.wants.items() if leg is not None}
    assert set(legs) == {"e0-1", "h1-1"}
    assert {(leg.side, leg.qty, leg.group) for leg in legs.values()} == {
        (Side.BUY, D(10), "f1"), (Side.SELL, D(10), "f1"),
    }  # fmt: skip
    other = machine.step(about, begun.state, (rate(A, "0.002"), rate(B, "0")), view(about))
    assert {name for name, leg in other.wants.items() if leg is not None} == {"h0-1", "e1-1"}


def test_rates_of_different_intervals_are_compared_by_the_hour() -> None:
    """0.0005 an hour is more than 0.002 in eight: it is short where the hour is dear."""
    about = plan()
    begun = machine.begin(about, view(about))
    went = machine.step(about, begun.state, (rate(A, "0.0005", interval_h=1), rate(B, "0.002")), view(about))
    assert {name for name, leg in went.wants.items() if leg is not None} == {"h0-1", "e1-1"}


@pytest.mark.parametrize(
    ("rates", "b"),
    [
        ((rate(A, "0"), rate(B, "0.0001")), "100"),
        ((rate(A, "0"),), "100"),
        (GOOD, "99.4"),
        (GOOD, "101.5"),
    ],
)
def test_it_stays_out_where_costs_basis_or_ignorance_forbid(rates: tuple[RateSeen, ...], b: str) -> None:
    """Fees over the horizon, a price that costs the profit, prices too far apart, a rate that is not known."""
    about = plan()
    begun = machine.begin(about, view(about))
    after = machine.step(about, begun.state, rates, view(about, b=b))
    assert isinstance(after.state.phase, Scanning)


def test_prices_that_stand_in_the_way_are_looked_at_again() -> None:
    """With rates that would do it asks again after a minute, without waiting for the next rate."""
    about = plan()
    begun = machine.begin(about, view(about))
    apart = machine.step(about, begun.state, GOOD, view(about, b="101.5"))
    assert apart.wake.deadline == T0 + timedelta(seconds=60)
    met = machine.step(about, apart.state, (), view(about, at=60))
    assert isinstance(met.state.phase, Opening)


def test_an_old_rate_is_no_rate() -> None:
    """Two intervals after it was told a rate says nothing."""
    about = plan()
    begun = machine.begin(about, view(about))
    one = machine.step(about, begun.state, (rate(B, "0.002", interval_h=1),), view(about))
    late = machine.step(about, one.state, (rate(A, "0", at=7201),), view(about, at=7201))
    assert isinstance(late.state.phase, Scanning)


def test_the_sibling_of_a_leg_that_stands_alone_follows_it() -> None:
    """After the single-leg time the leg ahead stops and the other follows to its quantity, with wider caps."""
    about = plan()
    state = machine.step(about, machine.begin(about, view(about)).state, GOOD, view(about)).state
    state = machine.step(about, state, (filled("e0-1", "4", Side.BUY),), view(about, held=("4", "0"), at=1)).state
    caps = [machine.wants(about, state)["h1-1"].price]
    for second in range(2, 9):
        state = machine.step(about, state, (), view(about, held=("4", "0"), at=second)).state
        caps.append(machine.wants(about, state)["h1-1"].price)
    legs = machine.wants(about, state)
    assert set(legs) == {"h1-1"}
    assert legs["h1-1"].qty == 4
    assert caps[-1] < caps[0]
    inside = machine.step(about, state, (filled("h1-1", "4", Side.SELL),), view(about, held=("4", "-4"), at=9))
    assert isinstance(inside.state.phase, Open)


def test_what_does_not_come_in_in_time_goes_back_by_what_is_held() -> None:
    """After the deadline the leg that is in is sold, reduce-only; a short one would be bought."""
    about = plan()
    state = machine.step(about, machine.begin(about, view(about)).state, GOOD, view(about)).state
    state = machine.step(about, state, (filled("h1-1", "4", Side.SELL),), view(about, held=("0", "-4"), at=1)).state
    back = machine.step(about, state, (), view(about, held=("0", "-4"), at=31))
    legs = machine.wants(about, back.state)
    assert set(legs) == {"x1-1"}
    assert (legs["x1-1"].side, legs["x1-1"].qty, legs["x1-1"].reduce_only) == (Side.BUY, D(4), True)
    flat = machine.step(about, back.state, (filled("x1-1", "4", Side.BUY),), view(about, at=32))
    assert isinstance(flat.state.phase, Scanning)


def test_a_refused_leg_ends_the_opening_at_once() -> None:
    """A leg that is refused waits longer than the other may stand alone: what is in goes back."""
    about = plan()
    state = machine.step(about, machine.begin(about, view(about)).state, GOOD, view(about)).state
    events = (filled("e0-1", "10", Side.BUY), LegRefused("h1-1", Refusal.FUNDS, "no margin", 1, T0))
    back = machine.step(about, state, events, view(about, held=("10", "0"), at=1))
    assert set(machine.wants(about, back.state)) == {"x0-1"}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"legs": [{"venue": "pa", "symbol": SWAP}]}, "legs"),
        ({"legs": [{"venue": "pa", "symbol": SWAP}] * 2}, "legs"),
        ({"leverage": 10}, "leverage"),
        ({"imbalance_alert": "0.03"}, "imbalance_rebalance"),
        ({"max_loss": 0}, "max_loss"),
        ({"venue": "pb"}, "venue"),
        ({"horizon": 8}, "horizon"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, Any], key: str) -> None:
    """The message names the field."""
    with pytest.raises(ValidationError) as refused:
        config(**changes)
    assert key in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "key"),
    [({"swap": False}, "legs[1]"), ({"base": "BTCDOM"}, "legs[1]"), ({"lot_step": D("0.0007")}, "legs[1]")],
)
def test_legs_that_do_not_belong_together_are_refused(changed: dict[str, Any], key: str) -> None:
    """A spot market, another base (BTC is not BTCDOM), lots without a common step."""
    with pytest.raises(PlanRefused) as refused:
        prepare(config(), RULES | {B: swap(**({"venue": "pb"} | changed))})
    assert refused.value.key == key
