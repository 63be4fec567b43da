"""Funding rate files as (time, rate) pairs, exact, with the collectors' jitter taken out."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import pyarrow as pa

from core.series import ms_to_ts
from tasks.candles_formats import TIME_NAMES, RawTable, load_table
from tasks.candles_numbers import NumberRefusedError
from tasks.candles_report import CandleRefused, Gap
from tasks.candles_times import times_of

# freqtrade keeps the rate in the column "open" of a candle file.
RATE_NAMES = ("fundingrate", "lastfundingrate", "rate", "realizedrate", "open")
ACCEPTED = "a time column and funding_rate as a fraction (0.0001 is 0.01 %) would be read"
MINUTE_MS = 60_000
# Binance stamps payments up to 47 ms after the full hour; no venue pays twice within a second.
JITTER_MS_MAX = 1_000
# RULES 11: a fraction above one half is a percentage by mistake.
RATE_MAX = Decimal("0.5")


def read_funding(path: str | Path) -> list[tuple[int, Decimal]]:
    """Read funding payments as (ms since 1970 UTC, rate as a fraction), rising in time, one per time.

    Times within a second of a full minute are moved onto it. Copies collapse; rows in any order are sorted.
    Raises `CandleRefused` for a file without times and rates, a rate that is no number or above one half, or two
    different rates of one time.
    """
    path = Path(path)
    table = load_table(path)
    if table.rows == 0:
        raise CandleRefused(path, f"is a {table.format} file with 0 rows; one row per funding payment would be read")
    time, rate = _columns(path, table)
    try:
        stamps = times_of(time).ms
    except NumberRefusedError as error:
        raise CandleRefused(path, str(error)) from error
    payments: dict[int, Decimal] = {}
    for row, (ms, cell) in enumerate(zip(_without_jitter(stamps), rate.to_pylist(), strict=True), start=1):
        value = _rate(path, row, cell)
        if payments.setdefault(ms, value) != value:
            reason = f"row {row} gives {value} at {ms_to_ts(ms)}, an earlier row {payments[ms]}"
            raise CandleRefused(path, f"{reason}; one rate per time would be read")
    return sorted(payments.items())


def with_intervals(payments: Sequence[tuple[int, Decimal]]) -> tuple[tuple[int, Decimal, float], ...]:
    """Add to each payment the interval, in seconds, that it is for: the time since the one before (RULES 18b).

    The first one takes the interval of the second; after a hole in the data the usual interval (the median) stands in. A
    single payment is taken to be for eight hours, Binance's usual interval.
    """
    if len(payments) < 2:
        return tuple((ms, rate, 8 * 3600.0) for ms, rate in payments)
    steps = np.diff(np.array([ms for ms, _ in payments], dtype=np.int64))
    usual = int(np.median(steps))
    spans = [int(step) if step < 2 * usual else usual for step in (steps[0], *steps)]
    return tuple((ms, rate, span / 1000) for (ms, rate), span in zip(payments, spans, strict=True))


def funding_gaps(payments: Sequence[tuple[int, Decimal]]) -> tuple[Gap, ...]:
    """List holes between payments of which at least one is missing at the series' usual interval (its median)."""
    if len(payments) < 3:
        return ()
    times = np.array([ms for ms, _ in payments], dtype=np.int64)
    steps = np.diff(times)
    usual = int(np.median(steps))
    holes = np.flatnonzero(steps >= 2 * usual)
    return tuple(Gap(ms_to_ts(int(times[i])), ms_to_ts(int(times[i + 1])), (int(steps[i]) - 1) // usual) for i in holes)


def _columns(path: Path, table: RawTable) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    if not table.names:
        if len(table.columns) == 2:
            return table.columns[0], table.columns[1]
        raise CandleRefused(path, f"has {len(table.columns)} columns without names; {ACCEPTED}")
    time, rate = table.named(*TIME_NAMES), table.named(*RATE_NAMES)
    if time is None or rate is None:
        raise CandleRefused(path, f"has columns {', '.join(table.names[:12])}; {ACCEPTED}")
    return time, rate


def _without_jitter(stamps: np.ndarray) -> list[int]:
    nearest = (stamps + MINUTE_MS // 2) // MINUTE_MS * MINUTE_MS
    return np.where(np.abs(stamps - nearest) <= JITTER_MS_MAX, nearest, stamps).tolist()


def _rate(path: Path, row: int, cell: object) -> Decimal:
    # `repr` of a float is the shortest decimal that is that float: the digits its source had.
    try:
        value = Decimal(repr(cell) if isinstance(cell, float) else str(cell).strip())
    except InvalidOperation as error:
        raise CandleRefused(path, f"row {row} has the rate {cell!r}; {ACCEPTED}") from error
    if not value.is_finite() or abs(value) > RATE_MAX:
        raise CandleRefused(path, f"row {row} has the rate {cell!r}; {ACCEPTED}")
    return value
