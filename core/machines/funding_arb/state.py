"""What a funding arbitrage remembers, as plain values."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.pairing import Target
from core.values import ZERO


@dataclass(frozen=True, slots=True)
class Rate:
    """The newest rate of a swap, by the hour, when it was told, and until when it says anything."""

    hourly: Decimal
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Scanning:
    """Flat. Looks at every new rate, and again at `recheck_at` where prices alone stood in the way."""

    since: datetime
    recheck_at: datetime | None = None
    rest_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """Both legs are on their way. `alone_since`: since when one of them has traded more than the other."""

    since: datetime
    edge_h: Decimal
    asked_at: datetime
    tries: int = 0
    alone_since: datetime | None = None
    hedging: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """In. `edge_h` is the entry's; `before` what the bot had won when it was flat (realised - fees + funding, quote).

    `flips` counts observations in a row of a difference that turned against it, `fades` of one that has eroded, the last
    at `seen_at`; `gone_since` when a leg was first seen missing.
    """

    since: datetime
    edge_h: Decimal
    before: Decimal
    flips: int = 0
    fades: int = 0
    seen_at: datetime | None = None
    gone_since: datetime | None = None
    asked_at: datetime | None = None
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Closing:
    """On the way out, for `reason`; whatever is still held is closed, by the signed position, reduce-only."""

    since: datetime
    reason: str
    asked_at: datetime
    tries: int = 0


Phase = Scanning | Opening | Open | Closing


@dataclass(frozen=True, slots=True)
class Side:
    """One swap's two target legs of this cycle: `into` the position and `out` of it, and its newest rate.

    `sells`: the way out is a sale, for the swap is held long.
    """

    into: Target = field(default_factory=Target)
    out: Target = field(default_factory=Target)
    rate: Rate | None = None
    sells: bool = True


@dataclass(frozen=True, slots=True)
class FundingArbState:
    """Everything. `long` and `short` are indices of legs, -1 while there is no pair; `before` as in `Open`."""

    phase: Phase
    sides: tuple[Side, ...]
    cycle: int = 0
    long: int = -1
    short: int = -1
    before: Decimal = ZERO
    entered: int = 0
    refusal: str = ""
