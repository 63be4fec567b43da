"""Tells apart what the markets of a backtested bot brought: its own, and those that it hedges or trades beside it."""

from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.facts import Fill
from core.lots import unrealized
from core.market import Market
from core.values import ZERO, total
from tasks.report_data import Beside
from tasks.store_lots import Known, lot_changes, realized_by_fill

if TYPE_CHECKING:
    from tasks.backtesting import Run


@dataclass(frozen=True, slots=True)
class Booked:
    """What a run realised before fees: each fill with its part (None for what opens), and sums by market."""

    fills: list[tuple[Fill, Decimal | None]]
    realized: dict[Market, Decimal]
    grid_profit: dict[Market, Decimal]


def booked_of(made: "Run") -> Booked:
    """Follow the lots of a run from step to step, by the same rule as the store does."""
    known = Known(levels=set(), bots={}, lots={}, opened={})
    booked = Booked([], {}, {})
    for _, step in made.steps:
        changes = lot_changes(step, known.lots, known.bots)
        gained = realized_by_fill(step, changes)
        booked.fills.extend((fill, gained.get(place)) for place, (_, fill) in enumerate(step.fills))
        for change in changes:
            market = (change.after.venue, change.after.symbol)
            booked.realized[market] = booked.realized.get(market, ZERO) + change.gained.realized
            booked.grid_profit[market] = booked.grid_profit.get(market, ZERO) + change.gained.grid_profit
        known.take_in(step, changes, 0)
    return booked


def beside_of(made: "Run", booked: Booked) -> tuple[Beside, ...]:
    """Return the other markets of a bot, in its order: profit, executions, and signed exposure at the bars' closes."""
    return tuple(_beside(made, booked, one.market) for one in made.spec.others if one.market in made.beside)


def floating_in(made: "Run", market: Market) -> Decimal:
    """Return what the open lots of one market would bring at its last price, in quote."""
    lots = made.result.world.bots[made.bot.id].lots.values()
    prices = made.result.accounts[market[0]].prices
    return total(unrealized(lot, prices[lot.symbol]) for lot in lots if (lot.venue, lot.symbol) == market)


def _beside(made: "Run", booked: Booked, market: Market) -> Beside:
    fills = [fill for fill in made.fills if (fill.venue, fill.symbol) == market]
    return Beside(
        venue=market[0], symbol=market[1], profit=booked.realized.get(market, ZERO) + floating_in(made, market),
        fills=len(fills), frame=_exposure(made, market, fills),
    )  # fmt: skip


def _exposure(made: "Run", market: Market, fills: list[Fill]) -> pd.DataFrame:
    series = made.beside[market]
    stamps = np.asarray(series.ts)  # type: ignore[attr-defined] # every reader gives arrays
    closes = np.asarray(series.close) / 10.0**series.scale
    at = np.array([int(fill.ts.replace(tzinfo=UTC).timestamp() * 1000) for fill in fills], dtype=np.int64)
    held = np.r_[0.0, np.cumsum([float(fill.qty) * fill.side.sign for fill in fills])]
    # A fill counts from the bar that it happened in; bars end where the next one opens.
    ends = np.append(stamps[1:], np.iinfo(np.int64).max)
    inventory = held[np.searchsorted(at, ends, side="left")]
    return pd.DataFrame({"ts": pd.to_datetime(stamps, unit="ms"), "exposure_quote": inventory * closes})
