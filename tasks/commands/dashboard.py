"""`gridkeeper dashboard`: the web page of the published copy, alone; `gridkeeper up` starts it as well."""

import argparse

from tasks.commands.places import add_place, find_place
from tasks.dashboard_child import PORT, free_port, url
from tasks.errors import Refused
from tasks.outcome import Outcome, say


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper dashboard --portfolio examples/paper.yaml --port 4280"
    add_place(parser)
    parser.add_argument(
        "--port", type=int, metavar="N", help=f"where it listens on 127.0.0.1 (default: the first free one from {PORT})"
    )


def run(args: argparse.Namespace) -> Outcome:
    """Serve until Ctrl-C; raises `Refused` where the port is taken."""
    place = find_place(args)
    port = free_port(PORT if args.port is None else args.port, 40 if args.port is None else 1)
    if port is None:
        asked = "one of 40 from 4280" if args.port is None else f"{args.port}"
        raise Refused(f"port {asked} is taken or not allowed", key="--port", accepted="a free port from 1024 to 65535")
    say(f"dashboard: {url(port)} (only from this machine; Ctrl-C stops it)")
    from tasks.dashboard_process import serve

    serve(place.data_dir, port)
    return Outcome({"url": url(port)})
