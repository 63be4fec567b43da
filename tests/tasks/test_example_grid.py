"""The grid's example runs as it stands, and the page of features names tests that exist."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tasks.cli import main

ROOT = Path(__file__).parents[2]


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some ticks on made-up prices: all three bots place orders, and nothing is amiss."""
    (tmp_path / "examples").mkdir()
    file = shutil.copy(ROOT / "examples/grid.yaml", tmp_path / "examples/grid.yaml")
    assert main(["run", "--portfolio", str(file), "--ticks", "3", "--interval", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    assert told["ticks"] == 3
    assert told["orders_placed"] >= 40
    assert told["incidents"] == 0


def test_the_rolling_grids_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One entry rests, and nothing is amiss."""
    (tmp_path / "examples").mkdir()
    file = shutil.copy(ROOT / "examples/rolling_grid.yaml", tmp_path / "examples/rolling_grid.yaml")
    assert main(["run", "--portfolio", str(file), "--ticks", "3", "--interval", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    assert (told["ticks"], told["incidents"]) == (3, 0)
    assert told["orders_placed"] >= 1


@pytest.mark.parametrize("section", ["`grid`", "Document 002", "Document 001"])
def test_features_name_their_tests(section: str) -> None:
    """Each row of the grid family's sections in docs/coverage.md names a test that is there."""
    rows = (ROOT / "docs/coverage.md").read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", rows)
    assert len(named) >= 25
    assert len(named) == sum(line.startswith("| ") for line in rows.splitlines()) - 1
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(), test
