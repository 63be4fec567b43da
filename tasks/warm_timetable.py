"""Which of the runs that are due is executed and which are skipped, and why. Plain values: no clock, no Prefect.

Rules: one at a time, the newest wins, an old one is nobody's business any more. A tick answers everything that
happened since the last one, so a thousand missed ticks are one tick.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

STALE_AFTER_MIN_S = 10.0
STALE_AFTER_INTERVALS = 2.0


@dataclass(frozen=True, slots=True)
class Due:
    """A scheduled run. `interval_s` is None where its deployment has no interval."""

    run_id: UUID
    at: datetime
    interval_s: float | None


@dataclass(frozen=True, slots=True)
class Skip:
    """A run that will not be executed, with the reason a person reads in the UI."""

    run_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What happens with the runs that are due: at most one is executed."""

    run: Due | None
    skips: tuple[Skip, ...]


def stale_after_s(interval_s: float | None) -> float:
    """Age in seconds beyond which a run is not started any more: two intervals, at least ten seconds."""
    return max(STALE_AFTER_MIN_S, STALE_AFTER_INTERVALS * (interval_s or 0.0))


def choose(due: list[Due], now: datetime, busy_since: datetime | None) -> Choice:
    """Decide over all runs due by `now`, in whatever order they come.

    `busy_since` is when the run in progress began, None when there is none. All times have one time zone.
    """
    if not due:
        return Choice(None, ())
    in_order = sorted(due, key=lambda run: (run.at, str(run.run_id)))
    if busy_since is not None:
        since = f"{(now - busy_since).total_seconds():.1f} s"
        return Choice(
            None, tuple(Skip(run.run_id, f"the tick before it still runs, since {since}") for run in in_order)
        )
    newest = in_order[-1]
    skips = [
        Skip(run.run_id, f"{late(run, now)}; the newest of {len(in_order)} due runs stands for all")
        for run in in_order[:-1]
    ]
    limit_s = stale_after_s(newest.interval_s)
    if now - newest.at > timedelta(seconds=limit_s):
        skips.append(Skip(newest.run_id, f"{late(newest, now)}, beyond the limit of {limit_s:g} s"))
        return Choice(None, tuple(skips))
    return Choice(newest, tuple(skips))


def late(run: Due, now: datetime) -> str:
    """How late a run is, in words."""
    return f"{max(0.0, (now - run.at).total_seconds()):.1f} s late"
