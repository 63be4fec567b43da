"""Hedges of stuck lots in a second instrument: they follow what is held, never exceed it, and end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import backtest
from core.engine import BotSpec, Step, advance
from core.facts import BalanceRead
from core.machines.rolling_grid.state import Holding
from core.market import Candle, Instrument, Intrabar
from core.orders import Role
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, total
from tests.core.machines.rolling_grid.bots import ready, rolling
from tests.core.worlds import SWAP, T0, D, instrument, random_steps, swap, world

PERP = ("perp", SWAP)


def spec(**changes: Any) -> BotSpec:
    """A bot on spot that hedges with a perpetual; its lots are old after five minutes."""
    values: dict[str, Any] = {
        "recovery_mode": "hedge", "hedge_venue": "perp", "hedge_symbol": SWAP, "stop_loss": "0.06",
        "position_timeout_minutes": 5, "stuck_distance": "0.02", "max_orders": 2, "max_position_size": "0.2",
    }  # fmt: skip
    rules: Instrument = changes.pop("perp", swap(lot_step=D("0.01"), min_qty=D("0.01")))
    return ready(rolling(**(values | changes)), instrument(), rules)


def closes(*prices: float, shift: float = 0) -> ListSeries:
    """Minutes that open where the one before closed, without wicks."""
    rows: list[Candle] = []
    before = D(str(prices[0] + shift))
    for i, price in enumerate(prices):
        now = D(str(round(price + shift, 2)))
        rows.append(Candle(T0 + timedelta(minutes=i), before, max(before, now), min(before, now), now, D(1)))
        before = now
    return ListSeries(rows, scale=2)


def play(bot: BotSpec, prices: list[float], shift: float = 0, *, jump: bool = True) -> tuple[Any, list[Step]]:
    """Run a spot series and a perpetual's, which stands `shift` from it."""
    steps: list[Step] = []
    start = world(bot)
    rules = FillRules(cross=False)
    accounts = {
        one.venue: Account(one.venue, {one.symbol: one}, rules, {"USDT": D(100_000)}) for one in bot.instruments
    }
    for one in bot.instruments:
        start = advance(start, [BalanceRead(one.venue, "USDT", D(100_000), T0)], T0).world
    tracks = (
        backtest.Track(bot.instrument.market, closes(*prices)), backtest.Track(PERP, closes(*prices, shift=shift)),
    )  # fmt: skip
    scene = backtest.Scene(tracks=tracks, timeframe_s=60, intrabar=Intrabar.OHLC)
    made = backtest.run(start, accounts, scene, jump=jump, keep=lambda step, _: steps.append(step))
    return made, steps


def decisions(steps: list[Step]) -> list[str]:
    """What was decided about lots, in order."""
    words = {"STUCK", "HEDGE", "UNHEDGED", "HEDGE_AGED", "STOP_LOSS", "RECOVERY_END", "ESCALATED"}
    return [row.decision for step in steps for row in step.journal if row.decision in words]


FALL = [100, 99.9, 99.5, 99, *[98.5] * 4, *[97.2] * 3]


def test_a_stuck_lot_is_hedged_and_let_go_near_its_exit() -> None:
    """It falls and is hedged to its size; it rises to within a target of its exit and the hedge is closed; the lot sells."""
    _, steps = play(spec(max_orders=1), [*FALL, 97, 98, 99.5, 100, 100.5, 101.5, 102, 102])
    assert decisions(steps)[:3] == ["STUCK", "HEDGE", "UNHEDGED"]
    shorts = [step.world.bots["r"].beside[PERP].inventory for step in steps]
    assert min(shorts) == D("-0.1")
    assert shorts[-1] == ZERO
    closed = [row.reason for step in steps for row in step.journal if row.decision == "GRID_TRADE"]
    assert any("Action=close" in text and "Exit=100.89" in text for text in closed) or any(
        "Action=close" in text for text in closed
    )


def test_a_hedged_lot_is_not_stopped_and_goes_with_its_hedge_when_it_is_too_old() -> None:
    """While the hedge covers the lot its stop loss waits; after hedge_max_age both sides are closed at the market."""
    _, steps = play(spec(max_orders=1, hedge_max_age_minutes=10), [*FALL, 96, 95, 92, 90, *[89] * 20])
    assert decisions(steps)[:3] == ["STUCK", "HEDGE", "HEDGE_AGED"]
    after = steps[-1].world.bots["r"]
    assert after.beside[PERP].inventory == ZERO
    lots = [row for step in steps for row in step.lots if row.symbol != SWAP and row.lot_id.startswith("0-1")]
    assert lots[-1].qty == ZERO


