"""Who may ask the dashboard: the browser of this machine, on the dashboard's own page. Rule: nothing else is answered.

A page of another site can make the browser send requests here, and can point a name of its own at 127.0.0.1. So the
`Host` must be the dashboard's own address (a rebound name is not), a request that a browser says came from elsewhere is
refused (`Sec-Fetch-Site`, `Origin`), and a question that is sent must be JSON, which no form can send. Every answer
forbids scripts, styles, frames and connections other than the dashboard's own.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware; `port` is where the dashboard listens on 127.0.0.1."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        """Stand before `app`."""
        self._app = app
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with 403 and the reason, or let the request through and add the headers to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        reason = self._refusal(scope["method"], Headers(scope=scope))
        if reason is None:
            await self._app(scope, receive, sealed)
        else:
            await JSONResponse({"error": reason}, status_code=403)(scope, receive, sealed)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "")
        if host not in self._hosts:
            return f"this address is not {min(self._hosts)}: the dashboard answers under its own name alone"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return "the request comes from another page"
        if headers.get("sec-fetch-site", "none") in {"cross-site", "same-site"} and not _opens_page(method, headers):
            return "the request comes from another site"
        if method == "POST" and headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return "a question is sent as application/json"
        return None


def _opens_page(method: str, headers: Headers) -> bool:
    # A link to the dashboard that stands on another page may be followed; that page never sees the answer.
    return (
        method == "GET" and headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    )
