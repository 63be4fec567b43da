"""The sign of life of the process that ticks, and the look at it from outside: no tick for a minute is an alarm.

The tick process writes one small file about once a second. Whoever looks (cron, systemd, the watcher that
`gridkeeper up` starts, the Prefect automation) is another process, so that a hung or killed one cannot keep quiet about itself.
"""

import json
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from core.portfolio import Alerts
from tasks.alerts import deliver, post
from tasks.alerts_outbox import Outbox

FILE_NAME = "heartbeat.json"
# The alarm's key, as those of incidents: kind/bot/subject.
KEY = "no_tick//process"


@dataclass(frozen=True, slots=True)
class Beat:
    """The last sign of life: which tick, when it ended (naive UTC), in which process."""

    tick_id: int
    at: datetime
    pid: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found: `age_s` is None where nothing ever ticked. `sent` and `unsent` count messages."""

    beat: Beat | None
    age_s: float | None
    limit_s: float
    alive: bool
    sent: int
    unsent: int

    def words(self) -> str:
        """Say it in one line."""
        if self.beat is None or self.age_s is None:
            return "nothing has ticked here yet"
        state = "ticks" if self.alive else f"NO TICK for {self.age_s:.0f} s (limit {self.limit_s:g} s)"
        return f"{state}: tick {self.beat.tick_id} ended {self.age_s:.1f} s ago in process {self.beat.pid}"


def beat(data_dir: Path, tick_id: int, at: datetime) -> None:
    """Leave a sign of life. A disk that does not take it must not fail the tick: the missing sign is the alarm."""
    path = data_dir / FILE_NAME
    beside = path.with_suffix(".new")
    try:
        beside.write_text(json.dumps({"tick_id": tick_id, "at": at.isoformat(), "pid": os.getpid()}), encoding="utf-8")
        beside.replace(path)
    except OSError:
        return


def last_beat(data_dir: Path) -> Beat | None:
    """Read the last sign of life; None where there is none that can be read."""
    try:
        said = json.loads((data_dir / FILE_NAME).read_text(encoding="utf-8"))
        return Beat(int(said["tick_id"]), datetime.fromisoformat(said["at"]), int(said["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def look(data_dir: Path, name: str, config: Alerts, now: datetime, limit_s: float | None = None) -> Look:
    """Look once, raise or resolve the alarm, and send what is due. `now` is naive UTC.

    A data folder in which nothing ever ticked is no alarm. A beat from the future (a clock set back) counts as none.
    """
    limit = config.heartbeat_s if limit_s is None else limit_s
    found = last_beat(data_dir)
    if found is None:
        return Look(None, None, limit, alive=False, sent=0, unsent=0)
    age = now - found.at
    alive = timedelta(seconds=-limit) <= age <= timedelta(seconds=limit)
    outbox = Outbox(data_dir)
    if alive:
        outbox.take("heartbeat", {}, [KEY], now)
    else:
        which = f"the last tick ({found.tick_id}, process {found.pid})"
        detail = f"{which} ended {found.at:%Y-%m-%d %H:%M:%S} UTC; orders rest unwatched"
        outbox.take("heartbeat", {KEY: ("critical", detail)}, (), now)
    sent = unsent = 0
    if config.urls:
        post(outbox, data_dir, name, config, now)
        sent, unsent = deliver(outbox, config, now)
    return Look(found, age.total_seconds(), limit, alive, sent, unsent)
