"""`gridkeeper sweep`: many configurations of one bot, with what was chosen in sample tested out of sample."""

import argparse
from typing import Any

from tasks.commands.backtest import moment, seconds
from tasks.commands.places import refuse_unwritable
from tasks.errors import Refused
from tasks.outcome import Outcome

EXAMPLE = (
    "example: gridkeeper sweep --portfolio examples/paper.yaml --candles btc.parquet "
    "--vary levels=10:50:9 --vary start_price=50000:60000:11 --out out"
)
# Rows of the Pareto table on a terminal; the files have all.
SHOWN = 12


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = EXAMPLE
    parser.add_argument("--portfolio", required=True, metavar="F")
    parser.add_argument("--bot", metavar="ID", help="which bot, where the file has several")
    parser.add_argument("--candles", required=True, action="append", metavar="[VENUE=]PATH")
    parser.add_argument(
        "--vary", required=True, action="append", metavar="NAME=A:B:N|X,Y,Z",
        help="a field of the bot, nested with points: N values from A to B, or a list",
    )  # fmt: skip
    parser.add_argument("--random", type=_count, metavar="N", help="N combinations at random, in place of all")
    parser.add_argument("--seed", type=int, default=0, help="of --random")
    parser.add_argument("--walk-forward", type=_count, metavar="N", help="choose and test N times, on N + 1 stretches")
    parser.add_argument("--from", dest="from_", type=moment, metavar="DATE", help="first candle, UTC")
    parser.add_argument("--to", type=moment, metavar="DATE", help="first candle not to use, UTC")
    parser.add_argument(
        "--funding", action="append", default=[], metavar="[VENUE=]PATH", help="funding rates of the swaps traded"
    )
    parser.add_argument("--intrabar", choices=["adaptive", "ohlc", "olhc", "worst"], default="adaptive")
    parser.add_argument("--fill", choices=["cross", "touch"], default="cross")
    parser.add_argument(
        "--latency", type=seconds, default=6.0, metavar="S", help="from a price to an order on the book"
    )
    parser.add_argument(
        "--engine", choices=["core", "kernel"], default="kernel", help="kernel: where it can, else the core"
    )
    parser.add_argument("--runner", choices=["process", "dask", "ray"], default="process")
    parser.add_argument("--processes", type=_count, metavar="N", help="workers; as many as processors where left out")
    parser.add_argument("--out", metavar="DIR", help="write all runs, the heat map and a page there")


def run(args: argparse.Namespace) -> Outcome:
    """Run the sweep; raises `Refused`."""
    from tasks.backtesting import Options
    from tasks.sweep import Request, sweep

    refuse_unwritable(args.out)
    if args.from_ is not None and args.to is not None and args.from_ >= args.to:
        raise Refused(f"{args.from_} is not before --to {args.to}", key="--from", accepted="an earlier date")
    made = sweep(
        Request(
            portfolio=args.portfolio, bot=args.bot, candles=tuple(args.candles), vary=tuple(args.vary),
            options=Options(intrabar=args.intrabar, fill=args.fill, latency_s=args.latency, engine=args.engine),
            from_=args.from_, to=args.to, draws=args.random, seed=args.seed, walk_forward=args.walk_forward,
            runner=args.runner, processes=args.processes, funding=tuple(args.funding),
        )
    )  # fmt: skip
    data: dict[str, Any] = {
        "sweep_id": made.name, "configurations": made.summary["trials"] + made.summary["refused"], **made.summary,
        "resumed": made.resumed, "elapsed_s": round(made.elapsed_s, 3), "warnings": made.remarks,
    }  # fmt: skip
    if args.out is not None:
        from tasks.sweep_pictures import write_sweep

        data["files"] = [str(path) for path in write_sweep(made, args.out)]
    return Outcome(data, lambda: show(data))


def show(data: dict[str, Any]) -> None:
    """Print a sweep for people: the field first, then what was chosen and what it did afterwards."""
    inside, outside = data["net_pnl_in_sample"], data["net_pnl_out_of_sample"]
    print(f"sweep {data['sweep_id']}: {data['trials']:,} configurations ran, {data['refused']:,} were refused, "
          f"{data['resumed']:,} were there before, {data['elapsed_s']:.1f} s")  # fmt: skip
    print(f"{'net PnL, quote':<16}{'least':>14}{'quarter':>14}{'median':>14}{'3 quarters':>14}{'most':>14}")
    for name, row in (("in sample", inside), ("out of sample", outside)):
        print(f"{name:<16}" + "".join(f"{float(value):>14,.2f}" for value in row.values()))
    print(f"profitable out of sample: {data['profitable_out_of_sample']:.0%}; rank correlation with in sample: "
          f"{_number(data['rank_correlation'])}")  # fmt: skip
    winner = data["winner"]
    print(f"best in sample: configuration {winner['number']}, Sharpe {_number(winner['sharpe_in_sample'])}; "
          f"luck alone would show {_number(data['sharpe_of_luck'])};"
          f" deflated Sharpe {_number(data['deflated_sharpe'])}")  # fmt: skip
    print("chosen on a stretch, tested on the next:")
    for step in data["walk_forward"]:
        print(f"  {step['train']} -> {step['test']}: configuration {step['number']}, "
              f"{float(step['net_pnl_in_sample']):,.2f} in, {float(step['net_pnl_out_of_sample']):,.2f} out of sample "
              f"(median of all {float(step['median_out_of_sample']):,.2f}), {_said(step['values'])}")  # fmt: skip
    print("not beaten in both profit and drawdown, in sample:")
    for row in data["pareto"][:SHOWN]:
        print(f"  {float(row['net_pnl_in_sample']):>14,.2f} at {row['max_drawdown_in_sample']:>7.2%} in, "
              f"{float(row['net_pnl_out_of_sample']):>14,.2f} at {row['max_drawdown_out_of_sample']:>7.2%} out: "
              f"configuration {row['number']}")  # fmt: skip
    if len(data["pareto"]) > SHOWN:
        print(f"  and {len(data['pareto']) - SHOWN} more: --json or --out")
    for remark in data["warnings"]:
        print(f"! {remark}")
    for path in data.get("files", []):
        print(f"wrote {path}")


def _said(values: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        message = "a whole number of at least 1 is wanted"
        raise argparse.ArgumentTypeError(message)
    return value
