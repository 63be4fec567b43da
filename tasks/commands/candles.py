"""`gridkeeper candles`: import candle files into the market store, and check what is there."""

import argparse
import sys
from pathlib import Path
from typing import Any

from core.market import TIMEFRAME_S
from tasks.commands.places import add_place, find_place
from tasks.errors import Refused
from tasks.outcome import Outcome


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "example: gridkeeper candles import btc.csv --symbol BTC/USDT --timeframe 1m --portfolio examples/paper.yaml"
    )
    inside = parser.add_subparsers(dest="action", required=True, metavar="import|check")
    one = inside.add_parser("import", help="read a CSV, Parquet, feather or JSON file into the market store")
    one.add_argument("path", metavar="PATH")
    one.add_argument("--symbol", required=True, metavar="S")
    one.add_argument("--timeframe", required=True, choices=list(TIMEFRAME_S), metavar="T")
    one.add_argument("--venue", default="binance", metavar="V")
    two = inside.add_parser("check", help="list gaps and bad rows of the stored candles")
    for action in (one, two):
        add_place(action)
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> Outcome:
    """Import or check; raises `Refused` where the file can't be read."""
    place = find_place(args)
    return _import(args, place.data_dir) if args.action == "import" else _check(place.data_dir)


def _import(args: argparse.Namespace, folder: Path) -> Outcome:
    from tasks.candles_read import CandleRefused, read_candles
    from tasks.candles_store import import_candles
    from tasks.market_store import open_market, publish_candles

    if not Path(args.path).is_file():
        raise Refused(f"no file {args.path}", key="PATH", accepted="a CSV, Parquet, feather or JSON file of candles")
    try:
        series, report = read_candles(args.path, timeframe=args.timeframe)
    except CandleRefused as refused:
        raise Refused(str(refused), key="PATH") from None
    with open_market(folder) as con:
        done = import_candles(con, series, venue=args.venue, symbol=args.symbol, timeframe=args.timeframe)
        publish_candles(con, folder, args.venue, args.symbol, args.timeframe)
    lines = report.lines()
    data: dict[str, Any] = {"rows": len(series), "new": done.added, "report": lines}

    def show() -> None:
        print("\n".join(lines), f"{done.added:,} candles are new", sep="\n")

    return Outcome(data, show)


def _check(folder: Path) -> Outcome:
    from tasks.candles_store import check_candles
    from tasks.market_store import open_market

    with open_market(folder) as con:
        findings = [
            f"{one.venue} {one.symbol} {one.timeframe} {one.ts:%Y-%m-%d %H:%M} UTC: {one.kind} ({one.count})"
            for one in check_candles(con)
        ]

    def show() -> None:
        print("\n".join(findings) or "no gap and no bad row in the stored candles", file=sys.stdout)

    return Outcome({"findings": findings}, show)
