"""`gridkeeper backtest`: a backtest of a bot, or of all together, as the portfolio file has them (mode and feed are ignored)."""

import argparse
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tasks.commands.places import refuse_unwritable
from tasks.environment import candle_files, portfolio_file
from tasks.errors import Refused
from tasks.outcome import Outcome, money
from tasks.part_names import own_part
from tasks.settings import data_dir, load_portfolio

EXAMPLE = "example: gridkeeper backtest --portfolio examples/paper.yaml --candles btc.parquet --out out"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("--portfolio", metavar="F", help="without it: an ATR grid from environment variables")
    parser.add_argument(
        "--bot", metavar="ID", help="one bot; without it all bots of the file together, on shared accounts"
    )
    parser.add_argument("--candles", action="append", metavar="[VENUE=]PATH")
    parser.add_argument(
        "--funding", action="append", default=[], metavar="[VENUE=]PATH", help="funding rates of the swaps traded"
    )
    parser.add_argument("--from", dest="from_", type=moment, metavar="DATE", help="first candle, UTC")
    parser.add_argument("--to", type=moment, metavar="DATE", help="first candle not to use, UTC")
    parser.add_argument("--intrabar", choices=["adaptive", "ohlc", "olhc", "worst"], default="adaptive")
    parser.add_argument("--fill", choices=["cross", "touch"], default="cross")
    parser.add_argument(
        "--latency", type=seconds, default=6.0, metavar="S", help="seconds from a price to an order on the book"
    )
    parser.add_argument(
        "--participation", type=share, metavar="F", help="most of a bar's volume that may trade in it, as a fraction"
    )
    parser.add_argument(
        "--engine", choices=["core", "kernel"], default="core", help="kernel: compiled, the same result, no --out"
    )
    parser.add_argument("--out", metavar="DIR", help="write fills, equity, report and pictures there")


def moment(text: str) -> datetime:
    """Read a date or time as naive UTC; argparse reports a `ValueError` as a refusal."""
    at = datetime.fromisoformat(text)
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo is not None else at


def seconds(text: str) -> float:
    """Read a number of seconds, at least zero."""
    value = float(text)
    if not 0 <= value <= 86_400:
        message = "a number of seconds from 0 to 86400 is wanted"
        raise argparse.ArgumentTypeError(message)
    return value


def share(text: str) -> Decimal:
    """Read a fraction above zero, at most one."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value <= 1:
        message = "a fraction above 0, at most 1 is wanted"
        raise argparse.ArgumentTypeError(message)
    return value


def run(args: argparse.Namespace) -> Outcome:
    """Run the backtest; raises `Refused`."""
    from tasks.backtesting import Options, backtest

    if args.from_ is not None and args.to is not None and args.from_ >= args.to:
        raise Refused(f"{args.from_} is not before --to {args.to}", key="--from", accepted="an earlier date")
    refuse_unwritable(args.out)
    if args.engine == "kernel" and args.out is not None:
        raise Refused("the kernel keeps no journal to report from", key="--out", accepted="--engine core")
    candles = candle_files(args.candles)
    file = portfolio_file(args.portfolio, backtest=True)
    options = Options(
        intrabar=args.intrabar, fill=args.fill, latency_s=args.latency, participation=args.participation,
        engine=args.engine,
    )  # fmt: skip
    made = backtest(
        file,
        args.bot,
        candles,
        options,
        args.from_,
        args.to,
        args.funding,
        other_rules=args.out is not None,
    )
    data = {**made.figures, "run_id": _keep(made, file), "warnings": made.remarks}
    if args.out is not None:
        from tasks.portfolio_files import write_any

        data["files"] = [str(path) for path in write_any(made, args.out)]
    own = own_part(made.kinds).lower()
    return Outcome(data, lambda: _show(data, own), top_level=True)


def _keep(made: Any, file: str) -> str | None:
    # In the market store of a portfolio that has one; a store that is taken becomes a remark.
    portfolio = load_portfolio(file)
    place = data_dir(portfolio, file)
    if not place.is_dir():
        return None
    from tasks.backtest_store import keep_backtest  # only now: importing it costs as much as a short backtest

    run_id, why_not = keep_backtest(made, place, portfolio.id)
    if why_not is not None:
        made.remarks.append(why_not)
    return run_id


def _show(data: dict, own: str) -> None:
    quote = data.get("quote") or str(data["symbol"]).partition("/")[2].partition(":")[0]
    rows = [
        ("bars", f"{data['bars']:,} of {data['timeframe']} ({data['visited_bars']:,} looked at)"),
        ("fills", f"{data['fills']:,} ({data['fills_initial']} of them the opening purchase)"),
        ("round trips", f"{data['round_trips']:,}"),
        ("net PnL", money(data["net_pnl"], quote)),
        (f"  {own}", money(data["grid_profit"], quote)),
        ("  floating", money(data["unrealized_pnl"], quote)),
        ("  fees", f"{money(data['fees'], quote, sign=False)} paid"),
        ("final equity", f"{_plain(data['final_equity'], quote)} of {_plain(data['capital_quote'], quote)} capital"),
        ("max drawdown", _percent(data["max_drawdown"], "of peak equity")),
        ("Sharpe, Sortino", f"{_ratio(data['sharpe'])}, {_ratio(data['sortino'])} (daily, a year)"),
        ("fill rules", f"{data['intrabar']} path, {data['fill']}, latency {data['latency_s']:g} s"),
        ("engine", f"{data['engine']}, {data['elapsed_s']:.2f} s"),
    ]
    place = next(i for i, (name, _) in enumerate(rows) if name == "final equity")
    rows[place:place] = [(f"  {name}", money(value, quote)) for name, value in rest_of(data).items() if value]
    for name, value in rows:
        print(f"{name:<16} {value}")
    for name, one in data.get("bots", {}).items():
        print(
            f"  {name:<14} net {money(one['net_pnl'], quote)}, {one['fills']:,} fills, {one['round_trips']:,} round trips"
        )
    for remark in data["warnings"]:
        print(f"! {remark}")
    for path in data.get("files", []):
        print(f"wrote {path}")


def rest_of(data: dict) -> dict[str, Decimal]:
    """Return what stands between the parts above and the net profit: funding, and what other markets and ends brought."""
    net, grid, floating, fees, funding = (
        Decimal(data[name]) for name in ("net_pnl", "grid_profit", "unrealized_pnl", "fees", "funding")
    )
    return {"funding": funding, "hedge, other": net - grid - floating + fees - funding}


def _plain(value: Any, asset: str) -> str:
    return money(value, asset, sign=False)


def _percent(fraction: float | None, of: str) -> str:
    return "-" if fraction is None else f"{fraction * 100:.2f} % {of}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
