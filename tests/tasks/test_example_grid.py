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


def test_features_name_their_tests() -> None:
    """Each row of the grid's section in docs/coverage.md names a test that is there."""
    section = (ROOT / "docs/coverage.md").read_text().split("## `grid`\n")[1].split("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", section)
    assert len(named) >= 30
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(), test
