"""A backup comes back as it was, is refused where it is damaged, and old ones go."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from core.kernel import ArraySeries
from tasks.backup import Backup, Keep, back_up, kept, main, rotate
from tasks.backup_restore import BackupDamaged, RestoreRefused, restore
from tasks.candles_store import import_candles
from tasks.market_store import open_market
from tasks.publish import publish
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 4, 1, 30)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Backup]:
    """A data folder in which a grid has traded over two days, with candles and paper books, backed up."""
    folder = tmp_path_factory.mktemp("lived")
    world, account, tick = new_world(grid_spec(levels=12)), new_account(), 0
    with open_store(folder) as store:

        def keep(step: object, now: datetime) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)  # type: ignore[arg-type]
            row = TickRow(tick_id=tick, started_at=now, ended_at=now + timedelta(milliseconds=40), now=now, quiet=False)
            store.commit_tick(row, step.world)  # type: ignore[attr-defined]

        for day in range(2):
            world, now = walk(world, account, prices=60, seed=day, keep=keep, start=START + timedelta(days=day))
        store.mark(world, now)
        publish(store, folder)
    ones = np.arange(1, 501, dtype=np.int64)
    series = ArraySeries(ones * 60_000, ones + 3, ones + 5, ones, ones + 4, ones, scale=2, volume_scale=0)
    with open_market(folder) as con:
        import_candles(con, series, venue="spot", symbol="BTC/USDT", timeframe="1m")
    (folder / "paper").mkdir()
    with closing(sqlite3.connect(folder / "paper" / "spot.sqlite")) as books:
        books.execute("CREATE TABLE balances(asset TEXT, amount TEXT)")
        books.execute("INSERT INTO balances VALUES ('USDT', '123.45')")
        books.commit()
    return folder, back_up(folder, NOW)


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a store but the record of migrations, in an order of their own."""
    with duckdb.connect(str(path), read_only=True) as con:
        names = [name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        tables = sorted(set(names) - {"schema_migrations"})
        return {name: con.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in tables}


def test_what_comes_back_is_what_was_there(lived: tuple[Path, Backup], tmp_path: Path) -> None:
    """Every table of both stores has every row, the days included, and the paper account its balance."""
    folder, backup = lived
    assert restore(backup.folder, tmp_path / "new") == backup.rows
    for name in ("trading.duckdb", "market.duckdb"):
        assert rows_of(tmp_path / "new" / name) == rows_of(folder / name)
    with closing(sqlite3.connect(tmp_path / "new" / "paper" / "spot.sqlite")) as books:
        assert books.execute("SELECT amount FROM balances").fetchall() == [("123.45",)]


def test_a_restored_store_opens_and_breaks_no_rule(lived: tuple[Path, Backup], tmp_path: Path) -> None:
    """The tick process opens it, and every check of the ledger finds nothing."""
    restore(lived[1].folder, tmp_path)
    with open_store(tmp_path) as store:
        publish(store, tmp_path)
    with duckdb.connect(str(tmp_path / "trading.duckdb")) as con:
        for path in sorted((ROOT / "sql" / "checks").glob("*.sql")):
            assert con.execute(path.read_text()).fetchall() == [], path.stem


def test_a_second_backup_of_a_day_replaces_the_first(lived: tuple[Path, Backup]) -> None:
    """Doing it again leaves one backup and no remains of the trial."""
    folder, first = lived
    again = back_up(folder, NOW + timedelta(hours=1))
    assert again.rows == first.rows
    assert [path.name for path in (folder / "backups").iterdir()] == ["2026-03-04"]


@pytest.mark.parametrize("name", ["trading/fills.parquet", "market/ohlcv.parquet", "paper/spot.sqlite"])
def test_a_changed_file_is_refused_before_anything_is_written(
    lived: tuple[Path, Backup], name: str, tmp_path: Path
) -> None:
    """One flipped byte, or a missing file, and no store appears."""
    copy = Path(shutil.copytree(lived[1].folder, tmp_path / "copy"))
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(BackupDamaged, match="checksum"):
        restore(copy, tmp_path / "new")
    (copy / name).unlink()
    with pytest.raises(BackupDamaged, match="missing"):
        restore(copy, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_store_in_the_way_or_a_newer_backup_is_refused(lived: tuple[Path, Backup], tmp_path: Path) -> None:
    """Nothing is ever overwritten, and a schema that is not known is not guessed about."""
    folder, backup = lived
    before = rows_of(folder / "trading.duckdb")
    with pytest.raises(RestoreRefused, match="empty folder"):
        restore(backup.folder, folder)
    assert rows_of(folder / "trading.duckdb") == before
    copy = Path(shutil.copytree(backup.folder, tmp_path / "copy"))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["stores"]["trading"]["schema"] = 999
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RestoreRefused, match="999"):
        restore(copy, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_trial_that_differs_is_no_backup(lived: tuple[Path, Backup], tmp_path: Path) -> None:
    """What was written has to be what is read back: a table with another content is named."""
    from tasks.backup_restore import check_backup

    restore(lived[1].folder, tmp_path)
    with duckdb.connect(str(tmp_path / "trading.duckdb")) as con:
        con.execute(
            "UPDATE fills SET price = price + 0.000000000000000001 WHERE trade_id = (SELECT min(trade_id) FROM fills)"
        )
    with pytest.raises(BackupDamaged, match=r"trading\.fills"):
        check_backup(lived[1].folder, tmp_path)


def test_an_older_schema_is_brought_up_to_date(lived: tuple[Path, Backup], tmp_path: Path) -> None:
    """A backup from before a migration is loaded as it was and migrated then."""
    copy = Path(shutil.copytree(lived[1].folder, tmp_path / "copy"))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["stores"]["market"] = {
        "schema": 1,
        "tables": {"ohlcv": manifest["stores"]["market"]["tables"]["ohlcv"]},
    }
    (copy / "manifest.json").write_text(json.dumps(manifest))
    restore(copy, tmp_path / "new")
    rows = rows_of(tmp_path / "new" / "market.duckdb")
    assert len(rows["ohlcv"]) == 500
    assert rows["quality_results"] == []
    assert sorted(path.name for path in (tmp_path / "new").glob("market*")) == ["market.duckdb"]


def test_an_empty_folder_is_backed_up_as_nothing(tmp_path: Path) -> None:
    """What is not there is said, not invented."""
    made = back_up(tmp_path, NOW)
    assert made.rows == 0
    assert len(made.left_out) == 2


def test_rotation_keeps_days_weeks_and_months() -> None:
    """Of a year of daily backups seven days, four weeks and six months stay."""
    today = date(2026, 12, 31)
    days = [today - timedelta(days=age) for age in range(365)]
    stay = kept(days, today, Keep())
    assert {today - timedelta(days=age) for age in range(7)} <= stay
    assert {date(2026, 12, 27), date(2026, 12, 20), date(2026, 12, 13)} <= stay
    assert {date(2026, month, 1) - timedelta(days=1) for month in range(8, 13)} <= stay
    # 25 to 31 December, three Sundays before (the newest week and month end today), and five ends of months.
    assert len(stay) == 7 + 2 + 5
    assert kept([date(2020, 1, 1)], today, Keep()) == {date(2020, 1, 1)}


def test_rotation_touches_nothing_else(tmp_path: Path) -> None:
    """A folder of another name, such as one that a person put aside, stays."""
    for name in ("2026-01-01", "2026-01-02", "2026-12-30", "by-hand"):
        (tmp_path / name).mkdir()
    gone = rotate(tmp_path, date(2026, 12, 31), Keep(days=1, weeks=1, months=1))
    assert gone == ["2026-01-01", "2026-01-02"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-12-30", "by-hand"]


def test_the_command_restores_and_refuses(
    lived: tuple[Path, Backup], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who needs it at night types one line."""
    words = ["restore", str(lived[1].folder), "--data-dir", str(tmp_path / "new")]
    assert main(words) == 0
    assert "rows restored" in capsys.readouterr().out
    assert main(words) == 2
    assert "empty folder" in capsys.readouterr().err
    assert main(["restore", str(tmp_path), "--data-dir", str(tmp_path / "other")]) == 1
