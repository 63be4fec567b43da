"""Where a portfolio's data lies, for the commands that only need that: `--portfolio F` or `--data-dir DIR`."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import Refused
from tasks.settings import BUILT_IN, data_dir, load_portfolio


@dataclass(frozen=True, slots=True)
class Place:
    """A data directory, with the bots' ids where a portfolio file told them."""

    data_dir: Path
    bots: tuple[str, ...] | None
    file: Path | None


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare `--portfolio` and `--data-dir`."""
    parser.add_argument("--portfolio", metavar="F", help="the portfolio file (default: the built-in paper portfolio)")
    parser.add_argument("--data-dir", metavar="DIR", help="the data directory itself, instead of --portfolio")


def find_place(args: argparse.Namespace) -> Place:
    """Find the data directory; raises `Refused` where both or a missing one is named."""
    if args.portfolio is not None and args.data_dir is not None:
        raise Refused("given beside --portfolio", key="--data-dir", accepted="one of the two")
    if args.data_dir is not None:
        folder = Path(args.data_dir)
        if not folder.is_dir():
            raise Refused(
                f"no directory {folder}", key="--data-dir", accepted="the data_dir of a portfolio that has run"
            )
        return Place(folder.resolve(), None, None)
    file = Path(args.portfolio) if args.portfolio is not None else BUILT_IN
    portfolio = load_portfolio(file)
    return Place(data_dir(portfolio, file), tuple(bot.id for bot in portfolio.bots), file)


def refuse_unwritable(out: str | None) -> None:
    """Look whether a folder can be made and written at `out`, before hours of work end there; raises `Refused`."""
    if out is None:
        return
    place = Path(out)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise Refused(f"{place} is no folder", key="--out", accepted="a folder, which is made where it is missing")
    if not os.access(place, os.W_OK | os.X_OK):
        raise Refused(f"{place} cannot be written", key="--out", accepted="a folder of your own")
