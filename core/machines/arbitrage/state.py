"""What an arbitrage remembers, as plain values."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.pairing import Pair
from core.values import ZERO


@dataclass(frozen=True, slots=True)
class Watching:
    """Waits for prices that pay."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """Both legs are on their way, capped so that the round pays."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Mending:
    """Time is up, or a leg was refused: what stands alone is completed or undone. `close_type` ends it, if there is one."""

    since: datetime
    close_type: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Over. What still trades late is undone all the same."""

    close_type: str
    at: datetime


Phase = Watching | Sent | Mending | Ended


@dataclass(frozen=True, slots=True)
class ArbitrageState:
    """Everything. `rounds` are those completed; `residue` is what is unhedged and too little for an order (base)."""

    phase: Phase
    pair: Pair = field(default_factory=Pair)
    rounds: int = 0
    residue: Decimal = ZERO
