"""The rules of the timetable, as a table of values."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.warm_timetable import Due, choose, stale_after_s

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def due(number: int, age_s: float, interval_s: float | None = 5.0) -> Due:
    return Due(UUID(int=number), NOW - timedelta(seconds=age_s), interval_s)


@pytest.mark.parametrize(
    ("ages_s", "interval_s", "busy_s", "runs", "skips"),
    [
        pytest.param([], 5, None, None, 0, id="nothing due"),
        pytest.param([0.1], 5, None, 0, 0, id="on time"),
        pytest.param([0.1], 5, 3, None, 1, id="one still runs"),
        pytest.param([9.9], 1, None, 0, 0, id="late but within ten seconds"),
        pytest.param([10.1], 1, None, None, 1, id="stale at a short interval"),
        pytest.param([19], 10, None, 0, 0, id="within two intervals"),
        pytest.param([21], 10, None, None, 1, id="beyond two intervals"),
        pytest.param([9, 4, 0.2, 14], 5, None, 2, 3, id="bunched: the newest stands for all"),
        pytest.param([900, 600, 300], 5, None, None, 3, id="all stale"),
        pytest.param([8], None, None, 0, 0, id="no interval, recent"),
        pytest.param([11], None, None, None, 1, id="no interval, old"),
    ],
)
def test_what_runs_and_what_is_skipped(
    ages_s: list[float], interval_s: float | None, busy_s: float | None, runs: int | None, skips: int
) -> None:
    """One run at a time, the newest of those due, none that is stale."""
    entries = [due(number, age_s, interval_s) for number, age_s in enumerate(ages_s)]
    busy_since = None if busy_s is None else NOW - timedelta(seconds=busy_s)
    choice = choose(entries, NOW, busy_since)
    assert (None if choice.run is None else choice.run.run_id.int) == runs
    assert len(choice.skips) == skips
    assert all(skip.reason for skip in choice.skips)


@given(st.lists(st.floats(0, 100_000), max_size=30), st.floats(1, 3_600), st.booleans())
def test_every_run_is_decided_once(ages_s: list[float], interval_s: float, busy: bool) -> None:
    """However many runs are due: each is executed or skipped, at most one is executed, and never a stale one."""
    entries = [due(number, age_s, interval_s) for number, age_s in enumerate(ages_s)]
    choice = choose(entries, NOW, NOW if busy else None)
    executed = [] if choice.run is None else [choice.run.run_id]
    assert sorted([*executed, *(skip.run_id for skip in choice.skips)], key=str) == [e.run_id for e in entries]
    if choice.run is not None:
        assert not busy
        assert choice.run.at == max(entry.at for entry in entries)
        assert (NOW - choice.run.at).total_seconds() <= stale_after_s(interval_s) + 1e-6
