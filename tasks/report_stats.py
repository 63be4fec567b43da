"""What a report computes itself from the frames of a bot: missing totals, months, round trips, the bridge to net."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from core import metrics
from tasks.part_names import part_names
from tasks.report_data import BotReport, BotSummary
from tasks.report_format import is_missing, years_between
from tasks.report_sampling import epoch_ms, floats

OPENING_ROLES = frozenset({"entry", "open", "initial"})
DAILY_PERIODS = 365.0


@dataclass(frozen=True, kw_only=True)
class BridgeStep:
    """One bar of the bridge: what it adds to the profit, and where it starts, in the quote asset."""

    name: str
    value: Decimal
    start: Decimal
    is_total: bool


@dataclass(frozen=True, kw_only=True)
class Month:
    """One calendar month of a bot: profit in quote, fractions of the equity before it, counts of executions."""

    label: str
    profit: Decimal
    fraction: float | None
    hold_fraction: float | None
    drawdown: float | None
    fills: int
    closing_fills: int
    fees: Decimal


@dataclass(frozen=True, kw_only=True)
class Trips:
    """The closing fills of a bot: profit before fees, in quote."""

    count: int
    won: int
    mean: Decimal | None
    best: Decimal | None
    worst: Decimal | None
    profit_factor: float | None
    total: Decimal


def bridge_steps(summary: BotSummary, kind: str = "grid") -> list[BridgeStep]:
    """Return the bars from nothing to the net profit; they add up exactly, "other" takes what is left.

    Formula: net = grid profit + floating + hedge - fees + funding + other (docs/metrics.md); no bar for the hedge where
    there is no second market.
    """
    own, beside = part_names(kind)
    named = [(own, summary.grid_profit), ("Floating", summary.floating)]
    if summary.hedge is not None:
        named.append((beside, summary.hedge))
    named += [("Fees", -summary.fees), ("Funding", summary.funding)]
    other = summary.net_pnl - sum((value for _, value in named), Decimal(0))
    if other != 0:
        named.append(("Other", other))
    steps: list[BridgeStep] = []
    reached = Decimal(0)
    for name, value in named:
        steps.append(BridgeStep(name=name, value=value, start=reached, is_total=False))
        reached += value
    return [*steps, BridgeStep(name="Net", value=summary.net_pnl, start=Decimal(0), is_total=True)]


def closing_profits(fills: pd.DataFrame) -> list[Decimal]:
    """Return the profits of the fills that closed something: those with a profit, or with a role that is no opening."""
    return [_exact(row) for row in fills.loc[_closes(fills), "realized_pnl"]]


def summarise_trips(fills: pd.DataFrame) -> Trips:
    """Return count, mean, extremes and profit factor of the closing fills."""
    profits = closing_profits(fills)
    return Trips(
        count=len(profits),
        won=sum(1 for profit in profits if profit > 0),
        mean=metrics.expectancy(profits),
        best=max(profits, default=None),
        worst=min(profits, default=None),
        profit_factor=metrics.profit_factor(profits),
        total=sum(profits, Decimal(0)),
    )


def complete_summary(bot: BotReport) -> BotSummary:
    """Return the summary with every missing number that the frames can give; what they cannot stays None."""
    given = bot.summary
    curve = bot.equity
    profits = closing_profits(bot.fills)
    found: dict[str, Any] = {
        "win_rate": metrics.win_rate(profits),
        "profit_factor": metrics.profit_factor(profits),
        "expectancy": metrics.expectancy(profits),
        "volume_quote": _volume(bot.fills),
    }
    if len(curve) > 1:
        equity = floats(curve["equity"]).tolist()
        times_s = (epoch_ms(curve["ts"]) / 1000.0).tolist()
        years = (times_s[-1] - times_s[0]) / metrics.SECONDS_PER_YEAR
        daily = daily_equity(curve)
        steps = metrics.simple_returns(daily) if min(daily) > 0 else []
        deepest = metrics.max_drawdown(equity)
        growth = metrics.cagr(equity[0], equity[-1], years)
        found |= {
            "max_drawdown": deepest.fraction if deepest else None,
            "drawdown_length_s": metrics.drawdown_length(equity, times_s),
            "sharpe": metrics.sharpe(steps, DAILY_PERIODS),
            "sortino": metrics.sortino(steps, DAILY_PERIODS),
            "cagr": growth,
            "apr": metrics.apr(given.net_pnl, bot.capital_quote, years),
            "time_in_market": metrics.time_in_market(floats(curve["inventory_base"]).tolist(), times_s),
            "turnover": metrics.turnover(found["volume_quote"], equity, years),
        }
        fall = given.max_drawdown if given.max_drawdown is not None else found["max_drawdown"]
        found["calmar"] = metrics.calmar(given.cagr if given.cagr is not None else growth, fall)
    missing = {name: value for name, value in found.items() if getattr(given, name) is None}
    return dataclasses.replace(given, **missing)


def daily_equity(curve: pd.DataFrame) -> list[float]:
    """Return the last equity of each UTC day; a day without a sample keeps the one before."""
    series = pd.Series(floats(curve["equity"]), index=pd.to_datetime(epoch_ms(curve["ts"]), unit="ms"))
    return series.resample("1D").last().ffill().tolist()


def hold_fraction(curve: pd.DataFrame) -> float | None:
    """Return what buy-and-hold made over the span, as a fraction; None without a curve."""
    held = floats(curve["hold_equity"])
    if len(held) < 2 or not held[0] > 0:
        return None
    made = float(held[-1] / held[0] - 1.0)
    return None if is_missing(made) else made


def months_of(bot: BotReport) -> list[Month]:
    """Return the calendar months of the equity curve, each against the last equity before it, oldest first."""
    curve = bot.equity
    if curve.empty:
        return []
    table = pd.DataFrame(
        {
            "month": pd.to_datetime(epoch_ms(curve["ts"]), unit="ms").strftime("%Y-%m"),
            "equity": floats(curve["equity"]),
            "hold": floats(curve["hold_equity"]),
            "drawdown": floats(curve["drawdown"]),
        }
    )
    fills = bot.fills
    fill_months = pd.to_datetime(epoch_ms(fills["ts"]), unit="ms").strftime("%Y-%m") if len(fills) else pd.Index([])
    closes = _closes(fills).to_numpy()
    before, held_before = table["equity"].iloc[0], table["hold"].iloc[0]
    months: list[Month] = []
    for label, part in table.groupby("month", sort=True):
        end, held = part["equity"].iloc[-1], part["hold"].iloc[-1]
        inside = fill_months == label
        deepest = part["drawdown"].max()
        months.append(
            Month(
                label=str(label),
                profit=_exact(round(end - before, 8)),
                fraction=end / before - 1.0 if before > 0 else None,
                hold_fraction=held / held_before - 1.0 if held_before > 0 else None,
                drawdown=None if is_missing(deepest) else float(deepest),
                fills=int(inside.sum()),
                closing_fills=int((inside & closes).sum()) if len(fills) else 0,
                fees=sum((_exact(fee) for fee in fills["fee_quote"][inside]), Decimal(0)) if len(fills) else Decimal(0),
            )
        )
        before, held_before = end, held
    return months


def running_s(summary: BotSummary, until: datetime | None) -> float | None:
    """Return how long the bot has run, in seconds; None when its start or the end of the data is unknown."""
    if summary.started_at is None or until is None:
        return None
    started = summary.started_at.replace(tzinfo=None)
    return max(0.0, years_between(started, until.replace(tzinfo=None)) * metrics.SECONDS_PER_YEAR)


def _closes(fills: pd.DataFrame) -> pd.Series:
    profit = floats(fills["realized_pnl"])
    closing_role = ~fills["role"].astype(str).str.lower().isin(OPENING_ROLES)
    return fills["realized_pnl"].notna() & (closing_role | (profit != 0))


def _volume(fills: pd.DataFrame) -> Decimal:
    pairs = zip(fills["price"], fills["qty"], strict=True)
    return sum((_exact(price) * _exact(qty) for price, qty in pairs), Decimal(0))


def _exact(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
