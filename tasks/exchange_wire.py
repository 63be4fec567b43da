"""The HTTP session that ccxt is given. Rule: every byte to and from an exchange passes here and is judged here first.

ccxt takes a 200 with HTML for an order and follows a redirect by sending the order again; aiohttp repeats a DELETE
whose connection dropped. Here redirects are refused, a request leaves the machine once (aiohttp may repeat a read, that
does no harm), an answer must be whole and valid JSON with something in it before ccxt sees it, and what is known of the
request is written into the `Call` of the moment: whether a connection took it, the status, the exchange's own code.
"""

import asyncio
import json
import math
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiohttp
import certifi
import yarl

from tasks.exchange_errors import Heard
from tasks.exchange_socket import Dial

# exchangeInfo of the largest exchanges is about 20 MB.
BODY_BYTES_MAX = 64 * 1024 * 1024
# An idle connection is dropped by us before the exchange drops it: an order never goes into a dead one.
IDLE_S = 10.0
RETRY_AFTER_DEFAULT_S = 60.0


class BadAnswer(Exception):
    """An answer that cannot mean anything: half, empty, HTML, a redirect, or of another shape than was asked for."""


class SentTwice(Exception):
    """The connection dropped and a second sending was prevented; whether the first arrived is unknown."""


@dataclass(slots=True)
class Call:
    """One question to an exchange and what is known of it. `reducing` may use the part of the budget kept for exits.

    `units` is the cost in ccxt's units where ccxt counts it wrong; `ready` is asked at the last moment before sending
    and may object.
    """

    reducing: bool = False
    units: float | None = None
    patience_s: float = 5.0
    ready: Callable[[], str | None] = field(default=lambda: None)
    sent: bool = False
    attempts: int = 0
    status: int | None = None
    complete: bool = False
    parsed: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def heard(self) -> Heard:
        """What the decision table needs to know."""
        body = self.parsed if isinstance(self.parsed, dict) else {}
        code = _integer(body.get("code"))
        return Heard(
            sent=self.sent, status=self.status, complete=self.complete, code=None if code in {0, 200} else code,
            message=str(body.get("msg") or body.get("message") or ""), retry_after_s=self.retry_after_s(),
        )  # fmt: skip

    def retry_after_s(self) -> float | None:
        """Seconds to keep quiet after a 429, 418 or 403: the exchange's word, or a minute where it gives none."""
        if self.status not in {403, 418, 429}:
            return None
        try:
            seconds = float(self.headers.get("Retry-After", ""))
        except ValueError:
            return RETRY_AFTER_DEFAULT_S
        return seconds if 0 <= seconds < math.inf else RETRY_AFTER_DEFAULT_S


CURRENT: ContextVar[Call | None] = ContextVar("exchange_call", default=None)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, in the shape that ccxt reads."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: str
    content: bytes

    async def text(self, errors: str = "strict") -> str:  # noqa: ARG002  the signature that ccxt calls
        """The body."""
        return self.body


