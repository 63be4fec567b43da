"""The notebook of the examples runs from a published copy, cell by cell, and by nbclient where that is installed."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from tests.tasks.dashboard_world import traded

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of three days."""
    return traded(tmp_path_factory.mktemp("notebook"))


def reading(folder: Path) -> str:
    """The notebook's text with another data directory, which is the one thing that a person sets."""
    text = NOTEBOOK.read_text()
    assert text.count("../data") == 1
    return text.replace("../data", str(folder))


def cells(folder: Path) -> list[str]:
    """The code of the notebook."""
    book = json.loads(reading(folder))
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs_from_the_published_copy(folder: Path) -> None:
    """Every cell runs in order as plain Python, and its tables and pictures have what the bot did."""
    mpl.use("Agg")
    space: dict[str, Any] = {}
    for number, code in enumerate(cells(folder)):
        exec(compile(code, f"cell {number}", "exec"), space)  # noqa: S102  a file of the repository
    assert space["bots"]["bot_id"].tolist() == ["g1"]
    assert len(space["days"]) == 3
    assert space["exits"]["spread"].gt(0).all()
    assert len(plt.get_fignums()) == 2
    plt.close("all")


def test_the_notebook_keeps_no_output() -> None:
    """What somebody's run printed is not in the repository."""
    book = json.loads(NOTEBOOK.read_text())
    assert [cell for cell in book["cells"] if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.server
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("nbclient", "nbformat", "ipykernel"))),
    reason="nbclient or ipykernel is not installed",
)
def test_the_notebook_runs_in_jupyter(folder: Path) -> None:
    """A Jupyter kernel runs it as well."""
    import nbformat
    from nbclient import NotebookClient

    NotebookClient(nbformat.reads(reading(folder), as_version=4), timeout=120).execute(cwd=str(NOTEBOOK.parent))
