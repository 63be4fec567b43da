"""The page of a report: complete, self-contained, small, harmless with hostile names, drawn by a real browser."""

import base64
import dataclasses
import gzip
import json
import re
import shutil
import subprocess
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.report_data import BotReport, ReportData, ReportRefused
from tasks.report_html import render_html, write_html
from tests.tasks import report_demo as demo

HOSTILE = (
    "</script><script>document.documentElement.dataset.pwned=1</script>"
    '<img src=x onerror="document.documentElement.dataset.pwned=1">\'"&@ink'
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@cache
def small_bot() -> BotReport:
    """Two days of minutes with a grid of twelve levels."""
    return demo.played(demo.walked_candles(2_880), levels=12)


def embedded(page: str, name: str) -> Any:
    """The JSON of a data element of the page."""
    found = re.search(rf'<script type="application/(json|gzip)" id="{name}">([^<]*)</script>', page)
    assert found is not None
    return json.loads(found[2] if found[1] == "json" else gzip.decompress(base64.b64decode(found[2])))


def visible_text(page: str) -> str:
    """What stands in the page outside of its scripts and styles."""
    return re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)


def hostile_report() -> ReportData:
    """A report in which every text from outside tries to become markup."""
    bot = small_bot()
    levels = bot.levels.assign(state=HOSTILE, reason=HOSTILE, level=HOSTILE)
    fills = bot.fills.assign(role=HOSTILE, leg_id=HOSTILE)
    names = dict.fromkeys(("bot_id", "kind", "venue", "symbol", "side", "quote_asset", "base_asset"), HOSTILE)
    hostile = dataclasses.replace(bot, levels=levels, fills=fills, **names)
    words = dict.fromkeys(("title", "mode", "code_version", "config_yaml"), HOSTILE)
    return demo.report(hostile, demo.empty_bot(HOSTILE), notes=(HOSTILE,), fill_rules={HOSTILE: HOSTILE}, **words)


def test_page_says_everything_it_promises(tmp_path: Path) -> None:
    """Mode, age, totals, levels with their reasons, configuration and rules stand in the written file."""
    path = write_html(demo.report(small_bot()), tmp_path / "out" / "report.html")
    text = visible_text(path.read_text(encoding="utf-8"))
    for promised in (
        ">paper<", "12\u00a0s old when written", "Net profit", "Grid profit", "Floating", "Fees", "Funding",
        "Max drawdown", "Win rate", "Buy and hold", "post-only would cross; next try in 12 s", "start_price: 94000",
        "trades through by one tick",
        "2023-01", "not working", "0.1.0+4f2c9ad", "Round trips and ratios", "inside one candle",
    ):  # fmt: skip
        assert promised in text, promised
    assert "Synthetic data" not in text
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


def test_synthetic_prices_are_labelled_loudly() -> None:
    """A report on generated prices says so in a band of its own and in a badge."""
    text = visible_text(render_html(demo.report(small_bot(), synthetic=True)))
    assert 'role="alert"' in text
    assert text.lower().count("synthetic data") == 2


def test_equal_data_gives_an_equal_page() -> None:
    """Nothing of the clock or of chance gets into the page."""
    assert render_html(demo.report(small_bot())) == render_html(demo.report(small_bot()))


def test_page_asks_nobody_for_anything() -> None:
    """No element of the page names an address, and its policy forbids every request."""
    page = render_html(demo.report(small_bot()))
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href|action|srcset|data)\s*=\s*["']?(https?:)?//""", page)
    assert not re.search(r"(@import|url\()", page)
    assert "https://" not in page


def test_script_runs_by_its_hash_alone() -> None:
    """The policy names the hashes of two scripts and allows no other inline one."""
    policy = re.search(r"script-src ([^;]+);", render_html(demo.report(small_bot())))
    assert policy is not None
    assert policy[1].count("sha256-") == 2
    assert "unsafe" not in policy[1]


def test_hostile_names_stay_text() -> None:
    """Markup in any name, reason or note is escaped in the HTML, in the JSON and in what plotly reads."""
    page = render_html(hostile_report())
    assert page.count("<script") == 4
    assert "<img" not in page
    figures, series = embedded(page, "figures"), embedded(page, "series")
    for spoken in [*strings_of(figures["bots"]), *strings_of(series)]:
        assert "<script" not in spoken
        assert "<img" not in spoken


