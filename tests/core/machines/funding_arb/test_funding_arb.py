"""Funding arbitrage: when a pair pays, both legs, the way back, each exit in its order, hostile venues, restarts."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core import backtest
from core.config import PlanRefused
from core.engine import Bot, World
from core.facts import RateSeen, Refusal
from core.machine import Held, LegFilled, LegRefused, Outcome, View
from core.machines.funding_arb import machine
from core.machines.funding_arb.config import FundingArbConfig, FundingArbPlan, prepare
from core.machines.funding_arb.state import Closing, FundingArbState, Open, Opening, Scanning
from core.market import Candle, Intrabar, Market
from core.orders import Role
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, Side
from tests.core.hostile_pair import Counter, Played, Weather, played, spec_of
from tests.core.worlds import SWAP, T0, D, quote, swap

A: Market = ("pa", SWAP)
B: Market = ("pb", SWAP)
RULES = {A: swap(venue="pa"), B: swap(venue="pb")}


def config(**changes: Any) -> FundingArbConfig:
    """A thousand in each of two swaps, entered for a tenth of a percent over a day."""
    legs = [{"connector_name": "pa", "trading_pair": SWAP}, {"venue": "pb", "symbol": SWAP}]
    return FundingArbConfig(**({"id": "f", "legs": legs, "size_quote": 1000} | changes))


def plan(**changes: Any) -> FundingArbPlan:
    """The plan of a configuration."""
    return prepare(config(**changes), RULES).plan


def view(
    about: FundingArbPlan, *, a: str = "100", b: str = "100", held: tuple[str, str] = ("0", "0"),
    at: float = 0, funding: str = "0", cost: str = "100",
) -> View:  # fmt: skip
    """What the machine sees: prices, what is held (at `cost` each), funding so far."""
    now = T0 + timedelta(seconds=at)
    first, second = about.rules
    here, there = D(held[0]), D(held[1])
    mine = quote(a, now, first)
    beside = Held(second, quote(b, now, second), there, abs(there) * D(cost), there * D(cost))
    return View(
        now=now, started_at=T0, quote=mine, high=mine.ask, low=mine.bid, instrument=first, inventory=here,
        cost=abs(here) * D(cost), fees_open=ZERO, net_cost=here * D(cost), funding=D(funding), beside={second.market: beside},
    )  # fmt: skip


def rate(market: Market, text: str, at: float = 0, interval_h: float = 8) -> RateSeen:
    """A rate told so many seconds after the start."""
    ts = T0 + timedelta(seconds=at)
    return RateSeen(market, D(text), interval_h * 3600, ts + timedelta(hours=interval_h), ts)


def filled(leg: str, qty: str, side: Side) -> LegFilled:
    """A fill of one of its legs."""
    return LegFilled(leg, Role(leg[0]), leg[1:], D(qty), D(qty), D(100), T0, side)


GOOD = (rate(A, "0"), rate(B, "0.002"))


def opened(about: FundingArbPlan) -> FundingArbState:
    """A pair that is in: 10 long at pa, 10 short at pb, since second 1."""
    state = machine.begin(about, view(about)).state
    state = machine.step(about, state, GOOD, view(about)).state
    events = (filled("e0-1", "10", Side.BUY), filled("h1-1", "10", Side.SELL))
    inside = machine.step(about, state, events, view(about, held=("10", "-10"), at=1)).state
    assert isinstance(inside.phase, Open)
    return inside


def on(about: FundingArbPlan, state: FundingArbState, *events: Any, **seen: Any) -> Outcome:
    """A step of a pair that holds ten on each side, unless told otherwise."""
    return machine.step(about, state, events, view(about, **({"held": ("10", "-10")} | seen)))


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


def reason_of(outcome: Outcome) -> str:
    """Why it leaves, or nothing."""
    phase = outcome.state.phase
    return phase.reason if isinstance(phase, Closing) else ""


def test_it_leaves_near_a_liquidation() -> None:
    """At twice the leverage a short is liquidated 49 % up: at 36 % the price is within a tenth of it."""
    about = plan(leverage=2, max_loss="0.5")
    state = opened(about)
    assert reason_of(on(about, state, a="135", b="135", at=10)) == ""
    assert reason_of(on(about, state, a="136", b="136", at=10)) == "LIQUIDATION"


def test_a_leg_that_is_gone_is_believed_when_seen_twice() -> None:
    """One reading without the short is no decision; five seconds later it is, and the long leg is closed."""
    about = plan()
    once = on(about, opened(about), held=("10", "0"), at=10)
    assert reason_of(once) == ""
    back = on(about, once.state, at=12)
    assert reason_of(on(about, back.state, held=("10", "0"), at=16)) == ""
    twice = on(about, once.state, held=("10", "0"), at=15)
    assert reason_of(twice) == "LEG_MISSING"
    assert set(machine.wants(about, twice.state)) == {"x0-1"}


def test_an_imbalance_is_told_then_reduced_then_left() -> None:
    """Above 1 % it is said, above 2 % the larger leg is reduced, above 5 % the pair is left."""
    about = plan()
    state = opened(about)
    told = on(about, state, held=("10", "-9.85"), at=10)
    assert [alarm.kind for alarm in told.alarms] == ["funding_imbalance"]
    assert machine.wants(about, told.state) == {}
    less = machine.wants(about, on(about, state, held=("10", "-9.7"), at=10).state)
    assert (less["x0-1"].side, less["x0-1"].qty, less["x0-1"].reduce_only) == (Side.SELL, D("0.3"), True)
    assert reason_of(on(about, state, held=("10", "-9.4"), at=10)) == "IMBALANCE"


def test_a_flip_counts_when_it_was_seen_twice() -> None:
    """One rate against the pair may be a slip; the next one of another time is none. The same time counts once."""
    about = plan(erosion_ratio=0)
    state = opened(about)
    bad = (rate(A, "0.001", at=100), rate(B, "0", at=100))
    once = on(about, state, *bad, at=100)
    assert reason_of(once) == ""
    assert reason_of(on(about, once.state, *bad, at=101)) == ""
    good = on(about, once.state, rate(B, "0.002", at=200), at=200)
    assert reason_of(on(about, good.state, rate(B, "0", at=300), at=300)) == ""
    assert reason_of(on(about, once.state, rate(B, "0", at=200), at=200)) == "FLIP"


def test_it_leaves_a_difference_that_has_eroded() -> None:
    """Below half of the entry's difference, seen twice in a row, it leaves; a zero is eroded too."""
    about = plan()
    state = on(about, opened(about), rate(B, "0.0009", at=100), at=100).state
    assert reason_of(on(about, state, rate(B, "0.0009", at=200), at=200)) == "EROSION"
    assert reason_of(on(about, state, rate(B, "0", at=200), at=200)) == "EROSION"
    better = on(about, state, rate(B, "0.0011", at=200), at=200).state
    assert reason_of(on(about, better, rate(B, "0.0009", at=300), at=300)) == ""


