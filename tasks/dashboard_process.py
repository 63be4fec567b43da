"""The dashboard as a process of its own: `python -m tasks.dashboard_process --data-dir DIR --port N`.

It listens on 127.0.0.1 alone, says nothing about requests, and ends at SIGTERM, or with --watch-stdin when the process
that started it is gone.
"""

import argparse
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import uvicorn

from tasks.dashboard import create_app
from tasks.dashboard_child import HOST

STOP_S = 2


def serve(data_dir: Path, port: int) -> None:
    """Serve until SIGINT or SIGTERM; raises `OSError` where the port is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        config = uvicorn.Config(
            create_app(data_dir, listener.getsockname()[1]), log_level="warning", access_log=False, lifespan="off",
            server_header=False, timeout_graceful_shutdown=STOP_S, limit_concurrency=32,
        )  # fmt: skip
        # uvicorn ends in order and then hands the signal on.
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Read the arguments and serve; returns the exit code, 1 where the port is taken."""
    parser = argparse.ArgumentParser(prog="dashboard", description=__doc__)
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--watch-stdin", action="store_true")
    args = parser.parse_args()
    if args.watch_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        serve(args.data_dir, args.port)
    except OSError as error:
        sys.stderr.write(f"the dashboard cannot listen on {HOST}:{args.port}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
