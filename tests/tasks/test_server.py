"""The Prefect server of a portfolio: joined, refused, and closed to everybody without its login."""

import http.server
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tasks import server
from tests.tasks.prefect_lab import free_port, lab


def test_the_login_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """Two calls give the same login; its file and the settings that hold it have mode 0600."""
    first = server.login(tmp_path / "prefect")
    assert server.login(tmp_path / "prefect") == first
    written = server.write_settings(tmp_path / "prefect", 4200, first)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.login_file(tmp_path / "prefect").stat().st_mode) == 0o600
    assert server.settings_of(tmp_path / "prefect")["PREFECT_API_AUTH_STRING"] == first


def test_nothing_of_the_users_own_prefect_settings_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect variables of the environment are dropped, everything else is kept."""
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = server.process_environment(tmp_path)
    assert "PREFECT_API_KEY" not in environment
    assert environment["LANG"] == "C.UTF-8"
    assert environment["PREFECT_HOME"] == str(tmp_path)


def test_a_free_port_is_no_server() -> None:
    """Where nothing listens there is nothing to join and nothing wrong."""
    assert server.probe(free_port(), "grid:x") is False


def test_a_port_of_another_web_server_is_refused_in_one_line(tmp_path: Path) -> None:
    """Something that speaks HTTP but is no Prefect server is named, and nothing is started."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(server.ServerRefused, match=r"port \d+ is taken by another program .*--port") as refusal:
            server.start_or_join(tmp_path / "prefect", other.server_port)
        other.shutdown()
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "prefect" / "server.log").exists()


def test_a_port_of_something_without_http_is_refused(tmp_path: Path) -> None:
    """A listener that answers no request is refused too, within seconds."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def hang_up() -> None:
            listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(server.ServerRefused, match="is taken by another program"):
            server.probe(listener.getsockname()[1], "grid:x")


def test_the_last_line_of_a_log_is_the_last_that_says_something(tmp_path: Path) -> None:
    """Empty lines at the end are passed over, a missing file says so."""
    log = tmp_path / "a.log"
    assert server.last_line(log) == "it said nothing"
    log.write_text("first\nsecond\n\n")
    assert server.last_line(log) == "second"


@pytest.mark.server
def test_a_running_server_admits_only_its_login(tmp_path: Path) -> None:
    """Joined with the login, refused with another; the API answers nobody else; no command line shows the secret."""
    with lab(tmp_path) as here:
        joined = server.start_or_join(here.home, here.port)
        assert joined.process is None
        with pytest.raises(server.ServerRefused, match="another login"):
            server.start_or_join(tmp_path / "other", here.port)
        assert httpx.get(f"{here.url}/admin/version").status_code == 401
        secret = server.login(here.home).split(":")[1]
        listening = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
        assert f"0100007F:{here.port:04X}" in listening
        assert f"00000000:{here.port:04X}" not in listening
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
        assert not any(secret.encode() in command for command in commands)
        assert secret not in (here.home / "server.log").read_text()


@pytest.mark.server
def test_a_changing_request_without_a_csrf_token_is_refused(tmp_path: Path) -> None:
    """Even with the login, a form of a web page can't change anything: it has no CSRF token."""
    with lab(tmp_path) as here:
        name, word = server.login(here.home).split(":")
        assert httpx.get(f"{here.url}/admin/version", auth=(name, word)).status_code == 200
        refused = httpx.post(f"{here.url}/flows/", json={"name": "x"}, auth=(name, word))
        assert (refused.status_code, "CSRF" in refused.text) == (403, True)
        started = f"{here.url}/deployments/00000000-0000-0000-0000-000000000000/create_flow_run"
        assert httpx.post(started, json={}, auth=(name, word)).status_code == 403
        # What a browser asks before it lets a page of another origin send such a request, or read a token.
        for origin, admitted in (("http://evil.example", False), (f"http://127.0.0.1:{here.port}", True)):
            asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            told = httpx.options(started, headers=asks).headers.get("access-control-allow-origin")
            assert (told in {origin, "*"}) is admitted


def test_a_process_that_hears_no_signal_is_ended_all_the_same() -> None:
    """Also one that leads no group of its own; Prefect's worker can miss the only SIGTERM that it is sent."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    assert server.end(process, 0.2) == -signal.SIGKILL
    process.stdout.close()
