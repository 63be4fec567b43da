"""The kernel is the core, faster: the same fills to the last digit on any grid, path and latency, or a refusal."""

from typing import Any

import pytest
from hypothesis import event, given, settings

from core import grid_table as gt
from core.values import ZERO
from tasks.backtesting import Options
from tasks.errors import Refused
from tasks.kernel_run import KernelRun, sums_of
from tests.core.grids import Walk
from tests.core.kernel_runs import KernelScenario, scenarios, told
from tests.core.worlds import SWAP, floating, grid, instrument, swap

EXAMPLES = settings(max_examples=150, deadline=None)


def compare(scenario: KernelScenario) -> None:
    """Run both engines and hold fills and sums against each other; a refusal is an answer too."""
    try:
        fast = scenario.kernel()
    except Refused as refused:
        event(refused.reason[:70])
        return
    event("compared")
    hold(scenario, fast)


def hold(scenario: KernelScenario, fast: KernelRun) -> None:
    """Hold a kernel's run against the core's."""
    slow = scenario.core()
    fills = [fill for step, _ in slow.steps for _, fill in step.fills]
    assert told(fast.fills()) == told(fills)
    bot = slow.result.world.bots[scenario.config.id]
    sums = sums_of(fast)
    closed = [lot for step, _ in slow.steps for lot in step.lots if not lot.open]
    assert sums.realized == bot.realized
    assert sums.grid_profit == bot.grid_profit
    assert sums.fees == bot.fees
    assert sums.round_trips == bot.round_trips == len(closed)
    assert sums.won == sum(1 for lot in closed if lot.realized - lot.fees > ZERO)
    assert sums.floating == floating([bot], slow.result.account.prices[scenario.rules.symbol])


@EXAMPLES
@given(scenarios(latencies=(0.0,)))
def test_fills_and_sums_are_the_cores_without_latency(scenario: KernelScenario) -> None:
    """Every fill with its time, ids, price and fee, and every sum, on any grid the kernel takes."""
    compare(scenario)


@EXAMPLES
@given(scenarios(latencies=(0.5, 6.0, 7.3, 20.0, 70.0)))
def test_fills_and_sums_are_the_cores_with_latency(scenario: KernelScenario) -> None:
    """The same where orders travel, expire on arrival, are moved behind the touch and called back."""
    compare(scenario)


BARRIERS: list[tuple[int, dict[str, Any]]] = [
    (gt.HIT_LIMIT, {"limit_price": 96}),
    (gt.HIT_STOP, {"triple_barrier": {"stop_loss": "0.004"}}),
    (gt.HIT_BOT_STOP, {"bot_stop_loss": "1.07"}),
    (gt.HIT_TIME, {"triple_barrier": {"time_limit": 3000}}),
    (gt.HIT_TRAIL, {"triple_barrier": {"trailing_stop": {"activation": "0.0047", "delta": "0.0031"}}}),
    (gt.HIT_BOT_TAKE, {"bot_take_profit": "1.07"}),
    (gt.HIT_RANGE, {"on_range_exit": "close"}),
    (gt.HIT_RANGE, {"on_range_exit": "hold"}),
]


@pytest.mark.parametrize("latency_s", [0, 7.3])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize(("barrier", "fields"), BARRIERS)
def test_every_barrier_fires_as_in_the_core(barrier: int, fields: dict[str, Any], side: str, latency_s: float) -> None:
    """On some of twenty walks each barrier ends a grid on either side, and what the kernel makes of it is the core's."""
    ends = []
    if side == "SELL" and "limit_price" in fields:
        fields = {"limit_price": 104}
    for seed in range(20):
        config = grid(
            side=side, symbol=SWAP, venue="perp", start_price=97, end_price=103, levels=12,
            initial_inventory="market", **fields,
        )  # fmt: skip
        options = Options(latency_s=latency_s, engine="kernel")
        scenario = KernelScenario(config, swap(), options, Walk(seed, 400, 40))
        fast = scenario.kernel()
        hold(scenario, fast)
        ends.append(int(fast.scalars[gt.S_CLOSED]))
    assert set(ends) <= {gt.NO_BARRIER, barrier}
    assert ends.count(barrier) >= 3


@pytest.mark.parametrize("latency_s", [0, 7.3, 70])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
@pytest.mark.parametrize(
    "fields",
    [
        {"max_open_orders": 3},
        {"max_open_orders": 2, "initial_inventory": "none"},
        {"activation_bounds": "0.004"},
        {"activation_bounds": ("0.011", "0.004")},
        {"order_frequency": 600},
        {"max_orders_per_batch": 2, "order_frequency": 300},
        {"max_open_orders": 5, "max_orders_per_batch": 1, "order_frequency": 30, "activation_bounds": "0.011"},
    ],
    ids=str,
)
def test_levels_are_chosen_as_in_the_core(fields: dict[str, Any], side: str, latency_s: float) -> None:
    """Bounds, caps and batches: what they let in is the core's choice on twenty walks, and not what a plain grid trades."""
    others = 0
    for seed in range(20):
        runs: list[KernelRun] = []
        for chosen in (fields, {}):
            config = grid(side=side, symbol=SWAP, venue="perp", start_price=97, end_price=103, levels=12, **chosen)
            options = Options(latency_s=latency_s, engine="kernel")
            scenario = KernelScenario(config, swap(), options, Walk(seed, 400, 40))
            runs.append(scenario.kernel())
            hold(scenario, runs[-1])
        others += told(runs[0].fills()) != told(runs[1].fills())
    assert others >= 10


def test_more_batches_in_a_moment_than_the_engine_goes_through_are_refused() -> None:
    """Seventy levels one by one without a pause or a latency: the core stops at sixty-four rounds, so this is its to do."""
    config = grid(start_price=90, end_price=110, levels=70, max_orders_per_batch=1)
    with pytest.raises(Refused, match="too many batches"):
        KernelScenario(config, instrument(), Options(latency_s=0, engine="kernel"), Walk(1, 80, 40)).kernel()
