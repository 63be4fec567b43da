"""Adding a controller touches one file: the one that the document shows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

ASK = """
from decimal import Decimal
from datetime import datetime
from pydantic import TypeAdapter
from core.controllers import AnyController
from core.controllers.protocol import Scene, decide
from core.market import Quote
told = {"id": "d", "controller_name": "dip", "venue": "spot", "symbol": "BTC/USDT", "total_amount_quote": 100,
        "below": 100, "amount": 1}
dip = TypeAdapter(AnyController).validate_python(told)
now = datetime(2026, 1, 1)
for price in (99, 101):
    one = Decimal(price)
    quote = Quote(venue="spot", symbol="BTC/USDT", bid=one, ask=one, last=one, ts=now)
    print(len(decide(dip, Scene(now=now, quote=quote)).actions))
"""


def test_a_controller_of_ones_own_is_one_file(tmp_path: Path) -> None:
    """The document's example, put into a copy of the core as it stands: it is found by its name and proposes."""
    shutil.copytree(ROOT / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__"))
    shown = re.search(
        r"^```python controller\n(.*?)^```", (ROOT / "docs/controllers.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert shown is not None
    (tmp_path / "core/controllers/dip.py").write_text(shown[1])
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "0"]


def test_every_file_of_the_folder_is_a_controller_in_the_document() -> None:
    """Each one that is shipped is described."""
    text = (ROOT / "docs/controllers.md").read_text()
    files = {path.stem for path in (ROOT / "core/controllers").glob("*.py")} - {"__init__", "protocol"}
    assert files == set(re.findall(r"^### `(\w+)`$", text, re.MULTILINE))