def strings_of(value: Any) -> list[str]:
    """Every text inside a JSON value."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for part in parts for found in strings_of(part)]


def test_bot_without_any_data_has_a_page() -> None:
    """A bot that has just started shows sentences instead of empty charts."""
    text = visible_text(render_html(demo.report(demo.empty_bot(), data_from=None, data_to=None)))
    for sentence in ("No candles in this span yet.", "No equity recorded yet.", "No levels wanted.", "No fills yet."):
        assert sentence in text
    assert "No bots." in visible_text(render_html(demo.report()))


def test_frame_without_a_column_is_refused() -> None:
    """The refusal names the bot, the frame, what is missing and what is needed."""
    bot = small_bot()
    with pytest.raises(ReportRefused, match="bot 'btc1': fills lacks leg_id; it needs ts, side"):
        dataclasses.replace(bot, fills=bot.fills.drop(columns="leg_id"))


def test_zoned_times_and_floats_draw_the_same_picture() -> None:
    """Zoned times and float prices give the same candles as naive times and decimals."""
    bot = small_bot()
    exact = [Decimal(str(price)) for price in bot.candles["open"]]
    zoned = bot.candles.assign(ts=bot.candles["ts"].dt.tz_localize("UTC"), open=exact)
    pages = [render_html(demo.report(dataclasses.replace(bot, candles=frame))) for frame in (bot.candles, zoned)]
    assert pages[0] == pages[1]


def test_packed_candles_keep_the_prices() -> None:
    """Unpacking what the page holds gives back the candles to half a unit of the seventh digit."""
    bot = small_bot()
    packed = embedded(render_html(demo.report(bot)), "series")[0]["candles"]
    close = np.cumsum(np.array(packed["o"]) + np.array(packed["c"]))
    opens = close - np.array(packed["c"])
    high = np.maximum(opens, close) + np.array(packed["h"])
    low = np.minimum(opens, close) - np.array(packed["l"])
    for name, values in (("open", opens), ("high", high), ("low", low), ("close", close)):
        assert np.allclose(values / 10 ** packed["decimals"], bot.candles[name], atol=0.51 / 10 ** packed["decimals"])


def test_three_years_of_minutes_stay_below_five_megabytes() -> None:
    """A million and a half candles, as many equity samples and 20,000 fills fit, with the true extremes."""
    count = 3 * 365 * 1440
    base = small_bot()
    candles = demo.walked_candles(count)
    close = candles["close"].to_numpy()
    equity = pd.DataFrame(
        {
            "ts": candles["ts"],
            "equity": close / 10,
            "hold_equity": close / 10,
            "drawdown": 1 - close / np.maximum.accumulate(close),
            "exposure_quote": close / 20,
            "inventory_base": np.sin(np.arange(count) / 5000) + 1.0,
        }
    )
    fills = pd.concat([base.fills] * (20_000 // len(base.fills) + 1), ignore_index=True)
    fills["ts"] = pd.date_range("2023-01-01", "2025-12-31", periods=len(fills)).round("s")
    page = render_html(demo.report(dataclasses.replace(base, candles=candles, equity=equity, fills=fills)))
    assert len(page.encode()) < 5_000_000
    figures, packed = embedded(page, "figures"), embedded(page, "series")[0]["candles"]
    drawn = figures["bots"][0]["equity"]["traces"]
    assert max(drawn[1]["y"]) == pytest.approx(close.max() / 10)
    assert min(drawn[2]["y"]) == pytest.approx(-100 * equity["drawdown"].max())
    assert len(drawn[0]["y"]) <= 1800
    bodies = np.array(packed["c"])
    tops = np.cumsum(np.array(packed["o"]) + bodies) - np.minimum(bodies, 0) + np.array(packed["h"])
    assert tops.max() / 10 ** packed["decimals"] == pytest.approx(candles["high"].max(), abs=0.1)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("hostile", [False, True])
def test_browser_draws_the_page_without_an_error(tmp_path: Path, hostile: bool) -> None:
    """Chromium draws every chart, writes nothing to its console and runs nothing that a name tried to smuggle in."""
    data = hostile_report() if hostile else demo.report(small_bot(), demo.empty_bot())
    path = write_html(data, tmp_path / "report.html")
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    opening = re.search(r"<html[^>]*>", done.stdout)
    assert opening is not None
    assert 'data-state="ready"' in opening[0]
    assert "pwned" not in opening[0]
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    for chart in ("price0", "equity0", "bridge0", "bridge1"):
        assert re.search(rf'id="{chart}"[^>]*>.{{0,2000}}class="main-svg"', done.stdout, flags=re.DOTALL), chart
