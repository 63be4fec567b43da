"""`gridkeeper report`: the HTML report of a running portfolio, with its pictures."""

import argparse
from pathlib import Path

from tasks.commands.backtest import moment
from tasks.commands.places import add_place, find_place
from tasks.errors import Refused
from tasks.outcome import Outcome


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper report --portfolio examples/paper.yaml --out report"
    add_place(parser)
    parser.add_argument("--from", dest="from_", type=moment, metavar="DATE", help="first moment, UTC")
    parser.add_argument("--to", type=moment, metavar="DATE", help="first moment not to show, UTC")
    parser.add_argument("--out", metavar="DIR", help="where to write (default: reports/ in the data directory)")


def run(args: argparse.Namespace) -> Outcome:
    """Write the report; raises `Refused` where nothing was published yet."""
    from tasks.report import write_report
    from tasks.sql_query import QueryRefused

    place = find_place(args)
    out = Path(args.out) if args.out is not None else place.data_dir / "reports"
    try:
        files = [str(path) for path in write_report(place.data_dir, out, args.from_, args.to)]
    except QueryRefused as refused:
        raise Refused(str(refused), key="data_dir", accepted="a portfolio that has run") from None
    return Outcome({"files": files}, lambda: print("\n".join(f"wrote {file}" for file in files)))
