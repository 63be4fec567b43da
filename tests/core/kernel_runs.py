"""Grids that the kernel takes, with the accounts and price paths to run them on, for both engines."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import strategies as st

from core import grid_table as gt
from core.engine import BotSpec, Limits
from core.facts import Fill
from core.kernel import ArraySeries, series_of
from core.machines.grid.config import GridConfig, PlanRefused
from core.market import Instrument, Intrabar
from core.simbook import FillRules
from core.simulation import Account
from tasks.backtesting import Options, rules_of
from tasks.kernel_run import KernelRun, run_grid
from tasks.kernel_tables import columns_of, grid_values, levels_of, parameters_of, units_of
from tests.core.grids import Drawn, Walk, maybe
from tests.core.worlds import D, Run, account, candles, grid, instrument, run, spec, swap, world

MONEY = 1_000_000


@dataclass(frozen=True, slots=True)
class KernelScenario:
    """One run before it starts, as both engines take it."""

    config: GridConfig
    rules: Instrument
    options: Options
    walk: Walk | Drawn
    start: int = 10_000

    @property
    def spec(self) -> BotSpec:
        """The bot, made ready."""
        return spec(self.config, self.rules)

    @property
    def series(self) -> ArraySeries:
        """The candles of its walk."""
        listed = candles(self.walk.steps, self.start)
        return series_of([listed.bar(i) for i in range(len(listed))], scale=2)

    @property
    def fill_rules(self) -> FillRules:
        """The simulated venue's rules."""
        return rules_of(self.options)

    def account(self) -> Account:
        """A fresh account of a million."""
        made = account(self.rules, self.fill_rules)
        made.leverage = self.config.leverage
        return made

    def core(self) -> Run:
        """Run it with the core."""
        return run(
            world(self.spec), self.account(), self.series, intrabar=Intrabar(self.options.intrabar),
            long=self.config.side == "BUY",
        )  # fmt: skip

    def kernel(self) -> KernelRun:
        """Run it with the kernel; raises `Refused` where only the core can."""
        made, series = self.spec, self.series
        columns = columns_of(series, "1m", units_of(made, series.scale).price_scale)
        return run_grid(self.config, made, columns, self.options, Limits(), Decimal(MONEY))


def inputs(scenario: KernelScenario) -> tuple[Any, ...]:
    """Return what the kernel itself is called with: columns, parameters, scalars, levels, queue and log."""
    made, series = scenario.spec, scenario.series
    units = units_of(made, series.scale)
    columns = columns_of(series, "1m", units.price_scale)
    g = levels_of(made.plan, units)
    s = np.zeros(gt.SCALARS, dtype=np.int64)
    due = np.zeros((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
    log = np.zeros((4096, gt.FILL_COLUMNS), dtype=np.int64)
    values = grid_values(made, scenario.options, units, "1m")
    return columns, parameters_of(made, values, units, columns, g), s, g, due, log


def told(fills: list[Fill]) -> list[tuple[Any, ...]]:
    """Return all of fills but the cash that a swap settled, which the ledger of the core alone books."""
    return [
        (f.ts, f.client_id, f.trade_id, f.side, f.price, f.qty, f.fee, f.fee_asset, f.maker, f.symbol, f.venue)
        for f in fills
    ]


def choices() -> st.SearchStrategy[dict[str, Any]]:
    """What bounds which levels may work; nothing in half of the grids."""
    bounds = st.sampled_from(["0.004", "0.011", "0.03"])
    fields = st.fixed_dictionaries({}, optional={
        "activation_bounds": bounds | st.tuples(bounds, bounds), "max_open_orders": st.sampled_from([1, 2, 3, 7]),
        "max_orders_per_batch": st.sampled_from([1, 2, 5]), "order_frequency": st.sampled_from([5, 30, 61.5, 400]),
    })  # fmt: skip
    return st.just({}) | fields


@st.composite
def configs(draw: st.DrawFn, rules: Instrument) -> GridConfig:
    """Grids around 100 with every option that the kernel takes."""
    side = draw(st.sampled_from(["BUY", "SELL"])) if rules.swap else "BUY"
    barriers: dict[str, Any] = draw(
        st.fixed_dictionaries({}, optional={
            "stop_loss": st.sampled_from(["0.005", "0.01", "0.03"]), "time_limit": st.sampled_from([0, 90, 600.5, 2000]),
            "trailing_stop": st.fixed_dictionaries({
                "activation": st.sampled_from(["0.0011", "0.0047", "0.01", "0.03"]),
                "delta": st.sampled_from(["0.0005", "0.0031", "0.01"]),
            }),
        })
    )  # fmt: skip
    if draw(st.booleans()):
        barriers = {}
    leave = draw(st.sampled_from(["next_level", "take_profit"]))
    if leave == "take_profit":
        barriers = barriers | {"take_profit": draw(st.sampled_from(["0.004", "0.01", "0.03"]))}
    size = draw(st.sampled_from([{"amount_base": "0.1"}, {"amount_base": None, "total_amount_quote": 1000}]))
    return grid(
        side=side, venue=rules.venue, symbol=rules.symbol, exit=leave, triple_barrier=barriers,
        spacing=draw(st.sampled_from(["arithmetic", "geometric"])), levels=draw(st.integers(1, 24)),
        start_price=draw(st.sampled_from([96, 98, 90])), end_price=draw(st.sampled_from([104, 102, 110])),
        initial_inventory=draw(st.sampled_from(["market", "resting", "none"])),
        coerce_tp_to_step=draw(st.booleans()), keep_position=draw(st.booleans()),
        limit_price=draw(maybe(88 if side == "BUY" else 112)),
        bot_stop_loss=draw(maybe(3, 20)), bot_take_profit=draw(maybe("0.7", 5)),
        on_range_exit=draw(st.sampled_from([None, None, "close", "hold"])), **draw(choices()),
        safe_extra_spread=draw(st.sampled_from(["0.0001", "0.002", "0.0001"])), **size,
    )  # fmt: skip


@st.composite
def scenarios(draw: st.DrawFn, latencies: tuple[float, ...] = (0.0, 0.5, 6.0, 7.3, 20.0, 70.0)) -> KernelScenario:
    """Runs of up to a hundred candles, on spot and on a swap."""
    maker, taker = draw(st.sampled_from(["0.0002", "0", "-0.0001"])), draw(st.sampled_from(["0.0005", "0"]))
    fees = {"maker": D(maker), "taker": D(taker)}
    rules = swap(**fees) if draw(st.booleans()) else instrument(**fees)
    seeded = st.builds(
        Walk, st.integers(0, 10**6), st.sampled_from([80, 200, 400]), st.sampled_from([3, 10, 40, 90, 400])
    )
    drawn = st.builds(Drawn, st.lists(st.integers(-90, 90), min_size=4, max_size=60))
    options = Options(
        intrabar=draw(st.sampled_from([one.value for one in Intrabar])), fill=draw(st.sampled_from(["touch", "cross"])),
        latency_s=draw(st.sampled_from(latencies)), slippage=D(draw(st.sampled_from(["0", "0.00037", "0.003"]))),
        engine="kernel",
    )  # fmt: skip
    try:
        config = draw(configs(rules))
        spec(config, rules)
    except PlanRefused:
        config = grid(venue=rules.venue, symbol=rules.symbol)
    return KernelScenario(config, rules, options, draw(seeded | drawn), draw(st.sampled_from([10_000, 9_700, 10_300])))
