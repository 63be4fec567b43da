"""A data folder for the dashboard's tests: a bot that traded over three days, published, with hostile words in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from core.engine import Step
from tasks.publish import FILE_NAME, publish, published_folder
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk

HOSTILE = '<script>document.documentElement.dataset.pwned=1</script><img src=x onerror="pwned">\'"&'
FORMULA = "=cmd|' /C calc'!A0"


def traded(folder: Path, days: int = 3, prices: int = 50) -> Path:
    """Live some days, the last of them today for the store, and publish."""
    world, account, tick = new_world(grid_spec(levels=12)), new_account(), 0
    with open_store(folder) as store:

        def keep(step: Step, now: datetime) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)
            row = TickRow(tick_id=tick, started_at=now, ended_at=now + timedelta(milliseconds=40), now=now, quiet=False)
            store.commit_tick(row, step.world)

        for day in range(days):
            start = START + timedelta(days=day)
            world, _ = walk(world, account, prices=prices, seed=day, keep=keep, start=start, every=timedelta(minutes=5))
        publish(store, folder)
    return folder


@contextmanager
def republished(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Change the published copy as publishing does: beside it, then in its place, for somebody may be reading it."""
    path = published_folder(folder) / FILE_NAME
    fresh = path.with_name("changed.duckdb")
    shutil.copyfile(path, fresh)
    with duckdb.connect(fresh) as con:
        yield con
    fresh.replace(path)


def poison(folder: Path) -> None:
    """Put hostile words into every text of the copy that a page shows."""
    with republished(folder) as con:
        now = START + timedelta(days=2, hours=1)
        con.execute("INSERT INTO incidents VALUES (9001, ?, 'error', 'g1', ?, 's', ?, NULL)", [now, HOSTILE, HOSTILE])
        con.execute("UPDATE levels SET reason = ? WHERE level < 3", [HOSTILE])
        con.execute("UPDATE bot_state SET mode_reason = ?, symbol = 'BTC' || ? || '/USDT'", [HOSTILE, HOSTILE])
        con.execute("UPDATE journal_today SET reason = ?", [HOSTILE])
        con.execute("UPDATE meta SET value = ? WHERE key = 'portfolio'", [HOSTILE])


def ask(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the published copy directly, without anything of the dashboard."""
    with duckdb.connect(published_folder(folder) / FILE_NAME, read_only=True) as con:
        con.execute("SET VARIABLE published = ?", [str(published_folder(folder))])
        return con.execute(sql).fetchall()
