"""One line of progress on a terminal: how far, how fast; nothing at all where stderr is piped."""

import sys
import time
from typing import Self

# People see ten lines a second as motion; more would only cost time.
SHOW_EVERY_S = 0.1


class Progress:
    """Progress of something counted. Use as a context: the line is wiped at its end."""

    def __init__(self, unit: str, expected: int | None) -> None:
        """Count in `unit` (plural) up to `expected`, or without an end."""
        self._unit = unit
        self._expected = expected
        self._began = self._shown = time.monotonic()
        self._on = sys.stderr.isatty()

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wipe the line."""
        self.close()

    def close(self) -> None:
        """Wipe the line."""
        if self._on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    @property
    def due(self) -> bool:
        """Whether `show` would say anything now: for callers to whom the count itself costs something."""
        return self._on and time.monotonic() - self._shown >= SHOW_EVERY_S

    def show(self, done: int, words: str = "") -> None:
        """Say that `done` are done; `words` are added. Cheap enough to call for each."""
        if not self.due:
            return
        now = self._shown = time.monotonic()
        share = f" of {self._expected:,} ({done / self._expected:.0%})" if self._expected else ""
        speed = done / max(now - self._began, 1e-9)
        sys.stderr.write(f"\r{done:,}{share} {self._unit}{words}, {speed:,.0f}/s \x1b[K")
        sys.stderr.flush()
