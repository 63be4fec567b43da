"""The dashboard beside `gridkeeper up`: where it listens, and the command that starts it. Imports no web server."""

import socket
import sys
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
# Apart from the Prefect server's 4200 and what stands beside it.
PORT = 4280
TRIES = 40


def free_port(first: int = PORT, tries: int = TRIES) -> int | None:
    """The first port from `first` on that nobody listens on, on 127.0.0.1; None where all of them are taken."""
    for port in range(first, min(first + tries, 65_536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    return None


def command(data_dir: Path, port: int) -> list[str]:
    """The command line of a dashboard that ends with whoever holds its standard input."""
    words = [sys.executable, "-m", "tasks.dashboard_process", "--data-dir", str(data_dir), "--port", str(port)]
    return [*words, "--watch-stdin"]


def url(port: int) -> str:
    """The dashboard's address."""
    return f"http://{HOST}:{port}/"
