"""A Prefect worker that runs scheduled flow runs inside its own process, so that connections and state stay warm.

A stock worker starts a Python for each run, which costs seconds of CPU and of latency. This one fetches what is
planned ahead, sleeps until the run's time and hands the run to Prefect's own engine, in place. What it promises:

- Single flight: one run at a time, whatever the server says; one worker per portfolio, by a lock that dies with it.
- Runs that come due meanwhile, stale ones and bunched ones are cancelled as "Skipped" with the reason
  (`warm_timetable`).
- Runs of another portfolio are refused. A run that fails is FAILED with its message; after `kill -9` the next worker
  reports what the last one left behind as CRASHED, so that no ghost holds the concurrency slot.
- While the server is away, or has lost its database, the portfolio is ticked without it (`warm_alone`).
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import anyio
import httpx
from anyio.abc import TaskGroup, TaskStatus
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import SetStateStatus, WorkerFlowRunResponse
from prefect.context import AsyncClientContext, SyncClientContext
from prefect.exceptions import Abort, ObjectNotFound, Pause, PrefectException
from prefect.flow_engine import run_flow
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_WORKER_ENABLE_CANCELLATION,
    PREFECT_WORKER_QUERY_SECONDS,
    temporary_settings,
)
from prefect.states import Cancelled, Crashed, Pending
from prefect.workers.base import BaseJobConfiguration, BaseVariables, BaseWorker, BaseWorkerResult

from tasks.errors import GridkeeperError
from tasks.warm_alone import Alone
from tasks.warm_client import RunInHand
from tasks.warm_deployments import Deployments, FlowUnusable, Known
from tasks.warm_log import QuietRuns, named
from tasks.warm_lost import UNFINISHED, crash_unfinished
from tasks.warm_timetable import STALE_AFTER_MIN_S, Due, Skip, choose

POLL_S = 5.0
HORIZON_S = 20.0
# The slot is taken this long before a run is due, so that only one call lies between the time and the tick.
AHEAD = timedelta(seconds=0.5)
SEEN_FOR = timedelta(minutes=15)
# So many planned runs are a backlog: more than 20 s hold at one a second, less than a page of the server's.
MANY = 100


class WarmResult(BaseWorkerResult):
    """What a run in this process came to; the status code is 0, since the engine reports the state itself."""


class WarmWorker(BaseWorker[BaseJobConfiguration, BaseVariables, WarmResult]):
    """Worker of type `warm`. `portfolio` is the only value of a run's `portfolio` parameter that it takes."""

    type: ClassVar[str] = "warm"
    _description: ClassVar[str] = "Runs flow runs in the worker's own process, one at a time, connections warm."

    def __init__(
        self, work_pool_name: str, *, portfolio: str | None = None, alone: Alone | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("prefetch_seconds", HORIZON_S)
        super().__init__(work_pool_name, **kwargs)
        self._portfolio = portfolio
        self._alone = alone if alone is not None else Alone(None)
        self._deployments = Deployments()
        self._timetable: dict[UUID, Due] = {}
        self._fetched: dict[UUID, FlowRun] = {}
        # Runs already decided on; a poll that was under way may still name them.
        self._seen: dict[UUID, datetime] = {}
        self._pending: dict[UUID, asyncio.Task[bool]] = {}
        self._unreported: set[UUID] = set()
        self._in_hand = RunInHand()
        self._arrived = asyncio.Event()
        self._busy_since: datetime | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._refused_in_a_row = 0
        self._group: TaskGroup | None = None

    async def start(self, run_once: bool = False, with_healthcheck: bool = False, printer: Any = print) -> None:
        """Work until cancelled, as every Prefect worker; first report what a killed predecessor left behind."""
        quiet = QuietRuns()
        loggers = [logging.getLogger("prefect.flow_runs"), logging.getLogger("prefect.task_runs")]
        for logger in loggers:
            logger.addFilter(quiet)
        with temporary_settings(
            {
                # Each costs a thread or an event per run; the worker answers for the runs of its own process.
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_WORKER_ENABLE_CANCELLATION: False,
                PREFECT_WORKER_QUERY_SECONDS: POLL_S,
                # By default a run would wait a minute for a server that is gone, and minutes for one that hangs; the
                # next tick is worth more than the report of the last one.
                PREFECT_CLIENT_MAX_RETRIES: 1,
                PREFECT_API_REQUEST_TIMEOUT: 5.0,
            }
        ):
            try:
                # One client of each kind for all runs: the engine takes these instead of building its own, which
                # would load the certificates of the web for a server on this machine.
                with SyncClientContext.get_or_create():
                    await self._serve(run_once, with_healthcheck, printer)
            finally:
                for logger in loggers:
                    logger.removeFilter(quiet)

    async def _serve(self, run_once: bool, with_healthcheck: bool, printer: Any) -> None:
        async with AsyncClientContext.get_or_create() as context, anyio.create_task_group() as group:
            self._group = group
            self._in_hand.serve(context.client)
            await self._report_predecessor(context.client)
            group.start_soon(self._keep_time)
            group.start_soon(self._keep_watch)
            await super().start(run_once, with_healthcheck, printer)
            group.cancel_scope.cancel()

    async def drain(self, timeout_s: float) -> bool:
        """Begin no further run and wait for the one in progress. Whether it ended within the time."""
        self._draining = True
        with anyio.move_on_after(timeout_s):
            await self._idle.wait()
            for run_id in list(self._pending):
                await self._report(run_id, Cancelled(name="Skipped", message="Skipped: the worker was stopped."))
        return self._busy_since is None

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Fetch what is planned up to `HORIZON_S` ahead, once per `POLL_S`, and put it into the timetable."""
        self._last_polled_time = datetime.now(UTC)
        await self._quiet_moment()
        if not self._has_successfully_synced:
            return []
        try:
            for run_id in list(self._unreported):
                await self._settle(run_id)
            planned_runs = await self._planned()
            if not planned_runs and await self._deployments.unknown_to(self.client):
                # Its database was wiped or is another one: whatever it answers, nobody plans the ticks.
                if not self._alone.ticking:
                    self._logger.warning("The Prefect server has lost the deployments of this worker")
                return []
        except httpx.HTTPError as error:
            # Not an error of this worker: it asks again, and what is in its timetable goes on. Prefect's own loop would
            # end it at a refusal, as from a server that lost its database and with it the token of this client.
            self._logger.warning("The Prefect server does not answer: %s", named(error))
            return []
        if not planned_runs:
            self._alone.unplanned()
        self._hear()
        new = []
        for run in (response.flow_run for response in planned_runs):
            if run.id in self._seen or run.id in self._timetable or run.deployment_id is None:
                continue
            if (known := await self._accepted(run)) is None:
                continue
            planned = run.next_scheduled_start_time or run.expected_start_time or datetime.now(UTC)
            self._fetched[run.id] = run
            self._timetable[run.id] = Due(run.id, datetime.fromtimestamp(planned.timestamp(), UTC), known.interval_s)
            new.append(run)
        horizon = datetime.now(UTC) - SEEN_FOR
        self._seen = {run_id: at for run_id, at in self._seen.items() if at > horizon}
        self._arrived.set()
        return new

    async def _planned(self) -> list[WorkerFlowRunResponse]:
        # The oldest come first, a page at a time. After a long absence the newest are asked for as well: the tick that
        # answers all of them does not wait for the last page.
        oldest = await self._get_scheduled_flow_runs()
        if len(oldest) < MANY:
            return oldest
        since = datetime.now(UTC) - timedelta(seconds=STALE_AFTER_MIN_S)
        words = {"scheduled_after": str(since), "scheduled_before": str(since + timedelta(seconds=2 * HORIZON_S))}
        path = f"/work_pools/{self._work_pool_name}/get_scheduled_flow_runs"
        newest = await self.client.request("POST", path, json=words)
        return [*oldest, *WorkerFlowRunResponse.model_validate_list(newest.json())]

    async def sync_with_backend(self) -> None:
        """Send the worker's heartbeat; a server that is away for long does not end the worker."""
        try:
            await super().sync_with_backend()
        except httpx.HTTPError as error:
            self._logger.warning("The Prefect server does not take the heartbeat: %s", named(error))

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration | None = None,  # noqa: ARG002 - there is nothing to configure
        task_status: TaskStatus[int] | None = None,
    ) -> WarmResult:
        """Run a PENDING flow run to its end in this process. Its failure is its state, not an error here."""
        flow = self._deployments.flow(flow_run.deployment_id)
        if task_status is not None:
            task_status.started(0)
        try:
            state = await run_flow(flow, flow_run=self._in_hand.take(flow_run), return_type="state")
        except (Abort, Pause):
            state = None
        finally:
            self._in_hand.drop()
        if not isinstance(state, State) or not state.is_final():
            # Cancelled in the UI while it ran: the tick was finished nevertheless, and the slot must come free.
            self._unreported.add(flow_run.id)
        return WarmResult(identifier=str(flow_run.id), status_code=0)

    async def _accepted(self, run: FlowRun) -> Known | None:
        # The deployment of a run that this worker may execute; None where it refused the run.
        try:
            known = await self._deployments.known(self.client, run.deployment_id)
        except ObjectNotFound:
            return None
        except FlowUnusable as unusable:
            self._mark_seen(run.id)
            await self._report(run.id, Crashed(message=str(unusable)))
            return None
        if self._portfolio is not None and run.parameters.get("portfolio", self._portfolio) != self._portfolio:
            self._mark_seen(run.id)
            reason = f"this worker serves the portfolio {self._portfolio} and no other"
            await self._report(run.id, Cancelled(name="Refused", message=reason))
            return None
        return known

    async def _keep_time(self) -> None:
        while True:
            self._arrived.clear()
            with anyio.move_on_after(self._seconds_to_next()):
                await self._arrived.wait()
            if not self._draining:
                self._start_due()

    async def _keep_watch(self) -> None:
        while self._alone.tick is not None:
            await anyio.sleep(0.25)
            now = datetime.now(UTC)
            if self._busy_since is not None or self._draining or not self._alone.due(now):
                continue
            self._busy_since = now
            self._idle.clear()
            try:
                await self._tick_alone()
            finally:
                self._busy_since = None
                self._idle.set()

    async def _tick_alone(self) -> None:
        if self._alone.ticked(datetime.now(UTC)):
            self._logger.warning("The Prefect server is away or too slow; ticking without it")
        try:
            if self._alone.tick is not None:
                await self._alone.tick()
        except GridkeeperError as refused:
            self._logger.error("The tick without a server was refused: %s", refused)  # noqa: TRY400 - it says all

    def _hear(self) -> None:
        if self._alone.heard(datetime.now(UTC)):
            self._logger.warning("The Prefect server is back")

    async def _report_predecessor(self, client: PrefectClient) -> None:
        while True:
            try:
                await crash_unfinished(client, self._work_pool_name)
            except httpx.HTTPError as error:
                self._logger.warning("The Prefect server can't be told of lost runs: %s", named(error))
                await anyio.sleep(1.0)
            else:
                return

    def _seconds_to_next(self) -> float:
        # Until a run is due or, while nothing runs or has taken its slot, until a slot can be taken.
        now = datetime.now(UTC)
        ahead = AHEAD if self._busy_since is None and not self._pending else timedelta()
        waits = [
            due.at - now - (timedelta() if run_id in self._pending else ahead)
            for run_id, due in self._timetable.items()
        ]
        return max(0.0, min(waits).total_seconds()) if waits else POLL_S

    def _start_due(self) -> None:
        now = datetime.now(UTC)
        due = [entry for entry in self._timetable.values() if entry.at <= now]
        choice = choose(due, now, self._busy_since)
        runs = {entry.run_id: self._fetched.pop(entry.run_id) for entry in due}
        for entry in due:
            del self._timetable[entry.run_id]
            self._mark_seen(entry.run_id)
        if self._group is None:
            return
        # Whose slot was taken ahead gives it back first: with it held, the server would cancel the run that is chosen.
        holders = () if choice.run is None else tuple(skip for skip in choice.skips if skip.run_id in self._pending)
        if choice.run is not None:
            self._busy_since = now
            self._idle.clear()
            self._group.start_soon(self._execute, runs[choice.run.run_id], holders)
        if later := tuple(skip for skip in choice.skips if skip not in holders):
            self._group.start_soon(self._skip, later)
        if self._busy_since is None and not self._pending and self._timetable:
            first = min(self._timetable.values(), key=lambda entry: entry.at)
            if first.at <= now + AHEAD:
                self._pending[first.run_id] = asyncio.create_task(self._pend(self._fetched[first.run_id]))

    async def _quiet_moment(self) -> None:
        # Beside a tick that starts a poll would delay it.
        with anyio.move_on_after(POLL_S / 2):
            if self._timetable and self._seconds_to_next() < 0.1:
                await anyio.sleep(0.15)
            await self._idle.wait()

    async def _execute(self, run: FlowRun, holders: tuple[Skip, ...]) -> None:
        try:
            for skip in holders:
                await self._give_way(skip)
            pending = self._pending.pop(run.id, None)
            if await (pending if pending is not None else self._pend(run)):
                await self.run(run)
                self._alone.ran(datetime.now(UTC), self._deployments.interval_s(run.deployment_id))
                if run.id in self._unreported:
                    await self._settle(run.id)
        except (httpx.HTTPError, PrefectException) as error:
            self._unreported.add(run.id)
            self._alone.missed()
            self._logger.warning("The server could not be told about run %s: %s", run.id, named(error))
            if not self._draining and self._alone.due(datetime.now(UTC)):
                # Here and now: where every run fails like this one, the next takes its place at once.
                await self._tick_alone()
        finally:
            self._busy_since = None
            self._idle.set()
            # The timetable may now take the slot of the next run.
            self._arrived.set()

    async def _pend(self, run: FlowRun) -> bool:
        # Take the concurrency slot at the server. Whether the run may start.
        try:
            answer = await self.client.set_flow_run_state(run.id, Pending())
        except ObjectNotFound:
            # Deleted since it was fetched, with its schedule or by a person.
            return False
        # Asked again because the first answer came late, the server names our own Pending: the slot is this run's.
        if answer.status != SetStateStatus.ACCEPT and not (answer.state is not None and answer.state.is_pending()):
            await self._not_accepted(run, answer.state)
            return False
        self._refused_in_a_row = 0
        self._hear()
        run.state = answer.state
        return True

    async def _not_accepted(self, run: FlowRun, state: State | None) -> None:
        # The server's concurrency slot is taken though nothing runs here, and nobody else may run: a ghost holds it.
        self._refused_in_a_row += 1
        says = "nothing" if state is None else state.name
        self._logger.info("Run %s was not started: the server says %s", run.id, says)
        if self._refused_in_a_row >= 2 and state is not None and state.is_cancelled():
            self._logger.warning("Freeing the concurrency slot that a lost run still holds")
            await crash_unfinished(self.client, self._work_pool_name)
            await self._deployments.free_slot(self.client, run.deployment_id)

    async def _skip(self, skips: tuple[Skip, ...]) -> None:
        for skip in skips:
            # Not beside a tick, nor two at once: the server writes one thing at a time, and the next tick would be late, too.
            await self._quiet_moment()
            await self._give_way(skip)

    async def _give_way(self, skip: Skip) -> None:
        if (pending := self._pending.pop(skip.run_id, None)) is not None:
            await asyncio.wait([pending])  # until its slot is taken it can't be given back
        await self._report(skip.run_id, Cancelled(name="Skipped", message=f"Skipped: {skip.reason}."))

    async def _report(self, run_id: UUID, state: State) -> None:
        try:
            await self.client.set_flow_run_state(run_id, state)
        except ObjectNotFound:
            return
        except (httpx.HTTPError, PrefectException):
            # Still planned at the server: the next poll names it again.
            self._seen.pop(run_id, None)

    async def _settle(self, run_id: UUID) -> None:
        # A run that ended here while the server was away, or was cancelled while it ran, gets its final state.
        try:
            run = await self.client.read_flow_run(run_id)
            if run.state is not None and run.state.is_cancelling():
                text = "Cancelled while it ran; a tick that has begun is finished first."
                await self.client.set_flow_run_state(run_id, Cancelled(message=text), force=True)
            elif run.state is not None and run.state.type in UNFINISHED:
                text = "The run ended, but the server could not be told how."
                await self.client.set_flow_run_state(run_id, Crashed(message=text), force=True)
        except ObjectNotFound:
            pass
        self._unreported.discard(run_id)

    def _mark_seen(self, run_id: UUID) -> None:
        self._seen[run_id] = datetime.now(UTC)
