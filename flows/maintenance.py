"""Upkeep of the Prefect server: old tick runs go, the database file is kept small."""

from prefect import flow
from prefect.logging import get_run_logger

from tasks import upkeep


@flow(name="maintenance", retries=0, persist_result=False)
async def maintenance(deployment: str, keep_runs: int = upkeep.KEEP_RUNS) -> None:
    """Delete all but the newest runs of a tick deployment, then give freed pages of the database back.

    Args:
        deployment: the tick deployment as `flow/deployment`, for example tick/paper.
        keep_runs: how many of its newest finished runs stay; at least 100.
    """
    deleted = await upkeep.delete_old_runs(deployment, keep_runs)
    freed_bytes = await upkeep.compact_database()
    forgotten = upkeep.delete_old_results(upkeep.results_folder())
    text = "%d runs of %s deleted, %d old results deleted, %d bytes given back"
    get_run_logger().info(text, deleted, deployment, forgotten, freed_bytes)
