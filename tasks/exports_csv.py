"""Writes rows as CSV that a spreadsheet opens as text and numbers, and never as a formula.

A spreadsheet runs a cell that begins with =, +, -, @, a tab or a line break. Texts of that kind get an apostrophe in
front, as OWASP advises; numbers are left as they are, since `-1.5` is one. Times are UTC in ISO 8601.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from core.values import plain

DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, header: bool = True) -> str:
    """Return CSV, with a header line unless it goes on with a document; lines end with CR LF (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow([cell(name) for name in columns])
    writer.writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def cell(value: Any) -> str:
    """Write one value: nothing for None, exact decimals without an exponent, times in ISO 8601, text made harmless."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    return "'" + text if text.lstrip(" ").startswith(DANGEROUS) else text
