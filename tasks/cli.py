"""The `gridkeeper` command: reads arguments, runs one command, prints it for people or as one JSON document.

Exit codes: 0 done; 2 configuration or input refused; 3 halted by a safety rule; 4 another instance owns the store;
1 anything else. With `--json` stdout holds one document and nothing else: {"ok", "command", "data", "error"}.
"""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Mapping
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


def commands() -> list[str]:
    """List the commands there are."""
    return list(COMMANDS)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
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
    return outcome.exit_code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are refusals like any other."""

    def error(self, message: str) -> NoReturn:
        """Raise `Refused` instead of leaving the process."""
        raise Refused(message, key="arguments", accepted=f"{self.prog} --help shows them")


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="gridkeeper", description="A trading pipeline that you run yourself.")
    parser.add_argument("--version", action="version", version="gridkeeper 0.1.0")
    inside = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    called = next((word for word in words if word in COMMANDS), None)
    for name, (module, about) in COMMANDS.items():
        one = inside.add_parser(name, help=about, description=about)
        one.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
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
        print(f"gridkeeper {command}: {fault}".replace("  ", " "), file=sys.stderr)
    return fault.exit_code


if __name__ == "__main__":
    sys.exit(main())
