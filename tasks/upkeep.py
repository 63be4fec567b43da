"""Retention of runs by count and of artifacts by age, and a small server database.

A tick every 5 s is 17,280 runs a day; nothing in Prefect keeps the newest N of them. Deleting goes through the API,
so it also suits a server on PostgreSQL; giving pages back to the disk concerns SQLite alone.
"""

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import TERMINAL_STATES
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.settings import get_current_settings

from tasks.backtest_flow import naive

KEEP_RUNS = 2_000
KEEP_RUNS_MIN = 100
KEEP_ARTIFACTS, KEEP_ARTIFACT_DAYS, PAGE = 3, 30, 200
# Runs are named in the call that deletes them, few at a time: on SQLite the server reads them before it writes, and is
# refused ("database is locked", 503) where a tick wrote in between. The pause leaves room for ticks.
BATCH, PAUSE_S = 10, 0.05
FREE_BYTES_MIN = 32_000_000
FREE_SHARE_MIN = 0.25
KEEP_RESULTS_S = 86_400.0


async def delete_old_runs(deployment: str, keep_runs: int = KEEP_RUNS) -> int:
    """Delete all but the newest `keep_runs` finished runs of a deployment (`flow/name`), with their tasks, states and
    logs.

    Returns how many. Raises ValueError for fewer than 100, ObjectNotFound for a deployment that isn't there.
    """
    if keep_runs < KEEP_RUNS_MIN:
        raise ValueError(f"keep_runs is {keep_runs}; at least {KEEP_RUNS_MIN} stay, for the UI to show what happened")
    async with get_client() as client:
        deployment_id = (await client.read_deployment_by_name(deployment)).id
        finished = {
            "deployment_id": {"any_": [str(deployment_id)]},
            "state": {"type": {"any_": sorted(state.value for state in TERMINAL_STATES)}},
        }
        oldest_kept = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter.model_validate(finished),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            offset=keep_runs - 1,
            limit=1,
        )
        if not oldest_kept or oldest_kept[0].expected_start_time is None:
            return 0
        # `before_` includes the instant itself, hence the exception for the oldest run that stays.
        before = {"before_": oldest_kept[0].expected_start_time.isoformat()}
        old = {**finished, "expected_start_time": before, "id": {"not_any_": [str(oldest_kept[0].id)]}}
        return await _delete_all(client, old)


async def delete_old_runs_of_portfolio(portfolio_id: str, keep_runs: int = KEEP_RUNS) -> int:
    """Delete all but the newest finished runs of every deployment of a portfolio; returns how many.

    Raises ValueError for fewer than 100.
    """
    async with get_client() as client:
        wanted = DeploymentFilter.model_validate({"name": {"any_": [portfolio_id]}})
        found = await client.read_deployments(deployment_filter=wanted)
        flows = {one.id: (await client.read_flow(one.flow_id)).name for one in found}
    return sum([await delete_old_runs(f"{flows[one.id]}/{one.name}", keep_runs) for one in found])


async def delete_old_artifacts(before: datetime, keep: int = KEEP_ARTIFACTS) -> int:
    """Delete artifacts of this server made before an instant (UTC); of each key the newest `keep` stay for ever.

    Returns how many. A night makes a few versions of each of its tables, and nothing in Prefect forgets them.
    """
    old: list[UUID] = []
    seen: Counter[str] = Counter()
    async with get_client() as client:
        offset = 0
        while page := await client.read_artifacts(sort=ArtifactSort.CREATED_DESC, offset=offset, limit=PAGE):
            offset += len(page)
            for one in page:
                # Newest first, so that the count says how many newer ones of its key there are.
                seen[one.key or ""] += 1
                kept = one.key is not None and seen[one.key] <= keep
                if one.id is not None and not kept and one.created is not None and naive(one.created) < before:
                    old.append(one.id)
        for artifact in old:
            await client.delete_artifact(artifact)
    return len(old)


async def _delete_all(client: PrefectClient, old_runs: dict[str, Any]) -> int:
    count = 0
    oldest_first = FlowRunSort.EXPECTED_START_TIME_ASC
    while page := await client.read_flow_runs(
        flow_run_filter=FlowRunFilter.model_validate(old_runs), sort=oldest_first, limit=PAGE
    ):
        deleted = 0
        for first in range(0, len(page), BATCH):
            named = {"id": {"any_": [str(run.id) for run in page[first : first + BATCH]]}, "state": old_runs["state"]}
            answer = await client.request("POST", "/flow_runs/bulk_delete", json={"flow_runs": named, "limit": BATCH})
            deleted += len(answer.json()["deleted"])
            await asyncio.sleep(PAUSE_S)
        count += deleted
        if deleted == 0:
            break
    return count


async def compact_database() -> int:
    """Give the free pages of the server's SQLite file back to the disk when they are many. Return the bytes given
    back.

    Zero where the database is elsewhere, where little is free, or where the file stays busy: the next hour tries
    again.
    """
    home = get_current_settings().home
    return await asyncio.to_thread(compact, home / "prefect.db")


def compact(path: Path) -> int:
    """Compact one SQLite file when at least a quarter and 32 MB of it are free. Return the bytes given back."""
    if not path.exists():
        return 0
    before = path.stat().st_size
    with closing(sqlite3.connect(path, timeout=5.0, isolation_level=None)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        if free * size < FREE_BYTES_MIN or free < FREE_SHARE_MIN * pages:
            return 0
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError:
            # Locked: the server is at work.
            return 0
    return max(0, before - path.stat().st_size)


def delete_old_results(folder: Path, now_s: float | None = None) -> int:
    """Delete the exceptions of failed runs that Prefect wrote into `folder` more than a day ago. Return how many."""
    horizon = (time.time() if now_s is None else now_s) - KEEP_RESULTS_S
    count = 0
    for path in folder.glob("*") if folder.is_dir() else ():
        if path.is_file() and path.stat().st_mtime < horizon:
            path.unlink(missing_ok=True)
            count += 1
    return count


def results_folder() -> Path:
    """Where the worker lets Prefect write the exceptions of failed runs."""
    return get_current_settings().home / "storage"
