"""Columns of a file as whole numbers: prices in units of 10**-scale, times in milliseconds since 1970 UTC.

A price from text or a decimal column never becomes a float. A float column holds the number whose shortest decimal form
(`repr`) is meant: scale and units are found such that units / 10**scale is that very float.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SCALE_MAX = 18
# Exchanges state volumes to eight decimals at most.
VOLUME_SCALE_MAX = 8
EXACT_INT_END = 2**63
# A double holds 53 bits: below that, units are whole; the near test wants a margin, else any number looks near.
EXACT_UNITS_MAX = 2**53
# It tells all numbers of 15 digits apart; with more of them, neighbours may be one and the same double.
TOLD_APART_END = 10**15
NEAR_UNITS_MAX = 2**46
NEAR_ULPS = 8
PLAIN_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)$"
NO_NUMBER = ("", "nan", "null", "none", "na", "n/a", "inf", "-inf", "infinity", "-infinity")


# Neither a price nor a volume has more than a hundred digits before or after its point.
EXPONENT_MAX = 100


class NumberRefusedError(ValueError):
    """A column that can't become exact whole numbers; the message says which row and why."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column in units of 10**-scale; `valid` is False where the file has no number, None where every row has one.

    `rounded` counts floats that were a few last bits off a short decimal number, as sums of floats are.
    """

    units: Ints
    scale: int
    valid: Bools | None = None
    rounded: int = 0

    def at(self, scale: int) -> Ints:
        """Return the units at a finer scale; raises `NumberRefusedError` where 64 bits do not hold them."""
        factor = 10 ** (scale - self.scale)
        if factor == 1:
            return self.units
        largest = int(np.abs(self.units).max(initial=0))
        if largest * factor >= EXACT_INT_END:
            message = (
                f"a value of {Decimal(largest).scaleb(-self.scale):f} with {scale} decimals does not fit into 64 bits"
            )
            raise NumberRefusedError(message)
        return self.units * np.int64(factor)


def numbers_of(column: pa.ChunkedArray) -> Numbers:
    """Convert a decimal, integer, float or text column exactly; raises `NumberRefusedError` where it can't be."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal(kind):
        return _from_decimals(column)
    if pa.types.is_integer(kind):
        whole = column if column.null_count == 0 else pc.fill_null(column, 0)
        return Numbers(raw_ints(whole.cast(pa.int64())), 0, _valid(column))
    if pa.types.is_floating(kind):
        return _from_floats(raw_floats(column.cast(pa.float64())))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _from_text(column.cast(pa.string()))
    message = f"a column of type {kind} holds no numbers; decimals, integers, floats or text would be read"
    raise NumberRefusedError(message)


def volumes_of(column: pa.ChunkedArray) -> Numbers:
    """Convert as `numbers_of`, but round where 64 bits do not hold every digit: no money depends on a volume.

    `rounded` counts what was changed. Raises `NumberRefusedError` for a column that holds no numbers.
    """
    try:
        return numbers_of(column)
    except NumberRefusedError:
        try:
            values = raw_floats(column.cast(pa.float64()))
        except pa.ArrowException:
            values = None
        if values is None:
            raise
    finite = np.isfinite(values)
    known = np.where(finite, values, 0.0)
    largest = float(np.abs(known).max(initial=1.0))
    if largest >= EXACT_UNITS_MAX:
        message = f"a volume of {largest!r} is beyond anything traded"
        raise NumberRefusedError(message)
    scale = next(s for s in range(VOLUME_SCALE_MAX, -1, -1) if largest * 10.0**s < EXACT_UNITS_MAX)
    units = _rint(known, scale)
    return Numbers(units, scale, None if finite.all() else finite, int((units / 10.0**scale != known).sum()))


def raw_ints(column: pa.ChunkedArray) -> Ints:
    """Return an int64 column without nulls as an array; `to_numpy` would import pandas, a quarter of a second."""
    return _raw(column, np.dtype(np.int64))


