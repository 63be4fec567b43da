"""The dashboard's server: what it answers, whom it refuses, and that it can only read."""

import csv
import io
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.testclient import TestClient

from tasks.dashboard import create_app
from tasks.dashboard_data import SPANS
from tasks.publish import FILE_NAME, published_folder
from tests.tasks.dashboard_world import FORMULA, ask, poison, traded

PORT = 4280
HOME = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of three days, with a secret beside it."""
    place = traded(tmp_path_factory.mktemp("dashboard"))
    (place / "secret.csv").write_text("key\ncanary\n")
    return place


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    """A browser's stand-in that asks under the dashboard's own address."""
    return TestClient(create_app(folder, PORT), base_url=HOME)


def question(client: TestClient, sql: str, path: str = "/api/sql", **headers: str) -> Any:
    """Send a question as the page does."""
    return client.post(path, content=json.dumps({"sql": sql}), headers={"content-type": "application/json", **headers})


@pytest.mark.parametrize("path", ["/", "/bots", "/bots/g1", "/incidents", "/ticks", "/backtests", "/sweeps/a", "/sql"])
def test_every_page_is_the_one_page(client: TestClient, path: str) -> None:
    """A reload anywhere works, and nothing of the address gets into the page."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text == client.get("/").text


@pytest.mark.parametrize("span", SPANS)
def test_the_portfolio_has_its_sums_and_their_age(client: TestClient, folder: Path, span: str) -> None:
    """Totals are those of the view, whatever span is drawn; the age of the copy stands beside them."""
    data = client.get(f"/api/portfolio?span={span}").json()
    ((net, equity),) = ask(folder, "SELECT sum(net_pnl), sum(equity) FROM report_bots")
    assert Decimal(data["totals"][0]["net_pnl"]) == net
    assert Decimal(data["totals"][0]["equity"]) == equity
    assert data["as_of"]["age_s"] >= 0
    assert data["series"]["points"]


def test_a_long_span_begins_with_the_first_sample_and_ends_with_the_last(client: TestClient, folder: Path) -> None:
    """Hours of past days and minutes of today make one line, without a day missing or twice."""
    points = client.get("/api/bots/g1?span=all").json()["series"]["points"]
    days = [at for (at,) in ask(folder, "SELECT DISTINCT ts::DATE FROM equity ORDER BY 1")]
    assert sorted({point["at"][:10] for point in points}) == [day.isoformat() for day in days]
    ((last,),) = ask(folder, "SELECT equity FROM equity ORDER BY ts DESC LIMIT 1")
    assert points[-1]["equity"] == pytest.approx(float(last))
    assert len({point["at"] for point in points}) == len(points)


def test_one_bot_has_every_level_with_its_reason(client: TestClient, folder: Path) -> None:
    """Levels, lots, orders and fills are those of the store; a level that does not work says why."""
    data = client.get("/api/bots/g1?span=7d").json()
    counts = ask(
        folder,
        "SELECT (SELECT count(*) FROM levels), (SELECT count(*) FROM lots WHERE qty > 0), "
        "(SELECT count(*) FROM orders WHERE status = 'OPEN')",
    )
    assert counts == [(len(data["levels"]), len(data["lots"]), len(data["orders"]))]
    assert all(level["working"] or level["reason"] for level in data["levels"])
    ((first, fills),) = ask(folder, "SELECT min(ts), count(*) FROM fills WHERE ts >= DATE '2026-03-01'")
    assert len(data["fills"]) == fills
    assert data["fills"][-1]["ts"][:19] == first.isoformat()


def test_lots_float_as_the_view_says(client: TestClient, folder: Path) -> None:
    """The quick way to the open lots gives what `report_lots` gives."""
    lots = client.get("/api/bots/g1").json()["lots"]
    rows = ask(folder, "SELECT lot_id, unrealized, average_price FROM report_lots WHERE standing ORDER BY lot_id")
    shown = sorted((lot["lot_id"], lot["unrealized"], lot["average_price"]) for lot in lots)
    assert [row[0] for row in shown] == [row[0] for row in rows]
    assert [row[1:] for row in shown] == [pytest.approx(row[1:]) for row in rows]


def test_the_bridge_ends_at_the_net_profit(client: TestClient) -> None:
    """The steps add up to the net profit, to the last digit."""
    data = client.get("/api/bots/g1").json()
    *steps, net = [Decimal(step["value"]) for step in data["bridge"]]
    assert sum(steps, Decimal(0)) == net == Decimal(data["bot"]["net_pnl"])


def test_days_are_those_of_the_view(client: TestClient, folder: Path) -> None:
    """Profit by day, from the files of those days alone, equals the view over everything."""
    days = client.get("/api/bots/g1").json()["days"]
    rows = ask(folder, "SELECT day, fills, realized, fees FROM report_pnl_daily WHERE fills > 0 ORDER BY day DESC")
    assert [(d["day"], d["fills"], Decimal(d["realized"]), Decimal(d["fees"])) for d in days] == [
        (day.isoformat(), fills, realized, fees) for day, fills, realized, fees in rows
    ]


def test_incidents_ticks_and_backtests_answer(client: TestClient) -> None:
    """The other pages have their data; tables that nobody published are empty, not an error."""
    assert client.get("/api/incidents").json()["incidents"] == []
    ticks = client.get("/api/ticks").json()
    assert ticks["ticks"][0]["took_ms"] == pytest.approx(40)
    assert sum(hour["ticks"] for hour in ticks["hours"]) > 0
    assert client.get("/api/backtests").json()["backtests"] == []


