"""What a rolling grid remembers, as plain values, and how they are written down for a restart.

A place is one lot's room: free, entering, or holding. What is held leaves by its profit target, by the rungs of a
ladder, or at the market; a hedge may stand beside it. `used` is the highest number that a leg of the place has had, for
every new exit takes a number of its own.
"""

import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, Union, cast, get_args, get_origin

from core.stuck import Episode
from core.values import ZERO


@dataclass(frozen=True, slots=True)
class Lot:
    """What a place holds: base `held` at the mean price `entry`, its first fill at `since`, exited at `target`.

    `stop` is where its stop loss fires (None: there is none), `stuck` beyond which it is too far from its target. `opened`
    is all that was ever bought for it, `given` and `proceeds` what its fills took off and brought.
    """

    cycle: int
    held: Decimal
    entry: Decimal
    since: datetime
    target: Decimal
    stop: Decimal | None
    stuck: Decimal
    opened: Decimal
    given: Decimal = ZERO
    proceeds: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Offered:
    """The whole lot rests at its target; this leg has `sold` so much."""

    cycle: int
    sold: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Rung:
    """One exit of a ladder: `qty` is all that it shall ever close, `sold` what it has."""

    cycle: int
    price: Decimal
    qty: Decimal
    sold: Decimal = ZERO

    @property
    def left(self) -> Decimal:
        """What it shall still close: nothing where an order was filled before it could be made smaller."""
        return max(self.qty - self.sold, ZERO)


