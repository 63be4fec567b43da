"""Bots in several markets: one clock, hedges that follow fills, groups, candles and funding at their time."""

import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core import backtest
from core.engine import Place, Step, advance
from core.engine.payments import shares_of
from core.facts import BalanceRead, BarClosed
from core.machine import Bars
from core.market import Candle, Intrabar
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, total
from tests.core import pairs
from tests.core.pairs import HEDGE, pair_plan, pair_spec, pair_world
from tests.core.worlds import T0, D, quote

MACHINE: Any = sys.modules[pairs.__name__]
PERP = ("perp", "BTC/USDT:USDT")


def candles(*closes: str, first: int = 0) -> ListSeries:
    """Minutes that open where the one before closed, without wicks."""
    rows: list[Candle] = []
    before = D(closes[0])
    for i, text in enumerate(closes):
        now = D(text)
        rows.append(Candle(T0 + timedelta(minutes=first + i), before, max(before, now), min(before, now), now, D(1)))
        before = now
    return ListSeries(rows, scale=2)


def accounts(spec: Any, fee: str | None = None) -> dict[str, Account]:
    """Two accounts with ample money."""
    rules = FillRules(cross=False)
    return {one.venue: Account(one.venue, {one.symbol: one}, rules, {"USDT": D(100_000)}) for one in spec.instruments}


def play(spec: Any, tracks: dict[Any, ListSeries], *, jump: bool = True, **scene: Any) -> tuple[Any, list[Step]]:
    """Run tracks through the engine."""
    steps: list[Step] = []
    world = pair_world(spec)
    for one in spec.instruments:
        world = advance(world, [BalanceRead(one.venue, "USDT", D(100_000), T0)], T0).world
    made = backtest.Scene(
        tracks=tuple(backtest.Track(market, series) for market, series in tracks.items()), timeframe_s=60,
        intrabar=Intrabar.OHLC, **scene,
    )  # fmt: skip
    result = backtest.run(world, accounts(spec), made, jump=jump, keep=lambda step, _: steps.append(step))
    return result, steps


def test_a_hedge_follows_the_fills_of_its_entry() -> None:
    """What is bought in one market is sold in the other, once, and both lots stand in their own market."""
    spec = pair_spec(pair_plan(), MACHINE)
    prices = candles("101", "100.5", "99.5", "99", "98")
    result, steps = play(spec, {("spot", "BTC/USDT"): prices, PERP: prices})
    bot = result.world.bots["p"]
    assert bot.inventory == D("0.1")
    assert bot.beside[PERP].inventory == D("-0.1")
    assert [lot.lot_id for lot in bot.lots.values()] == ["0-0", "h0-0"]
    assert bot.exposure == bot.cost
    assert sum(1 for step in steps for _ in step.fills) == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(9000, 11000), min_size=4, max_size=40))
def test_two_markets_play_alike_with_and_without_jumps(cents: list[int]) -> None:
    """Skipping bars that cannot matter in any market changes nothing."""
    spec = pair_spec(pair_plan(), MACHINE)
    prices = candles(*[str(D(c) / 100) for c in cents])
    other = candles(*[str(D(c) / 100 + 1) for c in cents])
    found = [play(spec, {("spot", "BTC/USDT"): prices, PERP: other}, jump=jump) for jump in (True, False)]
    assert [s.journal for s in found[0][1]] == [s.journal for s in found[1][1]]
    assert found[0][0].accounts["perp"].balances == found[1][0].accounts["perp"].balances


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(9000, 11000), min_size=4, max_size=30))
def test_the_same_series_on_both_sides_earns_minus_the_costs(cents: list[int]) -> None:
    """Long and short of one price lose the fees and nothing else, once both are in."""
    spec = pair_spec(pair_plan(), MACHINE)
    prices = candles(*[str(D(c) / 100) for c in cents])
    result, steps = play(spec, {("spot", "BTC/USDT"): prices, PERP: prices})
    bot, last = result.world.bots["p"], result.accounts["spot"].prices["BTC/USDT"]
    bought = [fill for step in steps for _, fill in step.fills]
    if len(bought) < 2:
        return
    floating = last * bot.inventory - bot.net_cost + last * bot.beside[PERP].inventory - bot.beside[PERP].net_cost
    assert floating == (bought[1].price - bought[0].price) * D("0.1")
    assert bot.fees == total(fill.fee for fill in bought)


