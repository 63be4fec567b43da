# ruff: noqa: E501, S608 - rows of made-up tables, written as the SQL that makes them.
"""Times what people look at on a published copy with ten million fills and three years of minutes.

Makes the copy once (days of Parquet beside a small database, as `publish` leaves them), then asks each `report_*` view
the question of docs/sql.md, and a running dashboard for its pages. Prints a table and one JSON line.

    python benchmarks/reports.py [--fills 10000000] [--days 1096] [--folder DIR]
"""

import argparse
import http.client
import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil

from core.engine import Step
from tasks import server
from tasks.dashboard_child import command, free_port
from tasks.publish import publish, published_folder
from tasks.sql_query import QueryRefused, ask, open_published
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk

ROOT = Path(__file__).parents[1]
BOTS = 3
PAGES = {
    "portfolio, a day": "/api/portfolio?span=1d",
    "portfolio, 30 days": "/api/portfolio?span=30d",
    "portfolio, everything": "/api/portfolio?span=all",
    "bot, an hour": "/api/bots/g1?span=1h",
    "bot, a day": "/api/bots/g1?span=1d",
    "bot, a year": "/api/bots/g1?span=1y",
    "bot, everything": "/api/bots/g1?span=all",
    "incidents": "/api/incidents",
    "ticks": "/api/ticks",
    "backtests": "/api/backtests",
}
# What a person presses, one after the other, from the portfolio on.
CLICKS = {
    "portfolio, everything": "button:has-text('all')",
    "bots": "nav a[href='/bots']",
    "one bot": "main a[href^='/bots/g1']",
    "bot, an hour": "button:has-text('1h')",
    "bot, a year": "button:has-text('1y')",
    "bot, everything": "button:has-text('all')",
    "incidents": "nav a[href='/incidents']",
    "ticks": "nav a[href='/ticks']",
    "backtests": "nav a[href='/backtests']",
    "the box for SQL": "nav a[href='/sql']",
}
# A day of each table in the columns of the schema; $n fills, $day counts the days, $at is the day's first moment.
BOT = f"'g' || ((i // 2) % {BOTS} + 1)::VARCHAR"
MINUTE_BOT = f"'g' || (i % {BOTS} + 1)::VARCHAR"
LEG = "CASE WHEN i % 2 = 0 THEN 'e' ELSE 'x' END || ((i // 2) % 20)::VARCHAR || '-' || ($day * $n + i // 2)::VARCHAR"
WHEN = "$at + to_microseconds((i * 86400000000 // $n)::BIGINT)"
PRICE = "(25000 + 10 * ((i // 2) % 97) + 40 * (i % 2))::DECIMAL(38, 18)"
DAYS: dict[str, str] = {
    "fills": f"""SELECT 'spot' AS venue, 'BTC/USDT' AS symbol, ($day * $n + i)::VARCHAR AS trade_id,
        {BOT} || '-abcd-' || {LEG} || '-0' AS client_id, {BOT} AS bot_id, CASE WHEN i % 2 = 0 THEN 'buy' ELSE 'sell' END AS side,
        {PRICE} AS price, 0.01::DECIMAL(38, 18) AS qty, 0.05::DECIMAL(38, 18) AS fee, 'USDT' AS fee_asset, {WHEN} AS ts,
        {LEG} AS leg_id, CASE WHEN i % 2 = 0 THEN 'entry' ELSE 'exit' END AS role,
        ((i // 2) % 20)::VARCHAR || '-' || ($day * $n + i // 2)::VARCHAR AS lot_id, true AS maker, 0::DECIMAL(38, 18) AS settled,
        ({PRICE} / 100)::DECIMAL(38, 18) AS quote_qty, 0.05::DECIMAL(38, 18) AS fee_quote,
        CASE WHEN i % 2 = 1 THEN 0.4::DECIMAL(38, 18) END AS realized, {WHEN} AS recorded_at FROM range($n) AS r(i)""",
    "orders": f"""SELECT {BOT} || '-abcd-' || {LEG} || '-0' AS client_id, 'spot' AS venue, 'BTC/USDT' AS symbol, {BOT} AS bot_id,
        {LEG} AS leg_id, 0 AS attempt, CASE WHEN i % 2 = 0 THEN 'entry' ELSE 'exit' END AS role,
        CASE WHEN i % 2 = 0 THEN 'buy' ELSE 'sell' END AS side, 'limit' AS type, {PRICE} AS price, 0.01::DECIMAL(38, 18) AS qty,
        0.01::DECIMAL(38, 18) AS filled_qty, 'FILLED' AS status, ($day * $n + i)::VARCHAR AS exchange_id, '' AS reason,
        {WHEN} - INTERVAL 90 SECOND AS created_at, {WHEN} AS updated_at, 0.01::DECIMAL(38, 18) AS traded_qty, true AS post_only,
        false AS reduce_only, NULL::DECIMAL(38, 18) AS stop_price, {PRICE} AS asked_price, 0.01::DECIMAL(38, 18) AS leg_qty,
        {WHEN} AS recorded_at FROM range($n) AS r(i)""",
    "orders_life": f"""SELECT {WHEN} - INTERVAL 90 SECOND AS created_at, {BOT} AS bot_id, {LEG} AS leg_id, 0 AS attempt,
        CASE WHEN i % 2 = 0 THEN 'entry' ELSE 'exit' END AS role, CASE WHEN i % 2 = 0 THEN 'buy' ELSE 'sell' END AS side,
        'limit' AS type, {PRICE} AS price, 0.01::DECIMAL(38, 18) AS qty, 0.01::DECIMAL(38, 18) AS filled_qty, 'FILLED' AS status,
        '' AS reason, {WHEN} AS updated_at, {BOT} || '-abcd-' || {LEG} || '-0' AS client_id,
        ($day * $n + i)::VARCHAR AS exchange_id, {WHEN} AS recorded_at, {PRICE}::DOUBLE AS average_price, 1::BIGINT AS trades,
        false AS again FROM range($n) AS r(i)""",
    "trades_made": f"""SELECT $at AS recorded_at, {BOT} AS bot_id, count(*) AS trades, count(*) AS won,
        (0.4 * count(*))::DECIMAL(38, 18) AS realized, (0.4 * count(*))::DECIMAL(38, 18) AS by_exits
        FROM range($n) AS r(i) WHERE i % 2 = 1 GROUP BY ALL""",
    "lots": f"""SELECT 'g' || (i % {BOTS} + 1)::VARCHAR AS bot_id, (i % 20)::VARCHAR || '-' || ($day * $n + i)::VARCHAR AS lot_id,
        ($day * $n + i)::BIGINT AS opened_txn, 'spot' AS venue, 'BTC/USDT' AS symbol, 'buy' AS side,
        $at + to_microseconds((i * 2 * 86400000000 // $n)::BIGINT) AS opened_at,
        $at + to_microseconds((i * 2 * 86400000000 // $n)::BIGINT) AS updated_at, 0.01::DECIMAL(38, 18) AS opened_qty,
        0::DECIMAL(38, 18) AS qty, 0::DECIMAL(38, 18) AS cost, 0.4::DECIMAL(38, 18) AS realized, 0.4::DECIMAL(38, 18) AS grid_profit,
        0.1::DECIMAL(38, 18) AS fees, 1 AS exits, $at + to_microseconds((i * 2 * 86400000000 // $n)::BIGINT) AS recorded_at
        FROM range($n // 2) AS r(i)""",
    "ledger": f"""SELECT ($day * $n * 4 + i)::BIGINT AS seq, ($day * $n + i // 4)::BIGINT AS txn_id,
        $at + to_microseconds((i * 86400000000 // ($n * 4))::BIGINT) AS ts, 'g' || ((i // 8) % {BOTS} + 1)::VARCHAR AS bot_id,
        'spot' AS venue, CASE WHEN i % 2 = 0 THEN 'wallet' ELSE 'trade' END AS account,
        CASE WHEN i % 4 < 2 THEN 'BTC' ELSE 'USDT' END AS asset,
        ((CASE WHEN i % 2 = 0 THEN 1 ELSE -1 END) * 0.01)::DECIMAL(38, 18) AS amount, 'trade' AS kind,
        ($day * $n + i // 4)::VARCHAR AS ref, $at + to_microseconds((i * 86400000000 // ($n * 4))::BIGINT) AS recorded_at
        FROM range($n * 4) AS r(i)""",
    "journal": f"""SELECT ($day * 1440 + i * 1440 // $n)::BIGINT AS tick_id, (i % 20)::INTEGER AS n, {BOT} AS bot_id, {LEG} AS subject,
        CASE WHEN i % 500 = 0 THEN 'DECLINED' ELSE 'PLACE' END AS decision,
        CASE WHEN i % 500 = 0 THEN 'max_exposure_quote reached' ELSE 'buy 0.01' END AS reason, {WHEN} AS ts, {WHEN} AS recorded_at
        FROM range($n) AS r(i)""",
    "equity": f"""SELECT $at + to_minutes(i // {BOTS}) AS ts, {MINUTE_BOT} AS bot_id,
        (24000 + ($day % 300) * 3 + (i % 700) / 10)::DECIMAL(38, 18) AS equity, (25000 + i % 900)::DECIMAL(38, 18) AS price,
        $at + to_minutes(i // {BOTS}) AS price_ts, 0.4::DECIMAL(38, 18) AS inventory, 10000::DECIMAL(38, 18) AS cost,
        10100::DECIMAL(38, 18) AS exposure, 0::DECIMAL(38, 18) AS realized, 0::DECIMAL(38, 18) AS unrealized,
        0::DECIMAL(38, 18) AS grid_profit, 0::DECIMAL(38, 18) AS fees, 0::DECIMAL(38, 18) AS funding,
        $at + to_minutes(i // {BOTS}) AS recorded_at FROM range(1440 * {BOTS}) AS r(i)""",
    "ticks": """SELECT ($day * 1440 + i)::BIGINT AS tick_id, $at + to_minutes(i) AS started_at,
        $at + to_minutes(i) + to_microseconds(15000 + (i * 7919 % 60000)) AS ended_at, $at + to_minutes(i) AS now, 1 AS rounds,
        i % 5 <> 0 AS quiet, 1 AS orders_placed, 0 AS orders_cancelled, 1 AS fills, '' AS note, $at + to_minutes(i) AS recorded_at
        FROM range(1440) AS r(i)""",
}


