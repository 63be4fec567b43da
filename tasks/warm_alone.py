"""When the warm worker ticks without a run of its server: while Prefect is away or too slow, and where news of an order came in.

Only where ticks were running up to the moment the server fell silent: a deployment that a person paused, or a worker
that never heard of its server, does not start to trade by itself.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from tasks.stream_news import HURRY_S

SILENCE_S = 15.0
HURRY = timedelta(seconds=HURRY_S)


class Alone:
    """Keeps when the server was heard and when a run was executed. `tick` ticks once without Prefect.

    `news` says whether a stream told of an own order what the books do not know (RULES 6: an urgent tick); it forgets then.
    """

    def __init__(
        self,
        tick: Callable[[], Awaitable[object]] | None,
        silence_s: float = SILENCE_S,
        news: Callable[[], bool] | None = None,
    ) -> None:
        self.tick = tick
        self._news = news
        self._urgent = False
        self._urgent_at: datetime | None = None
        self._silence = timedelta(seconds=silence_s)
        self._interval = timedelta()
        self._heard_at: datetime | None = None
        self._ran_at: datetime | None = None
        self._ticked_at: datetime | None = None
        self._starved = False

    @property
    def ticking(self) -> bool:
        """Whether it has ticked alone since the server was last heard."""
        return self._ticked_at is not None

    def heard(self, now: datetime) -> bool:
        """Note an answer of the server. Whether this ends a time alone.

        Answers of a server that is too slow to let a run begin end none.
        """
        self._heard_at = now
        if self._starved or not self.ticking:
            return False
        self._ticked_at = None
        return True

    def ran(self, now: datetime, interval_s: float | None) -> None:
        """Note that a scheduled run was executed; one without an interval changes nothing."""
        if interval_s is not None:
            self._ran_at, self._interval, self._starved = now, timedelta(seconds=interval_s), False

    def missed(self) -> None:
        """Note that a run was due and could not be executed, because the server did not answer in time."""
        self._starved = True

    def unplanned(self) -> None:
        """Note that the server answers and plans nothing, as for a deployment that a person paused."""
        self._starved = False

    def due(self, now: datetime) -> bool:
        """Whether a tick without the server is due, or an urgent one."""
        if self.tick is None or self._heard_at is None or self._ran_at is None:
            return False
        if self._hurries(now):
            self._urgent = True
            return True
        patience = max(self._silence, 3 * self._interval)
        silent = now - self._heard_at >= patience and self._heard_at - self._ran_at <= patience
        if not silent and not (self._starved and now - self._ran_at >= patience):
            return False
        return self._ticked_at is None or now - self._ticked_at >= self._interval

    def ticked(self, now: datetime) -> bool:
        """Note a tick without the server. Whether it is the first of this time alone; an urgent one is none."""
        if self._urgent:
            self._urgent, self._urgent_at = False, now
            return False
        first = not self.ticking
        self._ticked_at = now
        return first

    def _hurries(self, now: datetime) -> bool:
        # Only between ticks that follow each other: a deployment that a person paused stays paused.
        if self._news is None or self._ran_at is None:
            return False
        regular = max(self._ran_at, self._ticked_at or self._ran_at)
        if now - regular > max(self._silence, 3 * self._interval):
            return False
        return now - max(regular, self._urgent_at or regular) >= HURRY and self._news()
