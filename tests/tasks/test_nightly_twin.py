"""The night over a day of paper trading: its twin, funding in its backtests, and who is told when it goes wrong."""

import csv
import json
import sqlite3
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tasks import nightly
from tasks.alerts_outbox import Outbox
from tasks.nightly_alarm import NIGHT_KEY, TWIN_KEY, tell
from tasks.nightly_steps import DONE, FAILED
from tasks.publish import published_folder
from tasks.session import Session
from tasks.settings import load_portfolio
from tests.tasks.mailbox import mailbox
from tests.tasks.played import START, write_candles
from tests.tasks.test_backtest_funding import payments
from tests.tasks.test_twin import PORTFOLIO, live

SWAP = """
id: lab
mode: paper
data_dir: data
venues:
  - id: perp
    exchange: binanceusdm
    market: swap
    instruments:
      COIN/USDT:USDT: {tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 1, maker: 0.0002, taker: 0.0005}
feed: {kind: candles, paths: {perp: candles.csv}, funding: {perp: rates.csv}}
bots:
  - {id: g1, kind: grid, venue: perp, symbol: "COIN/USDT:USDT", start_price: 80, end_price: 120, levels: 20,
     total_amount_quote: 2000, initial_inventory: market}
"""


def night_after(file: Path, day: object) -> nightly.Night:
    """The night that looks back on a day."""
    after = day + timedelta(days=1)  # type: ignore[operator]
    return nightly.begin(
        file, day=after, now=datetime.combine(after, datetime.min.time()) + timedelta(hours=1, minutes=41)
    )


def standing(folder: Path) -> dict[str, str]:
    """Alarms that are raised and not over, with their severity."""
    con = sqlite3.connect(Outbox(folder).path)
    try:
        return dict(con.execute("SELECT key, severity FROM alarms WHERE resolved_at IS NULL").fetchall())
    finally:
        con.close()


def test_a_night_replays_the_day_before(tmp_path: Path) -> None:
    """Books, report and twin are really done over a day of ticks; the pairs are there for SQL."""
    file = tmp_path / "lab.yaml"
    file.write_text(PORTFOLIO)
    day = live(file, 120)
    night = night_after(file, day)
    assert nightly.run(night) == []
    steps = night.record.steps
    assert [steps[name]["status"] for name in ("books", "twin", "report", "publish", "backup")] == [DONE] * 5
    assert "checks found nothing" in steps["books"]["says"]
    told = steps["twin"]["data"]
    assert (told["fills"], told["share"], told["pnl_difference"]) == (told["fills_twin"], 1.0, "0")
    assert told["fills"] > 20
    assert json.loads((tmp_path / "data" / "twin" / f"{day}.json").read_text())["ok"] is True
    assert list((published_folder(tmp_path / "data") / "parquet" / "quotes").rglob("*.parquet"))
    assert not list((tmp_path / "data" / "quotes").glob(f"{day}.*.csv"))
    assert standing(tmp_path / "data") == {}


def test_a_day_unlike_its_twin_is_an_alarm(tmp_path: Path) -> None:
    """The step fails, the night says so, and the alarm stands until a night's twin is well again."""
    from core.simbook import FillRules
    from tasks.paper import PaperVenue

    def plant(_number: int, session: Session) -> None:
        for venue in session.venues.values():
            assert isinstance(venue, PaperVenue)
            venue.account.rules = FillRules(cross=False)

    file = tmp_path / "lab.yaml"
    file.write_text(PORTFOLIO)
    day = live(file, 200, plant)
    night = night_after(file, day)
    (bad,) = nightly.run(night)
    assert bad.startswith(f"twin failed: {day}: ")
    assert night.record.steps["twin"]["status"] == FAILED
    assert standing(tmp_path / "data") == {TWIN_KEY: "critical"}
    portfolio = load_portfolio(file)
    assert tell(tmp_path / "data", portfolio.id, portfolio.alerts, [], datetime(2026, 3, 4)) == 0
    assert standing(tmp_path / "data") == {}


def test_a_failed_night_is_told_once_and_its_end_once(tmp_path: Path) -> None:
    """Whoever gets alerts hears that steps failed, not again while they fail, and that all is well again."""
    now = datetime(2026, 3, 4, 1, 41)
    with mailbox() as box:
        file = tmp_path / "lab.yaml"
        file.write_text(PORTFOLIO + f"alerts: {{urls: ['{box.url}'], again_after_s: 0}}\n")
        config = load_portfolio(file).alerts
        assert tell(tmp_path, "lab", config, ["quality failed: a price below zero"], now) == 1
        (mail,) = box.wait_for(1)
        assert "a price below zero" in mail["message"]
        assert standing(tmp_path) == {NIGHT_KEY: "warning"}
        tell(tmp_path, "lab", config, ["quality failed: a price below zero"], now + timedelta(days=1))
        assert len(box.mails) == 1
        tell(tmp_path, "lab", config, [], now + timedelta(days=2))
        assert len(box.wait_for(2)) == 2
    assert standing(tmp_path) == {}


def test_nightly_backtests_pay_the_funding_that_is_known(tmp_path: Path) -> None:
    """Funding of the feed's file is stored with the candles, and what a swap's bot paid or got stands in its figures."""
    write_candles(tmp_path / "candles.csv", 3000)
    with (tmp_path / "rates.csv").open("w", newline="") as out:
        csv.writer(out).writerows(
            [("timestamp", "funding_rate"), *((at.isoformat(" "), rate) for at, rate in payments())]
        )
    file = tmp_path / "lab.yaml"
    file.write_text(SWAP)
    night = nightly.begin(file, now=START + timedelta(days=3))
    assert nightly.run(night) == []
    assert "7 funding payments of rates.csv are new" in night.record.steps["backfill"]["says"]
    told = night.record.steps["backtest g1"]["data"]
    assert Decimal(told["funding"]) != 0
    with duckdb.connect(str(tmp_path / "data" / "market.duckdb"), read_only=True) as con:
        (kept,) = con.execute("SELECT funding FROM backtests WHERE run_id = ?", [told["run_id"]]).fetchall()
    assert kept[0] == Decimal(told["funding"])
    assert not list((tmp_path / "data" / "nightly").rglob("*.funding.parquet"))


@pytest.mark.parametrize("text", ["no rates here\n", "timestamp,funding_rate\n2025-01-01,0.7\n"])
def test_a_funding_file_that_cannot_be_read_fails_the_backfill(tmp_path: Path, text: str) -> None:
    """The step names the file or the row; the candles are imported all the same."""
    write_candles(tmp_path / "candles.csv", 300)
    (tmp_path / "rates.csv").write_text(text)
    file = tmp_path / "lab.yaml"
    file.write_text(SWAP)
    night = nightly.begin(file, now=START + timedelta(days=3))
    did = nightly.run_step(night, nightly.steps(night)[0])
    assert did.status == FAILED
    assert "rates.csv" in did.says or "0.7" in did.says
