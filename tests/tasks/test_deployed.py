"""Every deployment as a person has it after `up`: planned by a schedule, taken by its worker, COMPLETED, shown in the UI."""

import http.server
import json
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import ArtifactSort

from tasks import deployments, inbox, server, up
from tasks.nightly_steps import DONE, OVER
from tests.tasks.played import play, stored, write_candles, write_portfolio
from tests.tasks.prefect_lab import PATIENCE_S, Lab, begun, free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A folder to keep the pictures in, for a person who wants to look at them.
PICTURES = os.environ.get("GRIDKEEPER_PICTURES")
PATIENCE_MS = 90_000
pytestmark = pytest.mark.server

CANDLES, PLAYED, EVERY_S = 600, 50, 5.0
# What a person has to fill in, or to choose, in the form.
WORDS: dict[str, dict[str, Any]] = {
    "control": {"bot": "g1", "action": "cancel", "note": "for the test"},
    "backtest": {"bot": "g1"},
    "sweep": {"bot": "g1", "vary": ["levels=10:20:2"], "engine": "core", "processes": 1},
}
# What a page of another origin can try: with and without leave of the server, and as a form, which asks no leave.
HOSTILE = """
<form id="form" method="post" enctype="text/plain" target="away" action="URL"><input name='{"a":"' value='"}'></form>
<iframe name="away"></iframe>
<script>
const body = JSON.stringify({parameters: {bot: "g1", action: "flatten"}});
const sent = {method: "POST", body, credentials: "include"};
const tries = [
  () => fetch("URL", {...sent, headers: {"Content-Type": "application/json"}}),
  () => fetch("URL", {...sent, mode: "no-cors"}),
  () => fetch("API/csrf-token?client=evil", {credentials: "include"}).then((told) => told.text()),
  () => fetch("API/deployments/filter", {...sent, body: "{}"}).then((told) => told.text()),
];
document.getElementById("form").submit();
Promise.all(tries.map((one) => one().then((told) => `read: ${told.type ?? told}`, (error) => `refused: ${error.name}`)))
  .then((told) => { document.title = JSON.stringify(told); });
</script>
"""


@dataclass
class World:
    """A server on which every deployment of a portfolio had its run; `ends` has the last run of each flow, `schemas`
    the form of each, `artifacts` the newest of each key.
    """

    here: Lab
    file: Path
    ends: dict[str, FlowRun]
    busy_tick: FlowRun
    schemas: dict[str, dict[str, Any]]
    artifacts: dict[str, str]

    def runs_of(self, flow: str) -> int:
        """How many runs of a flow the server keeps. Read beside it: a browser's loop admits no other."""
        with closing(sqlite3.connect(f"file:{self.here.home / 'prefect.db'}?mode=ro", uri=True)) as con:
            sql = "SELECT count(*) FROM flow_run WHERE deployment_id = ?"
            return con.execute(sql, [str(self.ends[flow].deployment_id)]).fetchone()[0]


class Visitor:
    """A browser that is logged in, as a person does it; what its pages complain of and whom else they ask."""

    def __init__(self, browser: Any, world: World) -> None:
        self.home = f"http://{server.HOST}:{world.here.port}"
        self.page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on(
            "request", lambda r: None if r.url.startswith((self.home, "blob:", "data:")) else self.foreign.append(r.url)
        )
        self.open("/", "Login").get_by_placeholder("admin:pass").fill(server.login(world.here.home))
        self.page.keyboard.press("Enter")
        self.page.get_by_text("Deployments").first.wait_for()
        # Before the login the UI asks what it may not know yet; a picture it lacks is Prefect's own matter.
        self.page.on(
            "console", lambda m: self.complain(m.text, m.location.get("url", "")) if m.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complain(str(error), ""))

    def complain(self, text: str, address: str) -> None:
        """Write down an error of the console."""
        if not address.endswith((".svg", ".ico")):
            self.complaints.append(f"{text} {address}")

    def open(self, path: str, words: str) -> Any:
        """Go to a page and wait until it shows these words."""
        self.page.goto(self.home + path)
        self.page.get_by_text(words).first.wait_for()
        return self.page

    def keep(self, name: str, folder: Path) -> None:
        """Take a picture of the page, which asked nobody else and complained of nothing."""
        picture = Path(PICTURES or folder) / f"prefect-{name}.png"
        self.page.screenshot(path=picture)
        assert picture.stat().st_size > 10_000
        assert self.complaints == []
        assert self.foreign == []


