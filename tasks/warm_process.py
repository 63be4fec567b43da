"""The process of the warm worker: `python -m tasks.warm_process --home DIR --pool NAME [--portfolio FILE]`.

One per portfolio, held by a lock that the system drops when the process dies, however it dies. SIGTERM, SIGINT or the end
of standard input (whoever started it is gone) stop it: the tick in progress is finished, orders are left resting.
Exit codes: 0 stopped, 1 a bug, 4 another worker of this portfolio runs.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

import anyio

from tasks.opening import close_sessions
from tasks.warm_worker import WarmWorker

DRAIN_S = 6.0
EXIT_OTHER_INSTANCE = 4


class WorkerProcess:
    """A worker's event loop in a thread of its own.

    The main thread keeps the signals: Prefect's engine, run in the main thread, would answer SIGTERM by throwing an
    exception into the middle of a tick.
    """

    def __init__(self, worker: WarmWorker) -> None:
        self._worker = worker
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self.failure: BaseException | None = None

    def request_stop(self) -> None:
        """Ask for a clean stop; harmless when repeated, safe from any thread and from a signal handler."""
        self._stop.set()
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    def work(self) -> None:
        """Run the worker until a stop is requested or it fails; a failure is kept in `failure`."""
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self.failure = failure
            traceback.print_exc()

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        if self._stop.is_set():
            return
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._worker.start)
                await self._stopping.wait()
                await self._worker.drain(DRAIN_S)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await close_sessions()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one work pool until told to stop. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tasks.warm_process", description="Run the ticks of one portfolio.")
    parser.add_argument("--home", type=Path, required=True, help="the portfolio's prefect folder")
    parser.add_argument("--pool", required=True, help="the work pool, warm-<portfolio id>")
    parser.add_argument("--portfolio", help="the portfolio file whose runs are taken; all when left out")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input ends")
    given = parser.parse_args(arguments)
    lock = lock_or_none(given.home / f"{given.pool}.lock")
    if lock is None:
        print(f"another worker of {given.pool} runs (its lock is {given.home / given.pool}.lock)", file=sys.stderr)
        return EXIT_OTHER_INSTANCE
    process = WorkerProcess(WarmWorker(given.pool, portfolio=given.portfolio, name=given.pool))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.request_stop())
    if given.watch_stdin:
        threading.Thread(target=_watch_stdin, args=(process,), daemon=True).start()
    thread = threading.Thread(target=process.work, name="warm-worker")
    thread.start()
    while thread.is_alive():
        thread.join(timeout=1.0)
    os.close(lock)
    return 0 if process.failure is None else 1


def lock_or_none(path: Path) -> int | None:
    """Take an exclusive lock on a file for the life of this process; None where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _watch_stdin(process: WorkerProcess) -> None:
    sys.stdin.buffer.read()
    process.request_stop()


if __name__ == "__main__":
    sys.exit(main())
