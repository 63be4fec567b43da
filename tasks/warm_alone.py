"""When the warm worker ticks without its server: resting orders are watched even while Prefect is away.

Only where ticks were running up to the moment the server fell silent: a deployment that a person paused, or a worker
that never heard of its server, does not start to trade by itself.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

SILENCE_S = 15.0


class Alone:
    """Keeps when the server was heard and when a run was executed. `tick` ticks once without Prefect."""

    def __init__(self, tick: Callable[[], Awaitable[object]] | None, silence_s: float = SILENCE_S) -> None:
        self.tick = tick
        self._silence = timedelta(seconds=silence_s)
        self._interval = timedelta()
        self._heard_at: datetime | None = None
        self._ran_at: datetime | None = None
        self._ticked_at: datetime | None = None

    @property
    def ticking(self) -> bool:
        """Whether it has ticked alone since the server was last heard."""
        return self._ticked_at is not None

    def heard(self, now: datetime) -> bool:
        """Note an answer of the server. Whether this ends a time alone."""
        back = self.ticking
        self._heard_at, self._ticked_at = now, None
        return back

    def ran(self, now: datetime, interval_s: float | None) -> None:
        """Note that a scheduled run was executed; one without an interval changes nothing."""
        if interval_s is not None:
            self._ran_at, self._interval = now, timedelta(seconds=interval_s)

    def due(self, now: datetime) -> bool:
        """Whether a tick without the server is due."""
        if self.tick is None or self._heard_at is None or self._ran_at is None:
            return False
        patience = max(self._silence, 3 * self._interval)
        if now - self._heard_at < patience or self._heard_at - self._ran_at > patience:
            return False
        return self._ticked_at is None or now - self._ticked_at >= self._interval

    def ticked(self, now: datetime) -> bool:
        """Note a tick without the server. Whether it is the first of this time alone."""
        first = not self.ticking
        self._ticked_at = now
        return first