def flows() -> list[str]:
    """The flows of `prefect.yaml`."""
    listed = yaml.safe_load((deployments.ROOT / "prefect.yaml").read_text())["deployments"]
    return [entry["entrypoint"].rpartition(":")[2] for entry in listed]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Make that world once, with the commands and settings of `up`. Its ticks have stopped, its server runs on."""
    folder = tmp_path_factory.mktemp("deployed")
    candles = write_candles(folder / "candles.csv", CANDLES)
    file = write_portfolio(folder, candles)
    play(file, PLAYED)
    plan = up.Plan(file, "test", folder / "data", free_port(), EVERY_S)
    here, running = begun(folder, plan.home, plan.port)
    try:
        assert up.register(plan) is not None
        plan_all(here, candles)
        ends, busy_tick = worked(here, plan)
        yield World(here, file, ends, busy_tick, here.ask(forms), here.ask(artifacts))
    finally:
        server.stop(running)


def plan_all(here: Lab, candles: Path) -> None:
    """Let a schedule of every deployment come now, in place of its own; the tick keeps its own."""

    async def now(client: PrefectClient) -> None:
        for flow in flows():
            if flow == "tick":
                continue
            one = await client.read_deployment_by_name(f"{flow}/test")
            for schedule in one.schedules:
                await client.delete_deployment_schedule(one.id, schedule.id)
            words = WORDS.get(flow, {})
            if flow in {"backtest", "sweep"}:
                words = words | {"candles": [str(candles)]}
            due = datetime.now(UTC)
            daily = IntervalSchedule(interval=timedelta(days=1), anchor_date=due).model_dump(mode="json")
            wanted = [{"schedule": daily, "active": True, "parameters": words}]
            await client.request("POST", f"/deployments/{one.id}/schedules", json=wanted)
            # What the scheduler does in its loop: plan the runs that this schedule has in these seconds.
            span = {"start_time": str(due - timedelta(seconds=1)), "end_time": str(due + timedelta(seconds=1))}
            await client.request("POST", f"/deployments/{one.id}/schedule", json=span | {"min_runs": 1, "max_runs": 1})

    here.ask(now)


def worked(here: Lab, plan: up.Plan) -> tuple[dict[str, FlowRun], FlowRun]:
    """Let the workers of `up` work until every planned run has ended; the run of each flow, and of a busy tick."""
    children = [child for child in up.workers(plan) if child.name != up.HEARTBEAT]
    began = time.monotonic()
    try:
        while True:
            for child in children:
                assert child.keep(time.monotonic()) is None, server.last_line(child.log)
            ends, busy = here.ask(ended)
            if ends.keys() == set(flows()) and busy and inbox.pending(plan.data_dir) == []:
                return ends, busy[0]
            waited_s = time.monotonic() - began
            told = {name: run.state_name for name, run in ends.items()}
            assert waited_s < PATIENCE_S, f"after {waited_s:.0f} s: {told}, {len(busy)} busy ticks; logs in {plan.home}"
            time.sleep(1.0)
    finally:
        for child in children:
            if child.process is not None:
                server.end(child.process, 10)


async def ended(client: PrefectClient) -> tuple[dict[str, FlowRun], list[FlowRun]]:
    """A run of each flow that has ended, and the ticks that placed orders. A tick that was skipped is none."""
    wanted = {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
    runs = await client.read_flow_runs(
        deployment_filter=DeploymentFilter.model_validate({"name": {"any_": ["test"]}}),
        flow_run_filter=FlowRunFilter.model_validate(wanted),
        limit=200,
    )
    names = {one.id: one.name for one in await client.read_flows()}
    ends = {names[run.flow_id]: run for run in sorted(runs, key=lambda run: run.state_type == StateType.COMPLETED)}
    ticks = [run for run in runs if names[run.flow_id] == "tick" and run.state is not None]
    return ends, [run for run in ticks if "placed" in (run.state.message or "")]


async def forms(client: PrefectClient) -> dict[str, dict[str, Any]]:
    """The schema of the form of each deployment."""
    read = {flow: await client.read_deployment_by_name(f"{flow}/test") for flow in flows()}
    return {flow: one.parameter_openapi_schema or {} for flow, one in read.items()}


async def artifacts(client: PrefectClient) -> dict[str, str]:
    """The id of the newest artifact of each key."""
    found = await client.read_artifacts(sort=ArtifactSort.CREATED_DESC, limit=200)
    return {one.key or "": str(one.id) for one in reversed(found)}


@pytest.fixture(scope="module")
def visitor(world: World) -> Iterator[Visitor]:
    """Chromium without a window, logged in."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as playing:
        browser = playing.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Visitor(browser, world)
        browser.close()


def test_every_deployment_is_planned_executed_and_completed(world: World) -> None:
    """Ticks in the warm worker, everything else in the batch worker, what takes long in its queue; each did its work."""
    told = {name: (run.state_name, run.state.message if run.state else None) for name, run in world.ends.items()}
    assert {name: state for name, (state, _) in told.items()} == dict.fromkeys(flows(), "Completed"), told
    assert all(run.auto_scheduled for run in world.ends.values()), "planned by a schedule"
    place = deployments.Place("test", "", "", EVERY_S)
    wanted = {
        plan.entrypoint.rpartition(":")[2]: (plan.pool, plan.queue or "default") for plan in deployments.plans(place)
    }
    found = {name: (run.work_pool_name, run.work_queue_name) for name, run in world.ends.items()}
    assert found == wanted
    data = world.file.parent / "data"
    assert (data / "reports" / "report.html").is_file()
    # The word of control went from its form through the inbox to a tick.
    rows = stored(world.file, "SELECT DISTINCT bot_id, action, who, note FROM commands")
    assert rows == [("g1", "cancel", "ui", "for the test")]


