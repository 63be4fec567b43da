"""Trades many seeds against the hostile account of tests/simulation and counts what went wrong there, and with us.

Each seed draws its own swarm of faults, a kind of bot, its settings and a price walk, trades through all of it, then comes
to rest and is compared with the exchange's books. A seed that breaks an invariant is stopped and printed as (seed, commit,
tick): `python -m benchmarks.faults --seed SEED --ticks 1` plays exactly that one again (with the same `--kind`).
Only ticks with faults switched on
count as ticks; the calm ones at the end of a seed are paid for in the rate, but not counted.

    python -m benchmarks.faults [--ticks 200000] [--seed 0] [--workers 2] [--seconds S] [--book FILE] [--log]
    python -m benchmarks.faults --kind rolling_grid --ticks 80000

A long run is kept in a book, one line of JSON for each block of seeds: a block that stands there is not traded again, so
a run that was ended goes on where it was. `--ticks 0 --book FILE --log` only adds up what the book holds.

Exit code 1 where an invariant broke. `--log` adds the figures to benchmarks/faults_log.md.
"""

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.hostile import CALM, Faults
from tests.simulation.kinds import EVERY_KIND, kind_of
from tests.simulation.trading import Trading

ROOT = Path(__file__).parents[1]
LOG = ROOT / "benchmarks" / "faults_log.md"
TICKS_PER_SEED = 400
SEEDS_PER_BLOCK = 25
# In a seed each fault is absent, rare, usual or frequent: a fault that is always there can hide what another one does.
ABSENT = 0.2
TIMES_USUAL = (0.5, 1.0, 2.0, 4.0)
# Delays stay within what the protocol promises to cover: quarantine 30 s, overlap of trade lists 60 s.
DELAYS_USUAL = (0.3, 1.0, 1.0, 2.5)
DELAYS = ("late_s", "lag_s", "trade_lag_s")
# The widest step of the price in one tick, in hundredths of a percent of its start: calm to wild.
STEPS_MAX = (15, 30, 60, 150)
# What our own code raises where it contradicts itself; whatever it is, the seed is broken.
RAISED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
INVARIANT = re.compile(r"\bI-\d\d\b")


