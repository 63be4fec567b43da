"""Drawdown limits in kernel runs: the core's run where they never bind, and a refusal wherever the core stops the bot."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from core import limit_kernel as lm
from core.engine import Limits
from tasks import kernel_native
from tasks.errors import Refused
from tasks.kernel_limits import counted
from tests.core import test_ladder_kernel, test_rolling_kernel
from tests.core.kernel_runs import inputs, scenarios
from tests.core.kind_runs import KindScenario
from tests.core.test_kernel_funding import Rows, by_core, by_kernel, hold, rows, with_gaps

NEAR = Decimal("0.00101")
EXAMPLES = settings(max_examples=50, deadline=None)
MOSTS = st.sampled_from([None, None, "0.0001", "0.002", "0.005", "0.0123", "0.02", "0.03", "0.06", "0.1", "0.2"]).map(
    lambda one: None if one is None else Decimal(one)
)


def compare(found: Any, data: st.DataObject, rows: Rows, of_bot: Decimal | None, of_account: Decimal | None) -> None:
    """Run both engines with the limits: equal where the kernel takes it, and where it refuses the core comes near a trip."""

    def limited(most: Decimal | None) -> KindScenario:
        return KindScenario(
            found.config, replace(found.spec, max_drawdown=most), found.options, found.walk, found.start
        )

    series = data.draw(with_gaps(found))
    rates = {found.spec.instrument.market: rows} if found.spec.instrument.swap else {}
    try:
        fast = by_kernel(limited(of_bot), series, rates, Limits(max_drawdown=of_account))
    except Refused as refused:
        event(refused.reason[:50])
        if "drawdown" in refused.reason and all(one is None or one > NEAR for one in (of_bot, of_account)):
            # The core counts peaks in steps of a thousandth of capital: with a limit that much nearer it stops for sure.
            bot, both = (None if one is None else one - NEAR for one in (of_bot, of_account))
            slow = by_core(limited(bot), series, rates, Limits(max_drawdown=both))
            assert "drawdown" in slow.result.world.bots[found.config.id].mode_reason
        return
    slow = by_core(limited(of_bot), series, rates, Limits(max_drawdown=of_account))
    assert "drawdown" not in slow.result.world.bots[found.config.id].mode_reason
    hold(fast, slow)


@EXAMPLES
@given(scenarios(), st.data(), rows(), MOSTS, MOSTS)
def test_a_grids_limits(found: Any, data: st.DataObject, rows: Rows, bot: Decimal | None, both: Decimal | None) -> None:
    """Grids of every option that the kernel takes, on spot and on swaps with funding."""
    compare(found, data, rows, bot, both)


@EXAMPLES
@given(test_ladder_kernel.scenarios(), st.data(), rows(), MOSTS, MOSTS)
def test_a_ladders_limits(
    found: Any, data: st.DataObject, rows: Rows, bot: Decimal | None, both: Decimal | None
) -> None:
    """Ladders, linear and normal."""
    compare(found, data, rows, bot, both)


@EXAMPLES
@given(test_rolling_kernel.scenarios(), st.data(), rows(), MOSTS, MOSTS)
def test_a_rolling_grids_limits(
    found: Any, data: st.DataObject, rows: Rows, bot: Decimal | None, both: Decimal | None
) -> None:
    """Rolling grids, long and short, with stops at the market."""
    compare(found, data, rows, bot, both)


@settings(max_examples=80, deadline=None)
@given(scenarios(), st.sampled_from([100, 300, 1100, 1300]))
def test_what_a_short_grid_may_come_to(found: Any, most: int) -> None:
    """A cap on exposure that its sales cannot come to changes nothing; any other is refused."""
    if found.spec.long:
        return  # what a long one may come to was planned
    limits = Limits(max_exposure_quote=Decimal(most))
    try:
        fast = by_kernel(found, found.series, {}, limits)
    except Refused as refused:
        event(refused.reason[:50])
        return
    hold(fast, by_core(found, found.series, {}, limits))


@settings(max_examples=25, deadline=None)
@given(scenarios(), st.sampled_from(["0.0001", "0.002", "0.0123", "0.1"]))
def test_machine_code_is_the_source(found: Any, most: str) -> None:
    """The search as plain Python and as machine code ends at the same bar with the same scalars."""
    try:
        made = found.kernel()
    except Refused:
        return
    q, rows = counted(made, "", Decimal(most))
    p, ends = inputs(found)[1], []
    for run in (lambda c, *rest: lm.reached(*c, *rest), kernel_native.limit_reached):
        s = np.zeros(lm.LIMIT_SCALARS, dtype=np.int64)
        ends.append((run(made.columns.all, p, q, s, rows), s.tolist()))
    assert ends[0] == ends[1]
