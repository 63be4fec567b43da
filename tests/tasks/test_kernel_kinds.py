"""`--engine kernel` for ladders and rolling grids: the core's figures on a recorded month, in a sweep, or a refusal by name."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import sweep_run
from tasks.assemble import instruments_of, limits_of, opening_of, spec_of
from tasks.backtesting import Options, run_spec
from tasks.candles_read import read_candles
from tasks.cli import main
from tasks.kernel_kinds import backtest_kernel
from tasks.settings import check
from tasks.sweep import Request, sweep
from tasks.yaml_strict import load
from tests.core.kernel_runs import told
from tests.tasks.played import write_candles

REAL = Path(__file__).parents[3] / "shared" / "data" / "ohlcv"
# What names the engine or measures it.
OWN = {"engine", "elapsed_s", "visited_bars"}
RULES = "tick_size: 0.01, lot_step: 0.0001, min_qty: 0.0001, min_notional: 5, maker: 0.0002, taker: 0.0005"
LADDER = "kind: ladder, min_price: {0}, max_price: {1}, count: 40, qty: {2}, profit: 0.004, loop: true"

ROLLING = (
    "kind: rolling_grid, direction: {0}, quantity: {1}, take_profit: 0.003, grid_step: 0.001, max_orders: 12, "
    "wait_time: 60, max_margin: 20000"
)
STUCK = (
    "position_timeout_minutes: 10, stuck_distance: 0.006, recovery_rungs: [0.001, 0.002, 0.004], "
    "recovery_patience_minutes: 15, recovery_escalation_minutes: 60"
)


def portfolio_of(bot: str, symbol: str) -> str:
    """Return a portfolio file with one bot."""
    market = "swap" if ":" in symbol else "spot"
    return f"""
mode: backtest
venues: [{{id: v, exchange: binance, market: {market}, instruments: {{"{symbol}": {{{RULES}}}}}}}]
bots:
  - {{id: b, venue: v, symbol: "{symbol}", {bot}}}
"""


def shared(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that both engines must agree on."""
    return {name: value for name, value in figures.items() if name not in OWN}


def hold(bot_yaml: str, name: str, symbol: str, options: Sequence[Options], bars: int | None = None) -> None:
    """Hold the kernel against the core on recorded candles, the first `bars` of them."""
    if not (REAL / name).is_file():
        pytest.skip(f"the recorded candles {name} are not on this machine")
    candles, report = read_candles(REAL / name)
    candles = candles.between(0, bars or len(candles))
    portfolio = check(load(portfolio_of(bot_yaml, symbol), "test"), {})
    bot = portfolio.bots[0]
    spec = spec_of(bot, instruments_of(portfolio, {}, {}), "test", key="bots[0]")
    opening = opening_of(portfolio.venue(bot.venue), {spec.bot_id: spec})
    for one in options:
        slow = run_spec(portfolio, bot, spec, [candles], report.timeframe, one)
        fast = backtest_kernel(bot, spec, candles, report.timeframe, one, limits_of(portfolio), opening)
        assert len(slow.fills) > 50
        assert told(fast.fills()) == told(slow.fills)
        assert shared(fast.figures) == shared(slow.figures)


@pytest.mark.parametrize(
    ("name", "symbol", "bot"),
    [
        ("binance-BTCUSDT-1m-20250504-20250603.parquet", "BTC/USDT", LADDER.format(93_000, 112_000, "0.01")),
        (
            "binanceusdm-ETHUSDT-1m-20250504-20250615.parquet", "ETH/USDT:USDT",
            LADDER.format(1_700, 2_900, "0.1") + ", distribution: normal, maker_offset_buy: 0.5, maker_offset_sell: 0.7",
        ),
    ],
)  # fmt: skip
def test_a_ladder_on_a_recorded_month(name: str, symbol: str, bot: str) -> None:
    """Fills and figures of a month of minutes are the core's, under the honest defaults."""
    hold(bot, name, symbol, [Options()])


