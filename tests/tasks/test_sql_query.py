"""The question box: reads the published copy, reaches nothing else, and says in one line what it refuses."""

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tasks.publish import publish
from tasks.sql_query import QueryRefused, ask, open_published, query
from tasks.store import open_store
from tests.tasks.store_worlds import grid_spec, new_account, new_world, walk


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a published copy, and a secret beside it."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "secret.csv").write_text("key\ncanary\n")
    with open_store(folder) as store:
        number = iter(range(1, 1000))
        walk(
            new_world(grid_spec()), new_account(), prices=20,
            keep=lambda step, now: store.commit_step(step, tick_id=next(number), now=now),
        )  # fmt: skip
        publish(store, folder)
    return folder


def test_a_question_is_answered_with_columns_and_rows(data_dir: Path) -> None:
    """Names and rows come back, amounts exact and without the zeros of their columns."""
    columns, rows = query(data_dir, "SELECT bot_id, capital_quote FROM report_bots")
    assert columns == ["bot_id", "capital_quote"]
    assert rows == [("g1", Decimal(24500))]
    assert str(rows[0][1]) == "24500"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DELETE FROM fills_today", "DELETE is refused: the published copy is for reading"),
        ("INSERT INTO meta VALUES ('a', 'b')", "INSERT is refused"),
        ("CREATE TABLE t (a INTEGER)", "CREATE is refused"),
        ("COPY (SELECT 1) TO 'parquet/x.csv'", "COPY is refused"),
        ("ATTACH 'other.duckdb'", "ATTACH is refused"),
        ("SET enable_external_access = true", "SET is refused"),
        ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN is refused"),
        ("SELECT 1; SELECT 2", "one statement at a time; this is 2"),
        ("", "one statement at a time; this is 0"),
        ("SELEKT 1", "Parser Error"),
        ("SELECT * FROM nowhere", "Table with name nowhere does not exist"),
        ("SELECT range FROM range(200000)", "more than 100000 rows"),
    ],
)
def test_anything_but_one_reading_question_is_refused_in_one_line(sql: str, reason: str, data_dir: Path) -> None:
    """Writing, setting, several statements and mistakes are told apart, each in one line."""
    with pytest.raises(QueryRefused, match=reason) as caught:
        query(data_dir, sql)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM read_text('{folder}/published/../secret.csv')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_blob('{folder}/trading.duckdb')",
        "SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
        "SELECT getenv('HOME')",
    ],
)
def test_nothing_outside_the_published_folder_is_read(sql: str, data_dir: Path) -> None:
    """Files beside the folder, the machine's environment and the network are out of reach."""
    with pytest.raises(QueryRefused) as caught:
        query(data_dir, sql.format(folder=data_dir))
    assert "canary" not in str(caught.value)


def test_the_settings_are_locked(data_dir: Path) -> None:
    """Not even the connection itself can open itself up again."""
    with open_published(data_dir) as con, pytest.raises(duckdb.Error, match="locked"):
        con.execute("SET enable_external_access = true")


def test_past_days_are_readable_through_the_lock(data_dir: Path) -> None:
    """The published folder itself stays open: its Parquet files are what the views read."""
    place = data_dir / "published" / "parquet" / "ohlcv"
    place.mkdir(parents=True)
    duckdb.execute(f"COPY (SELECT 7 AS close) TO '{place / 'a.parquet'}' (FORMAT parquet)")
    assert query(data_dir, f"SELECT close FROM read_parquet('{place}/*.parquet')")[1] == [(7,)]


def test_a_question_that_takes_too_long_is_ended(data_dir: Path) -> None:
    """A runaway join does not keep the machine from trading."""
    with open_published(data_dir) as con, pytest.raises(QueryRefused, match=r"longer than 0\.2 s"):
        ask(con, "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range + b.range = 7", timeout_s=0.2)


def test_before_the_first_publication_the_answer_says_so(tmp_path: Path) -> None:
    """A missing copy is explained, not a stack trace."""
    with pytest.raises(QueryRefused, match="nothing was published yet"):
        query(tmp_path, "SELECT 1")
