"""The view `report_targets` at and around each bound of document 002, over tables of made-up figures."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tasks.publish import publish
from tasks.sql_query import query
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import START

VIEW = Path(__file__).parents[2] / "sql" / "views" / "report_targets.sql"
# Of the sums of days only the columns that the view reads; the copy was made for 9 March, 01:41.
TABLES = """
CREATE TABLE meta (key VARCHAR, value VARCHAR);
CREATE TABLE bot_state (bot_id VARCHAR, kind VARCHAR, venue VARCHAR, symbol VARCHAR, capital_quote DECIMAL(38, 18));
CREATE TABLE trades_daily (recorded_on DATE, bot_id VARCHAR, trades HUGEINT, won HUGEINT);
CREATE TABLE closings_daily (recorded_on DATE, bot_id VARCHAR, cost DECIMAL(38, 18), realized DECIMAL(38, 18));
CREATE TABLE drawdowns_daily (recorded_on DATE, bot_id VARCHAR, max_drawdown DOUBLE, exposure_max DECIMAL(38, 18));
CREATE TABLE rejects_daily (recorded_on DATE, bot_id VARCHAR, decision VARCHAR, reason VARCHAR, times BIGINT);
CREATE TABLE incidents (ts TIMESTAMP, bot_id VARCHAR, kind VARCHAR, subject VARCHAR, resolved_at TIMESTAMP);
CREATE TABLE recovery (bot_id VARCHAR, outcome VARCHAR);
CREATE TABLE stopped_lots_daily (recorded_on DATE, bot_id VARCHAR, subject VARCHAR, ts TIMESTAMP, gone BOOLEAN);
INSERT INTO meta VALUES ('data_until', '2026-03-09T01:41:00'), ('leverage', '{"r1": 2, "other": 5}');
INSERT INTO bot_state VALUES ('r1', 'rolling_grid', 'perp', 'BTC/USDT:USDT', 1000), ('g1', 'grid', 'perp', 'X', 1000);
"""


def trades(count: int, won: int, day: str = "2026-03-08") -> str:
    """So many trades of a day."""
    return f"INSERT INTO trades_daily VALUES ('{day}', 'r1', {count}, {won})"


def profit(realized: str, day: str = "2026-03-08") -> str:
    """Twenty trades that closed what had cost 1,000."""
    return f"{trades(20, 20, day)}; INSERT INTO closings_daily VALUES ('{day}', 'r1', 1000, {realized})"


def worth(drawdown: str, exposure: str, day: str = "2026-03-08") -> str:
    """A day's deepest fall and the most at stake; 2,000 may be at stake."""
    return f"INSERT INTO drawdowns_daily VALUES ('{day}', 'r1', {drawdown}, {exposure})"


def incident(
    kind: str, bot: str, subject: str, ts: str = "2026-03-08 12:00", resolved: str = "2026-03-08 13:00"
) -> str:
    """An incident; `resolved` empty: it stands."""
    over = f"'{resolved}'" if resolved else "NULL"
    return f"INSERT INTO incidents VALUES ('{ts}', '{bot}', '{kind}', '{subject}', {over})"


def recoveries(freed: int, stopped: int) -> str:
    """Episodes that ended."""
    rows = ["('r1', 'recovered')"] * freed + ["('r1', 'stopped')"] * stopped + ["('r1', '')"]
    return f"INSERT INTO recovery VALUES {', '.join(rows)}"


def stop(fired: str, gone: str) -> str:
    """A lot whose stop fired; `gone` empty: it is still held."""
    rows = [f"('2026-03-08', 'r1', 'lot 0-4', '{fired}', false)"]
    rows += [f"('2026-03-09', 'r1', 'lot 0-4', '{gone}', true)"] if gone else []
    return f"INSERT INTO stopped_lots_daily VALUES {', '.join(rows)}"