@pytest.mark.parametrize("path", ["/api/bots/nobody", "/api/backtests/x", "/api/sweeps/x", "/assets/none.js", "/api/x"])
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    """A name that does not exist is told so."""
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", ["..%2Fdashboard.py", "%2e%2e/cli.py", "page.html", "....//cli.py", "."])
def test_only_assets_are_given_out(client: TestClient, name: str) -> None:
    """No path leads out of the folder of assets."""
    assert client.get(f"/assets/{name}").status_code == 404


def test_before_the_first_publication_the_page_says_so(tmp_path: Path) -> None:
    """Nothing published yet is a reason, not an error of the server."""
    answer = TestClient(create_app(tmp_path, PORT), base_url=HOME).get("/api/portfolio")
    assert answer.status_code == 503
    assert "nothing was published yet" in answer.json()["error"]


def test_a_copy_of_another_version_is_a_reason(folder: Path, tmp_path: Path) -> None:
    """What an older version published has not all views; the page says what makes it anew."""
    shutil.copytree(published_folder(folder), published_folder(tmp_path))
    with duckdb.connect(published_folder(tmp_path) / FILE_NAME) as con:
        con.execute("DROP VIEW fills_daily")
    answer = TestClient(create_app(tmp_path, PORT), base_url=HOME).get("/api/portfolio")
    assert answer.status_code == 503
    assert "another version" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1:4999"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:4200"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/portfolio", "/assets/app.js"])
def test_other_pages_get_no_answer(client: TestClient, path: str, headers: dict[str, str]) -> None:
    """A rebound name, a foreign page, a frame and another port of this machine are refused."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert "grid" not in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_of_another_page_asks_nothing(client: TestClient, kind: str) -> None:
    """What a form can send is refused before it is read."""
    answer = client.post("/api/sql", content='{"sql": "SELECT 1"}', headers={"content-type": kind})
    assert answer.status_code == 403


def test_a_link_from_elsewhere_opens_the_page(client: TestClient) -> None:
    """Following a link is no attack: the other page does not see what it opens."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/portfolio", "/assets/style.css", "/nowhere"])
def test_every_answer_forbids_what_the_page_does_not_need(client: TestClient, path: str) -> None:
    """Scripts, frames and connections other than its own are forbidden, and nothing is kept."""
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_question_is_answered(client: TestClient) -> None:
    """Columns, rows with exact amounts, and how long it took."""
    data = question(client, "SELECT bot_id, capital_quote FROM report_bots").json()
    assert data["columns"] == ["bot_id", "capital_quote"]
    assert data["rows"][0][0] == "g1"
    assert data["took_ms"] > 0


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM fills_today", "ATTACH '{folder}/trading.duckdb'", "COPY (SELECT 1) TO '{folder}/out.csv'",
        "SELECT * FROM read_csv('{folder}/secret.csv')", "SELECT * FROM read_text('{folder}/published/../secret.csv')",
        "SET enable_external_access = true", "INSTALL httpfs", "LOAD httpfs", "PRAGMA database_list; SELECT 1",
        "SELECT * FROM read_parquet('https://127.0.0.1:9/x')", "CREATE TEMP TABLE t AS SELECT 1",
        "EXPORT DATABASE '{folder}/x'", "SELECT getenv('HOME')",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/sql", "/api/sql.csv"])
def test_the_box_only_reads_the_published_folder(client: TestClient, folder: Path, sql: str, path: str) -> None:
    """Writing, settings, other files and the network are refused with one line."""
    answer = question(client, sql.format(folder=folder), path)
    assert answer.status_code == 400
    assert "canary" not in answer.text
    assert not (folder / "out.csv").exists()


def test_a_table_is_shorter_than_a_download(client: TestClient) -> None:
    """More rows than a page can show are refused there, and downloaded."""
    assert "more than 2000 rows" in question(client, "SELECT range FROM range(5000)").json()["error"]
    assert question(client, "SELECT range FROM range(5000)", "/api/sql.csv").text.count("\r\n") == 5_001


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"sql": 1}', "SELECT 1", '{"sql": "' + "x" * 30_000 + '"}'])
def test_something_else_than_a_question_is_refused(client: TestClient, body: str) -> None:
    """Anything but a small JSON object with a text under `sql` gets the form that is accepted."""
    answer = client.post("/api/sql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "SELECT" in answer.json()["error"]


def test_a_download_is_safe_to_open(client: TestClient) -> None:
    """A text that a spreadsheet would run is made a text; numbers stay numbers."""
    words = FORMULA.replace("'", "''")
    answer = question(client, f"SELECT '{words}' AS \"=name\", -1.5 AS n, NULL AS nothing", "/api/sql.csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert list(csv.reader(io.StringIO(answer.text))) == [["'=name", "n", "nothing"], ["'" + FORMULA, "-1.5", ""]]


def test_a_new_publication_is_seen_at_once(tmp_path: Path) -> None:
    """The copy is opened for each answer: what was published last is what is shown."""
    place = traded(tmp_path / "a", days=1, prices=5)
    client = TestClient(create_app(place, PORT), base_url=HOME)
    before = client.get("/api/portfolio").json()
    poison(place)
    after = client.get("/api/portfolio").json()
    assert before["incidents"] == []
    assert len(after["incidents"]) == 1


def test_numbers_that_are_none_become_nothing(client: TestClient) -> None:
    """NaN and infinity have no place in JSON; the page shows a dash."""
    data = question(client, "SELECT 'nan'::DOUBLE AS a, 'inf'::DOUBLE AS b, [1.5, 'nan'::DOUBLE] AS c").json()
    assert data["rows"] == [[None, None, [1.5, None]]]
