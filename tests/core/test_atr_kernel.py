"""The kernel of the ATR grid is the core, faster: the same fills and sums to the last digit, or a refusal."""

from pathlib import Path

import pytest
from hypothesis import event, given, settings

from benchmarks.atr_grid import portfolio
from core.values import ZERO
from tasks.assemble import instruments_of, limits_of, opening_of, spec_of
from tasks.backtest_figures import curve_of as core_curve_of
from tasks.backtesting import Options, run_spec
from tasks.candles_read import read_candles
from tasks.errors import Refused
from tasks.kernel_atr import units_of
from tasks.kernel_atr_run import run_atr
from tasks.kernel_run import curve_of, sums_of
from tasks.kernel_tables import columns_of
from tests.core.atr_runs import by_kernel, plays
from tests.core.kernel_runs import told
from tests.core.machines.atr_grid.bots import Play
from tests.core.worlds import SYMBOL, floating

EXAMPLES = settings(max_examples=40, deadline=None)
REAL = Path(__file__).parents[3] / "shared" / "data" / "ohlcv"


def compare(play: Play) -> int:
    """Run both engines and hold fills and sums against each other; returns how many fills there were."""
    try:
        fast = by_kernel(play)
    except Refused as refused:
        event(refused.reason[:70])
        return 0
    slow = play.run()
    fills = [fill for step, _ in slow.steps for _, fill in step.fills]
    assert told(fast.fills()) == told(fills)
    bot, sums = slow.result.world.bots[play.told.id], sums_of(fast)
    closed = [lot for step, _ in slow.steps for lot in step.lots if not lot.open]
    assert (sums.realized, sums.grid_profit, sums.fees) == (bot.realized, bot.grid_profit, bot.fees)
    assert sums.round_trips == bot.round_trips == len(closed)
    assert sums.won == sum(1 for lot in closed if lot.realized - lot.fees > ZERO)
    assert sums.floating == floating([bot], slow.result.accounts["spot"].prices[SYMBOL])
    event(f"compared, {'many' if len(fills) > 20 else 'few'} fills, {'some' if sums.realized else 'no'} profit")
    return len(fills)


@EXAMPLES
@given(plays(latencies=(0.0,)))
def test_fills_and_sums_are_the_cores_without_latency(play: Play) -> None:
    """Every fill with its time, ids, price and fee, and every sum, on any ATR grid that the kernel takes."""
    compare(play)


@EXAMPLES
@given(plays(latencies=(0.5, 6.0, 7.3, 50.0, 70.0)))
def test_fills_and_sums_are_the_cores_with_latency(play: Play) -> None:
    """The same where orders travel, expire on arrival, are moved behind the touch and called back late."""
    compare(play)


@pytest.mark.parametrize(
    ("name", "timeframe"),
    [("binance-BTCUSDT-1m-20250504-20250603", "1h"), ("binance-BTCUSDT-1m-20250504-20250603", "5m")],
)
def test_a_month_of_recorded_minutes(name: str, timeframe: str) -> None:
    """Recorded prices, default rules, two lengths of deciding candles: the core's fills and its equity curve."""
    if not (REAL / f"{name}.parquet").is_file():
        pytest.skip("needs the recorded candles beside the project")
    series, report = read_candles(REAL / f"{name}.parquet")
    made = portfolio(timeframe=timeframe, hedge={"enabled": False})
    bot = made.bots[0]
    spec = spec_of(bot, instruments_of(made, {}, {}), "test", key="bots[0]")
    slow = run_spec(made, bot, spec, [series], report.timeframe, Options())
    opening = opening_of(made.venue("spot"), {spec.bot_id: spec})
    columns = columns_of(series, report.timeframe, units_of(spec, series.scale).price_scale)
    fast = run_atr(bot, spec, columns, Options(), limits_of(made), opening["USDT"])
    assert len(slow.fills) > 50
    assert told(fast.fills()) == told(slow.fills)
    assert str(sums_of(fast).net.normalize()) == str(type(sums_of(fast).net)(slow.figures["net_pnl"]).normalize())
    assert (curve_of(fast).equity == core_curve_of(slow).equity).all()
