"""Deployments of `prefect.yaml` under a portfolio's own names, and the retention of their runs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.states import Completed

from tasks import deployments, upkeep
from tests.tasks.prefect_lab import Lab, lab

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
@pytest.mark.xdist_group("server")
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
@pytest.mark.xdist_group("server")
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
