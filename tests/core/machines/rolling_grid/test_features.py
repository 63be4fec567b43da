"""Every row of document 002's feature list by its name: docs/coverage.md links them. Minutes open where the last closed."""

from datetime import timedelta
from typing import Any

import pytest

from core.engine import Bot
from core.machine import LegFilled, View
from core.machines.rolling_grid import machine
from core.machines.rolling_grid.config import RollingGridConfig, make_plan, prepare
from core.machines.rolling_grid.entries import cooldown_s
from core.machines.rolling_grid.lots import lot_at
from core.machines.rolling_grid.state import Closing, Entering, Free, Holding, Laddered, RollingGridState, Rung
from core.market import Candle
from core.orders import Role
from core.series import ListSeries
from core.values import ZERO, Side
from tests.core.machines.rolling_grid.bots import ready, rolling
from tests.core.worlds import T0, D, Run, account, instrument, quote, run, swap, world

# Its configuration file, with the names, percents and words that it uses.
DOCUMENT = {
    "id": "r", "strategy": "grid", "exchange": "perp", "ticker": "BTC", "direction": "buy", "quantity": "0.1",
    "take_profit": "0.008", "grid_step": "0.002", "max_orders": 25, "wait_time": 10, "max_margin_usd": "5000",
    "stop_loss_enabled": True, "stop_loss_percentage": "2.0", "position_timeout_minutes": 60, "recovery_mode": "ladder",
    "max_position_size": "10",
}  # fmt: skip


def played(prices: list[float], **changes: Any) -> Run:
    """A run over these closes, at a touch without latency."""
    rules = changes.pop("rules", None) or instrument()
    rows: list[Candle] = []
    before = D(str(prices[0]))
    for i, price in enumerate(prices):
        now = D(str(price))
        rows.append(Candle(T0 + timedelta(minutes=i), before, max(before, now), min(before, now), now, D(1)))
        before = now
    start = world(ready(rolling(venue=rules.venue, symbol=rules.symbol, **changes), rules))
    return run(start, account(rules), ListSeries(rows, scale=2), long=changes.get("direction") != "sell")


def decided(made: Run) -> list[str]:
    """The journal's decisions, in order."""
    return [row.decision for _, row in made.record["journal"]]


def bot_of(made: Run) -> Bot:
    """The bot as it ended."""
    return made.result.world.bots["r"]


def legs_of(made: Run) -> list[Any]:
    """The legs that it wants at the end."""
    bot = bot_of(made)
    spec = made.result.world.specs["r"]
    return list(spec.machine.wants(spec.plan, bot.state).values())


def test_configuration_of_the_document_with_its_defaults() -> None:
    """Its own names and percents are taken; stop loss 2 %, timeout 60 min, ladder of 1.5, 3 and 4.5 % are the defaults."""
    config = RollingGridConfig(**DOCUMENT)
    assert (config.symbol, config.venue, config.stop_loss) == ("BTC/USDT:USDT", "perp", D("0.02"))
    plain = rolling()
    assert (plain.stop_loss, plain.position_timeout_minutes, plain.recovery_mode) == (D("0.02"), 60, "ladder")
    assert plain.recovery_rungs == (D("0.015"), D("0.03"), D("0.045"))


@pytest.mark.parametrize(
    "changes",
    [
        {"position_timeout_minutes": 4}, {"position_timeout_minutes": 1441}, {"stop_loss": "0.004"}, {"stop_loss": "0.11"},
        {"max_margin": 99}, {"max_margin": 1_000_001}, {"max_orders": 0}, {"take_profit": "0.3"},
        {"max_position_size": "0.05"}, {"recovery_mode": "hedge"}, {"stop_loss": "0.02", "stop_loss_percentage": 2},
        {"stop_price": 110, "pause_price": 105},
    ],
)  # fmt: skip
def test_configuration_bounds(changes: dict[str, Any]) -> None:
    """What lies outside the document's bounds, or contradicts itself, is refused under its name."""
    # A hedge without a second market is refused under the field that would name it.
    word = "hedge_symbol" if "recovery_mode" in changes else next(iter(changes))
    with pytest.raises(ValueError, match=word):
        rolling(**changes)


def test_unreachable_recovery_is_one_warning_with_a_value_that_works() -> None:
    """With the document's own numbers the stop loss always fires first; a stuck distance below 2.78 % works."""
    rules = swap()
    told = prepare(RollingGridConfig(**DOCUMENT), {rules.market: rules}).warnings
    assert len(told) == 1
    assert "0.0277" in told[0]
    nearer = RollingGridConfig(**DOCUMENT, stuck_distance="0.02")
    assert prepare(nearer, {rules.market: rules}).warnings == ()


def test_one_entry_in_flight_post_only_behind_the_touch() -> None:
    """One entry rests two ticks below the ask; no second goes out before it has filled or is given up."""
    made = played([100, 100, 100])
    legs = legs_of(made)
    assert len(legs) == 1
    assert legs[0].post_only
    assert legs[0].price == D("99.98")
    assert sum(isinstance(slot, Entering) for slot in bot_of(made).state.slots) == 1


