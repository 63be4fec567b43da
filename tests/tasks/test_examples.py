"""Every example runs as it stands: some ticks on made-up prices, orders where they belong, and nothing amiss."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.kinds import KINDS
from tasks.cli import main
from tasks.settings import load_portfolio

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.yaml"))
# What each sends at least in its first ticks: an `order` of every strategy, a DCA of three levels, a slice of each mode.
ORDERS = {"position.yaml": 1, "dca.yaml": 3, "twap.yaml": 2, "order.yaml": 4, "controllers.yaml": 2, "paper.yaml": 2}
ELSEWHERE = {
    "arbitrage.yaml": "test_pairs.py", "atr_grid.yaml": "test_atr_grid.py", "funding_arb.yaml": "test_pairs.py",
    "grid.yaml": "test_example_grid.py", "ladder.yaml": "test_ladder.py", "rolling_grid.yaml": "test_example_grid.py",
    "xemm.yaml": "test_pairs.py",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_an_example_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four ticks without an incident. `feed: auto` would ask an exchange first, so it is made synthetic here."""
    (tmp_path / "examples").mkdir()
    file = Path(shutil.copy(ROOT / "examples" / name, tmp_path / "examples" / name))
    file.write_text(file.read_text().replace("feed: {kind: auto}", "feed: {kind: synthetic}"))
    assert main(["run", "--portfolio", str(file), "--ticks", "4", "--interval", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    assert (told["ticks"], told["incidents"]) == (4, 0)
    assert told["orders_placed"] >= ORDERS[name]


def test_the_trade_managers_example_runs(tmp_path: Path) -> None:
    """The script trades, saves its state and says where its log is."""
    script = ROOT / "examples/trade_manager.py"
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert "fills" in done.stdout
    assert (tmp_path / "results/pnl.log").read_text()


def test_every_example_is_run_and_every_kind_has_one() -> None:
    """A new example, or a kind without one, is noticed here."""
    assert {*ORDERS, *ELSEWHERE} == set(EXAMPLES)
    for name, test in ELSEWHERE.items():
        text = (Path(__file__).parent / test).read_text()
        assert name in text or (f'"{Path(name).stem}"' in text and "examples/{kind}.yaml" in text)
    shown = {bot.kind for name in EXAMPLES for bot in load_portfolio(ROOT / "examples" / name).bots}
    assert shown == set(KINDS)
