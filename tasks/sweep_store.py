"""Keeps sweeps in `market.duckdb`, a little at a time, so that the store is never held while a sweep computes.

A sweep's id is made of everything that decides its results: started again, it reads what is there and goes on.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from core.values import plain
from tasks.errors import Busy
from tasks.market_store import open_market
from tasks.runs_publish import publish_runs
from tasks.sweep_run import FIGURES, Job, Row

# Another batch process keeps the store for seconds: rows wait in memory meanwhile.
BUSY_WAIT_S = 10.0
BUSY_STEP_S = 0.2
MONEY = {
    "net_pnl", "realized_pnl", "unrealized_pnl", "grid_profit", "fees", "funding", "capital_quote", "final_equity",
    "exposure_max",
}  # fmt: skip


def sweep_id(job: Job, configurations: Sequence[Mapping[str, str]], code: str) -> str:
    """Return the id of a sweep: a digest of candles, configurations, rules, stretches and the version of the program."""
    digest = hashlib.sha256()
    for kind, files in (("", job.candles), ("funding ", job.funding)):
        for text in files:
            name, is_named, path = text.partition("=")
            digest.update(f"{kind}{name}".encode() + Path(path if is_named else text).read_bytes())
    said = [job.raw, job.from_, job.to, asdict(job.options), job.segments, list(configurations), code]
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:16]


class SweepStore:
    """The rows of one sweep in the market store of a data folder."""

    def __init__(
        self, data_dir: Path, name: str, job: Job, timeframe: str, times: Sequence[tuple[int, int, int]]
    ) -> None:
        """Keep rows of sweep `name`; `times` are (first ms, last ms, bars) of each stretch."""
        self._dir, self._name, self._job, self._timeframe, self._times = data_dir, name, job, timeframe, times
        self._bot = job.raw["bots"][0]
        self._there: set[tuple[int, int]] = set()

    def begin(self, varied: Sequence[Any], configurations: int, now: datetime) -> list[Row]:
        """Note that the sweep runs, and return the rows of configurations that were finished before."""
        with patiently(self._dir) as con:
            con.execute(
                "INSERT INTO sweeps VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
                [
                    self._name, now, self._portfolio, self._bot["id"], self._bot["kind"], self._bot["symbol"],
                    ", ".join(Path(text.partition("=")[2] or text).name for text in self._job.candles),
                    json.dumps({v.name: v.values for v in varied}),
                    json.dumps(asdict(self._job.options), default=str), json.dumps(self._times), configurations,
                ],
            )  # fmt: skip
            rows = self._done(con)
        self._there |= {(row["number"], row["segment"]) for row in rows}
        return rows

    def keep(self, rows: Sequence[Row], now: datetime) -> bool:
        """Add finished rows; False where another process has the store, for another try later."""
        try:
            with open_market(self._dir) as con:
                self._insert(con, rows, now)
        except Busy:
            return False
        self._there |= {(row["number"], row["segment"]) for row in rows}
        return True

    def end(self, rows: Sequence[Row], summary: Mapping[str, Any], now: datetime) -> None:
        """Add those of all rows that are not there yet, and the summary; raises `Busy` where the store stays taken."""
        last = [row for row in rows if (row["number"], row["segment"]) not in self._there]
        with patiently(self._dir) as con:
            self._insert(con, last, now)
            said = json.dumps(summary, default=str)
            con.execute("UPDATE sweeps SET ended_at = ?, summary = ? WHERE sweep_id = ?", [now, said, self._name])
            publish_runs(con, self._dir)

    @property
    def _portfolio(self) -> str:
        return str(self._job.raw.get("id", "default"))

    def _done(self, con: duckdb.DuckDBPyConnection) -> list[Row]:
        names = ("number", "segment", "engine", "refused", "config", "returns_sums", *FIGURES)
        found = con.execute("SELECT * FROM backtests WHERE sweep_id = ? ORDER BY number, segment", [self._name])
        at = {column[0]: i for i, column in enumerate(found.description)}
        rows = [{name: values[at[name]] for name in names} for values in found.fetchall()]
        for row in rows:
            row["values"] = json.loads(row.pop("config"))
            row |= {name: _plain(row[name]) for name in MONEY}
        return rows

    def _insert(self, con: duckdb.DuckDBPyConnection, rows: Sequence[Row], now: datetime) -> None:
        if not rows:
            return
        table = pa.Table.from_pylist([self._row(row, now) for row in rows], schema=arrow_schema(con, "backtests"))
        con.register("fresh", table)
        con.execute("INSERT INTO backtests SELECT * FROM fresh ON CONFLICT DO NOTHING")
        con.unregister("fresh")

    def _row(self, row: Row, now: datetime) -> dict[str, Any]:
        options, bot = self._job.options, self._bot
        first, last, bars = self._times[row["segment"]]
        found: dict[str, Any] = {
            "run_id": f"{self._name}-{row['number']}-{row['segment']}", "sweep_id": self._name, "number": row["number"],
            "segment": row["segment"], "recorded_at": now, "portfolio_id": self._portfolio, "bot_id": bot["id"],
            "kind": bot["kind"], "venue": bot["venue"], "symbol": bot["symbol"], "timeframe": self._timeframe,
            "first_ts": instant(first), "last_ts": instant(last), "config": json.dumps(row["values"]),
            "intrabar": options.intrabar, "fill": options.fill, "latency_s": options.latency_s, "engine": row["engine"],
            "refused": row["refused"], "bars": bars, "returns_sums": row.get("returns_sums"), "warnings": None,
        }  # fmt: skip
        for name in FIGURES:
            value = row.get(name)
            found[name] = Decimal(value) if name in MONEY and value is not None else value
        return found


@contextmanager
def patiently(data_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the market store, waiting a while for another process to leave it; raises `Busy` after that."""
    until = time.monotonic() + BUSY_WAIT_S
    with ExitStack() as stack:
        while True:
            try:
                con = stack.enter_context(open_market(data_dir))
                break
            except Busy:
                if time.monotonic() > until:
                    raise
                time.sleep(BUSY_STEP_S)
        yield con


def arrow_schema(con: duckdb.DuckDBPyConnection, table: str) -> pa.Schema:
    """Return a table's columns as an Arrow schema, so that rows are written with its types and in its order."""
    return con.table(table).limit(0).to_arrow_table().schema


def instant(ms: int) -> datetime:
    """Return milliseconds since 1970 as UTC without zone."""
    return datetime.fromtimestamp(ms / 1000, UTC).replace(tzinfo=None)


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)
