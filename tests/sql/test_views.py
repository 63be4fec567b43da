"""Every view answers, in an empty store and in one that has traded, and every example of docs/sql.md runs."""

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.engine import Limits, Step
from core.values import plain
from tasks.publish import publish
from tasks.sql_query import query
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk

ROOT = Path(__file__).parents[2]
VIEWS = sorted(path.stem for path in (ROOT / "sql" / "views").glob("report_*.sql"))
TABLES = sorted(
    name
    for path in (ROOT / "sql" / "schema" / "trading").glob("*.sql")
    for name in re.findall(r"CREATE TABLE (\w+)", path.read_text())
)
DOCUMENT = ROOT / "docs" / "sql.md"
# Whole statements, in blocks and in spans, of all documents; those of docs/sql.md first.
EXAMPLES = [
    sql
    for path in sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")], key=lambda path: (path != DOCUMENT, path))
    for block, span in re.findall(r"```sql\n(.*?)```|`(SELECT [^`]+)`", path.read_text(), re.DOTALL)
    if (sql := block or span)
]

# A grid on spot without a hedge, an executor or a trouble has no rows in these; it is no rolling grid either.
QUIET = {
    "report_incidents", "report_recovery", "report_executors", "report_hedges", "report_funding", "report_targets",
}  # fmt: skip


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A data folder whose bot has traded over two days under a tight limit, published; and the world that it left."""
    folder = tmp_path_factory.mktemp("traded")
    world = new_world(grid_spec(levels=12), limits=Limits(max_exposure_quote=Decimal(22_000)))
    account, tick = new_account(), 0
    with open_store(folder) as store:

        def keep(step: Step, now: Any) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)
            row = TickRow(tick_id=tick, started_at=now, ended_at=now + timedelta(milliseconds=40), now=now, quiet=False)
            store.commit_tick(row, step.world)

        for day in range(2):
            world, now = walk(world, account, prices=60, seed=day, keep=keep, start=START + timedelta(days=day))
        store.mark(world, now)
        publish(store, folder)
    return folder, world


def ask(folder: Path, sql: str) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    columns, rows = query(folder, sql)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_answers_in_an_empty_store(view: str, tmp_path: Path) -> None:
    """Nothing divides by zero where nothing has happened."""
    with open_store(tmp_path) as store:
        publish(store, tmp_path)
    assert query(tmp_path, f"SELECT * FROM {view}")[1] == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_rows_once_there_is_something_to_tell(view: str, traded: tuple[Path, Any]) -> None:
    """Every view tells of two days of trading but those of what this bot did not have."""
    rows = ask(traded[0], f"SELECT * FROM {view}")
    assert bool(rows) is (view not in QUIET)


@pytest.mark.parametrize("sql", EXAMPLES, ids=lambda text: text.split("FROM ")[-1].split()[0])
def test_an_example_of_the_documents_runs(sql: str, traded: tuple[Path, Any]) -> None:
    """What docs/sql.md, the questions and the other documents show can be typed."""
    query(traded[0], sql)


def test_every_view_has_an_example() -> None:
    """A view that nobody is shown how to use is not there."""
    shown = set(
        re.findall(r"FROM (report_\w+)", "".join(re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)))
    )
    assert shown == set(VIEWS)


def test_every_table_of_the_documents_exists(traded: tuple[Path, Any]) -> None:
    """The documents name tables that the copy has, and no table with rows for people is left out."""
    named = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "sql.md").read_text(), re.MULTILINE)
    for name in named:
        query(traded[0], f"SELECT * FROM {name} LIMIT 1")
    inside = {"account_state", "days", "meta", "store_stamp"}
    assert set(named) == set(TABLES) - inside


def test_a_bots_figures_are_those_of_its_world(traded: tuple[Path, Any]) -> None:
    """report_bots says to the last digit what the engine holds."""
    folder, world = traded
    bot, row = world.bots["g1"], ask(folder, "SELECT * FROM report_bots")[0]
    last = world.quotes["spot", "BTC/USDT"].last
    unrealized = last * bot.inventory - bot.cost
    assert row["unrealized"] == unrealized
    assert row["net_pnl"] == bot.realized + unrealized - bot.fees + bot.funding
    assert (row["inventory"], row["exposure_at_cost"], row["last_price"]) == (bot.inventory, bot.cost, last)
    live = sum(1 for work in bot.works.values() if work.order is not None and work.order.live)
    assert (row["levels"], row["orders_live"]) == (12, live)


def test_each_level_is_working_or_says_why(traded: tuple[Path, Any]) -> None:
    """No level stands idle without a reason."""
    rows = ask(traded[0], "SELECT * FROM report_levels")
    assert len(rows) == 12
    assert all(row["working"] or row["reason"] for row in rows)
    assert all(row["client_id"] for row in rows if row["working"])


def test_the_days_add_up_to_the_bot(traded: tuple[Path, Any]) -> None:
    """What report_pnl_daily shows for two days is what the bot has realised and paid."""
    folder, world = traded
    bot, rows = world.bots["g1"], ask(folder, "SELECT * FROM report_pnl_daily")
    assert [str(row["day"]) for row in rows] == ["2026-03-01", "2026-03-02"]
    assert sum(row["realized"] for row in rows) == bot.realized
    assert sum(row["fees"] for row in rows) == bot.fees
    fills = ask(folder, "SELECT sum(realized) AS realized, sum(fee_quote) AS fees FROM report_fills")[0]
    assert (plain(fills["realized"]), plain(fills["fees"])) == (plain(bot.realized), plain(bot.fees))


def test_an_exit_shows_the_distance_to_its_entry(traded: tuple[Path, Any]) -> None:
    """The spread of an exit is what its level was planned to earn, or better."""
    rows = ask(traded[0], "SELECT * FROM report_fills WHERE role = 'exit'")
    assert rows
    assert all(row["spread"] > 0.02 for row in rows)


def test_limits_show_as_what_declined(traded: tuple[Path, Any]) -> None:
    """An entry that the exposure limit held back is listed with its reason."""
    rows = ask(traded[0], "SELECT * FROM report_rejects")
    assert {row["refused_by"] for row in rows} == {"limit"}
    assert any("exposure" in row["reason"] for row in rows)


def test_the_time_of_ticks_is_in_milliseconds(traded: tuple[Path, Any]) -> None:
    """Ticks that took 40 ms are shown as that."""
    assert all(abs(row["p99_ms"] - 40) < 1 for row in ask(traded[0], "SELECT * FROM report_ticks"))


def test_fees_by_asset_are_those_of_the_bot(traded: tuple[Path, Any]) -> None:
    """Fees add up to what the bot paid, none without a rate, at the fee rate of its rules."""
    folder, world = traded
    rows = ask(folder, "SELECT * FROM report_fees")
    assert plain(sum(row["fee_quote"] for row in rows)) == plain(world.bots["g1"].fees)
    assert sum(row["unpriced"] for row in rows) == 0
    rule = world.specs["g1"].instrument
    assert all(abs(row["bps"] - float(rule.maker if row["maker"] else rule.taker) * 10_000) < 0.01 for row in rows)


def test_the_age_of_a_lot_runs_to_the_last_price(traded: tuple[Path, Any]) -> None:
    """An open lot is as old as the newest price says; a closed one as old as it was at its end."""
    folder, world = traded
    newest = world.quotes["spot", "BTC/USDT"].ts
    for row in ask(folder, "SELECT * FROM report_lots"):
        end = newest if row["standing"] else row["updated_at"]
        assert row["age_s"] == (end - row["opened_at"]).total_seconds()
