"""How far a backtest can be believed: what it earned inside single bars, and what other fill rules would have given."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from core.orders import Role, decode
from core.values import ZERO, ratio
from tasks.errors import Refused

if TYPE_CHECKING:
    from tasks.backtesting import Options, Run
    from tasks.kernel_run import KernelRun

# RULES 18b: above it, without trade data, nothing is proven.
SHARE_MOST = Decimal("0.10")
_PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Execution:
    """What of a fill matters here: its leg's place and cycle, whether it left, sides as signs, and its bar's number."""

    place: int
    cycle: int
    left: bool
    sign: int
    price: Decimal
    qty: Decimal
    bar: int


@dataclass(frozen=True, slots=True)
class Inside:
    """Round trips that began and ended in one bar: the path inside the bar, a guess, decides whether they were.

    `share` is theirs of the gross profit of all round trips (None where that is not positive); `bars` had both purchases
    and sales, so that the order of their extremes mattered.
    """

    trips: int
    share: Decimal | None
    bars: int


def inside_of(made: "Run | KernelRun") -> Inside:
    """Count what a run owes to the path inside its bars."""
    executions = list(_of_kernel(made) if hasattr(made, "log") else _of_core(made))  # type: ignore[arg-type]
    return count_inside(executions)


def count_inside(executions: Iterable[Execution]) -> Inside:
    """Count executions in order of time; an exit closes the entry of its place and cycle."""
    entries: dict[tuple[int, int], Execution] = {}
    sides: dict[int, int] = {}
    trips, inside, whole = 0, ZERO, ZERO
    for one in executions:
        sides[one.bar] = sides.get(one.bar, 0) | (1 if one.sign > 0 else 2)
        if not one.left:
            entries[one.place, one.cycle] = one
            continue
        entry = entries.get((one.place, one.cycle))
        if entry is None:
            continue
        profit = (one.price - entry.price) * one.qty * entry.sign
        whole += profit
        if entry.bar == one.bar:
            trips, inside = trips + 1, inside + profit
    share = ratio(inside, whole).quantize(_PLACES) if whole > ZERO else None
    return Inside(trips, share, sum(1 for both in sides.values() if both == 3))


def remarks_of(found: Inside) -> list[str]:
    """Say what of a run is not proven."""
    if found.share is None or found.share <= SHARE_MOST:
        return []
    said = f"not proven: {found.share:.0%} of the profit of round trips comes from {found.trips:,} that began and ended"
    return [f"{said} inside one bar; finer candles are needed"]


def other_rules(made: "Run | KernelRun", again: Any) -> dict[str, str]:
    """Return net profit at touch, at cross and on the worst path, the rest of the options kept.

    `again(options)` runs the same bot over the same candles and returns its net profit as text.
    """
    options: Options = made.options
    wanted = {
        "net_pnl_touch": replace(options, fill="touch"),
        "net_pnl_cross": replace(options, fill="cross"),
        "net_pnl_worst": replace(options, fill="cross", intrabar="worst"),
    }
    own = str(made.figures["net_pnl"])
    return {name: own if rules == options else again(rules) for name, rules in wanted.items()}


def net_again(portfolio: Any, bot: Any, spec: Any, series: Any, timeframe: str, rates: Any) -> Any:
    """Return what `other_rules` runs again with: the kernel where it can do it, else the core."""

    def again(options: "Options") -> str:
        from tasks.assemble import limits_of, opening_of
        from tasks.backtesting import run_spec
        from tasks.kernel_kinds import KERNELS, backtest_kernel, openings_beside

        if bot.kind not in KERNELS:
            return str(run_spec(portfolio, bot, spec, series, timeframe, options, rates).figures["net_pnl"])
        try:
            opening = opening_of(portfolio.venue(bot.venue), {spec.bot_id: spec})
            beside = openings_beside(portfolio, spec, series[1:])
            limits = limits_of(portfolio)
            made = backtest_kernel(bot, spec, series[0], timeframe, options, limits, opening, beside, rates)
            return str(made.figures["net_pnl"])
        except Refused:  # the kernel does not do this configuration
            return str(run_spec(portfolio, bot, spec, series, timeframe, options, rates).figures["net_pnl"])

    return again


def _of_core(made: "Run") -> Iterator[Execution]:
    stamps: Any = made.series
    for fill in made.fills:
        who = decode(fill.client_id)
        if who is not None and who.role in {Role.ENTRY, Role.EXIT}:
            at = int(fill.ts.replace(tzinfo=UTC).timestamp() * 1000)
            bar = int(np.searchsorted(stamps.ts, at, side="right")) - 1
            yield Execution(who.place, who.cycle, who.role is Role.EXIT, fill.side.sign, fill.price, fill.qty, bar)


def _of_kernel(made: "KernelRun") -> Iterator[Execution]:
    from core import grid_table as gt

    entry = made.entry_side.sign
    unit, lot = Decimal(1).scaleb(-made.units.price_scale), Decimal(1).scaleb(-made.units.qty_scale)
    for row in made.log.tolist():
        if row[gt.FILL_LEVEL] >= 0 and row[gt.FILL_EXIT] < 2:  # a hedge is no round trip of the grid
            left = row[gt.FILL_EXIT] == 1
            yield Execution(
                row[gt.FILL_LEVEL], row[gt.FILL_CYCLE], left, -entry if left else entry,
                row[gt.FILL_PRICE] * unit, row[gt.FILL_QTY] * lot, row[gt.FILL_BAR],
            )  # fmt: skip