def test_every_place_without_an_order_says_why() -> None:
    """Free places name what keeps the next entry back, or the one that comes first."""
    made = played([100, 100, 100])
    spec = made.result.world.specs["r"]
    shown = [spec.machine.place(spec.plan, bot_of(made).state, index) for index in range(4)]
    assert [one.reason for one in shown] == ["", "one entry at a time", *["entries take the first free place"] * 2]


def test_fixed_take_profit_rests_from_the_first_fill() -> None:
    """What was bought is offered one target above its price, post-only."""
    made = played([100, 99.9, 99.9], max_orders=1)
    exits = [leg for leg in legs_of(made) if leg.role is Role.EXIT]
    assert [(leg.price, leg.qty, leg.post_only) for leg in exits] == [(D("100.98"), D("0.1"), True)]


def test_grid_step_keeps_lots_apart() -> None:
    """The next entry waits until its exit would lie a grid step below the nearest one; the reason says so."""
    near = played([100, 99.95, 99.95, 99.95], grid_step="0.005")
    assert sum(isinstance(slot, Holding) for slot in bot_of(near).state.slots) == 1
    assert "grid_step" in bot_of(near).state.why_not
    far = played([100, 99.95, 99.95, 99.2, 99.0, 99.0], grid_step="0.005")
    assert sum(isinstance(slot, Holding) for slot in bot_of(far).state.slots) == 2


@pytest.mark.parametrize(
    ("lots", "wait"), [(0, 25), (1, 25), (2, 50), (3, 50), (4, 100), (7, 100), (8, 200), (12, 200)]
)
def test_dynamic_cooldown_by_density(lots: int, wait: float) -> None:
    """Of twelve places: a quarter, half, the whole and twice the wait."""
    assert cooldown_s(100, lots, 12) == wait


def test_cooldown_is_waited_for() -> None:
    """The next entry comes no earlier, though the grid step would let it."""
    made = played([100, 99.9, 99.0, 98.5, 98.4], wait_time=100_000, stop_loss="0.10")
    assert sum(isinstance(slot, Holding) for slot in bot_of(made).state.slots) == 1
    assert bot_of(made).state.why_not.startswith("cooldown until")


def test_max_orders_is_never_passed() -> None:
    """Two places hold two lots; the reason of the third is the limit."""
    made = played([100, 99.9, 99.0, 98, 97.5, 97, 96.5], max_orders=2, stop_loss="0.10")
    assert len(bot_of(made).lots) == 2
    assert bot_of(made).state.why_not == "max_orders 2 is reached"


def test_max_margin_counts_lots_and_leverage() -> None:
    """100 of margin carry ten lots of ten at leverage one and twenty at two."""
    falling = [100 - i / 2 for i in range(60)]
    how: dict[str, Any] = {"max_margin": 100, "max_orders": 50, "stop_loss_enabled": False, "quantity": "0.1"}
    once = bot_of(played(falling, rules=swap(), **how))
    twice = bot_of(played(falling, rules=swap(), leverage=2, **how))
    assert ZERO < once.cost <= 100 < twice.cost <= 200
    assert "max_margin" in once.state.why_not


def test_max_position_size_is_never_passed() -> None:
    """Three lots and no more."""
    made = played([100 - i / 2 for i in range(30)], max_position_size="0.3", max_orders=20, stop_loss_enabled=False)
    assert bot_of(made).inventory == D("0.3")


def test_stop_loss_per_lot() -> None:
    """Each lot is closed at the market past its own 2 %; the other lot stays."""
    made = played([100, 99.9, 99.0, 98.8, 97.95, 97.95, 97.95], wait_time=0, max_orders=2)
    assert decided(made).count("STOP_LOSS") == 1
    left = [slot for slot in bot_of(made).state.slots if isinstance(slot, Holding)]
    assert len(left) >= 1
    assert all(slot.lot.stop is not None and slot.lot.stop < D("97.95") for slot in left)


def test_stop_price_flattens_and_latches() -> None:
    """Everything is closed, and no entry follows though the price comes back, until a person releases the bot."""
    made = played([100, 99.9, 99.0, 95, 95, 101, 101], stop_price=96, stop_loss="0.10", stop_loss_enabled=False)
    assert "STOP_PRICE" in decided(made)
    assert bot_of(made).inventory == ZERO
    assert bot_of(made).mode.value != "run"
    assert not [leg for leg in legs_of(made) if leg.role is Role.ENTRY and bot_of(made).works[leg.leg_id].order]


def test_pause_price_stops_entries_only() -> None:
    """Beyond it nothing is entered, what is held stays offered; below it, less the hysteresis, entries go on."""
    made = played([100, 99.9, 100.6, 100.6], pause_price="100.5", max_orders=4)
    assert "PAUSE_PRICE" in decided(made)
    assert [leg.role for leg in legs_of(made)] == [Role.EXIT]
    back = played([100, 99.9, 100.6, 100.45, 100.2, 99.5], pause_price="100.5", max_orders=4)
    assert "PAUSE_OVER" in decided(back)


STUCK = [100, 99.9, *[98.6] * 8]


