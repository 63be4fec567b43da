"""The quality gate on the market store: which series there are, their results kept, shown and published."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from tasks.candles_store import load_candles
from tasks.publish import published_folder
from tasks.quality import Finding, Gate, SeriesKey
from tasks.quality_rules import Limits, frame_of

Findings = Mapping[SeriesKey, Sequence[Finding]]


def stored_series(con: duckdb.DuckDBPyConnection) -> list[SeriesKey]:
    """List the series in the market store."""
    rows = con.execute("SELECT DISTINCT venue, symbol, timeframe FROM ohlcv ORDER BY ALL").fetchall()
    return [SeriesKey(*row) for row in rows]


def check_stored(
    con: duckdb.DuckDBPyConnection,
    gate: Gate,
    keys: Sequence[SeriesKey],
    limits: Limits,
    *,
    now: datetime,
    from_: datetime | None = None,
) -> dict[SeriesKey, list[Finding]]:
    """Hold stored series, from `from_` on, against the rules; the first other venue with the same pair is compared."""
    found: dict[SeriesKey, list[Finding]] = {}
    there = stored_series(con)
    for key in keys:
        frame, scale = _frame(con, key, from_)
        other = next((one for one in there if one.venue != key.venue and _pair(one) == _pair(key)), None)
        theirs = None
        if other is not None:
            theirs, their_scale = _frame(con, other, from_)
            # A fraction is compared, so units may become floats here.
            theirs = theirs[["ts", "close"]].assign(close=theirs["close"] * 10.0 ** (scale - their_scale))
        found[key] = gate.check(key, frame, now=now, limits=limits, other=theirs)
    return found


def save(con: duckdb.DuckDBPyConnection, run_id: str, found: Findings, checked_at: datetime) -> None:
    """Keep the findings of a run in `quality_results`; the same run again replaces what it said of these series."""
    con.begin()
    try:
        for key, findings in found.items():
            where = [run_id, key.venue, key.symbol, key.timeframe]
            con.execute(
                "DELETE FROM quality_results WHERE run_id = ? AND venue = ? AND symbol = ? AND timeframe = ?", where
            )
            con.executemany(
                "INSERT INTO quality_results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    [
                        *where, one.rule, one.severity, one.passed, one.checked, one.failed,
                        min(one.times, default=None), max(one.times, default=None), one.sentence(), checked_at,
                    ]
                    for one in findings
                ],
            )  # fmt: skip
    except duckdb.Error:
        con.rollback()
        raise
    con.commit()


def publish_results(con: duckdb.DuckDBPyConnection, data_dir: Path) -> Path:
    """Write all results as Parquet for readers, put in place at once; the next published copy shows them."""
    folder = published_folder(data_dir) / "parquet" / "quality_results"
    folder.mkdir(parents=True, exist_ok=True)
    target, fresh = folder / "all.parquet", folder / ".all.part"
    found = con.execute("SELECT * FROM quality_results ORDER BY checked_at, venue, symbol, timeframe, rule")
    pq.write_table(found.to_arrow_table(), fresh, compression="zstd")
    fresh.replace(target)
    return target


def forget_old(con: duckdb.DuckDBPyConnection, before: datetime) -> int:
    """Delete results that are older than an instant (UTC); returns how many."""
    row = con.execute("DELETE FROM quality_results WHERE checked_at < ?", [before]).fetchone()
    return int(row[0]) if row is not None else 0


def table_of(found: Findings) -> list[dict[str, Any]]:
    """Rows for a table: one for each broken rule, and one for each series of which every rule holds."""
    rows: list[dict[str, Any]] = []
    for key, findings in found.items():
        series = {"venue": key.venue, "symbol": key.symbol, "timeframe": key.timeframe}
        broken = [one for one in findings if not one.passed]
        rows += [
            series | {"rule": one.rule, "severity": one.severity, "rows": one.failed, "of": one.checked, "says": one.sentence()}
            for one in broken
        ]  # fmt: skip
        if not broken:
            of = max((one.checked for one in findings), default=0)
            says = f"all {len(findings)} rules hold"
            rows.append(series | {"rule": "all", "severity": "passed", "rows": 0, "of": of, "says": says})
    return rows


def _frame(con: duckdb.DuckDBPyConnection, key: SeriesKey, from_: datetime | None) -> tuple[Any, int]:
    series = load_candles(con, venue=key.venue, symbol=key.symbol, timeframe=key.timeframe, from_=from_)
    return frame_of(series), series.scale


def _pair(key: SeriesKey) -> tuple[str, str]:
    # BTC/USDT on a spot market and BTC/USDT:USDT, its perpetual contract, are two prices of one thing.
    return key.symbol.partition(":")[0], key.timeframe
