"""`gridkeeper up`: a Prefect server with its UI, the deployments, the warm worker and the batch worker; Ctrl-C stops
them all.

This process trades nothing and imports no Prefect: it starts the others, restarts what dies, and says what is
running.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tasks import dashboard_child, server, settings
from tasks.doctor import look_at_bots
from tasks.one_instance import lock_or_none
from tasks.register_again import Registrar

INTERVAL_MIN_S, INTERVAL_MAX_S = 1.0, 3_600.0
PORT_MIN, PORT_MAX = 1_024, 65_535
EXIT_OTHER_INSTANCE = 4
# Together they stay below the ten seconds within which everything has stopped.
STOP_WARM_S, STOP_BATCH_S, STOP_SERVER_S = 7.5, 1.0, 1.0
RESTART_AFTER_MAX_S = 10.0
LIVED_WELL_S = 60.0
REGISTER_TIMEOUT_S = 300.0
BATCH_LIMIT = "4"
HEARTBEAT = "heartbeat"


@dataclass(slots=True)
class Child:
    """A process that is kept alive: how it is started, the running one, and when it may be started again."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at_s: float = 0.0
    deaths: int = 0
    next_at_s: float = field(default=0.0)

    def keep(self, now_s: float) -> int | None:
        """Start it where it is due. Return the exit code at the moment it is found dead, else None."""
        if self.process is None:
            if now_s >= self.next_at_s:
                self.process, self.started_at_s = self.start(), now_s
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.deaths = 0 if now_s - self.started_at_s > LIVED_WELL_S else self.deaths + 1
        # At once after a long life; a process that can't start is tried less and less often.
        self.next_at_s = now_s + min(RESTART_AFTER_MAX_S, 0.5 * 2**self.deaths)
        self.process = None
        return code


@dataclass(frozen=True, slots=True)
class Plan:
    """What is started: the portfolio's file and id, where its data lies, on which port, how often it ticks."""

    file: Path
    portfolio_id: str
    data_dir: Path
    port: int
    interval_s: float
    health_port: int | None = None

    @property
    def home(self) -> Path:
        """Prefect's folder inside the data folder."""
        return self.data_dir / "prefect"


def up(portfolio: str | None, port: int, interval_s: float, health_port: int | None = None) -> int:
    """Start or join a server, register the deployments and keep the workers running until a signal. Return the exit
    code.

    0 stopped by a signal; 1 something could not be started; 2 the portfolio, the port or the interval is refused;
    4 another instance runs this portfolio. Orders are left resting at a stop.
    Raises `tasks.errors.GridkeeperError` where the portfolio file is refused.
    """
    if not INTERVAL_MIN_S <= interval_s <= INTERVAL_MAX_S:
        return _refuse(f"--interval {interval_s:g} is refused: 1 to 3600 seconds between two ticks work")
    for word, number in (("--port", port), ("--health-port", health_port)):
        if number is not None and not PORT_MIN <= number <= PORT_MAX:
            return _refuse(f"{word} {number} is refused: {PORT_MIN} to {PORT_MAX} work")
    file = Path(portfolio) if portfolio is not None else settings.BUILT_IN
    loaded = settings.load_portfolio(file)
    plan = Plan(file.resolve(), loaded.id, settings.data_dir(loaded, file), port, interval_s, health_port)
    for one in look_at_bots(loaded, {}, plan.data_dir):
        if one.state == "warning":
            _say(f"warning: {one.what}: {one.found}")
    stopping = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stopping.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _run(plan, stopping)
    except server.ServerRefused as refused:
        return _refuse(str(refused))
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _run(plan: Plan, stopping: threading.Event) -> int:
    lock = lock_or_none(plan.home / "up.lock")
    if lock is None:
        _say(f"error: `gridkeeper up` already runs for {plan.data_dir}; stop it first")
        return EXIT_OTHER_INSTANCE
    began_s = time.time()
    running = server.start_or_join(plan.home, plan.port, say=_say, unwanted=stopping.is_set)
    children: list[Child] = []
    registrar = Registrar(plan.portfolio_id, plan.home, plan.port, registration(plan))
    try:
        registered = register(plan)
        if registered is None:
            return 1
        children += workers(plan)
        if (dashboard_port := dashboard_child.free_port()) is not None:
            children.append(dashboard(plan, dashboard_port))
        if running.process is not None:
            log = plan.home / "server.log"
            children.insert(0, Child("server", lambda: server.spawn_server(plan.home), log, running.process))
        _announce(plan, running, registered, dashboard_port)
        return _watch(plan, children, registrar, stopping, began_s)
    finally:
        registrar.stop()
        if children:
            _stop(children)
        else:
            server.stop(running, STOP_SERVER_S)
        os.close(lock)
        _say("stopped; orders were left resting")


def register(plan: Plan) -> list[dict[str, object]] | None:
    """Register the pools and deployments, in a process of its own. None, with the reason said, where that fails."""
    done = subprocess.run(
        registration(plan),
        cwd=Path(__file__).parents[1],
        env=server.process_environment(plan.home),
        capture_output=True,
        text=True,
        check=False,
        timeout=REGISTER_TIMEOUT_S,
    )
    if done.returncode != 0:
        # Prefect draws frames around what it says.
        told = [line.strip(" |") for line in done.stderr.splitlines() if any(map(str.isalpha, line))]
        lines = told or ["it said nothing"]
        _say(f"error: the deployments could not be registered: {lines[-1]}")
        return None
    return json.loads(done.stdout)


