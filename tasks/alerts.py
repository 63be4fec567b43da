"""Tells people of incidents, beside the tick and never in its way.

    tick ──put──> queue (bounded) ──> thread ──> outbox (SQLite) ──> process of its own ──> apprise ──> Telegram, mail …

The tick only puts a note into a queue; a full queue drops the note, and the next one brings what stands. Everything
else happens in a thread and, where libraries talk to the outside, in a process that is killed when it takes too long.
What a crash keeps from being told is told after the next start.
"""

import hashlib
import json
import logging
import queue
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.engine.world import Incident
from core.portfolio import Alerts
from tasks.alerts_digest import write_digest
from tasks.alerts_hours import digest_day, is_quiet
from tasks.alerts_outbox import Mail, Manner, Outbox, utc_now
from tasks.errors import Refused

QUEUE_MAX = 1_000
SEND_TIMEOUT_S = 30.0
# How often the thread looks at hours and retries while nothing is told; messages are at least this far apart.
LOOK_EVERY_S, GAP_S = 5.0, 2.0
CLOSE_WAIT_S = 2.0
_log = logging.getLogger("gridkeeper.alerts")


@dataclass(frozen=True, slots=True)
class _Note:
    """What one commit raised and resolved, and all that stands after it."""

    raised: tuple[Incident, ...]
    resolved: tuple[str, ...]
    standing: Mapping[str, Incident]


def check(config: Alerts) -> None:
    """Raise `Refused` for a zone or an address that cannot be used; the address itself is not shown."""
    try:
        ZoneInfo(config.zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Refused(
            f"{config.zone!r} is no time zone", key="alerts.zone", accepted="a name such as Europe/Berlin"
        ) from None
    if config.urls:
        from tasks.alerts_send import usable

        for index, url in enumerate(config.urls):
            if not usable(url.get_secret_value()):
                raise Refused(
                    "is no address that apprise knows", key=f"alerts.urls[{index}]",
                    accepted="a URL such as tgram://TOKEN/CHAT or mailtos://USER:PASSWORD@HOST",
                )  # fmt: skip


class Teller:
    """Alerts of one portfolio. `tell` never blocks and never raises; `close` waits a moment for what is under way."""

    def __init__(self, data_dir: Path, name: str, config: Alerts, standing: Mapping[str, Incident]) -> None:
        """Start the thread; it first holds what stands against what was told before."""
        self._data_dir, self._name, self._config = data_dir, name, config
        self._outbox = Outbox(data_dir)
        self._queue: queue.Queue[_Note | None] = queue.Queue(QUEUE_MAX)
        self._closing = threading.Event()
        self._queue.put(_Note((), (), dict(standing)))
        self._thread = self._begin()

    def tell(self, raised: Sequence[Incident], resolved: Iterable[str], standing: Mapping[str, Incident]) -> None:
        """Hand over what a commit raised and resolved."""
        with suppress(queue.Full):  # what stands comes with the next note that fits
            self._queue.put_nowait(_Note(tuple(raised), tuple(resolved), standing))
        if not self._thread.is_alive() and not self._closing.is_set():
            self._thread = self._begin()

    def change(self, config: Alerts) -> None:
        """Go on with other addresses or hours."""
        self._config = config

    def close(self, wait_s: float = CLOSE_WAIT_S) -> None:
        """Stop; what could not be sent by then waits in the outbox for the next start."""
        self._closing.set()
        with suppress(queue.Full):
            self._queue.put_nowait(None)  # wakes the thread
        self._thread.join(wait_s + 0.5)

    def _begin(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        posted_at = 0.0
        while True:
            closing = self._closing.is_set()
            try:
                self._take(0.0 if closing else 0.25 if posted_at else LOOK_EVERY_S)
                closing = self._closing.is_set()
                if closing or time.monotonic() - posted_at >= GAP_S:
                    posted_at = time.monotonic() if self._post() else 0.0
                deliver(self._outbox, self._config, utc_now(), self._closing)
            except (OSError, ValueError, sqlite3.Error) as fault:  # a full disk, a broken file: tried again
                _log.warning("alerts are behind: %s", type(fault).__name__)
                self._closing.wait(LOOK_EVERY_S)
            if closing and self._queue.empty():
                return

    def _take(self, wait_s: float) -> None:
        try:
            taken = [self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()]
        except queue.Empty:
            return
        while not self._queue.empty():
            taken.append(self._queue.get_nowait())
        notes = [note for note in taken if note is not None]
        if not notes:
            return
        for note in notes:
            self._outbox.take("tick", _told(note.raised), note.resolved, utc_now())
        self._outbox.take("tick", {}, (), utc_now(), _told(notes[-1].standing.values()))

    def _post(self) -> int:
        return post(self._outbox, self._data_dir, self._name, self._config, utc_now())


def post(outbox: Outbox, data_dir: Path, name: str, config: Alerts, now: datetime) -> int:
    """Write the messages that are due, the daily digest among them; returns how many alarms they tell of."""
    addresses = [address_of(url.get_secret_value()) for url in config.urls]
    manner = Manner(config.least, timedelta(seconds=config.again_after_s), is_quiet(config, now))
    count = outbox.write_mails(name, addresses, manner, now)
    day = digest_day(config, now)
    if day is not None and outbox.word("digest") != day:
        # The first start only notes the day: there is nothing to sum up yet.
        if outbox.word("digest") is not None:
            outbox.post(addresses, *write_digest(outbox, data_dir, name, now), now)
        outbox.keep_word("digest", day)
    return count


def deliver(outbox: Outbox, config: Alerts, now: datetime, stop: threading.Event | None = None) -> tuple[int, int]:
    """Send what waits, in a process of its own; returns how many messages were taken and how many were not."""
    urls = {address_of(url.get_secret_value()): url.get_secret_value() for url in config.urls}
    mails = outbox.mails(now, urls)
    if not mails:
        return 0, 0
    taken = _send(mails, urls, stop)
    good = [mail.number for mail, ok in zip(mails, taken, strict=True) if ok]
    bad = [mail.number for mail, ok in zip(mails, taken, strict=True) if not ok]
    outbox.sent(good)
    outbox.failed(bad, utc_now())
    if bad:
        _log.warning("%d alerts could not be sent and will be tried again", len(bad))
    return len(good), len(bad)


def address_of(url: str) -> str:
    """Name an address without showing it: the outbox must hold no secret."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def _told(incidents: Iterable[Incident]) -> dict[str, tuple[str, str]]:
    return {one.key: (one.severity, one.detail) for one in incidents}


def _send(mails: Sequence[Mail], urls: Mapping[str, str], stop: threading.Event | None) -> list[bool]:
    batch = [{"url": urls[m.address], "title": m.title, "body": m.body, "tone": m.tone} for m in mails]
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.alerts_send"], cwd=Path(__file__).parents[1], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + SEND_TIMEOUT_S
    try:
        said: str | None = json.dumps({"mails": batch})
        while True:
            try:
                out, _ = process.communicate(None if said is None else said.encode(), timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                said = None
                closing = stop is not None and stop.is_set()
                until = min(until, time.monotonic() + CLOSE_WAIT_S) if closing else until
                stop = None if closing else stop
                if time.monotonic() >= until:
                    return [False] * len(mails)
        found = json.loads(out)["taken"] if process.returncode == 0 else []
    except (OSError, ValueError, KeyError):
        found = []
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was still to be written finds nobody
                    pipe.close()
    return [bool(ok) for ok in found] if len(found) == len(mails) else [False] * len(mails)