OLD = "2026-03-01"
REFUSAL = "INSERT INTO rejects_daily VALUES ('{day}', 'r1', 'REFUSED', '{reason}', 1)"
CASES: list[tuple[str, str, float | None, bool | None]] = [
    ("win_rate", trades(20, 12), 0.6, False),
    ("win_rate", trades(20, 13), 0.65, True),
    ("win_rate", trades(19, 0), 0.0, None),
    ("win_rate", f"{trades(10, 6)}; {trades(10, 6, '2026-03-02')}; {trades(50, 50, OLD)}", 0.6, False),
    ("win_rate", trades(30, 30, OLD), None, None),
    ("average_profit", profit("5"), 0.005, False),
    ("average_profit", profit("5.000001"), 0.005000001, True),
    ("average_profit", profit("-20"), -0.02, False),
    ("average_profit", profit("-20", OLD), None, None),
    ("max_drawdown", worth("0.05", "0"), 0.05, False),
    ("max_drawdown", worth("0.0499999", "0"), 0.0499999, True),
    ("max_drawdown", worth("0.2", "0", OLD), None, True),
    ("margin_use", worth("0", "1600"), 0.8, False),
    ("margin_use", worth("0", "1599.99"), 0.799995, True),
    ("margin_exhausted", REFUSAL.format(day="2026-03-08", reason="funds: Margin is insufficient."), 1, False),
    ("margin_exhausted", REFUSAL.format(day="2026-03-08", reason="post_only: would take funds: no"), 0, True),
    ("margin_exhausted", REFUSAL.format(day=OLD, reason="funds: Margin is insufficient."), 0, True),
    ("margin_exhausted", incident("liquidated", "r1", "BTC/USDT:USDT"), 1, False),
    ("margin_exhausted", incident("liquidated", "g1", "X"), 0, True),
    ("recovery_rate", recoveries(9, 1), 0.9, False),
    ("recovery_rate", recoveries(10, 1), 10 / 11, True),
    ("recovery_rate", recoveries(0, 9), 0.0, None),
    ("mismatches", "SELECT 1", 0, True),
    ("mismatches", incident("position_mismatch", "", "perp BTC/USDT:USDT"), 1, False),
    ("mismatches", incident("position_mismatch", "", "perp ETH/USDT:USDT"), 0, True),
    ("mismatches", incident("over_filled", "r1", "lot 1"), 1, False),
    ("mismatches", incident("over_filled", "r1", "lot 1", OLD, "2026-03-01 13:00"), 0, True),
    ("mismatches", incident("over_filled", "r1", "lot 1", OLD, ""), 1, False),
    ("stop_time", "SELECT 1", None, True),
    ("stop_time", stop("2026-03-08 23:59:50", "2026-03-09 00:00:20"), 30, False),
    ("stop_time", stop("2026-03-08 23:59:50", "2026-03-09 00:00:19"), 29, True),
    ("stop_time", stop("2026-03-08 23:59:50", ""), 6_070, False),
]


def told(sql: str) -> list[dict[str, Any]]:
    """Rows of the view over tables that a statement has filled."""
    with duckdb.connect() as con:
        con.execute(TABLES + sql)
        con.execute(VIEW.read_text())
        answer = con.execute("SELECT * FROM report_targets")
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


@pytest.mark.parametrize(("target", "sql", "value", "met"), CASES)
def test_a_target_is_met_beyond_its_bound_only(target: str, sql: str, value: float | None, met: bool | None) -> None:
    """At the bound it is missed, beyond it met; old days do not count, and too few events say nothing."""
    rows = {row["target"]: row for row in told(sql)}
    assert len(rows) == 8
    assert rows[target]["value"] == (None if value is None else pytest.approx(value, rel=1e-12))
    assert rows[target]["met"] is met


def test_only_rolling_grids_have_targets() -> None:
    """One row for each of the document's eight targets, in its order, and none for a bot of another kind."""
    rows = told("SELECT 1")
    assert {row["bot_id"] for row in rows} == {"r1"}
    assert [(row["target"], row["comparison"], row["bound"]) for row in rows] == [
        ("win_rate", ">", 0.6), ("average_profit", ">", 0.005), ("max_drawdown", "<", 0.05), ("margin_use", "<", 0.8),
        ("margin_exhausted", "<", 1), ("recovery_rate", ">", 0.9), ("mismatches", "<", 1), ("stop_time", "<", 30),
    ]  # fmt: skip


def test_an_unknown_leverage_counts_as_one() -> None:
    """A copy without the word says too much of the margin is used rather than too little."""
    rows = {row["target"]: row for row in told(f"DELETE FROM meta WHERE key = 'leverage'; {worth('0', '900')}")}
    assert (rows["margin_use"]["value"], rows["margin_use"]["met"]) == (0.9, False)


@pytest.mark.parametrize("daily", [True, False])
def test_a_stop_and_the_end_of_its_lot_are_found_on_two_days(daily: bool, tmp_path: Path) -> None:
    """The lot is gone on the day after; one that was never stopped is not listed, whenever the days were added up."""
    at = START + timedelta(hours=23, minutes=59)
    later = at + timedelta(minutes=2)
    closed = "Action=close | Size=0.1"
    rows = [
        (at, "lot 0-4", "STOP_LOSS", "99 is past 98"), (at, "bot", "STOP_LOSS", "all"), (at, "lot 1-1", "GRID_TRADE", closed),
        (at, "lot 0-4", "GRID_TRADE", "Action=open | Size=0.1"), (later, "lot 0-4", "GRID_TRADE", closed),
        (later, "lot 2-2", "GRID_TRADE", closed), (later + timedelta(days=1), "lot 2-2", "STOP_LOSS", "x"),
    ]  # fmt: skip
    with open_store(tmp_path) as store:
        for number, (ts, subject, decision, reason) in enumerate(rows):
            con = store.reader()
            values = [number, subject, decision, reason, ts, ts]
            con.execute("INSERT INTO journal VALUES (1, ?, 'r1', ?, ?, ?, ?, ?)", values)
            con.close()
            store.commit_tick(TickRow(tick_id=number, started_at=ts, ended_at=ts, now=ts, quiet=True))
            if daily:
                publish(store, tmp_path)
        publish(store, tmp_path)
    found = query(tmp_path, "SELECT bot_id, subject, ts, gone FROM stopped_lots_daily ORDER BY ts, gone")[1]
    after = later + timedelta(days=1)
    assert [row for row in found if row[3] is False] == [("r1", "lot 0-4", at, False), ("r1", "lot 2-2", after, False)]
    assert ("r1", "lot 0-4", later, True) in found
    assert all(row[1] != "lot 1-1" for row in found)
