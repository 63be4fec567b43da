"""From rows in any state to a series: order, duplicates, contradictions, timeframe, gaps. Every step says what it did.

The rule for doubt is to leave a candle out and say so: the series then jumps over it, as it does over an exchange's
outage. No candle is invented, shifted or widened. Where more than a hundredth of a file is in doubt, all of it is.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.market import TIMEFRAME_S
from core.series import ms_to_ts
from tasks.candles_report import Gap

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DOUBT_SHARE_MAX = 0.01
DOUBT_ALWAYS = 3
# A series whose spacing is not uniform still has a timeframe when at least this share of its steps agree on one.
MODE_SHARE_MIN = 0.5
CLOSER_SHARE_MAX = 0.1


class RowsRefusedError(ValueError):
    """Rows that are no candles, with the reason in one line; the reader adds the file's name."""


@dataclass(slots=True)
class Rows:
    """Columns on their way to a series, in whole units, and what was done to them so far."""

    ts: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    repairs: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ts)

    def take(self, chosen: Ints | Bools | slice) -> None:
        """Keep the chosen rows, in that order."""
        self.ts, self.open, self.high = self.ts[chosen], self.open[chosen], self.high[chosen]
        self.low, self.close, self.volume = self.low[chosen], self.close[chosen], self.volume[chosen]


def drop_bad_rows(rows: Rows, known: Bools | None) -> None:
    """Leave out rows without a number (`known` False), with a price <= 0, or whose high and low contradict the rest.

    Raises `RowsRefusedError` where these are more than a hundredth of the file.
    """
    top = np.maximum(rows.open, rows.close)
    bottom = np.minimum(rows.open, rows.close)
    # high >= top >= bottom >= low > 0 holds exactly for a sane candle: the low alone must be tested for its sign.
    crossed = (rows.high < top) | (rows.low > bottom) | (rows.volume < 0)
    unpriced = rows.low <= 0 if known is None else (rows.low <= 0) | ~known
    if not crossed.any() and not unpriced.any():
        return
    zero = unpriced | (rows.open <= 0) | (rows.close <= 0) | (rows.high <= 0)
    crossed &= ~zero
    bad = zero | crossed
    first = int(np.flatnonzero(bad)[0])
    kinds = [
        (int(zero.sum()), "without a number in every column or with a price of zero or less"),
        (int(crossed.sum()), "whose high or low contradicts open and close, or with a negative volume"),
    ]
    said = " and ".join(f"{count:,} {text}" for count, text in kinds if count)
    where = f"the first is row {first + 1} at {ms_to_ts(int(rows.ts[first]))}"
    if bad.sum() > max(DOUBT_ALWAYS, DOUBT_SHARE_MAX * len(rows)) or bad.all():
        message = (
            f"{said}: of {len(rows):,} rows at most one in a hundred may be so ({where}); check the columns' order"
        )
        raise RowsRefusedError(message)
    rows.take(~bad)
    rows.repairs.append(f"left out rows {said}, {where}")


def put_in_order(rows: Rows) -> None:
    """Sort by time and keep one candle per time: equal copies collapse, of differing ones the most traded stays.

    Of several versions of one candle the one with the largest volume was written last, as volume only grows.
    """
    steps = np.diff(rows.ts)
    if (steps > 0).all():
        return
    if (steps <= 0).all():
        rows.take(slice(None, None, -1))
        if (steps < 0).any():
            rows.repairs.append("rows came newest first; turned round")
    elif (steps < 0).any():
        rows.repairs.append(f"rows were not in order of time ({int((steps < 0).sum()):,} steps back); sorted")
    order = np.lexsort((rows.volume, rows.ts))
    rows.take(order)
    same = rows.ts[1:] == rows.ts[:-1]
    if not same.any():
        return
    columns = (rows.open, rows.high, rows.low, rows.close, rows.volume)
    equal = np.logical_and.reduce([c[1:] == c[:-1] for c in columns])
    copies, versions = int((same & equal).sum()), int((same & ~equal).sum())
    first = ms_to_ts(int(rows.ts[np.flatnonzero(same)[0]]))
    rows.take(np.append(~same, True))
    if copies:
        rows.repairs.append(f"left out {copies:,} copies of candles, the first of {first}")
    if versions:
        rows.repairs.append(
            f"left out {versions:,} earlier versions of candles, the first of {first}; the most traded version stays"
        )


def find_timeframe(ts_ms: Ints) -> str | None:
    """Return the timeframe whose candles open at these rising times, or None where no known one fits.

    Times that all lie a whole number of steps apart have that step, or where some are missing the largest known
    timeframe that divides it. Otherwise at least half of the steps must agree, and few may be shorter.
    """
    steps = np.diff(ts_ms)
    if not len(steps):
        return None
    names = {seconds * 1000: name for name, seconds in TIMEFRAME_S.items()}
    shortest = int(steps.min())
    if not (steps % shortest).any():
        if shortest in names:
            return names[shortest]
        step = shortest
    else:
        step = int(np.gcd.reduce(steps))
    if not (steps == step).all():
        fitting = [ms for ms in names if step % ms == 0]
        if fitting and (step in names or step >= 60_000):
            return names[max(fitting)]
    values, counts = np.unique(steps, return_counts=True)
    mode = int(values[counts.argmax()])
    agree, shorter = counts.max() / len(steps), (steps < mode).mean()
    return names.get(mode) if agree >= MODE_SHARE_MIN and shorter <= CLOSER_SHARE_MAX else None


