"""`--engine kernel`: the same document as the core's, on made-up and on real candles, and a refusal for the rest."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.workloads import BARS_A_YEAR, brownian_bars, portfolio_yaml, series
from core.engine import Limits
from core.kernel import ArraySeries
from tasks.assemble import instruments_of, limits_of, opening_of, spec_of
from tasks.backtesting import Options, run_spec
from tasks.candles_read import read_candles
from tasks.cli import main
from tasks.equity import ratios
from tasks.kernel_kinds import backtest_kernel
from tasks.kernel_run import KernelRun, Room, curve_of, drawdown_of, ratios_in, run_grid, sums_of
from tasks.kernel_tables import columns_of
from tasks.settings import check
from tasks.yaml_strict import load
from tests.core.kernel_runs import told
from tests.tasks.played import write_candles, write_portfolio

REAL = Path(__file__).parents[3] / "shared" / "data" / "ohlcv"
# What names the engine or measures it.
OWN = {"engine", "elapsed_s", "visited_bars"}


def both(yaml: str, candles: ArraySeries, timeframe: str, **options: Any) -> tuple[dict[str, Any], KernelRun]:
    """Run the only bot of a portfolio with both engines and compare fills; returns the core's figures and the kernel's run."""
    portfolio = check(load(yaml, "test"), {})
    bot = portfolio.bots[0]
    venue = portfolio.venue(bot.venue)
    spec = spec_of(bot, instruments_of(portfolio, {}, {}), "test", key="bots[0]")
    chosen = Options(**options)
    slow = run_spec(portfolio, bot, spec, [candles], timeframe, chosen)
    opening = opening_of(venue, {spec.bot_id: spec})
    fast = backtest_kernel(bot, spec, candles, timeframe, chosen, limits_of(portfolio), opening)
    assert told(fast.fills()) == told(slow.fills)
    return slow.figures, fast


def shared(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that both engines must agree on."""
    return {name: value for name, value in figures.items() if name not in OWN}


