"""The rolling grid's kernel is the core, faster: the same fills on any bot, path and latency, or a refusal that says why."""

from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core import grid_table as gt
from core import rolling_kernel
from core import rolling_lots_kernel as books
from core import rolling_table as rt
from core.machines.rolling_grid.config import PlanRefused
from core.values import share_of_cost
from tasks import kernel_native
from tasks.kernel_rolling import levels_of, parameters_of, units_of
from tasks.kernel_tables import columns_of
from tests.core.kind_runs import KindScenario, compare, options, walks
from tests.core.machines.rolling_grid.bots import ready, rolling
from tests.core.worlds import D, instrument, swap

EXAMPLES = settings(max_examples=150, deadline=None)
LATENCIES = (0.0, 0.5, 6.0, 7.3, 20.0, 70.0)
# Recovery that begins within the few bars of a walk: two rungs that are always apart, many, or none short of the exit.
STUCK: dict[str, st.SearchStrategy[Any]] = {
    "stuck_distance": st.sampled_from(["0.001", "0.003", "0.006"]), "stop_loss_enabled": st.booleans(),
    "recovery_mode": st.sampled_from(["none", "ladder", "ladder", "ladder", "aggressive"]),
    "recovery_escalation": st.sampled_from(["alert", "market"]),
    "recovery_escalation_minutes": st.sampled_from([5, 7, 30]), "recovery_patience_minutes": st.sampled_from([1, 2, 5]),
    "recovery_rungs": st.sampled_from(
        [("0.0005", "0.002"), ("0.0007", "0.00133", "0.0021", "0.006"), tuple(f"0.000{i}" for i in range(1, 10)), ("0.03",)]
    ),
    "recovery_loss_budget": st.sampled_from([None, None, "0.5", "0.1", "0.333"]),
    "max_slippage_bps": st.sampled_from([5, 50, 200]),
}  # fmt: skip


@st.composite
def scenarios(
    draw: st.DrawFn, latencies: tuple[float, ...] = LATENCIES, *, hasty: bool = False, recovers: bool = False,
    stops: bool = False,
) -> KindScenario:  # fmt: skip
    """Bots around 100 with every option that the kernel takes, long on spot, long and short on a swap.

    `hasty` ones give entries up at once and enter again while those are still to be called back, lots of those that
    `recovers` get stuck soon, and those that `stops` have a stop price on either side.
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
    if recovers:
        wanted |= draw(st.fixed_dictionaries(STUCK))
    if stops:
        wanted |= {"stop_price": draw(st.sampled_from(["98.4", "99.71", "100.153", "101.9"])), "pause_price": None}
        wanted["stop_side"] = "below" if D(wanted["stop_price"]) < 100 else "above"
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


@settings(max_examples=100, deadline=None)
@given(scenarios(recovers=True))
def test_lots_that_get_stuck_are_recovered_as_the_core_does(scenario: KindScenario) -> None:
    """Ladders laid and laid anew, closings within a budget, escalations: parts of lots at the core's prices and times."""
    compare(scenario)


@settings(max_examples=100, deadline=None)
@given(scenarios(latencies=(0.0, 7.3, 45.0), stops=True) | scenarios(hasty=True, stops=True, recovers=True))
def test_everything_is_closed_at_the_stop_price(scenario: KindScenario) -> None:
    """One unwinding of all, exits and late entries on their way included, and nothing entered after it."""
    compare(scenario)


@settings(max_examples=60, deadline=None)
@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_share_of_a_fee_is_the_ledgers(fee: int, part: int, more: int) -> None:
    """Floored to 18 decimals, and what it leaves is the rest to the last of them."""
    whole = part + more
    share, fine = books._share(fee, part, whole)
    wanted = share_of_cost(Decimal(fee).scaleb(-8), Decimal(part), Decimal(whole))
    assert Decimal(share).scaleb(-8) + Decimal(fine).scaleb(-18) == wanted
    left, fine_left = books._without(fee, 0, share, fine)
    assert Decimal(left).scaleb(-8) + Decimal(fine_left).scaleb(-18) == Decimal(fee).scaleb(-8) - wanted


@settings(max_examples=40, deadline=None)
@given(scenarios() | scenarios(recovers=True, stops=True))
def test_machine_code_is_the_source(scenario: KindScenario) -> None:
    """The kernel as plain Python and as machine code leave the same log and the same scalars."""
    made, found = scenario.spec, []
    units = units_of(made, 2)
    columns = columns_of(scenario.series, "1m", units.price_scale)
    for run in (lambda c, *rest: rolling_kernel.run_rolling(*c, *rest), kernel_native.run_rolling):
        g, s = levels_of(made.plan, units, ladders=True), np.zeros(rt.ROLLING_SCALARS, dtype=np.int64)
        due = np.zeros((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
        log = np.zeros((4096, gt.FILL_COLUMNS), dtype=np.int64)
        status = run(columns.all, parameters_of(made, scenario.options, units, columns, g), s, g, due, log)
        found.append((status, s, log[: s[gt.S_FILLS]]))
    assert found[0][0] == found[1][0]
    assert np.array_equal(found[0][1], found[1][1])
    assert np.array_equal(found[0][2], found[1][2])
