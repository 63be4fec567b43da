"""What stops a command, and the exit code it stops with (CONTRACT).

GridkeeperError           1  anything else
 ├─ Refused               2  the configuration or input is refused; names the key, the reason, what is accepted
 ├─ Halted                3  a safety rule forbids going on
 └─ Busy                  4  another instance owns the store
"""

import re
from difflib import SequenceMatcher

# Twice the letters that two words share in order, over all their letters. A wrong guess is worse than none where money
# follows: each part of a name must be alike too, else `lower_price` would be told `owned_price` and `max_` told `min_`.
LIKENESS_MIN = 0.75
LIKENESS_OF_PARTS_MIN = 0.65


class GridkeeperError(Exception):
    """A command that cannot go on; `kind`, `key`, `reason` and `accepted` fill the JSON document's `error`.

    `given` is the word that was not known, where one was: the reason then names its nearest among those `accepted`.
    """

    exit_code = 1
    kind = "error"

    def __init__(self, reason: str, *, key: str = "", accepted: str = "", given: str = "") -> None:
        """Keep the parts apart, so that people and programs can both read them."""
        meant = nearest(given, accepted.split(", "))
        reason = f"{reason}; did you mean {meant}?" if meant else reason
        self.key = key
        self.reason = reason
        self.accepted = accepted
        text = f"{key}: {reason}" if key else reason
        super().__init__(f"{text} (accepted: {accepted})" if accepted else text)


def nearest(word: str, known: list[str]) -> str:
    """Name the known word that a mistyped one is most like, whatever its case; empty where none is like it."""
    likest = max(known, key=lambda one: _likeness(word, one), default="")
    return likest if _likeness(word, likest) >= LIKENESS_MIN else ""


def _likeness(word: str, known: str) -> float:
    ours, theirs = word.lower(), known.lower()
    mine, other = (re.split("[_-]+", text.strip("-")) for text in (ours, theirs))
    if len(mine) == len(other) and any(_ratio(*pair) < LIKENESS_OF_PARTS_MIN for pair in zip(mine, other, strict=True)):
        return 0.0
    return _ratio(ours, theirs)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


class Refused(GridkeeperError):
    """The configuration or an input is refused; nothing was written."""

    exit_code = 2
    kind = "refused"


class Halted(GridkeeperError):
    """A safety rule stops this."""

    exit_code = 3
    kind = "halted"


class Busy(GridkeeperError):
    """Another instance owns the store."""

    exit_code = 4
    kind = "busy"
