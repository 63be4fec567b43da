"""Writes small frozen states down as JSON-ready plain data, and reads them back by their type hints.

Decimals and times become text, so that nothing is rounded on the way. A class writes its name beside its fields, so that a
union finds the right one; what is read back must have the fields that were written, no more and no fewer.
"""

import types
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def written(value: Any) -> Any:
    """Return a value as plain data: dataclasses as dicts, tuples as lists, decimals and times as text."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [written(one) for one in cast("tuple[Any, ...]", value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__} | {one.name: written(getattr(value, one.name)) for one in fields(value)}
    return value


def read_back(kind: type[T], told: Any) -> T:
    """Read a frozen dataclass back; raises `ValueError` where the fields are not its own."""
    hints = _hints(kind)
    if not isinstance(told, dict) or set(cast("dict[str, Any]", told)) != {"is", *hints} or told["is"] != kind.__name__:
        message = f"{kind.__name__} has the fields {', '.join(hints)}; found {told!r}"
        raise ValueError(message)
    found = cast("dict[str, Any]", told)
    return kind(**{name: _read(hint, found[name]) for name, hint in hints.items()})


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    known = get_type_hints(kind)
    return {one.name: known[one.name] for one in fields(kind)}


def _read(hint: Any, told: Any) -> Any:
    if isinstance(hint, types.UnionType):
        if told is None:
            return None
        kinds = [one for one in get_args(hint) if one is not types.NoneType]
        named = [one for one in kinds if isinstance(told, dict) and one.__name__ == told.get("is")]  # type: ignore[union-attr]
        return _read(next(iter(named), kinds[0]), told)
    if get_origin(hint) is tuple:
        inner = get_args(hint)[0]
        return tuple(_read(inner, one) for one in told)
    if hint is Decimal:
        return Decimal(told)
    if hint is datetime:
        return datetime.fromisoformat(told)
    return read_back(hint, told) if is_dataclass(hint) and isinstance(hint, type) else told
