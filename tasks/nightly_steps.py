"""The record of a night: which steps are done, so that a run that was interrupted goes on where it stopped.

    data_dir/nightly/YYYY-MM-DD.json   {"day", "steps": {name: {"status", "says", "began", "ended", "data"}}}

A step is done, skipped (there was nothing to do), failed, or stopped (what it needs did not hold). Done and skipped
steps are not repeated; the others are. The record is replaced as a whole after every step.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

DONE, SKIPPED, FAILED, STOPPED = "done", "skipped", "failed", "stopped"
OVER = (DONE, SKIPPED)


@dataclass(frozen=True, slots=True)
class Did:
    """How a step ended, in a word and a sentence, with figures for programs."""

    status: str
    says: str
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Step:
    """One step by name, and what it does. It may raise `faults`; anything else is a bug and ends the night."""

    name: str
    work: Callable[[], Did]


class Record:
    """What is known of a night; every change is on disk when the call returns."""

    def __init__(self, data_dir: Path, day: date) -> None:
        """Read the record of a day, or begin one. A damaged record is begun anew: every step can be repeated."""
        self.folder = data_dir / "nightly"
        self.path = self.folder / f"{day.isoformat()}.json"
        self.day = day
        self.steps: dict[str, dict[str, Any]] = {}
        try:
            self.steps = dict(json.loads(self.path.read_text(encoding="utf-8"))["steps"])
        except (OSError, ValueError, KeyError, TypeError):
            self.folder.mkdir(parents=True, exist_ok=True)

    def is_over(self, name: str) -> bool:
        """Whether a step need not be done any more."""
        return self.steps.get(name, {}).get("status") in OVER

    def forget(self) -> None:
        """Begin the day anew: every step is done again."""
        self.steps = {}

    def keep(self, name: str, did: Did, began: datetime) -> None:
        """Write down how a step ended."""
        ended = utc_now()
        self.steps[name] = {
            "status": did.status,
            "says": did.says,
            "began": began.isoformat(timespec="seconds"),
            "ended": ended.isoformat(timespec="seconds"),
            "duration_s": round((ended - began).total_seconds(), 3),
            "data": dict(did.data),
        }
        fresh = self.path.with_suffix(f".{os.getpid()}.part")
        fresh.write_text(json.dumps({"day": self.day.isoformat(), "steps": self.steps}, default=str, indent=1))
        fresh.replace(self.path)

    def bad(self) -> list[str]:
        """Sentences of the steps that failed or were stopped."""
        return [f"{name} {s['status']}: {s['says']}" for name, s in self.steps.items() if s["status"] not in OVER]

    def table(self) -> list[dict[str, Any]]:
        """The steps as rows for people, in the order in which they ran."""
        return [
            {"step": name, "status": s["status"], "seconds": s["duration_s"], "says": s["says"]}
            for name, s in self.steps.items()
        ]


def utc_now() -> datetime:
    """The time of the machine, UTC without zone."""
    return datetime.now(UTC).replace(tzinfo=None)
