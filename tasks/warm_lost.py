"""Runs that nobody executes any more: reported as CRASHED, so that no ghost holds a concurrency slot."""

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter, WorkPoolFilter
from prefect.client.schemas.objects import StateType
from prefect.states import Crashed

UNFINISHED = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


async def crash_unfinished(client: PrefectClient, work_pool_name: str) -> int:
    """Report runs of this pool that no process executes any more as CRASHED, which frees their slots. Return how
    many.

    Only a worker that holds the portfolio's lock may call this.
    """
    count = 0
    while runs := await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate({"state": {"type": {"any_": UNFINISHED}}}),
        work_pool_filter=WorkPoolFilter.model_validate({"name": {"any_": [work_pool_name]}}),
        limit=100,
    ):
        for run in runs:
            state = Crashed(message="The worker that ran it is gone.")
            # A run that was told to cancel takes no other end unless forced; one that has ended meanwhile keeps its own.
            is_cancelling = run.state is not None and run.state.is_cancelling()
            await client.set_flow_run_state(run.id, state, force=is_cancelling)
        count += len(runs)
    return count
