"""Prices that were seen are kept for the twin: whole across kills and midnights, and never in a tick's way."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb

from core.market import Quote
from tasks.feeds import Moment
from tasks.publish import published_folder
from tasks.quote_log import QuoteLog, archive, forget_before, read_day

NOON = datetime(2026, 3, 4, 12)
DAY = NOON.date()


def moment(seconds: int, price: str, *, jump: bool = False) -> Moment:
    """A price of a paper venue."""
    return Moment(NOON + timedelta(seconds=seconds), "BTC/USDT", Decimal(price), seconds, jump=jump, venue="spot")


def quote(price: str, seconds: int = 0) -> Quote:
    """A reading of a real venue, one tick wide."""
    last = Decimal(price)
    stamp = NOON + timedelta(seconds=seconds)
    return Quote(
        venue="perp", symbol="BTC/USDT:USDT", bid=last, ask=last + 1, last=last, ts=stamp, low=last - 2, high=last
    )


def kept(folder: Path) -> list[Path]:
    """The Parquet files of quotes."""
    return sorted((published_folder(folder) / "parquet" / "quotes").rglob("*.parquet"))


def test_what_is_kept_is_read_back_exactly(tmp_path: Path) -> None:
    """Prices, times, ticks and jumps come back as they were, in the order of the ticks, open day or closed."""
    log = QuoteLog(tmp_path)
    log.keep_moment(moment(0, "60000.10"), 1)
    log.keep_quotes([quote("60001")], NOON, 1)
    log.keep_moment(moment(5, "60000.20", jump=True), 2)
    log.flush()
    before = read_day(tmp_path, DAY)
    log.close()
    assert read_day(tmp_path, DAY) == before
    assert [(one.tick_id, one.venue, str(one.last), one.jump) for one in before] == [
        (1, "perp", "60001", False), (1, "spot", "60000.1", False), (2, "spot", "60000.2", True),
    ]  # fmt: skip
    assert (before[0].bid, before[0].ask, before[0].low, before[0].ts) == (60001, 60002, 59999, NOON)
    assert before[1].bid is None
    assert [path.parent.name for path in kept(tmp_path)] == ["date=2026-03-04"] * 2


def test_a_reading_that_says_nothing_new_is_left_out(tmp_path: Path) -> None:
    """A market that stands still costs no line."""
    log = QuoteLog(tmp_path)
    for second in range(5):
        log.keep_quotes([quote("60001", second)], NOON + timedelta(seconds=second), second)
    log.keep_quotes([quote("60002", 9)], NOON + timedelta(seconds=9), 9)
    log.close()
    assert [one.tick_id for one in read_day(tmp_path, DAY)] == [0, 9]


def test_a_day_that_is_over_becomes_one_file_a_market(tmp_path: Path) -> None:
    """At midnight the day's lines go to Parquet and their file goes away; the new day's stay until it is over."""
    log = QuoteLog(tmp_path)
    log.keep_moment(moment(0, "1"), 1)
    log.keep_moment(moment(43_200, "2"), 2)
    log.close()
    assert [one.last for one in read_day(tmp_path, DAY)] == [1]
    assert [one.last for one in read_day(tmp_path, DAY + timedelta(days=1))] == [2]
    assert [path.name for path in (tmp_path / "quotes").iterdir()] == ["2026-03-05.spot-BTC-USDT.csv"]
    assert len(kept(tmp_path)) == 2


def test_a_line_that_a_kill_tore_apart_is_left_out(tmp_path: Path) -> None:
    """Half a line costs itself alone; the next session goes on in the same file."""
    log = QuoteLog(tmp_path)
    log.keep_moment(moment(0, "1"), 1)
    log.flush()
    (path,) = (tmp_path / "quotes").iterdir()
    with path.open("a") as file:
        file.write("2,2026-03-04T12:00")
    again = QuoteLog(tmp_path)
    again.keep_moment(moment(10, "3"), 3)
    again.close()
    assert [one.tick_id for one in read_day(tmp_path, DAY)] == [1, 3]


def test_a_session_that_died_yesterday_is_archived_by_the_next(tmp_path: Path) -> None:
    """What a kill left open is turned into Parquet with the first reading of the next session."""
    killed = QuoteLog(tmp_path)
    killed.keep_moment(moment(0, "1"), 1)
    killed.flush()
    after = QuoteLog(tmp_path)
    after.keep_moment(moment(86_400, "2"), 2)
    after.close()
    assert not (tmp_path / "quotes" / "2026-03-04.spot-BTC-USDT.csv").exists()
    assert [one.last for one in read_day(tmp_path, DAY)] == [1]


def test_a_disk_that_takes_nothing_stops_no_tick(tmp_path: Path) -> None:
    """Lines are lost and counted, and nothing is raised."""
    (tmp_path / "quotes").write_text("a file where the folder should be")
    log = QuoteLog(tmp_path)
    for tick in range(3):
        log.keep_moment(moment(tick, "1"), tick)
    log.flush()
    log.close()
    assert log.lost == 3


def test_old_days_are_forgotten(tmp_path: Path) -> None:
    """Only whole days before the given one go."""
    for days in range(3):
        log = QuoteLog(tmp_path)
        log.keep_moment(moment(86_400 * days, "1"), days)
        log.close()
    archive(tmp_path, date(2026, 4, 1))
    assert forget_before(tmp_path, DAY + timedelta(days=2)) == 2
    assert [path.parent.name for path in kept(tmp_path)] == ["date=2026-03-06"]


def test_the_files_are_plain_sql(tmp_path: Path) -> None:
    """The published files hold money as DECIMAL, for anybody's question."""
    log = QuoteLog(tmp_path)
    log.keep_moment(moment(0, "60000.123456789"), 1)
    log.close()
    (path,) = kept(tmp_path)
    with duckdb.connect() as con:
        row = con.execute("SELECT last, typeof(last), seen_at FROM read_parquet(?)", [str(path)]).fetchone()
    assert row == (Decimal("60000.123456789000000000"), "DECIMAL(38,18)", NOON)
