"""What a grid remembers, as plain values, and how they are written down for a restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.quick import quick
from core.values import ZERO


@quick
@dataclass(frozen=True, slots=True)
class Waiting:
    """No entry is wanted; `reason` says why. `armed` once the price has been on the entry's resting side."""

    cycle: int
    armed: bool
    reason: str = ""


@quick
@dataclass(frozen=True, slots=True)
class Entering:
    """The entry is wanted: `bought` gross so far, `held` what is still to be exited (net of base fees), `sold` gross.

    `qty` is the size of this cycle where it is not the plan's, `spent` the quote of its own fills (kept where the exit
    follows the fill), `exit_price` the exit where it is not the plan's.
    """

    cycle: int
    bought: Decimal
    held: Decimal
    sold: Decimal
    since: datetime
    at_market: bool = False
    qty: Decimal | None = None
    spent: Decimal = ZERO
    exit_price: Decimal | None = None


@quick
@dataclass(frozen=True, slots=True)
class Holding:
    """The entry is over; `held` base units wait for the exit, which has `sold` others in this cycle.

    `exit_price` is where they exit if that is not the plan's price.
    """

    cycle: int
    held: Decimal
    sold: Decimal
    since: datetime
    exit_price: Decimal | None = None


Level = Waiting | Entering | Holding


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing is wanted until the price reaches the trigger; `falls` if it has to fall to it; None: the next price decides."""

    falls: bool | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Running:
    """The grid trades."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Closing:
    """A barrier fired (latched): nothing is entered, and the inventory is being closed.

    With `limit` it is offered at that price first; without, it is closed at the market.
    """

    word: str
    since: datetime
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The grid is over, for the reason in `word`."""

    word: str
    since: datetime


Phase = Pending | Running | Closing | Closed


@quick
@dataclass(frozen=True, slots=True)
class GridState:
    """Levels by ascending price, the phase, when entries last went out, the trailing stop's best profit fraction.

    `window` are the places at work (first, one past the last; None: the plan's), `reach` those whose exits may rest (None:
    all), `resets` how often fresh money was put in, `pivot` the first place that enters short (neutral grids alone).
    Of an infinite grid, `base` is the first place that its opening purchase supplies and `worth` the quote that it holds.
    """

    levels: tuple[Level, ...]
    phase: Phase
    last_batch_at: datetime | None
    peak: Decimal | None
    window: tuple[int, int] | None = None
    reach: tuple[int, int] | None = None
    resets: int = 0
    pivot: int | None = None
    base: int | None = None
    worth: Decimal | None = None


def lot_name(index: int, cycle: int) -> str:
    """Name the lot that a level's entry opens in a cycle."""
    return f"{index}-{cycle}"


def level_data(level: Level) -> dict[str, str]:
    """Write a level down; `read_level` is its inverse."""
    match level:
        case Waiting(cycle=cycle, armed=armed, reason=reason):
            return {"is": "Waiting", "cycle": str(cycle), "armed": str(int(armed)), "reason": reason}
        case Entering(cycle=cycle, bought=bought, held=held, sold=sold, since=since, at_market=at_market):
            data = {
                "is": "Entering", "cycle": str(cycle), "bought": str(bought), "held": str(held), "sold": str(sold),
                "since": since.isoformat(), "at_market": str(int(at_market)),
            }  # fmt: skip
            if level.qty is not None:
                data["qty"] = str(level.qty)
            if level.spent != ZERO:
                data["spent"] = str(level.spent)
        case Holding(cycle=cycle, held=held, sold=sold, since=since):
            data = {
                "is": "Holding", "cycle": str(cycle), "held": str(held), "sold": str(sold), "since": since.isoformat(),
            }  # fmt: skip
    if level.exit_price is not None:
        data["exit"] = str(level.exit_price)
    return data


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
                at_market=data["at_market"] == "1", qty=_amount(data.get("qty")),
                spent=_amount(data.get("spent")) or ZERO, exit_price=_amount(data.get("exit")),
            )  # fmt: skip
        case "Holding":
            since = datetime.fromisoformat(data["since"])
            return Holding(
                cycle, Decimal(data["held"]), Decimal(data["sold"]), since, exit_price=_amount(data.get("exit"))
            )
        case other:
            message = f"unknown level state {other!r}"
            raise ValueError(message)


def write_head(state: GridState) -> dict[str, Any]:
    """Write down what is not in the levels, JSON-ready; what most grids never use only where it is set."""
    phase = state.phase
    head: dict[str, Any] = {
        "phase": type(phase).__name__,
        "word": phase.word if isinstance(phase, Closing | Closed) else "",
        "since": phase.since.isoformat(),
        "last_batch_at": state.last_batch_at.isoformat() if state.last_batch_at else None,
        "peak": str(state.peak) if state.peak is not None else None,
    }
    if isinstance(phase, Pending):
        head["falls"] = phase.falls
    if isinstance(phase, Closing) and phase.limit is not None:
        head["limit"] = str(phase.limit)
    if state.window is not None:
        head["window"] = list(state.window)
    if state.reach is not None:
        head["reach"] = list(state.reach)
    if state.resets:
        head["resets"] = state.resets
    if state.pivot is not None:
        head["pivot"] = state.pivot
    if state.base is not None and state.worth is not None:
        head["base"], head["worth"] = state.base, str(state.worth)
    return head


def read_head(head: Mapping[str, Any], levels: tuple[Level, ...]) -> GridState:
    """Read a grid back from its head and its levels; raises `KeyError` for a phase that this version does not know."""
    last = head["last_batch_at"]
    return GridState(
        levels=levels,
        phase=_phase(head),
        last_batch_at=datetime.fromisoformat(last) if last else None,
        peak=_amount(head["peak"]),
        window=_pair(head.get("window")),
        reach=_pair(head.get("reach")),
        resets=head.get("resets", 0),
        pivot=head.get("pivot"),
        base=head.get("base"),
        worth=_amount(head.get("worth")),
    )


def _phase(head: Mapping[str, Any]) -> Phase:
    since = datetime.fromisoformat(head["since"])
    phases: dict[str, Phase] = {
        "Pending": Pending(head.get("falls"), since),
        "Running": Running(since),
        "Closing": Closing(head["word"], since, _amount(head.get("limit"))),
        "Closed": Closed(head["word"], since),
    }
    return phases[head["phase"]]


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _pair(ends: list[int] | None) -> tuple[int, int] | None:
    return None if ends is None else (ends[0], ends[1])