def test_profit_and_loss_count_funding_prices_and_all_fees() -> None:
    """The fees of closing (1,000 at 5 bp, twice) stand between the funding and the target, and before the loss."""
    about = plan(profit_target="0.01")
    state = opened(about)
    assert reason_of(on(about, state, funding="10.99", at=10)) == ""
    assert reason_of(on(about, state, funding="11", at=10)) == "TAKE_PROFIT"
    assert reason_of(on(about, state, a="99.11", at=10)) == ""
    assert reason_of(on(about, state, a="99.09", at=10)) == "STOP_LOSS"


def test_it_leaves_when_its_time_is_over() -> None:
    """A week after the entry."""
    about = plan()
    state = opened(about)
    assert reason_of(on(about, state, at=7 * 86_400)) == ""
    assert reason_of(on(about, state, at=7 * 86_400 + 1)) == "TIME_LIMIT"


def test_exits_hold_in_their_order() -> None:
    """Where several hold at once, the first of the list names the reason."""
    about = plan(leverage=2, profit_target="0.001")
    state = opened(about)
    state = on(about, state, rate(B, "-0.003", at=90), at=90).state
    flipped = (rate(A, "0.003", at=100), rate(B, "0", at=100))
    every = on(about, state, *flipped, a="136", b="136", held=("10", "-9"), at=700_000)
    assert reason_of(every) == "LIQUIDATION"
    assert reason_of(on(about, state, *flipped, held=("10", "-9"), at=700_000)) == "IMBALANCE"
    assert reason_of(on(about, state, *flipped, funding="50", at=101)) == "FLIP"
    assert reason_of(on(about, state, funding="50", at=700_000)) == "TAKE_PROFIT"


def test_without_a_price_nothing_is_decided_by_price() -> None:
    """An unknown price is unknown: neither a profit nor a loss nor a missing leg is made of it."""
    about = plan(profit_target="0.001")
    seen = view(about, held=("10", "-10"), funding="50", at=10)
    blind = replace(seen, beside={B: replace(seen.beside[B], quote=None)})
    assert reason_of(machine.step(about, opened(about), (), blind)) == ""


def test_the_band_of_an_open_pair_hides_no_exit() -> None:
    """At every corner just inside both bands, no exit holds."""
    about = plan(profit_target="0.005")
    state = opened(about)
    wake = on(about, state, at=10)
    first, second = wake.wake, wake.wakes[B]
    assert first.low is not None
    assert first.high is not None
    assert second.low is not None
    assert second.high is not None
    for a in (first.low + D("0.01"), first.high - D("0.01")):
        for b in (second.low + D("0.01"), second.high - D("0.01")):
            inside = on(about, state, a=str(a), b=str(b), at=20)
            assert reason_of(inside) == ""
            assert inside.state == state


def test_a_close_that_drags_on_is_an_incident() -> None:
    """After a minute a person is told what is still open; caps have widened."""
    about = plan()
    left = on(about, opened(about), at=700_000)
    caps = [machine.wants(about, left.state)["x0-1"].price]
    state = left.state
    for second in range(1, 62):
        after = on(about, state, at=700_000 + second)
        state = after.state
        caps.append(machine.wants(about, state)["x0-1"].price)
    assert caps[-1] < caps[0]
    assert [alarm.kind for alarm in after.alarms] == ["funding_unclosed"]


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


