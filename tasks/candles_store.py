"""Candles in `market.duckdb`: put in, taken out, checked. Every statement here touches the table `ohlcv` alone.

The caller opens the connection and owns it: one process writes `market.duckdb` at a time.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from core.kernel import ArraySeries
from core.market import TIMEFRAME_S
from tasks.candles_numbers import Ints, Numbers, numbers_of, raw_ints, scale_down
from tasks.candles_resample import resample

__all__ = [
    "CandleFinding",
    "ImportResult",
    "check_candles",
    "create_table",
    "import_candles",
    "load_candles",
    "resample",
]

SCHEMA = Path(__file__).parents[1] / "sql" / "schema" / "market" / "001_ohlcv.sql"
STORED_SCALE = 12

# The incoming columns are cast once, so that DuckDB compares decimals of one type and never goes through doubles.
CAST_INCOMING = """
CREATE OR REPLACE TEMP VIEW incoming AS
SELECT ts, open::DECIMAL(28, 12) AS open, high::DECIMAL(28, 12) AS high, low::DECIMAL(28, 12) AS low,
       close::DECIMAL(28, 12) AS close, volume::DECIMAL(28, 12) AS volume
FROM incoming_candles
"""
COUNT_STORED = """
SELECT count(*) FILTER (WHERE stored_ts IS NULL),
       count(*) FILTER (WHERE differs),
       min(ts) FILTER (WHERE differs)
FROM (
    SELECT n.ts, o.ts AS stored_ts, o.ts IS NOT NULL AND (o.open <> n.open OR o.high <> n.high OR o.low <> n.low
           OR o.close <> n.close OR o.volume <> n.volume) AS differs
    FROM incoming n
    LEFT JOIN ohlcv o ON o.venue = $venue AND o.symbol = $symbol AND o.timeframe = $timeframe AND o.ts = n.ts
)
"""
INSERT_NEW = """
INSERT INTO ohlcv
SELECT $venue, $symbol, $timeframe, ts, open, high, low, close, volume FROM incoming
ON CONFLICT DO NOTHING
"""
INSERT_OR_REPLACE = """
INSERT INTO ohlcv
SELECT $venue, $symbol, $timeframe, ts, open, high, low, close, volume FROM incoming
ON CONFLICT DO UPDATE SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
                          volume = excluded.volume
"""
SELECT_CANDLES = """
SELECT ts, open, high, low, close, volume FROM ohlcv
WHERE venue = $venue AND symbol = $symbol AND timeframe = $timeframe
  AND ts >= coalesce($from_, TIMESTAMP '0001-01-01') AND ts < coalesce($to, TIMESTAMP '9999-01-01')
ORDER BY ts
"""
FIND_GAPS = """
SELECT venue, symbol, timeframe, ts, before, epoch_ms(before) - epoch_ms(ts) AS step_ms FROM (
    SELECT *, lead(ts) OVER (PARTITION BY venue, symbol, timeframe ORDER BY ts) AS before FROM ohlcv
    WHERE coalesce(venue = $venue, true) AND coalesce(symbol = $symbol, true) AND coalesce(timeframe = $timeframe, true)
) WHERE before IS NOT NULL AND epoch_ms(before) - epoch_ms(ts) <> $step_ms[list_position($names, timeframe)]
ORDER BY venue, symbol, timeframe, ts
"""
FIND_BAD = """
SELECT venue, symbol, timeframe, min(ts), count(*), kind FROM (
    SELECT *, CASE
        WHEN least(open, high, low, close) <= 0 THEN 'price'
        WHEN high < greatest(open, close) OR low > least(open, close) OR volume < 0 THEN 'contradiction'
        WHEN $step_ms[list_position($names, timeframe)] IS NULL THEN 'timeframe'
        WHEN epoch_ms(ts) % $step_ms[list_position($names, timeframe)] <> 0 THEN 'off_grid'
        WHEN volume = 0 THEN 'no_volume' END AS kind
    FROM ohlcv
    WHERE coalesce(venue = $venue, true) AND coalesce(symbol = $symbol, true) AND coalesce(timeframe = $timeframe, true)
) WHERE kind IS NOT NULL GROUP BY venue, symbol, timeframe, kind ORDER BY venue, symbol, timeframe, kind
"""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did: candles that were new, the same as stored, and different from the stored ones.

    `different` were replaced or kept as stored, as asked; `first_different` is the first of them (UTC).
    """

    added: int
    same: int
    different: int
    first_different: datetime | None
    replaced: bool


@dataclass(frozen=True, slots=True)
class CandleFinding:
    """Something wrong or odd with stored candles, from `ts` (UTC) on.

    `kind` is gap (`count` candles missing), overlap (two candles closer than the timeframe), price, contradiction,
    timeframe (an unknown word), off_grid or no_volume (`count` candles). The primary key forbids duplicates.
    """

    venue: str
    symbol: str
    timeframe: str
    ts: datetime
    kind: str
    count: int

    @property
    def serious(self) -> bool:
        """Whether a backtest on these candles would be wrong; gaps and quiet minutes are what markets do."""
        return self.kind in {"price", "contradiction", "timeframe", "overlap"}


