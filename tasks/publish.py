"""Publishes a copy of the trading store that anybody may read: small, whole, and never in the writer's way.

    published/gridkeeper.duckdb                        replaced as a whole: small tables, today's rows, views over all
    published/parquet/<table>/date=YYYY-MM-DD.parquet  a day that is over, written once and never again
    published/parquet/<other>/...                      what the batch process publishes, shown under its own name
    published/rollups/<name>.parquet                   sums of the days that are over (`tasks/publish_rollups.py`)

The work grows with the day, not with the history. A day is the day on which a row was recorded, which never goes back,
so a late trade of yesterday is in today's part and no file ever has to be opened again. The views find the Parquet
files below the variable `published`, or below the current folder where it is not set: a folder that was moved or copied
works as it is, for `open_published` and for `cd published && duckdb gridkeeper.duckdb` alike.
"""

import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from core.orders import TERMINAL
from tasks.publish_orders import archive_lives, copy_lives, create_lives_view
from tasks.publish_rollups import create_rollup_views, update_rollups
from tasks.publish_trades import archive_trades, copy_trades, create_trades_view
from tasks.store import Store

FILE_NAME = "gridkeeper.duckdb"
VIEWS = Path(__file__).parents[1] / "sql" / "views"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OVER = ", ".join(f"'{status.value}'" for status in sorted(TERMINAL))


_SETTLED = f"(status IN ({_OVER}) AND traded_qty >= filled_qty)"


@dataclass(frozen=True)
class Daily:
    """A table that grows with every day. Rows that may change have a `key`, and are archived once `settled` holds;
    `born` is the column of when such a row began.
    """

    name: str
    settled: str = "true"
    key: str = ""
    born: str = ""


DAILY = (
    Daily("fills"),
    Daily("ledger"),
    Daily("journal"),
    Daily("ticks"),
    Daily("equity"),
    Daily("orders", settled=_SETTLED, key="client_id", born="created_at"),
    Daily("lots", settled="qty = 0", key="bot_id, lot_id, opened_txn", born="opened_at"),
)
SMALL = (
    "bot_state", "levels", "recovery", "incidents", "marks", "account_balance", "account_state", "funding_payments",
    "funding_shares", "commands", "store_stamp", "schema_migrations",
)  # fmt: skip


def published_folder(data_dir: Path | str) -> Path:
    """Where the published copy of a data folder lies."""
    return Path(data_dir).resolve() / "published"


def publish(store: Store, data_dir: Path | str, *, published_at: datetime | None = None) -> Path:
    """Write the published copy anew and put it in place at once; returns its path.

    `published_at` (UTC, default: the machine's clock) stands in the copy's `meta`, so that its age can be shown.
    Readers of the old copy keep what they have open. Raises `duckdb.Error` or `OSError`; the old
    copy is then still in place.
    """
    folder = published_folder(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    con = store.reader()
    try:
        today = (store.recorded_at or datetime.min).date()  # noqa: DTZ901  UTC without zone, as everywhere
        _archive(con, folder, today)
        update_rollups(con, folder)
        path = folder / FILE_NAME
        fresh = folder / f".{FILE_NAME}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        _write_copy(
            con, folder, fresh, today, published_at or datetime.now(UTC).replace(tzinfo=None), store.recorded_at
        )
        os.replace(fresh, path)  # noqa: PTH105  the name of what it does
    finally:
        con.close()
    return path


def _archive(con: duckdb.DuckDBPyConnection, folder: Path, today: date) -> None:
    days = [day for (day,) in con.execute("SELECT day FROM days WHERE day < ? ORDER BY day", [today]).fetchall()]
    for table in DAILY:
        place = folder / "parquet" / table.name
        place.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in place.iterdir()}
        for day in days:
            name = f"date={day.isoformat()}.parquet"
            if name not in there:
                _write_day(con, table, day, place / name)
    archive_lives(con, folder, days, _SETTLED)
    archive_trades(con, folder, days)


def _write_day(con: duckdb.DuckDBPyConnection, table: Daily, day: date, path: Path) -> None:
    fresh = path.with_name(f".{path.name}.part")
    con.execute(
        f"COPY (SELECT * FROM {table.name} WHERE recorded_at >= $first AND recorded_at < $after AND {table.settled}) "  # noqa: S608
        f"TO {_quoted(fresh)} (FORMAT parquet, COMPRESSION zstd)",
        {"first": day, "after": day + timedelta(days=1)},
    )
    os.replace(fresh, path)  # noqa: PTH105


