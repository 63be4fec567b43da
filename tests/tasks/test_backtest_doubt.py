"""What of a backtest is a guess: round trips inside one bar, and what other fill rules give."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.backtest_doubt import Execution, count_inside, inside_of, remarks_of
from tasks.backtesting import Options, backtest
from tests.tasks.played import write_candles, write_portfolio


def execution(left: bool, price: int, bar: int, cycle: int = 0) -> Execution:
    """Make an execution of a long level."""
    return Execution(0, cycle, left, -1 if left else 1, Decimal(price), Decimal(2), bar)


def test_round_trips_inside_a_bar_are_weighed() -> None:
    """One trip of 3 inside a bar beside one of 9 over several is a quarter of the profit."""
    found = count_inside([
        execution(False, 10, 0), execution(True, 19, 4), execution(False, 10, 7, 1), execution(True, 13, 7, 1),
        execution(False, 10, 9, 2),
    ])  # fmt: skip
    assert (found.trips, found.share, found.bars) == (1, Decimal("0.25"), 1)
    assert "not proven: 25%" in remarks_of(found)[0]
    assert remarks_of(replace(found, share=Decimal("0.1"))) == []
    assert count_inside([]).share is None


def test_core_and_kernel_count_the_same(tmp_path: Path) -> None:
    """Both engines owe the same to the path inside their bars, and narrow steps owe more than wide ones."""
    candles = str(write_candles(tmp_path / "candles.csv", 2000))
    file = write_portfolio(tmp_path, Path(candles))
    rules = Options(fill="touch", latency_s=0)
    found = [inside_of(backtest(file, None, [candles], replace(rules, engine=name))) for name in ("core", "kernel")]
    assert found[0] == found[1]
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text(file.read_text().replace("levels: 20", "levels: 80"))
    assert inside_of(backtest(narrow, None, [candles], rules)).trips > found[0].trips


@pytest.mark.parametrize("engine", ["core", "kernel"])
def test_other_rules_are_real_runs(tmp_path: Path, engine: str) -> None:
    """The net profits beside the own one are those of backtests with these rules."""
    candles = str(write_candles(tmp_path / "candles.csv", 1500))
    file = write_portfolio(tmp_path, Path(candles))
    made = backtest(file, None, [candles], Options(engine=engine), other_rules=True)
    for name, rules in (("touch", {"fill": "touch"}), ("cross", {}), ("worst", {"intrabar": "worst"})):
        alone = backtest(file, None, [candles], Options(engine="core", **rules))
        assert made.figures[f"net_pnl_{name}"] == alone.figures["net_pnl"]
