"""Cross-exchange market making: prices, hedges by fill, what happens when a hedge is not to be had, and restarts."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core import backtest
from core.config import PlanRefused
from core.engine import Bot, World
from core.facts import Refusal
from core.machine import Held, LegFilled, LegRefused, Outcome, View
from core.machines.xemm import machine
from core.machines.xemm.config import XemmConfig, XemmPlan, prepare
from core.machines.xemm.state import Closing, Ended, Quoting, XemmState
from core.market import Candle, Intrabar
from core.orders import Role
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, Side
from tests.core.hostile_pair import A, B, Played, check, play, rules_of, spec_of
from tests.core.worlds import SYMBOL, T0, D, quote

MARKETS: dict[str, Any] = {
    "buying_market": {"connector_name": "a", "trading_pair": "BTC-USDT"},
    "selling_market": {"venue": "b", "symbol": SYMBOL},
}  # fmt: skip


def config(**changes: Any) -> XemmConfig:
    """A maker that buys half a coin at a and sells it at b for a tenth of a percent."""
    values = {
        "id": "x", "order_amount": "0.5", "min_profitability": "0.0005", "target_profitability": "0.001",
        "max_profitability": "0.002", **MARKETS,
    }  # fmt: skip
    return XemmConfig(**(values | changes))


def plan(rules: Any = None, **changes: Any) -> XemmPlan:
    """The plan of a configuration."""
    return prepare(config(**changes), rules or rules_of()).plan


def view(
    about: XemmPlan,
    *,
    maker: str = "100",
    taker: str | None = "100",
    here: str = "0",
    there: str = "0",
    seconds: float = 0,
) -> View:
    """What the machine sees: a price in each market and what the bot holds in each."""
    now = T0 + timedelta(seconds=seconds)
    other = None if taker is None else quote(taker, now, about.taker)
    held = Held(about.taker, other, D(there))
    mine = quote(maker, now, about.maker)
    return View(
        now=now, started_at=T0, quote=mine, high=mine.ask, low=mine.bid, instrument=about.maker, inventory=D(here),
        cost=ZERO, fees_open=ZERO, beside={about.taker.market: held},
    )  # fmt: skip


def filled(about: XemmPlan, leg: str, qty: str, side: Side) -> LegFilled:
    """A fill of one of its legs."""
    return LegFilled(leg, Role(leg[0]), leg[1:], D(qty), D(qty), D(100), T0, side)


def begun(about: XemmPlan, **seen: Any) -> Outcome:
    """Its first step."""
    return machine.begin(about, view(about, **seen))


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_the_maker_earns_its_target_after_the_fees_of_both_legs(side: str) -> None:
    """The order is priced from the taker's price: hedged there it earns the target, whichever side makes."""
    about = plan(maker_side=side)
    leg = begun(about).wants["e0-0"]
    assert leg is not None
    assert leg.price is not None
    assert leg.post_only
    earned = about.profitability(leg.price, D(100))
    assert D("0.001") <= earned < D("0.0012")
    bought, sold = (leg.price, D(100)) if side == "BUY" else (D(100), leg.price)
    fees = leg.price * about.maker.maker + 100 * about.taker.taker
    assert abs((sold - bought - fees) / leg.price - earned) < D("1E-20")


def test_transaction_costs_and_slippage_move_the_maker_away() -> None:
    """What a round costs beside its fees is earned by the price too."""
    plain_, dear = plan(), plan(transaction_cost_quote="0.1", slippage_buffer="0.001")
    near, far = (begun(about).state.phase.price for about in (plain_, dear))
    assert far < near - D("0.25")


def test_the_maker_is_kept_inside_its_band_and_moved_outside() -> None:
    """Between the least and the most profitability the order stays; beyond, it is priced anew; its wake says where."""
    about = plan()
    first = begun(about)
    wake = first.wakes[about.taker.market]
    assert wake.low is not None
    assert wake.high is not None
    inside = machine.step(about, first.state, (), view(about, taker=str(wake.low)))
    assert inside.state.phase == first.state.phase
    beyond = machine.step(about, first.state, (), view(about, taker=str(wake.low - D("0.01"))))
    assert beyond.state.phase.price < first.state.phase.price
    above = machine.step(about, first.state, (), view(about, taker=str(wake.high + D("0.01"))))
    assert above.state.phase.price > first.state.phase.price


def test_every_part_of_a_maker_fill_is_hedged_by_its_quantity() -> None:
    """A part is hedged while the rest goes on resting; the second part makes the same leg grow."""
    about = plan()
    state = begun(about).state
    one = machine.step(about, state, (filled(about, "e0-0", "0.2", Side.BUY),), view(about, here="0.2"))
    hedge = one.wants["h1-0"]
    assert hedge is not None
    assert (hedge.side, hedge.qty) == (Side.SELL, D("0.2"))
    assert machine.wants(about, one.state)["e0-0"].qty == D("0.5")
    events = (filled(about, "h1-0", "0.2", Side.SELL), filled(about, "e0-0", "0.3", Side.BUY))
    two = machine.step(about, one.state, events, view(about, here="0.5", there="-0.2"))
    assert machine.wants(about, two.state)["h1-0"].qty == D("0.5")


