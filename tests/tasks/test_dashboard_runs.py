"""Backtests and sweeps on the dashboard: from the market store to what a page is given."""

import json
from datetime import datetime

import pytest
from starlette.testclient import TestClient

from tasks.dashboard import create_app
from tasks.dashboard_runs import values_of, varied_names
from tasks.market_store import open_market
from tasks.publish import publish
from tasks.runs_publish import publish_runs
from tasks.store import open_store
from tests.tasks.dashboard_world import HOSTILE, traded

AT = datetime(2026, 3, 4)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A dashboard over a copy with one sweep of nine runs and one backtest with a fill."""
    folder = traded(tmp_path_factory.mktemp("runs"), days=1, prices=5)
    with open_market(folder) as con:
        fill_market(con)
        assert len(publish_runs(con, folder)) == 3
    with open_store(folder) as store:
        publish(store, folder)
    return TestClient(create_app(folder, 4280), base_url="http://127.0.0.1:4280")


def fill_market(con: object) -> None:
    """Put the rows into the market store, as a sweep and a backtest would."""
    varied = json.dumps({"levels": ["5", "6", "7"], "triple_barrier.stop_loss": ["0.1", "0.2", "0.3"]})
    con.execute(  # type: ignore[attr-defined]
        "INSERT INTO sweeps VALUES ('s1', ?, ?, 'p', 'g1', 'grid', 'BTC/USDT', 'c', ?, '{}', '[]', 9, NULL)",
        [AT, AT, varied],
    )
    for number in range(10):
        alone = number == 9
        config = json.dumps({"levels": str(5 + number % 3), "triple_barrier.stop_loss": str((1 + number // 3) / 10)})
        columns = (
            "run_id, sweep_id, number, segment, recorded_at, portfolio_id, bot_id, kind, venue, symbol, timeframe, first_ts, "
            "last_ts, config, intrabar, fill, latency_s, engine, refused, bars, fills, round_trips, net_pnl, max_drawdown, sharpe"
        )
        con.execute(  # type: ignore[attr-defined]
            f"INSERT INTO backtests ({columns}) VALUES (?, ?, ?, 0, ?, 'p', 'g1', 'grid', 'v', 'BTC/USDT', '1m', ?, ?, ?, "
            "'adaptive', 'cross', 6, 'kernel', ?, 100, 4, 2, ?, ?, 'nan'::DOUBLE)",
            [
                f"r{number}", None if alone else "s1", number, AT, AT, AT, config, HOSTILE if number == 8 else None,
                None if number == 8 else f"{number * 7 % 5 - 2}.25", 0.01 * (number % 4 + 1),
            ],
        )  # fmt: skip
    con.execute(  # type: ignore[attr-defined]
        "INSERT INTO backtest_fills VALUES ('r9', 0, ?, 'v', 'BTC/USDT', 'g1', 'c', 't', 'buy', 5, 2, 0.1, 'USDT', true)",
        [AT],
    )


def test_backtests_stand_apart_from_the_runs_of_sweeps(client: TestClient) -> None:
    """The list has backtests of their own and sweeps; a sweep's runs are on its page."""
    data = client.get("/api/backtests").json()
    assert [run["run_id"] for run in data["backtests"]] == ["r9"]
    assert [one["sweep_id"] for one in data["sweeps"]] == ["s1"]
    assert data["backtests"][0]["sharpe"] is None


def test_a_backtest_has_its_fills_and_its_configuration(client: TestClient) -> None:
    """One run says what it was made with and what it did; a sweep's run has no fills."""
    data = client.get("/api/backtests/r9").json()
    assert (data["run"]["fill"], len(data["fills"]), data["fills"][0]["qty"]) == ("cross", 1, "2")
    assert client.get("/api/backtests/r1").json()["fills"] == []


def test_a_sweep_has_every_run_at_its_place(client: TestClient) -> None:
    """Each run stands at the values that it tried, the refused one as well."""
    data = client.get("/api/sweeps/s1").json()
    assert data["names"] == ["levels", "triple_barrier.stop_loss"]
    places = {(run["at"]["levels"], run["at"]["triple_barrier.stop_loss"]) for run in data["runs"]}
    assert len(places) == len(data["runs"]) == 9


@pytest.mark.parametrize(
    ("text", "names"),
    [(None, []), ("", []), ("{", []), ("1", []), ('{"a": [1]}', ["a"]), ('[{"name": "a"}, 1]', ["a"])],
)
def test_names_come_from_any_form_that_names_them(text: str | None, names: list[str]) -> None:
    """What cannot be read has no names; it is no error of the page."""
    assert varied_names(text) == names


def test_values_are_found_by_their_name_or_on_their_path() -> None:
    """A dotted name is looked up as it stands, then inside."""
    assert values_of('{"a.b": 1, "c": {"d": 2}}', ["a.b", "c.d", "e"]) == {"a.b": 1, "c.d": 2, "e": None}
