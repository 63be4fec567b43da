"""Orders with what their trades came to, kept by day: the part of `report_orders_life` that no question should compute.

    published/parquet/orders_life/date=YYYY-MM-DD.parquet    an order that is over, under the day of its last change

An order's trades may have been recorded on any day since it was created, so that finding them among years of fills is
the dear part. It is done once, when the order's day is over; for the present day's orders at each publication, from the
present day's fills and, only where those do not add up to what the order traded, from older ones.
"""

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

NAME = "orders_life"
_COLUMNS = (
    "o.created_at, o.bot_id, o.leg_id, o.attempt, o.role, o.side, o.type, o.price, o.qty, o.filled_qty, o.status, "
    "o.reason, o.updated_at, o.client_id, o.exchange_id, o.recorded_at"
)
# The oldest order of a span whose fills since the span's start are less than it traded (`traded_qty`, exact).
_MISSING = """
SELECT min(o.created_at)
FROM orders AS o
LEFT JOIN (SELECT client_id, sum(qty) AS qty FROM fills WHERE recorded_at >= $first GROUP BY client_id) AS f
    ON f.client_id = o.client_id
WHERE {span} AND o.traded_qty > coalesce(f.qty, 0)"""
_LIVES = """
SELECT {columns}, CAST(t.quote_qty AS DOUBLE) / CAST(t.qty AS DOUBLE) AS average_price, coalesce(t.trades, 0) AS trades,
    {again} AS again
FROM orders AS o
LEFT JOIN (
    SELECT client_id, sum(quote_qty) AS quote_qty, sum(qty) AS qty, count(*) AS trades
    FROM fills WHERE recorded_at >= $since GROUP BY client_id
) AS t ON t.client_id = o.client_id
WHERE {span}"""


def archive_lives(con: duckdb.DuckDBPyConnection, folder: Path, days: list[date], settled: str) -> None:
    """Write the days that are not there yet; `settled` is the condition under which an order is over."""
    place = folder / "parquet" / NAME
    place.mkdir(parents=True, exist_ok=True)
    there = set(os.listdir(place))  # noqa: PTH208  names, not paths
    for day in days:
        name = f"date={day.isoformat()}.parquet"
        if name in there:
            continue
        fresh = place / f".{name}.part"
        span = f"o.recorded_at >= $first AND o.recorded_at < $after AND {settled}"
        text, values = _lives(con, span, {"first": day, "after": day + timedelta(days=1)}, place)
        con.execute(f"COPY ({text}) TO {_quoted(fresh)} (FORMAT parquet, COMPRESSION zstd)", values)
        os.replace(fresh, place / name)  # noqa: PTH105


def copy_lives(con: duckdb.DuckDBPyConnection, today: date, settled: str) -> None:
    """Create `published.orders_life_today`: the orders of the present day, and those of any day that are not over."""
    text, values = _lives(con, f"(o.recorded_at >= $first OR NOT {settled})", {"first": today}, None)
    con.execute(f"CREATE TABLE published.{NAME}_today AS {text}", values)


def create_lives_view(con: duckdb.DuckDBPyConnection, folder: Path, today: date) -> None:
    """Create the view over both parts. `day` is the day of an order's last change; files of other days stay closed.

    An order that changed after its day was archived stands in two parts: the row of the newer day counts. The day is
    read from the name of the file, so that a question with `day` in its WHERE opens only the files that it needs.
    """
    here = f"SELECT *, CAST(recorded_at AS DATE) AS day FROM {NAME}_today"  # noqa: S608  names of our own
    text = f"CREATE VIEW {NAME} AS {here}"
    if next((folder / "parquet" / NAME).glob("date=*.parquet"), None) is not None:
        files = f"coalesce(getvariable('published'), '.') || '/parquet/{NAME}/*.parquet'"
        text += (
            " UNION ALL SELECT p.* EXCLUDE (filename) FROM (SELECT *, CAST(filename[-18:-9] AS DATE) AS day "  # noqa: S608
            f"FROM read_parquet({files}, hive_partitioning = false, filename = true)) AS p "
            "ANTI JOIN (SELECT client_id, recorded_at FROM orders_late UNION ALL "
            f"SELECT client_id, TIMESTAMP 'infinity' FROM {NAME}_today) AS n "
            "ON n.client_id = p.client_id AND n.recorded_at > p.recorded_at "
            f"WHERE p.day < DATE '{today.isoformat()}'"
        )
    con.execute(text)


def _lives(
    con: duckdb.DuckDBPyConnection, span: str, values: dict[str, date], place: Path | None
) -> tuple[str, dict[str, date | datetime]]:
    # The statement for a span of recorded_at, and its values; `again` marks what an earlier file of `place` has too.
    row = con.execute(_MISSING.format(span=span), values).fetchone()
    first = datetime.combine(values["first"], datetime.min.time())
    since = first if row is None or row[0] is None else min(first, row[0])
    again = "false"
    if place is not None:
        oldest = con.execute(
            f"SELECT min(o.created_at) FROM orders AS o WHERE {span} AND o.created_at < $first",  # noqa: S608  our own text
            values,
        ).fetchone()
        files = [] if oldest is None or oldest[0] is None else _between(place, oldest[0].date(), values["first"])
        if files:
            listed = ", ".join(map(_quoted, files))
            parts = f"read_parquet([{listed}], hive_partitioning = false)"
            again = f"o.created_at < $first AND o.client_id IN (SELECT client_id FROM {parts})"  # noqa: S608  our own paths
    text = _LIVES.format(columns=_COLUMNS, again=again, span=span)
    return text, {**{name: value for name, value in values.items() if f"${name}" in text}, "since": since}


def _between(place: Path, first: date, after: date) -> list[Path]:
    names = sorted(os.listdir(place))  # noqa: PTH208
    return [place / name for name in names if f"date={first}" <= name < f"date={after}"]


def _quoted(path: Path) -> str:
    # COPY takes no bound value for a path.
    return "'" + str(path).replace("'", "''") + "'"