def settle_timeframe(ts_ms: Ints, wanted: str | None) -> str:
    """Return the timeframe of the rows: the wanted one where it fits, else the one found.

    Raises `RowsRefusedError` naming the spacing where none fits, or where the rows are finer than wanted.
    """
    known = ", ".join(TIMEFRAME_S)
    if wanted is not None and wanted not in TIMEFRAME_S:
        message = f"timeframe {wanted!r} is not known; known are {known}"
        raise RowsRefusedError(message)
    found = find_timeframe(ts_ms)
    if found is None and wanted is not None and len(ts_ms) == 1:
        return wanted
    if found is None:
        message = f"{_spacing(ts_ms)}; one finished candle per row, stamped with its open time, would be read ({known})"
        raise RowsRefusedError(message)
    if wanted is None or wanted == found:
        return found
    if TIMEFRAME_S[found] % TIMEFRAME_S[wanted] == 0:
        return wanted
    message = f"holds candles of {found}, not of {wanted}; import it as {found} and resample"
    raise RowsRefusedError(message)


def _spacing(ts_ms: Ints) -> str:
    if len(ts_ms) == 1:
        return "has one row, so its timeframe can't be seen; name the timeframe"
    low, middle, high = (float(q) / 1000 for q in np.quantile(np.diff(ts_ms), [0.05, 0.5, 0.95]))
    if low == high:
        return f"rows lie {middle:g} s apart, which is no known timeframe"
    return f"rows lie {low:g} to {high:g} s apart (median {middle:g}), as times of receipt do and open times do not"


def drop_overlaps(rows: Rows, timeframe: str) -> None:
    """Leave out candles that open before the last one kept has ended.

    Raises `RowsRefusedError` where these are more than a hundredth of the file.
    """
    step_ms = TIMEFRAME_S[timeframe] * 1000
    early = np.flatnonzero(np.diff(rows.ts) < step_ms)
    if not len(early):
        return
    keep = np.ones(len(rows), dtype=bool)
    end_ms = int(rows.ts[0])
    for i, ts_ms in enumerate(rows.ts.tolist()):
        keep[i] = ts_ms >= end_ms
        if keep[i]:
            end_ms = ts_ms + step_ms
    dropped = int((~keep).sum())
    first = ms_to_ts(int(rows.ts[early[0] + 1]))
    if dropped > max(DOUBT_ALWAYS, DOUBT_SHARE_MAX * len(rows)):
        message = (
            f"{dropped:,} of {len(rows):,} candles open before the one before them has ended, the first at {first}; "
            f"candles of {timeframe} that do not overlap would be read"
        )
        raise RowsRefusedError(message)
    rows.take(keep)
    rows.repairs.append(f"left out {dropped:,} candles that overlap the one before, the first at {first}")


def remark_off_grid(rows: Rows, timeframe: str) -> None:
    """Say which candles do not open on a multiple of the timeframe; moving them would move what was known when."""
    step_ms = TIMEFRAME_S[timeframe] * 1000
    shift_ms = rows.ts % step_ms
    off = np.flatnonzero(shift_ms)
    if len(off):
        first, shift_s = ms_to_ts(int(rows.ts[off[0]])), int(shift_ms[off[0]]) / 1000
        rows.remarks.append(
            f"{len(off):,} candles open off the {timeframe} grid, the first at {first} (+{shift_s:g} s); times are kept"
        )


def drop_unfinished(rows: Rows, timeframe: str, now_ms: int) -> None:
    """Leave out the last candle while it is still being made; candles of a simulated future stay, with a remark."""
    step_ms = TIMEFRAME_S[timeframe] * 1000
    last = int(rows.ts[-1])
    if last <= now_ms < last + step_ms:
        rows.take(slice(0, -1))
        rows.repairs.append(f"left out the candle of {ms_to_ts(last)}: it is not finished yet")
    elif last > now_ms:
        ahead = int((rows.ts > now_ms).sum())
        rows.remarks.append(f"{ahead:,} candles lie in the future: this is not recorded data")


def find_gaps(ts_ms: Ints, timeframe: str) -> tuple[Gap, ...]:
    """List the holes in rising times, with the number of candles that would fit into each."""
    step_ms = TIMEFRAME_S[timeframe] * 1000
    steps = np.diff(ts_ms)
    holes = np.flatnonzero(steps > step_ms)
    missing = (steps[holes] - 1) // step_ms
    return tuple(
        Gap(ms_to_ts(int(ts_ms[i])), ms_to_ts(int(ts_ms[i + 1])), int(count))
        for i, count in zip(holes, missing, strict=True)
        if count
    )
