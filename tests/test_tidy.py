"""The house style as tests: each rule is a function from a source file to its offences, and each is shown to catch one.

A rule that has to bend for a place names that place here, with the reason.
"""

import ast
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400

# Core modules that may have float literals, each with the reason why no money passes through them.
FLOAT_MODULES = {
    "core/metrics.py": "ratios and annual rates are statistics",
    "core/kernel.py": "volumes of candles, which no balance is made of",
    "core/working.py": "seconds to wait",
}

# Mutable fields of frozen dataclasses in core, as "file:Class.field", each with the reason why nothing can change it.
MUTABLE_FIELDS: dict[str, str] = {}

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root of the repository, its text and its syntax tree."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The syntax tree; a file that does not parse fails here, by name."""
        return ast.parse(self.text, filename=self.path)

    def is_in(self, *folders: str) -> bool:
        """Whether the file lies below one of the folders."""
        return self.path.startswith(tuple(f"{folder}/" for folder in folders))


Offences = Iterator[str]
Rule = Callable[[Source], Offences]


def long_functions(source: Source) -> Offences:
    """A function fits on a screen."""
    for node in ast.walk(source.tree):
        if isinstance(node, FUNCTION):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{source.path}:{node.lineno} {node.name} has {lines} lines; at most {FUNCTION_LINES_MAX}"


def long_files(source: Source) -> Offences:
    """A file holds one subject."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"{source.path} has {lines} lines; at most {FILE_LINES_MAX}"


def rooms_without_a_subject(source: Source) -> Offences:
    """A module is named after its subject, not after being handy."""
    name = Path(source.path).stem
    if name in {"util", "utils", "helper", "helpers", "common", "misc", "shared"}:
        yield f"{source.path}: name the module after what it holds"


def catching_everything(source: Source) -> Offences:
    """An error is caught by its name, so that a bug is never taken for an event."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = [] if node.type is None else list(ast.walk(node.type))
            names = {part.id for part in caught if isinstance(part, ast.Name)}
            if node.type is None or names & {"Exception", "BaseException"}:
                yield f"{source.path}:{node.lineno} catches everything; name what may happen"


def floats_beside_money(source: Source) -> Offences:
    """Money is Decimal; a float literal in the core is where it would leak in. Seconds (`..._s`) may be float."""
    if not source.is_in("core") or source.path in FLOAT_MODULES:
        return
    nodes = list(ast.walk(source.tree))
    seconds = {id(part) for node in nodes if is_seconds(node) for part in ast.walk(node)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and id(node) not in seconds:
            yield f"{source.path}:{node.lineno} float literal {node.value}; write Decimal or an integer"


def is_seconds(node: ast.AST) -> bool:
    """Whether a node gives a value to a name that says it counts seconds."""
    match node:
        case (
            ast.AnnAssign(target=ast.Name(id=name))
            | ast.Assign(targets=[ast.Name(id=name)])
            | ast.keyword(arg=str(name))
        ):
            return name.lower().endswith("_s")
    return False


def unexplained_tests(source: Source) -> Offences:
    """Each test says in one sentence what holds."""
    if not source.is_in("tests"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, FUNCTION) and node.name.startswith("test_") and not ast.get_docstring(node):
            yield f"{source.path}:{node.lineno} {node.name} has no sentence"


def public_names_without_a_docstring(source: Source) -> Offences:
    """What others may use says what it is."""
    if not source.is_in("core", "tasks", "flows"):
        return
    if not ast.get_docstring(source.tree):
        yield f"{source.path}:1 the module has no docstring"
    for node in source.tree.body:
        is_public = isinstance(node, (*FUNCTION, ast.ClassDef)) and not node.name.startswith("_")
        if is_public and not ast.get_docstring(node):
            yield f"{source.path}:{node.lineno} {node.name} has no docstring"


def unfinished_places(source: Source) -> Offences:
    """What is not done is an issue elsewhere, not a note or a stub in the code."""
    marks = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X"))
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := re.search(rf"\b({marks})\b", line):
            yield f"{source.path}:{number} {found.group()}"
    for node in ast.walk(source.tree):
        # Catching it is fine: some libraries raise it for a format they do not know.
        if isinstance(node, ast.Raise) and node.exc and "NotImplementedError" in ast.unparse(node.exc):
            yield f"{source.path}:{node.lineno} raises NotImplementedError"


def mutable_fields(source: Source) -> Offences:
    """A frozen dataclass with a list inside is not frozen: use a tuple, a frozenset or a Mapping."""
    if not source.is_in("core"):
        return
    mutable = {"list", "dict", "set", "bytearray", "List", "Dict", "Set", "defaultdict", "deque", "ndarray", "NDArray"}
    for cls in (node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)):
        if not any("frozen=True" in ast.unparse(decorator) for decorator in cls.decorator_list):
            continue
        for field in (node for node in cls.body if isinstance(node, ast.AnnAssign)):
            place = f"{source.path}:{cls.name}.{ast.unparse(field.target)}"
            names = {part.id for part in ast.walk(field.annotation) if isinstance(part, ast.Name)}
            if names & mutable and place not in MUTABLE_FIELDS:
                yield f"{place} is {ast.unparse(field.annotation)}"


