"""The ATR grid through the whole house: played ticks with real stores, the same as its backtest, and its tables in SQL."""

import asyncio
import csv
import json
import math
import random
import re
import shutil
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.indicators import readings
from tasks.backtesting import Options, Run, backtest
from tasks.candles_read import read_candles
from tasks.cli import main
from tasks.rebuild import rebuild_store
from tasks.sql_query import query
from tests.tasks.played import START, play, stored

ROOT = Path(__file__).parents[2]
CANDLES = 600
VIEWS = sorted(path.stem for path in (ROOT / "sql" / "views").glob("atr_*.sql"))


def write_markets(folder: Path) -> None:
    """Write a walk with a fall in it, for spot, and the futures a little beside it; a minute is missing in each."""
    dice = random.Random(5)
    price, rows = 100.0, []
    for index in range(CANDLES):
        drift = -0.0018 if 260 < index < 330 else 0.0012 if 330 <= index < 400 else 0.0
        closed = price * math.exp(dice.gauss(drift, 0.0015))
        high, low = max(price, closed) * 1.0008, min(price, closed) * 0.9992
        rows.append([round(one, 2) for one in (price, high, low, closed)])
        price = rows[-1][3]
    for name, basis, hole in (("spot", 0.0, 450), ("perp", -0.07, 500)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["Time", "Open", "High", "Low", "Close", "Volume"])
            for index, row in enumerate(rows):
                if index != hole:
                    ts = (START + timedelta(minutes=index)).isoformat(sep=" ")
                    writer.writerow([ts, *(round(one + basis, 2) for one in row), 1])


