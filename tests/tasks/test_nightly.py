"""A night does every step, goes on after an interruption, and one failing bot or series stops only what needs it."""

import json
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from tasks import nightly
from tasks.nightly_steps import DONE, FAILED, SKIPPED, STOPPED, Did, Record, Step

NOW = datetime(2026, 3, 4, 1, 41)
PORTFOLIO = """
id: lab
mode: paper
data_dir: data
venues:
  - id: spot
    exchange: binance
    instruments:
      BTC/USDT: {tick_size: 0.01, lot_step: 0.00001, min_notional: 5}
      ETH/USDT: {tick_size: 0.01, lot_step: 0.0001, min_notional: 5}
feed: {kind: candles, paths: {"spot:BTC/USDT": btc.csv, "spot:ETH/USDT": eth.csv}}
bots:
  - {id: btc1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 98000, end_price: 102000,
     total_amount_quote: 2000, levels: 8}
  - {id: eth1, kind: grid, venue: spot, symbol: ETH/USDT, start_price: 3920, end_price: 4080,
     total_amount_quote: 2000, levels: 8}
"""


def candles(middle: float) -> pd.DataFrame:
    """A day of minutes that swing around a price."""
    rows = 1_440
    close = middle * (1 + 0.009 * np.sin(np.arange(rows) / 60))
    opens = np.concatenate([[middle], close[:-1]])
    return pd.DataFrame(
        {
            "ts": pd.date_range("2026-03-01", periods=rows, freq="min"),
            "open": opens.round(2),
            "high": (np.maximum(opens, close) * 1.0001).round(2),
            "low": (np.minimum(opens, close) * 0.9999).round(2),
            "close": close.round(2),
            "volume": 1.5,
        }
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A portfolio of two bots with candle files; returns its file."""
    (tmp_path / "lab.yaml").write_text(PORTFOLIO, encoding="utf-8")
    candles(100_000).to_csv(tmp_path / "btc.csv", index=False)
    candles(4_000).to_csv(tmp_path / "eth.csv", index=False)
    return tmp_path / "lab.yaml"


def statuses(night: nightly.Night) -> dict[str, str]:
    """How each step ended."""
    return {name: step["status"] for name, step in night.record.steps.items()}


def test_a_night_is_done_once_and_again_when_asked(place: Path) -> None:
    """Every step ends well, a second run does nothing, and `again` does everything and changes no result."""
    night = nightly.begin(place, now=NOW)
    assert nightly.run(night) == []
    assert statuses(night) == {
        "backfill": DONE,
        "quality": DONE,
        "books": SKIPPED,
        "targets": SKIPPED,
        "backtest btc1": DONE,
        "backtest eth1": DONE,
        "twin": SKIPPED,
        "report": SKIPPED,
        "publish": DONE,
        "backup": DONE,
        "upkeep": DONE,
    }
    assert "round trips" in night.record.steps["backtest btc1"]["says"]
    home = place.parent / "data"
    assert (home / "nightly" / "2026-03-04" / "eth1" / "report.html").is_file()
    assert (home / "backups" / "2026-03-04" / "manifest.json").is_file()
    assert (home / "published" / "parquet" / "ohlcv" / "spot-BTC-USDT-1m.parquet").is_file()
    before = night.record.path.read_text()
    second = nightly.begin(place, now=NOW)
    assert nightly.run(second) == []
    assert second.record.path.read_text() == before
    third = nightly.begin(place, now=NOW, again=True)
    assert nightly.run(third) == []
    first_net = night.record.steps["backtest btc1"]["data"]["net_pnl"]
    assert third.record.steps["backtest btc1"]["data"]["net_pnl"] == first_net
    with duckdb.connect(str(home / "market.duckdb"), read_only=True) as con:
        kept = con.execute("SELECT run_id, fills FROM backtests WHERE bot_id = 'btc1' ORDER BY recorded_at").fetchall()
        data = night.record.steps["backtest btc1"]["data"]
        assert kept[0] == (data["run_id"], data["fills"])
        assert con.execute("SELECT count(*) FROM ohlcv").fetchone() == (2 * 1_440,)
        twice = "SELECT count(*) FROM quality_results GROUP BY run_id, symbol, rule HAVING count(*) > 1"
        assert con.execute(twice).fetchall() == []


def test_bad_candles_stop_their_bot_alone(place: Path) -> None:
    """The gate names the series and the row; the other bot is backtested; repaired candles are taken the next time."""
    night = nightly.begin(place, now=NOW)
    nightly.run_step(night, nightly.steps(night)[0])
    with duckdb.connect(str(place.parent / "data" / "market.duckdb")) as con:
        con.execute("UPDATE ohlcv SET low = -1 WHERE symbol = 'BTC/USDT' AND ts = TIMESTAMP '2026-03-01 03:00:00'")
    bad = nightly.run(night)
    ended = statuses(night)
    assert (ended["quality"], ended["backtest btc1"], ended["backtest eth1"]) == (FAILED, STOPPED, DONE)
    assert ended["backup"] == DONE
    assert len(bad) == 2
    assert "spot BTC/USDT 1m: price (error)" in bad[0]
    assert "2026-03-01 03:00:00" in bad[0]
    with duckdb.connect(str(place.parent / "data" / "market.duckdb")) as con:
        con.execute("UPDATE ohlcv SET low = least(open, close) WHERE low < 0")
    again = nightly.begin(place, now=NOW)
    done: list[str] = []
    assert nightly.run(again, lambda step, did: done.append(f"{step.name}: {did.status}")) == []
    assert "backtest btc1: done" in done


def test_a_bot_that_fails_does_not_stop_the_other(place: Path) -> None:
    """A refusal of one bot's backtest is a line in the record; the rest of the night happens."""
    text = place.read_text().replace("start_price: 98000, end_price: 102000", "start_price: 99990, end_price: 100010")
    place.write_text(text)
    night = nightly.begin(place, now=NOW)
    bad = nightly.run(night)
    assert len(bad) == 1
    assert bad[0].startswith("backtest btc1 failed: bots[0]")
    assert statuses(night)["backtest eth1"] == DONE
    assert statuses(night)["upkeep"] == DONE


def test_a_file_that_cannot_be_read_fails_and_is_tried_again(place: Path) -> None:
    """The backfill says which file; once it is there the same night goes on."""
    whole = (place.parent / "eth.csv").read_text()
    (place.parent / "eth.csv").write_text("no candles here\n")
    night = nightly.begin(place, now=NOW)
    bad = nightly.run(night)
    assert "eth.csv" in bad[0]
    assert statuses(night)["backtest eth1"] == SKIPPED
    assert statuses(night)["backtest btc1"] == DONE
    (place.parent / "eth.csv").write_text(whole)
    again = nightly.begin(place, now=NOW)
    assert nightly.run(again) == []
    assert statuses(again)["backtest eth1"] == DONE
    assert again.record.steps["backtest btc1"] == night.record.steps["backtest btc1"]
    assert again.record.steps["backfill"]["says"].count("has not changed") == 1
    assert "1,440 candles of eth.csv are new" in again.record.steps["backfill"]["says"]


def test_synthetic_prices_have_no_past(place: Path) -> None:
    """Without candles the bots are not backtested, which is said and is no failure."""
    text = place.read_text().replace(
        PORTFOLIO[PORTFOLIO.index("feed:") : PORTFOLIO.index("bots:")], "feed: {kind: synthetic}\n"
    )
    place.write_text(text)
    night = nightly.begin(place, now=NOW)
    assert nightly.run(night) == []
    assert statuses(night)["backtest btc1"] == SKIPPED
    assert "synthetic" in night.record.steps["backfill"]["says"]


def test_another_process_with_the_market_store_fails_the_step(place: Path) -> None:
    """A busy store is said, and the step is done in the next run."""
    import subprocess
    import sys

    home = place.parent / "data"
    home.mkdir()
    holder = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(home / "market.duckdb")], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            night = nightly.begin(place, now=NOW)
            did = nightly.run_step(night, nightly.steps(night)[0])
        finally:
            process.kill()
    assert did.status == FAILED
    assert nightly.run(nightly.begin(place, now=NOW)) == []


def test_a_record_survives_damage_and_interruption(tmp_path: Path) -> None:
    """Steps that are over stay over; a torn record is begun anew; a step that never ended is done."""
    record = Record(tmp_path, date(2026, 3, 4))
    for name, status in (("one", DONE), ("two", SKIPPED), ("three", FAILED), ("four", STOPPED)):
        record.keep(name, Did(status, "said"), NOW)
    again = Record(tmp_path, date(2026, 3, 4))
    assert [name for name in ("one", "two", "three", "four", "five") if again.is_over(name)] == ["one", "two"]
    assert again.bad() == ["three failed: said", "four stopped: said"]
    assert json.loads(record.path.read_text())["day"] == "2026-03-04"
    record.path.write_text('{"steps": ')
    assert Record(tmp_path, date(2026, 3, 4)).steps == {}


def test_a_bug_is_no_failed_step(place: Path) -> None:
    """An error that nobody named ends the night and is not written down as an outcome."""

    def broken() -> Did:
        raise ZeroDivisionError

    night = nightly.begin(place, now=NOW)
    with pytest.raises(ZeroDivisionError):
        nightly.run_step(night, Step("broken", broken))
    assert night.record.steps == {}