@dataclass(slots=True)
class Tally:
    """What happened in some seeds. `cpu_s` is processor time, the calm ticks and all checks included."""

    seeds: int = 0
    ticks: int = 0
    crashes: int = 0
    crashes_store_lost: int = 0
    commands: int = 0
    orders: int = 0
    fills: int = 0
    cpu_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter[str])
    violations: Counter[str] = field(default_factory=Counter[str])
    broken: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])

    def add(self, other: "Tally") -> None:
        """Take the counts of other seeds in."""
        for name in ("seeds", "ticks", "crashes", "crashes_store_lost", "commands", "orders", "fills", "cpu_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults
        self.violations += other.violations
        self.broken += other.broken

    @classmethod
    def read(cls, told: dict[str, Any]) -> "Tally":
        """Read a line of a book back."""
        values = {one.name: told[one.name] for one in fields(cls)}
        values |= {name: Counter(values[name]) for name in ("faults", "violations")}
        values["broken"] = [(seed, tick, what) for seed, tick, what in values["broken"]]
        return cls(**values)


def swarm(seed: int) -> tuple[Faults, int]:
    """Draw how often each fault happens in a seed, and the widest step of its price."""
    rng = Random(f"swarm {seed}")
    drawn: dict[str, float] = {}
    for name, usual in asdict(Faults()).items():
        times = rng.choice(DELAYS_USUAL if name in DELAYS else TIMES_USUAL)
        drawn[name] = 0.0 if rng.random() < ABSENT else usual * times
    return Faults(**drawn), rng.choice(STEPS_MAX)


def trade(seed: int, kind: str = "") -> Tally:
    """Trade one seed to its end, or to the first broken invariant; of this kind, or of the kind that it draws."""
    faults, step_max = swarm(seed)
    began = time.process_time()
    one = Trading(seed, faults, step_max=step_max, kind=kind or kind_of(seed))
    said = ""
    ticks = 0
    try:
        while ticks < TICKS_PER_SEED and not one.broken:
            one.run(1)
            ticks += 1
        if not one.broken:
            one.settle()
    except RAISED as error:
        said = f"raised {type(error).__name__}: {error}"
    made = Tally(
        seeds=1, ticks=ticks, crashes=one.crashes, crashes_store_lost=one.stores_lost, commands=one.commands,
        orders=len(one.venue.books), fills=len(one.memory.fills), cpu_s=time.process_time() - began, faults=one.venue.by_kind,
    )  # fmt: skip
    wrong = [said] if said else one.found
    if wrong:
        made.broken.append((seed, ticks, wrong[0]))
        made.violations.update({(INVARIANT.findall(line) or ["raised"])[0] for line in wrong})
    return made


def trade_block(seeds: range, kind: str = "") -> Tally:
    """Trade some seeds one after the other."""
    tally = Tally()
    for seed in seeds:
        tally.add(trade(seed, kind))
    return tally


def blocks(first: int, count: int) -> Iterator[range]:
    """Cut `count` seeds from `first` on into blocks."""
    for start in range(first, first + count, SEEDS_PER_BLOCK):
        yield range(start, min(start + SEEDS_PER_BLOCK, first + count))


def run(first: int, ticks: int, workers: int, seconds_max: float | None, book: Path | None, kind: str = "") -> Tally:
    """Trade as many seeds as make up `ticks`, on some processes; no block is begun after `seconds_max`.

    What stands in the book for these seeds already is taken from there; everything new is written into it.
    """
    began, commit = time.monotonic(), commit_id()
    done = read_book(book) if book is not None else {}
    tally = Tally()
    for part in done.values():
        tally.add(part)
    waiting = [one for one in blocks(first, -(-ticks // TICKS_PER_SEED)) if one.start not in done]
    with multiprocessing.Pool(workers) as pool:
        while waiting and (seconds_max is None or time.monotonic() - began < seconds_max):
            now, waiting = waiting[:workers], waiting[workers:]
            asked = [(one, kind) for one in now]
            parts = (
                pool.starmap(trade_block, asked, chunksize=1) if workers > 1 else [trade_block(*one) for one in asked]
            )
            for block, part in zip(now, parts, strict=True):
                tally.add(part)
                if book is not None:
                    line = {"block": block.start, "commit": commit}
                    line |= {one.name: getattr(part, one.name) for one in fields(part)}
                    with book.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
    return tally


def read_book(book: Path) -> dict[int, Tally]:
    """Return the blocks that a book holds, by their first seed; none where there is no book yet."""
    if not book.exists():
        return {}
    lines = [json.loads(line) for line in book.read_text(encoding="utf-8").splitlines()]
    return {line["block"]: Tally.read(line) for line in lines}


def commit_id() -> str:
    """Name the commit that is run, with a mark where core or simulation differ from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
    paths = ["core", "tests/simulation", "tests/core/worlds.py"]
    edits = subprocess.run([*git, "status", "--porcelain", "--", *paths], capture_output=True, text=True, check=True)
    return head.stdout.strip() + ("+changes" if edits.stdout.strip() else "")


def table(tally: Tally) -> dict[str, int | float]:
    """Return the figures by name, in the order in which they are shown."""
    return {
        "seeds": tally.seeds, "ticks": tally.ticks, "faults": tally.faults.total(), "crashes": tally.crashes,
        "crashes_store_lost": tally.crashes_store_lost, "words_of_control": tally.commands, "orders": tally.orders,
        "fills": tally.fills, "violations": len(tally.broken), "cpu_s": round(tally.cpu_s, 1),
        "ticks_per_cpu_s": round(tally.ticks / tally.cpu_s) if tally.cpu_s else 0,
    }  # fmt: skip


def log_entry(first: int, tally: Tally, commit: str) -> str:
    """Write one run down for benchmarks/faults_log.md."""
    lines = [f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}", ""]
    lines += [
        f"{tally.seeds:,} seeds from {first} on, {TICKS_PER_SEED} faulted ticks each, then 50 calm ones that settle. After",
        "every crash the state from the store and the state from the exchange alone were compared (I-25).",
        "", "| figure | value |", "|---|---:|",
        *(f"| {name} | {value:,} |" for name, value in table(tally).items()),
        "", "| fault | times |", "|---|---:|", *(f"| {name} | {count:,} |" for name, count in sorted(tally.faults.items())),
        "",
    ]  # fmt: skip
    lines += [f"- broken: seed {seed}, commit {commit}, tick {tick}: {what}" for seed, tick, what in tally.broken]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Trade, print, log; exit code 1 where an invariant broke."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ticks", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kind", choices=EVERY_KIND, default="", help="trade this kind alone; else each seed draws one"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--book", type=Path)
    parser.add_argument("--log", action="store_true")
    args = parser.parse_args()
    commit = commit_id()
    tally = run(args.seed, args.ticks, args.workers, args.seconds, args.book, args.kind)
    for name, value in table(tally).items():
        print(f"{name:<20} {value:>14,}")
    never = asdict(CALM).keys() - tally.faults.keys() - set(DELAYS)
    for name, count in [*sorted(tally.faults.items()), *((name, 0) for name in sorted(never))]:
        print(f"  fault {name:<12} {count:>14,}")
    for name, count in sorted(tally.violations.items()):
        print(f"  broke {name:<12} {count:>14,}")
    for seed, tick, what in tally.broken:
        print(f"violation at seed {seed}, commit {commit}, tick {tick}: {what}")
    said = {"benchmark": "faults", "commit": commit, "first_seed": args.seed, **table(tally)}
    print(json.dumps(said | {"by_fault": tally.faults, "by_invariant": tally.violations}))
    if args.log:
        head = "" if LOG.exists() else "# Runs of the hostile simulation\n"
        with LOG.open("a", encoding="utf-8") as file:
            file.write(f"{head}\n{log_entry(args.seed, tally, commit)}")
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
