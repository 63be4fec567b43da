"""A day of ticks at 5 s, 17,280 runs, driven fast: how large the server's database gets and whether ticks slow down.

    PYTHONPATH=. python benchmarks/day.py [--runs 17280] [--pace 0.25] [--out FILE]

A real server, the deployments of `up`, its warm worker and the real tick of a paper portfolio. Only time is
compressed: the schedule's interval is `--pace` seconds in place of 5, and what the settings keep by time (events, how often they
are vacuumed) is shortened by the same factor, so that as many ticks are kept as on a real day. The flow `maintenance`
runs once in 720 ticks, as it does every hour. A run that comes due while a tick still runs is skipped or cancelled, as
always; it adds to the database and is counted beside the ticks. Prints a row for each hour and one JSON line.
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from tasks import server, up

ROOT = Path(__file__).parents[1]
REAL_S, HOUR_RUNS, DAY_RUNS = 5.0, 720, 17_280
EVENTS_KEPT_S, VACUUM_EVERY_S, CLEANUP_EVERY_S = 3_600.0, 300.0, 3_600.0
SIZE_MB_MAX, SLOWER_MAX = 300.0, 1.25
# A worker that does nothing for so long is a failed measurement.
STUCK_S = 120.0

GOOD = ("Completed", "Skipped", "Cancelled")

PORTFOLIO = """
id: day
mode: paper
data_dir: data
venues:
  - id: spot
    exchange: binance
    instruments: {{BTC/USDT: {{tick_size: 0.01, lot_step: 0.00001, min_notional: 5, maker: 0.001, taker: 0.001}}}}
feed: {{kind: synthetic, seed: 7, speed: {speed:g}}}
bots:
  - {{id: btc1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 60000, end_price: 160000, levels: 100,
     total_amount_quote: 20000, initial_inventory: market}}
"""
FINISHED = """
SELECT r.id, r.state_name, r.expected_start_time, r.start_time, r.end_time, s.message
FROM flow_run r JOIN flow f ON f.id = r.flow_id JOIN flow_run_state s ON s.id = r.state_id
WHERE r.deployment_id IS NOT NULL AND f.name = 'tick'
  AND r.state_type IN ('COMPLETED', 'CANCELLED', 'FAILED', 'CRASHED') AND r.expected_start_time >= ?
"""


def size_mb(home: Path) -> float:
    """Size of the server's database with its write-ahead log."""
    return sum(path.stat().st_size for path in home.glob("prefect.db*")) / 1e6


def main() -> int:
    """Run the day and print what it cost; 1 where a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=DAY_RUNS, help="completed ticks")
    parser.add_argument("--pace", type=float, default=0.25, help="seconds between two runs, in place of 5")
    parser.add_argument("--port", type=int, default=4393)
    parser.add_argument("--out", type=Path, help="append the JSON line to this file, too")
    parser.add_argument("--step", choices=["maintain"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step == "maintain":
        from flows.maintenance import maintenance

        asyncio.run(maintenance("tick/day"))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Path(folder), given.runs, given.pace, given.port)
    print(json.dumps(told))
    if given.out is not None:
        with given.out.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(told) + "\n")
    return 0 if told["ok"] else 1


def measure(folder: Path, runs: int, pace_s: float, port: int) -> dict[str, Any]:
    """Drive the runs through a server of their own and return the figures."""
    factor = REAL_S / pace_s
    file = folder / "day.yaml"
    file.write_text(PORTFOLIO.format(speed=factor), encoding="utf-8")
    plan = up.Plan(file, "day", folder / "data", port, pace_s)
    server.SERVER_SETTINGS.update(
        {
            "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"PT{EVENTS_KEPT_S / factor:.0f}S",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": f"{VACUUM_EVERY_S / factor:.0f}",
            "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": f"{CLEANUP_EVERY_S / factor:.0f}",
            # At most 100 runs are planned ahead: look before they are used up.
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": f"{max(2.0, 40 * pace_s):.0f}",
        }
    )
    running = server.start_or_join(plan.home, port)
    if running.process is None:
        raise SystemExit(f"a server already runs on port {port}; choose another --port")
    command = [sys.executable, "-m", "tasks.warm_process", "--home", str(plan.home), "--pool", "warm-day"]
    log = plan.home / "worker.log"
    try:
        if up.register(plan) is None:
            raise SystemExit("the deployments could not be registered")
        worker = server.spawn([*command, "--portfolio", str(file)], plan.home, log)
        try:
            return watch(plan.home, worker, running.process.pid, runs, pace_s)
        except SystemExit:
            sys.stderr.write(log.read_text(encoding="utf-8")[-4_000:])
            raise
        finally:
            server.end(worker, 10)
    finally:
        server.stop(running)


def watch(home: Path, worker: subprocess.Popen[bytes], server_pid: int, runs: int, pace_s: float) -> dict[str, Any]:
    """Follow the runs to their number, an hour's at a time, with the upkeep that belongs to each hour."""
    seen: set[str] = set()
    since, moved_at = "", time.monotonic()
    hour: list[tuple[str, str, str | None, str | None]] = []
    rows: list[dict[str, Any]] = []
    largest_mb, began = 0.0, time.monotonic()
    upkeep: subprocess.Popen[bytes] | None = None
    processes = psutil.Process(worker.pid), psutil.Process(server_pid)
    ticked, unkept = 0, 0
    while ticked < runs:
        time.sleep(min(2.0, 20 * pace_s))
        largest_mb = max(largest_mb, size_mb(home))
        fresh = [row for row in finished(home, since) if row[0] not in seen]
        if fresh:
            moved_at = time.monotonic()
        elif worker.poll() is not None or time.monotonic() - moved_at > STUCK_S:
            raise SystemExit(f"only {ticked} of {runs} ticks came")
        seen |= {row[0] for row in fresh}
        hour += [row[1:5] for row in fresh]
        for _, state, due, _, _, message in fresh:
            if state not in GOOD:
                print(f"{due} {state}: {message}", file=sys.stderr, flush=True)
        ticked += sum(1 for row in fresh if row[1] == "Completed")
        # Runs end in the order in which they were due, give or take those that were skipped meanwhile.
        since = max([since, *(row[2] for row in fresh[:-50])])
        if sum(1 for state, *_ in hour if state == "Completed") >= HOUR_RUNS or ticked >= runs:
            rows.append(row_of(len(rows) + 1, hour, size_mb(home), processes))
            show(rows[-1], header=len(rows) == 1)
            hour = []
            unkept += not is_done(upkeep, home)
            upkeep = maintain(home)
    time.sleep(HOUR_RUNS * pace_s / 2)
    unkept += not is_done(upkeep, home)
    told = verdict(rows, len(seen), max(largest_mb, size_mb(home)), size_mb(home), time.monotonic() - began, pace_s)
    return told | {"maintenance_failed": unkept}


