"""What Prefect's engine costs beside the work, and how the warm worker spares it.

Around every run the engine reads the run it was just given, notes retry settings that a tick doesn't have, renews a
lease of the concurrency slot with a thread and a client of its own, and watches for a suspension with another thread,
for whose connection it waits inside the event loop without a time limit. In a process of its own per run that is
little; every few seconds in one process it is most of the cost, and two of the threads can stop or cancel a tick
because the server is slow.

So the engine gets a copy of the run without deployment and lease (nothing then renews or watches), and its questions
about this run are answered from memory. The slot itself is taken and released by the server with the run's states, as
ever.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

ENGINE_NOTES = {"flow_version", "empirical_policy"}


class RunInHand:
    """The one run that is executed now. `serve` makes a client answer the engine's questions about it from memory."""

    def __init__(self) -> None:
        self._run: FlowRun | None = None

    def take(self, run: FlowRun) -> FlowRun:
        """Take a run in hand and return the copy for the engine."""
        self._run = run.model_copy(update={"deployment_id": None})
        return self._run

    def drop(self) -> None:
        """Have no run in hand."""
        self._run = None

    def serve(self, client: PrefectClient) -> None:
        """Change this one client object; every other client, and every other run, is asked and told as always."""
        read, update = client.read_flow_run, client.update_flow_run

        async def read_flow_run(flow_run_id: UUID) -> FlowRun:
            run = self._run
            if run is None or run.id != flow_run_id or run.state is None:
                return await read(flow_run_id)
            # The engine keeps this object's state up to date with what the server answered.
            run.state.state_details.deployment_concurrency_lease_id = None
            return run

        async def update_flow_run(flow_run_id: UUID, **values: Any) -> Any:
            if self._run is not None and self._run.id == flow_run_id and set(values) <= ENGINE_NOTES:
                return None
            return await update(flow_run_id, **values)

        client.read_flow_run = read_flow_run
        client.update_flow_run = update_flow_run


def without_lookups(flow: Flow[..., Any], storage: Path) -> Flow[..., Any]:
    """The flow with a folder for results, so that the engine doesn't ask the server for one at every run.

    Results are not kept; only the exception of a failed run is written there.
    """
    return flow.with_options(result_storage=storage, persist_result=False)
