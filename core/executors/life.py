"""How an executor lives and why it ends. The words are the original's, so that people who know them feel at home.

    NOT_STARTED ──first price──> RUNNING ──an end──> SHUTTING_DOWN ──nothing held──> TERMINATED
                                     └── an end that leaves nothing to close ──────────┘

A machine has no state before its first price: that is NOT_STARTED. The other three are the classes here. An end is latched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any


class Status(StrEnum):
    """Where an executor stands."""

    NOT_STARTED = "NOT_STARTED"
    RUNNING = "RUNNING"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    TERMINATED = "TERMINATED"


class CloseType(IntEnum):
    """Why an executor ended; the numbers are the original's."""

    TIME_LIMIT = 1
    STOP_LOSS = 2
    TAKE_PROFIT = 3
    EXPIRED = 4
    EARLY_STOP = 5
    TRAILING_STOP = 6
    INSUFFICIENT_BALANCE = 7
    FAILED = 8
    COMPLETED = 9
    POSITION_HOLD = 10


@dataclass(frozen=True, slots=True)
class Running:
    """It trades. `peak` is the best profit fraction since the trailing stop was armed; None: it is not."""

    since: datetime
    peak: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """It has ended and what it holds is being closed: at `limit` first where there is one, else at the market."""

    word: CloseType
    since: datetime
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """It is over."""

    word: CloseType
    since: datetime


Life = Running | Closing | Closed


def status_of(life: Life | None) -> Status:
    """Name the status of a life; None is one that has not begun."""
    match life:
        case None:
            return Status.NOT_STARTED
        case Running():
            return Status.RUNNING
        case Closing():
            return Status.SHUTTING_DOWN
        case Closed():
            return Status.TERMINATED


def write_life(life: Life) -> dict[str, Any]:
    """Write a life down, JSON-ready; `read_life` is its inverse."""
    match life:
        case Running(since=since, peak=peak):
            return {"is": "Running", "since": since.isoformat(), "peak": None if peak is None else str(peak)}
        case Closing(word=word, since=since, limit=limit):
            said = None if limit is None else str(limit)
            return {"is": "Closing", "word": word.name, "since": since.isoformat(), "limit": said}
        case Closed(word=word, since=since):
            return {"is": "Closed", "word": word.name, "since": since.isoformat()}


def read_life(data: Mapping[str, Any]) -> Life:
    """Read a life back; raises `ValueError` for a state that this version does not know."""
    since = datetime.fromisoformat(data["since"])
    match data["is"]:
        case "Running":
            return Running(since, _number(data["peak"]))
        case "Closing":
            return Closing(CloseType[data["word"]], since, _number(data["limit"]))
        case "Closed":
            return Closed(CloseType[data["word"]], since)
        case other:
            message = f"unknown state {other!r} of an executor"
            raise ValueError(message)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