def documents(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the JSON documents of a backtest by the core and by the kernel."""
    found = []
    for engine in ("core", "kernel"):
        assert main(["backtest", *words, "--engine", engine, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    return found


@pytest.mark.parametrize("latency", ["0", "6"])
@pytest.mark.parametrize("fill", ["touch", "cross"])
def test_the_command_says_the_same(tmp_path: Path, latency: str, fill: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of the document but the engine's name and times is the core's, to the last digit."""
    candles = write_candles(tmp_path / "candles.csv", 600)
    file = write_portfolio(tmp_path, candles)
    words = ["--portfolio", str(file), "--candles", str(candles), "--latency", latency, "--fill", fill]
    core, kernel = documents(words, capsys)
    assert core["fills"] > 20
    assert kernel["engine"] == kernel["data"]["engine"] == "kernel"
    assert shared(kernel["data"]) == shared(core["data"])
    assert set(kernel) == set(core)


def test_workload_w1() -> None:
    """W1 gives the fills and the profit that nine other implementations found."""
    candles = series(brownian_bars(BARS_A_YEAR))
    figures, made = both(portfolio_yaml(), candles, "1m", intrabar="ohlc", fill="touch", latency_s=0)
    assert (made.figures["fills"], made.figures["fills_initial"]) == (5_364 + 57, 57)
    assert Decimal(made.figures["net_pnl"]) == Decimal("21114.1592")
    assert shared(made.figures) == shared(figures)


def test_the_compiled_drawdown_is_that_of_the_curve() -> None:
    """Drawdown and exposure in one compiled pass equal those of the whole equity curve, bit for bit."""
    candles = series(brownian_bars(60_000))
    _, made = both(portfolio_yaml(), candles, "1m", intrabar="adaptive", fill="cross")
    shown = ratios(curve_of(made))
    assert drawdown_of(made) == (shown.max_drawdown, shown.exposure_max)
    assert ratios_in(made) == shown
    assert drawdown_of(made)[0] > 0


@pytest.mark.parametrize(
    ("name", "start", "end", "side", "symbol"),
    [
        ("binance-ETHUSDT-1m-20220101-20221231.parquet", 1_000, 4_000, "BUY", "ETH/USDT"),
        ("binance-BTCUSDT-5m-20240101-20240906.parquet", 40_000, 72_000, "BUY", "BTC/USDT"),
        ("binance-BTCUSDT-1h-20170817-20260716.parquet", 6_000, 90_000, "BUY", "BTC/USDT"),
        ("binanceusdm-ETHUSDT-1m-20250504-20250615.parquet", 1_800, 2_800, "SELL", "ETH/USDT:USDT"),
    ],
)
def test_real_candles(name: str, start: int, end: int, side: str, symbol: str) -> None:
    """On recorded markets, gaps and all, fills and figures are the core's under the honest defaults."""
    if not (REAL / name).is_file():
        pytest.skip(f"the recorded candles {name} are not on this machine")
    candles, report = read_candles(REAL / name)
    market = "swap" if side == "SELL" else "spot"
    rules = "tick_size: 0.01, lot_step: 0.0001, min_qty: 0.0001, min_notional: 5, maker: 0.0002, taker: 0.0005"
    yaml = f"""
mode: backtest
venues: [{{id: v, exchange: binance, market: {market}, instruments: {{"{symbol}": {{{rules}}}}}}}]
bots:
  - {{id: g, kind: grid, venue: v, symbol: "{symbol}", side: {side}, start_price: {start}, end_price: {end}, levels: 60,
     total_amount_quote: 30000, initial_inventory: market}}
"""
    figures, made = both(yaml, candles, report.timeframe)
    assert figures["fills"] > 50
    assert shared(made.figures) == shared(figures)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ("max_drawdown: 0.0005", "max_drawdown would bind at"),
        ("trigger_price: 99", "trigger_price"),
        ("trailing_up: 115", "trailing_up"),
        ("on_range_exit: reset", "on_range_exit"),
        ("reinvest: true", "reinvest"),
        ("triple_barrier: {take_profit_order_type: LIMIT}", "take_profit_order_type"),
    ],
)
def test_what_the_kernel_does_not_model_is_refused(
    tmp_path: Path, extra: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field without effect in the kernel ends with code 2, its name, and the engine that does it."""
    candles = write_candles(tmp_path / "candles.csv", 50)
    file = write_portfolio(tmp_path, candles)
    file.write_text(file.read_text().replace("kind: grid,", f"kind: grid, {extra},"))
    words = ["backtest", "--portfolio", str(file), "--candles", str(candles), "--engine", "kernel", "--json"]
    assert main(words) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["key"] == "--engine"
    assert said in error["reason"]
    assert error["accepted"] == "--engine core"


def test_a_poor_account_is_refused(tmp_path: Path) -> None:
    """Where the money might run out, orders would be refused by the venue: that is the core's to tell."""
    from tasks.backtesting import backtest
    from tasks.errors import Refused

    candles = write_candles(tmp_path / "candles.csv", 50)
    file = write_portfolio(tmp_path, candles)
    file.write_text(file.read_text().replace("market: spot\n", "market: spot\n    balances: {USDT: 10}\n"))
    with pytest.raises(Refused, match="may not pay for all"):
        backtest(file, None, [str(candles)], Options(engine="kernel"))


def test_a_small_log_is_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run with more fills than there was room for is repeated, not cut off."""
    monkeypatch.setattr("tasks.kernel_run._LOG_ROWS", 3)
    _, made = both(portfolio_yaml(), series(brownian_bars(30_000)), "1m", intrabar="ohlc", fill="touch", latency_s=0)
    assert len(made.log) > 60
    assert np.all(np.diff(made.log[:, 0]) >= 0)


def test_runs_may_share_their_memory() -> None:
    """A sweep gives every configuration the result that it has alone."""
    portfolio = check(load(portfolio_yaml(), "w1"), {})
    rules = instruments_of(portfolio, {}, {})["spot", "BTC/USDT"]
    columns = columns_of(series(brownian_bars(40_000)), "1m")
    options, room = Options(intrabar="ohlc", fill="touch", latency_s=0), Room()
    for levels in (200, 20, 100):
        bot = portfolio.bots[0].model_copy(update={"levels": levels})
        spec = spec_of(bot, {rules.market: rules}, "test", key="bots[0]")
        alone = run_grid(bot, spec, columns, options, Limits(), Decimal(10**7))
        shared_room = run_grid(bot, spec, columns, options, Limits(), Decimal(10**7), room)
        assert np.array_equal(alone.log, shared_room.log)
        assert sums_of(alone) == sums_of(shared_room)
        assert drawdown_of(alone) == drawdown_of(shared_room)


def test_a_barrier_with_orders_on_their_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the default latency a stop calls orders back, sells what is left, and both engines print the same."""
    candles = write_candles(tmp_path / "candles.csv", 600)
    file = write_portfolio(tmp_path, candles, bot=", triple_barrier: {stop_loss: 0.02}")
    core, kernel = documents(["--portfolio", str(file), "--candles", str(candles)], capsys)
    assert core["unrealized_pnl"] == "0"
    assert core["grid_profit"] != core["realized_pnl"]
    assert shared(kernel["data"]) == shared(core["data"])