def test_stuck_lots_are_found_by_age_and_distance() -> None:
    """Older than the timeout and farther than the distance, both; near or young ones are left alone."""
    how: dict[str, Any] = {"position_timeout_minutes": 5, "stuck_distance": "0.02", "max_orders": 1}
    assert "STUCK" in decided(played(STUCK, **how))
    assert "STUCK" not in decided(played(STUCK[:6], **how))
    assert "STUCK" not in decided(played([100, 99.9, *[99.5] * 8], **how))


def test_recovery_aggressive_closes_at_the_market() -> None:
    """The stuck lot is gone within the tick."""
    how: dict[str, Any] = {"position_timeout_minutes": 5, "stuck_distance": "0.02", "max_orders": 1}
    made = played(STUCK, recovery_mode="aggressive", wait_time=100_000, **how)
    assert bot_of(made).inventory == ZERO
    assert bot_of(made).realized < ZERO


def test_recovery_ladder_lays_three_rungs_never_beyond_the_target() -> None:
    """1.5, 3 and 4.5 % above the price of then; the original target is the highest that any may be."""
    how: dict[str, Any] = {"position_timeout_minutes": 5, "stuck_distance": "0.02", "max_orders": 1}
    made = played(STUCK, **how)
    slot = bot_of(made).state.slots[0]
    assert isinstance(slot, Holding)
    assert isinstance(slot.leaving, Laddered)
    assert [rung.price for rung in slot.leaving.rungs] == [D("100.08"), D("100.98")]
    assert sum(rung.qty for rung in slot.leaving.rungs) == D("0.1")


def test_recovery_none_leaves_the_lot_at_its_target() -> None:
    """It stays offered where it was."""
    how: dict[str, Any] = {"position_timeout_minutes": 5, "stuck_distance": "0.02", "max_orders": 1}
    made = played(STUCK, recovery_mode="none", **how)
    slot = bot_of(made).state.slots[0]
    assert isinstance(slot, Holding)
    assert not isinstance(slot.leaving, Laddered | Closing)


def test_position_health() -> None:
    """Healthy, warning while a lot is recovered, critical once one had to escalate."""
    how: dict[str, Any] = {"position_timeout_minutes": 5, "stuck_distance": "0.02", "max_orders": 1}
    assert bot_of(played(STUCK[:4], **how)).state.health == "healthy"
    assert bot_of(played(STUCK, **how)).state.health == "warning"
    later = played([*STUCK, *[98.6] * 10], recovery_escalation_minutes=5, **how)
    assert bot_of(later).state.health == "critical"
    assert "ESCALATED" in decided(later)


def test_grid_trade_line_in_the_journal() -> None:
    """Every opening and closing is a GRID_TRADE line with size, entry, exit, profit and duration."""
    made = played([100, 99.9, 101.2, 101.2], max_orders=1)
    told = [row.reason for _, row in made.record["journal"] if row.decision == "GRID_TRADE"]
    assert "Action=open" in told[0]
    closed = next(text for text in told if "Action=close" in text)
    for word in ("Size=0.1", "Entry=99.98", "Exit=100.98", "PnL=", "Duration="):
        assert word in closed


def test_short_side_is_the_mirror() -> None:
    """On a swap a sell bot sells two ticks above the bid and buys back one target lower."""
    made = played([100, 100.1, 100.1], rules=swap(), direction="sell", max_orders=1)
    exits = [leg for leg in legs_of(made) if leg.role is Role.EXIT]
    assert [(leg.side, leg.price, leg.reduce_only) for leg in exits] == [(Side.BUY, D("99.01"), True)]


def test_nothing_is_random() -> None:
    """The same prices give the same journal, order for order."""
    first, second = played(STUCK, max_orders=3), played(STUCK, max_orders=3)
    assert first.record == second.record


def test_a_short_on_spot_is_refused() -> None:
    """A sell bot opens shorts and needs a swap venue."""
    with pytest.raises(ValueError, match="swap venue"):
        make_plan(rolling(direction="sell"), {instrument().market: instrument()})


def test_rungs_never_offer_more_than_is_held() -> None:
    """A rung whose order was to be made smaller is filled whole before that: the others give way by what it took too much."""
    plan = ready(rolling(stop_loss_enabled=False)).plan
    ladder = Laddered(
        (Rung(9, D("99.5"), D("0.04")), Rung(10, D(100), D("0.01")))
    )  # the order of the second is of 0.03
    held = Holding(10, lot_at(plan, 1, D("0.05"), D("99.9"), T0), ladder)
    fill = LegFilled("x0-10", Role.EXIT, "0-10", D("0.03"), D("0.03"), D(100), T0, Side.SELL)
    at = View(T0, T0, quote("99.4"), D("99.4"), D("99.4"), plan.instrument, D("0.52"), D(52), ZERO)
    after = machine.step(plan, RollingGridState((held, *[Free(0)] * 3)), (fill,), at).state
    left = [leg.qty for leg in machine.wants(plan, after).values() if leg.leg_id.startswith("x0-9")]
    assert left == [D("0.02")]