def test_a_bar_missing_on_one_side_is_no_bar() -> None:
    """Nothing is decided at a time that one market lacks."""
    spec = pair_spec(pair_plan(), MACHINE)
    rows = [candles("101", "101", "101", "101").bar(i) for i in range(4)]
    rows[1] = replace(rows[1], low=D(99))
    first = ListSeries(rows, scale=2)
    second = ListSeries([first.bar(i) for i in (0, 2, 3)], scale=2)
    result, steps = play(spec, {("spot", "BTC/USDT"): first, PERP: second}, jump=False)
    assert result.incomplete == 1
    assert not [fill for step in steps for fill in step.fills]


def test_a_group_goes_out_whole_or_not_at_all() -> None:
    """With no price in the second market neither leg is sent; with one, both are, in the same step."""
    spec = pair_spec(pair_plan(group="open"), MACHINE)
    world = pair_world(spec, max_exposure_quote=D(5))
    now = T0
    both = [quote("101", now, spec.instrument), quote("101", now, spec.others[0])]
    declined = advance(world, both, now)
    assert not declined.intents
    assert any("group open" in row.reason for row in declined.journal)
    opened = advance(pair_world(spec), both, now)
    assert {intent.order.leg_id for intent in opened.intents if isinstance(intent, Place)} == {"e0-0", HEDGE}


def test_candles_are_told_once_each_when_they_are_over() -> None:
    """A longer candle is told at the opening of the bar that follows it, also over bars that are skipped."""
    market = ("spot", "BTC/USDT")
    spec = pair_spec(pair_plan(price=D(50)), MACHINE, bars=(Bars(market, 180, 1),))
    minutes = candles(*["100"] * 10)
    longer = ListSeries([Candle(T0 + timedelta(minutes=m), D(100), D(100), D(100), D(100), D(3)) for m in (0, 3, 6)])
    told = []
    for jump in (True, False):
        result, _ = play(spec, {market: minutes, PERP: minutes}, jump=jump, bars={(market, 180): longer})
        told.append(result.world.bots["p"].state.bars)
    assert told[0] == told[1] == tuple(T0 + timedelta(minutes=m) for m in (0, 3, 6))


def test_funding_is_paid_on_what_was_held_before() -> None:
    """A short receives a positive rate on its notional at the time of the row, once."""
    spec = pair_spec(pair_plan(), MACHINE)
    prices = candles("101", "99", "100", "100", "100")
    at_ms = prices.ts_ms(3)
    rates = {PERP: [(prices.ts_ms(0), D("0.01"), 28800.0), (at_ms, D("0.001"), 28800.0)]}
    result, steps = play(spec, {("spot", "BTC/USDT"): prices, PERP: prices}, rates=rates)
    paid = [entry for step in steps for entry in step.entries if entry.kind == "funding" and entry.account == "wallet"]
    assert [entry.amount for entry in paid] == [D("0.01")]
    assert result.world.bots["p"].funding == D("0.01")


def test_candles_before_the_first_price_wait_for_it() -> None:
    """A machine hears history together with its first quote, not before there is a market."""
    market = ("spot", "BTC/USDT")
    spec = pair_spec(pair_plan(), MACHINE, bars=(Bars(market, 60, 1),))
    candle = Candle(T0 - timedelta(minutes=1), D(100), D(100), D(100), D(100), D(1))
    step = advance(pair_world(spec), [BarClosed(market, 60, candle)], T0)
    assert step.world.bots["p"].state is None
    step = advance(step.world, [quote("101", T0, spec.instrument), quote("101", T0, spec.others[0])], T0)
    assert step.world.bots["p"].state.bars == (candle.ts,)


@given(
    st.decimals(-1000, 1000, places=8, allow_nan=False),
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.decimals(-9, 9, places=3, allow_nan=False), min_size=1),
)
def test_shares_of_a_payment_add_up_to_it(amount: Decimal, held: dict[str, Decimal]) -> None:
    """Whatever bots hold, the sum of their shares is what the exchange paid, to the last digit."""
    assert sum(shares_of(amount, held).values(), ZERO) == amount
