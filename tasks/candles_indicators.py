"""Indicators beside stored candles: the table `ohlcv_indicators` of `market.duckdb`, carried on candle by candle.

They are those that the ATR grid decides on (`core.indicators`), so that SQL and notebooks show what a bot saw. A series is
carried on from its last row, which gives what a computation over all of it gives; candles that were put in before that row
make it be computed anew.
"""

from datetime import datetime
from decimal import Decimal

import duckdb
import pyarrow as pa

from core.indicators import ATR_LENGTHS, EMA_LENGTHS, Gauge, Reading, follow
from core.market import Candle

COLUMNS = ("tr", "atr_14", "atr_28", *(f"ema_{length}" for length in EMA_LENGTHS))
# Rows that are computed before they are written.
BATCH_ROWS = 20_000

_WHERE = "venue = $venue AND symbol = $symbol AND timeframe = $timeframe"
_KNOWN = f"SELECT count(*), max(ts) FROM ohlcv_indicators WHERE {_WHERE} AND smoothing = $smoothing"  # noqa: S608  own words
_UP_TO = f"SELECT count(*) FROM ohlcv WHERE {_WHERE} AND ts <= $last"  # noqa: S608  own words
_FORGET = f"DELETE FROM ohlcv_indicators WHERE {_WHERE} AND smoothing = $smoothing"  # noqa: S608  own words
_LAST = f"""
SELECT i.tr, i.atr_14, i.atr_28, i.ema_14, i.ema_28, i.ema_50, i.ema_100, i.ema_200, o.close
FROM ohlcv_indicators i JOIN ohlcv o USING (venue, symbol, timeframe, ts)
WHERE {_WHERE} AND i.smoothing = $smoothing ORDER BY ts DESC LIMIT $count
"""  # noqa: S608  own words
_NEW = f"""
SELECT ts, open, high, low, close, volume FROM ohlcv WHERE {_WHERE} AND ($last IS NULL OR ts > $last) ORDER BY ts
"""  # noqa: S608  own words
_SCHEMA = pa.schema([("ts", pa.timestamp("us")), *((name, pa.decimal128(38, 18)) for name in COLUMNS)])


def fill_indicators(
    con: duckdb.DuckDBPyConnection, *, venue: str, symbol: str, timeframe: str, smoothing: str = "sma"
) -> int:  # fmt: skip
    """Compute what is missing beside the stored candles of a series, in one transaction; returns how many rows are new."""
    asked = {"venue": venue, "symbol": symbol, "timeframe": timeframe}
    con.begin()
    try:
        gauge, last = _standing(con, asked, smoothing)
        if gauge is None:
            con.execute(_FORGET, asked | {"smoothing": smoothing})
        added = _carry_on(con, asked, smoothing, gauge, last)
    except duckdb.Error:
        con.rollback()
        raise
    con.commit()
    return added


def kept_smoothings(con: duckdb.DuckDBPyConnection, *, venue: str, symbol: str, timeframe: str) -> list[str]:
    """List with which smoothings a series has companions."""
    asked = {"venue": venue, "symbol": symbol, "timeframe": timeframe}
    found = con.execute(f"SELECT DISTINCT smoothing FROM ohlcv_indicators WHERE {_WHERE} ORDER BY 1", asked)  # noqa: S608
    return [row[0] for row in found.fetchall()]


def _standing(
    con: duckdb.DuckDBPyConnection, asked: dict[str, str], smoothing: str
) -> tuple[Gauge | None, datetime | None]:
    """Read back what the next candle follows from; nothing where it must be computed from the first candle on."""
    count, last = con.execute(_KNOWN, asked | {"smoothing": smoothing}).fetchone() or (0, None)
    if not count or con.execute(_UP_TO, asked | {"last": last}).fetchone() != (count,):
        return None, None
    rows = con.execute(_LAST, asked | {"smoothing": smoothing, "count": ATR_LENGTHS[-1]}).fetchall()
    if len(rows) != min(count, ATR_LENGTHS[-1]):
        return None, None
    tr, atr_14, atr_28, *emas = rows[0][:8]
    ranges = tuple(row[0] for row in reversed(rows))
    return Gauge(count, rows[0][8], ranges, Reading(tr, atr_14, atr_28, tuple(emas))), last


def _carry_on(
    con: duckdb.DuckDBPyConnection, asked: dict[str, str], smoothing: str, gauge: Gauge | None, last: datetime | None
) -> int:
    candles = con.cursor().execute(_NEW, asked | {"last": last})  # what is stored was committed before
    added = 0
    while batch := candles.fetchmany(BATCH_ROWS):
        columns: list[list[Decimal | datetime]] = [[] for _ in _SCHEMA]
        for row in batch:
            gauge = follow(gauge, Candle(*row), smoothing)
            reading = gauge.reading
            told = (row[0], reading.tr, reading.atr_14, reading.atr_28, *reading.emas)
            for column, value in zip(columns, told, strict=True):
                column.append(value)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        con.register("fresh_indicators", pa.Table.from_arrays(arrays, schema=_SCHEMA))
        con.execute(
            "INSERT INTO ohlcv_indicators SELECT $venue, $symbol, $timeframe, $smoothing, * FROM fresh_indicators",
            asked | {"smoothing": smoothing},
        )
        con.unregister("fresh_indicators")
        added += len(batch)
    return added
