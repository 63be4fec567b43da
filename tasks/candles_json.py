"""JSON candle files: a list of rows or of objects, bare or inside an exchange's answer; numbers kept as their text."""

import json
from pathlib import Path
from typing import Any

from tasks.candles_formats import RawTable, plain_name, text_columns
from tasks.candles_report import CandleRefused

ACCEPTED = "a list of [time, open, high, low, close, volume] rows or of objects with these names would be read"


def json_table(path: Path, data: bytes) -> RawTable:
    """Read JSON bytes as text columns, without a detour of any price over a float.

    Raises `CandleRefused` for bytes that are no JSON or hold no list of equal rows.
    """
    try:
        content = json.loads(data, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise CandleRefused(path, f"is no valid JSON ({error}); {ACCEPTED}") from error
    rows = _rows_in(content)
    if rows is None:
        raise CandleRefused(path, f"holds no rows; {ACCEPTED}")
    if isinstance(rows[0], dict):
        return _of_objects(path, rows)
    width = len(rows[0])
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            raise CandleRefused(path, f"row {i + 1} is not a list of {width} values like the first; {ACCEPTED}")
    return RawTable("JSON rows", text_columns([_text(cell) for cell in row] for row in rows), ())


def _of_objects(path: Path, rows: list[Any]) -> RawTable:
    names = tuple(rows[0])
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or any(name not in row for name in names):
            raise CandleRefused(
                path, f"row {i + 1} is not an object with {', '.join(names)} like the first; {ACCEPTED}"
            )
    columns = text_columns([_text(row[name]) for name in names] for row in rows)
    return RawTable("JSON objects", columns, tuple(plain_name(name) for name in names))


def _rows_in(content: Any) -> list[Any] | None:
    # The first list of rows, outermost first: exchanges wrap theirs as {"result": {"list": [...]}} and the like.
    level = [content]
    while level:
        for value in level:
            if isinstance(value, list) and value and isinstance(value[0], list | dict):
                return value
        level = [inner for value in level if isinstance(value, dict) for inner in value.values()]
    return None


def _text(cell: object) -> str | None:
    return None if cell is None else str(cell)
