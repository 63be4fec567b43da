"""`gridkeeper sql`: one read-only query on the published copy."""

import argparse
from typing import Any

from tasks.commands.places import add_place, find_place
from tasks.commands.published import age_words, ask_published
from tasks.outcome import Outcome, say, visible

ROWS_SHOWN = 200


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = 'example: gridkeeper sql "SELECT bot_id, net_pnl FROM report_bots" (docs/sql.md lists the views)'
    parser.add_argument("query", metavar="SQL")
    add_place(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Run the query; raises `Refused` where it is no query or there is nothing published yet."""
    place = find_place(args)
    columns, found, age_s = ask_published(place.data_dir, args.query)
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    data = {"columns": columns, "rows": rows, "age_s": age_s}
    return Outcome(data, lambda: _show(columns, found, age_s))


def _show(columns: list[str], rows: list[tuple[Any, ...]], age_s: float | None) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(*(Column(Text(visible(name))) for name in columns), box=None, header_style="bold")
    for row in rows[:ROWS_SHOWN]:
        table.add_row(*(Text(visible(cell(value))) for value in row))
    Console().print(table)
    more = f", {ROWS_SHOWN} shown" if len(rows) > ROWS_SHOWN else ""
    say(f"{len(rows)} rows{more}; the published copy is {age_words(age_s)} old")


def cell(value: Any) -> str:
    """Write one value for a table: exact decimals without trailing zeros, nothing for NULL."""
    from decimal import Decimal

    from core.values import plain

    if value is None:
        return ""
    return plain(value) if isinstance(value, Decimal) else str(value)
