"""Funding arbitrage against two hostile venues, and with and without jumps."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core import backtest
from core.engine import Bot, World
from core.machines.funding_arb import machine
from core.market import Candle, Intrabar, Market
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO
from tests.core.hostile_pair import Counter, spec_of
from tests.core.machines.funding_arb.fundings import RULES, A, B, config, shaken
from tests.core.worlds import SWAP, T0, D


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
