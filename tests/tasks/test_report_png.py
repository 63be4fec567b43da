"""The pictures of a report: there, readable as PNG, large enough, safe with any name."""

import dataclasses
from pathlib import Path

import numpy as np
from matplotlib.image import imread

from tasks.report_png import write_pngs
from tests.tasks import report_demo as demo


def test_three_pictures_of_a_bot(tmp_path: Path) -> None:
    """Price, equity and bridge are written, each at least a thousand pixels wide and not blank."""
    bot = demo.played(demo.walked_candles(1_440), levels=10)
    written = write_pngs(demo.report(bot, synthetic=True), tmp_path / "pictures")
    assert [path.name for path in written] == ["btc1-price.png", "btc1-equity.png", "btc1-bridge.png"]
    for path in written:
        pixels = imread(path)
        assert pixels.shape[1] >= 1000
        assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50


def test_bot_without_data_has_only_its_bridge(tmp_path: Path) -> None:
    """What has no data is left out instead of drawn empty."""
    assert [path.name for path in write_pngs(demo.report(demo.empty_bot()), tmp_path)] == ["new1-bridge.png"]


def test_names_cannot_leave_the_folder_or_meet(tmp_path: Path) -> None:
    """Paths and formulas in a name become harmless, and two names never share a file."""
    bots = [demo.empty_bot(name) for name in ("../up", "$\\frac{1}{", "../up", "")]
    written = write_pngs(demo.report(*bots), tmp_path)
    assert len({path.resolve() for path in written}) == 4
    assert all(path.parent == tmp_path and path.is_file() for path in written)


def test_one_flat_candle_is_enough(tmp_path: Path) -> None:
    """A single candle whose four prices are equal has a span of nothing and still is drawn."""
    bot = demo.played(demo.walked_candles(600), levels=5)
    flat = bot.candles.head(1).assign(open=5.0, high=5.0, low=5.0, close=5.0)
    single = dataclasses.replace(bot, candles=flat, equity=bot.equity.head(1), levels=bot.levels.head(0))
    assert len(write_pngs(demo.report(single), tmp_path)) == 2