def test_the_night_did_every_step(world: World) -> None:
    """Candles imported, books held against the checks, bots backtested, report written; nothing failed or stopped."""
    data = world.file.parent / "data"
    (record,) = (data / "nightly").glob("????-??-??.json")
    steps = json.loads(record.read_text())["steps"]
    wanted = ("backfill", "quality", "books", "backtest g1", "report", "publish", "backup", "upkeep")
    assert {name: steps[name]["status"] for name in wanted} == dict.fromkeys(wanted, DONE)
    assert {step["status"] for step in steps.values()} <= set(OVER)
    assert "checks found nothing" in steps["books"]["says"]
    assert (data / "reports" / record.stem / "report.html").is_file()
    with duckdb.connect(str(data / "market.duckdb"), read_only=True) as con:
        kept = con.execute("SELECT fills FROM backtests WHERE run_id = ?", [steps["backtest g1"]["data"]["run_id"]])
        assert kept.fetchall() == [(steps["backtest g1"]["data"]["fills"],)]


def test_every_field_of_a_form_says_what_it_means(world: World) -> None:
    """Each parameter of each deployment has a type, or a choice, and a description."""
    for flow, schema in world.schemas.items():
        fields = schema["properties"]
        assert [name for name, field in fields.items() if not field.get("description")] == [], flow
        assert [name for name, field in fields.items() if not field.keys() & {"type", "anyOf", "enum"}] == [], flow


def test_the_ui_lists_every_deployment(world: World, visitor: Visitor, tmp_path: Path) -> None:
    """The list has each flow under the portfolio's name."""
    page = visitor.open("/deployments", f"{len(world.ends)} Deployments")
    for flow in flows():
        page.get_by_text(flow, exact=True).first.wait_for()
    visitor.keep("deployments", tmp_path)


@pytest.mark.parametrize("flow", ["control", "nightly", "backtest", "sweep"])
def test_the_ui_has_a_form_for_a_deployment(world: World, visitor: Visitor, tmp_path: Path, flow: str) -> None:
    """Every parameter is a field with what it means."""
    page = visitor.open(f"/deployments/deployment/{world.ends[flow].deployment_id}/run", "Parameters")
    for name, field in world.schemas[flow]["properties"].items():
        page.get_by_text(name).first.wait_for()
        # Up to the first word that is set in another way.
        page.get_by_text(field["description"].split("`")[0].split("\n")[0].strip()).first.wait_for()
    visitor.keep(f"form-{flow}", tmp_path)


def test_the_ui_shows_the_tasks_of_a_tick(world: World, visitor: Visitor, tmp_path: Path) -> None:
    """The run of a busy tick is COMPLETED and lists what it was made of."""
    page = visitor.open(f"/runs/flow-run/{world.busy_tick.id}", "Completed")
    page.get_by_text("Task Runs", exact=True).first.click()
    for stage in ("commit-", "act-"):
        page.get_by_text(stage).first.wait_for()
    visitor.keep("tick", tmp_path)


@pytest.mark.parametrize(
    ("key", "words"),
    [("nightly-test", "backtest g1"), ("quality-test", "COIN/USDT"), ("backtest-portfolio-g1", "round trips")],
)
def test_the_ui_draws_an_artifact(world: World, visitor: Visitor, tmp_path: Path, key: str, words: str) -> None:
    """The night's steps, the gate's findings and the figures of a backtest are tables in the page of their artifact."""
    page = visitor.open(f"/artifacts/artifact/{world.artifacts[key]}", key)
    page.locator("table").get_by_text(words).first.wait_for()
    visitor.keep(f"artifact-{key}", tmp_path)


@contextmanager
def hostile_page(here: Lab, deployment: str) -> Iterator[str]:
    """Serve a page of another origin that tries to start a deployment; gives its address."""
    url = f"{here.url}/deployments/{deployment}/create_flow_run"
    text = HOSTILE.replace("URL", url).replace("API", here.url).encode()

    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer((server.HOST, 0), Evil) as evil:
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        yield f"http://{server.HOST}:{evil.server_port}/"
        evil.shutdown()


def test_a_hostile_page_cannot_start_control(world: World, visitor: Visitor) -> None:
    """In a browser that is logged in, a page of another origin sends what it can: no run is made, nothing is read."""
    before = world.runs_of("control")
    answers: list[int] = []
    with hostile_page(world.here, str(world.ends["control"].deployment_id)) as address:
        page = visitor.page.context.new_page()
        page.on("response", lambda one: answers.append(one.status) if "create_flow_run" in one.url else None)
        page.goto(address)
        page.wait_for_function("document.title.startsWith('[')", timeout=PATIENCE_MS)
        told = json.loads(page.title())
        page.close()
    assert told[0].startswith("refused"), told
    # Sent without leave: the page learns nothing of the answer, and the server refused.
    assert told[1] in {"read: opaque", "refused: TypeError"}, told
    assert all(one.startswith("refused") for one in told[2:]), told
    assert answers != []
    assert set(answers) <= {400, 401, 403, 405}, answers
    assert world.runs_of("control") == before
