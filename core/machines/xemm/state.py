"""What an XEMM round remembers, as plain values."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.pairing import Pair
from core.values import ZERO


@dataclass(frozen=True, slots=True)
class Quoting:
    """The maker order is wanted at `price`; zero while there is no hedge price to quote from."""

    price: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Closing:
    """No maker order any more: what it left is hedged or undone, then the executor ends with `close_type`."""

    close_type: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """Over. What still trades late is balanced all the same."""

    close_type: str
    at: datetime


Phase = Quoting | Closing | Ended


@dataclass(frozen=True, slots=True)
class XemmState:
    """Everything. `rounds` are those completed; `residue` is what is unhedged and too little for an order (base)."""

    phase: Phase = field(default_factory=Quoting)
    pair: Pair = field(default_factory=Pair)
    rounds: int = 0
    residue: Decimal = ZERO
