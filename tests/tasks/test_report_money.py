"""The report of a stretch of time: its sums are those of the stretch, and stretches add up to the life of the bot."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from core.engine import Step
from core.values import ZERO, plain
from tasks.publish import publish
from tasks.report import report_of
from tasks.report_money import SUMS, Span, span_money
from tasks.sql_query import open_published
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose bot has traded over two days, sampled after every price."""
    made = tmp_path_factory.mktemp("spans")
    world, account, tick = new_world(grid_spec(levels=12)), new_account(), 0
    with open_store(made) as store:

        def keep(step: Step, now: datetime) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)
            row = TickRow(tick_id=tick, started_at=now, ended_at=now, now=now, quiet=False)
            store.note_tick(row, step.world, equity_every=timedelta(0))
            store.flush()

        for day in range(2):
            world, now = walk(world, account, prices=60, seed=day, keep=keep, start=START + timedelta(days=day))
        store.mark(world, now)
        publish(store, made)
    return made


@pytest.fixture
def copy(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published copy, open."""
    con = open_published(folder)
    yield con
    con.close()


def test_stretches_add_up_to_the_life(copy: duckdb.DuckDBPyConnection) -> None:
    """Profit, fees and funding of the first day and of the rest sum to the bot's own, to the last digit."""
    noon = START + timedelta(days=1)
    state = Span(copy, None, None).table("SELECT * FROM bot_state")[0]
    life = span_money(Span(copy, None, None), state)
    parts = [span_money(Span(copy, None, noon), state), span_money(Span(copy, noon, None), state)]
    for name in SUMS:
        assert plain(sum((getattr(part, name) for part in parts), ZERO)) == plain(getattr(life, name)), name
    assert all(part.fees > ZERO for part in parts)
    assert parts[1].capital == Span(copy, None, None).last_sample("g1", noon)["equity"]  # type: ignore[index]


def test_a_stretch_before_the_first_trade_is_empty(copy: duckdb.DuckDBPyConnection) -> None:
    """Nothing was earned before there was a bot, and its capital is the configured one."""
    state = Span(copy, None, None).table("SELECT * FROM bot_state")[0]
    money = span_money(Span(copy, START - timedelta(days=9), START - timedelta(days=8)), state)
    assert {getattr(money, name) for name in SUMS} == {ZERO}
    assert money.capital == state["capital_quote"]


def test_the_report_of_a_day_is_of_that_day(folder: Path) -> None:
    """Fills, fees and net profit of a day's report belong to that day, and a note says so."""
    noon = START + timedelta(days=1)
    whole, day = report_of(folder), report_of(folder, noon)
    mine, all_of_it = day.bots[0], whole.bots[0]
    assert 0 < len(mine.fills) < len(all_of_it.fills)
    assert mine.summary.fees < all_of_it.summary.fees
    assert float(mine.summary.fees) == pytest.approx(float(mine.fills["fee_quote"].sum()))
    gained = float(mine.equity["equity"].iloc[-1]) - float(mine.capital_quote)
    assert gained == pytest.approx(float(mine.summary.net_pnl), abs=0.05)
    assert any("of the span alone" in note for note in day.notes)
    assert not any("of the span alone" in note for note in whole.notes)
