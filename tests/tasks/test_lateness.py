"""Late, lost and foreign runs on a real server: what was missed is one tick, and what is killed leaves whole books."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from uuid import UUID

import duckdb
import pytest
from prefect.client.schemas.objects import FlowRun

from tasks import server, up
from tasks.heartbeat import last_beat
from tasks.nightly_books import check_books
from tasks.nightly_steps import DONE
from tasks.register_again import Registrar
from tests.tasks.prefect_lab import PATIENCE_S, Lab, beats, begun, free_port, lab, soon, wait_until
from tests.tasks.test_up import ended, pids_of

pytestmark = pytest.mark.server

PORTFOLIO = """
id: {name}
mode: paper
data_dir: {name}
venues:
  - id: spot
    exchange: binance
    instruments: {{{symbol}: {{tick_size: 0.01, lot_step: 0.00001, min_notional: 5, maker: 0.001, taker: 0.001}}}}
feed: {{kind: synthetic, seed: 7, speed: 3600}}
bots:
  - {{id: {name}1, kind: grid, venue: spot, symbol: {symbol}, start_price: 60000, end_price: 160000, levels: 200,
     total_amount_quote: 20000, initial_inventory: market}}
"""


def plan_of(folder: Path, port: int, name: str, symbol: str = "BTC/USDT") -> up.Plan:
    """A paper portfolio whose prices move fast enough to trade, with a tick every four seconds."""
    file = folder / f"{name}.yaml"
    file.write_text(PORTFOLIO.format(name=name, symbol=symbol), encoding="utf-8")
    return up.Plan(file, name, folder / name, port, 4.0)


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


def cut_short(plan: up.Plan) -> tuple[set[int], set[int]]:
    """The numbers of ticks that have no row, and those among them whose decisions are in the journal."""
    with duckdb.connect(plan.data_dir / "trading.duckdb", read_only=True) as store:
        ended = {number for (number,) in store.execute("SELECT tick_id FROM ticks").fetchall()}
        began = {number for (number,) in store.execute("SELECT DISTINCT tick_id FROM journal").fetchall()}
    missing = set(range(1, max(ended) + 1)) - ended
    return missing, missing & began


def ticks_told(plan: up.Plan) -> int:
    """The number of the last tick, as its sign of life tells everybody."""
    beat = last_beat(plan.data_dir)
    return 0 if beat is None else beat.tick_id


def trading_ticks(here: Lab, name: str) -> int:
    """How many of the completed ticks of a portfolio say that they booked fills."""
    return sum(1 for run in here.completed(name, "tick") if run.state is not None and "fills" in str(run.state.message))


def more_ticks(here: Lab, name: str, before: int) -> bool:
    """Whether more ticks of a portfolio are COMPLETED than before."""
    return here.count(name, "Completed", "tick") > before


def are_over(here: Lab, runs: set[UUID]) -> bool:
    """Whether each of these runs has a final state."""
    return all(state is not None and state.is_final() for state in (here.run(one).state for one in runs))


def in_the_middle(here: Lab, name: str, work_s: float) -> FlowRun:
    """Wait for a run of which more than half is still to come."""
    found: list[FlowRun] = []

    def look() -> bool:
        now = datetime.now(UTC)
        begun_runs = [run for run in here.unfinished(name) if run.start_time is not None]
        found[:] = [run for run in begun_runs if (now - run.start_time).total_seconds() < work_s / 2]
        return bool(found)

    wait_until(look, "a run in progress")
    return found[0]


def test_a_thousand_missed_ticks_are_one_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 83 minutes without a worker one tick follows at once and then the schedule; what was missed is skipped."""
    # A server that was up all the time has called each of them late when it was; here it would do so for all at once.
    monkeypatch.setitem(server.SERVER_SETTINGS, "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED", "false")
    with lab(tmp_path) as here:
        file = here.deploy("missed", interval_s=5.0)
        here.miss_runs("missed", 1_000, 5.0)
        began = datetime.now(UTC)
        with here.worker("missed"):
            soon(here, 30, file.exists, "a tick")
            wait_until(lambda: here.count("missed", "Skipped") >= 200, "two pages of what was missed skipped")
        done = [run.expected_start_time for run in here.completed("missed")]
    # One of those that were missed, if it was still fresh, stands for all of them.
    assert sum(1 for due in done if due < began) <= 1
    assert len(done) <= len(beats(file)) <= (datetime.now(UTC) - began).total_seconds() / 5 + 2


