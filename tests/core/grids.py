"""Hypothesis strategies of grid bots, accounts, limits and price paths: everything a grid run can be made of."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from core.engine import Limits
from core.machines.grid.config import GridConfig
from core.market import Instrument, Intrabar
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from tests.core.worlds import D, Run, account, candles, grid, instrument, random_steps, run, spec, swap, world


@dataclass(frozen=True, slots=True)
class Walk:
    """A seeded walk of uniform steps of up to `widest` ticks; it finds more than drawn steps of the same cost."""

    seed: int
    count: int
    widest: int

    @property
    def steps(self) -> list[int]:
        """Its steps in ticks."""
        return random_steps(self.seed, self.count, self.widest)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A walk drawn step by step: it shrinks to what matters."""

    steps: list[int]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One grid run before it starts; everything in it is a value, so it can be run again and again."""

    config: GridConfig
    rules: Instrument
    limits: Limits
    fills: FillRules
    walk: Walk | Drawn
    intrabar: Intrabar

    @property
    def series(self) -> ListSeries:
        """The candles of its walk."""
        return candles(self.walk.steps)

    def account(self) -> Account:
        """A fresh account."""
        return account(self.rules, self.fills)

    def run(self, at: Account | None = None, *, jump: bool = True) -> Run:
        """Run it from the start."""
        start = world(spec(self.config, self.rules), limits=self.limits)
        long = self.config.side != "SELL"
        return run(start, at or self.account(), self.series, jump=jump, intrabar=self.intrabar, long=long)


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    """Nothing more often than not, else one of the values."""
    return st.none() | st.none() | st.sampled_from(values)


BARRIERS = st.fixed_dictionaries(
    {},
    optional={
        "stop_loss": st.sampled_from(["0.01", "0.02", "0.05"]),
        "time_limit": st.sampled_from([90, 600.5, 2000]),
        "trailing_stop": st.sampled_from([
            {"activation": "0.005", "delta": "0.003"}, {"activation": "0.01", "delta": "0.01"},
        ]),
        "open_order_type": st.sampled_from(["LIMIT", "LIMIT_MAKER"]),
        "take_profit_order_type": st.sampled_from(["LIMIT", "LIMIT_MAKER"]),
        "stop_loss_order_type": st.sampled_from(["LIMIT", "MARKET"]),
        "time_limit_order_type": st.sampled_from(["LIMIT", "MARKET"]),
        "price_source": st.sampled_from(["mark", "last", "touch", "mid"]),
    },
)  # fmt: skip


@st.composite
def configs(draw: st.DrawFn, rules: Instrument) -> GridConfig:
    """Grids around 100, of every option that a grid has."""
    if draw(st.integers(0, 5)) == 0:
        return draw(infinite(rules))
    side = draw(st.sampled_from(["BUY", "SELL", "NEUTRAL"])) if rules.swap else "BUY"
    barriers = draw(BARRIERS)
    leave = draw(st.sampled_from(["next_level", "take_profit"])) if side != "NEUTRAL" else "next_level"
    if leave == "take_profit":
        barriers = barriers | {"take_profit": draw(st.sampled_from(["0.004", "0.01", "0.03"]))}
    inventories = ["resting", "none"] if side == "NEUTRAL" else ["market", "resting", "none"]
    stop = None if side == "NEUTRAL" else draw(maybe(88 if side == "BUY" else 112))
    move = {} if side == "NEUTRAL" else draw(movement())
    if stop is not None:
        move.pop("trailing_down" if side == "BUY" else "trailing_up", None)
    return grid(
        side=side, venue=rules.venue, symbol=rules.symbol, exit=leave, triple_barrier=barriers,
        spacing=draw(st.sampled_from(["arithmetic", "geometric"])),
        levels=draw(st.integers(1, 14)),
        start_price=draw(st.sampled_from([96, 98, 90])), end_price=draw(st.sampled_from([104, 102, 110])),
        initial_inventory=draw(st.sampled_from(inventories)),
        exit_from=draw(st.sampled_from(["level", "fill"])) if leave == "take_profit" else None,
        coerce_tp_to_step=draw(st.booleans()), keep_position=draw(st.booleans()),
        limit_price=stop, trigger_price=draw(maybe("99.5", 101)), reinvest=draw(maybe(True)),
        bot_take_profit=draw(maybe("0.2", 1)), bot_stop_loss=draw(maybe("0.5", 2)),
        activation_bounds=draw(maybe("0.01", "0.02", "0.004", ("0.02", "0.01"), ("0.01", "0.03"))),
        max_open_orders=draw(maybe(1, 2, 4)), max_orders_per_batch=draw(maybe(1, 2, 3)),
        order_frequency=draw(st.sampled_from([0, 0, 30, 60, 200.5])),
        max_position_size=draw(maybe("0.1", "0.25", "0.5")), max_drawdown=draw(maybe("0.005", "0.02")),
        safe_extra_spread=draw(st.sampled_from(["0.0001", "0", "0.002"])), **move,
    )  # fmt: skip


@st.composite
def infinite(draw: st.DrawFn, rules: Instrument) -> GridConfig:
    """Grids without an upper end, with every option that they have; the price begins above, at or below the lower bound."""
    barriers = draw(BARRIERS)
    return GridConfig(
        id="g", venue=rules.venue, symbol=rules.symbol, infinite=True, triple_barrier=barriers,
        start_price=draw(st.sampled_from([50, 90, 99, 101])),
        min_spread_between_orders=draw(st.sampled_from(["0.01", "0.015", "0.02"])),
        total_amount_quote=draw(st.sampled_from([600, 2000, 20_000])), min_order_amount_quote=1,
        keep_position=draw(st.booleans()), on_range_exit=draw(maybe("close", "hold")),
        limit_price=draw(maybe(48)), trigger_price=draw(maybe("99.5", 101)),
        bot_take_profit=draw(maybe("0.2", 5)), bot_stop_loss=draw(maybe("0.5", 10)),
        max_open_orders=draw(maybe(1, 2, 4)), max_orders_per_batch=draw(maybe(1, 2, 3)),
        order_frequency=draw(st.sampled_from([0, 0, 30, 60, 200.5])),
        max_position_size=draw(maybe("0.5", 5)), max_drawdown=draw(maybe("0.005", "0.02")),
        safe_extra_spread=draw(st.sampled_from(["0.0001", "0", "0.002"])),
    )  # type: ignore[arg-type]  pydantic takes text for numbers  # fmt: skip


@st.composite
def movement(draw: st.DrawFn) -> dict[str, Any]:
    """How a range ends or follows the price."""
    what = draw(maybe("close", "hold", "reset"))
    found = {
        "on_range_exit": what, "trailing_up": draw(maybe(115, 120)), "trailing_down": draw(maybe(89, 80)),
        "max_resets": draw(st.integers(0, 2)) if what == "reset" else None,
    }  # fmt: skip
    if what == "reset":  # without limits it would lay two thousand lines
        found |= {"trailing_up": 120, "trailing_down": 80}
    return {name: value for name, value in found.items() if value is not None}


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Runs of up to a hundred candles, on spot and on a swap, with every rule that a venue or an account has."""
    maker, taker = draw(st.sampled_from(["0.0002", "0", "-0.0001"])), draw(st.sampled_from(["0.0005", "0"]))
    fees = {"maker": D(maker), "taker": D(taker)}
    # A rebate in base would make a holding larger than the order that bought it.
    in_base = fees["maker"] >= 0 and draw(st.booleans())
    rules = swap(**fees) if draw(st.booleans()) else instrument(**fees, fee_in_base=in_base)
    limits = Limits(
        max_exposure_quote=draw(maybe(D(20), D(35), D(55))), max_drawdown=draw(maybe(D("0.005"), D("0.02")))
    )
    fills = FillRules(
        cross=draw(st.booleans()), latency_s=draw(st.sampled_from([0.0, 0.5, 7.0, 20.0, 70.0])),
        spread=D(draw(st.sampled_from(["0", "0.0004"]))), slippage=D(draw(st.sampled_from(["0", "0.001"]))),
    )  # fmt: skip
    seeded = st.builds(Walk, st.integers(0, 10**6), st.sampled_from([80, 200, 400]), st.sampled_from([3, 10, 40, 90]))
    drawn = st.builds(Drawn, st.lists(st.integers(-90, 90), min_size=4, max_size=60))
    walk = draw(seeded | drawn)
    return Scenario(draw(configs(rules)), rules, limits, fills, walk, draw(st.sampled_from(list(Intrabar))))