def test_a_late_fill_after_the_round_is_hedged_all_the_same() -> None:
    """A fill during a cancel, booked when the executor has already ended, makes a hedge (hummingbot #8094)."""
    about = plan()
    ended = XemmState(Ended("COMPLETED", T0), rounds=1)
    after = machine.step(about, ended, (filled(about, "e0-0", "0.1", Side.BUY),), view(about, here="0.1"))
    assert machine.wants(about, after.state)["h1-0"].qty == D("0.1")


def test_a_residue_below_the_minimum_is_carried_and_shown() -> None:
    """Too little for an order is kept until more comes, and said; at the end an incident names it."""
    about = plan(rules_of(min_notional=D(10)))
    state = begun(about).state
    small = machine.step(about, state, (filled(about, "e0-0", "0.05", Side.BUY),), view(about, here="0.05"))
    assert "h1-0" not in machine.wants(about, small.state)
    assert "0.05 BTC are unhedged" in machine.place(about, small.state, 1).reason
    more = machine.step(about, small.state, (filled(about, "e0-0", "0.4", Side.BUY),), view(about, here="0.45"))
    assert machine.wants(about, more.state)["h1-0"].qty == D("0.45")
    closing = replace(small.state, phase=Closing("EARLY_STOP", T0))
    end = machine.step(about, closing, (), view(about, here="0.05"))
    assert [alarm.kind for alarm in end.alarms] == ["xemm_residue"]


def test_an_unhedged_quantity_past_its_deadline_is_an_incident_and_stops_the_maker() -> None:
    """After the deadline a person is told, the maker is withdrawn, caps widen; later what is open is undone."""
    about = plan()
    state = begun(about).state
    fill = (filled(about, "e0-0", "0.2", Side.BUY),)
    off = machine.step(about, state, fill, view(about, here="0.2"))
    caps = [machine.wants(about, off.state)["h1-0"].price]
    late = off
    for second in range(1, 6):
        late = machine.step(about, late.state, (), view(about, here="0.2", seconds=second))
        caps.append(machine.wants(about, late.state)["h1-0"].price)
    assert caps == sorted(caps, reverse=True)
    assert caps[0] != caps[-1]
    assert [alarm.kind for alarm in late.alarms] == ["xemm_unhedged"]
    assert "e0-0" not in machine.wants(about, late.state)
    undone = machine.step(about, late.state, (), view(about, here="0.2", seconds=31))
    legs = machine.wants(about, undone.state)
    assert set(legs) == {"x0-0"}
    assert (legs["x0-0"].side, legs["x0-0"].qty) == (Side.SELL, D("0.2"))
    assert legs["x0-0"].price == D("99.5"), "the other market's book is tried from the narrowest cap on"
    flat = machine.step(about, undone.state, (filled(about, "x0-0", "0.2", Side.SELL),), view(about, seconds=32))
    assert flat.state.phase == Ended("FAILED", T0 + timedelta(seconds=32))
    assert ("xemm_unhedged", about.taker.symbol) in flat.calm


def test_a_hedge_without_funds_is_undone_at_once() -> None:
    """A venue that has no money for the hedge will not have it in ten seconds either: INSUFFICIENT_BALANCE, nothing hidden."""
    about = plan()
    off = machine.step(about, begun(about).state, (filled(about, "e0-0", "0.2", Side.BUY),), view(about, here="0.2"))
    refused = LegRefused("h1-0", Refusal.FUNDS, "no", 1, T0)
    after = machine.step(about, off.state, (refused,), view(about, here="0.2", seconds=1))
    assert isinstance(after.state.phase, Closing)
    assert set(machine.wants(about, after.state)) == {"x0-0"}
    done = machine.step(about, after.state, (filled(about, "x0-0", "0.2", Side.SELL),), view(about, seconds=2))
    assert done.state.phase.close_type == "INSUFFICIENT_BALANCE"


def test_a_venue_that_asks_for_a_pause_gets_it_and_nothing_stays_open() -> None:
    """While hedges are refused for a time, fills are undone where they were made, and no maker rests."""
    about = plan()
    off = machine.step(about, begun(about).state, (filled(about, "e0-0", "0.2", Side.BUY),), view(about, here="0.2"))
    refused = LegRefused("h1-0", Refusal.RATE, "slow down", 1, T0)
    paused = machine.step(about, off.state, (refused,), view(about, here="0.2"))
    assert set(machine.wants(about, paused.state)) == {"x0-0"}
    flat = machine.step(about, paused.state, (filled(about, "x0-0", "0.2", Side.SELL),), view(about, seconds=1))
    assert machine.wants(about, flat.state) == {}
    again = machine.step(about, flat.state, (), view(about, seconds=11))
    assert set(machine.wants(about, again.state)) == {"e0-0"}


def test_without_a_fresh_price_to_hedge_at_nothing_rests() -> None:
    """No price, an old one or a crossed one in the taker's market withdraws the maker."""
    about = plan()
    state = begun(about).state
    assert machine.wants(about, machine.step(about, state, (), view(about, taker=None)).state) == {}
    old = view(about, seconds=0)
    later = replace(old, now=T0 + timedelta(seconds=16))
    assert machine.wants(about, machine.step(about, state, (), later).state) == {}