class Wire:
    """A session with the methods that ccxt calls. `listen` hears the headers of every answer."""

    def __init__(self, listen: Callable[[Call], None]) -> None:
        """Open nothing yet: a session belongs to the event loop that first uses it."""
        # ccxt adds them to its own.
        self.headers: Mapping[str, str] = {}
        self.strange: Callable[[str], None] = _pass_over
        self._listen = listen
        self._session: aiohttp.ClientSession | None = None

    def get(self, url: yarl.URL, **how: Any) -> Any:
        return self._ask("GET", url, how)

    def post(self, url: yarl.URL, **how: Any) -> Any:
        return self._ask("POST", url, how)

    def put(self, url: yarl.URL, **how: Any) -> Any:
        return self._ask("PUT", url, how)

    def delete(self, url: yarl.URL, **how: Any) -> Any:
        return self._ask("DELETE", url, how)

    def patch(self, url: yarl.URL, **how: Any) -> Any:
        return self._ask("PATCH", url, how)

    def ws_connect(self, url: str, **how: Any) -> Dial:
        """Dial a web socket; what it brings that is not handed on is told to `strange`."""
        call = CURRENT.get() or Call()

        def answered(status: int, headers: Mapping[str, str]) -> None:
            call.status, call.headers = status, headers

        return Dial(self._open, url, how, self.strange, answered)

    async def close(self) -> None:
        """Close the connections; may be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _ask(self, method: str, url: yarl.URL, how: dict[str, Any]) -> AsyncIterator[Answer]:
        call = CURRENT.get() or Call()
        call.attempts, call.status, call.complete, call.parsed = 0, None, False, None
        if (objection := call.ready()) is not None:
            raise BadAnswer(objection)
        how["allow_redirects"] = False
        how["middlewares"] = (_once,)
        async with self._open().request(method, url, **how) as response:
            call.status, call.headers = response.status, response.headers
            self._listen(call)
            yield await _read(response, call)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            # From the moment a connection is had, bytes may have left: earlier is certain, later is not.
            trace.on_connection_create_end.append(_left_the_machine)
            trace.on_connection_reuseconn.append(_left_the_machine)
            trace.on_request_redirect.append(_never)
            connector = aiohttp.TCPConnector(ssl=trust(), keepalive_timeout=IDLE_S, limit=20)
            self._session = aiohttp.ClientSession(
                connector=connector, trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


@cache
def trust() -> ssl.SSLContext:
    """The certificates that are believed: the usual public ones. Reading them takes 30 ms, so it is done once."""
    return ssl.create_default_context(cafile=certifi.where())


async def _left_the_machine(session: Any, context: Any, params: Any) -> None:  # noqa: ARG001  aiohttp's signature
    call = CURRENT.get()
    if call is not None:
        call.sent = True


async def _never(session: Any, context: Any, params: Any) -> None:  # noqa: ARG001  aiohttp's signature
    # A web socket is dialled with a plain request, for which aiohttp would go where it is sent.
    if params.url.scheme in {"ws", "wss"}:
        raise BadAnswer("the answer points elsewhere; redirects are never followed")


def _pass_over(what: str) -> None:
    del what


async def _once(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    # aiohttp calls this for every sending: the second of a cancel is stopped, for the first may have done its work.
    call = CURRENT.get()
    if call is not None:
        call.attempts += 1
        if call.attempts > 1 and request.method != "GET":
            raise SentTwice(f"the connection dropped during {request.method}")
    return await handler(request)


async def _read(response: aiohttp.ClientResponse, call: Call) -> Answer:
    content = await response.content.read(BODY_BYTES_MAX + 1)
    while len(content) <= BODY_BYTES_MAX and (more := await response.content.read(BODY_BYTES_MAX)):
        content += more
    if len(content) > BODY_BYTES_MAX:
        raise BadAnswer(f"the answer is longer than {BODY_BYTES_MAX} bytes")
    body = content.decode("utf-8", errors="replace")
    if 300 <= response.status < 400:
        raise BadAnswer(f"status {response.status} points elsewhere; redirects are never followed")
    try:
        call.parsed = await _parse(body)
    except ValueError:
        if response.status < 300:
            raise BadAnswer(f"status {response.status} without valid JSON ({len(content)} bytes)") from None
    else:
        call.complete = isinstance(call.parsed, dict | list) and call.parsed != {}
        if response.status < 300 and not call.complete:
            raise BadAnswer(f"status {response.status} with an answer that says nothing: {body[:40]!r}")
    return Answer(response.status, response.reason or "", response.headers, body, content)


async def _parse(body: str) -> Any:
    if len(body) < 1_000_000:
        return json.loads(body, parse_constant=_refuse_constant)
    # Some hundred milliseconds of work: the orders of a tick shall not wait for the market list.
    return await asyncio.to_thread(json.loads, body, parse_constant=_refuse_constant)


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _integer(value: Any) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
