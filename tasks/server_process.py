"""Prefect's server with its garbage collected beside the event loop: `python -m tasks.server_process`.

A request that fails on SQLite leaves cursors behind in reference cycles. Collecting one resets its statement, which needs
the mutex of its connection; another thread holds that while it waits, for up to a minute, for the lock of a transaction
that the event loop is about to finish. Where the loop's own thread collects, all of the server stands still for that
minute (seen every few minutes of a busy day). A thread of its own may wait: Python lets other threads go on meanwhile.
"""

import gc
import sys
import threading
import time

YOUNG_S, MIDDLE_S, FULL_S = 1.0, 10.0, 300.0


def collect_beside() -> threading.Thread:
    """Collect garbage in a thread of its own from now on, and nowhere else. Return the thread; it ends with the process."""
    gc.disable()
    collector = threading.Thread(target=_collect, name="garbage", daemon=True)
    collector.start()
    return collector


def _collect() -> None:
    middle_at = full_at = time.monotonic()
    while True:
        time.sleep(YOUNG_S)
        now = time.monotonic()
        if now - full_at >= FULL_S:
            full_at = middle_at = now
            gc.collect(2)
        elif now - middle_at >= MIDDLE_S:
            middle_at = now
            gc.collect(1)
        else:
            gc.collect(0)


def main() -> None:
    """Run `prefect server start` in this process; its settings come from the environment."""
    collect_beside()
    from prefect.cli import app

    sys.argv = ["prefect", "server", "start"]
    app()


if __name__ == "__main__":
    main()
