"""The dashboard: a small web server on 127.0.0.1 that shows the published copy and can change nothing.

    /, /bots, /bots/ID, /incidents, /ticks, /backtests, /backtests/ID, /sweeps/ID, /sql    one page, drawn in the browser
    /assets/NAME                                                                          its script and style
    /api/...                                                                              what it shows, as JSON
    /api/sql, /api/sql.csv                                                                one reading question (POST)

It never opens the trading store, so it cannot stand in the way of a tick.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

import duckdb
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from core.values import plain
from tasks import dashboard_data, dashboard_runs
from tasks.dashboard_copy import MEMORY_MB, Copy, opened
from tasks.dashboard_guard import Guard
from tasks.dashboard_history import History
from tasks.exports_csv import csv_text
from tasks.publish import published_folder
from tasks.report_theme import css_variables
from tasks.sql_query import QueryRefused, ask, open_published

ASSETS = Path(__file__).with_name("dashboard_assets")
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PAGES = (
    "/", "/bots", "/bots/{bot_id}", "/incidents", "/ticks", "/backtests", "/backtests/{run_id}", "/sweeps/{sweep_id}", "/sql",
)  # fmt: skip
SQL_TIMEOUT_S, SQL_ROWS_MAX, SQL_BYTES_MAX, CSV_ROWS_MAX = 10.0, 2_000, 20_000, 100_000


def create_app(data_dir: Path, port: int) -> Starlette:
    """Build the application for the published copy of a data folder; `port` is where it will listen."""
    view = _Views(data_dir)
    Thread(target=view.read_past, name="past days", daemon=True).start()
    routes = [Route(path, _page, methods=["GET"]) for path in PAGES]
    routes += [
        Route("/assets/{name}", _asset, methods=["GET"]),
        Route("/api/portfolio", view.portfolio, methods=["GET"]),
        Route("/api/bots/{bot_id}", view.bot, methods=["GET"]),
        Route("/api/incidents", view.incidents, methods=["GET"]),
        Route("/api/ticks", view.ticks, methods=["GET"]),
        Route("/api/backtests", view.backtests, methods=["GET"]),
        Route("/api/backtests/{run_id}", view.backtest, methods=["GET"]),
        Route("/api/sweeps/{sweep_id}", view.sweep, methods=["GET"]),
        Route("/api/sql", view.sql, methods=["POST"]),
        Route("/api/sql.csv", view.sql_csv, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, port=port)])


class _Views:
    # The answers; each opens the copy anew, so that it is never older than the newest publication.

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.history = History(published_folder(data_dir))

    async def portfolio(self, request: Request) -> Response:
        span = _span(request)
        return await self._answer(lambda copy: dashboard_data.portfolio(copy, self.history, span))

    async def bot(self, request: Request) -> Response:
        span, bot_id = _span(request), request.path_params["bot_id"]
        return await self._answer(lambda copy: dashboard_data.bot(copy, self.history, bot_id, span))

    async def incidents(self, _: Request) -> Response:
        return await self._answer(dashboard_data.incidents)

    async def ticks(self, _: Request) -> Response:
        return await self._answer(dashboard_data.ticks)

    async def backtests(self, _: Request) -> Response:
        return await self._answer(dashboard_runs.backtests)

    async def backtest(self, request: Request) -> Response:
        return await self._answer(lambda copy: dashboard_runs.backtest(copy, request.path_params["run_id"]))

    async def sweep(self, request: Request) -> Response:
        return await self._answer(lambda copy: dashboard_runs.sweep(copy, request.path_params["sweep_id"]))

    async def sql(self, request: Request) -> Response:
        return await self._question(request, SQL_ROWS_MAX, _as_table)

    async def sql_csv(self, request: Request) -> Response:
        return await self._question(request, CSV_ROWS_MAX, _as_csv)

    def read_past(self) -> None:
        """Read the days that are over, so that nobody waits for them later; without a copy there are none."""
        with suppress(QueryRefused), opened(self._data_dir) as copy:
            self.history.fill(copy.bound)

    async def _answer(self, read: Callable[[Copy], Any]) -> Response:
        def work() -> Any:
            with opened(self._data_dir) as copy:
                return read(copy)

        try:
            found = await run_in_threadpool(work)
        except QueryRefused as refused:
            return _json({"error": str(refused)}, 503)
        except duckdb.CatalogException as error:
            # A copy that another version published; the next tick of this one makes it anew.
            text = f"the copy was published by another version of gridkeeper; a tick makes it anew ({error})"
            return _json({"error": text.splitlines()[0]}, 503)
        return _json({"error": "there is nothing of that name"}, 404) if found is None else _json(found)

    async def _question(
        self, request: Request, rows_max: int, write: Callable[[list[str], list[tuple[Any, ...]], float], Response]
    ) -> Response:
        sql = await _sql_of(request)
        if sql is None:
            return _json({"error": f'send {{"sql": "SELECT ..."}} of at most {SQL_BYTES_MAX} bytes'}, 400)

        def work() -> tuple[list[str], list[tuple[Any, ...]]]:
            with open_published(self._data_dir, memory_mb=MEMORY_MB) as con:
                return ask(con, sql, timeout_s=SQL_TIMEOUT_S, rows_max=rows_max)

        started = perf_counter()
        try:
            columns, rows = await run_in_threadpool(work)
        except QueryRefused as refused:
            return _json({"error": str(refused)}, 400)
        return write(columns, rows, perf_counter() - started)


async def _page(_: Request) -> Response:
    return FileResponse(ASSETS / "page.html", media_type="text/html; charset=utf-8")


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "theme.css":
        return Response(css_variables(), media_type="text/css")
    path = ASSETS / name
    # The router lets no slash into a name; only files that lie here are given out.
    if path.suffix not in TYPES or path.name != name or not path.is_file():
        return _json({"error": "there is nothing of that name"}, 404)
    return FileResponse(path, media_type=TYPES[path.suffix])


async def _sql_of(request: Request) -> str | None:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > SQL_BYTES_MAX:
            return None
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    sql = asked.get("sql") if isinstance(asked, dict) else None
    return sql if isinstance(sql, str) else None


def _as_table(columns: list[str], rows: list[tuple[Any, ...]], took_s: float) -> Response:
    return _json({"columns": columns, "rows": rows, "took_ms": round(took_s * 1000, 1)})


def _as_csv(columns: list[str], rows: list[tuple[Any, ...]], _: float) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="gridkeeper.csv"'}
    return Response(csv_text(columns, rows), media_type="text/csv; charset=utf-8", headers=headers)


def _span(request: Request) -> str:
    span = request.query_params.get("span", "1d")
    return span if span in dashboard_data.SPANS else "1d"


def _json(value: Any, status: int = 200) -> Response:
    try:
        text = json.dumps(value, default=_written, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError):
        text = json.dumps(_finite(value), default=_written, allow_nan=False, separators=(",", ":"))
    return Response(text, status_code=status, media_type="application/json")


def _finite(value: Any) -> Any:
    # JSON knows no NaN, no infinity and no key but text; a statistic that is none is a dash.
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _written(value: object) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds") + ("" if value.tzinfo else "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
