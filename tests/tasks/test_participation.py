"""Backtests in which orders may have a share of each bar's volume only."""

import argparse
from decimal import Decimal

import numpy as np
import pytest

from benchmarks.backtest_kernel import RICH, spec_for
from benchmarks.workloads import portfolio_yaml, series
from core.engine import Limits
from core.kernel import ArraySeries
from tasks.backtesting import Options, run_spec
from tasks.commands.backtest import share
from tasks.errors import Refused
from tasks.kernel_run import run_grid
from tasks.kernel_tables import columns_of
from tasks.settings import check
from tasks.yaml_strict import load

TENTH = Options(fill="touch", latency_s=0, participation=Decimal("0.1"))


def falling(volume: int) -> ArraySeries:
    """A hundred minutes that fall from 30,000 through one line of W1 every three, with the same volume each (in 0.1)."""
    opens = 3_000_000 - 7_000 * np.arange(100, dtype=np.int64)
    flat = series(np.stack([opens, opens, opens - 7_000, opens - 7_000]))
    volumes = np.full(100, volume, dtype=np.int64)
    return ArraySeries(flat.ts, flat.open, flat.high, flat.low, flat.close, volumes, scale=2, volume_scale=1)


def test_fewer_fills_where_little_was_traded() -> None:
    """Of half a coin a minute a tenth is half of what a level wants: each takes two bars; of much nothing is held back."""
    portfolio = check(load(portfolio_yaml(), "w1"), {})
    bot, spec = spec_for({"initial_inventory": "resting"})
    little, much = (run_spec(portfolio, bot, spec, [falling(v)], "1m", TENTH) for v in (5, 1000))
    assert {fill.qty for fill in little.fills} == {Decimal("0.05")}
    assert {fill.qty for fill in much.fills} == {Decimal("0.1")}
    assert sum(fill.qty for fill in little.fills) <= sum(fill.qty for fill in much.fills)


def test_candles_without_volume_are_refused() -> None:
    """A share of nothing would be a backtest without a trade: one line says what is wanted."""
    portfolio = check(load(portfolio_yaml(), "w1"), {})
    bot, spec = spec_for({})
    with pytest.raises(Refused, match="no volume"):
        run_spec(portfolio, bot, spec, [falling(0)], "1m", TENTH)


def test_the_kernel_refuses_by_name() -> None:
    """Compiled grids know no volumes; the refusal names the rule."""
    bot, spec = spec_for({})
    with pytest.raises(Refused, match="participation is set"):
        run_grid(bot, spec, columns_of(falling(5), "1m"), TENTH, Limits(), RICH)


@pytest.mark.parametrize("text", ["0", "-1", "1.1", "much", "nan"])
def test_only_a_fraction_is_a_share(text: str) -> None:
    """Zero, less, more than all, and what is no number are refused with what is wanted."""
    with pytest.raises(argparse.ArgumentTypeError, match="above 0, at most 1"):
        share(text)
