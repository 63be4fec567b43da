"""The kernel is the core, faster: the same fills to the last digit on any grid, path and latency, or a refusal."""

from hypothesis import event, given, settings

from core.values import ZERO
from tasks.errors import Refused
from tasks.kernel_run import sums_of
from tests.core.kernel_runs import KernelScenario, scenarios, told
from tests.core.worlds import floating

EXAMPLES = settings(max_examples=150, deadline=None)


def compare(scenario: KernelScenario) -> None:
    """Run both engines and hold fills and sums against each other; a refusal is an answer too."""
    try:
        fast = scenario.kernel()
    except Refused as refused:
        event(refused.reason[:70])
        return
    event("compared")
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
