"""What was told about which incident, and what still has to be sent: a small file that survives any crash.

An alarm is one incident by its key (kind/bot/subject). It is told once when it is raised and once when it is over; one
that comes back soon after is held until it has stood for a while. A mail is what one address has not taken yet; mails
are kept for a day and tried less and less often.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.shared_sqlite import transaction

FILE_NAME = "alerts.sqlite"
SEVERITIES = ("info", "warning", "critical")
# A message on a telephone; the rest is in `gridkeeper status`.
LINES_MAX = 10
MAILS_KEPT = timedelta(days=1)
MAILS_MAX = 50
RETRY_FIRST_S, RETRY_MAX_S = 10.0, 1_800.0
# Longer than a sending process may live.
TAKEN_S = 60.0
_TABLES = """
CREATE TABLE IF NOT EXISTS alarms (
    key TEXT PRIMARY KEY, source TEXT NOT NULL, severity TEXT NOT NULL, detail TEXT NOT NULL, raised_at TEXT NOT NULL,
    resolved_at TEXT, times INTEGER NOT NULL, told TEXT NOT NULL, told_at TEXT
);
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
    tone TEXT NOT NULL, made_at TEXT NOT NULL, tries INTEGER NOT NULL, next_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS words (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An incident as its row says; `told` is '', 'raised' or 'resolved'. Times are naive UTC."""

    key: str
    severity: str
    detail: str
    raised_at: datetime
    resolved_at: datetime | None
    times: int
    told: str
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that an address (a hash, never the URL) has not taken yet. `tone` is info, success, warning or failure."""

    number: int
    address: str
    title: str
    body: str
    tone: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How to tell: the lowest severity, how long a returning alarm is held, and whether the hour is a quiet one."""

    least: str
    again_after: timedelta
    quiet: bool


class Outbox:
    """The file in a data folder. Every call is one transaction; several processes may use it."""

    def __init__(self, data_dir: Path | str) -> None:
        self.path = Path(data_dir) / FILE_NAME

    def take(
        self,
        source: str,
        raised: Mapping[str, tuple[str, str]],
        resolved: Iterable[str],
        now: datetime,
        standing: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        """Note what was resolved, then what was raised (key to severity and detail): the same alarm may stand anew.

        With `standing`, alarms of this source that stand in the file and not there are resolved, and the other way round:
        so nothing is lost that a crash kept from being told.
        """
        gone = list(resolved)
        if standing is not None:
            gone += [key for key in self._standing_keys(source) if key not in standing]
            raised = {**standing, **raised}
        with self._open() as con:
            con.executemany(
                "UPDATE alarms SET resolved_at = ? WHERE key = ? AND resolved_at IS NULL",
                [(_text(now), key) for key in gone],
            )
            for key, (severity, detail) in raised.items():
                con.execute(
                    "INSERT INTO alarms VALUES (?, ?, ?, ?, ?, NULL, 1, '', NULL) ON CONFLICT (key) DO UPDATE SET "
                    "source = excluded.source, severity = excluded.severity, detail = excluded.detail, "
                    "raised_at = excluded.raised_at, resolved_at = NULL, times = times + 1 WHERE resolved_at IS NOT NULL",
                    (key, source, severity, detail, _text(now)),
                )

    def write_mails(self, name: str, addresses: Sequence[str], manner: Manner, now: datetime) -> int:
        """Turn what is due to be told into one message for each address; returns how many alarms it tells of."""
        with self._open() as con:
            due = [
                alarm for alarm in _alarms(con, "told <> 'resolved' OR resolved_at IS NULL") if _due(alarm, manner, now)
            ]
            silent = [one for one in due if _is_silent(one, manner)]
            spoken = [one for one in due if one not in silent]
            if spoken:
                title, body, tone = compose(name, spoken)
                _post(con, addresses, title, body, tone, now)
            for one in due:
                told = "raised" if one.resolved_at is None else "resolved"
                con.execute(
                    "UPDATE alarms SET told = ?, told_at = coalesce(?, told_at) WHERE key = ?",
                    (told, None if one in silent else _text(now), one.key),
                )
        return len(spoken)

    def post(self, addresses: Sequence[str], title: str, body: str, tone: str, now: datetime) -> None:
        """Put a message of its own, such as the digest, beside the alarms'."""
        with self._open() as con:
            _post(con, addresses, title, body, tone, now)

    def mails(self, now: datetime, addresses: Iterable[str] | None = None) -> list[Mail]:
        """Take the messages whose time has come, oldest first; those of addresses not named any more are dropped.

        What is taken is taken for a minute: another process sees it again only if neither `sent` nor `failed` follows.
        """
        with self._open() as con:
            con.execute("DELETE FROM mails WHERE made_at < ?", (_text(now - MAILS_KEPT),))
            if addresses is not None:
                known = list(addresses)
                marks = ", ".join("?" * len(known))
                con.execute(f"DELETE FROM mails WHERE address NOT IN ({marks})", known)  # noqa: S608  only question marks
            rows = con.execute(
                "SELECT id, address, title, body, tone FROM mails WHERE next_at <= ? ORDER BY id LIMIT ?",
                (_text(now), MAILS_MAX),
            ).fetchall()
            until = _text(now + timedelta(seconds=TAKEN_S))
            con.executemany("UPDATE mails SET next_at = ? WHERE id = ?", [(until, row[0]) for row in rows])
        return [Mail(*row) for row in rows]

    def sent(self, numbers: Iterable[int]) -> None:
        """Forget messages that were taken."""
        with self._open() as con:
            con.executemany("DELETE FROM mails WHERE id = ?", [(number,) for number in numbers])

    def failed(self, numbers: Iterable[int], now: datetime) -> None:
        """Put off messages that were not taken: 10 s, 20 s, 40 s … up to half an hour."""
        with self._open() as con:
            for number in numbers:
                row = con.execute("SELECT tries FROM mails WHERE id = ?", (number,)).fetchone()
                if row is not None:
                    wait = timedelta(seconds=min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(row[0], 10)))
                    con.execute(
                        "UPDATE mails SET tries = tries + 1, next_at = ? WHERE id = ?", (_text(now + wait), number)
                    )

    def waiting(self) -> tuple[int, int]:
        """Count the messages that wait, and those of them that failed at least once."""
        if not self.path.exists():
            return 0, 0
        with self._open() as con:
            row = con.execute("SELECT count(*), coalesce(sum(tries > 0), 0) FROM mails").fetchone()
        return row[0], row[1]

    def standing(self) -> list[Alarm]:
        """List the alarms that stand, the oldest first."""
        if not self.path.exists():
            return []
        with self._open() as con:
            return _alarms(con, "resolved_at IS NULL")

    def since(self, at: datetime) -> list[Alarm]:
        """List the alarms that were raised or resolved since a time."""
        with self._open() as con:
            return _alarms(con, "raised_at >= ? OR resolved_at >= ?", [_text(at), _text(at)])

    def word(self, key: str) -> str | None:
        """A word kept for the next process, None where there is none."""
        with self._open() as con:
            row = con.execute("SELECT value FROM words WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def keep_word(self, key: str, value: str) -> None:
        """Keep a word for the next process."""
        with self._open() as con:
            con.execute("INSERT OR REPLACE INTO words VALUES (?, ?)", (key, value))

    def _standing_keys(self, source: str) -> list[str]:
        with self._open() as con:
            rows = con.execute("SELECT key FROM alarms WHERE source = ? AND resolved_at IS NULL", (source,)).fetchall()
        return [key for (key,) in rows]

    def _open(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self.path, _TABLES)


def compose(name: str, alarms: Sequence[Alarm]) -> tuple[str, str, str]:
    """Write title, body and tone of one message about several alarms, the gravest first."""
    ranked = sorted(
        alarms, key=lambda one: (one.resolved_at is not None, -SEVERITIES.index(one.severity), one.raised_at)
    )
    raised = [one for one in ranked if one.resolved_at is None]
    counts = [f"{sum(one.severity == level for one in raised)} {level}" for level in reversed(SEVERITIES)]
    parts = [count for count in counts if not count.startswith("0 ")]
    if len(raised) < len(ranked):
        parts.append(f"{len(ranked) - len(raised)} resolved")
    lines = [_line(one) for one in ranked[:LINES_MAX]]
    if len(ranked) > LINES_MAX:
        lines.append(f"and {len(ranked) - LINES_MAX} more; see `gridkeeper status`")
    grave = any(one.severity == "critical" for one in raised)
    tone = "failure" if grave else "warning" if raised else "success"
    return f"gridkeeper {name}: {', '.join(parts)}", "\n".join(lines), tone


def _line(one: Alarm) -> str:
    times = f", {one.times} times so far" if one.times > 1 else ""
    if one.resolved_at is None:
        return f"{one.severity.upper()} {one.key} since {one.raised_at:%Y-%m-%d %H:%M:%S} UTC{times}: {one.detail}"
    return f"RESOLVED {one.key} at {one.resolved_at:%Y-%m-%d %H:%M:%S} UTC, raised {one.raised_at:%H:%M:%S}{times}"


def _due(one: Alarm, manner: Manner, now: datetime) -> bool:
    if one.resolved_at is not None:
        # One that was over before anybody was told: told all the same where it is critical, else dropped in silence.
        return not (manner.quiet and one.severity != "critical" and one.told == "raised")
    if one.told == "raised" or _below(one, manner) or (manner.quiet and one.severity != "critical"):
        return False
    return one.told_at is None or now >= one.told_at + manner.again_after


def _is_silent(one: Alarm, manner: Manner) -> bool:
    return one.resolved_at is not None and one.told == "" and (_below(one, manner) or one.severity != "critical")


def _below(one: Alarm, manner: Manner) -> bool:
    return SEVERITIES.index(one.severity) < SEVERITIES.index(manner.least)


def _post(con: sqlite3.Connection, addresses: Sequence[str], title: str, body: str, tone: str, now: datetime) -> None:
    for address in addresses:
        con.execute(
            "INSERT INTO mails (address, title, body, tone, made_at, tries, next_at) VALUES (?, ?, ?, ?, ?, 0, ?)",
            (address, title, body, tone, _text(now), _text(now)),
        )
        # An address that takes nothing for long must not fill the disk: the oldest go first.
        con.execute(
            "DELETE FROM mails WHERE address = ? AND id NOT IN "
            "(SELECT id FROM mails WHERE address = ? ORDER BY id DESC LIMIT ?)",
            (address, address, MAILS_MAX),
        )


def _alarms(con: sqlite3.Connection, where: str, values: Sequence[str] = ()) -> list[Alarm]:
    rows = con.execute(
        "SELECT key, severity, detail, raised_at, resolved_at, times, told, told_at FROM alarms "  # noqa: S608  ours
        f"WHERE {where} ORDER BY raised_at, key",
        values,
    ).fetchall()
    return [
        Alarm(*row[:3], _time(row[3]), _time_or_none(row[4]), row[5], row[6], _time_or_none(row[7])) for row in rows
    ]


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _time_or_none(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def utc_now() -> datetime:
    """Read the wall clock: naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)
