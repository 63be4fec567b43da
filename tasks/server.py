"""A Prefect server of one's own on 127.0.0.1: set up, started or joined, waited for and stopped. Imports no Prefect.

Everything it keeps lies in one folder (`PREFECT_HOME`, inside the portfolio's data folder), so an empty HOME works
and the user's own Prefect profile is neither read nor changed. Processes find their settings, the login included, in
that folder's `profiles.toml` (mode 0600): the secret stands in no command line, no URL and no output.
"""

import base64
import ctypes
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

HOST = "127.0.0.1"
LOG_BYTES_MAX = 5_000_000
ANSWER_BYTES_MAX = 1_000_000
PROFILE = "gridkeeper"
# prctl(2). Loaded before any fork: between fork and exec only calls are safe that allocate nothing.
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

# Measured for ticks of 1-5 s. The scheduler plans at most 100 runs (100 s at 1 s) and looks every 20 s, so that a
# slow loop leaves no hole. Events are most of a tick's bytes in the server's database and are kept for an hour, not
# days.
# At each of its loops the cancellation cleanup looks into every run cancelled within a day, and a skipped tick is one:
# beside 1,000 of them an idle server took 15.8 CPU seconds a minute with the loop of 20 s and 1.8 with this one, and
# answered in 38 ms in place of 6. A run that is told to cancel gets its own time limit without the loop.
# Marking a run late reads before it writes, which SQLite refuses beside another writer ("database is locked"): 594 of
# 603 errors of a busy server. The warm worker settles what is older than 10 s by itself; what is late for a minute has
# nobody who would.
# Prefect's second UI asks the vendor of its analytics at every page, also where analytics are off; the first asks nobody.
SERVER_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "20",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT2M",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "300",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE": "1000",
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "PT1H",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "3600",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "60",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "20",
}

# Heartbeats of flow runs would add a thread and an event to every tick; the worker answers for its runs itself.
CLIENT_SETTINGS = {
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_WORKER_ENABLE_CANCELLATION": "true",
    "PREFECT_WORKER_QUERY_SECONDS": "5",
}


class ServerRefused(RuntimeError):
    """The port or the server behind it can't be used; the message is one line that says what would work."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers. `process` is None where an already running one was joined."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None

    @property
    def ui_url(self) -> str:
        """Address of the UI, without any secret."""
        return f"http://{HOST}:{self.port}"


def api_url(port: int) -> str:
    """Address of the API of the server on this port."""
    return f"http://{HOST}:{port}/api"


def login_file(home: Path) -> Path:
    """The file that holds the login (`name:password`), readable by its owner alone."""
    return home / "login"


def database_file(home: Path) -> Path:
    """The file that names the server's database where it is not SQLite: postgresql+asyncpg://USER:PASSWORD@HOST/NAME."""
    return home / "database"


def login(home: Path) -> str:
    """The login of this folder's server; made once, kept for ever."""
    path = login_file(home)
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(path, f"grid:{secrets.token_urlsafe(24)}\n")
    return path.read_text(encoding="utf-8").strip()