def _write_copy(
    con: duckdb.DuckDBPyConnection, folder: Path, path: Path, today: date, at: datetime, until: datetime | None
) -> None:
    home = _one(con, "SELECT current_database()")
    con.execute(f"ATTACH {_quoted(path)} AS published")
    try:
        con.begin()
        for name in SMALL:
            con.execute(f"CREATE TABLE published.{name} AS SELECT * FROM {home}.{name}")  # noqa: S608  our own names
        for table in DAILY:
            con.execute(
                f"CREATE TABLE published.{table.name}_today AS SELECT * FROM {home}.{table.name} "  # noqa: S608
                f"WHERE recorded_at >= ? OR NOT {table.settled}",
                [today],
            )
        copy_lives(con, today, _SETTLED)
        copy_trades(con, today)
        con.execute(f"CREATE TABLE published.meta AS SELECT * FROM {home}.meta")  # noqa: S608
        for key, value in (("published_at", at), ("data_until", until)):
            con.execute("INSERT INTO published.meta VALUES (?, ?)", [key, value.isoformat() if value else ""])
        con.commit()
        con.execute("USE published")
        con.execute("SET VARIABLE published = ?", [str(folder)])
        _create_views(con, folder, today)
    finally:
        con.execute(f"USE {home}")
        con.execute("DETACH published")


def _create_views(con: duckdb.DuckDBPyConnection, folder: Path, today: date) -> None:
    for table in DAILY:
        con.execute(_whole(table, today, archived=_has_files(folder / "parquet" / table.name)))
    con.execute(_fills_by_day(today, archived=_has_files(folder / "parquet" / "fills")))
    create_rollup_views(con, folder, today)
    create_lives_view(con, folder, today)
    create_trades_view(con, folder, today)
    # What is not over is never archived: no file has to be opened for it.
    con.execute(f"CREATE VIEW orders_live AS SELECT * FROM orders_today WHERE status NOT IN ({_OVER})")  # noqa: S608  as above
    con.execute("CREATE VIEW lots_open AS SELECT * FROM lots_today WHERE qty <> 0")
    taken = {name for (name,) in con.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    for place in sorted((folder / "parquet").iterdir()):
        if place.name not in taken and _NAME.fullmatch(place.name) and _has_files(place):
            files = _files(f"{place.name}/**/*.parquet")
            con.execute(f"CREATE VIEW {place.name} AS SELECT * FROM read_parquet({files}, union_by_name = true)")  # noqa: S608
    create_reports(con)


def _fills_by_day(today: date, *, archived: bool) -> str:
    # The fills with the day they are filed under. It is read from the name of the file, so that a question with `day` in
    # its WHERE opens only the files that it needs: opening a thousand of them takes longer than reading one.
    text = "CREATE VIEW fills_by_day AS SELECT *, CAST(recorded_at AS DATE) AS day FROM fills_today"
    if not archived:
        return text
    files, day = _files("fills/*.parquet"), "CAST(filename[-18:-9] AS DATE)"
    return (
        f"{text} UNION ALL SELECT * EXCLUDE (filename), {day} AS day "  # noqa: S608  names of our own
        f"FROM read_parquet({files}, hive_partitioning = false, filename = true) WHERE {day} < DATE '{today.isoformat()}'"
    )


def create_reports(con: duckdb.DuckDBPyConnection) -> None:
    """Create the report views in a database that has the views of the published copy."""
    for path in sorted(VIEWS.glob("*.sql")):
        con.execute(path.read_text())


def _whole(table: Daily, today: date, *, archived: bool) -> str:
    # The bound keeps a day out of sight that was archived after this copy was made: its rows are in the copy too.
    text = f"CREATE VIEW {table.name} AS SELECT * FROM {table.name}_today"  # noqa: S608  names of our own
    if not archived:
        return text
    files = _files(f"{table.name}/*.parquet")
    past = (
        f"SELECT * FROM read_parquet({files}, hive_partitioning = false) "  # noqa: S608  names of our own
        f"WHERE recorded_at < TIMESTAMP '{today.isoformat()}'"
    )
    if not table.key:
        return f"{text} UNION ALL {past}"
    # A row that changed after its day was archived stands in several parts: the newest counts. Only one that is older
    # than the day of its part can be such a row; those are few, so that nothing has to be sorted or kept for all rows.
    keys = [f"n.{name} = p.{name}" for name in table.key.split(", ")]
    return (
        f"CREATE VIEW {table.name} AS SELECT * FROM {table.name}_today UNION ALL "  # noqa: S608  names of our own
        f"SELECT p.* FROM ({past}) AS p ANTI JOIN ("
        f"SELECT {table.key}, TIMESTAMP 'infinity' AS newest_at FROM {table.name}_today UNION ALL "
        f"SELECT {table.key}, max(recorded_at) FROM ({past}) WHERE {table.born} < date_trunc('day', recorded_at) "
        f"GROUP BY {table.key}) AS n ON {' AND '.join(keys)} AND n.newest_at > p.recorded_at"
    )


def _files(pattern: str) -> str:
    return f"coalesce(getvariable('published'), '.') || '/parquet/{pattern}'"


def _has_files(place: Path) -> bool:
    return next(place.glob("**/[!.]*.parquet"), None) is not None


def _quoted(path: Path) -> str:
    # ATTACH and COPY take no bound value for a path.
    return "'" + str(path).replace("'", "''") + "'"


def _one(con: duckdb.DuckDBPyConnection, statement: str) -> str:
    row = con.execute(statement).fetchone()
    return str(row[0]) if row is not None else ""
