"""`gridkeeper candles`: import candle files into the market store or download them, and check what is there."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.market import TIMEFRAME_S
from tasks.commands.backtest import moment
from tasks.commands.places import Place, add_place, find_place
from tasks.errors import Refused
from tasks.outcome import Outcome
from tasks.settings import load_portfolio


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "example: gridkeeper candles import btc.csv --symbol BTC/USDT --timeframe 1m --portfolio examples/paper.yaml"
    )
    inside = parser.add_subparsers(dest="action", required=True, metavar="import|download|check")
    one = inside.add_parser("import", help="read a CSV, Parquet, feather or JSON file into the market store")
    one.add_argument("path", metavar="PATH")
    one.add_argument("--symbol", type=symbol, required=True, metavar="S")
    one.add_argument("--timeframe", required=True, choices=list(TIMEFRAME_S), metavar="T")
    one.add_argument("--venue", default="binance", metavar="V")
    one.add_argument(
        "--indicators", choices=["sma", "wilder"], help="keep TR, ATR and EMA beside the candles, ATR smoothed so"
    )
    more = inside.add_parser("download", help="fetch candles from an exchange into the market store")
    more.add_argument("--symbol", type=symbol, required=True, metavar="S")
    more.add_argument("--timeframe", required=True, choices=list(TIMEFRAME_S), metavar="T")
    more.add_argument("--venue", required=True, metavar="V", help="a venue of the portfolio, or an exchange's name")
    more.add_argument("--from", dest="from_", type=moment, required=True, metavar="DATE", help="first candle, UTC")
    more.add_argument("--to", type=moment, metavar="DATE", help="first candle not to fetch, UTC (default: now)")
    more.add_argument("--funding", action="store_true", help="funding rates of a swap too")
    two = inside.add_parser("check", help="list gaps and bad rows of the stored candles")
    one.epilog = parser.epilog
    more.epilog = (
        "example: gridkeeper candles download --symbol BTC/USDT --timeframe 1m --venue binance --from 2026-01-01"
    )
    two.epilog = "example: gridkeeper candles check --portfolio examples/paper.yaml"
    for action in (one, more, two):
        add_place(action)
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS)


def symbol(text: str) -> str:
    """Read a symbol as ccxt writes it: under any other name a bot would not find its candles."""
    if "/" not in text:
        message = f"{text!r} has no slash; BASE/QUOTE or BASE/QUOTE:SETTLE is wanted, as BTC/USDT or BTC/USDT:USDT"
        raise argparse.ArgumentTypeError(message)
    return text


def run(args: argparse.Namespace) -> Outcome:
    """Import, download or check; raises `Refused` where the file can't be read or the exchange does not have it."""
    place = find_place(args)
    if args.action == "download":
        return _download(args, place)
    return _import(args, place.data_dir) if args.action == "import" else _check(place.data_dir)


def _import(args: argparse.Namespace, folder: Path) -> Outcome:
    from tasks.candles_indicators import fill_indicators
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
        if args.indicators:
            key = {"venue": args.venue, "symbol": args.symbol, "timeframe": args.timeframe}
            fill_indicators(con, **key, smoothing=args.indicators)
        publish_candles(con, folder, args.venue, args.symbol, args.timeframe)
    lines = report.lines()
    data: dict[str, Any] = {"rows": len(series), "new": done.added, "report": lines}

    def show() -> None:
        print("\n".join(lines), f"{done.added:,} candles are new", sep="\n")

    return Outcome(data, show)


def _download(args: argparse.Namespace, place: Place) -> Outcome:
    from tasks.backfill import keep_funding
    from tasks.candles_download import FUNDING, download, download_into, spans_of, venue_of
    from tasks.market_store import open_market

    known = load_portfolio(place.file).venues if place.file is not None else ()
    venue = venue_of(args.venue, known, args.symbol)
    first, until = spans_of(args.from_, args.to, datetime.now(UTC).replace(tzinfo=None))
    done = download_into(place.data_dir, venue, args.symbol, args.timeframe, first, until)
    data: dict[str, Any] = {"new": done.added, "stored": done.stored, "first": done.first, "last": done.last}
    if args.funding:
        payments = download(venue, args.symbol, FUNDING, first, until)
        with open_market(place.data_dir) as con:
            data["new_funding"] = keep_funding(con, venue.id, args.symbol, payments)

    def show() -> None:
        print(f"{done.added:,} candles are new, {done.stored:,} are stored, {done.first} to {done.last} UTC")
        if args.funding:
            print(f"{data['new_funding']:,} funding payments are new")

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