def make_days(folder: Path, fills: int, days: int) -> None:
    """Write the past days' files, each with a part of the fills and what belongs to them."""
    per_day = max(2, fills // days)
    con = duckdb.connect(config={"threads": 2})
    for table, sql in DAYS.items():
        place = published_folder(folder) / "parquet" / table
        place.mkdir(parents=True, exist_ok=True)
        for number in range(days):
            at = START - timedelta(days=days - number)
            path = place / f"date={at:%Y-%m-%d}.parquet"
            if path.exists():
                continue
            text = sql.replace("$day", str(number)).replace("$n", str(per_day)).replace("$at", f"TIMESTAMP '{at}'")
            con.execute(f"COPY ({text}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
    con.close()


def make_today(folder: Path, days: int) -> dict[str, float]:
    """Let the bots live their newest day for real, and publish: the time of the first publication, which adds all past days
    up at once, and of a later one.
    """
    specs = [grid_spec(f"g{number + 1}", levels=20) for number in range(BOTS)]
    world, account, tick = new_world(*specs), new_account(), 10_000_000
    with open_store(folder) as store:

        def keep(step: Step, now: datetime) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)
            done = now + timedelta(milliseconds=20)
            store.commit_tick(TickRow(tick_id=tick, started_at=now, ended_at=done, now=now, quiet=False), step.world)

        walk(world, account, prices=120, keep=keep, every=timedelta(minutes=5))
        con = store.reader()
        # The bots of the past days are these; a page that shows everything begins with them.
        con.execute("UPDATE bot_state SET started_at = (SELECT min(started_at) FROM bot_state) - to_days(?)", [days])
        con.close()
        first_ms = timed(lambda: publish(store, folder), times=1)
        return {
            "publish_first_s": round(first_ms / 1000, 2),
            "publish_ms": round(timed(lambda: publish(store, folder)), 1),
        }


def timed(work: Callable[[], Any], times: int = 3) -> float:
    """Median time of some runs, in milliseconds."""
    took: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - started))
    return statistics.median(took)


