"""Runs of a bot of any kind that has a kernel, by both engines over the same walk, and what must be the same in them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import event
from hypothesis import strategies as st

from core.engine import BotSpec, Limits
from core.kernel import ArraySeries, series_of
from core.market import Intrabar
from core.values import ZERO
from tasks.backtesting import Options, rules_of
from tasks.errors import Refused
from tasks.kernel_kinds import KERNELS
from tasks.kernel_run import KernelRun, sums_of
from tasks.kernel_tables import columns_of
from tests.core.grids import Drawn, Walk
from tests.core.kernel_runs import told
from tests.core.worlds import Run, account, candles, floating, run, world

MONEY = 1_000_000


@dataclass(frozen=True, slots=True)
class KindScenario:
    """One run before it starts, as both engines take it."""

    config: Any
    spec: BotSpec
    options: Options
    walk: Walk | Drawn
    start: int = 10_000

    @property
    def series(self) -> ArraySeries:
        """The candles of its walk."""
        listed = candles(self.walk.steps, self.start)
        return series_of([listed.bar(i) for i in range(len(listed))], scale=2)

    def core(self) -> Run:
        """Run it with the core."""
        purse = account(self.spec.instrument, rules_of(self.options))
        purse.leverage = self.config.leverage
        return run(world(self.spec), purse, self.series, intrabar=Intrabar(self.options.intrabar), long=self.spec.long)

    def kernel(self) -> KernelRun:
        """Run it with the kernel; raises `Refused` where only the core can."""
        kernel, series = KERNELS[self.config.kind], self.series
        columns = columns_of(series, "1m", kernel.units_of(self.spec, series.scale).price_scale)
        return kernel.run(self.config, self.spec, columns, self.options, Limits(), Decimal(MONEY))


def compare(scenario: KindScenario) -> None:
    """Run both engines and hold fills and sums against each other; a refusal is an answer too."""
    try:
        fast = scenario.kernel()
    except Refused as refused:
        event(refused.reason[:70])
        return
    slow = scenario.core()
    event(f"compared, {min(len(slow.fills) // 10, 5)}0 fills or more")
    assert told(fast.fills()) == told(slow.fills)
    bot = slow.result.world.bots[scenario.config.id]
    sums = sums_of(fast)
    closed = [lot for step, _ in slow.steps for lot in step.lots if not lot.open]
    assert (sums.realized, sums.grid_profit, sums.fees) == (bot.realized, bot.grid_profit, bot.fees)
    assert sums.round_trips == bot.round_trips == len(closed)
    assert sums.won == sum(1 for lot in closed if lot.realized - lot.fees > ZERO)
    assert sums.floating == floating([bot], slow.result.account.prices[scenario.spec.instrument.symbol])


@st.composite
def options(draw: st.DrawFn, latencies: tuple[float, ...]) -> Options:
    """How orders fill."""
    return Options(
        intrabar=draw(st.sampled_from([one.value for one in Intrabar])), fill=draw(st.sampled_from(["touch", "cross"])),
        latency_s=draw(st.sampled_from(latencies)), engine="kernel",
    )  # fmt: skip


@st.composite
def walks(draw: st.DrawFn) -> Walk | Drawn:
    """Price paths of up to a hundred candles."""
    seeded = st.builds(
        Walk, st.integers(0, 10**6), st.sampled_from([80, 200, 400]), st.sampled_from([3, 10, 40, 90, 400])
    )
    return draw(seeded | st.builds(Drawn, st.lists(st.integers(-90, 90), min_size=4, max_size=60)))
