"""What a person fills into the forms of backtest and sweep reaches the code that does the work."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from flows import backtest, sweep
from tests.tasks.played import START, write_candles, write_portfolio


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of artifacts, which go to a server that these tests have no need of."""
    texts: list[str] = []

    def keep(markdown: str, **_: Any) -> None:
        texts.append(markdown)

    for module in (backtest, sweep):
        monkeypatch.setattr(module, "create_markdown_artifact", keep)
    return texts


def test_a_form_of_a_backtest_is_done(tmp_path: Path, told: list[str]) -> None:
    """The figures come back and stand in the artifact; both ends of the time are obeyed."""
    candles = write_candles(tmp_path / "candles.csv", 300)
    file = str(write_portfolio(tmp_path, candles))
    with disable_run_logger():
        whole = backtest.backtest.fn(file, [str(candles)], bot="g1", latency_s=0.0)
        first = backtest.backtest.fn(file, [str(candles)], bot="g1", latency_s=0.0, to_=START.replace(hour=2))
    assert whole["fills"] > first["fills"] > 0
    assert f"| fills | {whole['fills']} |" in told[0]


def test_a_form_of_a_sweep_is_done(tmp_path: Path, told: list[str]) -> None:
    """Every value is tried, over the candles between both times."""
    candles = write_candles(tmp_path / "candles.csv", 300)
    file = str(write_portfolio(tmp_path, candles))
    with disable_run_logger():
        said = sweep.sweep.fn(
            file, [str(candles)], ["levels=10:20:2"], bot="g1", engine="core", processes=1,
            from_=datetime(2025, 1, 1, 1), to_=datetime(2025, 1, 1, 4),
        )  # fmt: skip
    assert said["trials"] == 2
    assert told != []
