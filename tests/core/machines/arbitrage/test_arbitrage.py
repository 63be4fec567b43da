"""Arbitrage: when it pays, both legs at once, a leg that stands alone, refusals, restarts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core import backtest
from core.config import PlanRefused
from core.engine import Bot, World
from core.facts import Refusal
from core.machine import Held, LegFilled, LegRefused, View
from core.machines.arbitrage import machine
from core.machines.arbitrage.config import ArbitrageConfig, ArbitragePlan, prepare
from core.machines.arbitrage.state import Ended, Mending, Sent, Watching
from core.market import Candle, Intrabar
from core.orders import Kind, Role
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, Side
from tests.core.hostile_pair import B, Played, check, play, rules_of, spec_of
from tests.core.worlds import SYMBOL, T0, D, quote

MARKETS: dict[str, Any] = {
    "buying_market": {"connector_name": "a", "trading_pair": "BTC-USDT"},
    "selling_market": {"venue": "b", "symbol": SYMBOL},
}  # fmt: skip


def config(**changes: Any) -> ArbitrageConfig:
    """Half a coin, for a tenth of a percent."""
    return ArbitrageConfig(**({"id": "x", "order_amount": "0.5", "min_profitability": "0.001", **MARKETS} | changes))


def plan(rules: Any = None, **changes: Any) -> ArbitragePlan:
    """The plan of a configuration."""
    return prepare(config(**changes), rules or rules_of()).plan


def view(
    about: ArbitragePlan, buy: str, sell: str | None, *, here: str = "0", there: str = "0", seconds: float = 0
) -> View:
    """What the machine sees: a price in each market and what the bot holds in each."""
    now, first, second = T0 + timedelta(seconds=seconds), about.ways.first, about.ways.second
    other = None if sell is None else quote(sell, now, second)
    mine = quote(buy, now, first)
    return View(
        now=now, started_at=T0, quote=mine, high=mine.ask, low=mine.bid, instrument=first, inventory=D(here),
        cost=ZERO, fees_open=ZERO, beside={second.market: Held(second, other, D(there))},
    )  # fmt: skip


def filled(leg: str, qty: str, side: Side) -> LegFilled:
    """A fill of one of its legs."""
    return LegFilled(leg, Role(leg[0]), leg[1:], D(qty), D(qty), D(100), T0, side)


def test_it_sends_only_what_pays_after_fees_and_costs() -> None:
    """At a difference that fees eat nothing is sent; above it both legs are, in one group, capped, in the same step."""
    about = plan(transaction_cost_quote="0.05")
    least = 100 * about.paid + about.cost
    below, above = (str((least / about.got).quantize(D("0.01")) + D(by)) for by in ("-0.01", "0.02"))
    waiting = machine.begin(about, view(about, "100", below))
    assert machine.wants(about, waiting.state) == {}
    sent = machine.step(about, waiting.state, (), view(about, "100", above, seconds=1))
    assert isinstance(sent.state.phase, Sent)
    legs = sent.wants
    assert set(legs) == {"e0-0", "h1-0"}
    assert {leg.group for leg in legs.values() if leg is not None} == {"a0"}
    assert all(leg is not None and leg.kind is Kind.MARKET for leg in legs.values())


def test_at_both_caps_the_round_still_earns_its_minimum() -> None:
    """Whatever the two orders fill at, within their caps, the profitability after fees is at least the minimum."""
    about = plan()
    legs = machine.begin(about, view(about, "100", "101")).wants
    buy, sell = legs["e0-0"], legs["h1-0"]
    assert buy is not None
    assert sell is not None
    assert buy.price is not None
    assert sell.price is not None
    fee = about.ways.first.taker
    assert (sell.price * (1 - fee) - buy.price * (1 + fee)) / buy.price >= D("0.001")
    assert buy.price > 100
    assert sell.price < 101


def test_the_wake_band_hides_no_chance() -> None:
    """Inside both bands no pair of prices pays."""
    about = plan()
    waiting = machine.begin(about, view(about, "100", "100.05"))
    low, high = waiting.wake.low, waiting.wakes[about.ways.second.market].high
    assert low is not None
    assert high is not None
    assert about.slack(low + D("0.01"), high - D("0.01")) <= 0


def test_nothing_filled_in_time_is_given_up() -> None:
    """After the time-out without a fill both legs are withdrawn and it watches again."""
    about = plan()
    sent = machine.begin(about, view(about, "100", "101"))
    after = machine.step(about, sent.state, (), view(about, "100", "100", seconds=5))
    assert isinstance(after.state.phase, Watching)
    assert after.wants == {"e0-0": None, "h1-0": None}


@pytest.mark.parametrize(("sell", "leg"), [("100.9", "h1-0"), ("99", "x0-0")])
def test_a_leg_alone_is_completed_or_undone_by_what_is_cheaper(sell: str, leg: str) -> None:
    """The hang of the original (hummingbot #7972): here the time-out balances, at the better of both prices."""
    about = plan()
    sent = machine.begin(about, view(about, "100", "101"))
    late = view(about, "100", sell, here="0.5", seconds=5)
    after = machine.step(about, sent.state, (filled("e0-0", "0.5", Side.BUY),), late)
    assert isinstance(after.state.phase, Mending)
    legs = machine.wants(about, after.state)
    assert set(legs) == {leg}
    assert (legs[leg].side, legs[leg].qty) == (Side.SELL, D("0.5"))


def test_a_leg_that_cannot_be_completed_is_undone_and_told() -> None:
    """Past its deadlines a naked leg is an incident and goes back where it came from, wider from try to try."""
    about = plan()
    sent = machine.begin(about, view(about, "100", "101"))
    state = machine.step(
        about, sent.state, (filled("e0-0", "0.5", Side.BUY),), view(about, "100", "100.9", here="0.5", seconds=5)
    ).state
    alarms: set[str] = set()
    for second in range(6, 22):
        after = machine.step(about, state, (), view(about, "100", "100.9", here="0.5", seconds=second))
        state = after.state
        alarms |= {alarm.kind for alarm in after.alarms}
    assert alarms == {"arbitrage_naked_leg"}
    assert set(machine.wants(about, state)) == {"x0-0"}
    flat = machine.step(about, state, (filled("x0-0", "0.5", Side.SELL),), view(about, "100", "100.9", seconds=23))
    assert isinstance(flat.state.phase, Watching)
    assert flat.calm


def test_without_funds_it_ends_and_leaves_nothing_naked() -> None:
    """A leg refused for want of money ends it as INSUFFICIENT_BALANCE; the other leg is undone first."""
    about = plan()
    sent = machine.begin(about, view(about, "100", "101"))
    refused = LegRefused("h1-0", Refusal.FUNDS, "no coins", 1, T0)
    bare = machine.step(about, sent.state, (refused,), view(about, "100", "101", seconds=1))
    assert bare.state.phase == Ended("INSUFFICIENT_BALANCE", T0 + timedelta(seconds=1))
    events = (filled("e0-0", "0.5", Side.BUY), refused)
    naked = machine.step(about, sent.state, events, view(about, "100", "101", here="0.5", seconds=1))
    assert set(machine.wants(about, naked.state)) == {"x0-0"}
    flat = machine.step(about, naked.state, (filled("x0-0", "0.5", Side.SELL),), view(about, "100", "101", seconds=2))
    assert flat.state.phase.close_type == "INSUFFICIENT_BALANCE"


def test_a_fee_taken_in_base_is_not_sold() -> None:
    """Where the purchase's fee comes off the coins, so much less is sold."""
    assert plan(rules_of(fee_in_base=True, taker=D("0.002"))).to_sell == D("0.499")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"selling_market": MARKETS["buying_market"]}, "selling_market"),
        ({"venue": "b"}, "venue"),
        ({"min_profitability": "-0.001"}, "min_profitability"),
        ({"order_amount": "NaN"}, "order_amount"),
        ({"gas": 1}, "gas"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(changes: dict[str, Any], key: str) -> None:
    """The message names the field."""
    with pytest.raises(ValidationError) as refused:
        config(**changes)
    assert key in str(refused.value)


def test_another_coin_is_refused() -> None:
    """Base tokens are compared as they are: no letter is stripped (the original takes WIF for a wrapped IF)."""
    rules = rules_of()
    with pytest.raises(PlanRefused) as refused:
        plan(rules | {B: replace(rules[B], base="WBTC")})
    assert refused.value.key == "selling_market"


def ended(run: Played) -> bool:
    """Whether the executor is over."""
    return run.bot.state is not None and isinstance(run.bot.state.phase, Ended)


@settings(max_examples=60, deadline=None)
@given(st.integers(1_000_000, 2_000_000), st.integers(1, 3))
def test_hostile_rounds_keep_their_books_and_their_deadline(seed: int, rounds: int) -> None:
    """Parts, refusals, lost answers, thin books: books equal the venues', nothing is worked twice, deadlines hold or are told."""
    told = config(rounds=rounds, min_profitability="0.0002", timeout_s=2)
    spec = spec_of(told, rules_of(min_notional=D(5)))
    run = play(spec, seed, ended=ended, shake=0.3)
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
        close = D(here + own.randint(-20, 20)) / 100
        rows.append(Candle(T0 + timedelta(minutes=i), before, max(before, close), min(before, close), close, D(1)))
        before = close
    return ListSeries(rows, scale=2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 6.0]))
def test_skipping_bars_changes_nothing(seed: int, latency_s: float) -> None:
    """The wake contract: journal, fills and balances are the same with and without jumps."""
    told = config(rounds=3, timeout_s=30, unwind_after_s=60)
    spec = spec_of(told, rules_of())
    found: list[Any] = []
    for jump in (True, False):
        tracks = tuple(backtest.Track(m, candles(seed, i)) for i, m in enumerate(told.markets()))
        scene = backtest.Scene(tracks=tracks, timeframe_s=60, intrabar=Intrabar.OHLC)
        money = {"USDT": D(10_000), "BTC": D(10)}
        accounts = {
            m[0]: Account(m[0], {m[1]: one}, FillRules(latency_s=latency_s), dict(money))
            for m, one in rules_of().items()
        }
        rows: list[Any] = []

        def keep(step: Any, now: Any, rows: list[Any] = rows) -> None:
            rows.append((now, step.journal, step.fills, step.lots))

        world = World(specs={"x": spec}, bots={"x": Bot(bot_id="x")})
        backtest.run(world, accounts, scene, jump=jump, keep=keep)
        found.append((rows, {name: one.balances for name, one in accounts.items()}))
    assert found[0] == found[1]
