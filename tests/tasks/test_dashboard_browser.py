"""The dashboard in a real browser: it draws, refreshes, stays readable and by itself, and asks nobody else."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks import server
from tasks.dashboard_child import command, url
from tasks.report import report_of
from tasks.report_html import write_html
from tests.tasks.dashboard_world import HOSTILE, poison, republished, traded
from tests.tasks.prefect_lab import free_port, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
]
# Not part of the project: `npm install axe-core` anywhere, and AXE_CORE is the path of its axe.min.js.
AXE = Path(os.environ.get("AXE_CORE") or Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js")
AXE_RUN = """async () => {
  const found = await axe.run();
  if (found.passes.length < 10) return [`only ${found.passes.length} rules applied`];
  return found.violations.filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.length} x ${v.nodes[0].target} ${v.nodes[0].failureSummary}`);
}"""
PATHS = ("/", "/bots", "/bots/g1?span=all", "/incidents", "/ticks", "/backtests", "/sql")
# The contrast of every text with what is behind it (WCAG 2.1: 4.5, or 3 for large text), as the browser computed it.
CONTRAST = """() => {
  const rgb = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0.99) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    if (!e.getClientRects().length || e.closest(".hidden,.skip,noscript,svg")) continue;
    const style = getComputedStyle(e), a = light(rgb(style.color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    if (ratio < least) poor.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)}: ${e.textContent.slice(0, 30)}`);
  }
  return poor;
}"""
# Controls, tables and pictures without a name, ids used twice, and a page without one heading of the first rank.
NAMELESS = """() => {
  const all = (words) => [...document.querySelectorAll(words)];
  const ids = all("[id]").map((e) => e.id);
  const nameless = [
    ...all("a,button").filter((e) => !(e.textContent.trim() || e.ariaLabel)),
    ...all("[role=img],[role=region],[role=group]").filter((e) => !e.ariaLabel),
    ...all("textarea,input").filter((e) => !e.labels.length),
    ...all("table").filter((e) => !e.caption || e.querySelector("th:not([scope])")),
  ].map((e) => e.outerHTML.slice(0, 90));
  return nameless.concat(ids.filter((id, i) => ids.indexOf(id) !== i), all("h1").length === 1 ? [] : ["h1"]);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy."""
    return traded(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def home(folder: Path) -> Iterator[str]:
    """The address of a running dashboard."""
    port = free_port()
    process = server.spawn(command(folder, port), folder / "home", folder / "dashboard.log", watched=True)
    try:
        wait_until(lambda: server_answers(port), "the dashboard answers")
        yield url(port).rstrip("/")
    finally:
        server.end(process, 5)


def server_answers(port: int) -> bool:
    """Whether something listens."""
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    with playwright.sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Watched:
    """A page whose complaints and requests are written down."""

    def __init__(self, browser: Any, home: str, width: int = 1280, scheme: str = "light") -> None:
        self.home = home
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda r: None if r.url.startswith((home, "blob:")) else self.foreign.append(r.url))

    def open(self, path: str) -> Any:
        """Go to a page and wait until it is drawn."""
        self.page.goto(self.home + path)
        self.page.wait_for_selector("main h1")
        return self.page


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_is_drawn_readable_and_alone(browser: Any, home: str, width: int, scheme: str) -> None:
    """No complaint in the console, no request elsewhere, nothing wider than the screen, enough contrast, names for all."""
    watched = Watched(browser, home, width, scheme)
    for path in PATHS:
        page = watched.open(path)
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.evaluate(CONTRAST) == [], path
        assert page.evaluate(NAMELESS) == [], path
    assert (watched.complaints, watched.foreign) == ([], [])


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not here; AXE_CORE names its axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(browser: Any, home: str, folder: Path, width: int, scheme: str) -> None:
    """Neither a page of the dashboard nor the report has a serious or critical finding of axe-core, in any theme and width."""
    watched = Watched(browser, home, width, scheme)
    report = write_html(report_of(folder), folder / "report.html")
    for address in (*(home + path for path in PATHS), report.as_uri()):
        watched.page.goto(address)
        watched.page.wait_for_selector("main h1" if address.startswith(home) else "h1")
        watched.page.wait_for_timeout(250)
        watched.page.evaluate(AXE.read_text())
        assert watched.page.evaluate(AXE_RUN) == [], address


def test_one_bot_shows_price_levels_and_where_profit_comes_from(browser: Any, home: str) -> None:
    """The picture has a line, levels and fills; the table has every level."""
    page = Watched(browser, home).open("/bots/g1?span=all")
    page.wait_for_selector("svg .level", state="attached")
    assert page.locator("svg path.line").count() >= 3
    assert page.locator("table[aria-label]").count() == 0
    assert page.locator("[aria-label=Levels] tbody tr").count() == 12
    assert "Grid profit" in page.locator("[role=img][aria-label^='PnL bridge']").get_attribute("aria-label")


def test_pictures_can_be_read_with_the_keyboard(browser: Any, home: str) -> None:
    """An arrow key moves the reading, which is told as text with unit and time."""
    page = Watched(browser, home).open("/")
    page.locator("[role=img]").first.focus()
    page.keyboard.press("ArrowLeft")
    words = page.locator("output").first.inner_text()
    assert "UTC" in words
    assert "USDT" in words


def test_the_span_is_kept_in_the_address(browser: Any, home: str) -> None:
    """A choice changes the picture without a reload and survives one."""
    page = Watched(browser, home).open("/bots/g1")
    page.get_by_role("button", name="7d").click()
    page.wait_for_selector("button[aria-pressed=true]:text('7d')")
    assert page.url.endswith("span=7d")
    page.reload()
    page.wait_for_selector("button[aria-pressed=true]:text('7d')")


def test_the_box_answers_refuses_and_downloads(browser: Any, home: str) -> None:
    """A question gets a table, a command gets a reason, and the download is the same rows."""
    watched = Watched(browser, home)
    page = watched.open("/sql")
    page.fill("#sql", "SELECT bot_id, 41 + 1 AS n FROM report_bots")
    page.get_by_role("button", name="Ask").click()
    page.wait_for_selector("td:text('42')")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    assert Path(download.value.path()).read_text() == "bot_id,n\ng1,42\n"
    page.fill("#sql", "DROP TABLE meta")
    page.get_by_role("button", name="Ask").click()
    page.wait_for_selector(".incident:has-text('DROP is refused')")
    assert [text for text in watched.complaints if "400" not in text] == []


def test_the_page_refreshes_itself_and_hostile_words_stay_words(browser: Any, home: str, folder: Path) -> None:
    """What is published next appears without a reload; markup in names, reasons and notes is shown as text."""
    watched = Watched(browser, home)
    page = watched.open("/")
    assert page.locator(".incident").count() == 0
    poison(folder)
    with republished(folder) as con:
        con.execute("UPDATE meta SET value = '2026-03-03T12:00:00' WHERE key = 'published_at'")
    page.wait_for_selector(".incident", timeout=15_000)
    assert HOSTILE in page.locator(".incident").first.inner_text()
    for path in PATHS:
        watched.open(path).wait_for_timeout(100)
        assert page.evaluate("document.documentElement.dataset.pwned") is None
        assert page.locator("main img, main script").count() == 0
    assert "do not tick" in page.locator("#band").inner_text()
    assert (watched.complaints, watched.foreign) == ([], [])
