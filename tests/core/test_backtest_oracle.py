"""W1, the workload of the speed figures, against two computations that know nothing of the engine."""

import time
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pytest

from benchmarks.workloads import BARS_A_YEAR, brownian_bars, series
from core.lots import unrealized
from core.market import Intrabar
from core.values import total
from tests.core.worlds import D, Run, account, grid, instrument, run, spec, world

FIRST, STEP, CELLS = 2_100_000, 21_000, 100  # cents: lines at 21,000 + 210 i
QTY, FEE = D("0.1"), D("0.0002")
SHORT = 20_000


@lru_cache(maxsize=1)
def bars() -> np.ndarray:
    """The year of W1: open, high, low, close in cents."""
    return brownian_bars(BARS_A_YEAR)


def played(count: int) -> tuple[Run, Decimal]:
    """Run the engine over the first bars of W1; returns the run and its net profit at the last close."""
    rules = instrument(lot_step=D("0.00001"), min_qty=D("0.00001"), min_notional=D(5), maker=FEE, taker=FEE)
    config = grid(
        id="w1", start_price=21_000, end_price=42_000, levels=CELLS, amount_base=QTY, initial_inventory="market"
    )
    at = account(rules, USDT=1_000_000)
    done = run(world(spec(config, rules)), at, series(bars()), intrabar=Intrabar.OHLC, last=count)
    bot = done.result.world.bots["w1"]
    mark = at.prices[rules.symbol]
    net = bot.realized + total(unrealized(lot, mark) for lot in bot.lots.values()) - bot.fees
    assert net == at.balances["USDT"] + at.balances["BTC"] * mark - 1_000_000
    return done, net


def looped(count: int) -> tuple[int, Decimal]:
    """A grid in twenty lines: cells that buy their line and sell the next; returns fills and net profit."""
    held = [FIRST + STEP * i >= int(bars()[0][0]) for i in range(CELLS)]
    cash, fills = D(0), 0
    for _ in range(sum(held)):
        cash -= D(int(bars()[0][0])) / 100 * QTY * (1 + FEE)
    buy = max(i for i in range(CELLS) if not held[i])
    for index in range(count):
        for price in bars()[:, index].tolist():
            while buy >= 0 and price <= FIRST + STEP * buy:
                cash -= D(FIRST + STEP * buy) / 100 * QTY * (1 + FEE)
                held[buy], fills, buy = True, fills + 1, buy - 1
            while buy + 1 < CELLS and price >= FIRST + STEP * (buy + 2):
                buy += 1
                cash += D(FIRST + STEP * (buy + 1)) / 100 * QTY * (1 - FEE)
                held[buy], fills = False, fills + 1
    return fills, cash + sum(held) * QTY * D(int(bars()[3][count - 1])) / 100


def touched(count: int) -> int:
    """The closed form: a grid trades wherever the sequence of lines that the path touches changes."""
    path = (bars()[:, :count].T.ravel() - FIRST) / STEP
    start = int(np.ceil(path[0]))
    changes, here = 0, start
    for low, high in zip(np.ceil(path).astype(int).tolist(), np.floor(path).astype(int).tolist(), strict=True):
        there = min(max(here, high), low)
        changes, here = changes + abs(min(max(there, 0), CELLS) - min(max(here, 0), CELLS)), there
    return changes


def test_a_fortnight_equals_a_loop_of_twenty_lines() -> None:
    """Fills and profit of the engine are those of the simplest program that could be written, to the last digit."""
    done, net = played(SHORT)
    fills, profit = looped(SHORT)
    resting = [fill for fill in done.fills if fill.maker]
    assert (len(resting), len(done.fills) - len(resting)) == (fills, 57)
    assert net == profit


def test_fills_are_the_changes_of_touched_lines() -> None:
    """The number of fills has a closed form, and the engine's is it."""
    done, _ = played(SHORT)
    assert sum(fill.maker for fill in done.fills) == touched(SHORT) == looped(SHORT)[0]


def test_the_year_has_its_known_outcome() -> None:
    """All of W1: 5,364 fills after 57 opening ones, 21,114.1592 net, and every bar without a trade skipped."""
    began = time.perf_counter()
    done, net = played(BARS_A_YEAR)
    took_s = time.perf_counter() - began
    assert sum(fill.maker for fill in done.fills) == 5_364 == touched(BARS_A_YEAR)
    assert sum(not fill.maker for fill in done.fills) == 57
    assert net == D("21114.1592") == looped(BARS_A_YEAR)[1]
    assert done.result.visited < 5_500
    # A bound for a busy machine; benchmarks/backtest_core.py measures.
    assert took_s < 20


@pytest.mark.parametrize("intrabar", list(Intrabar))
def test_each_path_of_a_bar_skips_alike(intrabar: Intrabar) -> None:
    """With and without jumps the first days of W1 have the same fills, whichever extreme comes first."""
    rules = instrument(lot_step=D("0.00001"), maker=FEE, taker=FEE)
    config = grid(start_price=21_000, end_price=42_000, levels=CELLS, amount_base=QTY, initial_inventory="market")
    ready = spec(config, rules)
    runs = [
        run(world(ready), account(rules, USDT=1_000_000), series(bars()), intrabar=intrabar, last=2_000, jump=j)
        for j in (True, False)
    ]
    assert runs[0].record == runs[1].record
    assert runs[0].result.visited < runs[1].result.visited == 2_000