def write_portfolio(folder: Path) -> Path:
    """Write a paper portfolio with one ATR grid over both markets' candles."""
    file = folder / "portfolio.yaml"
    rules = "tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 5"
    file.write_text(
        f"""\
id: atr
mode: paper
data_dir: data
venues:
  - {{id: spot, exchange: binance, market: spot,
     instruments: {{COIN/USDT: {{{rules}, maker: 0.0002, taker: 0.0005}}}}}}
  - {{id: perp, exchange: binanceusdm, market: swap,
     instruments: {{"COIN/USDT:USDT": {{{rules}, maker: 0.0002, taker: 0.0005}}}}}}
feed: {{kind: candles, paths: {{spot: spot.csv, perp: perp.csv}}, speed: candle}}
bots:
  - {{id: a1, kind: atr_grid, venue: spot, symbol: COIN/USDT, futures_venue: perp, futures_symbol: "COIN/USDT:USDT",
     timeframe: 1m, initial_capital: 10000}}
"""
    )
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose ATR grid has traded through a fall, in four processes."""
    made = tmp_path_factory.mktemp("atr")
    write_markets(made)
    file = write_portfolio(made)
    for ticks in (250, 61, 37, CANDLES):
        play(file, ticks)
    return made


@pytest.fixture(scope="module")
def tested(folder: Path) -> Run:
    """The backtest of the same portfolio over the same candles."""
    files = [f"{venue}={folder / venue}.csv" for venue in ("spot", "perp")]
    made = backtest(folder / "portfolio.yaml", None, files, Options())
    assert isinstance(made, Run)
    return made


def test_a_run_gives_the_fills_of_its_backtest(folder: Path, tested: Run) -> None:
    """The same candles, ticked through by four processes or played at once: the same executions, to the digit."""
    rows = stored(
        folder / "portfolio.yaml",
        "SELECT venue, leg_id, side, price, qty, fee, ts FROM fills ORDER BY ts, venue, CAST(trade_id AS INTEGER)",
    )
    fills = sorted(tested.fills, key=lambda one: (one.ts, one.venue, int(one.trade_id)))
    assert [row[:6] for row in rows] == [
        (one.venue, one.client_id.split("-", 2)[2].rpartition("-")[0], one.side.value, one.price, one.qty, one.fee)
        for one in fills
    ]
    assert [row[6] for row in rows] == [one.ts for one in fills]
    assert {row[1][0] for row in rows} == {"e", "x", "h"}
    assert len(rows) > 20


def test_no_check_of_the_store_finds_anything(folder: Path) -> None:
    """Every rule of sql/checks holds for a bot in two markets."""
    for path in sorted((ROOT / "sql" / "checks").glob("*.sql")):
        assert stored(folder / "portfolio.yaml", path.read_text()) == [], path.stem


def ask(folder: Path, sql: str) -> list[dict[str, Any]]:
    """Rows of the published copy as dictionaries."""
    columns, rows = query(folder / "data", sql)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.mark.parametrize("view", VIEWS)
def test_every_table_of_the_origin_has_rows(view: str, folder: Path) -> None:
    """Grid state, candles with indicators, spot and futures orders, balances, log."""
    assert ask(folder, f"SELECT * FROM {view}")


def test_candles_are_stored_with_the_indicators_of_a_batch(folder: Path) -> None:
    """What SQL shows of a candle is what a computation over the whole file gives, to the last digit, each candle once."""
    spot, perp = (read_candles(folder / f"{venue}.csv")[0] for venue in ("spot", "perp"))
    known = {perp.bar(i).ts for i in range(len(perp))}
    rows = ask(folder, "SELECT * FROM atr_candles ORDER BY ts")
    # A minute that either market lacks is no candle for a bot in both.
    candles = [spot.bar(i) for i in range(len(spot)) if spot.bar(i).ts in known][: len(rows)]
    assert [row["ts"] for row in rows] == [one.ts for one in candles]
    for row, candle, reading in zip(rows, candles, readings(candles), strict=True):
        assert (row["close"], row["tr"], row["atr_14"], row["atr_28"]) == (
            candle.close, reading.tr, reading.atr_14, reading.atr_28,
        )  # fmt: skip
        assert (row["ema_14"], row["ema_200"]) == (reading.ema(14), reading.ema(200))


def test_orders_and_balances_add_up(folder: Path, tested: Run) -> None:
    """Orders' realised profits and fees are the bot's; the samples of equity end where the backtest does, but for a minute."""
    both = "SELECT * FROM atr_spot_orders UNION ALL BY NAME SELECT * FROM atr_futures_orders"
    row = ask(folder, f"SELECT sum(realized_pnl_usdt) AS realized, sum(fees_usdt) AS fees FROM ({both})")[0]
    assert (row["realized"], row["fees"]) == (Decimal(tested.figures["realized_pnl"]), Decimal(tested.figures["fees"]))
    kinds = {one["account_type"] for one in ask(folder, "SELECT * FROM atr_balances")}
    assert kinds == {"SPOT", "FUTURES", "COMBINED"}
    assert {one["position_side"] for one in ask(folder, "SELECT * FROM atr_futures_orders")} == {"SHORT"}


def test_equity_is_what_is_booked_on_real_rows(folder: Path, tested: Run) -> None:
    """Realised + floating - fees + funding of the run's books is the change of both accounts' worth."""
    accounts = tested.result.accounts
    bot = tested.result.world.bots["a1"]
    swap = accounts["perp"].swaps["COIN/USDT:USDT"]
    marks = {venue: one.prices[symbol] for venue, one in accounts.items() for symbol in one.instruments}
    worth = sum((one.balances["USDT"] for one in accounts.values()), Decimal(0))
    worth += accounts["spot"].balances["COIN"] * marks["spot"] + swap.qty * marks["perp"]
    worth -= swap.cost if swap.qty > 0 else -swap.cost
    floating = sum((lot.side.sign * (marks[lot.venue] * lot.qty - lot.cost) for lot in bot.lots.values()), Decimal(0))
    assert worth - 2 * tested.opening["USDT"] == bot.realized + floating - bot.fees + bot.funding


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some ticks on made-up prices: both bots wait for their candles and say so, and nothing is amiss."""
    (tmp_path / "examples").mkdir()
    file = shutil.copy(ROOT / "examples/atr_grid.yaml", tmp_path / "examples/atr_grid.yaml")
    assert main(["run", "--portfolio", str(file), "--ticks", "3", "--interval", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    assert (told["ticks"], told["incidents"]) == (3, 0)
    assert main(["sql", "--portfolio", str(file), "--json", "SELECT DISTINCT reason FROM atr_grid_state"]) == 0
    assert "waits for the first 200 finished candles" in capsys.readouterr().out


def test_a_lost_store_is_rebuilt_while_a_short_is_open(folder: Path, tmp_path: Path) -> None:
    """Lots and the short come back from the accounts alone; the bot goes on with exits, and ends hedged no more than it holds."""
    opened = stored(folder / "portfolio.yaml", "SELECT min(ts) FROM fills WHERE leg_id LIKE 'h%'")[0][0]
    ticks = int((opened - START).total_seconds() // 60) + 1
    for name in ("spot.csv", "perp.csv", "portfolio.yaml"):
        shutil.copy(folder / name, tmp_path / name)
    file = tmp_path / "portfolio.yaml"
    play(file, ticks)
    lots = "SELECT venue, lot_id, side, qty, cost FROM lots WHERE qty <> 0 ORDER BY ALL"
    before = stored(file, lots)
    assert any(row[1].startswith("h") for row in before)
    for part in (tmp_path / "data").glob("trading.duckdb*"):
        part.unlink()
    asyncio.run(rebuild_store(file))
    assert stored(file, lots) == before
    done = play(file, 20)
    assert sum(one.incidents for one in done) == 0
    held = dict(stored(file, "SELECT venue, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM lots GROUP BY venue"))
    assert 0 <= -held.get("perp", Decimal(0)) <= held.get("spot", Decimal(0))


def test_features_name_their_tests() -> None:
    """Each row of the ATR grid's section in docs/coverage.md names a test that is there."""
    section = (ROOT / "docs/coverage.md").read_text().split("## Document 004")[1].split("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", section)
    assert len(named) >= 25
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(), test


def test_the_hedge_is_told_apart_from_what_it_hedges(folder: Path) -> None:
    """report_hedges gives own market and hedge their parts, which sum to the bot's; the report has a bar for the hedge."""
    row, bot = ask(folder, "SELECT * FROM report_hedges")[0], ask(folder, "SELECT * FROM report_bots")[0]
    assert row["hedge_symbols"] == "COIN/USDT:USDT"
    assert row["own_realized"] + row["hedge_realized"] == bot["realized"]
    assert row["own_floating"] + row["hedge_floating"] == pytest.approx(float(bot["unrealized"]))
    from tasks.report import report_of

    summary = report_of(folder / "data").bots[0].summary
    assert summary.hedge is not None
    assert float(summary.hedge) == pytest.approx(float(row["hedge_realized"]) + row["hedge_floating"])
