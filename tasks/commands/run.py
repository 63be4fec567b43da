"""`gridkeeper run`: ticks in a loop, without a server, until the prices end, `--ticks` are done, or Ctrl-C."""

import argparse
import asyncio
import signal
import time
from typing import TYPE_CHECKING, Any

from tasks.cadence import refuse_slow
from tasks.commands.backtest import seconds
from tasks.environment import portfolio_file
from tasks.outcome import Outcome, say
from tasks.progress import Progress
from tasks.settings import load_portfolio

if TYPE_CHECKING:
    from tasks.session import Session

INTERVAL_S = 5.0


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper run --portfolio examples/paper.yaml --interval 5"
    parser.add_argument("--portfolio", metavar="F", help="without it: an ATR grid from environment variables")
    parser.add_argument(
        "--interval", type=seconds, metavar="S",
        help=f"seconds between ticks (default {INTERVAL_S:g}; none where each tick sees the next candle of a file)",
    )  # fmt: skip
    parser.add_argument("--ticks", type=_count, metavar="N", help="stop after N ticks")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        message = "at least 1 is wanted"
        raise argparse.ArgumentTypeError(message)
    return value


def run(args: argparse.Namespace) -> Outcome:
    """Tick until told to stop; raises `Refused`, `Halted`, `Busy`."""
    data = asyncio.run(_loop(portfolio_file(args.portfolio), args.interval, args.ticks))
    return Outcome(data, lambda: _show(data))


async def _loop(file: str, interval_s: float | None, most: int | None) -> dict[str, Any]:
    from tasks.opening import open_session
    from tasks.ticking import tick

    # Before anything is written; in paper mode, where the interval may come from the feed, nothing is refused.
    refuse_slow(load_portfolio(file), INTERVAL_S if interval_s is None else interval_s)
    session = await open_session(file)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for word in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(word, stop.set)
    played = session.portfolio.feed.kind == "candles" and session.portfolio.feed.speed == "candle"
    wait_s = interval_s if interval_s is not None else (0.0 if played else INTERVAL_S)
    say(session.describe())
    began, counts = time.perf_counter(), {"ticks": 0, "quiet": 0, "fills": 0, "orders_placed": 0, "incidents": 0}
    progress = Progress("ticks", most or session.ticks_left())
    try:
        while not stop.is_set() and not session.ended and (most is None or counts["ticks"] < most):
            due = time.monotonic() + wait_s
            done = await tick(session)
            counts["ticks"] += 1
            counts["quiet"] += done.quiet
            counts["fills"] += done.fills
            counts["orders_placed"] += done.orders_placed
            counts["incidents"] += done.incidents
            progress.show(counts["ticks"], f", {counts['fills']:,} fills")
            await _sleep(session, stop, due - time.monotonic(), last=most is not None and counts["ticks"] >= most)
    finally:
        progress.close()
        await session.close()
    elapsed = time.perf_counter() - began
    return {
        **counts,
        "elapsed_s": round(elapsed, 3),
        "ticks_per_s": round(counts["ticks"] / elapsed, 1),
        "ended": session.ended_at_close,
    }


async def _sleep(session: "Session", stop: asyncio.Event, wait_s: float, *, last: bool) -> None:
    from tasks.stream_news import rest

    if wait_s <= 0 or last:
        await asyncio.sleep(0)  # signals are heard between ticks, however fast they follow
        return
    await rest(session, stop, wait_s)


def _show(data: dict[str, Any]) -> None:
    print(
        f"{data['ticks']:,} ticks ({data['quiet']:,} quiet), {data['orders_placed']:,} orders, {data['fills']:,} fills, "
        f"{data['incidents']} incidents in {data['elapsed_s']:.1f} s ({data['ticks_per_s']:,.0f} ticks/s)"
    )
    if data["ended"]:
        print("the candles are played out; resting orders stay in the paper account")
