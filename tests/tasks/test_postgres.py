"""The Prefect server on a real PostgreSQL of the machine's packages: deployments, ticks and upkeep as on SQLite."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate, LogCreate
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Completed

from tasks import server, up, upkeep
from tests.tasks.prefect_lab import Lab, begun, free_port, wait_until
from tests.tasks.test_lateness import plan_of, ticking

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not FOUND and shutil.which("initdb") is None, reason="PostgreSQL is not installed"),
]
PASSWORD = 'a "b\\c'


@contextmanager
def postgres(port: int) -> Iterator[str]:
    """Run a database cluster of its own on 127.0.0.1; gives its URL. PostgreSQL refuses to run as root."""
    programs = FOUND[-1].parent if FOUND else Path(shutil.which("initdb") or "").parent
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    # Not below pytest's own folder: every session of pytest closes that to all other users.
    with tempfile.TemporaryDirectory(prefix="gridkeeper-postgres-") as name:
        folder = Path(name)
        secret = folder / "word"
        secret.write_text(PASSWORD)
        if as_user:
            for path in (folder, secret):
                shutil.chown(path, "postgres")
        where = ["-D", str(folder / "cluster")]

        def run(name: str, *words: str) -> None:
            subprocess.run([*as_user, str(programs / name), *words], check=True, cwd=folder, stdout=subprocess.DEVNULL)

        run("initdb", *where, "-U", "grid", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", *where, "-l", str(folder / "log"), "-o", options, "-w", "-t", "300", "start")
        try:
            yield f"postgresql+asyncpg://grid:a%20%22b%5Cc@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", *where, "-m", "immediate", "-t", "300", "stop")


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Ask the server's database itself."""

    async def ask() -> list[tuple[Any, ...]]:
        con = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            return [tuple(row) for row in await con.fetch(sql)]
        finally:
            await con.close()

    return asyncio.run(ask())


def fill(here: Lab, count: int) -> None:
    """Give the tick's deployment so many finished runs, each with a line of log, and some artifacts of last year."""

    async def make(client: PrefectClient) -> None:
        deployment = await client.read_deployment_by_name("tick/pg")
        runs = [await client.create_flow_run_from_deployment(deployment.id, state=Completed()) for _ in range(count)]
        now = datetime.now(UTC)
        await client.create_logs(
            [LogCreate(name="test", level=20, message="x", timestamp=now, flow_run_id=run.id) for run in runs]
        )
        for _ in range(upkeep.KEEP_ARTIFACTS + 2):
            await client.create_artifact(ArtifactCreate(key="nightly-pg", type="markdown", data="x"))

    here.ask(make)


def keep_house(here: Lab, now: datetime) -> None:
    """Run the flow `maintenance` against the server, as its schedule does; `now` decides which artifacts are old."""
    from flows import maintenance

    mine = {PREFECT_API_URL: here.url, PREFECT_API_AUTH_STRING: server.login(here.home)}
    with temporary_settings(mine), pytest.MonkeyPatch.context() as patch:
        patch.setattr(maintenance, "utc_now", lambda: now)
        flow = maintenance.maintenance
        assert asyncio.run(flow("tick/pg", keep_runs=upkeep.KEEP_RUNS_MIN, return_state=True)).is_completed()


def test_ticks_and_upkeep_on_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address stands in a file of its own; ticks are COMPLETED, and runs, logs, artifacts and events are kept short."""
    monkeypatch.setitem(server.SERVER_SETTINGS, "PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "PT10S")
    monkeypatch.setitem(server.SERVER_SETTINGS, "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS", "5")
    port, home = free_port(), tmp_path / "pg" / "prefect"
    plan, events = plan_of(tmp_path, free_port(), "pg"), "SELECT count(*) FROM events"
    with postgres(port) as url:
        home.mkdir(parents=True)
        server.database_file(home).write_text(url + "\n")
        here, running = begun(tmp_path, home, plan.port)
        try:
            registered = up.register(plan)
            assert registered is not None
            with ticking(plan):
                wait_until(lambda: here.count("pg", "Completed", "tick") >= 3, "three ticks")
                wait_until(lambda: rows(url, events) > [(0,)], "their events")
            ended = datetime.now(UTC).isoformat()
            fill(here, upkeep.KEEP_RUNS_MIN + 10)
            keep_house(here, datetime.now(UTC).replace(tzinfo=None) + timedelta(days=90))
            assert here.count("pg", "Completed", "tick") <= upkeep.KEEP_RUNS_MIN
            assert rows(url, "SELECT count(*) FROM artifact WHERE key = 'nightly-pg'") == [(upkeep.KEEP_ARTIFACTS,)]
            # The server deletes the logs of deleted runs, and old events, in its own time.
            orphans = "SELECT count(*) FROM log WHERE flow_run_id NOT IN (SELECT id FROM flow_run)"
            wait_until(lambda: rows(url, orphans) == [(0,)], "the logs of deleted runs are gone")
            wait_until(lambda: rows(url, f"{events} WHERE occurred < '{ended}'") == [(0,)], "old events are gone")
            assert rows(url, "SELECT count(*) > 0 FROM log") == [(True,)]
        finally:
            server.stop(running)
    assert not list(home.glob("prefect.db*"))
    assert PASSWORD not in (home / "server.log").read_text()
    assert "a%20%22b" not in (home / "server.log").read_text()
