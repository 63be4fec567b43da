"""`gridkeeper doctor`: looks at everything that stops a portfolio from running well, and says how to mend it."""

import argparse
import asyncio
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.portfolio import Portfolio
from tasks.commands.backtest import seconds
from tasks.commands.places import add_place
from tasks.doctor import Finding, look_at_alerts, look_at_bots, look_at_cadence, look_at_machine
from tasks.errors import Refused
from tasks.outcome import Outcome, say
from tasks.settings import BUILT_IN, data_dir, load_portfolio


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "examples: gridkeeper doctor --portfolio live.yaml --interval 5 --place; from cron, every minute: "
        "gridkeeper doctor --heartbeat --portfolio live.yaml"
    )
    add_place(parser)
    parser.add_argument(
        "--interval", type=seconds, default=5.0, metavar="S", help="seconds between ticks, for the request weight"
    )
    parser.add_argument(
        "--place", action="store_true", help="place one order of the smallest size far from the market, and cancel it"
    )
    parser.add_argument("--alert", action="store_true", help="send a test message to every address of alerts")
    parser.add_argument(
        "--heartbeat",
        action="store_true",
        help="only look for a recent tick; without one raise the alarm and exit with 3",
    )
    parser.add_argument(
        "--max-age", type=seconds, metavar="S", help="for --heartbeat (default: alerts.heartbeat_s, 60)"
    )
    parser.add_argument("--every", type=seconds, metavar="S", help="for --heartbeat: go on looking, this often")


def run(args: argparse.Namespace) -> Outcome:
    """Look; exit code 3 where something failed (RULES 23), 2 where the portfolio file itself is refused."""
    file = Path(args.portfolio) if args.portfolio else BUILT_IN
    portfolio = load_portfolio(file)
    folder = data_dir(portfolio, file)
    if args.heartbeat:
        return _heartbeat(args, portfolio, folder)
    if args.place and portfolio.mode not in {"demo", "live"}:
        raise Refused(f"{portfolio.mode} mode has no exchange account", key="--place", accepted="demo or live")
    findings = [
        Finding("portfolio", "ok", f"{file}: {_bots(portfolio)}, {portfolio.mode} mode"),
        *look_at_machine(folder),
        *look_at_alerts(portfolio.alerts, folder),
    ]
    rules = {}
    if portfolio.mode in {"demo", "live"}:
        from tasks.doctor_exchange import look_at_exchange  # imports ccxt, which takes a second

        told, rules = asyncio.run(look_at_exchange(portfolio, args.interval, place=args.place))
        findings += told
    elif portfolio.mode == "paper" and portfolio.feed.kind in {"auto", "live"}:
        from tasks.doctor_exchange import look_at_names

        findings += asyncio.run(look_at_names(portfolio))
    findings += [*look_at_bots(portfolio, rules, folder), *look_at_cadence(portfolio, args.interval)]
    if args.alert:
        findings.append(_test_message(portfolio, folder))
    failed = [one for one in findings if one.state == "failed"]
    data = {"findings": [asdict(one) for one in findings], "failed": len(failed)}
    return Outcome(data, lambda: _show(findings), exit_code=3 if failed else 0)


def _bots(portfolio: Portfolio) -> str:
    return f"{len(portfolio.bots)} bot{'' if len(portfolio.bots) == 1 else 's'}"


def _heartbeat(args: argparse.Namespace, portfolio: Portfolio, folder: Path) -> Outcome:
    from tasks.alerts import check
    from tasks.alerts_outbox import utc_now
    from tasks.heartbeat import look

    check(portfolio.alerts)
    # Where ticks are far apart by intent, one that is late by a little is no alarm.
    limit_s = args.max_age or max(portfolio.alerts.heartbeat_s, 3 * args.interval)
    was = None
    while True:
        found = look(folder, portfolio.id, portfolio.alerts, utc_now(), limit_s)
        if args.every is None:
            break
        if found.alive is not was:
            was = found.alive
            say(found.words())
        time.sleep(args.every)
    data: dict[str, Any] = {
        "alive": found.alive, "age_s": found.age_s, "limit_s": found.limit_s, "sent": found.sent, "unsent": found.unsent,
    }  # fmt: skip
    return Outcome(data, lambda: print(found.words()), exit_code=0 if found.alive else 3)


def _test_message(portfolio: Portfolio, folder: Path) -> Finding:
    from tasks.alerts import address_of, deliver
    from tasks.alerts_outbox import Outbox, utc_now

    what = "test message"
    if not portfolio.alerts.urls:
        return Finding(what, "failed", "there is no address", "add apprise URLs under alerts.urls")
    outbox, now = Outbox(folder), utc_now()
    addresses = [address_of(url.get_secret_value()) for url in portfolio.alerts.urls]
    outbox.post(addresses, f"gridkeeper {portfolio.id}: test message", "Alerts reach you here.", "info", now)
    sent, unsent = deliver(outbox, portfolio.alerts, now)
    if unsent:
        mend = "check address, token and network; the message is tried again for a day while the portfolio runs"
        return Finding(what, "failed", f"{unsent} of {sent + unsent} were not taken", mend)
    return Finding(what, "ok", f"{sent} were taken")


def _show(findings: list[Finding]) -> None:
    signs = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
    for one in findings:
        print(f"{signs[one.state]}  {one.what}: {one.found}")
        if one.mend:
            print(f"         {one.mend}")
