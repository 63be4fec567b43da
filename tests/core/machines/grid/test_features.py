"""Every row of the grid executor's feature list, by its name: docs/coverage.md links them."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from core.engine import Place
from core.engine.bot import level_state
from core.facts import Refusal
from core.lots import unrealized
from core.machines.grid.config import GridConfig, make_plan
from core.machines.grid.state import Closed
from core.market import Candle, Instrument, Intrabar
from core.series import ListSeries
from core.values import total
from tests.core.transcript import Script
from tests.core.worlds import T0, D, Run, account, grid, instrument, run, spec, swap, world

SEEN = ("NOT_ACTIVE", "OPEN_ORDER_PLACED", "OPEN_ORDER_FILLED", "CLOSE_ORDER_PLACED")


def candles(*closes: str) -> ListSeries:
    """Candles that go straight from one price to the next."""
    made: list[Candle] = []
    for index, (a, b) in enumerate(pairwise(closes)):
        one, two = D(a), D(b)
        made.append(Candle(T0 + timedelta(minutes=index), one, max(one, two), min(one, two), two, D(1)))
    return ListSeries(made, scale=2)


def played(*closes: str, rules: Instrument | None = None, **changes: Any) -> Run:
    """A grid run over a path of prices."""
    about = rules or instrument()
    ready = spec(grid(venue=about.venue, symbol=about.symbol, **changes), about)
    return run(world(ready), account(about), candles(*closes), jump=False, intrabar=Intrabar.ADAPTIVE)


def the_example() -> GridConfig:
    """The document's configuration, by its own names."""
    return GridConfig(
        id="doc", connector_name="binance", trading_pair="BTC-USDT", start_price=30000, end_price=40000,  # type: ignore[call-arg]
        total_amount_quote=1000, min_spread_between_orders=0.01, activation_bounds=0.02,  # type: ignore[arg-type]
    )  # fmt: skip


def rules_of_binance() -> Instrument:
    """Bitcoin's steps there."""
    return instrument(venue="binance", lot_step=D("0.00001"), min_qty=D("0.00001"), min_notional=D(5))


def test_example_usage_as_written() -> None:
    """Levels between 30,000 and 40,000; at most 1,000 deployed; a spread of 1 % or more; entries within 2 % only."""
    plan = make_plan(the_example(), rules_of_binance())
    assert plan.lines[0].entry_price == 30000
    assert plan.lines[-1].exit_price == 40000
    assert plan.capital_quote <= 1000
    assert all(
        b.entry_price - a.entry_price >= D("0.01") * plan.config.start_price - D("0.01")
        for a, b in pairwise(plan.lines)
    )
    ready = spec(the_example(), rules_of_binance())
    done = run(world(ready), account(rules_of_binance()), candles("35000", "35010"), jump=False)
    sent = [i.order for step, _ in done.steps for i in step.intents if isinstance(i, Place)]
    assert sent
    assert all(order.price is not None and order.price >= D("35000") * D("0.98") for order in sent)


@pytest.mark.parametrize("spacing", ["arithmetic", "geometric"])
def test_grid_generation_evenly_spaced_levels(spacing: str) -> None:
    """Equal steps, or equal ratios to within a tick."""
    lines = make_plan(grid(spacing=spacing, levels=8), instrument()).lines
    steps = [
        b.entry_price - a.entry_price if spacing == "arithmetic" else b.entry_price / a.entry_price
        for a, b in pairwise(lines)
    ]
    assert max(steps) - min(steps) <= D("0.01")


def test_grid_generation_each_level_has_amount_and_target() -> None:
    """Every level: a quantity above zero, and a target beyond its entry."""
    assert all(line.qty > 0 and line.exit_price > line.entry_price for line in make_plan(grid(), instrument()).lines)


@pytest.mark.parametrize(
    ("rules", "side"), [(instrument(), "BUY"), (swap(), "BUY"), (swap(), "SELL"), (swap(), "NEUTRAL")]
)
def test_grid_generation_spot_and_perpetual(rules: Instrument, side: str) -> None:
    """Long on spot; long, short and neutral on a swap: there and back earns its steps."""
    done = played("100", "96", "104", "96", "104", rules=rules, side=side)
    assert done.result.world.bots["g"].grid_profit > 0


def test_order_management_open_and_close_orders() -> None:
    """Entries and exits are placed, watched and replaced by the next cycle's."""
    done = played("101", "97.5", "102.5", "97.5")
    legs = [i.order.leg_id for step, _ in done.steps for i in step.intents if isinstance(i, Place)]
    assert {"e1-0", "x1-0", "e1-1"} <= set(legs)


