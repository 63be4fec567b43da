"""What stops a command, and the exit code it stops with (CONTRACT).

GridkeeperError           1  anything else
 ├─ Refused               2  the configuration or input is refused; names the key, the reason, what is accepted
 ├─ Halted                3  a safety rule forbids going on
 └─ Busy                  4  another instance owns the store
"""


class GridkeeperError(Exception):
    """A command that cannot go on; `kind`, `key`, `reason` and `accepted` fill the JSON document's `error`."""

    exit_code = 1
    kind = "error"

    def __init__(self, reason: str, *, key: str = "", accepted: str = "") -> None:
        """Keep the parts apart, so that people and programs can both read them."""
        self.key = key
        self.reason = reason
        self.accepted = accepted
        text = f"{key}: {reason}" if key else reason
        super().__init__(f"{text} (accepted: {accepted})" if accepted else text)


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
