"""Funding by `--engine kernel`: the core's document on recorded swaps, the same rows in a sweep, a poor account refused."""

import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks import sweep_run
from tasks.backtesting import Options, backtest
from tasks.cli import main
from tasks.errors import Refused
from tasks.sweep import Request, sweep
from tests.core.kernel_runs import told
from tests.tasks.played import write_candles
from tests.tasks.test_backtest_funding import payments, portfolio, write_rates

DATA = Path(__file__).parents[3] / "shared" / "data"
CANDLES = DATA / "ohlcv" / "binanceusdm-ETHUSDT-1m-20250504-20250615.parquet"
RATES = DATA / "funding" / "binanceusdm-ETHUSDT-funding-20250306-20250615.parquet"
# What names the engine or measures it.
OWN = {"engine", "elapsed_s", "visited_bars"}
RULES = "tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 5, maker: 0.0002, taker: 0.0005"


def shared(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that both engines must agree on."""
    return {name: value for name, value in figures.items() if name not in OWN}


@pytest.mark.parametrize(
    "bot",
    [
        "kind: grid, side: BUY, start_price: 1700, end_price: 2900, levels: 120, total_amount_quote: 30000",
        "kind: grid, side: SELL, start_price: 1700, end_price: 2900, levels: 120, total_amount_quote: 30000",
        "kind: ladder, min_price: 1700, max_price: 2900, count: 40, qty: 0.1, profit: 0.004, loop: true",
        (
            "kind: rolling_grid, direction: sell, quantity: 0.5, take_profit: 0.003, grid_step: 0.001, max_orders: 12,"
            " wait_time: 60, max_margin: 20000, stop_loss: 0.01, recovery_mode: none"
        ),
    ],
)
def test_recorded_payments_of_a_recorded_swap(tmp_path: Path, bot: str) -> None:
    """Four days of minutes with what the exchange paid then: fills and all figures are the core's to the last digit."""
    if not (CANDLES.is_file() and RATES.is_file()):
        pytest.skip("the recorded candles and funding of ETHUSDT are not on this machine")
    file = tmp_path / "portfolio.yaml"
    file.write_text(
        f"""
mode: backtest
venues: [{{id: perp, exchange: binanceusdm, market: swap, instruments: {{"ETH/USDT:USDT": {{{RULES}}}}}}}]
bots: [{{id: b, venue: perp, symbol: "ETH/USDT:USDT", {bot}}}]
"""
    )
    span = (datetime(2025, 5, 5), datetime(2025, 5, 9))
    made: list[Any] = [
        backtest(file, None, [str(CANDLES)], Options(engine=engine), *span, [str(RATES)])
        for engine in ("core", "kernel")
    ]
    core, kernel = made
    assert len(core.fills) > 50
    assert Decimal(core.figures["funding"]) != 0
    assert told(kernel.fills()) == told(core.fills)
    assert shared(kernel.figures) == shared(core.figures)


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_the_command_says_the_same(tmp_path: Path, side: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of the document but the engine's name and times is the core's, other rules and remarks included."""
    file, candles = portfolio(tmp_path, side), write_candles(tmp_path / "candles.csv", 1500)
    rates = write_rates(tmp_path / "rates.csv", payments())
    words = ["backtest", "--portfolio", str(file), "--candles", str(candles), "--funding", f"perp={rates}", "--json"]
    found = []
    for engine in ("core", "kernel"):
        assert main([*words, "--engine", engine]) == 0
        found.append(json.loads(capsys.readouterr().out))
    core, kernel = found
    assert kernel["data"]["engine"] == "kernel"
    assert Decimal(core["data"]["funding"]) != 0
    assert shared(kernel["data"]) == shared(core["data"])


def test_a_sweep_pays_in_and_out_of_sample(tmp_path: Path) -> None:
    """Every configuration and stretch by the kernel, funding and all figures the core's; other rates are another sweep."""
    file, candles = portfolio(tmp_path), write_candles(tmp_path / "candles.csv", 1500)
    rates = write_rates(tmp_path / "rates.csv", payments())
    asked = Request(
        portfolio=str(file), bot=None, candles=(str(candles),), vary=("levels=20,40",), options=Options(engine="kernel"),
        processes=1, funding=(f"perp={rates}",),
    )  # fmt: skip
    fast, slow = sweep(asked), sweep(replace(asked, options=Options(engine="core")))
    free = sweep(replace(asked, funding=()))
    assert {row["engine"] for row in fast.rows} == {"kernel"}
    assert all(Decimal(row["funding"]) != 0 for row in fast.rows)
    for one, other in zip(fast.rows, slow.rows, strict=True):
        for name in sweep_run.FIGURES:
            wanted = other[name]
            assert one[name] == (pytest.approx(wanted, rel=1e-9) if isinstance(wanted, float) else wanted), name
    assert free.name != fast.name
    assert [row["net_pnl"] for row in free.rows] == [
        str(Decimal(row["net_pnl"]) - Decimal(row["funding"])) for row in fast.rows
    ]
    with pytest.raises(Refused, match="no swap at spot"):
        sweep(replace(asked, funding=(f"spot={rates}",)))


def test_an_account_that_funding_may_empty_is_refused(tmp_path: Path) -> None:
    """What would do without payments may not with them: the orders that the venue would refuse are the core's to tell."""
    file, candles = portfolio(tmp_path), write_candles(tmp_path / "candles.csv", 1500)
    file.write_text(file.read_text().replace("market: swap\n", "market: swap\n    balances: {USDT: 2400}\n"))
    dear = write_rates(tmp_path / "rates.csv", [(at, "0.4") for at, _ in payments()])
    backtest(file, None, [str(candles)], Options(engine="kernel"))
    with pytest.raises(Refused, match="may not pay for all") as caught:
        backtest(file, None, [str(candles)], Options(engine="kernel"), funding=[str(dear)])
    assert caught.value.accepted == "--engine core"


def test_a_budget_that_counts_funding_is_refused(tmp_path: Path) -> None:
    """What a recovery may lose depends on what funding brought; without rates it does not."""
    file, candles = portfolio(tmp_path), write_candles(tmp_path / "candles.csv", 1500)
    rolling = """
  - {id: g1, kind: rolling_grid, venue: perp, symbol: "COIN/USDT:USDT", quantity: 1, take_profit: 0.004, grid_step: 0.001,
     max_orders: 6, wait_time: 60, max_margin: 1000, recovery_mode: none, recovery_loss_budget: 0.5}
"""
    file.write_text(file.read_text().partition("bots:")[0] + "bots:" + rolling)
    rates = write_rates(tmp_path / "rates.csv", payments())
    backtest(file, None, [str(candles)], Options(engine="kernel"))
    with pytest.raises(Refused, match="recovery_loss_budget") as caught:
        backtest(file, None, [str(candles)], Options(engine="kernel"), funding=[str(rates)])
    assert caught.value.accepted == "--engine core"
