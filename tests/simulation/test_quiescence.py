"""While nothing happens nothing is written: no request to the exchange, no row in any table (I-27)."""

import pytest

from tests.simulation.hostile import Faults
from tests.simulation.scenes import Scene, play
from tests.simulation.trading import Trading


@pytest.mark.parametrize("seed", range(12))
def test_a_still_market_writes_nothing(seed: int) -> None:
    """After a wild day and its settling a thousand ticks at one price send nothing and store nothing."""
    run = Trading(seed, Faults())
    run.run(80)
    run.settle()
    assert run.found == []
    sent, rows = len(run.venue.log), run.memory.rows
    run.run(1_000, still=True)
    assert len(run.venue.log) == sent
    assert run.memory.rows == rows
    assert run.found == []


def test_a_price_that_crosses_nothing_sends_nothing() -> None:
    """Between two lines of the grid the price may go where it likes: no order is placed, moved or cancelled."""
    scene = Scene(name="quiet", prices=(9_950,) * 20, shows=lambda _: True, bots=({"initial_inventory": "none"},))
    run = play(scene)
    sent, rows = len(run.venue.log), run.memory.rows
    for price in (9_990, 9_950, 9_900, 9_850, 9_810, 9_900, 9_980, 9_990) * 20:
        run.prices = dict.fromkeys(run.prices, price)
        run.run(1, still=True)
    assert len(run.venue.log) == sent
    assert run.memory.rows == rows
