"""Values that are quicker to build are the same values."""

import inspect
from collections.abc import Mapping
from copy import copy
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from core.engine import Bot, World
from core.machine import View, Wake
from core.market import Candle, Quote
from core.orders import Leg, Order
from core.quick import quick
from core.working import Work


@dataclass(frozen=True, slots=True)
class Plain:
    """What `dataclass` makes."""

    a: int
    b: str = "b"
    c: Mapping[str, int] = field(default_factory=dict[str, int])
    d: float = field(default=0.5, kw_only=True)


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, quicker."""

    a: int
    b: str = "b"
    c: Mapping[str, int] = field(default_factory=dict[str, int])
    d: float = field(default=0.5, kw_only=True)


@pytest.mark.parametrize(
    ("args", "named"),
    [((1,), {}), ((1, "x"), {"d": 2.0}), ((), {"a": 1, "c": {"y": 2}}), ((1, "x", {"z": 3}), {})],
)
def test_it_takes_what_the_plain_one_takes(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """By place, by name, and by default, every field gets the same value, and the hash of a tuple of them follows."""
    made, usual = Quick(*args, **named), Plain(*args, **named)
    assert [getattr(made, one.name) for one in fields(made)] == [getattr(usual, one.name) for one in fields(usual)]
    assert repr(made) == repr(usual).replace("Plain", "Quick")
    assert made == Quick(*args, **named)
    assert type(made) is Quick


@pytest.mark.parametrize(("args", "named"), [((), {}), ((1, "x", {}, 2.0), {}), ((1,), {"e": 1}), ((1,), {"a": 1})])
def test_it_refuses_what_the_plain_one_refuses(args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """A missing, a doubled, an unknown argument, and one by place that goes by name, are errors of the same kind."""
    for made in (Plain, Quick):
        with pytest.raises(TypeError):
            made(*args, **named)


def test_it_is_as_frozen_as_before() -> None:
    """Fields can neither be changed nor added nor taken away; a replaced or copied value is what it should be."""
    made = Quick(1)
    for change in (lambda: setattr(made, "a", 2), lambda: setattr(made, "z", 2), lambda: delattr(made, "a")):
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            change()
    assert replace(made, a=2) == Quick(2)
    assert copy(made) == made
    assert Quick(1).c is not made.c


def test_signatures_stay() -> None:
    """Editors and people see the parameters, kinds and types that a dataclass has."""
    assert list(inspect.signature(Quick).parameters) == list(inspect.signature(Plain).parameters)
    assert [one.kind for one in inspect.signature(Quick).parameters.values()] == [
        one.kind for one in inspect.signature(Plain).parameters.values()
    ]
    assert Quick.__init__.__annotations__ == Plain.__init__.__annotations__


@pytest.mark.parametrize("kind", [Bot, World, View, Wake, Candle, Quote, Leg, Order, Work])
def test_the_values_of_a_run_are_built_so(kind: type) -> None:
    """What a fill makes many of goes through a twin without the guard, and keeps the guard itself."""
    assert "_become" in kind.__init__.__code__.co_names
    with pytest.raises(FrozenInstanceError, match="cannot assign"):
        setattr(kind.__new__(kind), fields(kind)[0].name, 0)


@dataclass
class Open:
    """Not frozen."""

    a: int


@dataclass(frozen=True, slots=True)
class Heir(Plain):
    """Has a field of its own beside those that it inherits."""

    e: int = 0


@pytest.mark.parametrize("kind", [Open, Heir, int])
def test_other_classes_are_refused(kind: type) -> None:
    """A class that could be changed, one that inherits, and none of a dataclass's kind cannot be made quicker so."""
    with pytest.raises(TypeError, match=kind.__name__):
        quick(kind)
