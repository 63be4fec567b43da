"""Late, lost and foreign runs on a real server: what was missed is one tick, and what is killed leaves whole books."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tasks import server, up
from tasks.nightly_books import check_books
from tasks.nightly_steps import DONE
from tests.tasks.prefect_lab import Lab, beats, begun, free_port, lab, wait_until
from tests.tasks.test_up import ended, pids_of

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("server")]

PORTFOLIO = """
id: {name}
mode: paper
data_dir: {name}
venues:
  - id: spot
    exchange: binance
    instruments: {{{symbol}: {{tick_size: 0.01, lot_step: 0.00001, min_notional: 5, maker: 0.001, taker: 0.001}}}}
feed: {{kind: synthetic, seed: 7, speed: 60}}
bots:
  - {{id: {name}1, kind: grid, venue: spot, symbol: {symbol}, start_price: 60000, end_price: 160000, levels: 200,
     total_amount_quote: 20000, initial_inventory: market}}
"""


def plan_of(folder: Path, port: int, name: str, symbol: str = "BTC/USDT") -> up.Plan:
    """A paper portfolio whose prices move fast enough to trade, with a tick every two seconds."""
    file = folder / f"{name}.yaml"
    file.write_text(PORTFOLIO.format(name=name, symbol=symbol), encoding="utf-8")
    return up.Plan(file, name, folder / name, port, 2.0)


@contextmanager
def ticking(plan: up.Plan) -> Iterator[int]:
    """Run the portfolio's warm worker as `up` does; gives its process id."""
    name = f"warm-{plan.portfolio_id}"
    command = [sys.executable, "-m", "tasks.warm_process", "--home", str(plan.home), "--pool", name]
    worker = server.spawn([*command, "--portfolio", str(plan.file)], plan.home, plan.home / "worker.log")
    with ended(worker):
        yield worker.pid


def ticks_of(plan: up.Plan) -> tuple[int, int]:
    """How many ticks the store of a portfolio has, and the last one's number; nobody may have it open."""
    with duckdb.connect(plan.data_dir / "trading.duckdb", read_only=True) as store:
        return store.execute("SELECT count(*), max(tick_id) FROM ticks").fetchone() or (0, 0)


def wait_for_ticks(here: Lab, name: str, count: int) -> float:
    """Wait until so many scheduled ticks of a portfolio are COMPLETED; returns how long that took in seconds."""
    return wait_until(lambda: here.count(name, "Completed", "tick") >= count, f"{count} ticks", 60 * here.slow)


def test_a_thousand_missed_ticks_are_one_tick(tmp_path: Path) -> None:
    """After 83 minutes without a worker one tick follows at once and then the schedule; what was missed is skipped."""
    with lab(tmp_path) as here:
        file = here.deploy("missed", interval_s=5.0)
        here.miss_runs("missed", 1_000, 5.0)
        began = datetime.now(UTC)
        with here.worker("missed"):
            took_s = wait_until(lambda: len(beats(file)) >= 1, "a tick", 60 * here.slow)
            wait_until(lambda: here.count("missed", "Skipped") >= 990, "those that were missed skipped", 60 * here.slow)
        done = [run.expected_start_time for run in here.completed("missed")]
    assert took_s < 30 * here.slow
    # One of those that were missed, if it was still fresh, stands for all of them.
    assert sum(1 for due in done if due < began) <= 1
    assert len(done) <= len(beats(file)) <= (datetime.now(UTC) - began).total_seconds() / 5 + 2


def test_a_server_killed_in_the_middle_of_a_tick(tmp_path: Path) -> None:
    """The tick is finished, the next ones run as soon as the server is back, and no run is left hanging."""
    home, port = tmp_path / "prefect", free_port()
    here, running = begun(tmp_path, home, port)
    try:
        file = here.deploy("halved", interval_s=1.0, work_s=3.0)
        with here.worker("halved"):
            wait_until(
                lambda: len(beats(file)) >= 1 and "Running" in here.states("halved"),
                "a run in progress",
                60 * here.slow,
            )
            assert running.process is not None
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
            before = len(beats(file))
            time.sleep(4)
            assert here.slow > 1 or len(beats(file)) > before, "the tick is finished without its server"
            running = server.start_or_join(home, port)
            wait_until(lambda: len(beats(file)) > before + 2, "ticks of the new server", 60 * here.slow)
        states = here.states("halved")
    finally:
        server.stop(running)
    assert not {"Running", "Pending", "Cancelling"} & set(states)
    assert states.count("Completed") >= 2


def test_a_worker_killed_again_and_again_keeps_its_books(tmp_path: Path) -> None:
    """Three kills among ticks that trade: each time a tick completes within 30 s, and afterwards every check is silent."""
    plan = plan_of(tmp_path, free_port(), "killed")
    here, running = begun(tmp_path, plan.home, plan.port)
    try:
        assert up.register(plan) is not None
        for number in range(4):
            before = here.count("killed", "Completed", "tick")
            with ticking(plan) as worker:
                took_s = wait_for_ticks(here, "killed", before + 1)
                # The server's own last run may be reported by the next worker; the first start also builds the store.
                assert number == 0 or took_s < 30 * here.slow
                time.sleep(2.0 + 0.17 * number)
                if number < 3:
                    os.kill(worker, signal.SIGKILL)
        assert {"Running", "Pending"}.isdisjoint(here.states("killed", "tick"))
    finally:
        server.stop(running)
    count, last = ticks_of(plan)
    assert count == last
    with duckdb.connect(plan.data_dir / "trading.duckdb", read_only=True) as store:
        assert store.execute("SELECT count(*) FROM fills").fetchone() > (10,)
    books = check_books(plan.data_dir)
    assert (books.status, books.data.get("found")) == (DONE, None), books.says


def test_two_portfolios_on_one_server_run_their_own_ticks(tmp_path: Path) -> None:
    """Each worker executes the runs of its own portfolio and of no other; each store counts exactly these."""
    port = free_port()
    plans = [plan_of(tmp_path, port, "left"), plan_of(tmp_path, port, "right", "ETH/USDT")]
    shared = server.login(plans[0].home)
    plans[1].home.mkdir(parents=True)
    server.login_file(plans[1].home).write_text(shared + "\n")
    here, running = begun(tmp_path, plans[0].home, port)
    try:
        assert server.start_or_join(plans[1].home, port).process is None
        assert all(up.register(plan) is not None for plan in plans)
        with ticking(plans[0]), ticking(plans[1]):
            for plan in plans:
                wait_for_ticks(here, plan.portfolio_id, 5)
        for plan in plans:
            name = plan.portfolio_id
            done = here.completed(name, "tick")
            # Ticks that the worker drove alone, where the server was too slow for it, have no run.
            assert 5 <= len(done) <= ticks_of(plan)[0]
            assert {(run.work_pool_name, run.parameters["portfolio"]) for run in done} == {
                (f"warm-{name}", str(plan.file))
            }
            with duckdb.connect(plan.data_dir / "trading.duckdb", read_only=True) as store:
                assert store.execute("SELECT DISTINCT bot_id FROM orders").fetchall() == [(f"{name}1",)]
        assert all(pids_of(plan.home, "warm_process") == [] for plan in plans)
    finally:
        server.stop(running)
