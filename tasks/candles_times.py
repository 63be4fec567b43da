"""Times of a file as milliseconds since 1970 UTC, whatever their unit or spelling."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.candles_numbers import NumberRefusedError, raw_ints

Ints = NDArray[np.int64]

DAY_MS = 86_400_000
# Seconds since 1970 reach 1e11 in the year 5138; milliseconds were there in 1973. So the size tells the unit.
SECONDS_FROM, MS_FROM, US_FROM, NS_FROM, NS_END = 10**8, 10**11, 10**14, 10**17, 2**63 - 1
WHOLE = r"^[0-9]+$"
NUMBER = r"^[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$"
ZONED = r"([zZ]|[+-][0-9]{2}:?[0-9]{2})$"
# The first millisecond that `datetime` can't hold: the year 10000.
END_MS = 253_402_300_800_000
# LEAN writes "20180208 00:00" in its hourly and daily files.
COMPACT = r"^([0-9]{4})([0-9]{2})([0-9]{2}) ([0-9]{2}:[0-9]{2})$"
ACCEPTED = "seconds, ms, us or ns since 1970, or ISO times such as 2024-01-31 23:59:00"


@dataclass(frozen=True, slots=True)
class Times:
    """Open times in ms since 1970 UTC, and what had to be assumed about them."""

    ms: Ints
    remarks: tuple[str, ...] = ()


def times_of(column: pa.ChunkedArray, *, day_ms: int | None = None) -> Times:
    """Convert a time column; `day_ms` is midnight of the day whose milliseconds the column counts, where it does.

    Raises `NumberRefusedError` naming the first row that holds no time between 1970 and 9999.
    """
    times = _times(column, day_ms)
    outside = np.flatnonzero((times.ms < 0) | (times.ms >= END_MS))
    if len(outside):
        message = f"the time in row {int(outside[0]) + 1} is not between 1970 and 9999; {ACCEPTED} would be read"
        raise NumberRefusedError(message)
    return times


def _times(column: pa.ChunkedArray, day_ms: int | None) -> Times:
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        message = f"row {row + 1} has no time"
        raise NumberRefusedError(message)
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zone = getattr(kind, "tz", None)
        ms = raw_ints(column.cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64()))
        return Times(ms, () if zone else (NO_ZONE,))
    if pa.types.is_integer(kind):
        return _from_counts(raw_ints(column.cast(pa.int64())), day_ms)
    if pa.types.is_floating(kind):
        return _from_float_counts(column.cast(pa.float64()).to_numpy(), day_ms)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_text(pc.utf8_trim_whitespace(column.cast(pa.string())), day_ms)
    message = f"a column of type {kind} holds no times; {ACCEPTED} would be read"
    raise NumberRefusedError(message)


NO_ZONE = "times carry no zone; they are read as UTC"


def _from_counts(counts: Ints, day_ms: int | None) -> Times:
    if not len(counts):
        return Times(counts)
    if day_ms is not None and counts.min() >= 0 and counts.max() < DAY_MS:
        return Times(counts + np.int64(day_ms))
    low, high = int(counts.min()), int(counts.max())
    if low < SECONDS_FROM:
        row = int(counts.argmin())
        message = f"time {low} in row {row + 1} is before 1973; {ACCEPTED} would be read"
        raise NumberRefusedError(message)
    if low >= MS_FROM and high < US_FROM:
        return Times(counts)
    ms = np.where(
        counts < MS_FROM,
        counts * 1000 * (counts < MS_FROM),
        np.where(counts < US_FROM, counts, np.where(counts < NS_FROM, counts // 1000, counts // 1_000_000)),
    )
    units = {_unit(low), _unit(high)}
    mixed = f"times are counted in {' and '.join(sorted(units))} in one file; each row is read in its own unit"
    return Times(ms, (mixed,) if len(units) > 1 else ())


def _unit(count: int) -> str:
    if count < MS_FROM:
        return "seconds"
    if count < US_FROM:
        return "milliseconds"
    return "microseconds" if count < NS_FROM else "nanoseconds"


def _from_float_counts(counts: NDArray[np.float64], day_ms: int | None) -> Times:
    if not np.isfinite(counts).all():
        row = int(np.flatnonzero(~np.isfinite(counts))[0])
        message = f"row {row + 1} has no time"
        raise NumberRefusedError(message)
    if len(counts) and np.abs(counts).max() >= NS_END:
        row = int(np.abs(counts).argmax())
        message = f"time {counts[row]:g} in row {row + 1} is none; {ACCEPTED} would be read"
        raise NumberRefusedError(message)
    # Seconds with a fraction: a double is exact to a microsecond there, and we keep milliseconds.
    seconds = (counts >= SECONDS_FROM) & (counts < MS_FROM)
    return _from_counts(np.rint(np.where(seconds, counts * 1000.0, counts)).astype(np.int64), day_ms)


def _from_text(text: pa.ChunkedArray, day_ms: int | None) -> Times:
    if pc.all(pc.match_substring_regex(text, WHOLE)).as_py():
        try:
            return _from_counts(raw_ints(text.cast(pa.int64())), day_ms)
        except pa.ArrowInvalid as error:
            message = f"{_first_line(error)}; {ACCEPTED} would be read"
            raise NumberRefusedError(message) from error
    if pc.all(pc.match_substring_regex(text, NUMBER)).as_py():
        return _from_float_counts(text.cast(pa.float64()).to_numpy(), day_ms)
    text = pc.replace_substring_regex(text, r"(?i) ?UTC$", "Z")
    text = pc.replace_substring_regex(text, COMPACT, r"\1-\2-\3 \4")
    zoned = pc.match_substring_regex(pc.utf8_slice_codeunits(text, 10), ZONED)
    some, every = pc.any(zoned).as_py(), pc.all(zoned).as_py()
    if some and not every:
        row = pc.index(zoned, False).as_py()
        message = f"time {text[row].as_py()!r} in row {row + 1} has no zone while others have one"
        raise NumberRefusedError(message)
    try:
        stamps = text.cast(pa.timestamp("ns", "UTC" if every else None))
    except pa.ArrowInvalid as error:
        message = f"{_first_line(error)}; {ACCEPTED} would be read"
        raise NumberRefusedError(message) from error
    ms = raw_ints(stamps.cast(pa.timestamp("ms", stamps.type.tz), safe=False).cast(pa.int64()))
    return Times(ms, () if every else (NO_ZONE,))


def _first_line(error: pa.ArrowInvalid) -> str:
    return str(error).splitlines()[0]
