"""A web server on 127.0.0.1 that takes what apprise sends to `json://`, or refuses it, or keeps the line open."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Mailbox:
    """What came in; `status` is what it answers, after `wait_s`."""

    port: int = 0
    status: int = 200
    wait_s: float = 0.0
    mails: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The apprise URL of this box, with a secret in it."""
        return f"json://127.0.0.1:{self.port}/hook-canary7391"

    @property
    def titles(self) -> list[str]:
        """The titles of what came in."""
        return [mail["title"] for mail in self.mails]

    def wait_for(self, count: int, timeout_s: float = 60.0) -> list[dict[str, Any]]:
        """Wait for so many messages; returns them."""
        until = time.monotonic() + timeout_s
        while len(self.mails) < count:
            assert time.monotonic() < until, f"{count} messages expected, there are {self.titles}"
            time.sleep(0.05)
        return self.mails


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Open a mailbox on a free port."""
    box = Mailbox()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(box.wait_s)
            if box.status == 200:
                box.mails.append(json.loads(body))
            self.send_response(box.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        box.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield box
        finally:
            server.shutdown()
