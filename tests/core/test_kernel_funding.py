"""Funding in kernel runs: every payment, every sum and the equity to the last bit are the core's, on any kind, rates and gaps."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from core import backtest
from core.engine import Limits
from core.kernel import ArraySeries
from core.market import Intrabar, Market
from core.series import ts_to_ms
from tasks.backtest_figures import figures_of as core_figures
from tasks.backtest_figures import funding_of
from tasks.backtesting import Run, rules_of
from tasks.errors import Refused
from tasks.kernel_kinds import backtest_kernel
from tasks.kernel_run import KernelRun
from tests.core import test_ladder_kernel, test_rolling_kernel
from tests.core.kernel_runs import MONEY, scenarios, told
from tests.core.worlds import T0, account, world

EXAMPLES = settings(max_examples=40, deadline=None)
OWN = {"engine", "elapsed_s", "visited_bars"}
Rows = Sequence[tuple[int, Decimal, float]]


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """Rates of either sign, coarse and fine, at whole minutes and between, before the first candle and after the last."""
    at = draw(st.lists(st.integers(-2, 100), min_size=4, max_size=30, unique=True))
    between = draw(st.sampled_from([0, 0, 0, 1, 20_000, 59_999, 59_998]))
    rates = st.decimals(-1, 1, allow_nan=False, places=draw(st.sampled_from([2, 8, 19]))).map(lambda one: one / 100)
    start = ts_to_ms(T0)
    return [(start + 60_000 * minute + between, draw(rates), 480.0) for minute in sorted(at)]


@st.composite
def with_gaps(draw: st.DrawFn, found: Any) -> ArraySeries:
    """The candles of a scenario, some of them missing."""
    series: ArraySeries = found.series
    left_out = draw(st.sets(st.integers(1, max(len(series) - 1, 1)), max_size=draw(st.sampled_from([0, 0, 20]))))
    keep = np.array([i for i in range(len(series)) if i not in left_out], dtype=np.int64)
    names = ("ts", "open", "high", "low", "close", "volume")
    columns = [getattr(series, name)[keep] for name in names]
    return ArraySeries(*columns, scale=series.scale, volume_scale=series.volume_scale)


def by_core(found: Any, series: ArraySeries, rates: dict[Market, Rows], limits: Limits | None = None) -> Run:
    """Run a scenario with the core, and count it."""
    spec, options, rules = found.spec, found.options, found.spec.instrument
    purse = account(rules, rules_of(options))
    purse.leverage = found.config.leverage
    scene = backtest.Scene(
        tracks=(backtest.Track(rules.market, series),), timeframe_s=60, intrabar=Intrabar(options.intrabar),
        long=spec.long, rates=rates,
    )  # fmt: skip
    steps: list[Any] = []
    result = backtest.run(
        world(spec, limits=limits), {rules.venue: purse}, scene, keep=lambda step, now: steps.append((now, step))
    )
    made = Run(found.config, spec, options, series, "1m", result, steps)
    made.fills = [fill for _, step in steps for _, fill in step.fills]
    made.figures = core_figures(made, 0.0)
    return made


def by_kernel(found: Any, series: ArraySeries, rates: dict[Market, Rows], limits: Limits | None = None) -> KernelRun:
    """Run a scenario with its kind's kernel, and count it; raises `Refused`."""
    opening = {found.spec.instrument.quote: Decimal(MONEY)}
    return backtest_kernel(
        found.config, found.spec, series, "1m", found.options, limits or Limits(), opening, rates=rates
    )


def on_swaps(scenario: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Those scenarios that trade a swap."""
    return scenario.filter(lambda found: found.spec.instrument.swap)


def compare(found: Any, series: ArraySeries, rows: Rows) -> None:
    """Hold fills, payments and all figures of both engines against each other."""
    rates = {found.spec.instrument.market: rows}
    try:
        fast = by_kernel(found, series, rates)
    except Refused as refused:
        event(refused.reason[:70])
        return
    slow = by_core(found, series, rates)
    hold(fast, slow)


def hold(fast: KernelRun, slow: Run) -> None:
    """Hold two runs against each other."""
    event(f"compared, {min(len(slow.fills), 20) // 5 * 5} fills, {min(len(funding_of(slow)), 4)} payments or more")
    assert told(fast.fills()) == told(slow.fills)
    paid = fast.payments
    booked = [] if paid is None else [
        (T0 + timedelta(milliseconds=ms - ts_to_ms(T0)), Decimal(amount).scaleb(-8))
        for ms, amount in zip(paid.ms.tolist(), paid.amount.tolist(), strict=True)
    ]  # fmt: skip
    assert booked == funding_of(slow)
    shown = {name: value for name, value in slow.figures.items() if name not in OWN}
    assert {name: value for name, value in fast.figures.items() if name not in OWN} == shown


@EXAMPLES
@given(on_swaps(scenarios()), st.data(), rows())
def test_a_grids_payments_are_the_cores(found: Any, data: st.DataObject, rows: Rows) -> None:
    """Grids of every option that the kernel takes, long and short, with barriers and keeping what they hold."""
    compare(found, data.draw(with_gaps(found)), rows)


@EXAMPLES
@given(on_swaps(test_ladder_kernel.scenarios()), st.data(), rows())
def test_a_ladders_payments_are_the_cores(found: Any, data: st.DataObject, rows: Rows) -> None:
    """Ladders, linear and normal, that begin again and that do not."""
    compare(found, data.draw(with_gaps(found)), rows)


@EXAMPLES
@given(on_swaps(test_rolling_kernel.scenarios()), st.data(), rows())
def test_a_rolling_grids_payments_are_the_cores(found: Any, data: st.DataObject, rows: Rows) -> None:
    """Rolling grids, long and short, whose lots are stopped and whose entries are filled late."""
    compare(found, data.draw(with_gaps(found)), rows)
