"""Where a sweep computes: processes of this machine, or a Dask or Ray cluster through Prefect's task runners.

Every runner takes (job, configurations with their numbers, how many workers) and yields lists of rows as they are ready.
The rows are the same whichever runs, since `tasks.sweep_run.run_chunk` depends on nothing but the job.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.util import find_spec
from typing import Any

from tasks.errors import Refused
from tasks.sweep_run import Job, Row, run_chunk

Numbered = tuple[int, Mapping[str, str]]
# Chunks a worker gets in all: enough that all end together, few enough that sending them costs nothing.
CHUNKS_A_WORKER = 8
CHUNK_MOST = 250
# Starting a process and reading the candles again costs about this much; what takes less is done at once.
WORTH_IT_S = 4.0
SERVER_START_S = 120


def on_processes(job: Job, todo: Sequence[Numbered], workers: int | None) -> Iterator[list[Row]]:
    """Run here while that is quick, else in processes, as many as there are processors or as asked for."""
    count = workers or os.cpu_count() or 1
    done = 0
    began = time.monotonic()
    while done < len(todo):
        if count > 1 and done:
            left_s = (time.monotonic() - began) / done * (len(todo) - done)
            if left_s > WORTH_IT_S:
                break
        size = 1 if done == 0 else CHUNK_MOST // 10
        yield run_chunk(job, todo[done : done + size])
        done += size
    if done >= len(todo):
        return
    # spawn: a forked child would inherit locks of threads that it does not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        waiting = [pool.submit(run_chunk, job, part) for part in _chunks(todo[done:], count)]
        try:
            for one in as_completed(waiting):
                yield one.result()
        finally:
            for one in waiting:
                one.cancel()


def on_dask(job: Job, todo: Sequence[Numbered], workers: int | None) -> Iterator[list[Row]]:
    """Run on Dask: the cluster of `GRIDKEEPER_DASK_ADDRESS`, else one of this machine."""
    _need("prefect_dask", "dask")
    from prefect_dask import DaskTaskRunner

    address = os.environ.get("GRIDKEEPER_DASK_ADDRESS")
    count = workers or os.cpu_count() or 1
    local = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    made = DaskTaskRunner(address=address) if address else DaskTaskRunner(cluster_kwargs=local)
    yield from _on_prefect(made, job, _chunks(todo, count))


def on_ray(job: Job, todo: Sequence[Numbered], workers: int | None) -> Iterator[list[Row]]:
    """Run on Ray: the cluster of `GRIDKEEPER_RAY_ADDRESS`, else one of this machine."""
    _need("prefect_ray", "ray")
    from prefect_ray import RayTaskRunner

    address = os.environ.get("GRIDKEEPER_RAY_ADDRESS")
    count = workers or os.cpu_count() or 1
    made = RayTaskRunner(address=address) if address else RayTaskRunner(init_kwargs={"num_cpus": count})
    yield from _on_prefect(made, job, _chunks(todo, count))


RUNNERS: Mapping[str, Callable[[Job, Sequence[Numbered], int | None], Iterator[list[Row]]]] = {
    "process": on_processes, "dask": on_dask, "ray": on_ray,
}  # fmt: skip


def _on_prefect(runner: Any, job: Job, parts: Sequence[Sequence[Numbered]]) -> list[list[Row]]:
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.settings import PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS, temporary_settings

    # A chunk depends on its arguments alone, so one that a lost worker took along may run again.
    one = task(run_chunk, name="sweep-chunk", cache_policy=NO_CACHE, persist_result=False, retries=2)

    @flow(name="sweep-chunks", task_runner=runner, persist_result=False)
    def chunks() -> list[list[Row]]:
        waiting = [one.submit(job, part) for part in parts]
        return [each.result() for each in waiting]

    # Where no server runs, Prefect starts one for the time of the sweep; on a busy machine its 20 s are too few.
    with temporary_settings({PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: SERVER_START_S}):
        return chunks()


def _chunks(todo: Sequence[Numbered], workers: int) -> list[Sequence[Numbered]]:
    size = max(1, min(CHUNK_MOST, -(-len(todo) // (workers * CHUNKS_A_WORKER))))
    return [todo[i : i + size] for i in range(0, len(todo), size)]


def _need(module: str, extra: str) -> None:
    if find_spec(module) is None:
        raise Refused(
            f"{module.replace('_', '-')} is not installed",
            key="--runner",
            accepted=f"process, or install gridkeeper[{extra}]",
        )
