"""The rolling grid's kernel is the core, faster: the same fills on any bot, path and latency, or a refusal that says why."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core import grid_table as gt
from core import rolling_kernel
from core import rolling_table as rt
from core.machines.rolling_grid.config import PlanRefused
from tasks import kernel_native
from tasks.kernel_rolling import levels_of, parameters_of, units_of
from tasks.kernel_tables import columns_of
from tests.core.kind_runs import KindScenario, compare, options, walks
from tests.core.machines.rolling_grid.bots import ready, rolling
from tests.core.worlds import D, instrument, swap

EXAMPLES = settings(max_examples=150, deadline=None)


@st.composite
def scenarios(
    draw: st.DrawFn, latencies: tuple[float, ...] = (0.0, 0.5, 6.0, 7.3, 20.0, 70.0), *, hasty: bool = False
) -> KindScenario:
    """Bots around 100 with every option that the kernel takes, long on spot, long and short on a swap.

    `hasty` ones give entries up at once and enter again while those are still to be called back.
    """
    fees = {
        "maker": D(draw(st.sampled_from(["0.0002", "0", "-0.0001"]))),
        "taker": D(draw(st.sampled_from(["0.0005", "0"]))),
        "tick_size": D(draw(st.sampled_from(["0.01", "0.01", "0.05"]))),  # prices may lie between the ticks
    }
    least = D(draw(st.sampled_from([1, 1, 1, "9.95"])))
    rules = swap(**fees, min_notional=least) if draw(st.booleans()) else instrument(**fees, min_notional=least)
    sell = rules.swap and draw(st.booleans())
    wanted = {
        "venue": rules.venue, "symbol": rules.symbol, "direction": "sell" if sell else "buy",
        "take_profit": draw(st.sampled_from(["0.0006", "0.002", "0.01"])),
        "grid_step": draw(st.sampled_from(["0", "0.0007", "0.002"])), "max_orders": draw(st.integers(1, 8)),
        "wait_time": draw(st.sampled_from([0, 30, 60, 200.5])), "max_margin": draw(st.sampled_from([100, 102, 1000])),
        "leverage": draw(st.sampled_from([1, 3])) if rules.swap else 1,
        "stop_loss_enabled": draw(st.sampled_from([True, True, False])),
        "stop_loss": draw(st.sampled_from(["0.005", "0.01", "0.02"])),
        "position_timeout_minutes": 5, "stuck_distance": draw(st.sampled_from(["0.006", "0.03"])),
        "recovery_mode": draw(st.sampled_from(["none", "none", "ladder", "aggressive"])),
        "recovery_escalation": draw(st.sampled_from(["alert", "alert", "market"])),
        "pause_price": draw(st.sampled_from([None, None, "99.7" if sell else "100.3"])),
        "pause_hysteresis": draw(st.sampled_from(["0.001", "0.00033"])),
        "requotes": draw(st.integers(0, 4)), "requote_after": draw(st.sampled_from([1, 10, 30])),
        "post_only_ticks": draw(st.sampled_from([1, 2, 20])), "price_source": draw(st.sampled_from([None, "last", "mid"])),
    }  # fmt: skip
    if hasty:
        wanted |= {"requotes": 0, "requote_after": 1, "wait_time": 0, "grid_step": "0", "recovery_mode": "none"}
    config = rolling(**wanted)
    try:
        made = ready(config, rules)
    except PlanRefused:
        config = rolling(venue=rules.venue, symbol=rules.symbol, recovery_mode="none")
        made = ready(config, rules)
    return KindScenario(config, made, draw(options(latencies)), draw(walks()))


@EXAMPLES
@given(scenarios(latencies=(0.0,)))
def test_fills_and_sums_are_the_cores_without_latency(scenario: KindScenario) -> None:
    """Every fill with its time, ids, price and fee, and every sum, on any bot the kernel takes."""
    compare(scenario)


@EXAMPLES
@given(scenarios(latencies=(0.5, 6.0, 7.3, 20.0, 70.0)))
def test_fills_and_sums_are_the_cores_with_latency(scenario: KindScenario) -> None:
    """The same where orders travel, expire on arrival, are priced anew, given up and filled nevertheless."""
    compare(scenario)


@settings(max_examples=100, deadline=None)
@given(scenarios(latencies=(20.0, 45.0, 70.0), hasty=True))
def test_entries_that_are_filled_after_all_are_the_cores(scenario: KindScenario) -> None:
    """Places that hold two lots, at their mean price, with exits that grow, shrink and are stopped."""
    compare(scenario)


@settings(max_examples=40, deadline=None)
@given(scenarios())
def test_machine_code_is_the_source(scenario: KindScenario) -> None:
    """The kernel as plain Python and as machine code leave the same log and the same scalars."""
    made, found = scenario.spec, []
    units = units_of(made, 2)
    columns = columns_of(scenario.series, "1m", units.price_scale)
    for run in (lambda c, *rest: rolling_kernel.run_rolling(*c, *rest), kernel_native.run_rolling):
        g, s = levels_of(made.plan, units), np.zeros(rt.ROLLING_SCALARS, dtype=np.int64)
        due = np.zeros((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
        log = np.zeros((4096, gt.FILL_COLUMNS), dtype=np.int64)
        status = run(columns.all, parameters_of(made, scenario.options, units, columns, g), s, g, due, log)
        found.append((status, s, log[: s[gt.S_FILLS]]))
    assert found[0][0] == found[1][0]
    assert np.array_equal(found[0][1], found[1][1])
    assert np.array_equal(found[0][2], found[1][2])
