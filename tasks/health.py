"""`GET /health` of the process that ticks, for service managers and containers: 200 while it ticks, 503 when it does not.

On 127.0.0.1 only. It tells the age of the last tick and nothing else. A process that hangs does not answer at all,
which every supervisor takes for ill as well.
"""

import http.server
import json
import threading
from pathlib import Path
from typing import Any

from tasks.alerts_outbox import utc_now
from tasks.heartbeat import last_beat

HOST = "127.0.0.1"


def serve_health(data_dir: Path, port: int, limit_s: float) -> http.server.ThreadingHTTPServer:
    """Answer on a port (0: any free one) until `shutdown`; returns the server. Raises `OSError` where the port is taken.

    Healthy is who has ticked within `limit_s` seconds.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers one path."""

        timeout = 5.0

        def do_GET(self) -> None:
            """Say how old the last tick is."""
            if self.path != "/health":
                self.send_error(404)
                return
            status, said = health(data_dir, limit_s)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing: it is asked every few seconds."""

    server = http.server.ThreadingHTTPServer((HOST, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def health(data_dir: Path, limit_s: float) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and what is said: whether it ticks, the last tick, its age in seconds."""
    beat = last_beat(data_dir)
    age_s = None if beat is None else (utc_now() - beat.at).total_seconds()
    healthy = age_s is not None and abs(age_s) <= limit_s
    tick_id = None if beat is None else beat.tick_id
    return (200 if healthy else 503), {"healthy": healthy, "tick_id": tick_id, "age_s": age_s, "limit_s": limit_s}
