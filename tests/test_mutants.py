"""The seeded bugs fit the code as it stands, so that they can be planted; planting them is `benchmarks.mutants`' work."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.mutants import Mutant, read_mutants

ROOT = Path(__file__).parents[1]
MUTANTS = read_mutants()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_seeded_bug_has_its_place(mutant: Mutant) -> None:
    """The text that a bug replaces stands in its file once, and the bug changes it into other Python."""
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert text.count(mutant.old) == 1, f"follow the move of {mutant.old!r} in benchmarks/mutants.toml"
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")


def test_there_are_enough_seeded_bugs() -> None:
    """At least 40, each with a name of its own, each with tests that are there."""
    assert len({one.name for one in MUTANTS}) == len(MUTANTS) >= 40
    named = {word for one in MUTANTS for tests in one.selections for word in tests if word.startswith("tests/")}
    assert all((ROOT / word).exists() for word in named)


@pytest.mark.long
def test_a_sample_of_seeded_bugs_is_caught() -> None:
    """Ten of them, planted in a copy of the last commit, are caught; all of them take half an hour on two cores."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: the last commit can't be laid out")
    command = [sys.executable, "-m", "benchmarks.mutants", "--sample", "10", "--seed", "4", "--workers", "1"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["caught"] == 10
