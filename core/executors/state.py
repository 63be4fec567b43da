"""What an executor remembers, as plain values, and how they are written down for a restart.

A slot is one entry: an order's worth that is bought (or sold) once. It never starts over, so its leg has cycle 0 for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.executors.life import Life, read_life, write_life
from core.values import ZERO


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing was wanted yet; `reason` says why."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Working:
    """An entry of `qty` base at `price` (limit, or cap of a market order), of which `done` executed for `spent` quote.

    `wanted`: whether its order may rest now; `reason` says why not. `since`: when this price was chosen.
    """

    qty: Decimal
    price: Decimal
    since: datetime
    done: Decimal = ZERO
    spent: Decimal = ZERO
    wanted: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more is wanted, for the reason in `word`; `done` executed for `spent`."""

    word: str
    done: Decimal = ZERO
    spent: Decimal = ZERO


Slot = Idle | Working | Over


@dataclass(frozen=True, slots=True)
class Exit:
    """The one exit: `sold` gross so far, `left` still to be offered at `price`; nothing is offered while `left` is zero."""

    sold: Decimal = ZERO
    left: Decimal = ZERO
    price: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """Slots, life and exit; `cut` is what others closed of it in base: an unwind, a stop, a person."""

    slots: tuple[Slot, ...]
    life: Life
    exit: Exit = Exit()
    cut: Decimal = ZERO

    @property
    def done(self) -> Decimal:
        """Base executed by all entries, gross."""
        return sum((slot.done for slot in self.slots if not isinstance(slot, Idle)), ZERO)

    @property
    def spent(self) -> Decimal:
        """Quote for which they executed."""
        return sum((slot.spent for slot in self.slots if not isinstance(slot, Idle)), ZERO)


def slot_data(slot: Slot) -> dict[str, str]:
    """Write a slot down; `read_slot` is its inverse."""
    match slot:
        case Idle(reason=reason):
            return {"is": "Idle", "reason": reason}
        case Working():
            return {
                "is": "Working", "qty": str(slot.qty), "price": str(slot.price), "since": slot.since.isoformat(),
                "done": str(slot.done), "spent": str(slot.spent), "wanted": str(int(slot.wanted)), "reason": slot.reason,
            }  # fmt: skip
        case Over(word=word, done=done, spent=spent):
            return {"is": "Over", "word": word, "done": str(done), "spent": str(spent)}


def read_slot(data: Mapping[str, str]) -> Slot:
    """Read a slot back; raises `ValueError` for a state that this version does not know."""
    match data["is"]:
        case "Idle":
            return Idle(data["reason"])
        case "Working":
            return Working(
                Decimal(data["qty"]), Decimal(data["price"]), datetime.fromisoformat(data["since"]), Decimal(data["done"]),
                Decimal(data["spent"]), wanted=data["wanted"] == "1", reason=data["reason"],
            )  # fmt: skip
        case "Over":
            return Over(data["word"], Decimal(data["done"]), Decimal(data["spent"]))
        case other:
            message = f"unknown state {other!r} of an entry"
            raise ValueError(message)


def write_head(state: ExecutorState) -> dict[str, Any]:
    """Write down what is not in the slots."""
    leave = state.exit
    return {
        "life": write_life(state.life), "cut": str(state.cut),
        "exit": [str(leave.sold), str(leave.left), str(leave.price)],
    }  # fmt: skip


def read_head(head: Mapping[str, Any], slots: tuple[Slot, ...]) -> ExecutorState:
    """Read the state back from its head and its slots."""
    sold, left, price = (Decimal(text) for text in head["exit"])
    return ExecutorState(slots, read_life(head["life"]), Exit(sold, left, price), Decimal(head["cut"]))