def test_a_ladder_escalates_to_a_hedge_that_shrinks_with_its_rungs() -> None:
    """Rungs that fill take the hedge down with them, by the hedge's own lot step."""
    bot = spec(
        recovery_mode="ladder", recovery_escalation="hedge", recovery_escalation_minutes=5, stuck_distance="0.02",
        max_orders=1, recovery_rungs=("0.005", "0.01", "0.02"), stop_loss="0.10",
    )  # fmt: skip
    _, steps = play(bot, [*FALL, *[97] * 8, 97.8, 97.8, 98.3, 98.3, 98.4])
    found = decisions(steps)
    assert found[:3] == ["STUCK", "ESCALATED", "HEDGE"]
    for step in steps:
        now = step.world.bots["r"]
        assert -now.beside[PERP].inventory <= D("0.1")
    last = steps[-1].world.bots["r"]
    assert -last.beside[PERP].inventory <= last.inventory


def test_a_hedge_is_refused_where_the_second_market_takes_no_such_order() -> None:
    """A lot below the second market's minimum notional is left at its exit, and the journal says why."""
    _, steps = play(spec(max_orders=1, perp=swap(min_notional=D(100))), [*FALL, 97, 97])
    said = [row for step in steps for row in step.journal if row.decision == "WAITS"]
    assert "below the minimum" in said[0].reason


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([20, 60, 120]), st.sampled_from([0.0, -0.4, 0.7]), st.booleans())
def test_hedges_never_exceed_what_is_held_and_agree_with_the_books(
    seed: int, widest: int, shift: float, escalates: bool
) -> None:
    """With every fill: hedge = short lots of the second market, no more than was held when it was sent; jumps change nothing."""
    mode = (
        {"recovery_mode": "ladder", "recovery_escalation": "hedge", "recovery_escalation_minutes": 5}
        if escalates
        else {}
    )
    bot = spec(stuck_distance="0.008", hedge_max_age_minutes=30, stop_loss="0.03", **mode)
    prices = [100.0]
    for one in random_steps(seed, 120, widest):
        prices.append(round(max(prices[-1] + one / 100, 50), 2))
    _, steps = play(bot, prices, shift)
    _, slow = play(bot, prices, shift, jump=False)
    assert [row for step in steps for row in step.journal] == [row for step in slow for row in step.journal]
    for step in steps:
        now = step.world.bots["r"]
        if now.state is None:
            continue
        held = total(slot.hedge.net for slot in now.state.slots if isinstance(slot, Holding) and slot.hedge is not None)
        assert now.beside[PERP].inventory == -held
        assert held <= D("0.2")
        told = bot.machine.restore(
            bot.plan, bot.machine.head(now.state),
            {i: bot.machine.place(bot.plan, now.state, i).data for i in range(bot.places)},
        )  # fmt: skip
        assert told == replace(now.state)
    last = steps[-1].world.bots["r"]
    spot = total(lot.qty for lot in last.lots.values() if lot.symbol != SWAP)
    assert -last.beside[PERP].inventory <= spot + D("0.1")
    assert_none_returns(bot, steps)


def assert_none_returns(bot: BotSpec, steps: list[Step]) -> None:
    """Assert that a hedge's leg, once withdrawn, is never wanted again: no place view has to name it for a restart."""
    before: set[str] = set()
    gone: set[str] = set()
    for step in steps:
        state = step.world.bots["r"].state
        if state is None:
            continue
        wanted = {leg.leg_id for leg in bot.machine.wants(bot.plan, state).values() if leg.role is Role.HEDGE}
        assert not wanted & gone
        gone |= before - wanted
        before = wanted


@pytest.mark.parametrize("prices", [[*FALL, 97, 95, *[96] * 3, *[101] * 3, 99], [*FALL, 97, 94.9, 101, 95, 101, 94]])
def test_a_stopped_bots_hedge_legs_never_come_back(prices: list[float]) -> None:
    """Flattened with a hedge standing, back above its stop price, stuck again: every hedge has numbers of its own."""
    bot = spec(max_orders=1, stop_price=96, stop_loss="0.10")
    _, steps = play(bot, prices)
    assert "STOP_PRICE" in {row.decision for step in steps for row in step.journal}
    assert_none_returns(bot, steps)
    assert steps[-1].world.bots["r"].beside[PERP].inventory == ZERO
