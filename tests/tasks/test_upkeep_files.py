"""Upkeep of a data folder keeps what is new, gives space back, and says when the disk is nearly full."""

import subprocess
import sys
from collections import namedtuple
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest

from core.kernel import ArraySeries
from tasks import upkeep_files
from tasks.candles_store import import_candles
from tasks.market_store import open_market
from tasks.upkeep_files import compact_market, delete_old_nights, disk_alarm, shorten, tidy_up

NOW = datetime(2026, 3, 4, 1, 41)


def test_a_long_log_keeps_its_last_lines_and_its_writer_goes_on(tmp_path: Path) -> None:
    """The last part is set aside from a whole line on; the program that appends notices nothing."""
    log = tmp_path / "worker.log"
    with log.open("ab") as output:
        writer = subprocess.Popen(
            [sys.executable, "-c", "import sys\nfor line in sys.stdin: print(line.strip(), flush=True)"],
            stdin=subprocess.PIPE,
            stdout=output,
            text=True,
        )
    assert writer.stdin is not None
    writer.stdin.write("".join(f"line {number:05}\n" for number in range(1_000)))
    writer.stdin.flush()
    while log.stat().st_size < 11_000:
        pass
    assert not shorten(log, at_most=20_000)
    assert shorten(log, at_most=10_000, kept=500)
    writer.communicate("after\n")
    assert log.read_text() == "after\n"
    kept = (tmp_path / "worker.old.log").read_text().splitlines()
    assert kept[-1] == "line 00999"
    assert kept[0] == f"line {1_000 - len(kept):05}"
    assert not shorten(tmp_path / "worker.old.log", at_most=10)


def test_old_nights_and_reports_go(tmp_path: Path) -> None:
    """What is a month old goes; other files stay whatever they are called."""
    for name in ("nightly/2026-01-01/btc1", "nightly/2026-03-01", "reports/2026-01-31", "reports/mine"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("nightly/2026-01-01.json", "nightly/2026-03-01.json", "nightly/imported.json"):
        (tmp_path / name).write_text("{}")
    gone = delete_old_nights(tmp_path, date(2026, 3, 4))
    assert gone == ["nightly/2026-01-01", "nightly/2026-01-01.json", "reports/2026-01-31"]
    left = sorted(path.name for folder in ("nightly", "reports") for path in (tmp_path / folder).iterdir())
    assert left == ["2026-03-01", "2026-03-01.json", "imported.json", "mine"]
    assert delete_old_nights(tmp_path / "nowhere", date(2026, 3, 4)) == []


def test_the_market_store_gives_unused_space_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is mostly unused is written anew with every row, its keys and its schema; a full one is left alone."""
    monkeypatch.setattr(upkeep_files, "UNUSED_BYTES_MIN", 1_000_000)
    chance = np.random.default_rng(1)
    rows = 200_000
    ts = np.arange(rows, dtype=np.int64) * 60_000
    price = chance.integers(1_000_000, 2_000_000, rows)
    with open_market(tmp_path) as con:
        for symbol in ("A/USDT", "B/USDT", "C/USDT"):
            series = ArraySeries(ts, price, price + 9, price - 9, price, price, scale=2, volume_scale=3)
            import_candles(con, series, venue="spot", symbol=symbol, timeframe="1m")
    assert compact_market(tmp_path) == 0
    with open_market(tmp_path) as con:
        con.execute("DELETE FROM ohlcv WHERE symbol <> 'A/USDT'")
        before = con.execute("SELECT sum(hash(o)::HUGEINT) FROM ohlcv o").fetchone()
    freed = compact_market(tmp_path)
    assert freed > 3_000_000
    with open_market(tmp_path) as con:
        assert con.execute("SELECT sum(hash(o)::HUGEINT) FROM ohlcv o").fetchone() == before
        with pytest.raises(duckdb.ConstraintException):
            con.execute("INSERT INTO ohlcv SELECT * FROM ohlcv LIMIT 1")
    assert [path.name for path in tmp_path.iterdir()] == ["market.duckdb"]
    assert compact_market(tmp_path) == 0


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a gigabyte or a twentieth the upkeep fails with what is left."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  what shutil gives
    monkeypatch.setattr(upkeep_files.shutil, "disk_usage", lambda _: usage(10**12, 0, 10**12 // 10))
    assert disk_alarm(tmp_path) == ""
    assert tidy_up(tmp_path, NOW).says() == "nothing had to be done"
    monkeypatch.setattr(upkeep_files.shutil, "disk_usage", lambda _: usage(10**12, 0, 10**10))
    assert tidy_up(tmp_path, NOW).alarm.startswith("10.00 of 1000.0 GB")
