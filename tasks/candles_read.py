"""Candle files into series: one function for every format, exact prices, and a report of what was found.

`read_candles` either returns a series that is sane in every row, or raises `CandleRefused` with one clear line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.kernel import ArraySeries
from core.market import TIMEFRAME_S
from core.series import ms_to_ts, ts_to_ms
from tasks.candles_formats import (
    PRICE_NAMES,
    SYMBOL_NAMES,
    TIME_NAMES,
    VOLUME_NAMES,
    RawTable,
    days_in,
    load_table,
)
from tasks.candles_numbers import NumberRefusedError, Numbers, numbers_of, scale_down, volumes_of
from tasks.candles_repair import (
    Rows,
    RowsRefusedError,
    drop_bad_rows,
    drop_overlaps,
    drop_unfinished,
    find_gaps,
    find_timeframe,
    put_in_order,
    remark_off_grid,
    settle_timeframe,
)
from tasks.candles_report import CandleRefused, Gap, ReadReport
from tasks.candles_times import times_of

__all__ = ["CandleRefused", "Gap", "ReadReport", "find_timeframe", "read_candles"]

ACCEPTED = "a time column and open, high, low, close would be read"
# Orders in which exchanges give the four prices: most; Bitfinex; some dumps; Coinbase; its mirror.
ORDERS = {
    "open, high, low, close": (0, 1, 2, 3),
    "open, close, high, low": (0, 2, 3, 1),
    "open, low, high, close": (0, 2, 1, 3),
    "low, high, open, close": (2, 1, 0, 3),
    "high, low, open, close": (2, 0, 1, 3),
}
NUMERIC = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
DATE_LIKE = re.compile(r"^\d{4}[-/.]?\d{2}[-/.]?\d{2}([ T]|$)")
EPOCH_DIGITS_MIN = 9
KRAKEN_REST_WIDTH = 8
VWAP_ROWS = 50
LEAN_DAY = timedelta(days=1)


@dataclass(slots=True)
class _Layout:
    # Which columns of a file are what; `fixed` where names say so and the order of prices is not to be guessed. Who reads a
    # column takes it out: ten years of minutes are 250 MB, and so are their whole numbers.
    time: pa.ChunkedArray
    prices: list[pa.ChunkedArray]
    volume: pa.ChunkedArray | None
    symbol: pa.ChunkedArray | None
    fixed: bool


def read_candles(
    path: str | Path,
    *,
    timeframe: str | None = None,
    from_: datetime | None = None,
    to: datetime | None = None,
    price_scale: int | None = None,
    now: datetime | None = None,
) -> tuple[ArraySeries, ReadReport]:
    """Read a candle file and say what was found in it.

    `timeframe` is what the file must hold (None: found from the times). Only candles with from_ <= open time < to are
    returned. `price_scale` fixes the decimals of prices (None: what the file needs). `now` (None: the clock) decides
    whether the last candle is finished. Times are UTC, naive or with a zone.
    Raises `CandleRefused` with one line for a file that can't be read as candles.
    """
    path = Path(path)
    try:
        return _read(path, load_table(path, _wanted), timeframe, (from_, to), price_scale, now)
    except (NumberRefusedError, RowsRefusedError) as error:
        raise CandleRefused(path, str(error)) from error
    except pa.ArrowException as error:
        raise CandleRefused(path, f"{str(error).splitlines()[0]}; {ACCEPTED}") from error


def _wanted(name: str) -> bool:
    names = (*TIME_NAMES, *VOLUME_NAMES, *SYMBOL_NAMES, *(n for pair in PRICE_NAMES for n in pair))
    return name in names or name.startswith("volume")


def _read(
    path: Path,
    table: RawTable,
    timeframe: str | None,
    span: tuple[datetime | None, datetime | None],
    price_scale: int | None,
    now: datetime | None,
) -> tuple[ArraySeries, ReadReport]:
    if table.rows == 0:
        raise CandleRefused(path, f"is a {table.format} file with 0 rows; one row per candle would be read")
    layout = _named_layout(path, table) if table.names else _guessed_layout(path, table)
    _one_symbol(path, layout.symbol)
    rows_read, table = table.rows, replace(table, columns=())
    rows, scale, volume_scale, known = _rows(table, layout, price_scale)
    drop_bad_rows(rows, known)
    put_in_order(rows)
    found = settle_timeframe(rows.ts, timeframe)
    drop_overlaps(rows, found)
    drop_unfinished(rows, found, ts_to_ms(_utc(now) if now else datetime.now(UTC).replace(tzinfo=None)))
    remark_off_grid(rows, found)
    _compare_with_name(path, table.day, rows, found)
    _cut(rows, span)
    if not len(rows):
        raise CandleRefused(path, "holds no finished candle in the asked span; widen --from and --to")
    series = ArraySeries(
        rows.ts, rows.open, rows.high, rows.low, rows.close, rows.volume, scale=scale, volume_scale=volume_scale
    )
    report = ReadReport(
        path=str(path),
        format=table.format,
        timeframe=found,
        rows_read=rows_read,
        rows=len(rows),
        first=ms_to_ts(int(rows.ts[0])),
        last=ms_to_ts(int(rows.ts[-1])),
        scale=scale,
        volume_scale=volume_scale,
        zero_volume=len(rows) - int(np.count_nonzero(rows.volume)),
        gaps=find_gaps(rows.ts, found),
        repairs=tuple(rows.repairs),
        remarks=tuple(rows.remarks),
    )
    return series, report


def _named_layout(path: Path, table: RawTable) -> _Layout:
    time = table.named(*TIME_NAMES)
    prices = [table.named(*names) for names in PRICE_NAMES]
    found = ", ".join(table.names[:12]) or "none"
    if time is None or None in prices:
        hint = "; it looks like funding rates, which --funding reads" if "fundingrate" in table.names else ""
        raise CandleRefused(path, f"has columns {found}; {ACCEPTED}{hint}")
    days, hours = table.named("date"), table.named("time")
    if days is not None and hours is not None and not {*TIME_NAMES[:10]} & {*table.names}:
        # Day and time of day in columns of their own.
        time = pa.chunked_array([pc.binary_join_element_wise(days.combine_chunks(), hours.combine_chunks(), " ")])
    volume = table.named(*VOLUME_NAMES)
    if volume is None:
        others = [name for name in table.names if name.startswith("volume")]
        volume = table.named(*others[:1])
    return _Layout(time, [p for p in prices if p is not None], volume, table.named(*SYMBOL_NAMES), fixed=True)


def _guessed_layout(path: Path, table: RawTable) -> _Layout:
    cells = [str(column[0].as_py() or "").strip() for column in table.columns]
    times = [i for i, cell in enumerate(cells) if _like_time(cell, lean=table.day is not None)]
    if not times:
        raise CandleRefused(path, f"has no header and no time in its first row ({', '.join(cells[:6])}); {ACCEPTED}")
    after = range(times[0] + 1, len(cells))
    numeric = [i for i in after if NUMERIC.match(cells[i])]
    text = [i for i in after if not NUMERIC.match(cells[i]) and not DATE_LIKE.match(cells[i]) and cells[i]]
    if len(numeric) < len(PRICE_NAMES):
        raise CandleRefused(path, f"has {len(numeric)} numbers after the time in its first row; {ACCEPTED}")
    columns = table.columns
    at = 5 if len(numeric) == len(cells) - 1 == KRAKEN_REST_WIDTH - 1 and _is_vwap(columns, numeric) else 4
    return _Layout(
        columns[times[0]],
        [columns[i] for i in numeric[:4]],
        columns[numeric[at]] if len(numeric) > at else None,
        columns[text[0]] if text else None,
        fixed=False,
    )


def _is_vwap(columns: Sequence[pa.ChunkedArray], numeric: Sequence[int]) -> bool:
    # Kraken's API puts the average price before the volume. An average lies between the extremes or, without
    # trades, is zero; a volume that does so in each of the first rows is no volume.
    rows = zip(*(columns[i].slice(0, VWAP_ROWS).to_pylist() for i in numeric[:5]), strict=True)
    texts = [row for row in rows if all(cell and NUMERIC.match(cell) for cell in row)]
    prices = [[Decimal(cell) for cell in row] for row in texts]
    return bool(prices) and all(vwap == 0 or min(four) <= vwap <= max(four) for *four, vwap in prices)


def _like_time(cell: str, *, lean: bool) -> bool:
    whole = cell.partition(".")[0]
    return bool(DATE_LIKE.match(cell)) or (whole.isdigit() and (len(whole) >= EPOCH_DIGITS_MIN or lean))


def _one_symbol(path: Path, symbol: pa.ChunkedArray | None) -> None:
    if symbol is None:
        return
    names = symbol.unique().to_pylist()
    if len(names) > 1:
        shown = ", ".join(str(name) for name in names[:4])
        raise CandleRefused(path, f"holds {len(names)} symbols ({shown}); a file with one symbol would be read")


def _rows(table: RawTable, layout: _Layout, price_scale: int | None) -> tuple[Rows, int, int, NDArray[np.bool_] | None]:
    # Columns in whole units of common scales, and which rows have all their numbers.
    day_ms = None if table.day is None else ts_to_ms(table.day)
    times = times_of(layout.time, day_ms=day_ms)
    prices = [numbers_of(layout.prices.pop(0)) for _ in PRICE_NAMES]
    scale = max(p.scale for p in prices) if price_scale is None else price_scale
    prices = [scale_down(p, scale) if p.scale > scale else p for p in prices]
    units = [p.at(scale) for p in prices]
    volume = Numbers(np.zeros(len(times.ms), dtype=np.int64), 0) if layout.volume is None else volumes_of(layout.volume)
    repairs, remarks = list(table.repairs), list(times.remarks)
    if layout.volume is None:
        remarks.append("there is no volume column; volumes are zero")
    rounded = sum(p.rounded for p in prices)
    if rounded:
        repairs.append(f"{rounded:,} prices were floats a few last bits off {scale} decimals; rounded to them")
    if volume.rounded:
        repairs.append(
            f"{volume.rounded:,} volumes have more digits than 64 bits hold; rounded to {volume.scale} decimals"
        )
    if not layout.fixed:
        order = _price_order(units)
        if order != next(iter(ORDERS)):
            remarks.append(f"prices come in the order {order}")
        units = [units[i] for i in ORDERS[order]]
    missing = [p.valid for p in (*prices, volume) if p.valid is not None]
    known = np.logical_and.reduce(missing) if missing else None
    return Rows(times.ms, *units, volume.units, repairs, remarks), scale, volume.scale, known


def _price_order(units: Sequence[NDArray[np.int64]]) -> str:
    # Only one column can be the highest in every row and only one the lowest: that tells the orders apart.
    top, bottom = np.maximum.reduce(units), np.minimum.reduce(units)

    def contradictions(order: str) -> int:
        _, high, low, _ = ORDERS[order]
        return int(((units[high] < top) | (units[low] > bottom)).sum())

    return min(ORDERS, key=contradictions)


def _compare_with_name(path: Path, day: datetime | None, rows: Rows, timeframe: str) -> None:
    # A file whose name promises other days than it holds is read, but said.
    first, last = ms_to_ts(int(rows.ts[0])), ms_to_ts(int(rows.ts[-1]))
    step = timedelta(seconds=TIMEFRAME_S[timeframe])
    days = days_in(path.name)
    if day is not None and (first - day >= step or day + LEAN_DAY - last > step):
        rows.remarks.append(
            f"the file is named for {day:%Y-%m-%d} and runs from {first:%H:%M:%S} to {last:%H:%M:%S} only"
        )
    elif day is None and len(days) > 1 and (first.date(), last.date()) != (days[0].date(), days[1].date()):
        named = f"the name says {days[0]:%Y-%m-%d} to {days[1]:%Y-%m-%d}"
        rows.remarks.append(f"{named}, the rows run from {first:%Y-%m-%d} to {last:%Y-%m-%d}")


def _cut(rows: Rows, span: tuple[datetime | None, datetime | None]) -> None:
    from_, to = span
    first = 0 if from_ is None else int(np.searchsorted(rows.ts, ts_to_ms(_utc(from_))))
    last = len(rows) if to is None else int(np.searchsorted(rows.ts, ts_to_ms(_utc(to))))
    rows.take(slice(first, last))


def _utc(ts: datetime) -> datetime:
    return ts if ts.tzinfo is None else ts.astimezone(UTC).replace(tzinfo=None)
