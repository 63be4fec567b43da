"""Plants seeded bugs, one at a time, in a copy of the last commit and says which test catches each.

The bugs stand in benchmarks/mutants.toml as edits of one place each. The hostile simulation runs first, so that a bug
is named by the invariant it breaks where one sees it; the tables of the modules come after it. A mutant is caught by the
first test that fails, or by a run that does not end. A selection of tests that caught something must pass without a bug.

    python -m benchmarks.mutants [--sample K] [--seed S] [--only NAME ...] [--deselect TEST ...] [--workers 2] [--log]

Exit code 1 where a mutant survived. `--log` adds the run to benchmarks/mutants_log.md.
"""

import argparse
import io
import json
import os
import queue
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.faults import RAISED

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("mutants.toml")
LOG = Path(__file__).with_name("mutants_log.md")
# A clean selection takes half a minute on a busy machine; what takes six times that will never end.
PATIENCE_S = 240.0
CAUGHT_MIN = 0.95

# Tests that fail without any bug in the commit at hand (`--deselect`): they can't catch one.
RED: list[str] = []

# Selections of tests by the file that is changed, the first prefix that fits; they are run in turn until one catches the
# bug, the sharpest for its time first. The long runs of tests/core (a year of candles, fair games, the kernel) are left
# out: they are slow, not sharper.
# Not pytest: the seeds of `test_bad_weather_breaks_no_invariant` and a part of the crash points in a bare process, which
# starts in a tenth of the time.
STORM = ("benchmarks.mutants", "--storm")
STORM_SEEDS = range(500, 525)
STORM_STRIDE = 3
FOUND = ("tests/simulation/test_mutants_found.py", "tests/simulation/test_simulation_found.py")
LONG = ("grid_kernel", "kernel", "backtest_oracle", "martingale", "metrics", "series", "equity_kernel")
PROPERTIES = "tests/core/test_grid_properties.py"
CORE = (
    STORM,
    FOUND,
    ("tests/core", f"--ignore={PROPERTIES}", *(f"--ignore=tests/core/test_{name}.py" for name in LONG)),
    ("tests/simulation/test_hostile.py",),
    (PROPERTIES,),
)
EXCHANGE = tuple(f"tests/tasks/test_exchange{name}.py" for name in ("_errors", "_parse", "_limiter", ""))
SELECTIONS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("core/engine/recall.py", (*CORE, ("tests/tasks/test_store_load.py",))),
    ("core/", CORE),
    ("tasks/exchange", (EXCHANGE, ("tests/tasks/test_exchange_faults.py",))),
    ("tasks/store", (("tests/tasks/test_store.py",), ("tests/tasks/test_store_load.py",))),
    ("tasks/", (FOUND,)),
)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A seeded bug: `old` in `file` becomes `new`, and `breaks` says what is wrong then."""

    name: str
    breaks: str
    file: str
    old: str
    new: str

    @property
    def selections(self) -> tuple[tuple[str, ...], ...]:
        """The tests that are to catch it."""
        return next(tests for prefix, tests in SELECTIONS if self.file.startswith(prefix))

    def plant(self, tree: Path) -> str:
        """Change the file; returns its text before. Raises `ValueError` unless the place is found exactly once."""
        path = tree / self.file
        before = path.read_text(encoding="utf-8")
        times = before.count(self.old)
        if times != 1:
            message = f"mutant {self.name}: {self.old!r} stands {times} times in {self.file}, must stand there once"
            raise ValueError(message)
        path.write_text(before.replace(self.old, self.new), encoding="utf-8")
        return before


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: the test that caught it ("" for none) and its selection, the invariant named, seconds."""

    mutant: Mutant
    caught_by: str
    selection: tuple[str, ...]
    invariant: str
    took_s: float


def read_mutants() -> list[Mutant]:
    """Read the list; raises `TypeError` for a field that is missing or unknown."""
    return [Mutant(**row) for row in tomllib.loads(LIST.read_text(encoding="utf-8"))["mutant"]]


def git(*words: str) -> bytes:
    """Ask git about this repository."""
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, check=True).stdout


