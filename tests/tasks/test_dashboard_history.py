"""The digest of past days: each day read once, and equal to what the store says."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tasks.dashboard_copy import opened
from tasks.dashboard_history import History, bucket_s
from tasks.publish import published_folder
from tests.tasks.dashboard_world import ask, traded


def test_days_are_read_once_and_agree_with_the_store(tmp_path: Path) -> None:
    """Fills by day and equity by the hour are those of the tables; a second filling reads nothing."""
    folder = traded(tmp_path / "data")
    history = History(published_folder(folder))
    with opened(folder) as copy:
        bound = copy.bound
        assert history.fill(bound) == 4
        assert history.fill(bound) == 0
    rows = ask(
        folder,
        "SELECT ts::DATE AS day, bot_id, role, count(*), sum(quote_qty)::DOUBLE, coalesce(sum(realized), 0)::DOUBLE "
        f"FROM fills WHERE recorded_at < TIMESTAMP '{bound}' GROUP BY ALL ORDER BY day DESC, bot_id, role",
    )
    days = [(r["day"], r["bot_id"], r["role"], r["fills"]) for r in history.days("g1")]
    assert days == [row[:4] for row in rows]
    assert [r["volume_quote"] for r in history.days(None)] == [pytest.approx(row[4]) for row in rows]
    hours = history.buckets(datetime(2020, 1, 1), "g1", 3_600)
    lasts = ask(
        folder,
        f"SELECT max(ts), max_by(equity, ts)::DOUBLE, min(equity)::DOUBLE FROM equity WHERE recorded_at < '{bound}' "
        "GROUP BY date_trunc('hour', ts) ORDER BY 1",
    )
    assert [(r["at"], r["equity"], r["low"]) for r in hours] == lasts
    assert history.days("nobody") == []


def test_a_question_for_some_days_reads_those_alone_and_the_rest_follows(tmp_path: Path) -> None:
    """What is asked first does not wait for the years before it, nothing is read twice, and only all days make it ready."""
    folder = traded(tmp_path / "data")
    history, whole = History(published_folder(folder)), History(published_folder(folder))
    with opened(folder) as copy:
        bound = copy.bound
    assert history.fill(bound, bound - timedelta(days=1)) == 2
    assert not history.ready
    assert (history.fill(bound), history.fill(bound), whole.fill(bound)) == (2, 0, 4)
    assert history.ready
    assert history.days(None) == whole.days(None)
    assert history.buckets(datetime(2020, 1, 1), "g1", 3_600) == whole.buckets(datetime(2020, 1, 1), "g1", 3_600)


def test_only_the_days_that_are_needed_are_named(tmp_path: Path) -> None:
    """A question about the last day opens no file of the days before."""
    folder = traded(tmp_path / "data")
    with opened(folder) as copy:
        everything, last = copy.since("fills", None), copy.since("fills", datetime(2026, 3, 2, 12))
        assert everything.count(".parquet") == 2
        assert last.count(".parquet") == 1
        assert copy.since("fills", datetime(2026, 3, 3)) == "fills_today"
        assert len(copy.rows(f"SELECT * FROM {everything}")) == len(ask(folder, "SELECT * FROM fills"))


@pytest.mark.parametrize("span", [60, 3_600, 86_400, 30 * 86_400, 3 * 365 * 86_400, 40 * 365 * 86_400])
def test_no_span_has_too_many_points(span: int) -> None:
    """The pieces are long enough that a picture stays small."""
    assert timedelta(seconds=span) / timedelta(seconds=bucket_s(span)) <= 500