def test_order_management_cancels_outside_activation_bounds() -> None:
    """An entry that the price leaves behind is withdrawn, with the reason."""
    done = played("101", "103.9", activation_bounds="0.02")
    rows = {row.view.place: row.reason for step, _ in done.steps for row in step.levels}
    assert rows[2] == "further than activation_bounds 0.02 of the price away"


def test_order_management_batches() -> None:
    """So many orders at once, so many seconds apart."""
    done = played("103.9", "103.9", "103.9", "103.9", max_orders_per_batch=2, order_frequency=60)
    times = [at for step, at in done.steps for i in step.intents if isinstance(i, Place)]
    assert [times.count(at) for at in sorted(set(times))] == [2, 2]
    assert max(times) - min(times) >= timedelta(seconds=60)


@pytest.mark.parametrize(
    ("barrier", "path", "word"),
    [
        ({"stop_loss": "0.02"}, ("101", "97.9", "95"), "STOP_LOSS"),
        ({"time_limit": 90}, ("101", "97.9", "98.5", "98.4"), "TIME_LIMIT"),
        (
            {"trailing_stop": {"activation": "0.005", "delta": "0.004"}},
            ("101", "99.9", "101.5", "100.6", "100.5"),
            "TRAILING_STOP",
        ),
    ],
)
def test_risk_management_triple_barrier(barrier: dict[str, Any], path: tuple[str, ...], word: str) -> None:
    """Stop loss, time limit and trailing stop close what is held and end the grid."""
    done = played(*path, triple_barrier=barrier, levels=2)
    bot = done.result.world.bots["g"]
    assert isinstance(bot.state.phase, Closed)
    assert bot.state.phase.word == word
    assert bot.inventory == 0


def test_risk_management_take_profit() -> None:
    """Each level leaves at its take profit; the whole bot at `bot_take_profit`."""
    done = played("101", "97.9", "99.5", exit="take_profit", triple_barrier={"take_profit": "0.005"})
    assert done.result.world.bots["g"].grid_profit > 0
    whole = played("101", "97.9", "104", "97.9", "104", bot_take_profit="0.3")
    assert whole.result.world.bots["g"].state.phase.word == "BOT_TAKE_PROFIT"


def test_risk_management_position_size_limit() -> None:
    """Never more than max_position_size, filled or resting."""
    done = played("103.9", "95", max_position_size="0.2")
    assert done.result.world.bots["g"].inventory == D("0.2")


def test_risk_management_max_open_orders() -> None:
    """Never more entries at a time than that."""
    done = played("103.9", "103.8", max_open_orders=2)
    assert len([w for w in done.result.world.bots["g"].works.values() if w.order is not None]) == 2


def test_state_management_five_states() -> None:
    """A level is seen in each of the four states, and COMPLETE is journalled as the cycle ends."""
    script = Script(grid(start_price=100, end_price=102, levels=1))
    seen = [row.state for row in script.price("101").levels]
    seen += [row.state for row in script.tell(script.accepted("g-test-e0-0-0")).levels]
    seen += [row.state for row in script.tell(script.fill("g-test-e0-0-0", "0.1", "100"), later_s=1).levels]
    seen += [row.state for row in script.tell(script.accepted("g-test-x0-0-0")).levels]
    assert seen == list(SEEN)
    assert level_state("Holding", None, None, "")[0] == "OPEN_ORDER_FILLED"
    done = played("101", "97.5", "102.5")
    assert "COMPLETE" in [row.decision for step, _ in done.steps for row in step.journal]


def test_performance_tracking_realised_unrealised_and_fees() -> None:
    """Realised, floating and fees are those of the fills, to the last digit."""
    done = played("101", "97.5", "100.5", "95.5")
    bot = done.result.world.bots["g"]
    cash = -total(fill.price * fill.qty * fill.side.sign for fill in done.fills)
    floating = total(unrealized(lot, D("95.5")) for lot in bot.lots.values())
    assert bot.realized + floating == cash + bot.inventory * D("95.5")
    assert bot.fees == total(fill.fee for fill in done.fills)


def test_performance_tracking_position_metrics() -> None:
    """Position, its cost and its mean price come from the lots."""
    bot = played("103.9", "95.5").result.world.bots["g"]
    assert bot.inventory == total(lot.qty for lot in bot.lots.values()) == D("0.4")
    assert bot.cost / bot.inventory == D(99)


def test_performance_tracking_filled_and_failed_orders() -> None:
    """Every order is a row with its status; a refusal keeps its reason."""
    script = Script(grid(start_price=100, end_price=102, levels=1))
    script.price("101")
    step = script.tell(script.refused("g-test-e0-0-0", Refusal.FUNDS, "not enough USDT"))
    assert [(order.status.value, order.reason) for order in step.orders] == [("REJECTED", "not enough USDT")]
    done = played("101", "97.5")
    assert "FILLED" in [order.status.value for one, _ in done.steps for order in one.orders]
