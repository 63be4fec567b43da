"""A rolling grid that misses its targets: measured at night, one incident a target in the store, resolved when it is met."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.engine import Incident
from core.machines.rolling_grid.config import RollingGridConfig
from tasks.nightly_steps import DONE, SKIPPED
from tasks.nightly_targets import measure_targets, missed_of
from tasks.settings import load_portfolio
from tasks.sql_query import query
from tasks.targets import FILE_NAME, KIND, TargetNews, differences, read_missed, write_missed
from tests.tasks.played import START, play, stored

PORTFOLIO = """
id: test
mode: paper
data_dir: data
venues:
  - id: spot
    exchange: binance
    instruments:
      COIN/USDT: {tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 1, maker: 0.0002, taker: 0.0005}
feed: {kind: candles, paths: {spot: candles.csv}, speed: candle}
bots:
  - {id: r1, kind: rolling_grid, venue: spot, symbol: COIN/USDT, quantity: 0.05, take_profit: 0.008, grid_step: 0.001,
     max_orders: 1, wait_time: 0, max_margin: 1000, requote_after: 1}
"""
ROUNDS, LATER = 23, timedelta(days=9)
NOW = datetime(2026, 3, 4, 1, 41)
# What a candle does to the price, as closes in per cent of it: an entry is filled and stopped, or filled and sold.
LOST, WON = (-0.5, -3), (-0.3, 1.5)


def write_story(path: Path) -> tuple[int, int]:
    """An hour and more of lost trades and, nine days later, one of won ones; returns the candles of each."""
    lines, price, at, counts = ["Time,Open,High,Low,Close,Volume"], 1_000.0, START, list[int]()
    for moves, begins in ((LOST, START), (WON, START + LATER)):
        at = begins
        for move in moves * ROUNDS:
            closed = price * (1 + move / 100)
            low, high = sorted((price, closed))
            lines.append(f"{at.isoformat(sep=' ')},{price:.2f},{high:.2f},{low:.2f},{closed:.2f},1")
            price, at = closed, at + timedelta(minutes=1)
        counts.append(len(moves) * ROUNDS)
    path.write_text("\n".join(lines))
    return counts[0], counts[1]


def incidents(file: Path) -> list[tuple[str, str, str, bool]]:
    """The incidents of targets in the store: bot, target, severity, whether it stands."""
    asked = f"SELECT bot_id, subject, severity, resolved_at IS NULL FROM incidents WHERE kind = '{KIND}' ORDER BY id"
    return stored(file, asked)  # type: ignore[return-value]


def test_a_missed_target_is_one_incident_until_it_is_met(tmp_path: Path) -> None:
    """Lost trades raise it once, however often it is measured and started; a better week resolves it."""
    file = tmp_path / "portfolio.yaml"
    file.write_text(PORTFOLIO)
    lost, won = write_story(tmp_path / "candles.csv")
    bots, data = load_portfolio(file).bots, tmp_path / "data"
    play(file, lost)
    assert incidents(file) == []
    for _ in range(2):
        did = measure_targets(data, bots, NOW)
        assert (did.status, "r1: win rate 0 %, to be above 60 % (today and the 7 days before, 2" in did.says) == (
            DONE,
            True,
        )
        play(file, 1)
        told = incidents(file)
        assert told[:2] == [("r1", "win_rate", "warning", True), ("r1", "average_profit", "warning", True)]
        assert len(told) == len({target for _, target, _, _ in told})
    play(file, won - 5)
    shown = query(data, "SELECT subject FROM report_incidents WHERE standing ORDER BY subject")[1]
    assert shown == [("average_profit",), ("win_rate",)]
    assert measure_targets(data, bots, NOW).says == "7 of 7 targets are met"
    play(file, 1)
    assert [standing for _, _, _, standing in incidents(file)] == [False] * len(told)


def row(target: str, met: bool | None, **more: object) -> dict[str, object]:
    """A row of `report_targets`."""
    given = {
        "bot_id": "r1", "target": target, "value": 0.004, "comparison": ">", "bound": 0.005, "unit": "fraction", "met": met,
        "span": "7 days", "samples": 31, "counted": "trades",
    }  # fmt: skip
    return given | more


def rolling(take_profit: str, **more: object) -> RollingGridConfig:
    """A rolling grid with a profit target."""
    return RollingGridConfig.model_validate(
        {
            "id": "r1", "venue": "spot", "symbol": "COIN/USDT", "quantity": "1", "take_profit": take_profit, "grid_step": "0.001",
            "max_orders": 1, "wait_time": 0, "max_margin": 1000, **more,
        }
    )  # fmt: skip


def test_a_missed_target_is_told_with_its_unit_span_and_events() -> None:
    """Shares in per cent, times in seconds; a profit that the bot's own target rules out is said to be out of reach."""
    bots = {"r1": rolling("0.008")}
    missed = missed_of([row("average_profit", False)], bots, {})
    said = "average profit of a trade 0.4 %, to be above 0.5 % (today and the 7 days before, 31 trades)"
    assert missed == {"r1": {"average_profit": said}}
    for bot in (rolling("0.005"), rolling("0.01", profit_basis="margin", leverage=2)):
        found = missed_of([row("average_profit", False)], {"r1": bot}, {})["r1"]["average_profit"]
        assert found == f"{said}; its take_profit of 0.005 of the price cannot reach it"
    late = row("stop_time", False, value=40.5, comparison="<", bound=30.0, unit="s", samples=1, counted="stops")
    assert missed_of([late], bots, {}) == {
        "r1": {"stop_time": "time of a stop loss 40.5 s, to be below 30 s (today and the 7 days before, 1 stops)"}
    }
    count = row(
        "mismatches", False, value=2.0, comparison="<", bound=1.0, unit="incidents", counted="incidents", span="all"
    )
    assert missed_of([count], bots, {}) == {
        "r1": {"mismatches": "mismatches 2 incidents, to be below 1 incidents (all that is known)"}
    }


