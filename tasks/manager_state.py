"""Writes what a manager knows as JSON and reads it back. Rule: no digit is lost, and no half of a file is ever seen.

Bots are written field by field along their type hints; what a machine remembers goes through its own `head` and `place`,
as in the store.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, NewType, get_args, get_origin, get_type_hints

from core.engine import Bot, BotSpec, Incident, World
from core.engine.seen import Seen
from core.ledger import Numbering
from core.machine import Wake

# Of a bot: what its machine writes itself, and what is found anew at the first look.
_LEFT_OUT = frozenset({"state", "shown", "wake", "machine_wake", "wakes", "machine_wakes", "beside", "seen"})
_AT_ONCE = Wake(deadline=datetime(1970, 1, 1))


class StateRefused(ValueError):
    """A state file that is not one of this house's, or of a version that this one cannot read."""


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Replace a file at once: written beside, brought to the disk, renamed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(file.name + ".new")
    with beside.open("w", encoding="utf-8") as out:
        json.dump(data, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)


def read_json(file: Path, version: int) -> dict[str, Any]:
    """Read a state file; raises `StateRefused` where it is none of this version."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as fault:
        message = f"{file} is no JSON: {fault}"
        raise StateRefused(message) from None
    if not isinstance(data, dict) or data.get("version") != version:
        message = f"{file} is no state of version {version}"
        raise StateRefused(message)
    return data


def written(value: Any) -> Any:
    """Return a value as JSON-ready data: decimals and times as text, dataclasses as objects."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: written(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): written(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [written(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def read(hint: Any, told: Any) -> Any:
    """Read a value back along its type hint; the inverse of `written`."""
    if isinstance(hint, NewType):
        return told
    if isinstance(hint, UnionType):
        return None if told is None else read(next(one for one in get_args(hint) if one is not NoneType), told)
    if get_origin(hint) is tuple:
        return tuple(read(get_args(hint)[0], one) for one in told)
    if isinstance(origin := get_origin(hint), type) and issubclass(origin, Mapping):
        return {name: read(get_args(hint)[1], one) for name, one in told.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return hint(**{name: read(_hints(hint)[name], one) for name, one in told.items()})
    if hint is datetime:
        return datetime.fromisoformat(told)
    return hint(told) if hint is Decimal or (isinstance(hint, type) and issubclass(hint, Enum)) else told


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def world_data(world: World) -> dict[str, Any]:
    """Write down what a restart needs of a world: its bots, its books, the trades that were booked."""
    trades = [*world.trades.newest, *(key for one in world.trades.generations for key in one)]
    return {
        "bots": {name: _bot_data(bot, world.specs[name]) for name, bot in world.bots.items()},
        "trades": [list(key) for key in trades if isinstance(key, tuple)],
        "wallet": [[venue, asset, str(amount)] for (venue, asset), amount in world.wallet.items()],
        "positions": [[venue, symbol, str(amount)] for (venue, symbol), amount in world.positions.items()],
        "numbering": written(world.numbering),
        "incidents": written(world.incidents),
        "peak": written(world.peak),
    }


def _bot_data(bot: Bot, spec: BotSpec) -> dict[str, Any]:
    data = {one.name: written(getattr(bot, one.name)) for one in fields(bot) if one.name not in _LEFT_OUT}
    if bot.state is not None:
        machine = spec.machine
        data["head"] = machine.head(bot.state)
        data["places"] = [dict(machine.place(spec.plan, bot.state, index).data) for index in range(spec.places)]
    return data


def world_of(data: Mapping[str, Any], world: World) -> World:
    """Return the world that was written down; `world` holds its specs and limits."""
    return World(
        specs=world.specs, limits=world.limits,
        bots={name: _bot_of(told, world.specs[name]) for name, told in data["bots"].items()},
        trades=Seen().plus(tuple(key) for key in data["trades"]),
        wallet={(venue, asset): Decimal(amount) for venue, asset, amount in data["wallet"]},
        positions={(venue, symbol): Decimal(amount) for venue, symbol, amount in data["positions"]},
        numbering=read(Numbering, data["numbering"]),
        incidents={name: read(Incident, told) for name, told in data["incidents"].items()},
        peak=read(Decimal | None, data["peak"]),
    )  # fmt: skip


def _bot_of(told: Mapping[str, Any], spec: BotSpec) -> Bot:
    state = None
    if "head" in told:
        places = dict(enumerate(told["places"]))
        state = spec.machine.restore(spec.plan, told["head"], places)
    hints = _hints(Bot)
    known = {name: read(hints[name], one) for name, one in told.items() if name not in {"head", "places"}}
    return Bot(**known, state=state, wake=_AT_ONCE, machine_wake=_AT_ONCE)
