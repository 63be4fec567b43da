"""Backtests in the market store: every fill, exact money, and never a failure because the store is taken."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tasks.cli import main
from tests.tasks.played import write_candles, write_portfolio


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Return a backtest's command line."""
    candles = write_candles(tmp_path / "candles.csv", 400)
    return ["backtest", "--portfolio", str(write_portfolio(tmp_path, candles)), "--candles", str(candles), "--json"]


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    """Run a command and return its data."""
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)["data"]


@pytest.mark.parametrize("engine", ["core", "kernel"])
def test_a_backtest_is_kept_with_its_fills(
    words: list[str], engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The row has the figures that were printed; the fills add up to its fees and cash."""
    (tmp_path / "data").mkdir()
    data = told([*words, "--engine", engine], capsys)
    with duckdb.connect(str(tmp_path / "data" / "market.duckdb"), read_only=True) as con:
        ((run_id, net, fees, count, kind),) = con.execute(
            "SELECT run_id, net_pnl, fees, fills, kind FROM backtests"
        ).fetchall()
        rows = con.execute(
            "SELECT count(*), sum(fee), min(seq), max(seq) FROM backtest_fills WHERE run_id = ?", [run_id]
        ).fetchall()
    assert (run_id, net, kind) == (data["run_id"], Decimal(data["net_pnl"]), "grid")
    assert rows == [(count, fees, 0, count - 1)]
    assert count == data["fills"] > 20


def test_without_a_data_folder_nothing_is_written(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A backtest of a portfolio that never ran leaves no trace, and does not speak of it."""
    data = told(words, capsys)
    assert data["run_id"] is None
    assert not (tmp_path / "data").exists()
    assert not any("market store" in text for text in data["warnings"])


def test_a_store_that_is_taken_does_not_fail_the_backtest(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are printed all the same, and a warning says that they were not kept."""
    (tmp_path / "data").mkdir()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    holder_words = [sys.executable, "-c", code, str(tmp_path / "data" / "market.duckdb")]
    with subprocess.Popen(holder_words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        data = told(words, capsys)
        holder.communicate()
    assert data["fills"] > 20
    assert data["run_id"] is None
    assert any("not kept in the market store" in text for text in data["warnings"])
