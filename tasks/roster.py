"""Which bots run and which are on their way out: kept in a file, so that a bot that leaves the portfolio is not forgotten.

`data_dir/bots.json` holds the configuration of every bot that runs or is being stopped (no secret is among it). At a
start, bots that the portfolio file does not name any more are opened beside the others until nothing of them is left.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.kinds import AnyBot
from core.portfolio import Portfolio
from tasks.settings import cross_check

FILE_NAME = "bots.json"
_BOT: TypeAdapter[Any] = TypeAdapter(AnyBot)


@dataclass(slots=True)
class Roster:
    """What a session knows of its portfolio file: the version that was read last, and the bots on their way out.

    `stopping` are ids of bots that the file does not name any more; `seen` is the file as the disk described it. `created`
    are those that an action created: they run without standing in the file. `standings`: how each bot stood last.
    """

    file: Path
    folder: Path
    stopping: frozenset[str]
    seen: tuple[int, int, int] | None = None
    refused: str = ""
    settled: bool = False
    created: frozenset[str] = frozenset()
    standings: dict[str, str] = field(default_factory=dict[str, str])

    def fingerprint(self) -> tuple[int, int, int] | None:
        """Describe the file by time, size and inode; None where it is not there."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def write(self, portfolio: Portfolio) -> None:
        """Keep the configurations of all bots of a session for the next start."""
        dumps = {bot.id: bot.model_dump(mode="json", exclude_none=True) for bot in portfolio.bots}
        words = {
            "running": {name: dump for name, dump in dumps.items() if name not in self.stopping},
            "stopping": {name: dump for name, dump in dumps.items() if name in self.stopping},
            "created": sorted(self.created - self.stopping),
        }
        path = self.folder / FILE_NAME
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(words, indent=1), encoding="utf-8")
        beside.replace(path)


def join(portfolio: Portfolio, folder: Path) -> tuple[Portfolio, frozenset[str]]:
    """Add the bots that ran here before and are not in the file; returns the portfolio and the ids of those on their way out.

    Those whose venue is gone too cannot be opened; the store names them if anything of them is left. Raises `Refused`
    where they stand in the way of the file's own bots.
    """
    named = {bot.id for bot in portfolio.bots}
    venues = {venue.id for venue in portfolio.venues}
    gone = [bot for name, bot in _kept(folder).items() if name not in named and {v for v, _ in bot.markets()} <= venues]
    if not gone:
        return portfolio, frozenset()
    joined = with_bots(portfolio, gone)
    return joined, frozenset(bot.id for bot in gone) - created_in(folder)


def created_in(folder: Path) -> frozenset[str]:
    """Return the ids of the bots that actions created here and that still run; empty where nothing is kept."""
    try:
        return frozenset(json.loads((folder / FILE_NAME).read_text(encoding="utf-8")).get("created", ()))
    except (OSError, ValueError, AttributeError, TypeError):
        return frozenset()


def with_bots(portfolio: Portfolio, more: Iterable[Any]) -> Portfolio:
    """Return the portfolio with more bots; raises `Refused` where they cannot stand beside its own."""
    joined = portfolio.model_copy(update={"bots": (*portfolio.bots, *more)})
    cross_check(joined)
    return joined


def _kept(folder: Path) -> Mapping[str, Any]:
    try:
        said = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        dumps = {**said["running"], **said["stopping"]}
        return {name: _BOT.validate_python(dump) for name, dump in dumps.items()}
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return {}  # lost or of another version: what is left of a bot is then named by the store
