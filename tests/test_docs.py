"""What the documents name exists: commands, views, and the files they link to."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

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