@pytest.mark.parametrize(
    ("name", "symbol", "bot"),
    [
        ("binance-BTCUSDT-1m-20250504-20250603.parquet", "BTC/USDT", ROLLING.format("buy", "0.01")),
        (
            "binanceusdm-ETHUSDT-1m-20250504-20250615.parquet", "ETH/USDT:USDT",
            ROLLING.format("sell", "0.5") + ", stop_loss: 0.01, recovery_mode: none, pause_price: 2500",
        ),
        (
            "binanceusdm-ETHUSDT-1m-20250504-20250615.parquet", "ETH/USDT:USDT",
            f"{ROLLING.format('sell', '0.5')}, stop_loss: 0.015, {STUCK}, recovery_escalation: market, stop_price: 2600",
        ),
    ],
)  # fmt: skip
def test_a_rolling_grid_on_recorded_days(name: str, symbol: str, bot: str) -> None:
    """Long with a stop loss that leaves recovery nothing to do, short with many stops, or with ladders up to a stop price."""
    hold(bot, name, symbol, [Options()], bars=12_000 if "stop_price" not in bot else 4_000)


LITTLE = "quantity: 0.1, take_profit: 0.01, grid_step: 0.001, max_orders: 3, wait_time: 60, max_margin: 1000"


@pytest.mark.parametrize(
    ("bot", "said"),
    [
        (
            "kind: ladder, min_price: 96, max_price: 104, count: 8, qty: 0.1, profit: 0.01, max_drawdown: 0.0005",
            "max_drawdown would bind at",
        ),
        (
            "kind: ladder, min_price: 96, max_price: 104, count: 8, qty: 0.1, profit: 0.01, max_position_size: 0.3",
            "max_po",
        ),
        (f"kind: rolling_grid, {LITTLE}, max_position_size: 0.3", "max_position_size"),
        (f"kind: rolling_grid, {LITTLE}, max_drawdown: 0.00001", "max_drawdown would bind at"),
    ],
)
def test_what_a_kernel_does_not_model_is_refused(
    tmp_path: Path, bot: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field without effect in the kernel ends with code 2, its name, and the engine that does it."""
    candles = write_candles(tmp_path / "candles.csv", 600)
    file = tmp_path / "portfolio.yaml"
    file.write_text(portfolio_of(bot, "BTC/USDT"))
    words = ["backtest", "--portfolio", str(file), "--candles", str(candles), "--engine", "kernel", "--json"]
    assert main(words) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["key"], error["accepted"]) == ("--engine", "--engine core")
    assert said in error["reason"]


@pytest.mark.parametrize(
    ("bot", "vary"),
    [
        ("kind: ladder, min_price: 96, max_price: 104, count: 8, qty: 1, profit: 0.004, loop: true", "count=5,9"),
        (
            (
                "kind: rolling_grid, quantity: 1, take_profit: 0.004, grid_step: 0.001, max_orders: 6, wait_time: 60, "
                "max_margin: 1000, recovery_mode: none"
            ),
            "max_orders=3,6",
        ),
    ],
)
def test_a_sweep_gives_the_same_rows_by_either_engine(tmp_path: Path, bot: str, vary: str) -> None:
    """Every configuration and stretch by the kernel, and figures that are the core's."""
    candles = write_candles(tmp_path / "candles.csv", 600)
    file = tmp_path / "portfolio.yaml"
    file.write_text(portfolio_of(bot, "BTC/USDT"))
    asked = Request(
        portfolio=str(file),
        bot=None,
        candles=(str(candles),),
        vary=(vary,),
        options=Options(engine="kernel"),
        processes=1,
    )
    fast, slow = sweep(asked), sweep(replace(asked, options=Options(engine="core")))
    assert {row["engine"] for row in fast.rows} == {"kernel"}
    assert sum(row["fills"] for row in fast.rows) > 20
    for one, other in zip(fast.rows, slow.rows, strict=True):
        for name in sweep_run.FIGURES:
            wanted = other[name]
            assert one[name] == (pytest.approx(wanted, rel=1e-9) if isinstance(wanted, float) else wanted), name