def raw_floats(column: pa.ChunkedArray) -> Floats:
    """Return a float64 column as an array, nulls as NaN, without pandas as `raw_ints`."""
    # Even the scalar to fill with would import pandas.
    whole = column if column.null_count == 0 else pc.fill_null(column, float("nan"))
    return _raw(whole, np.dtype(np.float64))


def _raw(column: pa.ChunkedArray, kind: np.dtype[Any]) -> NDArray[Any]:
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype=kind)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)


def scale_down(numbers: Numbers, scale: int) -> Numbers:
    """Return the numbers at a coarser scale; raises `NumberRefusedError` where a digit would be lost."""
    factor = 10 ** (numbers.scale - scale)
    units, rest = np.divmod(numbers.units, factor)
    if rest.any():
        row = int(np.flatnonzero(rest)[0])
        value = Decimal(int(numbers.units[row])).scaleb(-numbers.scale)
        message = f"{value} in row {row + 1} has more than {scale} decimals"
        raise NumberRefusedError(message)
    return Numbers(units, scale, numbers.valid, numbers.rounded)


def _valid(column: pa.ChunkedArray) -> Bools | None:
    return None if column.null_count == 0 else pc.is_valid(column).to_numpy()


def _from_decimals(column: pa.ChunkedArray) -> Numbers:
    valid = _valid(column)
    if valid is not None:
        column = pc.fill_null(column, pa.scalar(Decimal(0), column.type))
    scale = column.type.scale
    if not scale >= 0 or not pa.types.is_decimal128(column.type):
        scale = max(0, scale)
        column = column.cast(pa.decimal128(38, scale))
    units = _low_words(column)
    if units is not None:
        return Numbers(units, scale, valid)
    # The declared scale is finer than 64 bits allow; the values may need less of it.
    for coarser in range(scale):
        try:
            units = _low_words(column.cast(pa.decimal128(38, coarser)))
        except pa.ArrowInvalid:
            continue
        if units is not None:
            return Numbers(units, coarser, valid)
    message = f"values of {column.type} need more than 64 bits"
    raise NumberRefusedError(message)


def _low_words(column: pa.ChunkedArray) -> Ints | None:
    # A decimal128 is two little-endian words; a value fits into 64 bits when the upper one only repeats the sign.
    parts: list[Ints] = []
    for chunk in filter(len, column.chunks):
        words = np.frombuffer(chunk.buffers()[1], dtype=np.int64)[2 * chunk.offset : 2 * (chunk.offset + len(chunk))]
        low, high = words[0::2], words[1::2]
        if (high != low >> 63).any():
            return None
        parts.append(low)
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _from_floats(values: NDArray[np.float64]) -> Numbers:
    finite = np.isfinite(values)
    valid = None if finite.all() else finite
    known = values if valid is None else np.where(finite, values, 0.0)
    largest = float(np.abs(known).max(initial=0.0))
    exact = _float_scale(known, largest, EXACT_UNITS_MAX, ulps=0)
    if exact is not None:
        return Numbers(_shortest(known, _rint(known, exact), exact), exact, valid)
    near = _float_scale(known, largest, NEAR_UNITS_MAX, ulps=NEAR_ULPS)
    if near is None:
        return _from_reprs(known, valid)
    units = _rint(known, near)
    return Numbers(units, near, valid, int((units / 10.0**near != known).sum()))


def _from_reprs(values: NDArray[np.float64], valid: Bools | None) -> Numbers:
    # The slow way, for columns whose numbers are too far apart in size to be found by division.
    exact = [Decimal(repr(value)) for value in values.tolist()]
    scale = max(0, *(-int(d.as_tuple().exponent) for d in exact), 0)
    units = [int(d.scaleb(scale)) for d in exact]
    if scale > SCALE_MAX or max(map(abs, units)) >= EXACT_INT_END:
        low, high = min(values, key=abs), max(values, key=abs)
        message = f"floats from {low!s} to {high!s} need more than 64 bits together; store them as decimals or text"
        raise NumberRefusedError(message)
    return Numbers(np.array(units, dtype=np.int64), scale, valid)


