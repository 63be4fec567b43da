"""The pictures of the strategies' pages are what the code draws today, and each page that has one shows it."""

import re
from pathlib import Path

import pytest

from benchmarks.strategy_pictures import SCENES, picture

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("kind", ["grid"])
def test_a_picture_is_the_backtest_that_it_says(kind: str) -> None:
    """Drawn again, it is the same to the last byte: a change of what a bot does is seen in its picture."""
    drawn = picture(kind)
    assert drawn == (DOCS / "img" / f"strategy-{kind}.svg").read_text(), "run benchmarks/strategy_pictures.py, and look"


@pytest.mark.parametrize("kind", sorted(SCENES))
def test_a_page_shows_its_picture(kind: str) -> None:
    """Whoever reads about a strategy sees it."""
    assert f"../img/strategy-{kind}.svg" in (DOCS / "strategies" / f"{kind}.md").read_text()


def test_each_scene_has_its_picture() -> None:
    """What can be drawn was drawn, and needs nothing from elsewhere."""
    for kind in SCENES:
        drawn = (DOCS / "img" / f"strategy-{kind}.svg").read_text()
        assert drawn.count('class="buy"') > 0
        assert drawn.count('class="sell"') > 0 or kind == "twap"
        assert not re.search(r"<script|href=|url\(", drawn)
