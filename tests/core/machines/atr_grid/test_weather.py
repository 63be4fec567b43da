"""What holds for the ATR grid and its hedge when exchanges misbehave: nothing twice, never over-hedged, in order at the end."""

from decimal import Decimal
from random import Random

import pytest

from tests.core.machines.atr_grid.bots import config
from tests.core.machines.atr_grid.weather import Weather
from tests.core.worlds import D

SEEDS = range(12)


def walk(rng: Random, count: int) -> list[Decimal]:
    """Prices that fall through the grid, wander, and come back."""
    prices, here = [], 100.0
    for index in range(count):
        drift = -0.02 if index % 400 < 220 else 0.022
        here = max(here + drift + rng.gauss(0, 0.09), 60)
        prices.append(D(f"{here:.2f}"))
    return prices


@pytest.mark.parametrize("seed", SEEDS)
def test_bad_weather_breaks_nothing(seed: int) -> None:
    """Books agree at every tick, no leg is over-filled, no short is sold beyond the bag; restarts in between."""
    told = config(levels=5, hedge={"cooldown_bars": 1}, recenter_cooldown_bars=5)
    run = Weather(told, Random(seed))
    for price in walk(Random(seed + 1000), 700):
        run.tick(price)
    assert {"e", "x"} <= run.roles
    run.calm(run.seen[-1], 60)
    hedge = run.bot.state.short
    assert hedge.off_since is None
    assert not any(one.startswith("hedge_off_target") for one in run.state.incidents)
    assert run.short <= run.net["spot"]


def test_the_weather_is_bad_enough() -> None:
    """Over the seeds hedges are opened and closed: otherwise nothing was tested of them."""
    roles: set[str] = set()
    for seed in (1, 2):
        run = Weather(config(hedge={"cooldown_bars": 1}), Random(seed))
        for price in walk(Random(seed + 1000), 700):
            run.tick(price)
        roles |= run.roles
    assert "h" in roles
