"""The Prefect server on a real PostgreSQL of the machine's packages: deployments, ticks and upkeep as on SQLite."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks import server, up
from tests.tasks.prefect_lab import begun, free_port, wait_until
from tests.tasks.test_lateness import plan_of, ticking

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = [
    pytest.mark.server,
    pytest.mark.xdist_group("server"),
    pytest.mark.skipif(not FOUND and shutil.which("initdb") is None, reason="PostgreSQL is not installed"),
]
PASSWORD = 'a "b\\c'


@contextmanager
def postgres(folder: Path, port: int) -> Iterator[str]:
    """Run a database cluster of its own on 127.0.0.1; gives its URL. PostgreSQL refuses to run as root."""
    programs = FOUND[-1].parent if FOUND else Path(shutil.which("initdb") or "").parent
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        folder.mkdir(mode=0o755)
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:3]:
            parent.chmod(parent.stat().st_mode | 0o011)
    secret = folder / "word"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    log = folder / "log"
    where = ["-D", str(folder / "cluster")]

    def run(name: str, *words: str) -> None:
        subprocess.run([*as_user, str(programs / name), *words], check=True, cwd=folder, stdout=subprocess.DEVNULL)

    run("initdb", *where, "-U", "grid", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", *where, "-l", str(log), "-o", options, "-w", "start")
    try:
        yield f"postgresql+asyncpg://grid:a%20%22b%5Cc@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", *where, "-m", "immediate", "stop")


def test_ticks_are_completed_with_a_server_on_postgresql(tmp_path: Path) -> None:
    """The address stands in a file of its own; pools, deployments, automation and ticks are as on SQLite."""
    port, home = free_port(), tmp_path / "pg" / "prefect"
    plan = plan_of(tmp_path, free_port(), "pg")
    with postgres(tmp_path / "postgres", port) as url:
        home.mkdir(parents=True)
        server.database_file(home).write_text(url + "\n")
        here, running = begun(tmp_path, home, plan.port)
        try:
            registered = up.register(plan)
            assert registered is not None
            with ticking(plan):
                wait_until(lambda: here.count("pg", "Completed", "tick") >= 3, "three ticks", 240)
        finally:
            server.stop(running)
    assert not list(home.glob("prefect.db*"))
    assert PASSWORD not in (home / "server.log").read_text()
    assert "a%20%22b" not in (home / "server.log").read_text()
