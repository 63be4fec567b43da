"""What holds for every test: no real keys, no network, nobody's home directory, and a clock that is not UTC.

All of it is set before the first import of Prefect, great-expectations or matplotlib: those read it while importing.
"""

import atexit
import ipaddress
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
MARKET_DATA = ROOT.parent / "shared" / "data"

# A test that reads one of these by accident would trade somebody's money.
TRADING_PREFIXES = ("API_", "DB_")
TRADING_NAMES = ("MODE", "SYMBOL", "FUTURES_SYMBOL", "ENVIRONMENT", "OHLCV_FILE")

# UTC is stored and shown everywhere; in a zone with an odd offset, a place that forgot it fails at once.
FAR_ZONE = "Asia/Kathmandu"


def prepare_environment() -> None:
    """Make the environment of this process and its children fit for tests."""
    for name in [name for name in os.environ if name.startswith(TRADING_PREFIXES) or name in TRADING_NAMES]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="gridkeeper-tests-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ |= {
        "PREFECT_HOME": f"{home}/prefect",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": f"{home}/matplotlib",
        "TZ": FAR_ZONE,
    }
    os.environ.pop("PREFECT_API_URL", None)
    time.tzset()


prepare_environment()

# Time limits per example fail on a busy machine and prove nothing; `ci` repeats the same examples in every run.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


class NetworkReachedError(AssertionError):
    """A test tried to leave this machine."""


def is_local(address: object) -> bool:
    """Whether a socket address is a file, or an IP address of this machine's loopback."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def _stay_on_this_machine() -> Iterator[None]:
    """Refuse every connection beyond the loopback, by name, instead of waiting for it to time out."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: object, real: object = real) -> object:
            if not is_local(address):
                msg = f"a test reached for {address!r}; tests talk to servers on 127.0.0.1 alone"
                raise NetworkReachedError(msg)
            return real(self, address)  # type: ignore[operator]

        patch.setattr(socket.socket, name, guarded)
    yield
    patch.undo()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let long tests begin first."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder of this checkout."""
    return ROOT


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of recorded market data, for tests on real prices; they are skipped where it is absent."""
    if not MARKET_DATA.is_dir():
        pytest.skip("no recorded market data beside this checkout")
    return MARKET_DATA
