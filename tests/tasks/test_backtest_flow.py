"""The flow `backtest` gives the command's figures, and its table is safe to render."""

from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from tasks.backtest_flow import key_of, markdown_of, naive, run_backtest, safe
from tasks.errors import Refused

PORTFOLIO = """
id: lab
mode: paper
data_dir: data
venues:
  - id: spot
    exchange: binance
    instruments: {BTC/USDT: {tick_size: 0.01, lot_step: 0.00001, min_notional: 5}}
bots:
  - {id: btc1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 98000, end_price: 102000,
     total_amount_quote: 2000, levels: 8}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portfolio and a day of candles that cross its levels."""
    made = tmp_path_factory.mktemp("backtest")
    (made / "lab.yaml").write_text(PORTFOLIO, encoding="utf-8")
    close = 100_000 + 900 * np.sin(np.arange(1_440) / 60)
    opens = np.concatenate([[100_000.0], close[:-1]])
    frame = pd.DataFrame(
        {
            "ts": pd.date_range("2026-03-01", periods=1_440, freq="min"),
            "open": opens.round(2),
            "high": (np.maximum(opens, close) + 5).round(2),
            "low": (np.minimum(opens, close) - 5).round(2),
            "close": close.round(2),
            "volume": 1.0,
        }
    )
    frame.to_csv(made / "btc.csv", index=False)
    return made


def run(folder: Path, **more: object) -> dict[str, object]:
    """A backtest with the form's defaults."""
    given = {
        "bot": None, "from_": None, "to": None, "intrabar": "adaptive", "fill": "cross", "latency_s": 6.0, "engine": "core",
        "out": None,
    }  # fmt: skip
    return run_backtest(str(folder / "lab.yaml"), [str(folder / "btc.csv")], **(given | more))  # type: ignore[arg-type]


def test_the_form_gives_the_figures_of_the_command(folder: Path) -> None:
    """Both ways run the same backtest."""
    from tasks.backtesting import Options, backtest

    figures = run(folder)
    same = backtest(folder / "lab.yaml", None, [str(folder / "btc.csv")], Options()).figures
    assert figures["round_trips"]
    assert {k: v for k, v in figures.items() if k not in {"elapsed_s", "warnings", "run_id"}} == {
        k: v for k, v in same.items() if k != "elapsed_s"
    }


def test_a_run_is_kept_where_the_portfolio_has_run(folder: Path) -> None:
    """The market store of its data folder gets the run, as from the command."""
    assert run(folder)["run_id"] is None
    (folder / "data").mkdir()
    run_id = run(folder)["run_id"]
    with duckdb.connect(str(folder / "data" / "market.duckdb"), read_only=True) as con:
        assert con.execute("SELECT run_id FROM backtests").fetchall() == [(run_id,)]


def test_files_are_written_where_asked(folder: Path, tmp_path: Path) -> None:
    """`out` gets what the command's --out gets."""
    figures = run(folder, out=str(tmp_path / "out"))
    assert (tmp_path / "out" / "report.html").is_file()
    assert str(tmp_path / "out" / "fills.parquet") in str(figures["files"])


def test_times_with_a_zone_are_that_instant(folder: Path) -> None:
    """A form sends times with a zone; the end is exclusive."""
    first = datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=3)))
    assert naive(first) == datetime(2026, 3, 1, 6)
    assert run(folder, from_=first, to=datetime(2026, 3, 1, 7))["bars"] == 60


def test_a_whole_portfolio_is_a_table_of_its_bots(folder: Path, tmp_path: Path) -> None:
    """Without a bot all run together; the table shows each, and funding is taken as from the command."""
    text = (folder / "lab.yaml").read_text().replace("data_dir: data", "data_dir: none")
    file = tmp_path / "two.yaml"
    file.write_text(text + text[text.index("  - {id: btc1") :].replace("btc1", "btc2"))
    form = {"bot": None, "from_": None, "to": None, "intrabar": "adaptive", "fill": "cross", "latency_s": 6.0}
    figures = run_backtest(str(file), [str(folder / "btc.csv")], engine="core", out=None, **form)  # type: ignore[arg-type]
    assert figures["fills"] == 2 * run(folder)["fills"]  # type: ignore[operator]
    shown = markdown_of(figures)
    assert "| btc1 |" in shown
    assert "| btc2 |" in shown
    with pytest.raises(Refused, match="trades no swap"):
        run_backtest(str(file), [str(folder / "btc.csv")], engine="core", out=None, funding=["f.csv"], **form)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_": datetime(2026, 3, 2), "to": datetime(2026, 3, 1)},
        {"engine": "kernel", "out": "somewhere"},
        {"bot": "nobody"},
    ],
)
def test_what_does_not_fit_is_refused(folder: Path, wrong: dict[str, object]) -> None:
    """The refusal names the field."""
    with pytest.raises(Refused):
        run(folder, **wrong)


def test_the_table_cannot_carry_markup() -> None:
    """What a file or a name brings along is shown, never acted on."""
    text = markdown_of(
        {"symbol": "X|<script>/USDT", "net_pnl": "1.5", "max_drawdown": 0.125, "warnings": ["[a](b)\n# c"]}
    )
    assert "<script>" not in text.replace("\\<", "")
    assert "| net pnl | 1.5 USDT |" in text
    assert "12.50 %" in text
    assert "- \\[a\\](b) # c" in text
    assert safe("a|b\nc") == "a\\|b c"


def test_a_key_is_made_of_what_an_artifact_may_be_called() -> None:
    """Letters, digits and dashes, in lower case."""
    assert key_of("backtest", "/x/My Paper_1.yaml", "btc1") == "backtest-my-paper-1-btc1"
    assert key_of("backtest", "/x/paper.yaml", None) == "backtest-paper"
