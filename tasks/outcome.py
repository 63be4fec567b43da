"""What a command returns: data for programs, and how to show it to people."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def _nothing() -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`data` fills the JSON document; `show` prints for people; `top_level` repeats the data's fields beside it."""

    data: dict[str, Any] = field(default_factory=dict[str, Any])
    show: Callable[[], None] = _nothing
    exit_code: int = 0
    top_level: bool = False


def say(text: str) -> None:
    """Tell a person something that is not the command's result: it goes to stderr."""
    print(text, file=sys.stderr, flush=True)
