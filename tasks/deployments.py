"""Register the deployments of `prefect.yaml` for one portfolio: `python -m tasks.deployments --id ID ...`.

`prefect.yaml` is the only list. Pools, deployment names and parameters get the portfolio's own values here, so that
several portfolios share a server without meeting each other's runs. A deployment that a person paused stays paused.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from tasks.automations import watch_ticks
from tasks.warm_lost import crash_unfinished
from tasks.warm_worker import WarmWorker

ROOT = Path(__file__).parents[1]
WARM, BATCH = "warm", "batch"
# The work queue of flows that take long and write the market store: one at a time, while control and report go on.
HEAVY = "heavy"
NO_TICK_S = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """The portfolio that deployments are registered for. `portfolio` is its file, or the name of the built-in one."""

    portfolio_id: str
    portfolio: str
    data_dir: str
    interval_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """One deployment as it will be registered."""

    name: str
    entrypoint: str
    pool: str
    queue: str | None
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    schedules: tuple[DeploymentScheduleCreate, ...]
    concurrency: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Registered:
    """One deployment at the server: `flow/name`, its pool, and whether a person paused it."""

    name: str
    pool: str
    paused: bool


def pool_name(kind: str, portfolio_id: str) -> str:
    """Work pool of a portfolio: `warm-<id>` runs ticks in one process, `batch-<id>` runs the rest."""
    return f"{kind}-{portfolio_id}"


def plans(place: Place, path: Path = ROOT / "prefect.yaml") -> list[Plan]:
    """The deployments of `prefect.yaml` with the portfolio's own pools, names and parameters."""
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"]
    return [_plan(entry, place) for entry in listed]


async def register(client: PrefectClient, place: Place, *, ticks_paused: bool = False) -> list[Registered]:
    """Create or bring up to date the pools and deployments of a portfolio. Import errors of a flow are raised as they
    are. `ticks_paused`: the tick begins as paused where the server does not have it yet.

    What an earlier `up` left running on the batch pool is reported as crashed, so that it holds no concurrency slot;
    only who holds the portfolio's lock may call this.
    """
    for kind, worker in ((WARM, WarmWorker), (BATCH, ProcessWorker)):
        pool = WorkPoolCreate(
            name=pool_name(kind, place.portfolio_id),
            type=worker.type,
            description=f"{worker.get_description()} Portfolio {place.portfolio_id}.",
            base_job_template=worker.get_default_base_job_template(),
        )
        await client.create_work_pool(pool, overwrite=True)
    await _one_heavy_at_a_time(client, pool_name(BATCH, place.portfolio_id))
    await crash_unfinished(client, pool_name(BATCH, place.portfolio_id))
    registered = [await _register(client, plan, ticks_paused=ticks_paused) for plan in plans(place)]
    await _watch(client, place)
    return registered


async def _watch(client: PrefectClient, place: Place) -> None:
    # The server itself notices that no tick ends, also when the warm worker is gone.
    name = place.portfolio_id
    ticks = (await client.read_deployment_by_name(f"tick/{name}")).id
    look = (await client.read_deployment_by_name(f"heartbeat/{name}")).id
    await watch_ticks(client, f"gridkeeper {name}: no tick", ticks, look, max(NO_TICK_S, 3 * place.interval_s))


async def _one_heavy_at_a_time(client: PrefectClient, pool: str) -> None:
    try:
        queue = await client.read_work_queue_by_name(HEAVY, work_pool_name=pool)
    except ObjectNotFound:
        await client.create_work_queue(HEAVY, concurrency_limit=1, work_pool_name=pool)
    else:
        await client.update_work_queue(queue.id, concurrency_limit=1)


async def _register(client: PrefectClient, plan: Plan, *, ticks_paused: bool) -> Registered:
    flow = load_flow_from_entrypoint(str(ROOT / plan.entrypoint), use_placeholder_flow=False)
    name = f"{flow.name}/{plan.name}"
    try:
        paused = (await client.read_deployment_by_name(name)).paused
    except ObjectNotFound:
        paused = ticks_paused and flow.name == "tick"
    limit = plan.concurrency
    await client.create_deployment(
        flow_id=await client.create_flow(flow),
        name=plan.name,
        entrypoint=plan.entrypoint,
        path=str(ROOT),
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}],
        work_pool_name=plan.pool,
        work_queue_name=plan.queue,
        description=plan.description,
        tags=list(plan.tags),
        parameters=dict(plan.parameters),
        schedules=list(plan.schedules),
        paused=paused,
        concurrency_limit=limit["limit"] if limit else None,
        concurrency_options=ConcurrencyOptions.model_validate({k: v for k, v in limit.items() if k != "limit"})
        if limit
        else None,
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
    )
    return Registered(name, plan.pool, paused)


def _plan(entry: Mapping[str, Any], place: Place) -> Plan:
    own = {
        "portfolio": place.portfolio,
        "data_dir": place.data_dir,
        "out_dir": str(Path(place.data_dir) / "reports"),
        "deployment": f"tick/{place.portfolio_id}",
    }
    given = entry.get("parameters", {})
    pool = entry["work_pool"]["name"]
    return Plan(
        name=place.portfolio_id,
        entrypoint=entry["entrypoint"],
        pool=pool_name(pool, place.portfolio_id),
        queue=entry["work_pool"].get("work_queue_name"),
        description=entry.get("description", ""),
        tags=tuple(entry.get("tags", ())),
        parameters={name: own.get(name, value) for name, value in given.items()},
        schedules=tuple(_schedule(schedule, pool, place) for schedule in entry.get("schedules", ())),
        concurrency=entry.get("concurrency_limit"),
    )


def _schedule(schedule: Mapping[str, Any], pool: str, place: Place) -> DeploymentScheduleCreate:
    if "cron" in schedule:
        when = CronSchedule(cron=schedule["cron"], timezone=schedule.get("timezone", "UTC"))
    else:
        # The interval of the tick is the portfolio's; the file's own value is that of the built-in one.
        seconds = place.interval_s if pool == WARM else schedule["interval"]
        when = IntervalSchedule(interval=timedelta(seconds=seconds))
    return DeploymentScheduleCreate(schedule=when, slug=schedule["slug"], active=schedule.get("active", True))


async def _main(place: Place, *, ticks_paused: bool) -> list[Registered]:
    async with get_client() as client:
        return await register(client, place, ticks_paused=ticks_paused)


def main(arguments: Sequence[str] | None = None) -> int:
    """Register the deployments of one portfolio and print them as one JSON list."""
    parser = argparse.ArgumentParser(prog="python -m tasks.deployments", description="Register the deployments.")
    parser.add_argument("--id", required=True, help="the portfolio's id")
    parser.add_argument("--portfolio", required=True, help="the portfolio file")
    parser.add_argument("--data-dir", required=True, help="the portfolio's data folder")
    parser.add_argument("--interval", type=float, required=True, help="seconds between two ticks")
    parser.add_argument("--paused", action="store_true", help="a tick that is new to the server begins as paused")
    given = parser.parse_args(arguments)
    place = Place(given.id, given.portfolio, given.data_dir, given.interval)
    registered = asyncio.run(_main(place, ticks_paused=given.paused))
    json.dump([{"name": r.name, "pool": r.pool, "paused": r.paused} for r in registered], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
