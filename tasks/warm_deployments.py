"""What the warm worker knows about the deployments it serves: their interval and their flow, loaded once."""

import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from anyio import to_thread
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.exceptions import MissingFlowError, ScriptError
from prefect.flows import load_flow_from_entrypoint

from tasks.upkeep import results_folder
from tasks.warm_client import without_lookups

# An interval edited in the UI is noticed after this time.
REREAD_AFTER_S = 60.0


class FlowUnusable(RuntimeError):
    """The flow of a deployment can't be loaded or is not async; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Known:
    """A deployment as the worker needs it. `interval_s` is None without an interval schedule."""

    flow_id: UUID
    interval_s: float | None
    entrypoint: str
    limit_name: str | None
    read_at_s: float


class Deployments:
    """The deployments of one worker. A flow is imported once per process: new code needs a restart."""

    def __init__(self) -> None:
        self._known: dict[UUID, Known] = {}
        self._flows: dict[str, Flow[..., Any]] = {}

    async def known(self, client: PrefectClient, deployment_id: UUID) -> Known:
        """The deployment, read at most once a minute, with its flow loaded.

        Raises ObjectNotFound where the server has no such deployment, FlowUnusable where its flow can't be run here.
        """
        found = self._known.get(deployment_id)
        if found is None or time.monotonic() - found.read_at_s > REREAD_AFTER_S:
            found = _known(await client.read_deployment(deployment_id))
            if found.entrypoint not in self._flows:
                self._flows[found.entrypoint] = await to_thread.run_sync(_load, found.entrypoint)
            self._known[deployment_id] = found
        return found

    def flow(self, deployment_id: UUID) -> Flow[..., Any]:
        """The flow of a deployment that `known` has seen. Raises KeyError otherwise."""
        return self._flows[self._known[deployment_id].entrypoint]

    def interval_s(self, deployment_id: UUID) -> float | None:
        """The interval of a deployment that `known` has seen, None without one."""
        return self._known[deployment_id].interval_s

    async def unknown_to(self, client: PrefectClient) -> bool:
        """Whether the server knows no flow that this worker has served: its database is a new one.

        A deployment that a person deleted leaves its flow behind, and means what it says; False as well before any
        deployment was served.
        """
        for flow_id in {known.flow_id for known in self._known.values()}:
            try:
                await client.read_flow(flow_id)
            except httpx.HTTPStatusError as error:
                if error.response.status_code == HTTPStatus.NOT_FOUND:
                    continue
                raise
            return False
        return bool(self._known)

    async def free_slot(self, client: PrefectClient, deployment_id: UUID) -> None:
        """Set the deployment's concurrency limit, if it has one, back to nothing in use."""
        known = self._known.get(deployment_id)
        if known is not None and known.limit_name is not None:
            empty = GlobalConcurrencyLimitUpdate(active_slots=0)
            await client.update_global_concurrency_limit(known.limit_name, empty)


def _known(deployment: DeploymentResponse) -> Known:
    intervals = [
        entry.schedule.interval.total_seconds()
        for entry in deployment.schedules
        if entry.active and isinstance(entry.schedule, IntervalSchedule)
    ]
    limit = deployment.global_concurrency_limit
    return Known(
        flow_id=deployment.flow_id,
        interval_s=min(intervals, default=None),
        entrypoint=str(Path(deployment.path or ".") / (deployment.entrypoint or "")),
        limit_name=limit.name if limit is not None else None,
        read_at_s=time.monotonic(),
    )


def _load(entrypoint: str) -> Flow[..., Any]:
    try:
        flow = load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except (ImportError, OSError, SyntaxError, ValueError, AttributeError, MissingFlowError, ScriptError) as error:
        raise FlowUnusable(f"{entrypoint} can't be loaded: {type(error).__name__}: {error}") from error
    if not flow.isasync or flow.isgenerator:
        # A sync flow would stop the worker's loop while it runs, and pays a second for its heartbeat thread.
        raise FlowUnusable(f"{entrypoint} is not an async flow; the warm worker runs async flows only")
    return without_lookups(flow, results_folder())
