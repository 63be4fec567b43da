"""Sums of past days: the same as over all rows, extended once a day, made again when damaged; orders with their trades."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tasks.publish import publish, published_folder
from tasks.publish_rollups import rollups, source_of
from tasks.sql_query import QueryRefused, query
from tasks.store import Store, open_store
from tests.tasks.store_worlds import START
from tests.tasks.test_publish import Life

DAYS = 4
# A rollup's columns that add up, over the table's own; quantiles and newest values are held in tests/sql/test_views.py.
WHOLE = {
    "ticks_hourly": "SELECT count(*), count(*) FILTER (quiet), sum(orders_placed), sum(fills) FROM ticks",
    "rejects_daily": "SELECT count(*), min(ts), max(ts) FROM journal WHERE decision IN ('REFUSED', 'DECLINED')",
    "fills_daily": "SELECT count(*), sum(quote_qty), sum(realized), sum(fee), sum(fee_quote) FROM fills",
    "equity_daily": "SELECT min(equity), max(ts) FROM equity",
    "ledger_daily": "SELECT sum(amount), sum(amount) FILTER (account = 'wallet'), max(ts) FROM ledger",
    "trades_daily": "SELECT count(DISTINCT (bot_id, leg_id)), sum(realized) FROM fills WHERE realized IS NOT NULL",
    "drawdowns_daily": "SELECT max(equity), max(exposure) FROM equity",
    "decisions_daily": "SELECT count(*) FROM journal WHERE decision = 'STUCK'",
    "stops_daily": "SELECT count(DISTINCT (bot_id, ts)) FROM journal WHERE decision LIKE '%STOP%'",
    "closings_daily": "SELECT sum(realized), sum(quote_qty) FROM fills WHERE realized IS NOT NULL AND side = 'sell'",
}
SUMMED = {
    "ticks_hourly": "SELECT sum(ticks), sum(quiet_ticks), sum(orders_placed), sum(fills) FROM ticks_hourly",
    "rejects_daily": "SELECT coalesce(sum(times), 0), min(first_at), max(last_at) FROM rejects_daily",
    "fills_daily": "SELECT sum(fills), sum(volume_quote), sum(realized), sum(fee), sum(fee_quote) FROM fills_daily",
    "equity_daily": "SELECT min(equity_min), max(sampled_at) FROM equity_daily",
    "ledger_daily": "SELECT sum(amount), sum(amount) FILTER (account = 'wallet'), max(booked_at) FROM ledger_daily",
    "trades_daily": "SELECT sum(trades), sum(realized) FROM trades_daily",
    "drawdowns_daily": "SELECT max(peak), max(exposure_max) FROM drawdowns_daily",
    "decisions_daily": "SELECT coalesce(sum(stuck), 0) FROM decisions_daily",
    "stops_daily": "SELECT count(*) FROM stops_daily",
    "closings_daily": "SELECT sum(realized), sum(cost + realized) FROM closings_daily",
}
# Held in tests/sql/test_metrics_rollups.py, in test_targets.py beside it, or here by name.
OTHERS = {"orders_late", "snapshots_daily", "portfolio_daily", "stops_done_daily", "stopped_lots_daily"}
# What an order's trades came to, found the dear way.
LIVES = """
SELECT o.client_id, CAST(sum(f.quote_qty) AS DOUBLE) / CAST(sum(f.qty) AS DOUBLE), count(f.client_id)
FROM orders AS o LEFT JOIN fills AS f ON f.client_id = o.client_id GROUP BY o.client_id ORDER BY o.client_id"""
FOUND = "SELECT client_id, average_price, trades FROM report_orders_life ORDER BY client_id"


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[tuple[Store, Path]]:
    """A store whose bot has traded for some days, published after each."""
    with open_store(tmp_path) as store:
        life = Life(store)
        for number in range(DAYS):
            life.day(number, prices=12)
            publish(store, tmp_path)
        yield store, tmp_path


def answers(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the published copy."""
    return query(folder, sql)[1]


def test_each_rollup_adds_up_to_its_table(lived: tuple[Store, Path]) -> None:
    """What past days' files and the present day come to is what all rows come to; no rollup is left out here."""
    _, folder = lived
    assert set(WHOLE) | OTHERS == set(rollups())
    assert {source_of(sql) for sql in rollups().values()} <= {
        "ticks",
        "journal",
        "fills",
        "equity",
        "ledger",
        "orders_life",
        "trades_made",
    }
    for name, sql in WHOLE.items():
        assert answers(folder, SUMMED[name]) == answers(folder, sql), name


def test_a_rollup_is_written_once_a_day(lived: tuple[Store, Path]) -> None:
    """Publications within a day leave the files as they are."""
    store, folder = lived
    before = {path: path.stat().st_mtime_ns for path in (published_folder(folder) / "rollups").iterdir()}
    assert {path.stem for path in before} == set(rollups())
    publish(store, folder)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("harm", ["lost", "cut", "garbage", "other days"])
