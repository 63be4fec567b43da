"""The warm worker against a real Prefect server on this machine."""

import os
import signal
import statistics
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.states import Cancelling

from tests.tasks.prefect_lab import PATIENCE_S, Lab, bearable, beats, lab, soon, wait_until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("warm")) as started:
        yield started


def test_a_schedule_really_produces_completed_runs(here: Lab) -> None:
    """Every second a run is created, executed in the worker's process close to its time, and reported COMPLETED."""
    file = here.deploy("punctual", interval_s=1)
    with here.worker("punctual"):
        wait_until(lambda: len(beats(file)) >= 12, "twelve beats")
    runs = [run for run in here.runs("punctual") if run.state.is_completed()][2:]
    late_s = [(run.start_time - run.expected_start_time).total_seconds() for run in runs]
    assert len(runs) >= 9
    assert bearable(statistics.median(late_s), 0.25)
    assert "Traceback" not in here.log("punctual").read_text()


def test_a_slow_tick_is_never_overlapped(here: Lab) -> None:
    """Runs that come due while one runs are cancelled as skipped, and say so; the next one in time runs."""
    file = here.deploy("slow", interval_s=1, work_s=2.3)
    with here.worker("slow"):
        wait_until(lambda: len(beats(file)) >= 3, "three slow beats")
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(beats(file)))
    skipped = [run.state for run in here.runs("slow") if run.state.name == "Skipped"]
    assert len(skipped) >= 3
    assert all(state.is_cancelled() for state in skipped)
    assert any("still runs" in state.message for state in skipped)


def test_stale_and_bunched_runs_are_skipped(here: Lab) -> None:
    """After a pause, what is old is skipped and what is recent is answered by one run."""
    file = here.deploy("late")
    with here.worker("late") as worker:
        here.ready("late")
        os.kill(worker.pid, signal.SIGSTOP)
        here.plan_runs("late", [3_600, 600, 60, 2, 1, 0])
        os.kill(worker.pid, signal.SIGCONT)
        wait_until(lambda: len(here.runs("late")) == 6, "six runs decided on")
        wait_until(lambda: "Completed" in here.states("late"), "one run done")
    assert here.states("late") == ["Skipped"] * 5 + ["Completed"]
    assert len(beats(file)) == 1


def test_who_gives_way_gives_his_slot_first(here: Lab) -> None:
    """Of two runs due together the first has taken the slot ahead; the newer one gets it and runs, every time."""
    file = here.deploy("pairs")
    with here.worker("pairs"):
        # Half a millisecond apart: as a rule both are due when the worker wakes up, or else the first one still runs.
        here.plan_runs("pairs", [-12 - pair - apart for pair in range(8) for apart in (0.0, 0.0005)])
        wait_until(lambda: len(here.runs("pairs")) == 16, "sixteen runs decided on")
        wait_until(lambda: not here.unfinished("pairs"), "all of them over")
    states = here.states("pairs")
    # On a slow machine two pairs may be due together; the newest one of all runs then.
    assert set(states) == {"Completed", "Skipped"}, states
    assert states[-1] == "Completed", states
    assert 4 <= states.count("Completed") == len(beats(file)) <= 8, states


def test_a_failed_tick_is_visible_with_its_message(here: Lab) -> None:
    """A tick that raises is FAILED with what it said, and the worker goes on."""
    here.deploy("failing")
    with here.worker("failing"):
        here.plan_runs("failing", [0], fail=True)
        wait_until(lambda: here.states("failing") == ["Failed"], "a failed run")
        here.plan_runs("failing", [0], fail=False)
        wait_until(lambda: here.states("failing") == ["Failed", "Completed"], "a run after the failed one")
    assert "no price for BTC/USDT" in here.runs("failing")[0].state.message


def test_after_a_kill_the_next_worker_goes_on(here: Lab) -> None:
    """`kill -9` in the middle of a tick: the run is reported as crashed, and its slot does not block the next tick."""
    file = here.deploy("killed")
    with here.worker("killed") as worker:
        here.ready("killed")
        here.plan_runs("killed", [0], work_s=60)
        wait_until(lambda: here.states("killed") == ["Running"], "a run in progress")
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    with here.worker("killed"):
        here.plan_runs("killed", [0])
        soon(here, 30, lambda: len(beats(file)) == 1, "a beat of the second worker")
        wait_until(lambda: here.states("killed") == ["Crashed", "Completed"], "both runs final")


def test_a_clean_stop_finishes_the_tick(here: Lab) -> None:
    """SIGTERM in the middle of a tick: the tick ends as COMPLETED, the process with 0, well within ten seconds."""
    file = here.deploy("stopped")
    with here.worker("stopped") as worker:
        here.ready("stopped")
        here.plan_runs("stopped", [0], work_s=4)
        wait_until(lambda: here.states("stopped") == ["Running"], "a run in progress")
        asked = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0
        assert bearable(time.monotonic() - asked, 10)
    assert here.states("stopped") == ["Completed"]
    assert len(beats(file)) == 1


def test_a_run_of_another_portfolio_is_refused(here: Lab) -> None:
    """A worker takes runs of its own portfolio only, whoever planned them."""
    file = here.deploy("own", portfolio="mine.yaml")
    with here.worker("own", "--portfolio", "mine.yaml"):
        here.plan_runs("own", [0], portfolio="theirs.yaml")
        wait_until(lambda: here.states("own") == ["Refused"], "a refused run")
        here.plan_runs("own", [0])
        wait_until(lambda: here.states("own") == ["Refused", "Completed"], "a run of its own")
    assert len(beats(file)) == 1


async def cancel(run_id: UUID, client: PrefectClient) -> None:
    await client.set_flow_run_state(run_id, Cancelling())


def test_a_run_cancelled_while_it_runs_frees_its_slot(here: Lab) -> None:
    """Cancelling a running tick in the UI lets the tick end, and the next one starts."""
    here.deploy("cancelled")
    with here.worker("cancelled"):
        here.ready("cancelled")
        here.plan_runs("cancelled", [0], work_s=4)
        wait_until(lambda: here.states("cancelled") == ["Running"], "a run in progress")
        run = here.runs("cancelled")[0]
        here.ask(partial(cancel, run.id))
        wait_until(lambda: here.states("cancelled") == ["Cancelled"], "the run cancelled")
        here.plan_runs("cancelled", [0])
        wait_until(lambda: here.states("cancelled") == ["Cancelled", "Completed"], "the next run")


def test_a_ghost_in_the_slot_does_not_stop_the_ticks(here: Lab) -> None:
    """Where the server's concurrency slot is taken although nothing runs, the worker frees it after two refusals."""

    async def haunt(client: PrefectClient) -> None:
        deployment = await client.read_deployment_by_name("beat/ghost")
        taken = GlobalConcurrencyLimitUpdate(active_slots=1)
        await client.update_global_concurrency_limit(deployment.global_concurrency_limit.name, taken)

    file = here.deploy("ghost", interval_s=1)
    here.ask(haunt)
    with here.worker("ghost"):
        wait_until(lambda: len(beats(file)) >= 2, "beats in spite of the ghost")


def test_a_second_worker_of_a_portfolio_is_turned_away(here: Lab) -> None:
    """The lock of a portfolio admits one worker; the second ends with 4 and names the lock."""
    here.deploy("double")
    with here.worker("double"):
        wait_until((here.home / "warm-double.lock").exists, "the lock")
        here.ready("double")
        with here.worker("double") as second:
            assert second.wait(PATIENCE_S) == 4
    assert "another worker of warm-double runs" in here.log("double").read_text()
