"""ATR grids that the kernel takes, and runs of them by both engines."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from core.backtest import RateRow
from core.engine import Limits
from core.kernel import series_of
from core.machines.atr_grid.config import AtrGridConfig
from core.market import Intrabar
from core.series import ts_to_ms
from core.simbook import FillRules
from tasks.backtesting import Options
from tasks.kernel_atr import gauge_of, units_of
from tasks.kernel_atr_run import AtrRun, run_atr
from tasks.kernel_funding import dues_of
from tasks.kernel_tables import columns_of
from tests.core.machines.atr_grid.bots import BAR_S, PERP, Play, beside, config, rules, spec_of, walk
from tests.core.worlds import T0, D

Hedges = Callable[[st.DrawFn], dict[str, Any]]
LATENCIES = (0.0, 0.5, 6.0, 7.3, 50.0, 70.0)


def by_kernel(play: Play) -> AtrRun:
    """Run it with the kernel, from the same history of candles; raises `Refused` where only the core can."""
    spec = spec_of(play.told, play.about)
    series = [series_of(list(play.candles), scale=2)]
    series += [series_of(beside(play.candles, play.shifts), scale=2) for _ in spec.others]
    scale = units_of(spec, 2).price_scale
    known = series_of([*play.before, *play.candles], scale=2)
    gauge = gauge_of(known, BAR_S, scale, wilder=play.told.atr_smoothing == "wilder")
    options = Options(
        intrabar=play.intrabar.value, fill="cross" if play.fills.cross else "touch", latency_s=play.fills.latency_s,
        spread=play.fills.spread, slippage=play.fills.slippage, engine="kernel",
    )  # fmt: skip
    columns = [columns_of(one, "1m", scale) for one in series]
    quotes = [Decimal(play.opening.get(name, 100_000)) for name, _ in play.told.markets()]
    rates = dues_of({PERP: play.rates} if play.rates else {}, columns[0])
    others = list(zip(columns[1:], quotes[1:], strict=True))
    return run_atr(
        play.told, spec, columns[0], options, play.limits, quotes[0], beside=others, rates=rates, gauge=gauge
    )


def hedges(draw: st.DrawFn) -> dict[str, Any]:
    """Hedges of every option, most of them quick to open and to end."""
    told = {
        "cooldown_bars": [1, 4], "break_atr": [0, 1], "leave_atr": [0, "0.5"], "deadband": [0, "0.05", "0.1"],
        "max_loss": [0, "0.005", "0.01"], "stop_distance": ["0.2", "0.02"], "cost_multiple": [0, 3],
        "take_profit": ["0.05", "0.01"], "reversal_loss": ["0.1", "0.01"], "cut_after_s": [60, 300],
        "recovery_from": ["0.15", "0.01"], "recovery_until": ["0.005", "0.01"], "recovery_sale_from": ["0.3", "0.02"],
    }  # fmt: skip
    return {name: draw(st.sampled_from(values)) for name, values in told.items()}


@st.composite
def grids(draw: st.DrawFn, hedge: Hedges) -> AtrGridConfig:
    """Grids of every option that the kernel takes, often on short cooldowns, so that much happens in few candles."""
    return config(
        levels=draw(st.sampled_from([2, 3, 5, 8, 12])), atr_multiplier=draw(st.sampled_from(["0.5", "1", "2"])),
        atr_smoothing=draw(st.sampled_from(["sma", "wilder"])), allow_loss_sale=draw(st.booleans()),
        down_sale=draw(st.sampled_from([0, "0.5"])), adjust_cooldown_bars=draw(st.sampled_from([2, 24])),
        recenter_cooldown_bars=draw(st.sampled_from([2, 24])), order_size_quote=draw(st.sampled_from([None, None, 300])),
        drift=draw(st.sampled_from(["2.5", "0.5"])), consumed_from=draw(st.sampled_from(["0.7", "0.3"])),
        wild_from=draw(st.sampled_from(["1.5", "1.1"])), calm_below=draw(st.sampled_from(["0.7", "0.95"])),
        max_slippage_bps=draw(st.sampled_from([50, 5])), leverage=draw(st.sampled_from([1, 1, 2])), hedge=hedge(draw),
    )  # fmt: skip


def rows(draw: st.DrawFn, rate: st.SearchStrategy[Decimal]) -> list[RateRow]:
    """Funding every few minutes or seconds, on a bar's opening and beside it, from before the first bar to after the last."""
    step_ms = draw(st.sampled_from([20_000, 60_000, 61_003, 600_000, 3_600_000]))
    first_ms = ts_to_ms(T0) - draw(st.sampled_from([0, 120_000, 1]))
    rates = draw(st.lists(rate, min_size=1, max_size=6))
    count = 15_000_000 // step_ms + 3
    return [(first_ms + i * step_ms, rates[i % len(rates)], step_ms / 1000) for i in range(count)]


def limited(draw: st.DrawFn, told: AtrGridConfig) -> tuple[AtrGridConfig, Limits]:
    """Set one limit, most often so near that it binds; levels of 4,000 buy some 40 coins."""
    match draw(st.sampled_from(["position", "exposure", "fall", "account"])):
        case "position":
            most = draw(st.sampled_from(["20", "35.5", "38.001", "0.5"]))
            return AtrGridConfig(**(told.model_dump() | {"max_position_size": D(most)})), Limits()
        case "exposure":
            return told, Limits(max_exposure_quote=draw(st.sampled_from([D(2000), D("3601.5"), D(3590), D(30)])))
        case "fall":
            most = draw(st.sampled_from(["0.01", "0.03", "0.1", "0.3"]))
            return AtrGridConfig(**(told.model_dump() | {"max_drawdown": D(most)})), Limits()
        case _:
            return told, Limits(max_drawdown=draw(st.sampled_from([D("0.02"), D("0.1")])))


@st.composite
def plays(
    draw: st.DrawFn, latencies: tuple[float, ...] = LATENCIES, hedge: Hedges = lambda _: {"enabled": False},
    rate: st.SearchStrategy[Decimal] | None = None, caps: bool = False,
) -> Play:  # fmt: skip
    """Runs of some hundred candles, with and without fees, spread, latency, and money enough.

    With `rate` funding is paid, with `caps` position, exposure or fall are limited.
    """
    told, limits = limited(draw, draw(grids(hedge))) if caps else (draw(grids(hedge)), Limits())
    fees = [("0.0002", "0.0005"), ("0", "0"), ("0.001", "0.001"), ("-0.0001", "0.0003")]
    maker, taker = draw(st.sampled_from(fees))
    return Play(
        told,
        walk(draw(st.integers(0, 10**6)), draw(st.sampled_from([120, 240])), draw(st.sampled_from([20, 40, 90, 200]))),
        about=rules(maker=D(maker), taker=D(taker)),
        fills=FillRules(
            cross=draw(st.booleans()), latency_s=draw(st.sampled_from(latencies)),
            spread=draw(st.sampled_from([D(0), D(0), D("0.0002"), D("0.00137")])),
            slippage=draw(st.sampled_from([D(0), D(0), D("0.0005"), D("0.00013")])),
        ),
        intrabar=draw(st.sampled_from(list(Intrabar))), opening=draw(st.sampled_from([{}, {}, {"spot": 4100}])),
        shifts=draw(st.sampled_from([(D(0),), (D("0.1"), D("-0.2"), D("0.05")), (D(-1),)])),
        rates=() if rate is None else rows(draw, rate), limits=limits,
    )  # fmt: skip