def test_a_harmed_rollup_is_made_again(harm: str, lived: tuple[Store, Path]) -> None:
    """A file that is gone, cut off, not Parquet or of other days is made anew from the days' own files."""
    store, folder = lived
    path = published_folder(folder) / "rollups" / "fills_daily.parquet"
    whole = path.read_bytes()
    match harm:
        case "lost":
            path.unlink()
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "garbage":
            path.write_bytes(b"not Parquet")
        case _:
            with duckdb.connect() as con:
                con.execute(
                    f"COPY (SELECT 1 AS n) TO '{path}' (FORMAT parquet, KV_METADATA {{made_of: '2026-03-01 1 x'}})"
                )
    publish(store, folder)
    assert answers(folder, SUMMED["fills_daily"]) == answers(folder, WHOLE["fills_daily"])


def test_a_store_without_days_forgets_the_sums_of_another(lived: tuple[Store, Path], tmp_path: Path) -> None:
    """Where the days were put aside, as after a rebuild, their sums go too."""
    other = tmp_path / "other"
    shutil.copytree(published_folder(lived[1]) / "rollups", published_folder(other) / "rollups")
    with open_store(other) as fresh:
        Life(fresh).day(DAYS + 1, prices=12)
        publish(fresh, other)
    assert answers(other, SUMMED["ticks_hourly"]) == answers(other, WHOLE["ticks_hourly"])
    assert list((published_folder(other) / "rollups").iterdir()) == []


def test_fills_are_found_by_day_without_opening_the_other_days(lived: tuple[Store, Path]) -> None:
    """`day` is the day a fill was recorded, none is lost or twice, and a question for some days opens no other's file."""
    _, folder = lived
    every = "SELECT day, count(*) FROM report_fills GROUP BY day ORDER BY day"
    by_day = answers(folder, "SELECT CAST(recorded_at AS DATE) AS day, count(*) FROM fills GROUP BY day ORDER BY day")
    assert len(by_day) == DAYS
    assert answers(folder, every) == by_day
    # The first file tells the columns, whatever is asked.
    second = sorted((published_folder(folder) / "parquet" / "fills").iterdir())[1]
    second.write_bytes(b"no Parquet")
    later = every.replace("GROUP", f"WHERE day > DATE '{by_day[1][0]}' GROUP")
    assert answers(folder, later) == by_day[2:]
    with pytest.raises(QueryRefused, match="arquet"):
        answers(folder, every)


def test_an_orders_trades_are_found_whatever_day_they_were_on(lived: tuple[Store, Path]) -> None:
    """Average price and count are those of the join of all orders with all fills."""
    store, folder = lived
    con = store.reader()
    assert answers(folder, FOUND) == con.execute(LIVES).fetchall()
    con.close()
    assert (
        answers(folder, "SELECT count(*) FROM report_orders_life WHERE day < DATE '2026-03-04' AND trades > 0")[0][0]
        > 0
    )


def test_a_trade_of_an_earlier_day_counts(lived: tuple[Store, Path]) -> None:
    """An order that traded in parts on two days shows both, today and once its day is over."""
    store, folder = lived
    con = store.reader()
    moved = con.execute(
        "UPDATE fills SET recorded_at = recorded_at - INTERVAL 1 DAY WHERE (venue, symbol, trade_id, side) IN "
        "(SELECT venue, symbol, trade_id, side FROM fills WHERE recorded_at >= ? ORDER BY trade_id LIMIT 1) RETURNING client_id",
        [START + timedelta(days=DAYS - 1)],
    ).fetchall()
    con.execute("UPDATE orders SET created_at = created_at - INTERVAL 2 DAY WHERE client_id = ?", moved[0])
    con.close()
    publish(store, folder)
    found = answers(folder, f"SELECT trades FROM report_orders_life WHERE client_id = '{moved[0][0]}'")
    assert found == [(1,)]


def test_an_order_that_changed_after_its_day_stands_once(lived: tuple[Store, Path]) -> None:
    """A late word replaces the archived row, on its own day and when that day is over too."""
    store, folder = lived
    con = store.reader()
    client_id = con.execute(
        "SELECT client_id FROM orders WHERE status = 'FILLED' ORDER BY recorded_at LIMIT 1"
    ).fetchall()
    con.execute(
        "UPDATE orders SET reason = 'a late word', recorded_at = ? WHERE client_id = ?",
        [store.recorded_at, *client_id[0]],
    )
    con.close()
    for _ in range(2):
        publish(store, folder)
        found = answers(folder, f"SELECT reason, trades FROM report_orders_life WHERE client_id = '{client_id[0][0]}'")
        assert found == [("a late word", 1)]
        Life(store).tick = 0
        con = store.reader()
        con.execute("INSERT INTO days VALUES (?) ON CONFLICT DO NOTHING", [datetime(2026, 3, 4).date()])
        con.close()
        store._recorded_at = START + timedelta(days=DAYS)
