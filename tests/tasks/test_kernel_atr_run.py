"""ATR grids by the kernel in sweeps and on the command line: the core's rows and documents, both markets included."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import sweep_run
from tasks.backtesting import Options
from tasks.cli import main
from tasks.sweep import Request, sweep
from tests.tasks.played import write_candles

RULES = "tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 5, maker: 0.0002, taker: 0.0005"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return a portfolio of one hedged ATR grid on minutes, and eight hundred made-up ones."""
    file = tmp_path / "portfolio.yaml"
    file.write_text(
        f"""\
id: atr
mode: backtest
data_dir: data
venues:
  - {{id: spot, exchange: binance, market: spot, instruments: {{BTC/USDT: {{{RULES}}}}}}}
  - {{id: perp, exchange: binanceusdm, market: swap, instruments: {{"BTC/USDT:USDT": {{{RULES}}}}}}}
bots:
  - {{id: a, kind: atr_grid, venue: spot, symbol: BTC/USDT, futures_venue: perp, futures_symbol: "BTC/USDT:USDT",
     timeframe: 1m, initial_capital: 10000, levels: 4, recenter_cooldown_bars: 4,
     hedge: {{cooldown_bars: 1, break_atr: 0}}}}
"""
    )
    minutes = (f"2025-01-01 {i // 60:02}:{i % 60:02}:00,0.000{1 + i % 7}" for i in range(0, 800, 10))
    (tmp_path / "rates.csv").write_text("\n".join(["time,rate", *minutes]))
    return file, write_candles(tmp_path / "candles.csv", 800)


def test_a_sweep_gives_the_cores_rows(files: tuple[Path, Path]) -> None:
    """Every configuration and stretch runs on the kernel, with every figure that the core gives."""
    asked = Request(
        portfolio=str(files[0]), bot=None, candles=(str(files[1]),), vary=("levels=4,6",), options=Options(engine="kernel"),
        processes=1, funding=(f"perp={files[0].with_name('rates.csv')}",),
    )  # fmt: skip
    fast = sweep(asked)
    Path(asked.portfolio).with_name("data").joinpath("market.duckdb").unlink()
    slow = sweep(replace(asked, options=Options(engine="core")))
    assert {row["engine"] for row in fast.rows} == {"kernel"}
    assert sum(row["fills"] for row in fast.rows) > 50
    assert any(row["funding"] != "0" for row in fast.rows)
    for one, other in zip(fast.rows, slow.rows, strict=True):
        for name in sweep_run.FIGURES:
            wanted = other[name]
            assert one[name] == (pytest.approx(wanted, rel=1e-9) if isinstance(wanted, float) else wanted), name


@pytest.mark.parametrize("funded", [False, True])
def test_the_command_says_the_same(funded: bool, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of the document but the engine's name and times is the core's, what other rules give included."""
    found = []
    for engine in ("core", "kernel"):
        words = ["backtest", "--portfolio", str(files[0]), "--candles", str(files[1]), "--engine", engine, "--json"]
        words += ["--funding", f"perp={files[0].with_name('rates.csv')}"] if funded else []
        assert main(words) == 0
        found.append(json.loads(capsys.readouterr().out)["data"])
    own = {"engine", "elapsed_s", "visited_bars", "run_id"}
    core, kernel = ({name: value for name, value in one.items() if name not in own} for one in found)
    assert core["fills"] > 30
    assert (core["funding"] != "0") == funded
    assert kernel == core
