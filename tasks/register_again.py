"""Registers a portfolio's deployments again where the server has lost them all: its database was wiped or replaced.

Part of `gridkeeper up`; imports no Prefect. Meanwhile the warm worker ticks without the server (`warm_alone`). A single
deployment that a person deleted stays deleted, and ticks that a person paused stay paused.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tasks import server

LOOK_EVERY_S = 10.0
# Every one of these is gone from a server that was wiped.
FLOWS = ("tick", "control", "heartbeat")


@dataclass(slots=True)
class Registrar:
    """Looks every ten seconds and starts `command` (see `up.registration`) where nothing of the portfolio is there."""

    portfolio_id: str
    home: Path
    port: int
    command: list[str]
    # Whether a person had paused the ticks when they were last seen.
    paused: bool = False
    process: subprocess.Popen[bytes] | None = None
    next_at_s: float = 0.0

    @property
    def log(self) -> Path:
        """What the registration says."""
        return self.home / "register.log"

    def keep(self, now_s: float) -> str:
        """Look where it is due. Return a line for a person where something was done, else nothing."""
        if self.process is not None:
            return self._outcome(self.process, now_s)
        if now_s < self.next_at_s:
            return ""
        self.next_at_s = now_s + LOOK_EVERY_S
        if not self._lost():
            return ""
        self.process = server.spawn([*self.command, *(["--paused"] if self.paused else [])], self.home, self.log)
        return f"the Prefect server has lost the deployments of {self.portfolio_id}; registering them again"

    def stop(self) -> None:
        """End a registration that is under way."""
        if self.process is not None:
            server.end(self.process, 1)

    def _outcome(self, process: subprocess.Popen[bytes], now_s: float) -> str:
        code = process.poll()
        if code is None:
            return ""
        self.process, self.next_at_s = None, now_s + LOOK_EVERY_S
        return (
            "the deployments are registered" if code == 0 else f"they were not registered: {server.last_line(self.log)}"
        )

    def _lost(self) -> bool:
        auth = server.login(self.home)
        try:
            seen = [server.found(self.port, auth, f"deployments/name/{flow}/{self.portfolio_id}") for flow in FLOWS]
        except OSError:
            # In doubt nothing is lost.
            return False
        if seen[0] is not None:
            self.paused = bool(seen[0].get("paused"))
        return all(one is None for one in seen)
