"""What Prefect itself costs per tick: the warm worker and a stock `serve()`, the same flow, one after the other, one
server.

    python benchmarks/tick_overhead.py [--ticks 30] [--interval 5] [--skip-serve] [--no-limit]

CPU is that of the worker process and its children (user + system) from the first counted tick to the last, divided by
the ticks; the server's is given beside it. Latency is from a run's scheduled time to the first line of the flow. The
first three ticks of each are warm-up. Prints a table and one JSON line.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from prefect import flow
from prefect.context import FlowRunContext

from tasks import server

ROOT = Path(__file__).parents[1]
WARM_UP = 3


@flow(name="beat", persist_result=False, validate_parameters=False)
async def beat(file: str, work_s: float = 0.0) -> None:
    """Write when the run was due, began and ended; the same for both workers."""
    began = datetime.now(UTC)
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    due = run.expected_start_time if run is not None else None
    if work_s:
        await asyncio.sleep(work_s)
    ended = datetime.now(UTC)
    # One write of one short line: runs that overlapped would still leave whole lines.
    with Path(file).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps([due.timestamp() if due else None, began.timestamp(), ended.timestamp()]) + "\n")


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process and of everything it started, living or already waited for."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        times = one.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def beats(file: Path) -> list[tuple[float, float, float]]:
    """The ticks written so far: due, began, ended; in the order in which they were due."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return sorted(tuple(json.loads(line)) for line in lines)


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def measure(
    kind: str, start: Callable[[], subprocess.Popen[bytes]], file: Path, server_pid: int, ticks: int, interval_s: float
) -> dict[str, Any]:
    """Run one kind of worker until it has ticked `ticks` times after warm-up and return its figures."""
    process = start()
    try:
        worker, host = psutil.Process(process.pid), psutil.Process(server_pid)

        def wait_for(count: int) -> None:
            deadline = time.monotonic() + 90 + 4 * interval_s * count
            while len(beats(file)) < count:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{kind}: only {len(beats(file))} of {count} ticks came")
                time.sleep(0.05)

        wait_for(WARM_UP)
        before, host_before, from_s = cpu_s(worker), cpu_s(host), time.monotonic()
        wait_for(WARM_UP + ticks)
        # Half an interval later the last run's process has ended and been waited for.
        time.sleep(min(2.5, interval_s / 2))
        used, host_used, took_s = cpu_s(worker) - before, cpu_s(host) - host_before, time.monotonic() - from_s
        memory = worker.memory_info().rss
    finally:
        server.end(process, 10)
    counted = beats(file)[WARM_UP : WARM_UP + ticks]
    late = [began - due for due, began, _ in counted]
    return {
        "worker": kind,
        "ticks": ticks,
        "cpu_s_per_tick": round(used / ticks, 3),
        "server_cpu_s_per_tick": round(host_used / ticks, 3),
        "latency_p50_ms": round(percentile(late, 0.50) * 1_000),
        "latency_p95_ms": round(percentile(late, 0.95) * 1_000),
        "latency_max_ms": round(max(late) * 1_000),
        "overlaps": sum(following[1] < tick[2] for tick, following in pairwise(counted)),
        "missed": max(0, round(took_s / interval_s) - ticks - 1),
        "worker_rss_mb": round(memory / 1e6),
    }


async def deploy_warm(file: Path, interval_s: float, limited: bool) -> None:
    """Register `beat` for the warm pool, as `gridkeeper up` registers the tick."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
    from prefect.client.schemas.schedules import IntervalSchedule

    from tasks.warm_worker import WarmWorker

    async with get_client() as client:
        template = WarmWorker.get_default_base_job_template()
        await client.create_work_pool(
            WorkPoolCreate(name="warm-bench", type=WarmWorker.type, base_job_template=template), overwrite=True
        )
        await client.create_deployment(
            flow_id=await client.create_flow(beat),
            name="warm",
            work_pool_name="warm-bench",
            path=str(ROOT),
            entrypoint="benchmarks/tick_overhead.py:beat",
            parameters={"file": str(file)},
            schedules=[DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=interval_s)))],
            concurrency_limit=1 if limited else None,
            concurrency_options=ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
            if limited
            else None,
        )


async def undeploy_warm() -> None:
    """Take the warm deployment away, so that it costs nothing while the other is measured."""
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        await client.delete_deployment((await client.read_deployment_by_name("beat/warm")).id)


def serve_stock(file: str, interval_s: float) -> None:
    """What the Prefect documentation recommends first: a subprocess per run."""
    beat.serve(name="serve", interval=interval_s, parameters={"file": file})


def main() -> int:
    """Measure both, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=30)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds")
    parser.add_argument("--port", type=int, default=4391)
    parser.add_argument("--skip-serve", action="store_true", help="the warm worker only")
    parser.add_argument("--no-limit", action="store_true", help="without Prefect's concurrency limit, to see its cost")
    parser.add_argument("--step", choices=["deploy", "undeploy", "serve"], help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step == "deploy":
        asyncio.run(deploy_warm(Path(given.file), given.interval, not given.no_limit))
    elif given.step == "undeploy":
        asyncio.run(undeploy_warm())
    elif given.step == "serve":
        serve_stock(given.file, given.interval)
    else:
        compare(given)
    return 0


def compare(given: argparse.Namespace) -> None:
    """Start a server of its own in a temporary folder and measure the one worker, then the other."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "prefect"
        running = server.start_or_join(home, given.port)
        if running.process is None:
            raise SystemExit(f"a server already runs on port {given.port}; choose another --port")
        me = [sys.executable, str(Path(__file__).resolve()), "--interval", str(given.interval)]
        me += ["--no-limit"] if given.no_limit else []

        def step(name: str, file: Path) -> list[str]:
            return [*me, "--step", name, "--file", str(file)]

        def run(name: str, file: Path) -> None:
            subprocess.run(step(name, file), env=server.process_environment(home), check=True)

        try:
            log, pid = home / "worker.log", running.process.pid
            warm, stock = Path(folder) / "warm.jsonl", Path(folder) / "serve.jsonl"
            worker = [sys.executable, "-m", "tasks.warm_process", "--home", str(home), "--pool", "warm-bench"]
            run("deploy", warm)
            rows = [measure("warm", lambda: server.spawn(worker, home, log), warm, pid, given.ticks, given.interval)]
            run("undeploy", warm)
            if not given.skip_serve:
                command = step("serve", stock)
                rows.append(
                    measure(
                        "serve()", lambda: server.spawn(command, home, log), stock, pid, given.ticks, given.interval
                    )
                )
        except (SystemExit, subprocess.CalledProcessError):
            sys.stderr.write((home / "worker.log").read_text(encoding="utf-8")[-4_000:] if log.exists() else "")
            raise
        finally:
            server.stop(running)
    show(rows, given.interval)


def show(rows: list[dict[str, Any]], interval_s: float) -> None:
    """Print the table and the JSON line."""
    names = list(rows[0])
    print(f"interval {interval_s:g} s, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name in names:
        print(f"{name:24}" + "".join(f"{row[name]!s:>12}" for row in rows))
    print(json.dumps({"benchmark": "tick_overhead", "interval_s": interval_s, "rows": rows}))


if __name__ == "__main__":
    sys.exit(main())
