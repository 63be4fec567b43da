"""What a sweep varies: `--vary NAME=A:B:N` and `NAME=X,Y,Z` as values, and the configurations made of them.

A name is a field of the bot, nested ones with points (`triple_barrier.stop_loss`). Values are text, as a portfolio file
would hold them; the bot's model checks them like any other.
"""

import itertools
import random
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import prod
from typing import Any, get_args

from pydantic import BaseModel

from tasks.errors import Refused

CONFIGURATIONS_MAX = 1_000_000
# What a random search may draw from.
COMBINATIONS_MAX = 1 << 62
ACCEPTED = "NAME=FROM:TO:COUNT, or NAME=VALUE,VALUE,..."
# Digits of a value between two ends: more would only be the noise of a division.
DIGITS = 12


@dataclass(frozen=True, slots=True)
class Vary:
    """One varied field: its name with points, its values as text in the order given."""

    name: str
    values: tuple[str, ...]


def parse_vary(text: str, model: type[BaseModel]) -> Vary:
    """Read one `--vary`; raises `Refused` for an unknown field, a bad form, or a value given twice.

    Fields that count (whole numbers) get whole values: a range is rounded, and what falls together counts once.
    """
    name, is_there, rest = text.partition("=")
    if not is_there or not name or not rest:
        raise _refuse(text, "is no variation")
    whole = _is_whole(model, name)
    if ":" not in rest:
        values = tuple(part.strip() for part in rest.split(","))
        if "" in values or len(set(values)) < len(values):
            raise _refuse(text, "has an empty value or one twice")
        return Vary(name, values)
    parts = rest.split(":")
    try:
        first, last, count = Decimal(parts[0]), Decimal(parts[1]), int(parts[2])
    except (InvalidOperation, IndexError, ValueError):
        raise _refuse(text, "is no range") from None
    if len(parts) != 3 or not first.is_finite() or not last.is_finite() or not 1 <= count <= CONFIGURATIONS_MAX:
        raise _refuse(text, f"is no range of 1 to {CONFIGURATIONS_MAX:,} finite numbers")
    if count == 1 and first != last:
        raise _refuse(text, "has two ends and one value")
    steps = max(count - 1, 1)
    numbers = [first + (last - first) * i / steps for i in range(count)]
    return Vary(name, tuple(dict.fromkeys(_text(number, whole=whole) for number in numbers)))


def configurations(varied: Sequence[Vary], draws: int | None, seed: int) -> list[dict[str, str]]:
    """Make every combination, the last field turning fastest; or `draws` different ones at random, the same for a seed.

    Raises `Refused` where a field is varied twice, or where there would be too many.
    """
    names = [one.name for one in varied]
    if len(set(names)) < len(names):
        raise Refused("one field is varied twice", key="--vary", accepted="each field once")
    total = prod(len(one.values) for one in varied)
    wanted = total if draws is None else min(draws, total)
    if wanted > CONFIGURATIONS_MAX or total > COMBINATIONS_MAX:
        raise Refused(
            f"{total:,} configurations are too many",
            key="--vary",
            accepted=f"up to {CONFIGURATIONS_MAX:,}, or --random N",
        )
    if draws is None:
        return [dict(zip(names, values, strict=True)) for values in itertools.product(*(one.values for one in varied))]
    dice = random.Random(seed)  # noqa: S311 - a seeded choice; no secret depends on it
    return [_at(varied, number) for number in dice.sample(range(total), wanted)]


def apply(bot: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return a bot's mapping with some fields set; missing mappings on the way are made."""
    changed = deepcopy(dict(bot))
    for name, value in values.items():
        *way, last = name.split(".")
        place = changed
        for part in way:
            inner = place.get(part)
            place[part] = dict(inner) if isinstance(inner, Mapping) else {}
            place = place[part]
        place[last] = value
    return changed


def _at(varied: Sequence[Vary], number: int) -> dict[str, str]:
    # The number of a combination, read as digits in the fields' own bases.
    found: dict[str, str] = {}
    for one in reversed(varied):
        number, index = divmod(number, len(one.values))
        found[one.name] = one.values[index]
    return {one.name: found[one.name] for one in varied}


def _is_whole(model: type[BaseModel], name: str) -> bool:
    # Whether the field holds whole numbers; walks nested models. Raises where there is no such field.
    annotation: Any = model
    for part in name.split("."):
        inner = _model_in(annotation)
        if inner is None or part not in inner.model_fields or part in {"id", "kind", "venue", "symbol"}:
            known = ", ".join(inner.model_fields) if inner is not None else "a field"
            raise Refused(f"there is no field {name!r} to vary", key="--vary", accepted=known, given=part)
        annotation = inner.model_fields[part].annotation
    kinds = {annotation, *_leaves(annotation)}
    return int in kinds and Decimal not in kinds and float not in kinds


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one)) is not None), None)


def _leaves(annotation: Any) -> set[Any]:
    inner = get_args(annotation)
    return {annotation} if not inner else set().union(*(_leaves(one) for one in inner))


def _text(number: Decimal, *, whole: bool) -> str:
    if whole:
        return str(int(number.to_integral_value()))
    if number == 0:
        return "0"
    rounded = number.quantize(Decimal(1).scaleb(number.adjusted() - DIGITS + 1))
    return f"{rounded.normalize():f}"


def _refuse(text: str, reason: str) -> Refused:
    return Refused(f"{text!r} {reason}", key="--vary", accepted=ACCEPTED)
