"""The metrics views are made of sums of past days: to the digit what the same questions over all rows come to."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.engine import Step
from tasks import publish_rollups
from tasks.publish import publish, published_folder
from tasks.sql_query import query
from tasks.store import Store, TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk

DAYS = 4
WHOLE = Path(__file__).with_name("whole")
# A further execution, today, of a leg that closed on an earlier day: its trade loses by it, and is still one trade.
_LATE = """
INSERT INTO fills BY NAME
SELECT * REPLACE ('late' || $today || trade_id AS trade_id, $now AS ts, $now AS recorded_at, $lost AS realized)
FROM fills WHERE bot_id = 'g1' AND realized > 0 AND recorded_at < $today AND trade_id NOT LIKE 'late%'
ORDER BY recorded_at DESC, trade_id LIMIT 2"""


def live(folder: Path, *, daily: bool) -> None:
    """Two grids, one of which is stopped out and begins to be sampled a day later; published each day, or at the end."""
    stop: dict[str, Any] = {"triple_barrier": {"stop_loss": "0.1"}}
    world = new_world(grid_spec("g1", levels=14), grid_spec("g2", levels=8, **stop))
    account, tick = new_account(), 0
    with open_store(folder) as store:

        def keep(step: Step, now: Any) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)
            row = TickRow(tick_id=tick, started_at=now, ended_at=now + timedelta(milliseconds=40), now=now, quiet=False)
            store.note_tick(row, step.world, equity_every=timedelta(0))

        for day in range(DAYS):
            world, now = walk(
                world, account, prices=40, seed=day, keep=keep, start=START + timedelta(days=day), every=timedelta(minutes=10)
            )  # fmt: skip
            store.flush()
            if day == 0:
                change(store, "DELETE FROM equity WHERE bot_id = 'g2'", {})
            else:
                today = START + timedelta(days=day)
                change(store, _LATE, {"now": now, "today": today, "lost": -1_000 if day % 2 else 5_000})
            store.mark(world, now)
            if daily:
                publish(store, folder)
        publish(store, folder)


def change(store: Store, sql: str, values: dict[str, Any]) -> None:
    """Alter the store beside its own writer."""
    con = store.reader()
    con.execute(sql, values)
    con.close()


def told(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """What the published copy answers."""
    return query(folder, sql)[1]


@pytest.mark.parametrize("daily", [True, False])
def test_sums_of_past_days_come_to_what_all_rows_come_to(
    daily: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trades that close on two days, a stop, a bot that came later: added up day by day, at once, or three days at a time."""
    live(tmp_path, daily=daily)
    for view in ("report_metrics", "report_portfolio"):
        whole = told(tmp_path, (WHOLE / f"{view}.sql").read_text())
        assert told(tmp_path, f"SELECT * FROM {view}") == whole
        assert len(whole) == (2 if view == "report_metrics" else 1)
    legs = "SELECT count(DISTINCT leg_id) FROM fills WHERE bot_id = 'g1' AND realized IS NOT NULL"
    stopped = told(tmp_path, "SELECT trades, stops FROM report_metrics ORDER BY bot_id")
    assert stopped[0][0] == told(tmp_path, legs)[0][0]
    assert stopped[1][1] >= 1
    late = "SELECT count(*) FROM fills WHERE trade_id LIKE 'late%'"
    assert told(tmp_path, late)[0][0] > DAYS

    before = told(tmp_path, "SELECT * FROM report_portfolio")
    monkeypatch.setattr(publish_rollups, "DAYS_AT_ONCE", 2)
    for path in (published_folder(tmp_path) / "rollups").iterdir():
        path.unlink()
    with open_store(tmp_path) as store:
        publish(store, tmp_path)
    assert told(tmp_path, "SELECT * FROM report_portfolio") == before
