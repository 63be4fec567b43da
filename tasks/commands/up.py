"""`gridkeeper up`: server, UI, workers and the tick on a schedule."""

import argparse

from tasks.commands.backtest import seconds
from tasks.outcome import Outcome


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper up --portfolio examples/paper.yaml --interval 5"
    parser.add_argument("--portfolio", metavar="F", help="without it: the built-in paper portfolio")
    parser.add_argument(
        "--port", type=int, default=4200, metavar="N", help="where the server and its UI listen on 127.0.0.1"
    )
    parser.add_argument(
        "--health-port",
        type=int,
        metavar="N",
        help="answer GET /health on this port of 127.0.0.1 (default: not at all)",
    )
    parser.add_argument("--interval", type=seconds, default=5.0, metavar="S", help="seconds between ticks, at least 1")


def run(args: argparse.Namespace) -> Outcome:
    """Run until Ctrl-C; raises `Refused` before anything is started."""
    from tasks.cadence import refuse_slow
    from tasks.settings import BUILT_IN, load_portfolio
    from tasks.up import up

    file = args.portfolio or str(BUILT_IN)
    refuse_slow(load_portfolio(file), args.interval)
    code = up(file, args.port, args.interval, args.health_port)
    return Outcome({"portfolio": file, "port": args.port}, exit_code=code)
