"""Targets that a bot misses, from the night to the tick: the batch process measures, the tick process raises incidents.

    data_dir/targets.json    {"measured_at", "missed": {bot: {target: what was measured and what was wanted}}}

The file is replaced as a whole. The tick reads it when it has changed and at its start, raises what it does not know and
resolves what is missed no more; so an alarm stands once however often it is measured, and nothing is lost by a crash.
One that a person acknowledged comes back with the next file only. A file that cannot be read is no news.
"""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from core.engine import Incident
from core.facts import Trouble

FILE_NAME = "targets.json"
KIND = "target_missed"

Missed = dict[str, dict[str, str]]


def write_missed(data_dir: Path, missed: Mapping[str, Mapping[str, str]], measured_at: datetime) -> None:
    """Put the missed targets of every bot, each with its sentence, in place of those of before; `measured_at` is UTC."""
    path = data_dir / FILE_NAME
    fresh = path.with_suffix(f".{os.getpid()}.part")
    said = {"measured_at": measured_at.isoformat(timespec="seconds"), "missed": missed}
    fresh.write_text(json.dumps(said, indent=1), encoding="utf-8")
    fresh.replace(path)


def read_missed(data_dir: Path) -> Missed | None:
    """The targets missed by bot, with a sentence each; None where nothing was measured, or the file is damaged."""
    try:
        missed = json.loads((data_dir / FILE_NAME).read_text(encoding="utf-8"))["missed"]
        return {str(bot): {str(name): str(said) for name, said in each.items()} for bot, each in missed.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


class TargetNews:
    """Compares the file with the incidents that stand, whenever it has changed."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is read yet."""
        self._data_dir = data_dir
        self._heard: tuple[int, int] | None = None

    def troubles(self, standing: Mapping[str, Incident]) -> list[Trouble]:
        """What has to be raised or resolved, until `standing` (by kind/bot/subject) has it all."""
        try:
            stat = (self._data_dir / FILE_NAME).stat()
        except OSError:
            return []
        found = (stat.st_mtime_ns, stat.st_ino)
        if found == self._heard:
            return []
        missed = read_missed(self._data_dir)
        news = [] if missed is None else differences(missed, standing)
        if not news:
            self._heard = found
        return news


def differences(missed: Mapping[str, Mapping[str, str]], standing: Mapping[str, Incident]) -> list[Trouble]:
    """Troubles that make the standing incidents of targets those of `missed`."""
    wanted = {f"{KIND}/{bot}/{name}": (bot, name, said) for bot, each in missed.items() for name, said in each.items()}
    raised = [
        Trouble(KIND, bot, name, "warning", said) for key, (bot, name, said) in wanted.items() if key not in standing
    ]
    over = [one for key, one in standing.items() if one.kind == KIND and key not in wanted]
    return [*raised, *(Trouble(KIND, one.bot_id, one.subject, "warning", "", over=True) for one in over)]
