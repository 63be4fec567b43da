"""The ATR grid on recorded prices of both markets, with recorded funding; skipped where the recordings are absent."""

from pathlib import Path

import pytest

from core.lots import unrealized
from core.values import total
from tests.core.worlds import D

DATA = Path(__file__).parents[5] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="recorded candles are not here")


def test_equity_is_what_is_booked_on_recorded_prices() -> None:
    """May 2025 in minutes: the accounts' change is realised + floating - fees + funding, to the last digit."""
    from benchmarks.atr_grid import PERP, candles, funding, play

    spot, timeframe = candles("binance-BTCUSDT-1m-20250504-20250603")
    perp, _ = candles("binanceusdm-BTCUSDT-1m-20250504-20250603")
    made = play([spot, perp], timeframe, {PERP: funding("binanceusdm-BTCUSDT-funding-20250306-20250603")})
    accounts, bot = made.result.accounts, made.result.world.bots["atr"]
    marks = {venue: next(iter(one.prices.values())) for venue, one in accounts.items()}
    swap = accounts["perp"].swaps["BTC/USDT:USDT"]
    worth = total(one.balances["USDT"] for one in accounts.values())
    worth += accounts["spot"].balances["BTC"] * marks["spot"] + swap.qty * marks["perp"]
    worth -= swap.cost if swap.qty > 0 else -swap.cost
    floating = total(unrealized(lot, marks[lot.venue]) for lot in bot.lots.values())
    assert worth - 2 * made.opening["USDT"] == bot.realized + floating - bot.fees + bot.funding
    assert bot.funding != 0
    assert {one.client_id.split("-")[2][0] for one in made.fills} == {"e", "x", "h"}
    assert D(made.figures["net_pnl"]) == bot.realized + floating - bot.fees + bot.funding
