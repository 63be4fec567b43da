"""How far the exchange's clock is from ours. Signed requests carry the exchange's time, ages are told in ours."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Binance accepts a request up to 1,000 ms ahead of its clock and recvWindow behind it.
SAMPLES = 3
RESYNC_AFTER_S = 600.0


@dataclass(frozen=True, slots=True)
class Offset:
    """Exchange time minus local time, with the round trip of the reading (its error is at most half of that), in ms."""

    offset_ms: int
    round_trip_ms: int
    read_at_s: float

    def stale(self) -> bool:
        """Whether it is time for a new reading (seconds of a clock that never jumps)."""
        return time.monotonic() - self.read_at_s > RESYNC_AFTER_S


async def measure(server_time_ms: Callable[[], Awaitable[int]], samples: int = SAMPLES) -> Offset:
    """Ask for the exchange's time a few times and keep the quickest answer; errors of the call pass through."""
    best: Offset | None = None
    for _ in range(samples):
        before_ms, started_s = time.time() * 1000, time.monotonic()
        theirs_ms = await server_time_ms()
        trip_ms = (time.monotonic() - started_s) * 1000
        found = Offset(round(theirs_ms - before_ms - trip_ms / 2), round(trip_ms), time.monotonic())
        if best is None or found.round_trip_ms < best.round_trip_ms:
            best = found
    if best is None:
        raise ValueError("measure() needs at least one sample")
    return best


def utc_now() -> datetime:
    """The wall clock, naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def from_ms(ms: int) -> datetime:
    """Milliseconds since 1970 as naive UTC, exact."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=ms)


def to_ms(at: datetime) -> int:
    """Naive UTC as milliseconds since 1970, floored."""
    return (at - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