def names_that_shadow(source: Source) -> Offences:
    """Prefect imports `flows/x.py` as the module `x`, and `python core/x.py` puts its folder first on the path."""
    path = Path(source.path)
    taken = set(sys.stdlib_module_names)
    if path.parts[0] == "flows":
        taken |= set(packages_distributions()) | {"core", "tasks", "flows", "tests"}
    if path.parts[0] in {"core", "tasks", "flows"} and path.stem in taken:
        yield f"{source.path}: `{path.stem}` is also the name of a module from elsewhere"


SAMPLES: list[tuple[Rule, str, str]] = [
    (long_functions, "core/a.py", "def f():\n" + "    x = 1\n" * 70),
    (long_files, "core/a.py", "x = 1\n" * 401),
    (rooms_without_a_subject, "tasks/utils.py", ""),
    (catching_everything, "tasks/a.py", "try:\n    f()\nexcept (OSError, Exception):\n    pass\n"),
    (catching_everything, "tasks/a.py", "try:\n    f()\nexcept:\n    raise\n"),
    (floats_beside_money, "core/ledger.py", "fee = price * 0.001\n"),
    (unexplained_tests, "tests/core/test_a.py", "class TestA:\n    def test_b(self): ...\n"),
    (public_names_without_a_docstring, "core/a.py", '"""A."""\ndef f(): ...\n'),
    (unfinished_places, "flows/a.py", "x = 1  # TO" + "DO later\n"),
    (unfinished_places, "tasks/a.py", "def f():\n    raise NotImplementedError\n"),
    (mutable_fields, "core/a.py", "@dataclass(frozen=True)\nclass A:\n    b: tuple[list[int], ...]\n"),
    (names_that_shadow, "flows/core.py", ""),
    (names_that_shadow, "flows/duckdb.py", ""),
    (names_that_shadow, "core/types.py", ""),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in SAMPLES))


def project_files(*suffixes: str) -> list[Path]:
    """Every file of the project with one of the suffixes: what git knows or would take; without git, all but caches."""
    paths: list[Path] = []
    if git := shutil.which("git"):
        command = [git, "ls-files", "-co", "--exclude-standard"]
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        paths = [ROOT / line for line in listing.stdout.splitlines()]
    if not paths:
        paths = [path for path in ROOT.rglob("*") if not is_hidden(path.relative_to(ROOT))]
    return [path for path in paths if path.suffix in suffixes and path.is_file()]


def is_hidden(path: Path) -> bool:
    """Whether a path lies in the environment, a cache or the bots' data."""
    return any(part.startswith(".") or part in {"__pycache__", "data", "build"} for part in path.parts)


def python_sources() -> list[Source]:
    """Every Python file of the project, read."""
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in project_files(".py")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_code_keeps_the_rule(rule: Rule) -> None:
    """No file of the project offends against the rule."""
    offences = [offence for source in python_sources() for offence in rule(source)]
    assert not offences, f"{rule.__doc__}\n" + "\n".join(offences)


@pytest.mark.parametrize(("rule", "path", "text"), SAMPLES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_catches_its_sample(rule: Rule, path: str, text: str) -> None:
    """A rule that cannot fail proves nothing, so each is shown something wrong."""
    assert list(rule(Source(path, text)))


def test_no_text_names_a_place_of_one_machine() -> None:
    """Paths of somebody's computer, and the addresses packages came from, say nothing to a reader."""
    place = re.compile(r"(?<![\w.])/(work|tmp|root|home|opt)/\w|pypi\.org|pythonhosted\.org|registry\.npmjs")
    offences = [
        f"{path.relative_to(ROOT)}:{number} {found.group()}"
        for path in project_files(".py", ".md", ".toml", ".yaml", ".yml", ".sql", ".txt", ".sh", "")
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if (found := place.search(line))
    ]
    assert not offences, "\n".join(offences)


def run_gate(*command: str) -> None:
    """Run a checker from this environment and fail with all that it says."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing() -> None:
    """The linter's rules hold; each that is off says in pyproject.toml why."""
    run_gate("ruff", "check", "--output-format", "concise", ".")


def test_layers_are_kept() -> None:
    """Imports run one way: flows, tasks, core, and downwards inside the core."""
    run_gate("lint-imports", "--no-cache")


def test_core_is_strictly_typed() -> None:
    """The type checker proves the core, above all that every `match` has all its cases."""
    run_gate("basedpyright", "--pythonpath", sys.executable)


def test_no_test_reaches_beyond_this_machine() -> None:
    """A connection outwards is refused by name before it is tried; 0.0.0.1 leads nowhere even without that guard."""
    with socket.socket() as outwards, pytest.raises(AssertionError, match=r"reached for .*0\.0\.0\.1"):
        outwards.connect(("0.0.0.1", 9))
