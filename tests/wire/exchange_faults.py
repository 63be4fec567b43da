"""What may go wrong between a client and the exchange, one fault per request that matches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Fault:
    """Happens to the next `times` requests of this method and path; `accepted`: they took effect first."""

    kind: str
    method: str
    path: str
    accepted: bool = True
    times: int = 1
    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    change: Callable[[Any], Any] | None = None

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and method == self.method and path.endswith(self.path)


def lost(method: str, path: str, *, accepted: bool, times: int = 1) -> Fault:
    """The connection is cut before or after the request took effect."""
    return Fault("cut", method, path, accepted, times)


def answer(method: str, path: str, body: str, *, status: int = 200, accepted: bool = True, **headers: str) -> Fault:
    """Some other body or status than the right one."""
    return Fault(
        "answer", method, path, accepted, 1, status, body, {k.replace("_", "-"): v for k, v in headers.items()}
    )


def html(method: str, path: str) -> Fault:
    """A page of a proxy instead of an answer."""
    return answer(method, path, "<html><body>Bad gateway</body></html>", content_type="text/html")


def half(method: str, path: str) -> Fault:
    """The first half of the right answer, as if it were whole."""
    return Fault("half", method, path)


def short(method: str, path: str) -> Fault:
    """Fewer bytes than the header promised, then the end."""
    return Fault("short", method, path)


def bad_gzip(method: str, path: str) -> Fault:
    """A body that says gzip and is not."""
    return answer(method, path, "not gzip at all", content_encoding="gzip")


def slow(method: str, path: str, delay_s: float) -> Fault:
    """The right answer, late."""
    return Fault("right", method, path, delay_s=delay_s)


def late(method: str, path: str, delay_s: float) -> Fault:
    """The request itself arrives late; it takes effect even if the sender is gone by then."""
    return Fault("late", method, path, delay_s=delay_s)


def changed(method: str, path: str, change: Callable[[Any], Any]) -> Fault:
    """The right answer with something changed in it."""
    return Fault("right", method, path, change=change)


def redirect(method: str, path: str, to: str, status: int = 307) -> Fault:
    """Sends the client elsewhere with its request."""
    return answer(method, path, "", status=status, accepted=False, location=to)


def cut(request: web.Request) -> web.Response:
    """Drop the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