def process_environment(home: Path) -> dict[str, str]:
    """The environment of a process that works with this folder's server: nothing of the user's own Prefect
    settings.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }


def write_settings(home: Path, port: int, auth: str) -> Path:
    """Write the Prefect profile that server, workers and `PREFECT_HOME=... prefect ...` read. Return its path."""
    settings = {
        "PREFECT_API_URL": api_url(port),
        "PREFECT_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",
        **SERVER_SETTINGS,
        **CLIENT_SETTINGS,
    }
    if (database := database_file(home)).exists():
        settings["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database.read_text(encoding="utf-8").strip()
    lines = [f'active = "{PROFILE}"', "", f"[profiles.{PROFILE}]"]
    # What JSON escapes, TOML reads.
    lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    path = home / "profiles.toml"
    _write_private(path, "\n".join(lines) + "\n")
    return path


def settings_of(home: Path) -> dict[str, str]:
    """The settings written by `write_settings`. Raises FileNotFoundError where `up` never ran."""
    text = (home / "profiles.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["profiles"][PROFILE])


def probe(port: int, auth: str, timeout_s: float = 3.0) -> bool:
    """Whether a Prefect server that takes this login answers on the port; False where nothing listens.

    Raises ServerRefused where something else answers, or a Prefect server that refuses the login.
    """
    try:
        if _get(f"{api_url(port)}/health", "", timeout_s).strip() != b"true":
            raise ServerRefused(_taken(port, "it is no Prefect server"))
        _get(f"{api_url(port)}/admin/version", auth, timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 401:
            raise ServerRefused(
                f"port {port} belongs to a Prefect server with another login: write that server's login into "
                "the `login` file of this portfolio's prefect folder to share it, or choose another --port"
            ) from None
        raise ServerRefused(_taken(port, f"it answers {error.code}")) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return False
        if isinstance(error.reason, TimeoutError):
            raise ServerRefused(_taken(port, f"it does not answer within {timeout_s:g} s")) from None
        raise ServerRefused(_taken(port, str(error.reason))) from None
    except (OSError, ValueError) as error:
        # Something that speaks no HTTP at all ends here: a closed connection, a bad status line.
        raise ServerRefused(_taken(port, type(error).__name__)) from None
    return True


def found(port: int, auth: str, path: str, timeout_s: float = 1.0) -> dict[str, Any] | None:
    """What stands at a path of the server's API; None where it says that nothing does.

    Raises OSError where it gives no clear answer.
    """
    try:
        return json.loads(_get(f"{api_url(port)}/{path}", auth, timeout_s))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise OSError(f"the server answers {error.code}") from None
    except (ValueError, http.client.HTTPException) as error:
        raise OSError(f"the server's answer is not to be read: {type(error).__name__}") from None


def start_or_join(
    home: Path,
    port: int,
    *,
    timeout_s: float = 90.0,
    say: Callable[[str], None] = print,
    unwanted: Callable[[], bool] = lambda: False,
) -> Server:
    """Join the server on the port, or start one and wait until it answers.

    `say` gets a line when the start takes longer than two seconds and every ten seconds from then on; `unwanted` is
    asked meanwhile and ends the wait. Raises ServerRefused where the port is taken by something else, or the server
    ends, stays silent for `timeout_s` or is unwanted by now.
    """
    auth = login(home)
    write_settings(home, port, auth)
    if probe(port, auth):
        return Server(home, port, None)
    log = home / "server.log"
    process = spawn_server(home)
    started = time.monotonic()
    said = 2.0
    while True:
        waited_s = time.monotonic() - started
        with suppress(ServerRefused):
            # While it starts it may refuse for a moment; the time limit below has the last word.
            if probe(port, auth):
                return Server(home, port, process)
        if process.poll() is not None:
            raise ServerRefused(f"the Prefect server ended at its start: {last_line(log)} (more in {log})")
        if waited_s > timeout_s or unwanted():
            end(process, 2)
            raise ServerRefused(f"the Prefect server did not answer within {waited_s:.0f} s; see {log}")
        if waited_s > said:
            said += 10.0
            say(f"starting the Prefect server ({waited_s:.0f} s; the first start makes its database) ...")
        time.sleep(0.1)


def spawn_server(home: Path) -> subprocess.Popen[bytes]:
    """Start the server whose settings lie in this folder, without waiting for it."""
    return spawn([sys.executable, "-m", "tasks.server_process"], home, home / "server.log")


def spawn(command: list[str], home: Path, log: Path, *, watched: bool = False) -> subprocess.Popen[bytes]:
    """Start a process of the pipeline in a session of its own, so that Ctrl-C reaches only who starts and stops them
    all.

    Output goes to `log`, set aside when it has grown beyond 5 MB. However this process dies, the child ends as well:
    on Linux the system sends it SIGTERM; elsewhere a `watched` one sees its standard input, a pipe from here, come to
    an end.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old.log"))
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=Path(__file__).parents[1],
            env=process_environment(home),
            stdin=subprocess.PIPE if watched else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_end_with_parent if _LIBC is not None else None,  # noqa: PLW1509 - one call into libc
        )


def _end_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """End a process and what it started: SIGTERM, then SIGKILL after `timeout_s`. Return its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _kill_group(process)
    # A server or batch worker may leave children of its own behind in its session.
    _kill_group(process)
    return process.wait()


def stop(server: Server, timeout_s: float = 5.0) -> None:
    """Stop a server that was started here; one that was joined goes on."""
    if server.process is not None:
        end(server.process, timeout_s)


def last_line(log: Path) -> str:
    """The last line that says something in a log file, without the login."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # it leads no group of its own where somebody else started it


def _get(url: str, auth: str, timeout_s: float) -> bytes:
    request = urllib.request.Request(url)  # noqa: S310 - always http://127.0.0.1
    if auth:
        request.add_header("Authorization", "Basic " + base64.b64encode(auth.encode()).decode())
    # No proxy: a proxy of the environment must not see the login, and can't reach this machine's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout_s) as answer:
        body: IO[bytes] = answer
        return body.read(ANSWER_BYTES_MAX)


def _taken(port: int, why: str) -> str:
    return f"port {port} is taken by another program ({why}); choose another with --port"


def _write_private(path: Path, text: str) -> None:
    # Created with its mode, never opened up for a moment; replaced whole, so that no reader sees half a file.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)
