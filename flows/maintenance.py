"""Upkeep of the Prefect server: old runs and artifacts go, logs and the database file are kept small."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from tasks import upkeep, upkeep_files
from tasks.nightly_steps import utc_now


# Each step may be done twice; a server that is busy just then answers again soon.
@flow(name="maintenance", retries=2, retry_delay_seconds=20, persist_result=False)
async def maintenance(
    deployment: Annotated[str, Field(pattern="^[^/]+/[^/]+$", description="The tick deployment, as tick/paper")],
    keep_runs: Annotated[int, Field(ge=upkeep.KEEP_RUNS_MIN, description="Newest runs that stay")] = upkeep.KEEP_RUNS,
    keep_artifact_days: Annotated[int, Field(ge=1, description="Days")] = upkeep.KEEP_ARTIFACT_DAYS,
    data_dir: Annotated[str | None, Field(description="Its logs are kept short and its disk is watched")] = None,
) -> None:
    """Delete all but the newest runs of a portfolio's deployments and old artifacts, then give freed space back.

    Args:
        deployment: the tick deployment as `flow/deployment`, for example tick/paper; others of its name are kept as well.
        keep_runs: how many of the newest finished runs of each deployment stay; at least 100.
        keep_artifact_days: for so long all versions of an artifact stay; the newest three always do.
        data_dir: the portfolio's data folder.
    """
    deleted = await upkeep.delete_old_runs(deployment, keep_runs)
    deleted += await upkeep.delete_old_runs_of_portfolio(deployment.partition("/")[2], keep_runs)
    gone = await upkeep.delete_old_artifacts(utc_now() - timedelta(days=keep_artifact_days))
    freed_bytes = await upkeep.compact_database()
    forgotten = upkeep.delete_old_results(upkeep.results_folder())
    text = "%d runs of %s deleted, %d old artifacts, %d old results deleted, %d bytes given back"
    get_run_logger().info(text, deleted, deployment, gone, forgotten, freed_bytes)
    if data_dir is not None:
        for line in upkeep_files.keep_short(Path(data_dir)):
            get_run_logger().warning(line)
