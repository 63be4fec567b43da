"""The documents of the executors: every test that they name is there, every field is described."""

import re
from pathlib import Path

import pytest

from core.config import BotBase
from core.kinds import KINDS, AnyBot

ROOT = Path(__file__).parents[3]
EXECUTORS = ("position", "dca", "twap", "order", "arbitrage", "xemm", "funding_arb")
SECTIONS = ("Executors: common", "Orchestrator", "Controllers", *(f"`{kind}`" for kind in EXECUTORS))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_named_test_is_there(section: str) -> None:
    """Each row of the executors' sections in docs/coverage.md names a test of this checkout."""
    text = (ROOT / "docs/coverage.md").read_text()
    part = text.split(f"\n## {section} (")[1].split("\n## ")[0]
    named = re.findall(r"^\| .+ \| `([^`]+)::(\w+)` \|$", part, re.MULTILINE)
    assert len(named) == part.count("\n| ") - 1 > 2
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path} has no {name}"


@pytest.mark.parametrize("kind", EXECUTORS)
def test_every_field_is_on_the_page_of_its_kind(kind: str) -> None:
    """docs/strategies describes each field that the kind has beyond those of every bot, and its example is there."""
    (config,) = (one for one in AnyBot.__origin__.__args__ if one.model_fields["kind"].default == kind)
    page = (ROOT / f"docs/strategies/{kind}.md").read_text()
    shared = set(BotBase.model_fields) | {"kind"}
    for field in set(config.model_fields) - shared:
        assert f"`{field}`" in page, f"{field} is not described"
    assert kind in KINDS
    assert (ROOT / f"examples/{kind}.yaml").exists()
