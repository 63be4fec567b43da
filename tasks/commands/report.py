"""`gridkeeper report`: the HTML report of a running portfolio with its pictures, or an export of its books as CSV."""

import argparse
from datetime import datetime, timedelta
from pathlib import Path

from tasks.commands.backtest import moment
from tasks.commands.places import add_place, find_place, refuse_unwritable
from tasks.errors import Refused
from tasks.outcome import Outcome


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "example: gridkeeper report --portfolio examples/paper.yaml --out report; "
        "gridkeeper report --month 2026-03; gridkeeper report --export tax --year 2026 --lots fifo"
    )
    add_place(parser)
    parser.add_argument("--from", dest="from_", type=moment, metavar="DATE", help="first moment, UTC")
    parser.add_argument("--to", type=moment, metavar="DATE", help="first moment not to show, UTC")
    parser.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="one day (UTC), in place of --from, --to")
    parser.add_argument("--month", type=month, metavar="YYYY-MM", help="one month (UTC), in place of --from, --to")
    parser.add_argument("--out", metavar="DIR", help="where to write (default: reports/ in the data directory)")
    parser.add_argument(
        "--export", choices=("fills", "round-trips", "tax"), help="write this as CSV instead of the report"
    )
    parser.add_argument("--lots", choices=("fifo", "lifo", "average"), help="how sales are matched in `--export tax`")
    parser.add_argument(
        "--year", type=int, metavar="Y", help="the year of `--export tax` (UTC), in place of --from, --to"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Write the report; raises `Refused` where nothing was published yet."""
    place = find_place(args)
    refuse_unwritable(args.out)
    out = Path(args.out) if args.out is not None else place.data_dir / "reports"
    _set_span(args)
    if args.export is not None:
        return _export(args, place.data_dir, out)
    if args.lots is not None or args.year is not None:
        raise Refused("belongs to --export tax", key="--lots, --year", accepted="--export tax --lots fifo --year 2026")
    from tasks.report import write_report
    from tasks.sql_query import QueryRefused

    try:
        files = [str(path) for path in write_report(place.data_dir, out, args.from_, args.to)]
    except QueryRefused as refused:
        raise Refused(str(refused), key="data_dir", accepted="a portfolio that has run") from None
    return Outcome({"files": files}, lambda: print("\n".join(f"wrote {file}" for file in files)))


def day(text: str) -> tuple[datetime, datetime]:
    """Read a day as its first moment and the next day's."""
    first = _dated(text, "%Y-%m-%d", "a day such as 2026-03-01 is wanted")
    return first, first + timedelta(days=1)


def month(text: str) -> tuple[datetime, datetime]:
    """Read a month as its first moment and the next month's."""
    first = _dated(text, "%Y-%m", "a month such as 2026-03 is wanted")
    return first, (first + timedelta(days=31)).replace(day=1)


def _dated(text: str, form: str, wanted: str) -> datetime:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007  UTC without zone, as everywhere
    except ValueError:
        raise argparse.ArgumentTypeError(wanted) from None


def _set_span(args: argparse.Namespace) -> None:
    # A day or a month is a short way to say --from and --to.
    named = [name for name in ("day", "month") if getattr(args, name) is not None]
    if not named:
        return
    if len(named) > 1 or args.from_ is not None or args.to is not None or args.year is not None:
        raise Refused(
            "more than one span is named", key=f"--{named[0]}", accepted="one of --day, --month, --from with --to"
        )
    args.from_, args.to = getattr(args, named[0])


def _export(args: argparse.Namespace, data_dir: Path, out: Path) -> Outcome:
    from tasks.exports import ExportRefused, Kind, Span, write_export
    from tasks.exports_lots import Method
    from tasks.sql_query import QueryRefused

    kind, span, name = Kind(args.export), Span(args.from_, args.to), args.export
    if kind is Kind.TAX:
        # The method decides the sum, so nobody gets one that they did not name.
        if args.lots is None or (args.year is None) == (args.from_ is None and args.to is None):
            raise Refused(
                "a method, and either a year or a span, must be named", key="--export tax",
                accepted="--lots fifo|lifo|average with --year Y, or with --from and --to",
            )  # fmt: skip
        if args.year is not None:
            if not 1970 <= args.year <= 9998:
                raise Refused(f"{args.year} is no year of these books", key="--year", accepted="1970 to 9998")
            span = Span(datetime(args.year, 1, 1), datetime(args.year + 1, 1, 1))
        name = f"tax-{args.year or 'span'}-{args.lots}"
    elif args.lots is not None or args.year is not None:
        raise Refused("belongs to --export tax", key="--lots, --year", accepted="--export tax --lots fifo --year 2026")
    path = out / f"{name}.csv"
    try:
        rows = write_export(data_dir, kind, path, span, Method(args.lots or "fifo"))
    except QueryRefused as refused:
        raise Refused(str(refused), key="data_dir", accepted="a portfolio that has run") from None
    except ExportRefused as refused:
        raise Refused(str(refused), key="fills", accepted="a rate for every fee") from None
    return Outcome({"files": [str(path)], "rows": rows}, lambda: print(f"wrote {path} ({rows} rows)"))
