"""What past days were, in few rows: they never change, so each is read once and kept as long as the dashboard runs.

    equity: per bot and hour the last, lowest and highest equity, last price, exposure and inventory
    fills:  per bot, day and role how many, volume, realized, fees (quote)

Three years of ten bots are some 260,000 rows of the first kind; they are kept as columns in a DuckDB in memory.
"""

from datetime import date, datetime
from pathlib import Path
from threading import Lock

import duckdb

from tasks.dashboard_copy import Row, days_of

# Files read at a time: an answer that waits for the lock waits for one such piece.
DAYS_AT_ONCE = 64
_EQUITY = """
SELECT max(ts) AS at, bot_id, max_by(equity, ts)::DOUBLE AS equity, min(equity)::DOUBLE AS low,
    max(equity)::DOUBLE AS high, max_by(price, ts)::DOUBLE AS price, min(price)::DOUBLE AS price_low,
    max(price)::DOUBLE AS price_high, max_by(exposure, ts)::DOUBLE AS exposure, max_by(inventory, ts)::DOUBLE AS inventory
FROM {rows} GROUP BY time_bucket(INTERVAL 1 HOUR, ts), bot_id"""
_FILLS = """
SELECT ts::DATE AS day, bot_id, role, count(*) AS fills, sum(quote_qty)::DOUBLE AS volume_quote,
    coalesce(sum(realized), 0)::DOUBLE AS realized, coalesce(sum(fee_quote), 0)::DOUBLE AS fees
FROM {rows} GROUP BY ALL"""
QUERIES = {"equity": _EQUITY, "fills": _FILLS}


class History:
    """The digest of one published folder; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Start empty; `fill` reads what is there, and `ready` says that it has."""
        self._folder = folder
        self._lock = Lock()
        self._con = duckdb.connect(
            config={"threads": 2, "memory_limit": "150MB", "autoinstall_known_extensions": "false"}
        )
        self.ready = False
        self._done: dict[str, set[date]] = {name: set() for name in QUERIES}
        for name, sql in QUERIES.items():
            empty = _EMPTY[name]
            self._con.execute(f"CREATE TABLE {name} AS {sql.format(rows=empty)} LIMIT 0")

    def fill(self, bound: date, first: date = date.min) -> int:
        """Read the days from `first` on and before `bound` that were not read yet; returns how many files that were.

        The newest come first: a page that shows a month waits for a month, however long the history is.
        """
        read = 0
        for name in QUERIES:
            waiting = sorted((one for one in days_of(self._folder, name) if first <= one[0] < bound), reverse=True)
            waiting = [(day, path) for day, path in waiting if day not in self._done[name]]
            for start in range(0, len(waiting), DAYS_AT_ONCE):
                read += self._read(name, waiting[start : start + DAYS_AT_ONCE])
        self.ready = self.ready or first == date.min
        return read

    def buckets(self, since: datetime, bot_id: str | None, step_s: int) -> list[Row]:
        """Equity of the days that are over, in pieces of `step_s` seconds (an hour at least), oldest first."""
        return self._ask(
            "SELECT max(e.at) AS at, bot_id, max_by(equity, e.at) AS equity, min(low) AS low, "
            "max(high) AS high, max_by(price, e.at) AS price, min(price_low) AS price_low, max(price_high) AS price_high, "
            "max_by(exposure, e.at) AS exposure, max_by(inventory, e.at) AS inventory "
            "FROM equity AS e WHERE e.at >= ? AND (? IS NULL OR bot_id = ?) "
            "GROUP BY time_bucket(to_seconds(?), e.at), bot_id ORDER BY 1, 2",
            [since, bot_id, bot_id, step_s],
        )

    def days(self, bot_id: str | None) -> list[Row]:
        """Fills by day, bot and role of the days that are over, newest first."""
        # A trade recorded a day late stands in a later file: the same day may come from two of them.
        return self._ask(
            "SELECT day, bot_id, role, sum(fills)::BIGINT AS fills, sum(volume_quote) AS volume_quote, "
            "sum(realized) AS realized, sum(fees) AS fees FROM fills WHERE ? IS NULL OR bot_id = ? "
            "GROUP BY ALL ORDER BY day DESC, bot_id, role",
            [bot_id, bot_id],
        )

    def _read(self, name: str, days: list[tuple[date, str]]) -> int:
        with self._lock:
            # Another thread may have read some of them meanwhile.
            fresh = [(day, path) for day, path in days if day not in self._done[name]]
            if fresh:
                files = ", ".join("'" + path.replace("'", "''") + "'" for _, path in fresh)
                rows = f"read_parquet([{files}], hive_partitioning = false)"
                self._con.execute(f"INSERT INTO {name} {QUERIES[name].format(rows=rows)}")
                self._done[name] |= {day for day, _ in fresh}
        return len(fresh)

    def _ask(self, sql: str, values: list[object]) -> list[Row]:
        with self._lock:
            cursor = self._con.execute(sql, values)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_AMOUNTS = (
    "equity", "price", "exposure", "inventory", "quote_qty", "realized", "fee_quote",
)  # fmt: skip
_ROW = "NULL::TIMESTAMP AS ts, '' AS bot_id, '' AS role, " + ", ".join(
    f"NULL::DECIMAL(38, 18) AS {name}" for name in _AMOUNTS
)
_EMPTY = dict.fromkeys(QUERIES, f"(SELECT {_ROW})")


def bucket_s(span_s: float, points_max: int = 400) -> int:
    """The length of a piece, in whole minutes or hours as seconds, that cuts a span into at most `points_max`."""
    for step_s in (60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 259_200, 604_800):
        if span_s / step_s <= points_max:
            return step_s
    return 2_592_000