def shaken(seed: int, ticks: int = 60) -> Played:
    """A life of several pairs in bad weather: rates come and go, orders are lost, refused, filled in parts."""
    from random import Random

    told = config(cooldown_hours=0, open_deadline_s=12, max_age_hours="0.01", erosion_ratio="0.2", size_quote=500)
    run = played(spec_of(told, RULES), seed, Weather(late_s=1.0))
    rng = Random(seed + 5)
    mid = D(100)
    for count in range(ticks + 90):
        calm = count >= ticks
        for one in run.venues.values():
            one.calm = calm
        mid = max(mid + D(rng.randint(-10, 10)) / 100, D(50))
        for one in run.venues.values():
            one.move(mid + D(rng.randint(-5, 5)) / 100, D("0.01"), run.now)
        if not calm and count % 10 == 0:
            _tell(run, rng.choice(["0.004", "0.002", "0", "-0.004"]))
        elif calm and count == ticks:
            _tell(run, "0")
        run.tick()
    return run


def _tell(run: Played, text: str) -> None:
    ts = run.now
    for market, value in ((A, "0"), (B, text)):
        run.told.append(RateSeen(market, D(value), 28_800, ts + timedelta(hours=8), ts))


@settings(max_examples=60, deadline=None)
@given(st.integers(1_000_000, 2_000_000))
def test_hostile_lives_end_flat_or_told(seed: int) -> None:
    """Whatever is lost, refused, late or partial: books equal the venues', and what is open is a whole pair or an incident."""
    run = shaken(seed)
    bot = run.bot
    where: dict[str, Counter] = run.venues
    assert bot.inventory == where["pa"].position
    assert bot.beside[B].inventory == where["pb"].position
    state = bot.state
    net = bot.inventory + bot.beside[B].inventory
    assert abs(net) <= max(D("0.01") * abs(bot.inventory), D("0.01")) or run.alarmed
    assert machine.restore(run.spec.plan, machine.head(state), {}) == state
    wanted = {name: work.leg for name, work in bot.works.items() if work.leg is not None}
    assert machine.wants(run.spec.plan, state) == wanted


def hours(seed: int, count: int = 24 * 9) -> dict[Market, ListSeries]:
    """Two walks of hours that stay near each other."""
    from random import Random

    made: dict[Market, ListSeries] = {}
    for index, market in enumerate((A, B)):
        common, own = Random(seed), Random(seed * 31 + index)
        here, before, rows = 10_000, D(100), list[Candle]()
        for i in range(count):
            here = max(here + common.randint(-60, 60), 5_000)
            close = D(here + own.randint(-15, 15)) / 100
            rows.append(Candle(T0 + timedelta(hours=i), before, max(before, close), min(before, close), close, D(1)))
            before = close
        made[market] = ListSeries(rows, scale=2)
    return made


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 6.0]))
def test_skipping_bars_changes_nothing_and_equity_is_conserved(seed: int, latency_s: float) -> None:
    """With and without jumps: the same rows; and what the accounts won is realised + floating - fees + funding, exactly."""
    from random import Random

    told = config(cooldown_hours=4, max_age_hours=48, profit_target="0.004")
    spec = spec_of(told, RULES)
    found: list[Any] = []
    for jump in (True, False):
        series, rng = hours(seed), Random(seed)
        epoch = int((T0 - datetime(1970, 1, 1)).total_seconds() * 1000)
        rates = {
            market: [(epoch + i * 28_800_000, D(rng.randint(-20, 40)) / 10_000, 28_800.0) for i in range(27)]
            for market in (A, B)
        }
        tracks = tuple(backtest.Track(market, one) for market, one in series.items())
        scene = backtest.Scene(tracks=tracks, timeframe_s=3600, intrabar=Intrabar.OHLC, rates=rates)
        rules = FillRules(latency_s=latency_s)
        accounts = {m[0]: Account(m[0], {m[1]: one}, rules, {"USDT": D(10_000)}) for m, one in RULES.items()}
        rows: list[Any] = []

        def keep(step: Any, now: Any, rows: list[Any] = rows) -> None:
            rows.append((now, step.journal, step.fills, step.lots, step.entries))

        world = World(specs={"f": spec}, bots={"f": Bot(bot_id="f")})
        result = backtest.run(world, accounts, scene, jump=jump, keep=keep)
        bot = result.world.bots["f"]
        worth = sum((one.balances["USDT"] - 10_000 for one in accounts.values()), ZERO)
        held = (bot.inventory, bot.beside[B].inventory)
        costs = (bot.net_cost, bot.beside[B].net_cost)
        marks = [accounts[m[0]].prices[SWAP] for m in (A, B)]
        floating = sum((q * p - c for q, p, c in zip(held, marks, costs, strict=True)), ZERO)
        assert worth + floating == bot.realized + floating - bot.fees + bot.funding
        found.append((rows, {name: one.balances for name, one in accounts.items()}))
    assert found[0] == found[1]
