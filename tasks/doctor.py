"""What stops a portfolio from running well, looked at without an exchange: packages, disk, clock, rules, alerts."""

import ctypes
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.market import Instrument
from core.portfolio import Alerts, Portfolio
from tasks.cadence import INTERVAL_MAX_S, objection_to
from tasks.errors import GridkeeperError
from tasks.pins import CONSTRAINTS, check_pins

PYTHON_LEAST = (3, 11)
DISK_LEAST_MB = 500
# adjtimex(2): what it returns where the kernel's clock is not kept in step with another.
TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ok, warning or failed; what was found, and how to mend it."""

    what: str
    state: str
    found: str
    mend: str = ""


def look_at_machine(folder: Path) -> list[Finding]:
    """Look at Python, packages, disk and clock of this machine."""
    return [_python(), *_pins(), _disk(folder), _clock(folder), _synchronised()]


def look_at_bots(portfolio: Portfolio, rules: dict[str, dict[str, Instrument]], folder: Path) -> list[Finding]:
    """Look at every bot's sizes against trading rules: the exchange's where given, else the last stored, else built-in."""
    from tasks.assemble import instruments_of, paper_token, specs_of
    from tasks.opening import stored_rules

    try:
        found = instruments_of(portfolio, rules, stored_rules(folder))
        specs = specs_of(portfolio, found, paper_token(portfolio.id))
    except GridkeeperError as fault:
        return [Finding("trading rules", "failed", str(fault), fault.accepted)]
    findings: list[Finding] = []
    for spec in specs.values():
        rule = spec.instrument
        text = (
            f"{spec.places} levels on {rule.symbol}, capital {spec.capital_quote:.2f} {rule.quote}; "
            f"tick {rule.tick_size}, lot {rule.lot_step}, minimum {rule.min_notional} {rule.quote} ({rule.source})"
        )
        findings.append(Finding(f"bot {spec.bot_id}", "ok", text))
        findings += [Finding(f"bot {spec.bot_id}", "warning", said) for said in spec.warnings]
    return findings


def look_at_cadence(portfolio: Portfolio, interval_s: float) -> list[Finding]:
    """Look at whether ticks so many seconds apart are often enough for every bot."""
    mend = f"--interval {INTERVAL_MAX_S:g} or shorter, or streams: true at its venues"
    said = [(bot.id, objection_to(portfolio, bot, interval_s)) for bot in portfolio.bots]
    return [Finding(f"bot {name}", "failed", found, mend) for name, found in said if found]


def look_at_alerts(config: Alerts, folder: Path) -> list[Finding]:
    """Look at whether somebody would be told, and whether messages wait that nobody takes."""
    from tasks import alerts
    from tasks.alerts_outbox import Outbox

    if not config.urls:
        return [Finding("alerts", "warning", "nobody is told of incidents", "add apprise URLs under alerts.urls")]
    try:
        alerts.check(config)
    except GridkeeperError as fault:
        return [Finding("alerts", "failed", str(fault), fault.accepted)]
    waiting, failed = Outbox(folder).waiting()
    if failed:
        text = f"{failed} of {waiting} waiting messages were not taken when last tried"
        return [
            Finding("alerts", "warning", text, "check address, token and network: gridkeeper doctor --alert sends one")
        ]
    return [Finding("alerts", "ok", f"{len(config.urls)} addresses, {waiting} messages waiting")]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= PYTHON_LEAST
    return Finding("Python", "ok" if good else "failed", version, "" if good else "install Python 3.11 or newer")


def _pins() -> list[Finding]:
    problems = check_pins()
    if not problems:
        return [Finding("packages", "ok", f"as pinned in {CONSTRAINTS.name}")]
    return [
        Finding(
            "packages",
            "failed" if one.breaks else "warning",
            str(one),
            f"pip install -c {CONSTRAINTS.name} {one.package}",
        )
        for one in problems
    ]


def _disk(folder: Path) -> Finding:
    there = folder
    while not there.exists():
        there = there.parent
    free_mb = shutil.disk_usage(there).free // 1_000_000
    good = free_mb >= DISK_LEAST_MB
    return Finding("disk", "ok" if good else "failed", f"{free_mb:,} MB free for {folder}", "" if good else "make room")


def _clock(folder: Path) -> Finding:
    """Compare the clock with the newest file of the store: a clock that ran backwards breaks every age."""
    store = folder / "trading.duckdb"
    if not store.exists():
        return Finding("clock", "ok", "nothing has run here yet")
    written = datetime.fromtimestamp(store.stat().st_mtime, UTC)
    ahead_s = (written - datetime.now(UTC)).total_seconds()
    if ahead_s > 2:
        return Finding(
            "clock", "failed", f"the store was written {ahead_s:.0f} s in the future", "synchronise the clock (NTP)"
        )
    return Finding("clock", "ok", f"the store was last written {-ahead_s:.0f} s ago")


def _synchronised() -> Finding:
    what = "time synchronisation"
    said = clock_state()
    if said is None:
        return Finding(what, "ok", "this system does not tell; the exchange's clock is compared where keys are given")
    if said == TIME_ERROR:
        mend = "switch on a time service: timedatectl set-ntp true, or chrony"
        return Finding(what, "warning", "the kernel's clock is not synchronised", mend)
    return Finding(what, "ok", "the kernel's clock is kept in step")


def clock_state() -> int | None:
    """Ask the kernel for the state of its clock (adjtimex(2), reading only); None where it does not say."""
    if sys.platform != "linux":
        return None
    room = ctypes.create_string_buffer(512)  # struct timex, all zero: modes = 0 changes nothing
    said = ctypes.CDLL(None, use_errno=True).adjtimex(room)
    return None if said < 0 else said
