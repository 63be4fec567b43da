"""ATR grids that the kernel takes, and runs of them by both engines."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from core.engine import Limits
from core.kernel import series_of
from core.machines.atr_grid.config import AtrGridConfig
from core.market import Intrabar
from core.simbook import FillRules
from tasks.backtesting import Options
from tasks.kernel_atr import gauge_of, units_of
from tasks.kernel_atr_run import AtrRun, run_atr
from tasks.kernel_tables import columns_of
from tests.core.machines.atr_grid.bots import BAR_S, Play, config, rules, spec_of, walk
from tests.core.worlds import D

Hedges = Callable[[st.DrawFn], dict[str, Any]]
LATENCIES = (0.0, 0.5, 6.0, 7.3, 50.0, 70.0)


def by_kernel(play: Play) -> AtrRun:
    """Run it with the kernel, from the same history of candles; raises `Refused` where only the core can."""
    spec = spec_of(play.told, play.about)
    series = series_of(list(play.candles), scale=2)
    columns = columns_of(series, "1m", units_of(spec, series.scale).price_scale)
    known = series_of([*play.before, *play.candles], scale=2)
    gauge = gauge_of(known, BAR_S, columns.scale, wilder=play.told.atr_smoothing == "wilder")
    options = Options(
        intrabar=play.intrabar.value, fill="cross" if play.fills.cross else "touch", latency_s=play.fills.latency_s,
        spread=play.fills.spread, slippage=play.fills.slippage, engine="kernel",
    )  # fmt: skip
    opening = Decimal(play.opening.get("spot", 100_000))
    return run_atr(play.told, spec, columns, options, Limits(), opening, gauge=gauge)


@st.composite
def grids(draw: st.DrawFn, hedges: Hedges) -> AtrGridConfig:
    """Grids of every option that the kernel takes, often on short cooldowns, so that much happens in few candles."""
    return config(
        levels=draw(st.sampled_from([2, 3, 5, 8, 12])), atr_multiplier=draw(st.sampled_from(["0.5", "1", "2"])),
        atr_smoothing=draw(st.sampled_from(["sma", "wilder"])), allow_loss_sale=draw(st.booleans()),
        down_sale=draw(st.sampled_from([0, "0.5"])), adjust_cooldown_bars=draw(st.sampled_from([2, 24])),
        recenter_cooldown_bars=draw(st.sampled_from([2, 24])), order_size_quote=draw(st.sampled_from([None, None, 300])),
        drift=draw(st.sampled_from(["2.5", "0.5"])), consumed_from=draw(st.sampled_from(["0.7", "0.3"])),
        wild_from=draw(st.sampled_from(["1.5", "1.1"])), calm_below=draw(st.sampled_from(["0.7", "0.95"])),
        max_slippage_bps=draw(st.sampled_from([50, 5])), hedge=hedges(draw),
    )  # fmt: skip


@st.composite
def plays(
    draw: st.DrawFn, latencies: tuple[float, ...] = LATENCIES, hedges: Hedges = lambda _: {"enabled": False}
) -> Play:  # fmt: skip
    """Runs of some hundred candles, with and without fees, latency, and money enough."""
    fees = [("0.0002", "0.0005"), ("0", "0"), ("0.001", "0.001"), ("-0.0001", "0.0003")]
    maker, taker = draw(st.sampled_from(fees))
    return Play(
        draw(grids(hedges)),
        walk(draw(st.integers(0, 10**6)), draw(st.sampled_from([120, 240])), draw(st.sampled_from([20, 40, 90, 200]))),
        about=rules(maker=D(maker), taker=D(taker)),
        fills=FillRules(cross=draw(st.booleans()), latency_s=draw(st.sampled_from(latencies))),
        intrabar=draw(st.sampled_from(list(Intrabar))), opening=draw(st.sampled_from([{}, {}, {"spot": 4100}])),
    )  # fmt: skip