def registration(plan: Plan) -> list[str]:
    """The command that registers the pools and deployments of a portfolio."""
    command = [sys.executable, "-m", "tasks.deployments", "--id", plan.portfolio_id, "--portfolio", str(plan.file)]
    return [*command, "--data-dir", str(plan.data_dir), "--interval", f"{plan.interval_s:g}"]


def workers(plan: Plan) -> list[Child]:
    """The warm worker, which ticks, a stock process worker for everything that takes long, and who watches the ticks."""
    warm, batch = f"warm-{plan.portfolio_id}", f"batch-{plan.portfolio_id}"
    tick = [sys.executable, "-m", "tasks.warm_process", "--home", str(plan.home), "--pool", warm]
    tick += ["--portfolio", str(plan.file), "--watch-stdin"]
    if plan.health_port is not None:
        tick += ["--health-port", str(plan.health_port), "--health-limit", f"{max(60.0, 3 * plan.interval_s):g}"]
    heavy = [sys.executable, "-m", "prefect", "worker", "start", "--pool", batch, "--type", "process"]
    # What is long waits in its queue (prefect.yaml); a word of control never waits for it.
    heavy += ["--name", batch, "--limit", BATCH_LIMIT]
    # Looks at the ticks from outside of the process that makes them, and raises the alarm.
    look = [sys.executable, "-m", "tasks.cli", "doctor", "--heartbeat", "--every", "5", "--portfolio", str(plan.file)]
    look += ["--interval", f"{plan.interval_s:g}"]
    logs = {name: plan.home / f"{name}.log" for name in (warm, batch, HEARTBEAT)}
    return [
        Child(warm, lambda: server.spawn(tick, plan.home, logs[warm], watched=True), logs[warm]),
        Child(batch, lambda: server.spawn(heavy, plan.home, logs[batch]), logs[batch]),
        Child(HEARTBEAT, lambda: server.spawn(look, plan.home, logs[HEARTBEAT]), logs[HEARTBEAT]),
    ]


def dashboard(plan: Plan, port: int) -> Child:
    """The web page of the published copy, on a port of its own."""
    log = plan.home / "dashboard.log"
    words = dashboard_child.command(plan.data_dir, port)
    return Child("dashboard", lambda: server.spawn(words, plan.home, log, watched=True), log)


def made_up_prices(data_dir: Path, since_s: float) -> str | None:
    """Say which venues' prices are synthetic, once a tick process that opened after `since_s` (seconds since 1970) has
    found out; None before, empty where none are.
    """
    choices = data_dir / "paper" / "choices.json"
    if not choices.exists() or choices.stat().st_mtime < since_s:
        return None
    feeds: dict[str, str] = json.loads(choices.read_text(encoding="utf-8")).get("feeds", {})
    names = ", ".join(name for name, kind in feeds.items() if kind == "synthetic")
    return f"SYNTHETIC PRICES at {names}: made up from a seed, no market behind them" if names else ""


def _watch(plan: Plan, children: list[Child], registrar: Registrar, stopping: threading.Event, began_s: float) -> int:
    told = None
    while not stopping.wait(0.25):
        if told is None and (told := made_up_prices(plan.data_dir, began_s)):
            _say(told)
        if line := registrar.keep(time.monotonic()):
            _say(line)
        for child in children:
            code = child.keep(time.monotonic())
            if code is None:
                continue
            _say(f"{child.name} ended with {code} and is started again: {server.last_line(child.log)}")
            if code == EXIT_OTHER_INSTANCE:
                return EXIT_OTHER_INSTANCE
    return 0


def _stop(children: list[Child]) -> None:
    # The warm worker finishes its tick and reports it, so the server goes last; the batch worker goes at the same
    # time.
    running = {child.name: child.process for child in children if child.process is not None}
    server_process = running.pop("server", None)
    for process in running.values():
        process.terminate()
    for name, process in running.items():
        server.end(process, STOP_WARM_S if name.startswith("warm") else STOP_BATCH_S)
    if server_process is not None:
        server.end(server_process, STOP_SERVER_S)


def _announce(
    plan: Plan, running: server.Server, registered: list[dict[str, object]], dashboard_port: int | None
) -> None:
    how = "started" if running.process is not None else "joined"
    _say(f"Prefect server {how}: {running.ui_url}")
    _say(f"  log in with the line in {server.login_file(plan.home)}")
    if dashboard_port is None:
        _say("  no dashboard: its ports are taken; `gridkeeper dashboard --port N` starts one on another")
    else:
        _say(f"  dashboard: {dashboard_child.url(dashboard_port)}")
    _say(f"  portfolio {plan.portfolio_id} from {plan.file}, a tick every {plan.interval_s:g} s")
    for entry in registered:
        paused = ", PAUSED in the UI and left so" if entry["paused"] else ""
        _say(f"  deployment {entry['name']} on {entry['pool']}{paused}")
    _say(f"  logs in {plan.home}; Ctrl-C stops everything and leaves orders resting")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _refuse(text: str) -> int:
    _say(f"error: {text}")
    return 2
