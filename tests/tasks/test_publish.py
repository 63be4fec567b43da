"""The published copy: whole, cheap whatever the history, movable, and never in the way of writer or reader."""

import shutil
import time
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.engine import Step, World
from core.simulation import Account
from tasks.publish import DAILY, publish, published_folder
from tasks.sql_query import open_published, published_at, query
from tasks.store import Store, TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk

DAY = timedelta(days=1)
AT = datetime(2026, 11, 21, 9, 30)


class Life:
    """A bot that lives day by day in one store, with as many ticks and trades each day."""

    def __init__(self, store: Store) -> None:
        self.store, self.world, self.account = store, new_world(grid_spec(levels=20)), new_account()
        self.tick = 0

    def keep(self, step: Step, now: datetime) -> None:
        """Commit a step and its tick."""
        self.tick += 1
        self.store.commit_step(step, tick_id=self.tick, now=now)
        self.store.commit_tick(
            TickRow(tick_id=self.tick, started_at=now, ended_at=now, now=now, quiet=False), step.world
        )

    def day(self, number: int, prices: int = 40) -> World:
        """Live one day."""
        self.world, _ = walk(
            self.world, self.account, prices=prices, seed=number, keep=self.keep, start=START + number * DAY,
            every=timedelta(minutes=10),
        )  # fmt: skip
        return self.world


