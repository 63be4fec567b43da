"""`gridkeeper doctor`: looks at everything that stops a portfolio from running well, and says how to mend it."""

import argparse
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.portfolio import Portfolio
from tasks.commands.places import add_place
from tasks.errors import GridkeeperError
from tasks.outcome import Outcome
from tasks.pins import CONSTRAINTS, check_pins
from tasks.settings import BUILT_IN, data_dir, load_portfolio

PYTHON_LEAST = (3, 11)
DISK_LEAST_MB = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: ok, warning or failed; what was found, and how to mend it."""

    what: str
    state: str
    found: str
    mend: str = ""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper doctor --portfolio examples/paper.yaml"
    add_place(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Look; exit code 3 where something failed (RULES 23), 2 where the portfolio file itself is refused."""
    file = Path(args.portfolio) if args.portfolio else BUILT_IN
    portfolio = load_portfolio(file)
    findings = [*_machine(), *_pins(), *_portfolio(portfolio, file)]
    failed = [one for one in findings if one.state == "failed"]
    data = {"findings": [asdict(one) for one in findings], "failed": len(failed)}
    return Outcome(data, lambda: _show(findings), exit_code=3 if failed else 0)


def _machine() -> list[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= PYTHON_LEAST
    return [Finding("Python", "ok" if good else "failed", version, "" if good else "install Python 3.11 or newer")]


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


def _portfolio(portfolio: Portfolio, file: Path) -> list[Finding]:
    from tasks.assemble import instruments_of, paper_token, specs_of
    from tasks.opening import stored_rules

    folder = data_dir(portfolio, file)
    findings = [Finding("portfolio", "ok", f"{file}: {len(portfolio.bots)} bots, {portfolio.mode} mode")]
    try:
        rules = instruments_of(portfolio, {}, stored_rules(folder))
        specs = specs_of(portfolio, rules, paper_token(portfolio.id))
    except GridkeeperError as fault:
        return [*findings, Finding("trading rules", "failed", str(fault), fault.accepted)]
    for spec in specs.values():
        rule = spec.instrument
        findings.append(
            Finding(
                f"bot {spec.bot_id}",
                "ok",
                f"{spec.places} levels on {rule.symbol}, capital {spec.capital_quote:.2f} {rule.quote}; "
                f"tick {rule.tick_size}, lot {rule.lot_step}, minimum {rule.min_notional} {rule.quote} ({rule.source})",
            )
        )
    return [*findings, _disk(folder), _clock(folder)]


def _disk(folder: Path) -> Finding:
    import shutil

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


def _show(findings: list[Finding]) -> None:
    signs = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
    for one in findings:
        print(f"{signs[one.state]}  {one.what}: {one.found}")
        if one.mend:
            print(f"         {one.mend}")
