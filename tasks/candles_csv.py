"""CSV candle files: with or without a header, comma, semicolon or tab, every cell kept as the text it is."""

import re
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from tasks.candles_formats import RawTable, plain_name
from tasks.candles_report import CandleRefused

# cryptodatadownload puts its address on the first line; some dumps begin with comments.
PREAMBLE = re.compile(r"^\s*(#|https?://|www\.|$)")
NUMBER = re.compile(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$")
HEAD_BYTES = 1 << 16
ABSENT = ["", "NaN", "nan", "null", "NULL", "None", "NA", "N/A"]
# Beside this share of rows with a wrong number of fields the file is not what it seems to be.
RAGGED_SHARE_MAX = 0.01
RAGGED_ALWAYS = 3


def csv_table(path: Path, data: bytes, day: datetime | None) -> RawTable:
    """Read CSV bytes as text columns; `day` is the date in the file's name, for times that count from midnight.

    Raises `CandleRefused` for bytes that are no table of at least five columns.
    """
    data = _as_utf8(data)
    head = data[:HEAD_BYTES].decode("utf-8-sig", errors="replace").splitlines()
    skip = next((i for i, line in enumerate(head) if not PREAMBLE.match(line)), len(head))
    if skip == len(head):
        raise CandleRefused(path, "has no rows; one row per candle would be read")
    delimiter = max(",;\t", key=head[skip].count)
    cells = [cell.strip().strip('"') for cell in head[skip].split(delimiter)]
    headed = not any(NUMBER.match(cell) for cell in cells)
    names = tuple(plain_name(cell) for cell in cells) if headed else ()
    ragged: list[str] = []

    def leave_out(row: csv.InvalidRow) -> str:
        ragged.append(row.text)
        return "skip"

    keys = [str(i) for i in range(len(cells))]
    try:
        table = csv.read_csv(
            pa.BufferReader(data),
            read_options=csv.ReadOptions(column_names=keys, skip_rows=skip + headed),
            parse_options=csv.ParseOptions(delimiter=delimiter, invalid_row_handler=leave_out),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.string()), null_values=ABSENT, strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise CandleRefused(path, f"can't be read as CSV: {str(error).splitlines()[0]}") from error
    allowed = max(RAGGED_ALWAYS, int(RAGGED_SHARE_MAX * table.num_rows))
    if len(ragged) > allowed:
        reason = f"{len(ragged):,} rows do not have {len(cells)} fields like the first, such as {ragged[0][:60]!r}"
        raise CandleRefused(path, f"{reason}; rows of one length, split by commas, semicolons or tabs, would be read")
    repairs = (f"left out {len(ragged)} broken rows, the first {ragged[0][:60]!r}",) if ragged else ()
    return RawTable("CSV" if headed else "CSV without header", tuple(table.columns), names, day, repairs)


def _as_utf8(data: bytes) -> bytes:
    # Spreadsheets save UTF-16; a stray byte becomes a mark that no number contains, so its row is named when refused.
    if data.isascii():
        return data
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", errors="replace").encode()
    return data.decode("utf-8", errors="replace").encode()
