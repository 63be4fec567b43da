"""The kernel of the ATR grid is the core, faster: the same fills and sums to the last digit, or a refusal."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from benchmarks.atr_grid import portfolio
from core.engine import Limits
from core.kernel import ArraySeries, series_of
from core.lots import unrealized
from core.series import ms_to_ts
from core.values import ZERO, total
from tasks.assemble import instruments_of, limits_of, opening_of, spec_of
from tasks.backtest_figures import curve_of as core_curve_of
from tasks.backtesting import Options, run_spec
from tasks.candles_align import align
from tasks.candles_funding import read_funding, with_intervals
from tasks.candles_read import read_candles
from tasks.errors import Refused
from tasks.kernel_atr_run import AtrRun, run_atr
from tasks.kernel_kinds import backtest_kernel, openings_beside
from tasks.kernel_run import curve_of, sums_of
from tasks.kernel_tables import FEE_SCALE, columns_of
from tests.core.atr_runs import by_kernel, hedges, plays
from tests.core.kernel_runs import told
from tests.core.machines.atr_grid.bots import Play, bars_from, config, walk
from tests.core.worlds import D

EXAMPLES = settings(max_examples=30, deadline=None)
FEWER = settings(max_examples=20, deadline=None)
RATES = st.sampled_from([D("0.0001"), D("-0.00012345"), D(0), D("0.0123456789"), D("-0.02")])
REAL = Path(__file__).parents[3] / "shared" / "data" / "ohlcv"
RATES_FILE = REAL.parent / "funding" / "binanceusdm-BTCUSDT-funding-20250306-20250603.parquet"


def payments_of(made: AtrRun) -> list[tuple[datetime, Decimal]]:
    """List when funding was paid, and what was received."""
    if made.payments is None:
        return []
    paid = zip(made.payments.ms.tolist(), made.payments.amount.tolist(), strict=True)
    return [(ms_to_ts(ms), Decimal(amount).scaleb(-FEE_SCALE)) for ms, amount in paid]


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
    assert payments_of(fast) == [
        (one.ts, one.amount)
        for step, _ in slow.steps
        for one in step.entries
        if (one.kind, one.account) == ("funding", "wallet") and one.amount != ZERO
    ]
    assert sums.funding == bot.funding
    assert sums.round_trips == bot.round_trips == len(closed)
    assert sums.won == sum(1 for lot in closed if lot.realized - lot.fees > ZERO)
    at = slow.result.accounts
    assert sums.floating == total(unrealized(lot, at[lot.venue].prices[lot.symbol]) for lot in bot.lots.values())
    paid = ", funding" if fast.payments is not None else ""
    event(f"compared, {'many' if len(fills) > 20 else 'few'} fills{paid}")
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


@EXAMPLES
@given(plays(latencies=(0.0,), hedge=hedges))
def test_hedged_fills_and_sums_are_the_cores_without_latency(play: Play) -> None:
    """The same with the short on its own market, its zones, exits, recovery and budget."""
    compare(play)


@EXAMPLES
@given(plays(latencies=(0.5, 6.0, 7.3, 50.0, 70.0), hedge=hedges))
def test_hedged_fills_and_sums_are_the_cores_with_latency(play: Play) -> None:
    """The same where the short's capped orders travel, expire, and are sent again with wider caps."""
    compare(play)


@FEWER
@given(plays(hedge=hedges, rate=RATES))
def test_funding_is_paid_as_by_the_core(play: Play) -> None:
    """Each payment of the short, at its time, to the last digit, and all that comes of it: exits, recovery, budget."""
    compare(play)


@FEWER
@given(plays(hedge=hedges, caps=True))
def test_limits_hold_purchases_back_as_in_the_core(play: Play) -> None:
    """Purchases wait at the same moments under limits on position and exposure; a fall that is never met changes nothing."""
    compare(play)


def test_a_run_that_the_core_would_stop_is_refused() -> None:
    """The refusal names the candle in which the core's limit is reached, for the bot's own limit and the account's."""
    told = config(hedge={"enabled": False}, max_drawdown=D("0.005"))
    falling = [D(100), *(D(100) + D(i % 9 - 5) / 4 - D(i) / 50 for i in range(200))]
    for play in (
        Play(told, bars_from(falling)),
        Play(
            told.model_copy(update={"max_drawdown": None}), bars_from(falling), limits=Limits(max_drawdown=D("0.005"))
        ),
    ):
        tripped = next(now for step, now in play.run().steps for one in step.raised if one.kind == "drawdown")
        with pytest.raises(
            Refused, match=f"max_drawdown of 0.005 may be reached in the candle of {tripped:%Y-%m-%d %H:%M}"
        ):
            by_kernel(play)


def recorded(name: str) -> tuple[ArraySeries, str]:
    """Read a recorded file, or skip where there is none."""
    if not (REAL / f"{name}.parquet").is_file():
        pytest.skip("needs the recorded candles beside the project")
    series, report = read_candles(REAL / f"{name}.parquet")
    return series, report.timeframe


@pytest.mark.parametrize("hedged", [False, True])
def test_a_month_of_recorded_minutes(hedged: bool) -> None:
    """Recorded prices and funding of both markets, default rules: the core's fills, every figure, and its equity curve."""
    spot, timeframe = recorded("binance-BTCUSDT-1m-20250504-20250603")
    perp, _ = recorded("binanceusdm-BTCUSDT-1m-20250504-20250603")
    made = portfolio(timeframe="15m", hedge={"enabled": hedged, "cooldown_bars": 1})
    bot = made.bots[0]
    spec = spec_of(bot, instruments_of(made, {}, {}), "test", key="bots[0]")
    series = align([spot, perp])[0] if hedged else [spot]
    rates = {one.market: with_intervals(read_funding(RATES_FILE)) for one in spec.others}
    slow = run_spec(made, bot, spec, series, timeframe, Options(), rates)
    opening = opening_of(made.venue("spot"), {spec.bot_id: spec})
    beside = openings_beside(made, spec, series[1:])
    fast = backtest_kernel(bot, spec, series[0], timeframe, Options(), limits_of(made), opening, beside, rates)
    assert len(slow.fills) > 50
    assert any(fill.symbol.endswith(":USDT") for fill in slow.fills) == hedged
    assert told(fast.fills()) == told(slow.fills)
    assert (fast.figures["funding"] != "0") == hedged
    own = {"engine", "elapsed_s", "visited_bars"}
    assert {k: v for k, v in fast.figures.items() if k not in own} == {
        k: v for k, v in slow.figures.items() if k not in own
    }
    assert (curve_of(fast).equity == core_curve_of(slow).equity).all()


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({}, Options(participation=D("0.1")), "participation is set"),
        ({}, Options(spread=D(2)), "a spread of 2 around a price of"),
        ({"order_size_quote": "33.33333333333333333"}, Options(), "decimal"),
    ],
)
def test_what_the_kernel_does_not_do_is_refused_by_name(changes: dict[str, Any], options: Options, says: str) -> None:
    """A field whose effect is not computed is named, a spread that leaves no bid, and a number too fine."""
    made = portfolio(hedge={"enabled": False}, **changes)
    spec = spec_of(made.bots[0], instruments_of(made, {}, {}), "test", key="bots[0]")
    columns = columns_of(series_of(walk(1, 300, 20), scale=2), "1m", 2)
    with pytest.raises(Refused, match=says):
        run_atr(made.bots[0], spec, columns, options, limits_of(made), D(20_000))
