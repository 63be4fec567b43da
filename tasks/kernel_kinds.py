"""Which kinds of bot have a compiled kernel, and how each is run: the one table that backtests and sweeps ask."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.engine import BotSpec, Limits
from core.kinds import AnyBot
from core.market import Market
from core.portfolio import Portfolio
from core.values import ZERO
from tasks import kernel_atr, kernel_atr_run, kernel_ladder, kernel_native, kernel_rolling, kernel_run, kernel_tables
from tasks.assemble import opening_of
from tasks.backtest_funding import Rates
from tasks.kernel_funding import Due, dues_of
from tasks.kernel_run import KernelRun, figures_of
from tasks.kernel_tables import Columns, Units, columns_of


@dataclass(frozen=True, slots=True)
class Kernel:
    """How a kind is run: its object file, `units_of(spec, scale)` and `run(bot, spec, columns, options, limits, quote, room)`.

    `run` takes the candles of other markets as `beside`, and the funding that falls due as `rates`.
    """

    name: str
    units_of: Callable[[BotSpec, int], Units]
    run: Callable[..., KernelRun]

    @staticmethod
    def beside(beside: Sequence[tuple[Columns, Decimal]], rates: Mapping[Market, Due]) -> dict[str, Any]:
        """Return what `run` is given beside the rest."""
        return ({"beside": beside} if beside else {}) | ({"rates": rates} if rates else {})


KERNELS: Mapping[str, Kernel] = {
    "grid": Kernel("grid", kernel_tables.units_of, kernel_run.run_grid),
    "ladder": Kernel("ladder", kernel_ladder.units_of, kernel_ladder.run_ladder),
    "atr_grid": Kernel("atr_grid", kernel_atr.units_of, kernel_atr_run.run_atr),
    "rolling_grid": Kernel("rolling", kernel_rolling.units_of, kernel_rolling.run_rolling),
}


def openings_beside(portfolio: Portfolio, spec: BotSpec, series: Sequence[Any]) -> list[tuple[Any, Decimal]]:
    """Pair what a bot's other markets are run over with what its accounts there open with."""
    accounts = [opening_of(portfolio.venue(one.venue), {spec.bot_id: spec}).get(one.quote, ZERO) for one in spec.others]
    return list(zip(series, accounts, strict=True))


def backtest_kernel(
    bot: AnyBot,
    spec: BotSpec,
    series: Any,
    timeframe: str,
    options: Any,
    limits: Limits,
    opening: Mapping[str, Decimal],
    beside: Sequence[tuple[Any, Decimal]] = (),
    rates: Rates | None = None,
) -> KernelRun:
    """Run a bot over a series and count it; `elapsed_s` is the kernel's. Raises `Refused` for what only the core can do.

    `beside` holds the series of its other markets, and what its accounts there open with; `rates` the funding of its swaps.
    """
    kernel = KERNELS[bot.kind]
    scale = kernel.units_of(spec, max(series.scale, *(one.scale for one, _ in beside), 0)).price_scale
    columns = columns_of(series, timeframe, scale)
    others = [(columns_of(one, timeframe, scale), quote) for one, quote in beside]
    kernel_native.prepare(kernel.name)
    if kernel.name != "atr_grid" and (spec.max_drawdown is not None or limits.max_drawdown is not None):
        kernel_native.prepare("limits")
    began = time.perf_counter()
    more = kernel.beside(others, dues_of(rates or {}, columns))
    made = kernel.run(bot, spec, columns, options, limits, opening.get(spec.instrument.quote, ZERO), **more)
    made.figures = figures_of(made, time.perf_counter() - began)
    return made