@dataclass(frozen=True, slots=True)
class Laddered:
    """The lot leaves by rungs."""

    rungs: tuple[Rung, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """The lot is closed at the market, for the reason in `word`, up to `goal` in all, at `cap` or better."""

    cycle: int
    word: str
    since: datetime
    goal: Decimal
    cap: Decimal
    sold: Decimal = ZERO


Leaving = Offered | Laddered | Closing


@dataclass(frozen=True, slots=True)
class Hedge:
    """A position in the second instrument that stands against a lot.

    `open_cycle` and `close_cycle` number its legs; `goal` shall be opened in all, `asked` closed in all, at these caps.
    `opened` and `closed` are fills, `cut` was closed by others. It is `wanted` until it has done its work.
    """

    open_cycle: int
    close_cycle: int
    since: datetime
    goal: Decimal
    cap_open: Decimal
    cap_close: Decimal
    asked: Decimal = ZERO
    opened: Decimal = ZERO
    closed: Decimal = ZERO
    cut: Decimal = ZERO
    wanted: bool = True

    @property
    def net(self) -> Decimal:
        """Base quantity that stands."""
        return self.opened - self.closed - self.cut


@dataclass(frozen=True, slots=True)
class Free:
    """No lot. `dust` is what earlier ones left below the exchange's minimum, bought at `entry`; the next lot takes it in."""

    used: int
    dust: Decimal = ZERO
    entry: Decimal = ZERO
    last: Episode | None = None


@dataclass(frozen=True, slots=True)
class Entering:
    """The entry rests at `price`: `bought` gross so far, of `qty`; `lot` is what can be exited already."""

    used: int
    cycle: int
    price: Decimal
    qty: Decimal
    quoted_at: datetime
    requotes: int = 0
    bought: Decimal = ZERO
    lot: Lot | None = None
    sold: Decimal = ZERO
    dust: Decimal = ZERO
    dust_entry: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Holding:
    """A lot on its way out."""

    used: int
    lot: Lot
    leaving: Leaving
    hedge: Hedge | None = None
    episode: Episode | None = None


Slot = Free | Entering | Holding


@dataclass(frozen=True, slots=True)
class Running:
    """The bot trades; while `paused` by its price it enters nothing."""

    paused: bool = False


@dataclass(frozen=True, slots=True)
class Flattening:
    """`stop_price` was passed: everything is being closed."""

    word: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Stopped:
    """Everything is closed; nothing is entered until the price is back, and the bot is latched until a person releases it."""

    word: str
    since: datetime


Phase = Running | Flattening | Stopped


@dataclass(frozen=True, slots=True)
class RollingGridState:
    """All places and what concerns them together.

    `opened_at` is when the last entry was started or given up, `freed` whether a lot has left since, `spent` the losses
    that recovery realised, `health` how the bot stands, `why_not` what keeps the next entry back.
    """

    slots: tuple[Slot, ...]
    phase: Phase = Running()
    opened_at: datetime | None = None
    freed: bool = False
    spent: Decimal = ZERO
    health: Literal["healthy", "warning", "critical"] = "healthy"
    why_not: str = ""


def write(value: Any) -> Any:
    """Write a value down JSON-ready; `read` is its inverse."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {one.name: write(getattr(value, one.name)) for one in fields(value)}
        return {"is": type(value).__name__, **named}
    if isinstance(value, tuple):
        return [write(one) for one in cast("tuple[Any, ...]", value)]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def read(kind: Any, value: Any) -> Any:
    """Read a value of an annotated type back; raises `ValueError` for one that this version does not know."""
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        return _read_one_of(get_args(kind), value)
    if origin is tuple:
        return _read_tuple(get_args(kind), value)
    if is_dataclass(kind):
        return _read_data(kind, value)
    if kind is Decimal:
        return Decimal(value)
    return datetime.fromisoformat(value) if kind is datetime else value


def _read_one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    if value is None:
        return None
    named: dict[str, Any] = {str(getattr(one, "__name__", "")): one for one in kinds if is_dataclass(one)}
    if isinstance(value, dict) and named:
        word = cast("dict[str, Any]", value).get("is")
        if word not in named:
            message = f"unknown state {word!r}"
            raise ValueError(message)
        return read(named[word], value)
    return read(next(one for one in kinds if one is not types.NoneType), value)


def _read_tuple(kinds: tuple[Any, ...], value: list[Any]) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        return tuple(read(kinds[0], one) for one in value)
    return tuple(read(kind, one) for kind, one in zip(kinds, value, strict=True))


def _read_data(kind: Any, value: Mapping[str, Any]) -> Any:
    if value.get("is") != kind.__name__:
        message = f"unknown state {value.get('is')!r} where {kind.__name__} is expected"
        raise ValueError(message)
    return kind(**{one.name: read(one.type, value[one.name]) for one in fields(kind) if one.name in value})


def cycle_of(slot: Slot) -> int:
    """The number of a place's present lot; of the last leg that it had where it is free."""
    match slot:
        case Free(used=used):
            return used
        case Entering(cycle=cycle):
            return cycle
        case Holding(lot=lot):
            return lot.cycle


@lru_cache(maxsize=4096)
def slot_data(slot: Slot) -> Mapping[str, str]:
    """Write a place down; an episode of recovery stands beside it, for the store keeps those for ever.

    Kept, for a place is shown far more often than it changes.
    """
    data = {
        "is": type(slot).__name__, "cycle": str(cycle_of(slot)), "planned": "0 0 0", "slot": json.dumps(write(slot)),
    }  # fmt: skip
    episode = episode_of(slot)
    if episode is not None:
        data["recovery"] = json.dumps(write(episode))
    return data


def read_slot(data: Mapping[str, str]) -> Slot:
    """Read a place back; raises `ValueError` for a state that this version does not know."""
    return read(Slot, json.loads(data["slot"]))


def episode_of(slot: Slot) -> Episode | None:
    """The place's present episode of recovery, or its last one."""
    match slot:
        case Free(last=last):
            return last
        case Holding(episode=episode):
            return episode
        case Entering():
            return None


def write_head(state: RollingGridState) -> dict[str, Any]:
    """Write down what is not in the places, JSON-ready."""
    return {one.name: write(getattr(state, one.name)) for one in fields(state) if one.name != "slots"}


def read_head(head: Mapping[str, Any], slots: tuple[Slot, ...]) -> RollingGridState:
    """Read the state back from its head and its places; raises `KeyError` or `ValueError` for what it does not know."""
    kinds = {one.name: one.type for one in fields(RollingGridState) if one.name != "slots"}
    return RollingGridState(slots=slots, **{name: read(kind, head[name]) for name, kind in kinds.items()})