def test_a_server_killed_in_the_middle_of_a_tick(tmp_path: Path) -> None:
    """The tick is finished without it, the next ones run when it is back, and no run is left hanging."""
    home, port, work_s = tmp_path / "prefect", free_port(), 6.0
    here, running = begun(tmp_path, home, port)
    try:
        file = here.deploy("halved", interval_s=5.0, work_s=work_s)
        with here.worker("halved"):
            lost = in_the_middle(here, "halved", work_s)
            assert running.process is not None
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
            before = len(beats(file))
            wait_until(lambda: len(beats(file)) > before, "the tick finished while nobody answers")
            running = server.start_or_join(home, port, timeout_s=PATIENCE_S, say=lambda _: None)
            pending = {run.id for run in here.unfinished("halved")}
            wait_until(lambda: len(beats(file)) > before + 2, "ticks of the new server")
            wait_until(partial(are_over, here, {lost.id, *pending}), "no run of before is left in progress")
            wait_until(lambda: here.count("halved", "Completed") >= 1, "a completed run")
    finally:
        server.stop(running)


def test_a_server_wiped_while_ticks_run(tmp_path: Path) -> None:
    """A server with an empty database plans nothing: the worker ticks without it until the deployments are there again."""
    plan = plan_of(tmp_path, free_port(), "wiped")
    here, running = begun(tmp_path, plan.home, plan.port)
    registrar = Registrar("wiped", plan.home, plan.port, up.registration(plan))
    try:
        assert up.register(plan) is not None
        assert registrar.keep(0) == "", "nothing is lost yet"
        with ticking(plan):
            wait_until(partial(more_ticks, here, "wiped", 1), "scheduled ticks")
            assert running.process is not None
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
            for file in plan.home.glob("prefect.db*"):
                file.unlink()
            running = server.start_or_join(plan.home, plan.port, timeout_s=PATIENCE_S, say=lambda _: None)
            log = plan.home / "worker.log"
            wait_until(lambda: "ticking without it" in log.read_text(), "the worker ticks alone")
            alone = ticks_told(plan)
            wait_until(lambda: ticks_told(plan) > alone + 2, "ticks without a plan")
            # One look every ten seconds, so that a busy server is asked again.
            times = count(10, 10)
            wait_until(lambda: "lost the deployments of wiped" in registrar.keep(next(times)), "the loss noticed")
            wait_until(lambda: "are registered" in registrar.keep(next(times)), "the deployments registered")
            wait_until(partial(more_ticks, here, "wiped", 2), "scheduled ticks again")
            wait_until(lambda: "server is back" in log.read_text(), "the worker goes by its schedule again")
    finally:
        registrar.stop()
        server.stop(running)
    ticks, last = ticks_of(plan)
    assert ticks == last, "nobody ticked beside the worker"


def test_a_worker_killed_again_and_again_keeps_its_books(tmp_path: Path) -> None:
    """Three kills among ticks that trade: each time a tick completes within 30 s, and afterwards every check is silent."""
    plan = plan_of(tmp_path, free_port(), "killed")
    here, running = begun(tmp_path, plan.home, plan.port)
    lost: set[UUID] = set()
    try:
        assert up.register(plan) is not None
        for number in range(4):
            before = here.count("killed", "Completed", "tick")
            with ticking(plan) as worker:
                soon(here, 30, partial(more_ticks, here, "killed", before), "a tick after a start")
                # What the killed one left behind is reported, and stands in nobody's way.
                wait_until(partial(are_over, here, lost), "what a kill left in progress reported")
                if number < 3:
                    # Somewhere else in its four seconds each time.
                    time.sleep(4.0 + 0.31 * number)
                    os.kill(worker, signal.SIGKILL)
                    wait_until(lambda: pids_of(plan.home, "warm_process") == [], "the worker gone")
                    lost = {run.id for run in here.unfinished("killed", "tick")}
                else:
                    wait_until(lambda: trading_ticks(here, "killed") >= 4, "ticks that trade")
    finally:
        server.stop(running)
    missing, begun_then_killed = cut_short(plan)
    assert missing == begun_then_killed, "a number is taken by a tick that decided something"
    assert len(missing) <= 3, "at most one tick was cut short by each kill"
    with duckdb.connect(plan.data_dir / "trading.duckdb", read_only=True) as store:
        assert store.execute("SELECT count(*) FROM ticks WHERE fills > 0").fetchone() >= (4,)
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
                name = plan.portfolio_id
                wait_until(partial(more_ticks, here, name, 4), f"five ticks of {name}")
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
