"""Which kinds of bot have a compiled kernel, and how each is run: the one table that backtests and sweeps ask."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.engine import BotSpec, Limits
from core.kinds import AnyBot
from core.values import ZERO
from tasks import kernel_atr, kernel_atr_run, kernel_ladder, kernel_native, kernel_rolling, kernel_run, kernel_tables
from tasks.kernel_run import KernelRun, figures_of
from tasks.kernel_tables import Units, columns_of


@dataclass(frozen=True, slots=True)
class Kernel:
    """How a kind is run: its object file, `units_of(spec, scale)` and `run(bot, spec, columns, options, limits, quote, room)`."""

    name: str
    units_of: Callable[[BotSpec, int], Units]
    run: Callable[..., KernelRun]


KERNELS: Mapping[str, Kernel] = {
    "grid": Kernel("grid", kernel_tables.units_of, kernel_run.run_grid),
    "ladder": Kernel("ladder", kernel_ladder.units_of, kernel_ladder.run_ladder),
    "atr_grid": Kernel("atr_grid", kernel_atr.units_of, kernel_atr_run.run_atr),
    "rolling_grid": Kernel("rolling", kernel_rolling.units_of, kernel_rolling.run_rolling),
}


def backtest_kernel(
    bot: AnyBot,
    spec: BotSpec,
    series: Any,
    timeframe: str,
    options: Any,
    limits: Limits,
    opening: Mapping[str, Decimal],
) -> KernelRun:
    """Run a bot over a series and count it; `elapsed_s` is the kernel's. Raises `Refused` for what only the core can do."""
    kernel = KERNELS[bot.kind]
    columns = columns_of(series, timeframe, kernel.units_of(spec, series.scale).price_scale)
    kernel_native.prepare(kernel.name)
    kernel_native.prepare()
    began = time.perf_counter()
    made = kernel.run(bot, spec, columns, options, limits, opening.get(spec.instrument.quote, ZERO))
    made.figures = figures_of(made, time.perf_counter() - began)
    return made
