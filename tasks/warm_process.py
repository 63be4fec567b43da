"""The process of the warm worker: `python -m tasks.warm_process --home DIR --pool NAME [--portfolio FILE]`.

One per portfolio, held by a lock that the system drops when the process dies, however it dies. SIGTERM, SIGINT or the
end of standard input (whoever started it is gone) stop it: the tick in progress is finished, orders are left resting.
Exit codes: 0 stopped, 1 a bug, 4 another worker of this portfolio runs.
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import anyio

from tasks import ticking
from tasks.health import serve_health
from tasks.one_instance import lock_or_none
from tasks.opening import close_sessions, open_one, session_for
from tasks.stream_news import told_more
from tasks.warm_alone import SILENCE_S, Alone
from tasks.warm_worker import WarmWorker

DRAIN_S = 5.0
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

    def request_stop(self) -> None:
        """Ask for a clean stop; harmless when repeated, safe from any thread and from a signal handler."""
        self._stop.set()
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    def work(self) -> None:
        """Run the worker until a stop is requested or it fails."""
        asyncio.run(self._serve())

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
    parser = argparse.ArgumentParser(prog="python -m tasks.warm_process", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the portfolio's prefect folder")
    parser.add_argument("--pool", required=True, help="the work pool, warm-<portfolio id>")
    parser.add_argument("--portfolio", help="the portfolio file whose runs are taken; all when left out")
    parser.add_argument("--watch-stdin", action="store_true", help="stop when standard input ends")
    about = "seconds of silence of the server after which ticks go on without it"
    parser.add_argument("--silence", type=float, default=SILENCE_S, metavar="S", help=about)
    parser.add_argument("--health-port", type=int, metavar="N", help="answer GET /health on this port of 127.0.0.1")
    about = "seconds without a tick after which /health says 503"
    parser.add_argument("--health-limit", type=float, default=60.0, metavar="S", help=about)
    given = parser.parse_args(arguments)
    path = given.home / f"{given.pool}.lock"
    lock = lock_or_none(path)
    if lock is None:
        sys.stderr.write(f"another worker of {given.pool} runs and holds {path}\n")
        return EXIT_OTHER_INSTANCE
    tick = None if given.portfolio is None else partial(tick_without_prefect, given.portfolio)
    news = None if given.portfolio is None else partial(news_of, given.portfolio)
    alone = Alone(tick, given.silence, news)
    process = WorkerProcess(WarmWorker(given.pool, portfolio=given.portfolio, alone=alone, name=given.pool))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.request_stop())
    if given.watch_stdin:
        threading.Thread(target=_watch_stdin, args=(process,), daemon=True).start()
    if given.health_port is not None:
        serve_health(given.home.parent, given.health_port, given.health_limit)
    with ThreadPoolExecutor(1, "warm-worker") as executor:
        working = executor.submit(process.work)
        while not working.done():
            # With a time limit, so that the main thread comes round to run signal handlers.
            wait([working], timeout=1.0)
    os.close(lock)
    if (failure := working.exception()) is not None:
        traceback.print_exception(failure)
        return 1
    return 0


async def tick_without_prefect(portfolio: str) -> None:
    """Tick once in plain Python, with the session that the flow uses as well. Raises what the session refuses."""
    await ticking.tick(await session_for(portfolio))


def news_of(portfolio: str) -> bool:
    """Say whether a stream of the open session told of an own order what its books do not know; asked once."""
    session = open_one(portfolio)
    return session is not None and told_more(session)


def _watch_stdin(process: WorkerProcess) -> None:
    # The file number, not `sys.stdin`: a thread inside its buffer makes the interpreter abort at the end.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    process.request_stop()


if __name__ == "__main__":
    sys.exit(main())
