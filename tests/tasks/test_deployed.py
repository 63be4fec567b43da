"""Every deployment as a person has it after `up`: planned by a schedule, taken by its worker, COMPLETED."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.schedules import IntervalSchedule

from tasks import deployments, inbox, server, up
from tasks.nightly_steps import OVER
from tests.tasks.played import play, stored, write_candles, write_portfolio
from tests.tasks.prefect_lab import PATIENCE_S, Lab, begun, free_port

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("server")]

CANDLES, PLAYED, EVERY_S = 600, 50, 5.0
# What a person has to fill in, or to choose, in the form.
WORDS: dict[str, dict[str, Any]] = {
    "control": {"bot": "g1", "action": "cancel", "note": "for the test"},
    "backtest": {"bot": "g1"},
    "sweep": {"bot": "g1", "vary": ["levels=10:20:2"], "engine": "core", "processes": 1},
}


@dataclass
class World:
    """A server on which every deployment of a portfolio had its run; `ends` has the last run of each flow."""

    here: Lab
    file: Path
    ends: dict[str, FlowRun]
    busy_tick: FlowRun


def flows() -> list[str]:
    """The flows of `prefect.yaml`."""
    listed = yaml.safe_load((deployments.ROOT / "prefect.yaml").read_text())["deployments"]
    return [entry["entrypoint"].rpartition(":")[2] for entry in listed]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Make that world once, with the commands and settings of `up`. Its ticks have stopped, its server runs on."""
    folder = tmp_path_factory.mktemp("deployed")
    candles = write_candles(folder / "candles.csv", CANDLES)
    file = write_portfolio(folder, candles)
    play(file, PLAYED)
    plan = up.Plan(file, "test", folder / "data", free_port(), EVERY_S)
    here, running = begun(folder, plan.home, plan.port)
    try:
        assert up.register(plan) is not None
        plan_all(here, candles)
        ends, busy_tick = worked(here, plan)
        yield World(here, file, ends, busy_tick)
    finally:
        server.stop(running)


def plan_all(here: Lab, candles: Path) -> None:
    """Let a schedule of every deployment come now, in place of its own; the tick keeps its own."""

    async def now(client: PrefectClient) -> None:
        for flow in flows():
            if flow == "tick":
                continue
            one = await client.read_deployment_by_name(f"{flow}/test")
            for schedule in one.schedules:
                await client.delete_deployment_schedule(one.id, schedule.id)
            words = WORDS.get(flow, {})
            if flow in {"backtest", "sweep"}:
                words = words | {"candles": [str(candles)]}
            due = datetime.now(UTC)
            daily = IntervalSchedule(interval=timedelta(days=1), anchor_date=due).model_dump(mode="json")
            wanted = [{"schedule": daily, "active": True, "parameters": words}]
            await client.request("POST", f"/deployments/{one.id}/schedules", json=wanted)
            # What the scheduler does in its loop: plan the runs that this schedule has in these seconds.
            span = {"start_time": str(due - timedelta(seconds=1)), "end_time": str(due + timedelta(seconds=1))}
            await client.request("POST", f"/deployments/{one.id}/schedule", json=span | {"min_runs": 1, "max_runs": 1})

    here.ask(now)


def worked(here: Lab, plan: up.Plan) -> tuple[dict[str, FlowRun], FlowRun]:
    """Let the workers of `up` work until every planned run has ended; the run of each flow, and of a busy tick."""
    children = [child for child in up.workers(plan) if child.name != up.HEARTBEAT]
    began = time.monotonic()
    try:
        while True:
            for child in children:
                assert child.keep(time.monotonic()) is None, server.last_line(child.log)
            ends, busy = here.ask(ended)
            if ends.keys() == set(flows()) and busy and inbox.pending(plan.data_dir) == []:
                return ends, busy[0]
            waited_s = time.monotonic() - began
            told = {name: run.state_name for name, run in ends.items()}
            assert waited_s < PATIENCE_S, f"after {waited_s:.0f} s: {told}, {len(busy)} busy ticks; logs in {plan.home}"
            time.sleep(1.0)
    finally:
        for child in children:
            if child.process is not None:
                server.end(child.process, 10)


async def ended(client: PrefectClient) -> tuple[dict[str, FlowRun], list[FlowRun]]:
    """A run of each flow that has ended, and the ticks that placed orders. A tick that was skipped is none."""
    wanted = {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
    runs = await client.read_flow_runs(
        deployment_filter=DeploymentFilter.model_validate({"name": {"any_": ["test"]}}),
        flow_run_filter=FlowRunFilter.model_validate(wanted),
        limit=200,
    )
    names = {one.id: one.name for one in await client.read_flows()}
    ends = {names[run.flow_id]: run for run in sorted(runs, key=lambda run: run.state_type == StateType.COMPLETED)}
    ticks = [run for run in runs if names[run.flow_id] == "tick" and run.state is not None]
    return ends, [run for run in ticks if "placed" in (run.state.message or "")]


def test_every_deployment_is_planned_executed_and_completed(world: World) -> None:
    """Ticks in the warm worker, everything else in the batch worker, what takes long in its queue; each did its work."""
    told = {name: (run.state_name, run.state.message if run.state else None) for name, run in world.ends.items()}
    assert {name: state for name, (state, _) in told.items()} == dict.fromkeys(flows(), "Completed"), told
    assert all(run.auto_scheduled for run in world.ends.values()), "planned by a schedule"
    place = deployments.Place("test", "", "", EVERY_S)
    wanted = {
        plan.entrypoint.rpartition(":")[2]: (plan.pool, plan.queue or "default") for plan in deployments.plans(place)
    }
    found = {name: (run.work_pool_name, run.work_queue_name) for name, run in world.ends.items()}
    assert found == wanted
    data = world.file.parent / "data"
    assert (data / "reports" / "report.html").is_file()
    (record,) = (data / "nightly").glob("????-??-??.json")
    assert {step["status"] for step in json.loads(record.read_text())["steps"].values()} <= set(OVER)
    # The word of control went from its form through the inbox to a tick.
    rows = stored(world.file, "SELECT DISTINCT bot_id, action, who, note FROM commands")
    assert rows == [("g1", "cancel", "ui", "for the test")]
