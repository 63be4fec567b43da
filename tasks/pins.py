"""Whether the installed packages are those that the tests passed with.

constraints.txt names a version for every package, direct or not. An installation that was made past it may work, or
may fail in ways that nothing announces; those known to fail are named here with what they do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


@dataclass(frozen=True, slots=True)
class PinProblem:
    """One package that is not as constraints.txt has it.

    `installed` and `wanted` are versions; None where the package is absent or not pinned. `breaks` tells that the
    installed version is known not to work, as against one that is merely untested.
    """

    package: str
    installed: str | None
    wanted: str | None
    reason: str
    breaks: bool = False

    def __str__(self) -> str:
        found = self.installed or "absent"
        return f"{self.package} {found}: {self.reason} (constraints.txt has {self.wanted or 'no version of it'})"


@dataclass(frozen=True, slots=True)
class Trap:
    """Versions that install without complaint and then fail; `works` are those outside of the trap."""

    package: str
    works: SpecifierSet
    reason: str


TRAPS = (
    Trap("fastapi", SpecifierSet("<0.151"), "the Prefect server does not start with 0.151 or newer"),
    Trap("sqlalchemy", SpecifierSet("<2.1"), "Prefect's schedules create no runs with 2.1 or newer, without a word"),
    Trap("duckdb", SpecifierSet(">=1.5,<2.1"), "the SQL is tested with DuckDB 1.5 and 2.0 only"),
)


def check_pins(constraints_path: Path = CONSTRAINTS, package: str = "gridkeeper") -> list[PinProblem]:
    """Compare what `package` really imports, directly or not, with the versions in `constraints_path`.

    Packages that nothing here needs may be installed beside it in any version. What is known to break comes first.

    Raises:
        FileNotFoundError: there is no file of constraints.
        ValueError: one of its lines is not `name==version`.
    """
    wanted = read_constraints(constraints_path)
    installed = installed_closure(package)
    own = canonicalize_name(package)
    if installed[own] is None:
        return [PinProblem(own, None, None, "it is not installed itself; ./run installs it", breaks=True)]
    traps = {trap.package: trap for trap in TRAPS}
    problems = [
        problem
        for name, version in sorted(installed.items())
        if name != own and (problem := compare(name, version, wanted.get(name), traps.get(name)))
    ]
    return sorted(problems, key=lambda problem: not problem.breaks)


def compare(name: str, installed: str | None, wanted: str | None, trap: Trap | None) -> PinProblem | None:
    """What is wrong with one package, or None."""
    if installed is None:
        return PinProblem(name, None, wanted, "it is needed and not installed", breaks=True)
    if trap and not trap.works.contains(installed, prereleases=True):
        return PinProblem(name, installed, wanted, trap.reason, breaks=True)
    if wanted is None:
        return PinProblem(name, installed, None, "it is needed and not pinned")
    if Version(installed) != Version(wanted):
        return PinProblem(name, installed, wanted, "another version than the tested one")
    return None


def read_constraints(path: Path) -> dict[str, str]:
    """The pinned version of each package, by its normalised name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not `name==version`.
    """
    pins: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        name, separator, version = text.partition("==")
        if not separator or not name.strip() or not version.strip():
            raise ValueError(f"{path.name} line {number}: {text!r} is not of the form name==version")
        pins[canonicalize_name(name.strip())] = version.strip()
    return pins


def installed_closure(package: str) -> dict[str, str | None]:
    """The version of `package` and of all that it requires here, optional parts left out; None where not installed."""
    versions: dict[str, str | None] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(package), frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            versions[name] = None
            continue
        versions[name] = found.version
        waiting += [(canonicalize_name(need.name), frozenset(need.extras)) for need in needs(found, extras)]
    return versions


def needs(found: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    """What a distribution requires on this machine with the given extras."""
    for line in found.requires or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield need
