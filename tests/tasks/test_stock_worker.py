"""`prefect.yaml` without `up`: pools made, `prefect deploy --all`, and ticks in Prefect's own process worker."""

import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from tasks import server
from tasks.nightly_books import check_books
from tasks.nightly_steps import DONE
from tests.tasks.prefect_lab import lab, wait_until
from tests.tasks.test_up import ended

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]


def prefect(*words: str) -> list[str]:
    """A command of Prefect's own, which asks nobody."""
    return [sys.executable, "-m", "prefect", "--no-prompt", *words]


def test_ticks_run_in_a_stock_process_worker(tmp_path: Path) -> None:
    """A stock worker takes what the file deploys: two ticks, each a process of its own, go on with the same books."""
    place = tmp_path / "place"
    shutil.copytree(ROOT / "flows", place / "flows", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "examples").mkdir()
    portfolio = yaml.safe_load((ROOT / "examples" / "paper.yaml").read_text(encoding="utf-8"))
    # Prices from a seed, moving fast enough to trade between two ticks.
    portfolio["feed"] = {"kind": "synthetic", "seed": 7, "speed": 3600}
    (place / "examples" / "paper.yaml").write_text(yaml.safe_dump(portfolio), encoding="utf-8")
    shutil.copy(ROOT / "prefect.yaml", place)
    with lab(tmp_path) as here:
        environment = server.process_environment(here.home)
        for pool in ("warm", "batch"):
            words = prefect("work-pool", "create", pool, "--type", "process")
            subprocess.run(words, cwd=place, env=environment, check=True, capture_output=True)
        told = subprocess.run(prefect("deploy", "--all"), cwd=place, env=environment, check=True, capture_output=True)
        assert told.stdout.decode().count("successfully created") == len(list(ROOT.glob("flows/[a-z]*.py")))
        words = prefect("worker", "start", "--pool", "warm", "--type", "process", "--limit", "1")
        with (tmp_path / "worker.log").open("wb") as log:
            # Of a group of its own: a worker that misses its SIGTERM goes with the runs that it started.
            worker = subprocess.Popen(words, cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True)
            with ended(worker):
                wait_until(lambda: here.count("paper", "Completed", "tick") >= 2, "two ticks")
        assert not {"Failed", "Crashed"} & set(here.states("paper", "tick"))
    data = place / "data" / "paper"
    with duckdb.connect(data / "trading.duckdb", read_only=True) as store:
        numbers = [number for (number,) in store.execute("SELECT tick_id FROM ticks ORDER BY 1").fetchall()]
    assert numbers[:2] == [1, 2]
    books = check_books(data)
    assert (books.status, books.data.get("found")) == (DONE, None), books.says
