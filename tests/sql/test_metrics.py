"""The metrics views against figures worked out anew from the raw executions, with none of the house's sums."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.engine import Step
from tasks.publish import publish
from tasks.sql_query import query
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import START, grid_spec, new_account, new_world, walk

D = Decimal


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Two grids that traded for three days, one of which was stopped out, published; and the world that they left."""
    folder = tmp_path_factory.mktemp("metrics")
    stop = {"triple_barrier": {"stop_loss": "0.1"}}
    world = new_world(grid_spec("g1", levels=14), grid_spec("g2", levels=8, **stop))
    account, tick = new_account(), 0
    with open_store(folder) as store:

        def keep(step: Step, now: Any) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)
            row = TickRow(tick_id=tick, started_at=now, ended_at=now + timedelta(milliseconds=40), now=now, quiet=False)
            store.note_tick(row, step.world, equity_every=timedelta(0))

        for day in range(3):
            world, now = walk(world, account, prices=80, seed=day, keep=keep, start=START + timedelta(days=day))
        store.flush()
        store.mark(world, now)
        publish(store, folder)
    return folder, world


def ask(folder: Path, sql: str) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    columns, rows = query(folder, sql)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def worked_out(fills: list[dict[str, Any]], mark: Decimal) -> dict[str, Any]:
    """Match a bot's raw executions: an exit sells the lots of its level, oldest first, anything else the oldest of all."""
    lots: list[list[Any]] = []
    earned: defaultdict[str, Decimal] = defaultdict(Decimal)
    fees = D(0)
    for fill in fills:
        price, qty = fill["price"], fill["qty"]
        fees += fill["fee"]
        _, _, leg, cycle, _ = fill["client_id"].split("-")
        if fill["side"] == "buy":
            lots.append([leg[1:], price, qty])
            continue
        mine = [lot for lot in lots if lot[0] == leg[1:]] if leg[0] == "x" else list(lots)
        for lot in mine:
            part = min(lot[2], qty)
            earned[f"{leg}-{cycle}"] += (price - lot[1]) * part
            lot[2] -= part
            qty -= part
        assert qty == 0
        lots = [lot for lot in lots if lot[2] > 0]
    return {
        "trades": len(earned), "won": sum(1 for profit in earned.values() if profit > 0), "realized": sum(earned.values()),
        "grid_profit": sum((profit for leg, profit in earned.items() if leg[0] == "x"), D(0)), "fees": fees,
        "floating": sum(((mark - price) * qty for _, price, qty in lots), D(0)),
    }  # fmt: skip


def expected(folder: Path, world: Any, bot: str) -> dict[str, Any]:
    """The figures of one bot from `fills` alone."""
    # Trade ids are numbers written as text: within one moment the smaller one was first.
    order = "ts, CAST(trade_id AS BIGINT)"
    raw = ask(folder, f"SELECT client_id, side, price, qty, fee FROM fills WHERE bot_id = '{bot}' ORDER BY {order}")
    return worked_out(raw, world.quotes["spot", "BTC/USDT"].last)


@pytest.mark.parametrize("bot", ["g1", "g2"])
def test_a_bots_metrics_are_those_of_its_raw_executions(bot: str, traded: tuple[Path, Any]) -> None:
    """Trades, wins, average, realised, floating, grid profit and fees: to the last digit."""
    folder, world = traded
    (row,) = ask(folder, f"SELECT * FROM report_metrics WHERE bot_id = '{bot}'")
    told = expected(folder, world, bot)
    assert told["trades"] > 3
    assert {name: row[name] for name in told} == told
    assert row["win_rate"] == pytest.approx(told["won"] / told["trades"])
    assert row["average_profit"] == pytest.approx(float(told["realized"]) / told["trades"])
    assert row["realized"] == world.bots[bot].realized
    assert row["exposure"] == world.bots[bot].exposure


def drawdown(curve: list[Decimal]) -> float:
    """The largest fall from a peak, as a fraction of the peak."""
    peak, worst = curve[0], D(0)
    for value in curve:
        peak = max(peak, value)
        worst = max(worst, (peak - value) / peak)
    return float(worst)


