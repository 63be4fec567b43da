"""`gridkeeper tick`: one tick of a portfolio, without a server."""

import argparse
import asyncio

from tasks.outcome import Outcome, say


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper tick --portfolio examples/paper.yaml"
    parser.add_argument("--portfolio", required=True, metavar="F")


def run(args: argparse.Namespace) -> Outcome:
    """Tick once; raises `Refused`, `Halted`, `Busy`."""
    from dataclasses import asdict

    from tasks.ticking import TickSummary

    summary: TickSummary = asyncio.run(_once(args.portfolio))
    data = asdict(summary)
    return Outcome(data, lambda: print(words(summary)))


def words(summary: object) -> str:
    """Say in one line what a tick did."""
    done = summary
    parts = [
        f"{getattr(done, name)} {word}"
        for name, word in (
            ("orders_placed", "placed"), ("orders_cancelled", "cancelled"), ("fills", "fills"), ("incidents", "incidents"),
        )
        if getattr(done, name)
    ]  # fmt: skip
    return f"tick {done.tick_id}: {', '.join(parts) or 'quiet'} ({done.duration_s * 1000:.1f} ms)"  # type: ignore[attr-defined]


async def _once(file: str) -> object:
    from tasks.opening import open_session
    from tasks.ticking import tick
    from tasks.venue import HearsOrders

    session = await open_session(file)
    if any(isinstance(venue, HearsOrders) and venue.hears for venue in session.venues.values()):
        say("streams serve a process that keeps ticking (`gridkeeper run`, `up`); this one tick reads over REST")
    try:
        return await tick(session)
    finally:
        await session.close()
