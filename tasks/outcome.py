"""What a command returns: data for programs, and how to show it to people."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from tasks.report_format import amount_places

TENTH = Decimal("0.1")


def _nothing() -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`data` fills the JSON document; `show` prints for people; `top_level` repeats the data's fields beside it."""

    data: dict[str, Any] = field(default_factory=dict[str, Any])
    show: Callable[[], None] = _nothing
    exit_code: int = 0
    top_level: bool = False


def visible(value: Any) -> Any:
    """Return a value in whose texts nothing acts on a terminal: control characters are written out, ESC as x1b."""
    if isinstance(value, str):
        return "".join(
            one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in value
        )
    if isinstance(value, dict):
        return {name: visible(part) for name, part in cast("dict[str, Any]", value).items()}
    return [visible(part) for part in cast("list[Any]", value)] if isinstance(value, list) else value


def money(value: Any, asset: str, *, sign: bool = True) -> str:
    """Write a sum of money with its asset: to the cent, or, below a tenth, to three digits, as sums in coins need."""
    if value is None:
        return "-"
    exact = Decimal(str(value))
    places = 2 if abs(exact) >= TENTH else amount_places([exact])
    return f"{exact:{'+' if sign else ''},.{places}f} {asset}"


def say(text: str) -> None:
    """Tell a person something that is not the command's result: it goes to stderr."""
    print(text, file=sys.stderr, flush=True)
