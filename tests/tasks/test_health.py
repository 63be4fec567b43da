"""The health endpoint, and the files for service managers and containers that ask it."""

import configparser
import json
import re
import shlex
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tasks import cli, heartbeat
from tasks.health import serve_health

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def ask(port: int, path: str = "/health") -> tuple[int, str]:
    """Ask; returns status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_it_is_healthy_while_it_ticks(tmp_path: Path) -> None:
    """503 before the first tick, 200 after one, 503 when the last one is old; other paths are not there."""
    server = serve_health(tmp_path, 0, 60.0)
    port = server.server_port
    try:
        now = datetime.now(UTC).replace(tzinfo=None)
        assert ask(port)[0] == 503
        heartbeat.beat(tmp_path, 5, now)
        status, body = ask(port)
        assert (status, json.loads(body)["tick_id"]) == (200, 5)
        heartbeat.beat(tmp_path, 5, now - timedelta(seconds=61))
        assert ask(port)[0] == 503
        assert ask(port, "/")[0] == 404
        assert server.server_address[0] == "127.0.0.1"
    finally:
        server.shutdown()
        server.server_close()


def commands() -> list[list[str]]:
    """Every command of gridkeeper in the deployment files."""
    found: list[list[str]] = []
    for unit in DEPLOY.glob("*.service"):
        line = re.search(r"^ExecStart=\S+/gridkeeper (.*)$", unit.read_text(), re.MULTILINE)
        assert line is not None, unit
        found.append(shlex.split(line[1]))
    found += [one["command"] for one in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()]
    said = re.search(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert said is not None
    return [*found, json.loads(said[1])]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_deployment_files_call_commands_that_there_are(words: list[str]) -> None:
    """Each command line of unit, image and compose file is one that the program takes."""
    assert cli._parse(words).command == words[0]


def test_units_wait_for_the_clock_and_stop_in_time() -> None:
    """The unit starts after the time is right, and gives a stop longer than the ten seconds that it takes."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "gridkeeper.service")
    assert "time-sync.target" in unit["Unit"]["After"]
    assert int(unit["Service"]["TimeoutStopSec"]) > 10
    assert unit["Service"]["KillMode"] == "mixed"


def test_the_image_takes_every_folder_that_the_program_needs() -> None:
    """A folder that packages or SQL live in and that the image lacks would fail at the first start."""
    text = (DEPLOY / "Dockerfile").read_text()
    for folder in ("core", "tasks", "flows", "sql", "examples"):
        assert f"COPY {folder} {folder}" in text
