"""A fair game stays fair: on a driftless walk without fees no grid earns or loses anything in expectation."""

from math import sqrt
from random import Random
from typing import Any

import numpy as np
import pytest

from core.lots import unrealized
from core.values import total
from tests.core.worlds import D, account, candles, grid, instrument, run, spec, swap, world

WALKS, STEPS = 150, 1_000
# Of the means of fair games one in a thousand lies beyond 3.3 standard errors.
WIDTH = 3.3
FEE = 0.0002


def fair_walk(seed: int) -> list[int]:
    """Steps of one tick up or down: a path without gaps, so that an order fills at the very price that is seen."""
    rng = Random(seed)
    return [rng.choice((-1, 1)) for _ in range(STEPS)]


def earned(steps: list[int], changes: dict[str, Any]) -> tuple[float, int]:
    """Profit and number of fills of a grid over one walk, one bar a step."""
    rules = (swap if changes.get("side") == "SELL" else instrument)(maker=D(0), taker=D(0))
    config = grid(**({"start_price": "99.6", "end_price": "100.4", "levels": 10} | changes))
    at = account(rules)
    done = run(world(spec(config, rules)), at, candles(steps, points=1))
    bot, mark = done.result.world.bots["g"], at.prices[rules.symbol]
    return float(bot.realized + total(unrealized(lot, mark) for lot in bot.lots.values())), len(done.fills)


@pytest.mark.parametrize(
    "changes",
    [
        {"initial_inventory": "market"},
        {"initial_inventory": "resting", "triple_barrier": {"stop_loss": "0.006"}},
        {"side": "SELL", "venue": "perp", "symbol": "BTC/USDT:USDT", "max_open_orders": 6},
    ],
    ids=["classic", "with a stop", "short"],
)
def test_a_fair_game_stays_fair(changes: dict[str, Any]) -> None:
    """The mean profit of 150 walks is zero within its error, and that error is small beside fees of 2 bp a fill.

    Move and squared move less its expectation are fair games themselves, and most of a grid's luck is made of them:
    taken out by regression, they change no expectation and make the error small (control variates).
    """
    walks = [fair_walk(seed) for seed in range(WALKS)]
    runs = [earned(steps, changes) for steps in walks]
    moves = np.array([sum(steps) for steps in walks]) / 100
    luck = np.column_stack((np.ones(WALKS), moves, moves**2 - STEPS / 10_000))
    profits = np.array([profit for profit, _ in runs])
    fit, *_ = np.linalg.lstsq(luck, profits, rcond=None)
    error = float(np.std(profits - luck @ fit, ddof=3)) / sqrt(WALKS)
    fees = float(np.mean([fills for _, fills in runs])) * 10 * FEE
    assert abs(fit[0]) <= WIDTH * error, (fit[0], error, fees)
    assert error < 0.1 * fees, (fit[0], error, fees)
