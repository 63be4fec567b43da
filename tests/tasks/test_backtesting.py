"""Backtests: the same fills as a run over the same candles, honest defaults, and figures that add up."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.backtesting import Options, Run, backtest
from tasks.cli import main
from tasks.commands.backtest import rest_of
from tests.tasks.played import play, stored, write_candles, write_portfolio

CANDLES = 600


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    """Return a portfolio over made-up candles."""
    return write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", CANDLES))


def run_it(file: Path, **options: object) -> Run:
    """Backtest the only bot of a file over the candles beside it."""
    return backtest(file, None, [str(file.parent / "candles.csv")], Options(**options))  # type: ignore[arg-type]


def told(run: Run) -> list[tuple]:
    """Return a backtest's fills as the store would hold them."""
    return [(f.ts, f.client_id, f.side.value, f.price, f.qty, f.fee) for f in run.fills]


@pytest.mark.parametrize("latency_s", [0, 6])
def test_a_backtest_gives_the_fills_of_a_run(tmp_path: Path, latency_s: int) -> None:
    """The same candles, rules and latency give the same fills, ids and fees in `run` and in `backtest`."""
    candles = write_candles(tmp_path / "candles.csv", CANDLES)
    file = write_portfolio(tmp_path, candles, feed=f", latency_s: {latency_s}, fill: cross")
    play(file, CANDLES)
    lived = stored(file, "SELECT ts, client_id, side, price, qty, fee FROM fills ORDER BY CAST(trade_id AS INTEGER)")
    tested = told(run_it(file, latency_s=latency_s))
    assert len(tested) > 20
    assert [row[1] for row in tested] == [row[1] for row in lived]
    assert tested == lived


def test_jumping_changes_nothing(portfolio: Path) -> None:
    """Skipping the bars in which nothing can happen gives the same fills as looking at each."""
    fast, slow = run_it(portfolio), run_it(portfolio, jump=False)
    assert told(fast) == told(slow)
    assert fast.result.visited < slow.result.visited == CANDLES


def test_net_profit_is_the_sum_of_its_parts(portfolio: Path) -> None:
    """Net = realised + unrealised - fees + funding, exactly, and it is what the account's money says."""
    run = run_it(portfolio)
    figures = {k: Decimal(run.figures[k]) for k in ("net_pnl", "realized_pnl", "unrealized_pnl", "fees", "funding")}
    parts = figures["realized_pnl"] + figures["unrealized_pnl"] - figures["fees"] + figures["funding"]
    assert figures["net_pnl"] == parts
    account = run.result.account
    price = account.prices["COIN/USDT"]
    worth = account.balances["USDT"] + account.balances.get("COIN", Decimal(0)) * price
    assert worth - run.opening["USDT"] == figures["net_pnl"]


def test_honest_rules_earn_less_than_touch(portfolio: Path) -> None:
    """A fill that needs a trade through the price is never more frequent than one that needs a touch."""
    assert len(run_it(portfolio, fill="cross").fills) <= len(run_it(portfolio, fill="touch", latency_s=0).fills)


def test_a_backtest_without_a_trade_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A grid that the price never reaches ends with code 0 and a warning, never in silence."""
    candles = write_candles(tmp_path / "candles.csv", 50, price=500.0)
    file = write_portfolio(tmp_path, candles)
    assert main(["backtest", "--portfolio", str(file), "--candles", str(candles), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fills"] == document["data"]["fills"] == 0
    assert any("no trade happened" in text for text in document["data"]["warnings"])


def test_output_files_are_written(portfolio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--out` leaves fills, equity, the report and its pictures."""
    candles = portfolio.parent / "candles.csv"
    words = [
        "backtest",
        "--portfolio",
        str(portfolio),
        "--candles",
        str(candles),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    assert main(words) == 0
    names = {Path(path).name for path in json.loads(capsys.readouterr().out)["files"]}
    assert {"fills.parquet", "equity.parquet", "report.html"} <= names
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in names)


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["--candles", "none.csv"], "--candles"),
        (["--candles", "CANDLES", "--bot", "other"], "--bot"),
        (["--candles", "CANDLES", "--candles", "spott=other.csv"], "--candles"),
        (["--candles", "CANDLES", "--out", "CANDLES"], "--out"),
        (["--candles", "CANDLES", "--out", "CANDLES/below"], "--out"),
        (["--candles", "CANDLES", "--from", "2025-01-02", "--to", "2025-01-01"], "--from"),
        (["--candles", "CANDLES", "--latency", "-1"], "--latency"),
        (["--candles", "CANDLES", "--intrabar", "sideways"], "--intrabar"),
        ([], "--candles"),
    ],
)
def test_wrong_arguments_exit_2(
    portfolio: Path, words: list[str], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every wrong argument is one JSON document on stdout that names it, with exit code 2."""
    candles = str(portfolio.parent / "candles.csv")
    given = [word.replace("CANDLES", candles) for word in words]
    assert main(["backtest", "--portfolio", str(portfolio), *given, "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["error"]["key"] == key


def test_the_parts_that_a_person_sees_add_up_to_the_net_profit(
    portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Funding and what hedges brought have lines of their own where there are any, and all lines sum to the first."""
    data = {"net_pnl": "18.5", "grid_profit": "30", "unrealized_pnl": "-4", "fees": "2.5", "funding": "1"}
    assert rest_of(data) == {"funding": Decimal(1), "hedge, other": Decimal(-6)}
    candles = str(portfolio.parent / "candles.csv")
    assert main(["backtest", "--portfolio", str(portfolio), "--candles", candles]) == 0
    said = capsys.readouterr().out
    assert "fees" in said
    assert "hedge, other" not in said
