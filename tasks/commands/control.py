"""`gridkeeper control`: words to a bot, through a durable inbox that the next tick reads in order."""

import argparse
import getpass

from tasks.commands.places import add_place, find_place
from tasks.errors import Refused
from tasks.outcome import Outcome

ACTIONS = ("pause", "resume", "halt", "flatten", "cancel", "close-lot", "claim", "release")


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper control btc1 pause --portfolio examples/paper.yaml --note 'news tonight'"
    parser.add_argument("bot", metavar="BOT")
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--lot", default="", metavar="LOT", help="which lot, for close-lot (see `gridkeeper status`)")
    parser.add_argument("--note", default="", metavar="TEXT", help="why; kept in the journal")
    add_place(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Put the word into the inbox; raises `Refused` for a bot that the portfolio does not have."""
    from tasks import inbox

    place = find_place(args)
    if place.bots is not None and args.bot not in place.bots:
        raise Refused(f"there is no bot {args.bot!r}", key="BOT", accepted=", ".join(place.bots))
    if args.action == "close-lot" and not args.lot:
        raise Refused("close-lot needs a lot", key="--lot", accepted="a lot id such as 12-0")
    try:
        number = inbox.submit(place.data_dir, args.bot, args.action, getpass.getuser(), args.note, args.lot)
    except inbox.ControlRefused as refused:
        raise Refused(str(refused), key="control") from None
    data = {"id": number, "bot": args.bot, "action": args.action}
    return Outcome(
        data, lambda: print(f"{args.action} for {args.bot} is in the inbox (number {number}); the next tick applies it")
    )