def test_the_drawdown_is_that_of_the_samples(traded: tuple[Path, Any]) -> None:
    """Walked through sample by sample, for each bot and for the sum of both."""
    folder, _ = traded
    curves: dict[str, list[Decimal]] = {}
    for row in ask(folder, "SELECT bot_id, ts, equity FROM equity ORDER BY bot_id, ts"):
        curves.setdefault(row["bot_id"], []).append(row["equity"])
    for row in ask(folder, "SELECT bot_id, max_drawdown FROM report_metrics"):
        assert row["max_drawdown"] == pytest.approx(drawdown(curves[row["bot_id"]]))
        assert row["max_drawdown"] > 0
    (both,) = ask(folder, "SELECT max_drawdown FROM report_portfolio")
    assert both["max_drawdown"] == pytest.approx(drawdown([sum(pair) for pair in zip(*curves.values(), strict=True)]))


def test_the_portfolio_is_the_sum_of_its_bots(traded: tuple[Path, Any]) -> None:
    """Counts and money add up, rates are of the sums, and exposure is held against the common equity."""
    folder, world = traded
    (row,) = ask(folder, "SELECT * FROM report_portfolio")
    each = [expected(folder, world, bot) for bot in ("g1", "g2")]
    for name in ("trades", "won", "realized", "grid_profit", "fees", "floating"):
        assert row[name] == sum(one[name] for one in each)
    assert row["win_rate"] == pytest.approx(row["won"] / row["trades"])
    worth = sum(one["equity"] for one in ask(folder, "SELECT equity FROM marks"))
    assert row["margin_use"] == pytest.approx(float(row["exposure"]) / float(worth))
    assert (row["bots"], row["mismatches"], row["stuck_now"]) == (2, 0, 0)


def test_the_latency_of_a_stop_runs_from_the_decision(traded: tuple[Path, Any]) -> None:
    """The stop of g2 sent its closing order in the same advance; g1 has none."""
    folder, _ = traded
    rows = {
        row["bot_id"]: row for row in ask(folder, "SELECT bot_id, stops, stop_sent_s, stop_done_s FROM report_metrics")
    }
    assert (rows["g1"]["stops"], rows["g1"]["stop_sent_s"]) == (0, None)
    assert (rows["g2"]["stops"], rows["g2"]["stop_sent_s"]) == (1, 0)
    decided = ask(folder, "SELECT ts FROM journal WHERE bot_id = 'g2' AND decision = 'STOP_LOSS'")
    closing = ask(folder, "SELECT min(ts) AS ts FROM fills WHERE bot_id = 'g2' AND role = 'unwind'")
    assert closing[0]["ts"] >= decided[0]["ts"]
    assert rows["g2"]["stop_done_s"] >= (closing[0]["ts"] - decided[0]["ts"]).total_seconds()


def test_episodes_of_recovery_and_mismatches_are_counted(tmp_path: Path) -> None:
    """Three lots were stuck, two episodes ended, one of them recovered; one mismatch of the account, one of the bot."""
    world, account = new_world(grid_spec("g1")), new_account()
    with open_store(tmp_path) as store:

        def keep(step: Step, now: Any) -> None:
            store.commit_step(step, tick_id=1, now=now)

        world, now = walk(world, account, prices=1, keep=keep)
        rows = [
            ("lot 0-0", "STUCK", "70 minutes old"), ("lot 1-0", "STUCK", "70 minutes old"), ("lot 2-0", "STUCK", "x"),
            ("lot 0-0", "RECOVERY_END", "ladder: recovered after 3 fills, cost -1"),
            ("lot 1-0", "RECOVERY_END", "aggressive: closed after 1 fills, cost 4"),
        ]  # fmt: skip
        for number, (subject, decision, reason) in enumerate(rows):
            store._con.execute(
                "INSERT INTO journal VALUES (2, ?, 'g1', ?, ?, ?, ?, ?)", [number, subject, decision, reason, now, now]
            )
        for number, bot in enumerate(["", "g1"]):
            store._con.execute(
                "INSERT INTO incidents VALUES (?, ?, 'critical', ?, 'balance_mismatch', 'USDT', 'x', NULL)",
                [900 + number, now, bot],
            )
        store.mark(world, now)
        publish(store, tmp_path)
    (row,) = ask(tmp_path, "SELECT * FROM report_metrics")
    assert (row["stuck"], row["stuck_now"], row["recovery_success_rate"], row["mismatches"]) == (3, 1, 0.5, 1)
    (row,) = ask(tmp_path, "SELECT * FROM report_portfolio")
    assert (row["stuck_now"], row["recovery_success_rate"], row["mismatches"]) == (1, 0.5, 2)
