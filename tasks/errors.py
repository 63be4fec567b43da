"""What stops a command, and the exit code it stops with (CONTRACT).

GridkeeperError           1  anything else
 ├─ Refused               2  the configuration or input is refused; names the key, the reason, what is accepted
 ├─ Halted                3  a safety rule forbids going on
 └─ Busy                  4  another instance owns the store
"""

from difflib import get_close_matches

# Of two words, twice the letters they share in order, over all their letters: `btc1` for `btc2` passes, `end_price` for
# `lower_price` does not. A wrong guess is worse than none where money follows.
LIKENESS_MIN = 0.75


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
    by_case = {one.lower(): one for one in known}
    found = get_close_matches(word.lower(), by_case, n=1, cutoff=LIKENESS_MIN)
    return by_case[found[0]] if found else ""


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
