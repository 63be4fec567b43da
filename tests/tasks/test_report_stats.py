"""What a report computes itself: it adds up, and it never invents a number."""

import dataclasses
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import report_stats as stats
from tasks.report_data import EQUITY_COLUMNS, FILL_COLUMNS, BotSummary
from tests.tasks import report_demo as demo

MONEY = st.decimals(min_value=-10_000, max_value=10_000, places=8)


@given(MONEY, MONEY, MONEY, MONEY, MONEY)
def test_bridge_adds_up_to_the_last_digit(
    net: Decimal, grid: Decimal, floating: Decimal, fees: Decimal, funding: Decimal
) -> None:
    """The bars before the last one sum to net exactly, each starting where the one before ended."""
    parts = {"net_pnl": net, "grid_profit": grid, "floating": floating, "fees": fees, "funding": funding}
    summary: BotSummary = dataclasses.replace(demo.empty_bot().summary, **parts)
    *steps, total = stats.bridge_steps(summary)
    assert sum((step.value for step in steps), Decimal(0)) == net == total.value
    reached = Decimal(0)
    for step in steps:
        assert step.start == reached
        reached += step.value
    assert ("Other" in [step.name for step in steps]) == (net != grid + floating - fees + funding)


def test_months_add_up_to_the_profit() -> None:
    """The profits of the months sum to the change of equity, and every fill and fee belongs to one month."""
    bot = demo.played(demo.walked_candles(3_000, step_min=30), levels=20)
    months = stats.months_of(bot)
    assert [month.label for month in months] == ["2023-01", "2023-02", "2023-03"]
    change = bot.equity["equity"].iloc[-1] - bot.equity["equity"].iloc[0]
    assert float(sum(month.profit for month in months)) == pytest.approx(float(change))
    assert sum(month.fills for month in months) == len(bot.fills)
    assert sum(month.fees for month in months) == bot.summary.fees
    assert sum(month.closing_fills for month in months) == bot.summary.round_trips


def test_closing_fills_are_told_from_opening_ones() -> None:
    """A profit, or a role that closes, makes a closing fill; break-even exits count, opening zeros do not."""
    rows = [("entry", None), ("entry", Decimal(0)), ("initial", 0.0)]
    rows += [("exit", Decimal(0)), ("exit", Decimal(2)), ("stop", Decimal(-1))]
    fills = pd.DataFrame(
        [(datetime(2025, 1, 1), "BUY", role, Decimal(10), Decimal(1), Decimal(0), pnl, "L1") for role, pnl in rows],
        columns=list(FILL_COLUMNS),
    )
    assert stats.closing_profits(fills) == [0, 2, -1]
    trips = stats.summarise_trips(fills)
    assert (trips.count, trips.won, trips.best, trips.worst, trips.total) == (3, 1, 2, -1, 1)


def test_missing_totals_are_derived_and_given_ones_kept() -> None:
    """What the producer knows is never overwritten; what it left open comes from the frames."""
    bot = demo.played(demo.walked_candles(3_000, step_min=30), levels=20)
    found = stats.complete_summary(dataclasses.replace(bot, summary=dataclasses.replace(bot.summary, sharpe=1.25)))
    assert found.sharpe == 1.25
    assert found.max_drawdown == pytest.approx(bot.equity["drawdown"].max())
    assert found.win_rate == 1.0
    assert found.profit_factor is None
    assert found.volume_quote == sum(fill["price"] * fill["qty"] for fill in bot.fills.to_dict("records"))
    assert found.calmar == pytest.approx(found.cagr / found.max_drawdown)


def test_bot_without_data_derives_nothing() -> None:
    """Without frames every number that needs them stays unknown."""
    found = stats.complete_summary(demo.empty_bot())
    assert (found.sharpe, found.sortino, found.cagr, found.win_rate, found.max_drawdown) == (None,) * 5
    assert stats.months_of(demo.empty_bot()) == []
    assert stats.hold_fraction(demo.empty_bot().equity) is None


def test_days_without_a_sample_keep_their_equity() -> None:
    """Equity per day is the last of the day, carried over days that have none."""
    times = [datetime(2025, 1, 1, 3), datetime(2025, 1, 1, 22), datetime(2025, 1, 4, 1)]
    rows = [(when, value, value, 0.0, 0, 0) for when, value in zip(times, (10, 11, 12), strict=True)]
    assert stats.daily_equity(pd.DataFrame(rows, columns=list(EQUITY_COLUMNS))) == [11, 11, 11, 12]
