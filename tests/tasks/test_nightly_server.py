"""The night as it happens: planned by a schedule, taken by the batch worker, done to the end on a real server."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.schedules import IntervalSchedule

from tasks import deployments, server
from tasks.nightly_steps import DONE
from tests.tasks.played import play, write_candles, write_portfolio
from tests.tasks.prefect_lab import Lab, lab, wait_until

CANDLES = 300


def plan_night(here: Lab, file: Path) -> None:
    """Register what `up` registers, and let the night's schedule come soon instead of at 01:41."""

    async def soon(client: PrefectClient) -> None:
        place = deployments.Place("test", str(file), str(file.parent / "data"), 5.0)
        await deployments.register(client, place)
        night = await client.read_deployment_by_name("nightly/test")
        (at_night,) = night.schedules
        await client.delete_deployment_schedule(night.id, at_night.id)
        await client.create_deployment_schedules(night.id, [(IntervalSchedule(interval=timedelta(seconds=20)), True)])

    here.ask(soon)


@pytest.mark.server
@pytest.mark.xdist_group("server")
def test_a_planned_night_is_completed_by_the_batch_worker(tmp_path: Path) -> None:
    """Schedule, batch worker, COMPLETED: candles imported, books held against the checks, bots backtested, report written."""
    file = write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", CANDLES))
    play(file, CANDLES)
    with lab(tmp_path) as here:
        plan_night(here, file)
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "batch-test", "--type", "process"]
        worker = server.spawn(command, here.home, here.log("batch"))
        try:
            wait_until(lambda: "Completed" in here.states("test", "nightly"), f"a night; {here.log('batch')}")
        finally:
            server.end(worker, 10)
    (record,) = (tmp_path / "data" / "nightly").glob("????-??-??.json")
    steps = json.loads(record.read_text())["steps"]
    wanted = ("backfill", "quality", "books", "backtest g1", "report", "publish", "backup", "upkeep")
    assert {name: steps[name]["status"] for name in wanted} == dict.fromkeys(wanted, DONE)
    assert "checks found nothing" in steps["books"]["says"]
    assert (tmp_path / "data" / "reports" / record.stem / "report.html").is_file()
    with duckdb.connect(str(tmp_path / "data" / "market.duckdb"), read_only=True) as con:
        kept = con.execute("SELECT fills FROM backtests WHERE run_id = ?", [steps["backtest g1"]["data"]["run_id"]])
        assert kept.fetchall() == [(steps["backtest g1"]["data"]["fills"],)]