def test_too_much_hedged_is_taken_back() -> None:
    """Where the maker's lot is gone, by a person's hand, the hedge follows."""
    about = plan()
    state = begun(about).state
    after = machine.step(about, state, (), view(about, there="-0.2"))
    leg = machine.wants(about, after.state)["x1-0"]
    assert (leg.venue, leg.side, leg.qty) == ("b", Side.BUY, D("0.2"))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"target_profitability": "0.003"}, "target_profitability"),
        ({"max_profitability": "0.0005", "target_profitability": "0.0005"}, "max_profitability"),
        ({"selling_market": MARKETS["buying_market"]}, "selling_market"),
        ({"venue": "b", "symbol": SYMBOL}, "venue"),
        ({"unwind_after_s": 1}, "unwind_after_s"),
        ({"order_amount": 0}, "order_amount"),
        ({"maker_side": "BOTH"}, "maker_side"),
        ({"made_up": 1}, "made_up"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, Any], key: str) -> None:
    """The message names the field."""
    with pytest.raises(ValidationError) as refused:
        config(**changes)
    assert key in str(refused.value)


def test_markets_that_do_not_hedge_each_other_are_refused() -> None:
    """Another coin, an amount below the lot or off it: refused with what works."""
    rules = rules_of()
    for about, key in ((rules | {B: replace(rules[B], base="ETH")}, "selling_market"),):
        with pytest.raises(PlanRefused) as refused:
            prepare(config(), about)
        assert refused.value.key == key
    with pytest.raises(PlanRefused) as refused:
        plan(order_amount="0.0005")
    assert refused.value.key == "order_amount"


def ended(run: Played) -> bool:
    """Whether the executor is over."""
    return run.bot.state is not None and isinstance(run.bot.state.phase, Ended)


@settings(max_examples=60, deadline=None)
@given(st.integers(1_000_000, 2_000_000), st.sampled_from(["BUY", "SELL"]), st.integers(1, 3))
def test_hostile_rounds_keep_their_books_and_their_deadline(seed: int, side: str, rounds: int) -> None:
    """Parts, fills during cancels, lost answers: books equal the venues', nothing is worked twice, deadlines hold or are told."""
    spec = spec_of(config(maker_side=side, rounds=rounds), rules_of(min_notional=D(5)))
    run = play(spec, seed, ended=ended)
    check(run)
    assert run.oldest_s <= 5 or run.alarmed
    assert run.off_since is None
    state = run.bot.state
    assert machine.restore(spec.plan, machine.head(state), {}) == state
    wanted = {name: work.leg for name, work in run.bot.works.items() if work.leg is not None}
    assert machine.wants(spec.plan, state) == wanted


def candles(seed: int, shift: int, count: int = 60) -> ListSeries:
    """Two walks that stay near each other: the same one, each with a little of its own."""
    from random import Random

    common, own = Random(seed), Random(seed * 31 + shift)
    rows: list[Candle] = []
    here, before = 10_000, D(100)
    for i in range(count):
        here += common.randint(-25, 25)
        close = Decimal(here + own.randint(-10, 10)) / 100
        top, bottom = max(before, close) + D("0.05"), min(before, close) - D("0.05")
        rows.append(Candle(T0 + timedelta(minutes=i), before, top, bottom, close, D(1)))
        before = close
    return ListSeries(rows, scale=2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["BUY", "SELL"]), st.sampled_from([0.0, 6.0]))
def test_skipping_bars_changes_nothing(seed: int, side: str, latency_s: float) -> None:
    """The wake contract: journal, fills and balances are the same with and without jumps."""
    spec = spec_of(config(maker_side=side, rounds=3), rules_of())
    found: list[Any] = []
    for jump in (True, False):
        tracks = tuple(backtest.Track(m, candles(seed, i)) for i, m in enumerate(config(maker_side=side).markets()))
        scene = backtest.Scene(tracks=tracks, timeframe_s=60, intrabar=Intrabar.OHLC)
        fills = FillRules(latency_s=latency_s)
        money = {"USDT": D(10_000), "BTC": D(10)}
        accounts = {m[0]: Account(m[0], {m[1]: one}, fills, dict(money)) for m, one in rules_of().items()}
        world = World(specs={"x": spec}, bots={"x": Bot(bot_id="x")})
        rows: list[Any] = []

        def keep(step: Any, now: Any, rows: list[Any] = rows) -> None:
            rows.append((now, step.journal, step.fills, step.lots))

        backtest.run(world, accounts, scene, jump=jump, keep=keep)
        found.append((rows, {name: one.balances for name, one in accounts.items()}))
    assert found[0] == found[1]


def test_its_first_market_is_the_makers() -> None:
    """The bot is woken and valued by the market in which it makes; names of the original are understood."""
    assert config().markets() == (A, B)
    assert config(maker_side="sell").markets() == (B, A)
    assert isinstance(begun(plan()).state.phase, Quoting)
