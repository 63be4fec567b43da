"""Lots closed in parts are counted as the core counts them."""

from hypothesis import event, given, settings

from core.values import ZERO
from tasks.errors import Refused
from tasks.kernel_lots import booked
from tasks.kernel_run import sums_of
from tests.core.kernel_runs import KernelScenario, scenarios, told


def stops(scenario: KernelScenario) -> bool:
    """Whether a barrier may end the grid."""
    barriers = scenario.config.triple_barrier
    return barriers.stop_loss is not None or barriers.time_limit is not None


@settings(max_examples=80, deadline=None)
@given(scenarios(latencies=(20.0, 45.0, 70.0, 130.0)).filter(stops))
def test_a_closing_in_parts_gives_the_cores_sums(scenario: KernelScenario) -> None:
    """With cancels minutes on their way the free part is sold first, exits race it, and both engines sum up the same."""
    try:
        fast = scenario.kernel()
    except Refused as refused:
        event(refused.reason[:70])
        return
    slow = scenario.core()
    assert told(fast.fills()) == told([fill for step, _ in slow.steps for _, fill in step.fills])
    sums, bot = sums_of(fast), slow.result.world.bots[scenario.config.id]
    parts = sum(1 for row in fast.log if row[2] < 0)
    event(f"{min(parts, 3)} closing orders")
    assert (sums.realized, sums.grid_profit, sums.round_trips) == (bot.realized, bot.grid_profit, bot.round_trips)


@settings(max_examples=30, deadline=None)
@given(scenarios(latencies=(0.0,)))
def test_the_short_way_counts_what_the_long_one_books(scenario: KernelScenario) -> None:
    """Sums over levels and fills booked into lots one by one are the same amounts."""
    try:
        made = scenario.kernel()
    except Refused as refused:
        event(refused.reason[:70])
        return
    sums, lots = sums_of(made), booked(made.fills(), ZERO, lambda _fill, _lot: False)
    assert (sums.realized, sums.grid_profit) == (lots.realized, lots.grid_profit)
    assert (sums.round_trips, sums.won) == (lots.trips, lots.won)
