"""What the documents name exists: commands, views, and the files they link to."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import AliasChoices, AliasPath, BaseModel

from core.kinds import KINDS, AnyBot
from core.portfolio import Alerts, Portfolio, VenueConfig

ROOT = Path(__file__).parents[1]
CLI = ROOT / "tasks/cli.py"
VIEWS = ROOT / "sql/views"
DOCUMENTS = sorted(path for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if path.exists())

# Words of ./run that are not commands of gridkeeper.
RUN_WORDS = {"test", "help"}

CODE = re.compile(r"^```[^\n]*\n(.*?)^```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|\s)#.*$", re.MULTILINE)


def code_in(text: str) -> str:
    """The code of a document, blocks and spans, without comments: prose about gridkeeper names no command."""
    return "\n".join(COMMENT.sub("", block or span) for block, span in CODE.findall(text))


def words_after(word: str, code: str) -> Iterator[str]:
    """The first word after each use of a program, options skipped."""
    yield from re.findall(rf"(?<![\w/-]){re.escape(word)}(?: --?[\w-]+)* ([a-z][a-z-]*)", code)


def views_in(code: str) -> set[str]:
    """The report views that code names; `report_html.py` and `tasks/report_x` are files."""
    return set(re.findall(r"(?<![\w/.])report_[a-z0-9_]+\b(?!\.py|\.html)", code))


def commands() -> set[str]:
    """The first words of the command line's commands."""
    if not CLI.exists():
        pytest.skip("there is no tasks/cli.py yet")
    from tasks.cli import commands as names

    return {name.split()[0] for name in names()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_commands_exist(document: Path) -> None:
    """Each `gridkeeper WORD` and `./run WORD` of a document can be typed."""
    code = code_in(document.read_text())
    known = commands()
    assert set(words_after("gridkeeper", code)) <= known
    assert set(words_after("./run", code)) <= known | RUN_WORDS


@pytest.mark.parametrize("command", [*sorted(commands()), "candles import", "candles download", "candles check"])
def test_each_command_helps_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` ends with a line that can be typed."""
    from tasks.cli import main

    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert re.search(rf"examples?: .*gridkeeper {command.split(maxsplit=1)[0]} ", words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_views_exist(document: Path) -> None:
    """Each `report_...` view of a document is a file below sql/views."""
    known = {path.stem for path in VIEWS.rglob("report_*.sql")}
    assert views_in(code_in(document.read_text())) <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each link or picture inside the repository points to a file that is there."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]+src=\"([^\"]+)\"", document.read_text())
    inside = [target for pair in targets for target in pair if target and not re.match(r"[a-z]+:", target)]
    assert [target for target in inside if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_files_exist(document: Path) -> None:
    """Each path of the repository that stands in code is there; `tasks/x` may be the module x."""
    named = re.findall(
        r"`((?:core|tasks|flows|sql|tests|benchmarks|examples|docs)/[\w/.-]+)(?:::\w+)?`", document.read_text()
    )
    assert [name for name in named if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()] == []


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_a_heading_find_it(document: Path) -> None:
    """Each link with a # leads to a heading of the file that it names."""
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", document.read_text()):
        other = document if not target else (document.parent / target).resolve()
        assert anchor in headings(other), f"{target}#{anchor}"


def fields_of(bot: dict[str, Any]) -> set[str]:
    """The fields of a bot of that kind, aliases included."""
    for model in get_args(get_args(AnyBot)[0]):
        if bot["kind"] in get_args(model.model_fields["kind"].annotation):
            return names_of(model)
    raise AssertionError(f"no bot has the kind {bot['kind']!r}")


def nested_in(kind: str) -> set[str]:
    """The fields of the models that a bot of that kind contains."""
    for model in get_args(get_args(AnyBot)[0]):
        if kind in get_args(model.model_fields["kind"].annotation):
            parts = model.model_json_schema().get("$defs", {}).values()
            return {name for part in parts for name in part.get("properties", {})}
    raise AssertionError(f"no bot has the kind {kind!r}")


def names_of(model: type[BaseModel]) -> set[str]:
    """The names that a model takes."""
    aliases = {str(choice) for field in model.model_fields.values() for choice in choices(field.validation_alias)}
    return set(model.model_fields) | aliases


def choices(alias: AliasChoices | AliasPath | str | None) -> list[object]:
    """The names of an alias."""
    return list(alias.choices) if isinstance(alias, AliasChoices) else [] if alias is None else [alias]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_settings_exist(document: Path) -> None:
    """Each key of a YAML block, and of its bots and venues, is one that the portfolio file takes."""
    for block in re.findall(r"^```yaml\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL):
        loaded = yaml.safe_load(block)
        # Some blocks are the list of `bots:` alone.
        found = {"bots": loaded} if isinstance(loaded, list) else loaded
        assert set(found) <= names_of(Portfolio), block
        for bot in found.get("bots", ()):
            assert set(bot) <= fields_of(bot), bot
        for venue in found.get("venues", ()):
            assert set(venue) <= names_of(VenueConfig), venue
        if isinstance(found.get("alerts"), dict):
            assert set(found["alerts"]) <= names_of(Alerts)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_fields_of_a_strategys_page_exist(kind: str) -> None:
    """The first column of a table of fields names fields of that kind, or of its barrier."""
    page = ROOT / "docs" / "strategies" / f"{kind}.md"
    if not page.exists():
        pytest.skip(f"docs/strategies/{kind}.md is not there")
    known = fields_of({"kind": kind}) | nested_in(kind)
    rows = re.findall(r"^\|[^\n]*\|\n", page.read_text(), re.MULTILINE)
    inside = False
    for row in rows:
        first = row.split("|")[1]
        if not row.startswith(("| `", "|-")):
            inside = first.strip() == "field"
        elif inside and row.startswith("| `"):
            # `a.b` is a field within a; `.b` goes on from the cell's first name.
            named = {name.lstrip(".").partition(".")[0] for name in re.findall(r"`([\w.]+)", first)}
            assert named <= known, row


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    """Each number of the README's table stands in its script's row of benchmarks/README.md, or in the text it refers to."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (`.+?) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    measured = (ROOT / "benchmarks/README.md").read_text()
    told = measured.partition("## How it was measured")[2] + (ROOT / "docs/backtest.md").read_text()
    assert rows
    for what, figure, scripts in rows:
        lines = "\n".join(
            line for name in re.findall(r"`(\w+\.py)`", scripts) for line in measured.splitlines() if name in line
        )
        numbers = set(re.findall(r"\d[\d.,]*\d|\d", what + " " + figure))
        plain = set(re.findall(r"\d[\d.,]*\d|\d", lines + told))
        assert numbers <= plain, f"{what}: {sorted(numbers - plain)} are told by no benchmark"


def test_names_are_read_from_code_alone() -> None:
    """Prose and comments are no commands; spans and blocks are."""
    text = (
        "gridkeeper is a program. Type `gridkeeper up --port 1` or:\n\n"
        "```sh\n./run doctor --json  # ./run nothing\n.venv/bin/gridkeeper sql 'SELECT * FROM report_pnl'\n```\n"
        "See `tasks/report_html.py`.\n"
    )
    code = code_in(text)
    assert list(words_after("gridkeeper", code)) == ["up"]
    assert list(words_after("./run", code)) == ["doctor"]
    assert views_in(code) == {"report_pnl"}
