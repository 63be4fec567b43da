"""A real Prefect server and real workers for tests: started by the test, on a free port, in a temporary folder."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions, FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Scheduled

from tasks import server
from tasks.warm_lost import UNFINISHED
from tasks.warm_worker import WarmWorker

# After so long a test gives up. Nothing is measured by it: what is waited for comes in seconds on an idle machine.
PATIENCE_S = 400.0
# What a server's first start, and what an import of Prefect, takes on an idle machine, at most.
IDLE_START_S, IDLE_IMPORT_S = 10.0, 2.5

BEAT = """
import asyncio, json, time
from pathlib import Path
from prefect import flow

@flow(persist_result=False)
async def beat(file: str, work_s: float = 0.0, fail: bool = False, portfolio: str = ""):
    began = time.time()
    await asyncio.sleep(work_s)
    with Path(file).open("a") as lines:
        lines.write(json.dumps([began, time.time()]) + "\\n")
    if fail:
        raise ValueError("no price for BTC/USDT")
"""


@dataclass
class Lab:
    """A server that runs, and a folder. `slow` says how many times longer things take here than on an idle machine."""

    folder: Path
    home: Path
    port: int
    slow: float = 1.0

    @property
    def url(self) -> str:
        """Address of the API."""
        return server.api_url(self.port)

    def ask(self, question: Callable[[PrefectClient], Awaitable[Any]]) -> Any:
        """Run one coroutine with a client of this lab's server."""

        async def with_client() -> Any:
            async with get_client() as client:
                return await question(client)

        mine = {PREFECT_API_URL: self.url, PREFECT_API_AUTH_STRING: server.login(self.home)}
        with temporary_settings(mine):
            return asyncio.run(with_client())

    def deploy(self, name: str, interval_s: float | None = None, **parameters: Any) -> Path:
        """Deploy `beat` on a pool of its own, `warm-<name>`; return the file that it writes to."""
        script, file = self.folder / "beat.py", self.folder / f"{name}.jsonl"
        script.write_text(BEAT, encoding="utf-8")
        flow = load_flow_from_entrypoint(f"{script}:beat", use_placeholder_flow=False)
        schedules = []
        if interval_s is not None:
            every = IntervalSchedule(interval=timedelta(seconds=interval_s))
            schedules.append(DeploymentScheduleCreate(schedule=every))

        async def register(client: PrefectClient) -> None:
            await client.create_work_pool(WorkPoolCreate(name=f"warm-{name}", type=WarmWorker.type))
            await client.create_deployment(
                flow_id=await client.create_flow(flow),
                name=name,
                work_pool_name=f"warm-{name}",
                path=str(self.folder),
                entrypoint="beat.py:beat",
                parameters={"file": str(file), **parameters},
                schedules=schedules,
                concurrency_limit=1,
                concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
            )

        self.ask(register)
        return file

    def plan_runs(self, name: str, ages_s: list[float], **parameters: Any) -> None:
        """Plan one run for each age: seconds before now at which it was due."""

        async def create(client: PrefectClient) -> None:
            deployment = await client.read_deployment_by_name(f"beat/{name}")
            now = datetime.now(UTC)
            for age_s in ages_s:
                due = now - timedelta(seconds=age_s)
                state = Scheduled(scheduled_time=due)
                await client.create_flow_run_from_deployment(deployment.id, state=state, parameters=parameters)

        self.ask(create)

    def miss_runs(self, name: str, count: int, interval_s: float) -> None:
        """Let the server plan what its schedule would have planned up to now, had it come to that."""

        async def plan(client: PrefectClient) -> None:
            deployment = await client.read_deployment_by_name(f"beat/{name}")
            now = datetime.now(UTC)
            span = {"start_time": str(now - timedelta(seconds=count * interval_s)), "end_time": str(now)}
            words = span | {"min_runs": count, "max_runs": count}
            await client.request("POST", f"/deployments/{deployment.id}/schedule", json=words, timeout=60)

        self.ask(plan)

    def runs(self, name: str, flow: str = "beat") -> list[FlowRun]:
        """The newest 200 runs of a deployment that are not merely planned, by the time at which they were due."""

        async def read(client: PrefectClient) -> list[FlowRun]:
            deployment = await client.read_deployment_by_name(f"{flow}/{name}")
            wanted = {"deployment_id": {"any_": [str(deployment.id)]}, "state": {"type": {"not_any_": ["SCHEDULED"]}}}
            newest = FlowRunSort.EXPECTED_START_TIME_DESC
            return await client.read_flow_runs(
                flow_run_filter=FlowRunFilter.model_validate(wanted), sort=newest, limit=200
            )

        return sorted(self.ask(read), key=lambda run: run.expected_start_time)

    def run(self, run_id: UUID) -> FlowRun:
        """One run as the server has it now."""
        return self.ask(lambda client: client.read_flow_run(run_id))

    def unfinished(self, name: str, flow: str = "beat") -> list[FlowRun]:
        """The runs of a deployment that somebody has begun or taken a slot for, and that have no end yet."""

        async def read(client: PrefectClient) -> list[FlowRun]:
            deployment = await client.read_deployment_by_name(f"{flow}/{name}")
            wanted = {"deployment_id": {"any_": [str(deployment.id)]}, "state": {"type": {"any_": UNFINISHED}}}
            return await client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted), limit=200)

        return self.ask(read)

    def completed(self, name: str, flow: str = "beat") -> list[FlowRun]:
        """Completed runs of a deployment, at most 200, by the time at which they were due."""

        async def read(client: PrefectClient) -> list[FlowRun]:
            deployment = await client.read_deployment_by_name(f"{flow}/{name}")
            wanted = {"deployment_id": {"any_": [str(deployment.id)]}, "state": {"type": {"any_": ["COMPLETED"]}}}
            return await client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted), limit=200)

        return sorted(self.ask(read), key=lambda run: run.expected_start_time)

    def states(self, name: str, flow: str = "beat") -> list[str]:
        """The names of the states of these runs."""
        return [run.state.name for run in self.runs(name, flow) if run.state is not None]

    def count(self, name: str, state: str, flow: str = "beat") -> int:
        """How many runs of a deployment are in a state of this name."""

        async def read(client: PrefectClient) -> int:
            deployment = await client.read_deployment_by_name(f"{flow}/{name}")
            wanted = {"deployment_id": {"any_": [str(deployment.id)]}, "state": {"name": {"any_": [state]}}}
            return await client.count_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))

        return self.ask(read)

    @contextmanager
    def worker(self, name: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a warm worker for `warm-<name>`, as `gridkeeper up` does; stopped at the end."""
        command = [sys.executable, "-m", "tasks.warm_process", "--home", str(self.home), "--pool", f"warm-{name}"]
        process = server.spawn([*command, *more], self.home, self.log(name))
        try:
            yield process
        finally:
            server.end(process, 10)

    def ready(self, name: str) -> None:
        """Wait until the worker of `name` has begun to serve. Before that, runs grow stale on a slow machine."""
        wait_until(lambda: "started" in self.log(name).read_text(), f"the worker of {name}")

    def log(self, name: str) -> Path:
        """What the worker of `name` wrote."""
        return self.home / f"{name}.log"


@contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Start a server in a folder and stop it at the end."""
    here, running = begun(folder, folder / "prefect", free_port())
    try:
        yield here
    finally:
        server.stop(running)


def begun(folder: Path, home: Path, port: int) -> tuple[Lab, server.Server]:
    """Start a server whose end is the caller's business."""
    began = time.monotonic()
    running = server.start_or_join(home, port, timeout_s=300, say=lambda _: None)
    return Lab(folder, home, port, max(1.0, (time.monotonic() - began) / IDLE_START_S)), running


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def slowness() -> float:
    """How many times longer an import of Prefect takes now than on an idle machine; at least 1."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import prefect.flow_engine, prefect.workers.base"], check=True)
    return max(1.0, (time.monotonic() - began) / IDLE_IMPORT_S)


def bearable(took_s: float, limit_s: float, slow: float = 1.0) -> bool:
    """Whether something took less than `limit_s`, or more only by as much as this machine is slower than an idle one."""
    return took_s < limit_s or took_s < limit_s * max(slow, slowness())


def soon(here: Lab, limit_s: float, condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that comes within `limit_s` on an idle machine."""
    took_s = wait_until(condition, what)
    assert bearable(took_s, limit_s, here.slow), f"{took_s:.0f} s: {what}"


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> float:
    """Wait for a condition; return how long it took in seconds. Fails with `what` after the time limit."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s, f"within {timeout_s:g} s: {what}"
        time.sleep(0.1)
    return time.monotonic() - started


def beats(file: Path) -> list[tuple[float, float]]:
    """When each beat began and ended, in seconds since 1970."""
    return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []
