"""Deployments of `prefect.yaml` under a portfolio's own names, and the retention of their runs."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Completed

from tasks import deployments, server, upkeep
from tasks.nightly_steps import utc_now
from tests.tasks.prefect_lab import Lab, lab

NIGHT = """
id: night
mode: paper
data_dir: data
venues:
  - id: spot
    exchange: binance
    instruments: {BTC/USDT: {tick_size: 0.01, lot_step: 0.00001, min_notional: 5}}
feed: {kind: candles, paths: {spot: btc.csv}}
bots:
  - {id: btc1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 90, end_price: 110, total_amount_quote: 500, levels: 8}
"""
PLACE = deployments.Place("mine", "/somewhere/mine.yaml", "/somewhere/data", 2.0)


def test_every_name_carries_the_portfolio() -> None:
    """Pools and deployments end with the portfolio's id, and its values fill the parameters."""
    plans = deployments.plans(PLACE)
    by_entrypoint = {plan.entrypoint: plan for plan in plans}
    assert {plan.name for plan in plans} == {"mine"}
    assert {plan.pool for plan in plans} == {"warm-mine", "batch-mine"}
    tick = by_entrypoint["flows/tick.py:tick"]
    assert tick.pool == "warm-mine"
    assert tick.parameters == {"portfolio": "/somewhere/mine.yaml"}
    assert by_entrypoint["flows/control.py:control"].parameters["data_dir"] == "/somewhere/data"
    assert by_entrypoint["flows/maintenance.py:maintenance"].parameters["deployment"] == "tick/mine"


def test_the_tick_has_the_portfolios_interval_and_others_the_files_schedule() -> None:
    """The interval given to `up` is the tick's; cron schedules are in UTC; a second tick is cancelled, never queued."""
    schedules = {plan.entrypoint: [one.schedule for one in plan.schedules] for plan in deployments.plans(PLACE)}
    (ticking,) = schedules["flows/tick.py:tick"]
    assert isinstance(ticking, IntervalSchedule)
    assert ticking.interval == timedelta(seconds=2)
    crons = [one for many in schedules.values() for one in many if isinstance(one, CronSchedule)]
    assert crons
    assert all(cron.timezone == "UTC" for cron in crons)
    tick = next(plan for plan in deployments.plans(PLACE) if plan.entrypoint == "flows/tick.py:tick")
    assert tick.concurrency is not None
    assert (tick.concurrency["limit"], tick.concurrency["collision_strategy"]) == (1, "CANCEL_NEW")


def test_old_results_go_and_new_ones_stay(tmp_path: Path) -> None:
    """Exceptions of failed runs are kept for a day; a folder that isn't there is no error."""
    (tmp_path / "one").write_text("x")
    now_s = (tmp_path / "one").stat().st_mtime
    assert upkeep.delete_old_results(tmp_path, now_s + 3_600) == 0
    assert upkeep.delete_old_results(tmp_path, now_s + 90_000) == 1
    assert upkeep.delete_old_results(tmp_path / "nowhere") == 0


def test_a_database_with_much_free_space_is_compacted(tmp_path: Path) -> None:
    """Pages that deleted rows left behind go back to the disk, and what remains is intact."""
    path = tmp_path / "prefect.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE a (b BLOB)")
        connection.executemany("INSERT INTO a VALUES (?)", [(bytes(1_000_000),)] * 50)
        connection.commit()
        assert upkeep.compact(path) == 0
        connection.execute("DELETE FROM a WHERE rowid > 5")
        connection.commit()
    assert upkeep.compact(path) > 40_000_000
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM a").fetchone() == (5,)
    assert upkeep.compact(tmp_path / "nothing.db") == 0


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("deployments")) as started:
        yield started


@pytest.mark.server
def test_registering_again_changes_values_and_keeps_a_pause(here: Lab) -> None:
    """A second `up` brings schedules up to date; a deployment that a person paused stays paused and is said to be."""

    async def twice(client: PrefectClient) -> tuple[list[deployments.Registered], float]:
        first = await deployments.register(client, PLACE)
        assert not any(one.paused for one in first)
        tick = await client.read_deployment_by_name("tick/mine")
        await client.pause_deployment(tick.id)
        second = await deployments.register(client, replace(PLACE, interval_s=3.0))
        (schedule,) = (await client.read_deployment_by_name("tick/mine")).schedules
        assert isinstance(schedule.schedule, IntervalSchedule)
        return second, schedule.schedule.interval.total_seconds()

    registered, interval_s = here.ask(twice)
    assert [one.name for one in registered if one.paused] == ["tick/mine"]
    assert interval_s == 3.0


@pytest.mark.server
def test_the_server_has_what_the_file_says(here: Lab) -> None:
    """Every deployment of prefect.yaml stands on the server under the portfolio's name, and no other does."""

    async def read(client: PrefectClient) -> dict[str, DeploymentResponse]:
        await deployments.register(client, PLACE)
        return {one.entrypoint or "": one for one in await client.read_deployments() if one.name == "mine"}

    found: dict[str, DeploymentResponse] = here.ask(read)
    listed = yaml.safe_load((deployments.ROOT / "prefect.yaml").read_text())["deployments"]
    assert found.keys() == {entry["entrypoint"] for entry in listed}
    for entry in listed:
        one = found[entry["entrypoint"]]
        assert one.work_pool_name == f"{entry['work_pool']['name']}-mine"
        assert one.work_queue_name == entry["work_pool"].get("work_queue_name", "default")
        assert one.tags == entry["tags"]
        assert one.parameters.keys() == entry["parameters"].keys()
        assert [schedule.slug for schedule in one.schedules] == [
            entry_["slug"] for entry_ in entry.get("schedules", ())
        ]
        limit = entry.get("concurrency_limit")
        assert (one.global_concurrency_limit.limit if one.global_concurrency_limit else None) == (
            limit and limit["limit"]
        )
        strategy = one.concurrency_options.collision_strategy.value if one.concurrency_options else None
        assert strategy == (limit and limit["collision_strategy"])
        # A form field for every parameter, each with its type.
        assert all("type" in field or "anyOf" in field for field in one.parameter_openapi_schema["properties"].values())


@pytest.mark.server
def test_a_night_and_its_upkeep_run_in_prefect(here: Lab, tmp_path: Path) -> None:
    """The night's steps are tasks, its tables are artifacts; it fails where a step does, and old artifacts go."""
    from flows.maintenance import maintenance
    from flows.nightly import nightly

    (tmp_path / "lab.yaml").write_text(NIGHT, encoding="utf-8")
    (tmp_path / "btc.csv").write_text("no candles\n", encoding="utf-8")
    mine = {PREFECT_API_URL: here.url, PREFECT_API_AUTH_STRING: server.login(here.home)}
    with temporary_settings(mine):
        failed = nightly(str(tmp_path / "lab.yaml"), return_state=True)
        assert failed.is_failed()
        assert "backfill failed" in str(failed.message)
        price = [f"{1_000 + minute},100,101,99,100,1" for minute in range(200)]
        rows = [f"{1_772_323_200_000 + 60_000 * k},{row.partition(',')[2]}" for k, row in enumerate(price)]
        (tmp_path / "btc.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]), encoding="utf-8")
        assert nightly(str(tmp_path / "lab.yaml"), return_state=True).is_completed()

    async def look(client: PrefectClient) -> tuple[set[str], set[str | None]]:
        tasks = await client.read_task_runs(limit=200)
        artifacts = await client.read_artifacts(limit=200)
        return {run.name.rpartition("-")[0] for run in tasks}, {one.key for one in artifacts}

    tasks, artifacts = here.ask(look)
    assert {"backfill", "quality", "backtest btc1", "backup", "upkeep"} <= tasks
    assert {"nightly-night", "quality-night", "nightly-night-progress"} <= artifacts
    later = utc_now() + timedelta(days=1)
    assert here.ask(lambda _: upkeep.delete_old_artifacts(later, keep=1)) > 0
    assert here.ask(lambda _: upkeep.delete_old_artifacts(later, keep=1)) == 0
    # Those without a key are what Prefect writes for itself.
    assert here.ask(look)[1] == artifacts - {None}

    async def register(client: PrefectClient) -> None:
        await deployments.register(client, PLACE)

    here.ask(register)
    with temporary_settings(mine):
        state = asyncio.run(maintenance("tick/mine", data_dir=str(tmp_path), return_state=True))
    assert state.is_completed()


@pytest.mark.server
def test_the_newest_runs_stay(here: Lab) -> None:
    """Retention is by count: the newest finished runs stay, the rest go, planned ones are not touched."""
    here.deploy("many", interval_s=3_600)

    async def fill_and_clean(client: PrefectClient) -> tuple[int, int]:
        deployment = await client.read_deployment_by_name("beat/many")
        for number in range(130):
            name = f"run-{number:03}"
            run = await client.create_flow_run_from_deployment(deployment.id, name=name, state=Completed())
            assert run.expected_start_time is not None
        first = await upkeep.delete_old_runs("beat/many", 100)
        second = await upkeep.delete_old_runs("beat/many", 100)
        return first, second

    deleted, again = here.ask(fill_and_clean)
    assert (deleted, again) == (30, 0)
    names = sorted(run.name for run in here.runs("many"))
    assert names == [f"run-{number:03}" for number in range(30, 130)]
    with pytest.raises(ValueError, match="at least 100"):
        here.ask(lambda _: upkeep.delete_old_runs("beat/many", 5))
