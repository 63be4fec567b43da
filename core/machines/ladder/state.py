"""What a ladder remembers, as plain values, and how they are written down for a restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Pending:
    """No entry is wanted yet; `reason` says why."""

    cycle: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entering:
    """The entry is wanted: `bought` gross so far, `held` what is still to be exited (net of base fees), `sold` gross.

    `entry_price` and `exit_price` are where the orders stand while the trade's own prices are too near to the market;
    None: at the trade's own.
    """

    cycle: int
    bought: Decimal
    held: Decimal
    sold: Decimal
    since: datetime
    entry_price: Decimal | None = None
    exit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Exiting:
    """The entry is over; `held` base units wait for the exit, which has `sold` others in this cycle."""

    cycle: int
    held: Decimal
    sold: Decimal
    since: datetime
    exit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """The trade is over and does not loop: nothing is remembered but its last cycle."""

    cycle: int


Rung = Pending | Entering | Exiting | Completed


@dataclass(frozen=True, slots=True)
class LadderState:
    """The trades, by ascending entry price."""

    rungs: tuple[Rung, ...]


def lot_name(index: int, cycle: int) -> str:
    """Name the lot that a trade's entry opens in a cycle."""
    return f"{index}-{cycle}"


def rung_data(rung: Rung) -> dict[str, str]:
    """Write a trade down; `read_rung` is its inverse."""
    data = {"is": type(rung).__name__, "cycle": str(rung.cycle)}
    match rung:
        case Pending(reason=reason):
            data["reason"] = reason
        case Entering(bought=bought, held=held, sold=sold, since=since):
            data |= {"bought": str(bought), "held": str(held), "sold": str(sold), "since": since.isoformat()}
            if rung.entry_price is not None:
                data["entry"] = str(rung.entry_price)
            if rung.exit_price is not None:
                data["exit"] = str(rung.exit_price)
        case Exiting(held=held, sold=sold, since=since, exit_price=exit_price):
            data |= {"held": str(held), "sold": str(sold), "since": since.isoformat()}
            if exit_price is not None:
                data["exit"] = str(exit_price)
        case Completed():
            pass
    return data


def read_rung(data: Mapping[str, str]) -> Rung:
    """Read a trade back; raises `ValueError` for a state that this version does not know."""
    cycle = int(data["cycle"])
    match data["is"]:
        case "Pending":
            return Pending(cycle, data["reason"])
        case "Entering":
            return Entering(
                cycle, Decimal(data["bought"]), Decimal(data["held"]), Decimal(data["sold"]),
                datetime.fromisoformat(data["since"]), _amount(data.get("entry")), _amount(data.get("exit")),
            )  # fmt: skip
        case "Exiting":
            since = datetime.fromisoformat(data["since"])
            return Exiting(cycle, Decimal(data["held"]), Decimal(data["sold"]), since, _amount(data.get("exit")))
        case "Completed":
            return Completed(cycle)
        case other:
            message = f"unknown state of a trade {other!r}"
            raise ValueError(message)


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
