"""Migrations: each file once, in order, whole or not at all, and no guessing about a store of another program."""

from pathlib import Path

import duckdb
import pytest

from tasks.migrations import MigrationRefused, migrate, read_migrations

SQL = Path(__file__).parents[2] / "sql" / "schema"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations that build on each other."""
    place = tmp_path / "schema"
    place.mkdir()
    (place / "001_fruit.sql").write_text("CREATE TABLE fruit (name VARCHAR PRIMARY KEY);")
    (place / "002_colour.sql").write_text(
        "ALTER TABLE fruit ADD COLUMN colour VARCHAR; INSERT INTO fruit VALUES ('fig', 'blue');"
    )
    return place


def test_each_file_is_applied_once_in_order(folder: Path) -> None:
    """A second run finds nothing to do."""
    con = duckdb.connect()
    assert migrate(con, folder) == (1, 2)
    assert migrate(con, folder) == ()
    assert con.execute("SELECT * FROM fruit").fetchall() == [("fig", "blue")]
    applied = con.execute("SELECT version, name, length(sha256) FROM schema_migrations ORDER BY version").fetchall()
    assert applied == [(1, "fruit", 64), (2, "colour", 64)]


def test_a_file_changed_after_it_was_applied_is_refused(folder: Path) -> None:
    """What a store was made with can't be rewritten afterwards; a new file is asked for."""
    con = duckdb.connect()
    migrate(con, folder)
    (folder / "001_fruit.sql").write_text("CREATE TABLE fruit (name VARCHAR);")
    with pytest.raises(MigrationRefused, match=r"001_fruit\.sql was changed.*into a new one"):
        migrate(con, folder)


def test_an_older_program_refuses_a_newer_store(folder: Path) -> None:
    """A program that does not know a store's schema leaves the store alone."""
    con = duckdb.connect()
    migrate(con, folder)
    (folder / "002_colour.sql").unlink()
    with pytest.raises(MigrationRefused, match=r"schema 2 \(colour\), this program knows 1.*update gridkeeper"):
        migrate(con, folder)


def test_a_migration_that_fails_leaves_nothing_of_itself(folder: Path) -> None:
    """The files before it stay applied, its own statements are all undone."""
    (folder / "003_bad.sql").write_text("CREATE TABLE half (a INTEGER); INSERT INTO missing VALUES (1);")
    con = duckdb.connect()
    with pytest.raises(duckdb.CatalogException):
        migrate(con, folder)
    assert con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'half'").fetchone() == (0,)
    assert con.execute("SELECT max(version) FROM schema_migrations").fetchone() == (2,)


@pytest.mark.parametrize(
    ("name", "reason"), [("004_late.sql", "003 is missing, 004 was found"), ("3_short.sql", "no migration name")]
)
def test_a_name_out_of_order_is_refused(name: str, reason: str, folder: Path) -> None:
    """A gap or a misnamed file is more likely a lost file than a wish."""
    (folder / name).write_text("SELECT 1;")
    with pytest.raises(MigrationRefused, match=reason):
        read_migrations(folder)


def test_a_store_with_data_is_copied_before_its_schema_changes(folder: Path, tmp_path: Path) -> None:
    """The copy is the store as it was, readable by the program of before."""
    second = (folder / "002_colour.sql").read_text()
    (folder / "002_colour.sql").unlink()
    path = tmp_path / "store.duckdb"
    with duckdb.connect(path) as con:
        migrate(con, folder)
        con.execute("INSERT INTO fruit VALUES ('plum')")
        (folder / "002_colour.sql").write_text(second)
        migrate(con, folder)
    with duckdb.connect(f"{path}.before-002", read_only=True) as before:
        assert before.execute("SELECT * FROM fruit").fetchall() == [("plum",)]


def test_no_log_is_left_behind(folder: Path, tmp_path: Path) -> None:
    """Schema changes are in the file itself after a migration, not in a log that must be replayed."""
    path = tmp_path / "store.duckdb"
    con = duckdb.connect(path)
    migrate(con, folder)
    assert not path.with_name("store.duckdb.wal").exists()
    con.close()


@pytest.mark.parametrize("name", ["trading", "market"])
def test_the_stores_of_this_program_can_be_made(name: str) -> None:
    """Both schemas apply to an empty store."""
    assert migrate(duckdb.connect(), SQL / name)
