"""Which trades were booked already: a set that is cheap to extend without changing the old one."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from core.quick import quick

_GENERATION = 256
# 64 generations hold the newest 16,384 trades; older ones are kept apart by the store's primary key.
_GENERATIONS_MAX = 64


@quick
@dataclass(frozen=True, slots=True)
class Seen:
    """An immutable set of keys in generations; the oldest generation is forgotten when there are too many."""

    generations: tuple[frozenset[Hashable], ...] = ()
    newest: frozenset[Hashable] = frozenset()

    def __contains__(self, key: object) -> bool:
        """Whether the key was added."""
        if key in self.newest:
            return True
        for one in self.generations:  # noqa: SIM110  a generator costs five times as much
            if key in one:
                return True
        return False

    def plus(self, keys: Iterable[Hashable]) -> "Seen":
        """Return the set with `keys` added."""
        newest = self.newest.union(keys)
        if len(newest) < _GENERATION:
            return Seen(self.generations, newest)
        return Seen((*self.generations, newest)[-_GENERATIONS_MAX:], frozenset())
