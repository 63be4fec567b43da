"""`gridkeeper up` as a person starts it: a real server, real workers, a paper portfolio with synthetic prices."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from tasks import server, up
from tests.tasks.prefect_lab import PATIENCE_S, Lab, bearable, free_port, soon, wait_until

PORTFOLIO = """
id: lab
mode: paper
data_dir: data
venues: [{id: spot, exchange: binance}]
feed: {kind: synthetic, seed: 7}
bots:
  - {id: btc1, kind: grid, venue: spot, symbol: BTC/USDT, side: BUY, start_price: 90000, end_price: 130000,
     total_amount_quote: 2000, levels: 10}
"""
COMMAND = "import sys; from tasks.up import up; sys.exit(up(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))"


def portfolio(folder: Path) -> Path:
    """A paper portfolio that needs no network."""
    file = folder / "lab.yaml"
    file.write_text(PORTFOLIO, encoding="utf-8")
    return file


@contextmanager
def started(file: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `up` in a process of its own until the end of the block."""
    with log.open("wb") as output:
        command = [sys.executable, "-c", COMMAND, str(file), str(port), "1"]
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=Path(__file__).parents[2])
    try:
        yield process
    finally:
        server.end(process, 15)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process at the end of the block, however that ends."""
    try:
        yield
    finally:
        server.end(process, 10)


def listens(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def pids_of(home: Path, word: str) -> list[int]:
    """The processes that work in this folder and have a word in their command."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (entry / "environ").read_bytes(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PREFECT_HOME={home}".encode() in environment.split(b"\0") and word.encode() in command:
            found.append(int(entry.name))
    return found


@pytest.mark.server
def test_up_ticks_survives_a_kill_and_stops_cleanly(tmp_path: Path) -> None:
    """Ticks are COMPLETED within a minute, again within 30 s of a kill, and everything ends within ten seconds."""
    file, port, log = portfolio(tmp_path), free_port(), tmp_path / "up.log"
    here = Lab(tmp_path, tmp_path / "data" / "prefect", port)

    def completed() -> int:
        return here.states("lab", "tick").count("Completed")

    with started(file, port, log) as process:
        wait_until(lambda: "Ctrl-C stops" in log.read_text(), f"everything started; {log}")
        wait_until(lambda: completed() >= 3, "three ticks")
        (page,) = re.findall(r"dashboard: http://127\.0\.0\.1:(\d+)/", log.read_text())
        wait_until(lambda: listens(int(page)), "the dashboard answers")
        (worker,) = pids_of(here.home, "warm_process")
        before = completed()
        os.kill(worker, signal.SIGKILL)
        soon(here, 30, lambda: completed() > before + 1, "ticks after the kill")
        with started(file, free_port(), tmp_path / "second.log") as second:
            assert second.wait(PATIENCE_S) == 4
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        assert bearable(time.monotonic() - asked, 10)
    assert not listens(int(page))
    said = log.read_text()
    assert "orders were left resting" in said
    assert server.login(here.home).split(":")[1] not in said
    assert pids_of(here.home, "") == []
    assert "already runs" in (tmp_path / "second.log").read_text()


@pytest.mark.server
def test_whatever_kills_up_takes_the_others_along(tmp_path: Path) -> None:
    """After `kill -9` of `up` itself no server and no worker stays behind."""
    file, port, log = portfolio(tmp_path), free_port(), tmp_path / "up.log"
    home = tmp_path / "data" / "prefect"
    with started(file, port, log) as process:
        wait_until(lambda: "Ctrl-C stops" in log.read_text(), "everything started")
        process.kill()
        process.wait()
        wait_until(lambda: pids_of(home, "") == [], "everything gone")


@pytest.mark.server
def test_ticks_go_on_while_the_server_is_away(tmp_path: Path) -> None:
    """The server dies for some seconds: the worker ticks without it, and goes back to its schedule afterwards."""
    file = portfolio(tmp_path)
    plan = up.Plan(file, "lab", tmp_path / "data", free_port(), 1.0)
    here, log = Lab(tmp_path, plan.home, plan.port), plan.home / "worker.log"
    running = server.start_or_join(plan.home, plan.port)
    command = [sys.executable, "-m", "tasks.warm_process", "--home", str(plan.home), "--pool", "warm-lab"]
    try:
        assert up.register(plan) is not None
        worker = server.spawn([*command, "--portfolio", str(file), "--silence", "2"], plan.home, log)
        with ended(worker):
            wait_until(lambda: "Completed" in here.states("lab", "tick"), "a tick")
            server.stop(running)
            wait_until(lambda: "ticking without it" in log.read_text(), "ticks without a server")
            time.sleep(3)
            running = server.start_or_join(plan.home, plan.port)
            wait_until(lambda: "server is back" in log.read_text(), "the server heard again")
            before = here.states("lab", "tick").count("Completed")
            wait_until(lambda: here.states("lab", "tick").count("Completed") > before + 2, "scheduled ticks again")
            assert worker.poll() is None
        assert worker.returncode == 0
    finally:
        server.stop(running)
    # Ticks are numbered without a gap, whoever drove them.
    with duckdb.connect(plan.data_dir / "trading.duckdb", read_only=True) as store:
        count, last = store.execute("SELECT count(*), max(tick_id) FROM ticks").fetchone() or (0, 0)
    assert count == last


def test_a_port_of_another_program_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A taken port is one line and exit code 2."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert up.up(str(portfolio(tmp_path)), listener.getsockname()[1], 5.0) == 2
    assert "is taken by another program" in capsys.readouterr().err


@pytest.mark.parametrize("interval_s", [0.0, 0.5, -1.0, float("nan"), 3_601.0])
def test_an_interval_out_of_bounds_is_refused(
    interval_s: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An interval that can't be kept is refused before anything is written."""
    assert up.up(str(portfolio(tmp_path)), 4200, interval_s) == 2
    assert "1 to 3600 seconds" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("port", "health_port"), [(0, None), (80, None), (99_999, None), (4200, 70_000)])
def test_a_port_out_of_bounds_is_refused(
    port: int, health_port: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that cannot be listened on is refused with those that can, before a server was started for it."""
    assert up.up(str(portfolio(tmp_path)), port, 5.0, health_port) == 2
    assert "1024 to 65535 work" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("feeds", "said"), [({"one": "live", "two": "synthetic"}, "SYNTHETIC PRICES at two:"), ({"one": "live"}, "")]
)
def test_made_up_prices_are_told_by_the_feeds_of_this_start(feeds: dict[str, str], said: str, tmp_path: Path) -> None:
    """What an earlier start chose is not told; what this one found out is, naming the venues."""
    choices = tmp_path / "paper" / "choices.json"
    assert up.made_up_prices(tmp_path, 0) is None
    choices.parent.mkdir()
    choices.write_text(json.dumps({"feeds": feeds}))
    assert up.made_up_prices(tmp_path, choices.stat().st_mtime + 1) is None
    assert (up.made_up_prices(tmp_path, choices.stat().st_mtime) or "").startswith(said)


def test_a_child_that_dies_at_once_is_started_less_and_less_often(tmp_path: Path) -> None:
    """The pause before a restart grows to ten seconds, so that a broken worker does not fill the disk with logs."""
    child = up.Child("x", lambda: server.spawn([sys.executable, "-c", ""], tmp_path, tmp_path / "x.log"), tmp_path)
    pauses_s = []
    for _ in range(6):
        child.next_at_s = 0.0
        child.keep(100.0)
        assert child.process is not None
        child.process.wait()
        assert child.keep(100.0) == 0
        pauses_s.append(child.next_at_s - 100.0)
    assert pauses_s == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
