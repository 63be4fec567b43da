"""The set of booked trades: nothing recent is ever forgotten, and the old set stays what it was."""

from hypothesis import given
from hypothesis import strategies as st

from core.engine.seen import Seen


@given(st.lists(st.lists(st.integers(0, 2000), max_size=400), max_size=12))
def test_what_was_added_is_there(batches: list[list[int]]) -> None:
    """Every key added is found, no other is, and adding changes no older set."""
    seen, added = Seen(), set[int]()
    for batch in batches:
        before, had = seen, set(added)
        seen = seen.plus(batch)
        added |= set(batch)
        assert all(key in seen for key in added)
        assert all(key not in before for key in added - had)
    assert -1 not in seen


def test_only_the_oldest_are_forgotten() -> None:
    """The newest sixteen thousand trades are known, whatever came before."""
    seen = Seen()
    for key in range(20_000):
        seen = seen.plus([key])
    assert all(key in seen for key in range(4_000, 20_000))
    assert 0 not in seen