def create_table(con: duckdb.DuckDBPyConnection) -> None:
    """Create the table `ohlcv` where it is absent."""
    con.execute(SCHEMA.read_text(encoding="utf-8"))


def import_candles(
    con: duckdb.DuckDBPyConnection,
    series: ArraySeries,
    *,
    venue: str,
    symbol: str,
    timeframe: str,
    replace: bool = False,
) -> ImportResult:
    """Store a series in one transaction; doing it again changes nothing.

    A candle stored with other values is kept as it is and counted, or with `replace` overwritten: exchanges restate.
    Raises `ValueError` for an unknown timeframe or numbers finer than twelve decimals; nothing is written then.
    """
    if timeframe not in TIMEFRAME_S:
        message = f"timeframe {timeframe!r} is not known; known are {', '.join(TIMEFRAME_S)}"
        raise ValueError(message)
    if not len(series):
        return ImportResult(0, 0, 0, None, replace)
    key = {"venue": venue, "symbol": symbol, "timeframe": timeframe}
    con.register("incoming_candles", _arrow(series))
    con.execute("BEGIN")
    try:
        con.execute(CAST_INCOMING)
        counted = con.execute(COUNT_STORED, key).fetchone()
        con.execute(INSERT_OR_REPLACE if replace else INSERT_NEW, key)
        con.execute("DROP VIEW incoming")
        con.execute("COMMIT")
    except duckdb.Error:
        con.execute("ROLLBACK")
        raise
    finally:
        con.unregister("incoming_candles")
    added, different, first = counted or (0, 0, None)
    return ImportResult(added, len(series) - added - different, different, first, replace)


def load_candles(
    con: duckdb.DuckDBPyConnection,
    *,
    venue: str,
    symbol: str,
    timeframe: str,
    from_: datetime | None = None,
    to: datetime | None = None,
) -> ArraySeries:
    """Return the stored candles with from_ <= ts < to (naive UTC) as a series; an empty one where there are none."""
    asked = {"venue": venue, "symbol": symbol, "timeframe": timeframe, "from_": from_, "to": to}
    table = con.execute(SELECT_CANDLES, asked).to_arrow_table()
    numbers = [numbers_of(table.column(name)) for name in ("open", "high", "low", "close", "volume")]
    scales = [_needed(n.units, n.scale) for n in numbers]
    scale, volume_scale = max(scales[:4]), scales[4]
    prices = [scale_down(n, min(n.scale, scale)).at(scale) for n in numbers[:4]]
    ts = raw_ints(table.column("ts").cast(pa.timestamp("ms"), safe=False).cast(pa.int64()))
    volume = scale_down(numbers[4], volume_scale).units
    return ArraySeries(ts, *prices, volume, scale=scale, volume_scale=volume_scale)


def check_candles(
    con: duckdb.DuckDBPyConnection,
    *,
    venue: str | None = None,
    symbol: str | None = None,
    timeframe: str | None = None,
) -> list[CandleFinding]:
    """List gaps and bad rows of the stored candles, of one venue, symbol or timeframe where named."""
    steps = {name: seconds * 1000 for name, seconds in TIMEFRAME_S.items()}
    asked = {
        "venue": venue,
        "symbol": symbol,
        "timeframe": timeframe,
        "names": list(steps),
        "step_ms": list(steps.values()),
    }
    findings: list[CandleFinding] = []
    for of_venue, of_symbol, of_timeframe, ts, _before, step_ms in con.execute(FIND_GAPS, asked).fetchall():
        missing = (step_ms - 1) // steps[of_timeframe]
        kind = "gap" if missing else "overlap"
        findings.append(CandleFinding(of_venue, of_symbol, of_timeframe, ts, kind, missing or 1))
    for of_venue, of_symbol, of_timeframe, ts, count, kind in con.execute(FIND_BAD, asked).fetchall():
        findings.append(CandleFinding(of_venue, of_symbol, of_timeframe, ts, kind, count))
    return findings


def _arrow(series: ArraySeries) -> pa.Table:
    # Nineteen digits are what 64 bits hold. Numbers finer than the table's columns are refused, not rounded.
    prices, volume = (
        [Numbers(column, series.scale) for column in (series.open, series.high, series.low, series.close)],
        Numbers(series.volume, series.volume_scale),
    )
    columns = {"ts": pa.array(series.ts).cast(pa.timestamp("ms"))}
    for name, numbers in zip(("open", "high", "low", "close", "volume"), (*prices, volume), strict=True):
        stored = scale_down(numbers, STORED_SCALE) if numbers.scale > STORED_SCALE else numbers
        words = np.empty((len(series), 2), dtype=np.int64)
        words[:, 0], words[:, 1] = stored.units, stored.units >> 63
        kind = pa.decimal128(19, stored.scale)
        columns[name] = pa.Array.from_buffers(kind, len(series), [None, pa.py_buffer(words)])
    return pa.table(columns)


def _needed(units: Ints, scale: int) -> int:
    # Decimal places that carry something: what all the values share as factors of ten is scale to spare.
    common = int(np.gcd.reduce(units)) if len(units) else 0
    while scale and common % 10 == 0:
        scale, common = scale - 1, common // 10
    return scale
