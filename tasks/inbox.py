"""The inbox for words of control: anybody may put one in, the tick takes them out in order (flows/control.py).

A file of its own, because the trading store belongs to the tick process alone. SQLite takes several writers, and a word
that `submit` has numbered survives any crash. Numbers begin at the second in which the file was made: should it be lost
and made again, no new word gets the number of an old one, which the store remembers as applied.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from core.facts import Action, Command
from tasks.shared_sqlite import transaction

FILE_NAME = "inbox.sqlite"
_TABLE = """
CREATE TABLE IF NOT EXISTS commands (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bot_id TEXT NOT NULL, action TEXT NOT NULL, argument TEXT NOT NULL,
    who TEXT NOT NULL, note TEXT NOT NULL, ts TEXT NOT NULL, applied_at TEXT
)
"""
_FIRST_NUMBER = """
INSERT INTO sqlite_sequence (name, seq)
SELECT 'commands', ? WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'commands')
"""


class ControlRefused(ValueError):
    """The word cannot be put into the inbox; the message says what would be accepted."""


def submit(data_dir: Path | str, bot: str, action: str, who: str, note: str, argument: str = "") -> int:
    """Put one word for one bot into the inbox; returns its number.

    `argument` names the lot for close-lot, the incident for acknowledge. Raises `ControlRefused` for an unknown word, a
    missing bot, sender, lot or incident; whether they exist is for the tick to say, in the journal.
    """
    try:
        word = Action(action)
    except ValueError:
        raise ControlRefused(f"{action!r} is no word of control; use one of {', '.join(Action)}") from None
    for name, value in (("bot", bot), ("who", who)):
        if not value.strip():
            raise ControlRefused(f"{name} is empty; say {'which bot it is for' if name == 'bot' else 'who asks'}")
    if word is Action.CLOSE_LOT and not argument:
        raise ControlRefused("close-lot needs the lot to close; `gridkeeper status` lists the open ones")
    if word is Action.ACKNOWLEDGE and not argument:
        raise ControlRefused("acknowledge needs the incident's key (kind/bot/subject); `gridkeeper status` lists them")
    with _open(data_dir) as con:
        con.execute(_FIRST_NUMBER, (int(_now().replace(tzinfo=UTC).timestamp()),))
        done = con.execute(
            "INSERT INTO commands (bot_id, action, argument, who, note, ts) VALUES (?, ?, ?, ?, ?, ?)",
            (bot, word.value, argument, who, note, _now().isoformat()),
        )
        number = done.lastrowid
    if number is None:
        raise ControlRefused(f"{Path(data_dir) / FILE_NAME} gave no number to the word; nothing was stored")
    return number


def pending(data_dir: Path | str) -> list[Command]:
    """List the words not yet applied, in the order in which they came. Asking changes nothing."""
    if not (Path(data_dir) / FILE_NAME).exists():
        return []
    with _open(data_dir) as con:
        rows = con.execute(
            "SELECT id, bot_id, action, argument, who, note, ts FROM commands WHERE applied_at IS NULL ORDER BY id"
        ).fetchall()
    return [
        Command(number, bot, Action(action), argument, who, note, datetime.fromisoformat(ts))
        for number, bot, action, argument, who, note, ts in rows
    ]


def applied(data_dir: Path | str, ids: Iterable[int]) -> None:
    """Note that these words were applied; saying it again changes nothing."""
    with _open(data_dir) as con:
        con.executemany(
            "UPDATE commands SET applied_at = ? WHERE id = ? AND applied_at IS NULL",
            [(_now().isoformat(), number) for number in ids],
        )


def _open(data_dir: Path | str) -> AbstractContextManager[sqlite3.Connection]:
    return transaction(Path(data_dir) / FILE_NAME, _TABLE)


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