def is_done(upkeep: subprocess.Popen[bytes] | None, home: Path) -> bool:
    """Whether a `maintenance` has done its work within its hour. The next one makes good what this one left."""
    if upkeep is None or upkeep.poll() == 0:
        return True
    server.end(upkeep, 10)
    print((home / "maintenance.log").read_text(encoding="utf-8")[-1500:], file=sys.stderr, flush=True)
    return False


def maintain(home: Path) -> subprocess.Popen[bytes]:
    """Start the flow that the deployment `maintenance` starts each hour."""
    with (home / "maintenance.log").open("ab") as log:
        command = [sys.executable, str(Path(__file__).resolve()), "--step", "maintain"]
        return subprocess.Popen(command, cwd=ROOT, env=server.process_environment(home), stdout=log, stderr=log)


def finished(home: Path, since: str) -> list[tuple[str, str, str, str | None, str | None, str]]:
    """Runs that have ended, due at or after a time; read beside the server, which costs it nothing."""
    with closing(sqlite3.connect(f"file:{home / 'prefect.db'}?mode=ro", uri=True, timeout=30)) as con:
        return sorted(con.execute(FINISHED, [since]).fetchall(), key=lambda row: row[2])


def row_of(
    number: int, runs: list[tuple[str, str, str | None, str | None]], size: float,
    processes: tuple[psutil.Process, psutil.Process],
) -> dict[str, Any]:  # fmt: skip
    """Figures of an hour: a tick's time from start to end, and how late it began, in milliseconds."""
    done = [(due, start, end) for state, due, start, end in runs if state == "Completed" and start and end]
    took_ms = [1e3 * (moment(end) - moment(start)).total_seconds() for _, start, end in done]
    late_ms = [1e3 * (moment(start) - moment(due)).total_seconds() for due, start, _ in done]
    names = [state for state, *_ in runs]
    return {
        "hour": number,
        "runs": len(runs),
        "completed": len(done),
        "skipped": names.count("Skipped") + names.count("Cancelled"),
        "failed": len(runs) - len(done) - names.count("Skipped") - names.count("Cancelled"),
        "tick_p50_ms": round(statistics.median(took_ms), 1),
        "tick_p95_ms": round(statistics.quantiles(took_ms, n=20)[-1], 1),
        "late_p50_ms": round(statistics.median(late_ms), 1),
        "database_mb": round(size, 1),
        "worker_mb": round(processes[0].memory_info().rss / 1e6),
        "server_mb": round(processes[1].memory_info().rss / 1e6),
    }


def moment(text: str) -> datetime:
    """A time as the server's SQLite file has it."""
    return datetime.fromisoformat(text)


def verdict(
    rows: list[dict[str, Any]], runs: int, largest_mb: float, last_mb: float, elapsed_s: float, pace_s: float
) -> dict[str, Any]:
    """Hold the day against its limits: the size, and the last quarter's ticks against the first's."""
    part = max(1, len(rows) // 4)
    first = statistics.median(row["tick_p50_ms"] for row in rows[:part])
    last = statistics.median(row["tick_p50_ms"] for row in rows[-part:])
    slower = last / first
    return {
        "benchmark": "day",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "runs": runs,
        "completed": sum(row["completed"] for row in rows),
        "skipped": sum(row["skipped"] for row in rows),
        "failed": sum(row["failed"] for row in rows),
        "pace_s": pace_s,
        "elapsed_s": round(elapsed_s),
        "database_mb_max": round(largest_mb, 1),
        "database_mb_end": round(last_mb, 1),
        "tick_ms_first_quarter": round(first, 1),
        "tick_ms_last_quarter": round(last, 1),
        "slower": round(slower, 2),
        "worker_mb": rows[-1]["worker_mb"],
        "server_mb": rows[-1]["server_mb"],
        "ok": largest_mb <= SIZE_MB_MAX and slower <= SLOWER_MAX,
    }


def show(row: dict[str, Any], *, header: bool) -> None:
    """Print one row of the table, the names above the first."""
    if header:
        print("".join(f"{name:>13}" for name in row), flush=True)
    print("".join(f"{value:>13}" for value in row.values()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
