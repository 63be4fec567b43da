"""The `gridkeeper` command: reads arguments, runs one command, prints it for people or as one JSON document.

Exit codes: 0 done; 2 configuration or input refused; 3 halted by a safety rule; 4 another instance owns the store;
1 anything else. With `--json` stdout holds one document and nothing else: {"ok", "command", "data", "error"}.
"""

import argparse
import importlib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from tasks.errors import GridkeeperError, Refused
from tasks.outcome import Outcome

# Each command's module has `add(parser)` and `run(args) -> Outcome`; it is imported when it is called.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("tasks.commands.up", "start server, UI and workers, and tick on a schedule"),
    "tick": ("tasks.commands.tick", "tick once, without a server"),
    "run": ("tasks.commands.run", "tick in a loop, without a server"),
    "status": ("tasks.commands.status", "show bots, levels and why each is or is not working"),
    "report": ("tasks.commands.report", "write the HTML report and its pictures"),
    "backtest": ("tasks.commands.backtest", "backtest one bot over candles"),
    "sweep": ("tasks.commands.sweep", "backtest many configurations of one bot, tested out of sample"),
    "candles": ("tasks.commands.candles", "import or check candles"),
    "control": ("tasks.commands.control", "pause, resume, halt, flatten, cancel, close a lot, release"),
    "dashboard": ("tasks.commands.dashboard", "show the published copy as a web page on 127.0.0.1"),
    "sql": ("tasks.commands.sql", "read-only SQL on the published copy"),
    "rebuild": ("tasks.commands.rebuild", "rebuild a lost store from the exchange alone"),
    "doctor": ("tasks.commands.doctor", "check configuration, pins, clock and stores"),
}

# How argparse tells of a word that is none of the known ones; up to Python 3.11 these are quoted.
_MISSING = "the following arguments are required: "
_ARGUMENT = re.compile(r"argument (\S+): (.*)", re.DOTALL)
_TYPE = re.compile(r"argument (\S+): invalid (\w+) value: (.*)", re.DOTALL)
_TYPES = {
    "int": "a whole number",
    "_count": "a whole number of at least 1",
    "seconds": "a number of seconds",
    "moment": "a date or time (UTC) such as 2026-03-01 or 2026-03-01T12:30",
}
_CHOICE = re.compile(r"argument (\S+): invalid choice: (.*) \(choose from (.*)\)")
_BARE = re.compile(r"[\w-]+")
_OPTION = re.compile(r"--[A-Za-z][\w-]*(=.*)?", re.DOTALL)


def commands() -> list[str]:
    """List the commands there are."""
    return list(COMMANDS)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    # Before Arrow is imported: its own allocator keeps what it is given back, which for ten years of minutes is 150 MB.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    words = sys.argv[1:] if argv is None else argv
    as_json = "--json" in words
    command = next((word for word in words if word in COMMANDS), "")
    try:
        args = _parse(words)
        outcome = importlib.import_module(COMMANDS[args.command][0]).run(args)
        _print(outcome, command, as_json=as_json)
        sys.stdout.flush()
    except GridkeeperError as fault:
        return _fail(fault, command, as_json=as_json)
    except BrokenPipeError:
        # The reader of a pipe left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as fault:
        if fault.filename is None:
            raise
        # A full disk, a folder that is not ours: the place and the system's own words are all that helps.
        told = GridkeeperError(f"{fault.filename}: {fault.strerror}", accepted="a place that can be read and written")
        return _fail(told, command, as_json=as_json)
    return outcome.exit_code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are refusals like any other, and name the word that was meant."""

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and refuse at once what this parser does not know: the one that reads the words knows the likely ones."""
        self._words = tuple(args or ())
        found, left = super().parse_known_args(args, namespace)
        if left:
            raise self._unknown(left[0])
        return found, left

    def error(self, message: str) -> NoReturn:
        """Raise `Refused` instead of leaving the process."""
        choice = _CHOICE.fullmatch(message)
        if choice is not None:
            place, given, known = choice.groups()
            among = ", ".join(_BARE.findall(known))
            raise Refused(f"{given} is not known", key=place, accepted=among, given=given.strip("'"))
        for word in self._words if message.startswith(_MISSING) else ():
            # A mistyped option leaves the right one missing: that is the mistake to show.
            if _OPTION.fullmatch(word) and not self._knows(word):
                raise self._unknown(word)
        wanted = f"{self.prog} --help shows what is wanted"
        if message.startswith(_MISSING):
            raise Refused("is missing", key=message.removeprefix(_MISSING), accepted=wanted)
        typed = _TYPE.fullmatch(message)
        if typed is not None and typed[2] in _TYPES:
            raise Refused(f"{typed[3]} cannot be read", key=typed[1], accepted=_TYPES[typed[2]])
        at = _ARGUMENT.fullmatch(message)
        key, reason = at.groups() if at is not None else ("arguments", message)
        raise Refused(reason, key=key, accepted=wanted)

    def _knows(self, word: str) -> bool:
        # argparse takes beginnings of options as well.
        return any(name.startswith(word.partition("=")[0]) for name in self._option_string_actions)

    def _unknown(self, word: str) -> Refused:
        option = word.partition("=")[0]
        known = sorted(name for name in self._option_string_actions if name.startswith("--") and name != "--help")
        if not option.startswith("-"):
            reason, accepted = "is one word too many", f"{self.prog} --help shows what is wanted"
            return Refused(reason, key=word, accepted=accepted)
        return Refused("unknown option", key=option, accepted=", ".join(known), given=option)


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="gridkeeper", description="A trading pipeline that you run yourself.")
    parser.add_argument("--version", action="version", version="gridkeeper 0.1.0")
    about_json = "print one JSON document on stdout and nothing else there"
    parser.add_argument("--json", action="store_true", help=about_json)
    inside = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    called = next((word for word in words if word in COMMANDS), None)
    for name, (module, about) in COMMANDS.items():
        one = inside.add_parser(name, help=about, description=about)
        # Suppressed where it is absent, so that it may stand before the command as well.
        one.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=about_json)
        if name == called:
            importlib.import_module(module).add(one)
    return parser.parse_args(words)


def _print(outcome: Outcome, command: str, *, as_json: bool) -> None:
    if not as_json:
        outcome.show()
        return
    document: dict[str, Any] = {"ok": outcome.exit_code == 0, "command": command, "data": outcome.data, "error": None}
    if outcome.top_level:
        document |= {key: value for key, value in outcome.data.items() if key not in document}
    print(json.dumps(document, default=str, allow_nan=False))


def _fail(fault: GridkeeperError, command: str, *, as_json: bool) -> int:
    if as_json:
        error = {"kind": fault.kind, "key": fault.key, "reason": fault.reason, "accepted": fault.accepted}
        print(json.dumps({"ok": False, "command": command, "data": {}, "error": error}, default=str))
    else:
        print(f"{f'gridkeeper {command}'.strip()}: {fault}", file=sys.stderr)
    return fault.exit_code


if __name__ == "__main__":
    sys.exit(main())