def time_views(folder: Path) -> dict[str, float | None]:
    """The question of docs/sql.md for each view, on a connection opened for it, as `gridkeeper sql` does. None: refused."""
    found: dict[str, float | None] = {}
    for sql in re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / "sql.md").read_text(), re.DOTALL):
        view = re.search(r"FROM (report_\w+)", sql)
        if view is None:
            continue

        def work(sql: str = sql) -> None:
            con = open_published(folder)
            ask(con, sql, timeout_s=120)
            con.close()

        try:
            found[view[1]] = round(timed(work), 1)
        except QueryRefused as refused:
            print(f"{view[1]}: {refused}")
            found[view[1]] = None
    return found


def get(port: int, path: str) -> int:
    """Ask the dashboard for a page's data; returns its bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:200]!r}")
    return len(body)


def time_browser(port: int) -> dict[str, float]:
    """What a person waits for in Chromium, from the click to the drawn page (ms); empty where there is no browser."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    if chromium is None:
        return {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        started = time.perf_counter()
        page.goto(f"http://127.0.0.1:{port}/?span=30d")
        page.wait_for_selector("main svg path")
        took = {"first view": round(1000 * (time.perf_counter() - started), 1)}

        def click(words: str) -> None:
            page.evaluate("document.querySelector('#main').firstElementChild.dataset.old = 1")
            page.click(words)
            page.wait_for_selector("#main [data-old]", state="detached")

        for name, words in CLICKS.items():
            took[name] = round(timed(lambda words=words: click(words), times=1), 1)
        browser.close()
    return took


def time_dashboard(folder: Path) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """First answer after the start, each page then, what a browser shows, and the memory and CPU that it took."""
    port = free_port(4600)
    if port is None:
        raise RuntimeError("no port is free")
    process = server.spawn(command(folder, port), folder / "home", folder / "dashboard.log", watched=True)
    try:
        started = time.perf_counter()
        while True:
            try:
                get(port, "/")
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        up = time.perf_counter()
        get(port, "/api/portfolio?span=1d")
        first = time.perf_counter()
        get(port, "/api/bots/g1?span=all")
        digest = time.perf_counter()
        pages = {name: round(timed(lambda path=path: get(port, path)), 1) for name, path in PAGES.items()}
        spent = psutil.Process(process.pid).cpu_times()
        get(port, "/api/bots/g1?span=all")
        after = psutil.Process(process.pid).cpu_times()
        clicks = time_browser(port)
        memory = psutil.Process(process.pid).memory_full_info()
        peak = int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[0]) / 1024
        return pages, clicks, {
            "start_s": round(up - started, 2), "first_view_s": round(first - up, 3), "digest_s": round(digest - first, 2),
            "bot_page_cpu_ms": round(1000 * (after.user + after.system - spent.user - spent.system)),
            "load": round(psutil.getloadavg()[0], 1), "memory_mb": round(memory.uss / 2**20), "memory_peak_mb": round(peak),
        }  # fmt: skip
    finally:
        server.end(process, 5)


def main() -> None:
    """Read the arguments, make the copy where it is not there, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fills", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=1_096)
    parser.add_argument("--folder", type=Path, help="where the copy is made and kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        started = time.perf_counter()
        published: dict[str, float] = {}
        if not (published_folder(folder) / "gridkeeper.duckdb").exists():
            make_days(folder, args.fills, args.days)
            published = make_today(folder, args.days)
        made_s = round(time.perf_counter() - started, 1)
        views = time_views(folder)
        pages, clicks, rest = time_dashboard(folder)
    for title, rows in (("view (question of docs/sql.md)", views), ("page", pages), ("in Chromium", clicks)):
        print(f"{title:40}{'ms':>10}")
        for name, value in rows.items():
            print(f"{name:40}" + (f"{value:>10,.1f}" if value is not None else "   refused"))
    print(
        json.dumps(
            {
                "fills": args.fills,
                "days": args.days,
                "made_s": made_s,
                "views_ms": views,
                "pages_ms": pages,
                "clicks_ms": clicks,
                **published,
                **rest,
            }
        )
    )


if __name__ == "__main__":
    main()
