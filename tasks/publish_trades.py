"""What closed trades came to, kept by day and bot: the part of `report_metrics` that no question should compute.

    published/parquet/trades_made/date=YYYY-MM-DD.parquet    what a day changed in a bot's count of trades and of wins

A trade is a leg that closed inventory, however many executions that took, and it wins by their sum. A leg that goes on
closing on a later day is therefore no further trade, and that day's row says how it changed the count of wins. Which
legs closed before is looked up only where a day's orders do not show that all of a leg's executions are of that day.
"""

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from tasks.publish_orders import NAME as LIVES

NAME = "trades_made"
# Legs that closed within the span; `known_since` is when the first order of one was made, where that order is at hand.
_CLOSED = """
WITH closed AS (
    SELECT bot_id, leg_id, count(*) AS fills, sum(realized) AS realized
    FROM fills
    WHERE recorded_at >= $first AND recorded_at < $after AND bot_id <> 'external'
    GROUP BY bot_id, leg_id
    HAVING count(realized) > 0
),
worked AS (
    SELECT bot_id, leg_id, sum(trades) AS trades, count(*) = max(attempt) + 1 AS all_attempts,
        min(created_at) FILTER (attempt = 0) AS known_since
    FROM {lives}
    GROUP BY bot_id, leg_id
),
older AS (
    SELECT c.bot_id, c.leg_id, w.known_since
    FROM closed AS c
    LEFT JOIN worked AS w ON w.bot_id = c.bot_id AND w.leg_id = c.leg_id
    WHERE w.leg_id IS NULL OR NOT w.all_attempts OR w.trades <> c.fills
)"""
_MADE = """,
before AS (
    SELECT f.bot_id, f.leg_id, sum(f.realized) AS realized
    FROM fills AS f
    SEMI JOIN older AS o ON o.bot_id = f.bot_id AND o.leg_id = f.leg_id
    WHERE f.recorded_at >= $since AND f.recorded_at < $first AND f.realized IS NOT NULL
    GROUP BY f.bot_id, f.leg_id
)
SELECT CAST($first AS TIMESTAMP) AS recorded_at, c.bot_id, count(*) FILTER (b.leg_id IS NULL) AS trades,
    count(*) FILTER (coalesce(b.realized, 0) + c.realized > 0) - count(*) FILTER (b.realized > 0) AS won,
    sum(c.realized) AS realized, sum(c.realized) FILTER (c.leg_id LIKE 'x%') AS by_exits
FROM closed AS c
LEFT JOIN before AS b ON b.bot_id = c.bot_id AND b.leg_id = c.leg_id
GROUP BY c.bot_id"""


def archive_trades(con: duckdb.DuckDBPyConnection, folder: Path, days: list[date]) -> None:
    """Write the days that are not there yet; the lives of their orders are already written."""
    place = folder / "parquet" / NAME
    place.mkdir(parents=True, exist_ok=True)
    there = set(os.listdir(place))  # noqa: PTH208  names, not paths
    for day in days:
        name = f"date={day.isoformat()}.parquet"
        if name in there:
            continue
        fresh = place / f".{name}.part"
        lives = f"read_parquet({_quoted(folder / 'parquet' / LIVES / name)})"
        text, values = _made(con, lives, day, day + timedelta(days=1))
        con.execute(f"COPY ({text}) TO {_quoted(fresh)} (FORMAT parquet, COMPRESSION zstd)", values)
        os.replace(fresh, place / name)  # noqa: PTH105


def copy_trades(con: duckdb.DuckDBPyConnection, today: date) -> None:
    """Create `published.trades_made_today` from the present day's executions and `published.orders_life_today`."""
    text, values = _made(con, f"published.{LIVES}_today", today, date.max)
    con.execute(f"CREATE TABLE published.{NAME}_today AS {text}", values)


def create_trades_view(con: duckdb.DuckDBPyConnection, folder: Path, today: date) -> None:
    """Create the view over both parts."""
    text = f"CREATE VIEW {NAME} AS SELECT * FROM {NAME}_today"  # noqa: S608  names of our own
    if next((folder / "parquet" / NAME).glob("date=*.parquet"), None) is not None:
        files = f"coalesce(getvariable('published'), '.') || '/parquet/{NAME}/*.parquet'"
        text += (
            f" UNION ALL SELECT * FROM read_parquet({files}, hive_partitioning = false) "  # noqa: S608
            f"WHERE recorded_at < TIMESTAMP '{today.isoformat()}'"
        )
    con.execute(text)


def _made(
    con: duckdb.DuckDBPyConnection, lives: str, first: date, after: date
) -> tuple[str, dict[str, date | datetime]]:
    # The statement for a span of recorded_at, and its values. Without a leg to look up, no older execution is read.
    closed = _CLOSED.format(lives=lives)
    span: dict[str, date | datetime] = {"first": first, "after": after}
    counted = f"{closed} SELECT count(*), count(known_since), min(known_since) FROM older"  # noqa: S608  our own text
    legs, known, oldest = con.execute(counted, span).fetchone() or (0, 0, None)
    oldest = oldest if known == legs else date.min
    return closed + _MADE, {**span, "since": first if oldest is None else oldest}


def _quoted(path: Path) -> str:
    # COPY takes no bound value for a path.
    return "'" + str(path).replace("'", "''") + "'"
