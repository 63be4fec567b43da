"""What a grid remembers, as plain values, and how they are written down for a restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Waiting:
    """No entry is wanted; `reason` says why. `armed` once the price has been on the entry's resting side."""

    cycle: int
    armed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entering:
    """The entry is wanted: `bought` gross so far, `held` what is still to be exited (net of base fees), `sold` gross."""

    cycle: int
    bought: Decimal
    held: Decimal
    sold: Decimal
    since: datetime
    at_market: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """The entry is over; `held` base units wait for the exit, which has `sold` others in this cycle."""

    cycle: int
    held: Decimal
    sold: Decimal
    since: datetime


Level = Waiting | Entering | Holding


@dataclass(frozen=True, slots=True)
class Running:
    """The grid trades."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """A barrier fired (latched): nothing is entered, and the inventory is being closed."""

    word: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Closed:
    """The grid is over, for the reason in `word`."""

    word: str
    since: datetime


Phase = Running | Closing | Closed


@dataclass(frozen=True, slots=True)
class GridState:
    """Levels by ascending price, the phase, when entries last went out, the trailing stop's best profit fraction."""

    levels: tuple[Level, ...]
    phase: Phase
    last_batch_at: datetime | None
    peak: Decimal | None


def lot_name(index: int, cycle: int) -> str:
    """Name the lot that a level's entry opens in a cycle."""
    return f"{index}-{cycle}"


def level_data(level: Level) -> dict[str, str]:
    """Write a level down; `read_level` is its inverse."""
    match level:
        case Waiting(cycle=cycle, armed=armed, reason=reason):
            return {"is": "Waiting", "cycle": str(cycle), "armed": str(int(armed)), "reason": reason}
        case Entering(cycle=cycle, bought=bought, held=held, sold=sold, since=since, at_market=at_market):
            return {
                "is": "Entering", "cycle": str(cycle), "bought": str(bought), "held": str(held), "sold": str(sold),
                "since": since.isoformat(), "at_market": str(int(at_market)),
            }  # fmt: skip
        case Holding(cycle=cycle, held=held, sold=sold, since=since):
            return {
                "is": "Holding", "cycle": str(cycle), "held": str(held), "sold": str(sold), "since": since.isoformat(),
            }  # fmt: skip


def read_level(data: Mapping[str, str]) -> Level:
    """Read a level back; raises `ValueError` for a state that this version does not know."""
    cycle = int(data["cycle"])
    match data["is"]:
        case "Waiting":
            return Waiting(cycle, armed=data["armed"] == "1", reason=data["reason"])
        case "Entering":
            since = datetime.fromisoformat(data["since"])
            return Entering(
                cycle, Decimal(data["bought"]), Decimal(data["held"]), Decimal(data["sold"]), since,
                at_market=data["at_market"] == "1",
            )  # fmt: skip
        case "Holding":
            return Holding(cycle, Decimal(data["held"]), Decimal(data["sold"]), datetime.fromisoformat(data["since"]))
        case other:
            message = f"unknown level state {other!r}"
            raise ValueError(message)


def write_head(state: GridState) -> dict[str, Any]:
    """Write down what is not in the levels, JSON-ready."""
    phase = state.phase
    return {
        "phase": type(phase).__name__,
        "word": "" if isinstance(phase, Running) else phase.word,
        "since": phase.since.isoformat(),
        "last_batch_at": state.last_batch_at.isoformat() if state.last_batch_at else None,
        "peak": str(state.peak) if state.peak is not None else None,
    }


def read_head(head: Mapping[str, Any], levels: tuple[Level, ...]) -> GridState:
    """Read a grid back from its head and its levels; raises `KeyError` for a phase that this version does not know."""
    since = datetime.fromisoformat(head["since"])
    phases: dict[str, Phase] = {
        "Running": Running(since),
        "Closing": Closing(head["word"], since),
        "Closed": Closed(head["word"], since),
    }
    last = head["last_batch_at"]
    return GridState(
        levels=levels,
        phase=phases[head["phase"]],
        last_batch_at=datetime.fromisoformat(last) if last else None,
        peak=Decimal(head["peak"]) if head["peak"] is not None else None,
    )