def test_too_few_events_neither_raise_nor_resolve() -> None:
    """What was missed before stays so, what was not is not; a target that is met is forgotten."""
    bots, before = {"r1": rolling("0.008")}, {"r1": {"win_rate": "as it was", "max_drawdown": "deep"}}
    rows = [row("win_rate", None), row("average_profit", None), row("max_drawdown", True)]
    assert missed_of(rows, bots, before) == {"r1": {"win_rate": "as it was"}}


def test_without_a_rolling_grid_nothing_is_measured_and_old_news_is_taken_back(tmp_path: Path) -> None:
    """A bot that left the file misses nothing any more; a store that was never published is no miss."""
    bots = [rolling("0.008")]
    assert measure_targets(tmp_path, bots, NOW).status == SKIPPED
    assert read_missed(tmp_path) is None
    write_missed(tmp_path, {"r1": {"win_rate": "low"}}, NOW)
    assert measure_targets(tmp_path, [], NOW).status == SKIPPED
    assert read_missed(tmp_path) == {}


def test_news_is_told_until_the_incidents_stand_and_then_no_more(tmp_path: Path) -> None:
    """A crash before the commit loses nothing; one acknowledged by hand comes back with the next file only."""
    news = TargetNews(tmp_path)
    assert news.troubles({}) == []
    write_missed(tmp_path, {"r1": {"win_rate": "low"}}, NOW)
    (first,) = news.troubles({})
    assert (first.kind, first.bot_id, first.subject, first.over) == (KIND, "r1", "win_rate", False)
    assert news.troubles({}) == [first]
    standing = {f"{KIND}/r1/win_rate": Incident(KIND, "r1", "win_rate", "warning", "low", NOW)}
    assert news.troubles(standing) == []
    assert news.troubles({}) == []
    write_missed(tmp_path, {}, NOW)
    (over,) = news.troubles(standing)
    assert (over.bot_id, over.subject, over.over) == ("r1", "win_rate", True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"missed": 3}', '{"missed": {"r1": 3}}'])
def test_a_damaged_file_is_no_news(text: str, tmp_path: Path) -> None:
    """Nothing is raised or resolved by what cannot be read, and the tick goes on."""
    (tmp_path / FILE_NAME).write_text(text)
    standing = {f"{KIND}/r1/win_rate": Incident(KIND, "r1", "win_rate", "warning", "low", NOW)}
    assert TargetNews(tmp_path).troubles(standing) == []
    other = {"venue_unreadable//spot": Incident("venue_unreadable", "", "spot", "warning", "x", NOW)}
    assert differences({}, other) == []