def everything(con: duckdb.DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table, in one order."""
    return con.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


def assert_same(store: Store, folder: Path) -> None:
    """Every table of the copy has the rows of the store."""
    live = store.reader()
    with open_published(folder) as copy:
        for table in (*(one.name for one in DAILY), "levels", "bot_state", "incidents", "marks"):
            assert everything(copy, table) == everything(live, table), table
    live.close()


def test_the_copy_says_what_the_store_says(tmp_path: Path) -> None:
    """Over several days every table reads alike, past days from Parquet and the present one from the file."""
    with open_store(tmp_path) as store:
        life = Life(store)
        for number in range(4):
            life.day(number)
            publish(store, tmp_path, published_at=AT)
            assert_same(store, tmp_path)
    files = sorted(path.name for path in (tmp_path / "published" / "parquet" / "fills").iterdir())
    assert files == ["date=2026-03-01.parquet", "date=2026-03-02.parquet", "date=2026-03-03.parquet"]


def test_a_day_that_is_over_is_never_written_again(tmp_path: Path) -> None:
    """Parquet of past days keeps its bytes and its time of change."""
    with open_store(tmp_path) as store:
        life = Life(store)
        life.day(0)
        life.day(1)
        publish(store, tmp_path)
        past = {
            p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "published" / "parquet").rglob("*.parquet")
        }
        assert past
        life.day(2)
        publish(store, tmp_path)
        assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in past} == past


def test_a_row_that_changes_after_its_day_shows_its_newest_state(tmp_path: Path) -> None:
    """An order archived yesterday and changed today stands once in the copy, as it is today."""
    with open_store(tmp_path) as store:
        life = Life(store)
        life.day(0)
        life.day(1)
        publish(store, tmp_path)
        con = store.reader()
        con.execute(
            "UPDATE orders SET reason = 'a late word', recorded_at = ? "
            "WHERE client_id = (SELECT client_id FROM orders WHERE status = 'FILLED' ORDER BY recorded_at LIMIT 1)",
            [store.recorded_at],
        )
        con.close()
        publish(store, tmp_path)
        assert_same(store, tmp_path)
    assert query(tmp_path, "SELECT count(*) FROM orders WHERE reason = 'a late word'")[1] == [(1,)]


def test_a_folder_that_was_moved_reads_as_before(tmp_path: Path) -> None:
    """The copy holds no path: it can be moved, or opened from its own folder without any setting."""
    with open_store(tmp_path / "here") as store:
        life = Life(store)
        life.day(0)
        life.day(1)
        publish(store, tmp_path / "here")
    expected = query(tmp_path / "here", "SELECT count(*), sum(fee) FROM fills")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert query(tmp_path / "there", "SELECT count(*), sum(fee) FROM fills") == expected


def test_the_copy_opens_in_its_own_folder_without_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cd published && duckdb gridkeeper.duckdb` is all that a person needs."""
    with open_store(tmp_path) as store:
        life = Life(store)
        life.day(0)
        life.day(1)
        publish(store, tmp_path)
        monkeypatch.chdir(published_folder(tmp_path))
        with duckdb.connect("gridkeeper.duckdb", read_only=True) as con:
            found = con.execute("SELECT count(*) FROM report_fills").fetchone()
        live = store.reader()
        assert found == live.execute("SELECT count(*) FROM fills").fetchone()
        live.close()


def test_a_reader_is_not_disturbed_and_does_not_disturb(tmp_path: Path) -> None:
    """A copy that is being read is replaced beneath its reader, who goes on with what it opened."""
    with open_store(tmp_path) as store:
        life = Life(store)
        life.day(0)
        publish(store, tmp_path)
        con = open_published(tmp_path)
        before = everything(con, "fills")
        life.day(1)
        publish(store, tmp_path)
        assert everything(con, "fills") == before
        con.close()
        assert len(query(tmp_path, "SELECT * FROM fills")[1]) > len(before)


def test_the_copy_tells_its_age(tmp_path: Path) -> None:
    """When it was made, and up to when it knows, stand in it."""
    with open_store(tmp_path) as store:
        Life(store).day(0)
        publish(store, tmp_path, published_at=AT)
        with open_published(tmp_path) as con:
            assert published_at(con) == AT
            until = con.execute("SELECT value FROM meta WHERE key = 'data_until'").fetchone()
        assert until is not None
        assert datetime.fromisoformat(until[0]) == store.recorded_at


def test_an_empty_store_can_be_published(tmp_path: Path) -> None:
    """Before the first trade every view is there, and empty."""
    with open_store(tmp_path) as store:
        publish(store, tmp_path)
    assert query(tmp_path, "SELECT * FROM report_bots")[1] == []


def test_what_the_batch_process_publishes_is_shown_beside(tmp_path: Path) -> None:
    """A folder of Parquet files that is not of the trading store becomes a view of its name."""
    place = published_folder(tmp_path) / "parquet" / "ohlcv" / "venue=spot"
    place.mkdir(parents=True)
    duckdb.execute(f"COPY (SELECT 1 AS open, 2 AS close) TO '{place / 'a.parquet'}' (FORMAT parquet)")
    with open_store(tmp_path) as store:
        publish(store, tmp_path)
    assert query(tmp_path, "SELECT open, close FROM ohlcv")[1] == [(1, 2)]


def test_a_publication_that_fails_leaves_the_old_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is put in place whole or not at all, and the store can be published again afterwards."""
    with open_store(tmp_path) as store:
        Life(store).day(0)
        path = publish(store, tmp_path)
        before = path.read_bytes()
        broken = tmp_path / "views"
        broken.mkdir()
        (broken / "report_wrong.sql").write_text("CREATE VIEW report_wrong AS SELECT missing FROM fills")
        with monkeypatch.context() as patch:
            patch.setattr("tasks.publish.VIEWS", broken)
            with pytest.raises(duckdb.BinderException):
                publish(store, tmp_path)
        assert path.read_bytes() == before
        publish(store, tmp_path)


def cost_ms(store: Store, folder: Path) -> float:
    """The CPU time of a publication, in milliseconds."""
    began = time.process_time()
    publish(store, folder)
    return (time.process_time() - began) * 1000


# A day as a busy bot has it: 17,280 ticks, and its trades some fifty times over. Run for every day with other keys.
A_DAY = (
    "INSERT INTO days VALUES (CAST($at AS DATE)) ON CONFLICT DO NOTHING",
    "INSERT INTO ticks SELECT 1000000 + $n * 20000 + range, $at, $at, $at, 1, true, 0, 0, 0, '', $at FROM range(17280)",
    (
        "INSERT INTO fills SELECT o.* REPLACE (trade_id || '/' || $n || '/' || range AS trade_id, $at AS recorded_at) "
        "FROM original_fills AS o, range(50)"
    ),
    (
        "INSERT INTO ledger SELECT o.* REPLACE (1000000 + $n * 100000 + range * 1000 + seq AS seq, $at AS recorded_at) "
        "FROM original_ledger AS o, range(50)"
    ),
    (
        "INSERT INTO orders SELECT o.* REPLACE (client_id || '/' || $n || '/' || range AS client_id, $at AS recorded_at) "
        "FROM original_orders AS o, range(50) WHERE status = 'FILLED'"
    ),
    (
        "INSERT INTO lots SELECT o.* REPLACE (1000000 + $n * 100 + range AS opened_txn, $at AS recorded_at) "
        "FROM original_lots AS o, range(50) WHERE qty = 0"
    ),
    "INSERT INTO journal SELECT o.* REPLACE ($at AS recorded_at) FROM original_journal AS o, range(50)",
)


def live_through(con: duckdb.DuckDBPyConnection, number: int) -> None:
    """Fill one day, so many days before the store's first."""
    at = START - number * DAY
    for statement in A_DAY:
        con.execute(statement, {"n": number, "at": at} if "$n" in statement else {"at": at})


@pytest.mark.server
def test_publishing_does_not_grow_with_history(tmp_path: Path) -> None:
    """After thirty busy days a publication costs less than one and a half times what it costs after the first."""
    folders = {1: tmp_path / "a day", 30: tmp_path / "thirty"}
    with open_store(folders[1]) as young, open_store(folders[30]) as old:
        stores = {1: young, 30: old}
        for days, store in stores.items():
            live_for(store, days)
            publish(store, folders[days])
        # In turns, since the machine is not always as quick; what other programs do can only add.
        rounds = [{days: cost_ms(store, folders[days]) for days, store in stores.items()} for _ in range(9)]
    first_ms, last_ms = (min(each[days] for each in rounds) for days in stores)
    assert last_ms < 1.5 * first_ms, f"{first_ms:.0f} ms after a day, {last_ms:.0f} ms after thirty"
    print(f"{first_ms:.0f} ms after a day, {last_ms:.0f} ms after thirty")  # noqa: T201  the figure of the docs


def live_for(store: Store, days: int) -> None:
    """Let a store's bot trade, and fill so many busy days with what it did."""
    Life(store).day(0)
    con = store.reader()
    for table in ("fills", "ledger", "orders", "lots", "journal"):
        con.execute(f"CREATE TEMP TABLE original_{table} AS SELECT * FROM {table}")
    for number in range(days):
        live_through(con, number)
    con.close()


def test_an_account_that_never_traded_is_worth_its_capital(tmp_path: Path) -> None:
    """The mark of a bot is there as soon as it has a price."""
    with open_store(tmp_path) as store:
        world, now = walk(new_world(grid_spec(initial_inventory="resting")), Life(store).account, prices=1)
        store.mark(world, now)
        publish(store, tmp_path)
    assert isinstance(new_account(), Account)
    found = query(tmp_path, "SELECT equity FROM marks")[1]
    assert found == [(world.specs["g1"].capital_quote,)]
    assert isinstance(found[0][0], Decimal)