def copy_commit(folder: Path) -> Path:
    """Lay the last commit out in a folder, without anything that is not committed."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", "HEAD"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run_tests(tree: Path, selection: tuple[str, ...]) -> tuple[str, str]:
    """Run tests until the first failure; returns (the test that failed, the invariant it names), "" for none.

    Raises `RuntimeError` where pytest itself could not run.
    """
    # No bytecode: an edit within the same second and of the same length would go unseen. CI fixes Hypothesis' examples.
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "CI": "1"}
    options = () if selection == STORM else ("pytest", "-x", "-q", "--tb=short", "-p", "no:cacheprovider")
    command = [sys.executable, "-m", *options, *selection, *(f"--deselect={name}" for name in RED if options)]
    try:
        done = subprocess.run(
            command, cwd=tree, env=env, check=False, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return f"no end within {PATIENCE_S:.0f} s", ""
    if done.returncode == 0:
        return "", ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode not in {1, 2} or failed is None:
        raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")
    named = re.search(r"\bI-\d\d\b", done.stdout[max(done.stdout.find("= FAILURES"), 0) :])
    return failed[1], named[0] if named else ""


def storm() -> int:
    """Trade the heavy seeds of this very tree, then kill its scenes; stops at the first finding, with exit code 1."""
    # Only the copy that has the bug in it may load these.
    from tests.simulation.scenes import SCENES, play
    from tests.simulation.test_hostile import HEAVY, trade

    for seed in STORM_SEEDS:
        if found := _found_in(lambda seed=seed: trade(seed, HEAVY).found):
            print(f"FAILED tests/simulation/test_hostile.py[{seed}] {found}")
            return 1
    for scene in SCENES:
        # Boundaries 0, 3, 6, …; beyond the end of a scene nothing is killed any more.
        for at in range(0, 100, STORM_STRIDE):
            if found := _found_in(
                lambda scene=scene, at=at: play(scene, frozenset({at}), store_lost=at % 2 == 1).found
            ):
                print(f"FAILED tests/simulation/test_crash_points.py[{scene.name}-{at}] {found}")
                return 1
    return 0


def _found_in(run: Callable[[], list[str]]) -> str:
    try:
        found = run()
    except RAISED as error:
        # A leg with two orders that may trade, most often: the store itself refuses to go on (I-06).
        return f"raised {type(error).__name__}: {error}"
    return found[0] if found else ""


def judge(mutant: Mutant, tree: Path) -> Verdict:
    """Plant a bug, run its selections until one catches it, and take it out again."""
    began = time.monotonic()
    before = mutant.plant(tree)
    caught = invariant = ""
    selection: tuple[str, ...] = ()
    try:
        for selection in mutant.selections:
            caught, invariant = run_tests(tree, selection)
            if caught:
                break
    finally:
        (tree / mutant.file).write_text(before, encoding="utf-8")
    return Verdict(mutant, caught, selection, invariant, time.monotonic() - began)


def judge_all(mutants: list[Mutant], workers: int) -> list[Verdict]:
    """Judge every mutant, each worker in a copy of its own; raises `RuntimeError` where tests fail without a bug."""
    with tempfile.TemporaryDirectory(prefix="gridkeeper-mutants-") as name:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(workers):
            trees.put(copy_commit(Path(name) / str(number)))

        def with_tree(work: tuple[str, ...] | Mutant) -> tuple[str, str] | Verdict:
            tree = trees.get()
            try:
                done = judge(work, tree) if isinstance(work, Mutant) else run_tests(tree, work)
            finally:
                trees.put(tree)
            if isinstance(done, Verdict):
                print(f"{done.mutant.name:<36} {done.caught_by or 'SURVIVED'} {done.invariant}", flush=True)
            return done

        for mutant in mutants:
            tree = trees.get()
            before = mutant.plant(tree)
            (tree / mutant.file).write_text(before, encoding="utf-8")
            trees.put(tree)
        with ThreadPoolExecutor(workers) as pool:
            verdicts = [one for one in pool.map(with_tree, mutants) if isinstance(one, Verdict)]
            used = sorted({one.selection for one in verdicts if one.caught_by})
            for selection, (failed, _) in zip(used, pool.map(with_tree, used), strict=True):
                if failed:
                    raise RuntimeError(f"{failed} fails without any bug; {' '.join(selection)} can't catch one")
        return verdicts


def figures(verdicts: list[Verdict]) -> dict[str, float]:
    """Count them."""
    caught = [one for one in verdicts if one.caught_by]
    return {
        "mutants": len(verdicts), "caught": len(caught), "caught_share": round(len(caught) / len(verdicts), 4),
        "by_the_simulation": sum(one.selection == STORM or "test_hostile" in one.caught_by for one in caught),
        "with_an_invariant": sum(bool(one.invariant) for one in caught),
        "seconds": round(sum(one.took_s for one in verdicts)),
    }  # fmt: skip


def log_text(verdicts: list[Verdict], commit: str) -> str:
    """Write one run down for benchmarks/mutants_log.md."""
    rows = [
        f"| {one.mutant.name} | {one.mutant.breaks} | {one.mutant.file} | "
        f"{f'`{one.caught_by}`' if one.caught_by else 'SURVIVED'} | {one.invariant} | {one.took_s:.0f} |"
        for one in verdicts
    ]
    told = "; ".join(f"{name} {value:,}" for name, value in figures(verdicts).items())
    lines = [
        f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}", "", f"{told}.", "",
        "| mutant | what is wrong then | file | caught by | invariant | seconds |", "|---|---|---|---|---|---:|", *rows, "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """Judge all mutants or a seeded sample, print the table and one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log", action="store_true")
    parser.add_argument("--deselect", nargs="+", default=[], help="tests known to fail without any bug")
    parser.add_argument("--storm", action="store_true", help="trade the heavy seeds of this very tree, nothing else")
    args = parser.parse_args()
    if args.storm:
        return storm()
    RED.extend(args.deselect)
    mutants = read_mutants()
    if args.only:
        mutants = [one for one in mutants if one.name in set(args.only)]
    if args.sample is not None:
        mutants = random.Random(args.seed).sample(mutants, min(args.sample, len(mutants)))
    head = git("rev-parse", "--short=12", "HEAD").decode().strip()
    verdicts = judge_all(mutants, args.workers)
    if args.log:
        with LOG.open("a", encoding="utf-8") as file:
            file.write(f"\n{log_text(verdicts, head)}")
    said = {"benchmark": "mutants", "commit": head, "seed": args.seed, **figures(verdicts)}
    survived = [one.mutant.name for one in verdicts if not one.caught_by]
    print(json.dumps(said | {"survived": survived}))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