def _shortest(values: Floats, units: Ints, scale: int) -> Ints:
    # Of several decimals that are one and the same double, the one that `repr` shows.
    for row in np.flatnonzero(np.abs(units) >= TOLD_APART_END).tolist():
        units[row] = int(Decimal(repr(float(values[row]))).scaleb(scale))
    return units


def _rint(values: NDArray[np.float64], scale: int) -> Ints:
    return np.rint(values * 10.0**scale).astype(np.int64)


def _float_scale(values: NDArray[np.float64], largest: float, units_max: int, *, ulps: int) -> int | None:
    # The smallest scale at which every value is units / 10**scale: that division is correctly rounded, so
    # equality means that `repr` shows these digits.
    for scale in range(SCALE_MAX + 1):
        if largest * 10.0**scale >= units_max:
            return None
        back = np.rint(values * 10.0**scale) / 10.0**scale
        if ulps == 0 and np.array_equal(back, values):
            return scale
        if ulps and (np.abs(back - values) <= ulps * np.spacing(np.abs(values))).all():
            return scale
    return None


def _from_text(column: pa.ChunkedArray) -> Numbers:
    text = pc.utf8_trim_whitespace(pc.fill_null(column, ""))
    plain = pc.match_substring_regex(text, PLAIN_NUMBER)
    if not pc.all(plain).as_py():
        text, plain = _spell_out(text, plain)
    valid = None if pc.all(plain, min_count=0).as_py() else plain.to_numpy()
    text = pc.if_else(plain, text, "0")
    point = pc.find_substring(text, ".")
    trimmed = pc.if_else(pc.greater_equal(point, 0), pc.ascii_rtrim(text, characters="0"), text)
    decimals = pc.if_else(pc.greater_equal(point, 0), pc.subtract(pc.subtract(pc.binary_length(trimmed), point), 1), 0)
    scale = pc.max(decimals).as_py() or 0
    if scale > SCALE_MAX:
        row = pc.index(decimals, pa.scalar(scale, decimals.type)).as_py()
        message = f"{text[row]} in row {row + 1} has {scale} decimals; at most {SCALE_MAX} are read"
        raise NumberRefusedError(message)
    try:
        units = _low_words(trimmed.cast(pa.decimal128(38, scale)))
    except pa.ArrowInvalid as error:
        raise NumberRefusedError(str(error)) from error
    if units is None:
        message = f"values with {scale} decimals need more than 64 bits"
        raise NumberRefusedError(message)
    return Numbers(units, scale, valid)


def _spell_out(text: pa.ChunkedArray, plain: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    # Rewrite numbers with an exponent; what says "no number" stays invalid; anything else is refused by row.
    odd = np.flatnonzero(~plain.to_numpy())
    absent = pc.is_in(pc.utf8_lower(text), value_set=pa.array(NO_NUMBER)).to_numpy()
    rows = [int(row) for row in odd if not absent[row]]
    if not rows:
        return text, plain
    cells, good = text.to_pylist(), plain.to_numpy().copy()
    for row in rows:
        try:
            number = Decimal(cells[row])
        except InvalidOperation as error:
            message = f"{cells[row][:40]!r} in row {row + 1} is no number; a number like 61234.50 would be read"
            raise NumberRefusedError(message) from error
        # Written out, an exponent of a billion is a gigabyte of zeros.
        if number.is_finite() and abs(number.adjusted()) > EXPONENT_MAX:
            message = (
                f"{cells[row][:40]!r} in row {row + 1} is no price and no volume: its exponent is beyond {EXPONENT_MAX}"
            )
            raise NumberRefusedError(message)
        cells[row] = f"{number:f}"
        good[row] = True
    return pa.chunked_array([pa.array(cells, pa.string())]), pa.chunked_array([pa.array(good)])
