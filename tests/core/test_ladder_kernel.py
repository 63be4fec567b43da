"""The ladder's kernel is the core, faster: the same fills to the last digit on any ladder, path and latency, or a refusal."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core import grid_table as gt
from core import ladder_kernel as lk
from core.machines.ladder.config import PlanRefused
from tasks import kernel_native
from tasks.kernel_ladder import levels_of, parameters_of, units_of
from tasks.kernel_tables import columns_of
from tests.core.kind_runs import KindScenario, compare, options, walks
from tests.core.machines.ladder.ladders import ladder, spec_of
from tests.core.worlds import D, instrument, swap

EXAMPLES = settings(max_examples=120, deadline=None)


@st.composite
def scenarios(draw: st.DrawFn, latencies: tuple[float, ...] = (0.0, 0.5, 6.0, 7.3, 20.0, 70.0)) -> KindScenario:
    """Ladders around 100 with every option that the kernel takes, on spot and on a swap."""
    fees = {
        "maker": D(draw(st.sampled_from(["0.0002", "0", "-0.0001"]))),
        "taker": D(draw(st.sampled_from(["0.0005", "0"]))),
        "tick_size": D(draw(st.sampled_from(["0.01", "0.01", "0.05"]))),  # prices may lie between the ticks
    }
    rules = swap(**fees) if draw(st.booleans()) else instrument(**fees)
    normal = draw(st.booleans())
    wanted = {
        "venue": rules.venue, "symbol": rules.symbol, "distribution": "normal" if normal else "linear",
        "min_price": draw(st.sampled_from([90, 97, 99])), "max_price": draw(st.sampled_from([101, 103, 110])),
        "count": draw(st.integers(1, 14)), "profit": draw(st.sampled_from(["0.0007", "0.002", "0.01", "0.03"])),
        "mean": 100 if normal and draw(st.booleans()) else None, "loop": draw(st.booleans()),
        "above_market": draw(st.sampled_from(["wait", "enter"])),
        "maker_offset_buy": draw(st.sampled_from([0, "0.05", "0.4", "0.123"])),
        "maker_offset_sell": draw(st.sampled_from([0, "0.05", "0.4", "1.234"])),
    }  # fmt: skip
    config = ladder(**wanted)
    try:
        made = spec_of(config, rules)
    except PlanRefused:
        config = ladder(venue=rules.venue, symbol=rules.symbol, loop=True)
        made = spec_of(config, rules)
    start = draw(st.sampled_from([10_000, 9_700, 10_300]))
    how = replace(draw(options(latencies)), slippage=D(draw(st.sampled_from(["0", "0.01"]))))
    return KindScenario(config, made, how, draw(walks()), start)


@EXAMPLES
@given(scenarios(latencies=(0.0,)))
def test_fills_and_sums_are_the_cores_without_latency(scenario: KindScenario) -> None:
    """Every fill with its time, ids, price and fee, and every sum, on any ladder the kernel takes."""
    compare(scenario)


@EXAMPLES
@given(scenarios(latencies=(0.5, 6.0, 7.3, 20.0, 70.0)))
def test_fills_and_sums_are_the_cores_with_latency(scenario: KindScenario) -> None:
    """The same where orders travel, expire on arrival, are moved and called back."""
    compare(scenario)


@settings(max_examples=40, deadline=None)
@given(scenarios())
def test_machine_code_is_the_source(scenario: KindScenario) -> None:
    """The kernel as plain Python and as machine code leave the same log and the same scalars."""
    made, found = scenario.spec, []
    units = units_of(made, 2)
    columns = columns_of(scenario.series, "1m", units.price_scale)
    for run in (lambda c, *rest: lk.run_ladder(*c, *rest), kernel_native.run_ladder):
        g, s = levels_of(made.plan, units), np.zeros(gt.SCALARS, dtype=np.int64)
        due = np.zeros((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
        log = np.zeros((4096, gt.FILL_COLUMNS), dtype=np.int64)
        status = run(columns.all, parameters_of(made, scenario.options, units, columns, g), s, g, due, log)
        found.append((status, s, log[: s[gt.S_FILLS]]))
    assert found[0][0] == found[1][0]
    assert np.array_equal(found[0][1], found[1][1])
    assert np.array_equal(found[0][2], found[1][2])
