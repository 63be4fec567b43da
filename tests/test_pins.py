"""tasks.pins on the real metadata of this environment, against constraints written for each case."""

from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tasks.pins import (
    CONSTRAINTS,
    TRAPS,
    Trap,
    check_pins,
    compare,
    installed_closure,
    read_constraints,
)


def constraints_with(path: Path, **changed: str | None) -> Path:
    """The project's constraints with some versions replaced, or left out where None."""
    pins: dict[str, str | None] = {**read_constraints(CONSTRAINTS), **changed}
    file = path / "constraints.txt"
    file.write_text("".join(f"{name}=={pin}\n" for name, pin in pins.items() if pin))
    return file


def test_this_environment_has_exactly_the_pinned_versions() -> None:
    """What the tests run with is what constraints.txt promises a user."""
    assert [str(problem) for problem in check_pins()] == []


def test_the_closure_reaches_packages_that_only_others_need() -> None:
    """A transitive package such as starlette, which only fastapi asks for, is compared too."""
    closure = installed_closure("gridkeeper")
    assert {"prefect", "starlette", "fastapi", "sqlalchemy"} <= closure.keys()
    assert "pytest" not in closure


def test_another_version_than_the_pinned_one_is_named(tmp_path: Path) -> None:
    """The problem names the package, what is installed and what was tested, and does not claim that it breaks."""
    (problem,) = check_pins(constraints_with(tmp_path, rich="1.0"))
    assert (problem.package, problem.installed, problem.wanted) == ("rich", version("rich"), "1.0")
    assert not problem.breaks
    assert version("rich") in str(problem)


def test_a_needed_package_without_a_pin_is_named(tmp_path: Path) -> None:
    """A package that constraints.txt forgot is found, since a later install would take any version of it."""
    (problem,) = check_pins(constraints_with(tmp_path, starlette=None))
    assert (problem.package, problem.wanted, problem.breaks) == ("starlette", None, False)


def test_pins_of_absent_packages_are_no_problem(tmp_path: Path) -> None:
    """constraints.txt also pins what only tests need; a user's environment may go without."""
    assert check_pins(constraints_with(tmp_path, **{"a-package-nobody-needs": "1.0"})) == []


@pytest.mark.parametrize(
    ("package", "fine", "broken", "word"),
    [
        ("fastapi", "0.150.0", "0.151.0", "does not start"),
        ("sqlalchemy", "2.0.58", "2.1.0", "create no runs"),
        ("sqlalchemy", "2.0.58", "2.1.0b1", "create no runs"),
        ("duckdb", "1.5.6", "1.4.9", "1.5 and 2.0"),
        ("duckdb", "2.0.1", "2.1.0", "1.5 and 2.0"),
    ],
)
def test_known_traps_say_what_breaks(package: str, fine: str, broken: str, word: str) -> None:
    """A version known to fail is told apart from one that is merely untested, even where it is the pinned one."""
    (trap,) = [trap for trap in TRAPS if trap.package == package]
    assert compare(package, fine, fine, trap) is None
    problem = compare(package, broken, broken, trap)
    assert problem is not None
    assert problem.breaks
    assert word in str(problem)


def test_what_breaks_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that explains why nothing works stands above those that only might matter."""
    installed = Trap("yarl", SpecifierSet(f"<{version('yarl')}"), "it bites")
    monkeypatch.setattr("tasks.pins.TRAPS", (installed,))
    problems = check_pins(constraints_with(tmp_path, aiohttp="1.0"))
    assert [problem.package for problem in problems] == ["yarl", "aiohttp"]


def test_an_application_that_is_not_installed_says_how_to_install_it() -> None:
    """Run from a bare checkout, the one thing worth saying is the command that sets it up."""
    (problem,) = check_pins(CONSTRAINTS, package="a-package-nobody-needs")
    assert problem.breaks
    assert "./run" in str(problem)


@pytest.mark.parametrize("line", ["rich", "rich>=13", "==1.0", "rich=="])
def test_a_line_that_pins_nothing_is_refused(tmp_path: Path, line: str) -> None:
    """The refusal names the file, the line and the form that is accepted."""
    file = tmp_path / "constraints.txt"
    file.write_text(f"# versions\n{line}\n")
    with pytest.raises(ValueError, match="constraints.txt line 2: .* name==version"):
        read_constraints(file)


def test_names_are_compared_in_their_normal_form(tmp_path: Path) -> None:
    """`ruamel.yaml` and `Ruamel_YAML` are one package."""
    file = tmp_path / "constraints.txt"
    file.write_text("Ruamel_YAML == 1.0  # comment\n")
    assert read_constraints(file) == {"ruamel-yaml": "1.0"}
