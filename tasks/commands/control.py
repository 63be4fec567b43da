"""`gridkeeper control`: words to a bot, through a durable inbox that the next tick reads in order."""

import argparse
import asyncio
import getpass
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.facts import Action
from tasks.commands.backtest import seconds
from tasks.commands.places import Place, add_place, find_place
from tasks.errors import Refused
from tasks.orchestrator_queue import WORDS
from tasks.outcome import Outcome, say

ACTIONS = tuple(action.value for action in Action)
# Stands for no bot where an incident concerns the account or a venue.
ACCOUNT = "account"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper control btc1 pause --portfolio examples/paper.yaml --note 'news tonight'"
    parser.add_argument("bot", metavar="BOT", help=f"the bot; `{ACCOUNT}` for an incident that is no bot's")
    parser.add_argument("action", choices=(*ACTIONS, *WORDS))
    parser.add_argument("--lot", default="", metavar="LOT", help="which lot, for close-lot (see `gridkeeper status`)")
    parser.add_argument(
        "--incident", default="", metavar="ID", help="which incident, for acknowledge: its id or its key"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="for create: a YAML file with what a bot has in the portfolio file"
    )
    parser.add_argument("--keep-position", action="store_true", help="for stop: keep what it holds")
    parser.add_argument("--close-hold", action="store_true", help="for stop: close what an ended executor still holds")
    parser.add_argument("--note", default="", metavar="TEXT", help="why; kept in the journal")
    parser.add_argument("--dry-run", action="store_true", help="show what it would do, and do nothing")
    parser.add_argument(
        "--now", action="store_true", help="for flatten: act in this process where no tick process runs"
    )
    parser.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="S", help="for --now: how long it may take (default 60)"
    )
    add_place(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Put the word into the inbox; raises `Refused` for a bot that the portfolio does not have."""
    from tasks import inbox

    place = find_place(args)
    if args.action in WORDS:
        return _executor(args, place)
    argument = _argument(args, place)
    if args.now and (args.action != Action.FLATTEN.value or place.file is None):
        raise Refused(
            "acts on `flatten` alone, and needs --portfolio", key="--now", accepted="control BOT flatten --now"
        )
    if args.dry_run:
        return _dry_run(args, place, argument)
    try:
        number = inbox.submit(place.data_dir, args.bot, args.action, getpass.getuser(), args.note, argument)
    except inbox.ControlRefused as refused:
        raise Refused(str(refused), key="control") from None
    data = {"id": number, "bot": args.bot, "action": args.action}
    if args.now and place.file is not None:
        return _now(args, place.file, place.data_dir, data)
    return Outcome(
        data, lambda: print(f"{args.action} for {args.bot} is in the inbox (number {number}); the next tick applies it")
    )


def _executor(args: argparse.Namespace, place: Place) -> Outcome:
    from tasks.orchestrator_queue import action_of, submit

    if args.dry_run or args.now:
        raise Refused(f"{args.action} knows neither --dry-run nor --now", key="control", accepted="another word")
    config = None if args.config is None else _config_in(args.config)
    action = action_of(
        args.action, args.bot, config, keep_position=args.keep_position, close_hold=args.close_hold
    )  # fmt: skip
    name = submit(place.data_dir, action)
    data = {"action_file": name, "bot": args.bot, "action": args.action}
    return Outcome(
        data, lambda: print(f"{args.action} for {args.bot} is in the queue; the next tick obeys, or says why not")
    )


def _config_in(file: Path) -> dict[str, Any]:
    import yaml

    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as fault:
        raise Refused(f"{file} cannot be read: {fault}", key="--config", accepted="a YAML file") from None
    if not isinstance(told, dict):
        raise Refused(f"{file} holds no fields", key="--config", accepted="what a bot has in the portfolio file")
    return told


def _argument(args: argparse.Namespace, place: Place) -> str:
    acknowledges = args.action == Action.ACKNOWLEDGE.value
    if args.bot not in (place.bots or ()) and not (acknowledges and args.bot == ACCOUNT):
        known = sorted({*(place.bots or ()), *_published_bots(place)})
        if known and args.bot not in known:
            raise Refused(f"there is no bot {args.bot!r}", key="BOT", accepted=", ".join(known), given=args.bot)
    if args.action == Action.CLOSE_LOT.value and not args.lot:
        raise Refused("close-lot needs a lot", key="--lot", accepted="a lot id such as 12-0")
    if not acknowledges:
        return args.lot
    if not args.incident:
        raise Refused("acknowledge needs an incident", key="--incident", accepted="an id or key of `gridkeeper status`")
    return _incident_key(args.incident, place) if args.incident.isdecimal() else args.incident


def _published_bots(place: Place) -> list[str]:
    # Those at work, executors too, which no portfolio file names; none before the first publication.
    from tasks.sql_query import QueryRefused, query

    try:
        return [name for (name,) in query(place.data_dir, "SELECT bot_id FROM bot_state")[1]]
    except QueryRefused:
        return []


def _incident_key(number: str, place: Place) -> str:
    from tasks.commands.published import ask_published

    _, rows, _ = ask_published(
        place.data_dir,
        f"SELECT kind || '/' || bot_id || '/' || subject FROM incidents WHERE id = {int(number)}",  # noqa: S608
    )
    if not rows:
        raise Refused(f"there is no incident {number}", key="--incident", accepted="an id of `gridkeeper status`")
    return rows[0][0]


def _dry_run(args: argparse.Namespace, place: Place, argument: str) -> Outcome:
    from tasks.control_preview import preview

    if args.action == Action.ACKNOWLEDGE.value:
        raise Refused("acknowledge sends nothing", key="--dry-run", accepted="a word that does")
    found = preview(place.data_dir, args.bot, args.action, argument, getpass.getuser(), args.note)
    return Outcome({"dry_run": True, **asdict(found)}, lambda: print("\n".join(found.lines())))


def _now(args: argparse.Namespace, file: Path, data_dir: Path, data: dict[str, object]) -> Outcome:
    from tasks.control_now import flatten_now

    say(f"flatten for {args.bot} is in the inbox; taking the store to act on it")
    done = asyncio.run(flatten_now(file, data_dir, args.bot, args.timeout))
    text = (
        f"{args.bot} is flat after {done.ticks} ticks: {done.mode}, {done.left:f} left below the exchange's minimum"
        if done.acted
        else "a tick process is at work and obeys within its next tick"
    )
    return Outcome({**data, **asdict(done)}, lambda: print(text))
