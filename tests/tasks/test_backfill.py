"""Backfilling asks for what is missing, keeps what it got, and goes on after a failure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from core.kernel import ArraySeries
from core.portfolio import Portfolio
from core.series import ts_to_ms
from tasks.backfill import FUNDING, Download, Filled, backfill, keep_funding, markets_of, missing_spans, windows
from tasks.errors import GridkeeperError
from tasks.market_store import open_market
from tasks.settings import check

NOW = datetime(2026, 3, 4, 12, 0, 30)
MINUTE = timedelta(minutes=1)


def portfolio(kind: str = "live") -> Portfolio:
    """A bot on a spot market and one on its perpetual contract."""
    bot = {
        "kind": "grid",
        "start_price": 98_000,
        "end_price": 102_000,
        "total_amount_quote": 2_000,
        "levels": 8,
    }
    return check(
        {
            "id": "lab",
            "mode": "paper",
            "venues": [
                {"id": "spot", "exchange": "binance"},
                {"id": "perp", "exchange": "binanceusdm", "market": "swap"},
            ],
            "feed": {"kind": kind},
            "bots": [
                {"id": "a", "venue": "spot", "symbol": "BTC/USDT", **bot},
                {"id": "b", "venue": "perp", "symbol": "BTC/USDT:USDT", **bot},
                {"id": "c", "venue": "spot", "symbol": "BTC/USDT", **bot},
            ],
        },
        {},
    )


class Exchange:
    """Answers with a candle for every minute asked for, at most so many, and payments every eight hours."""

    def __init__(self, at_most: int = 1_000_000, broken: str = "") -> None:
        self.asked: list[tuple[str, str, datetime, datetime]] = []
        self.at_most, self.broken = at_most, broken

    def __call__(self, venue: Any, symbol: str, timeframe: str, first: datetime, end: datetime) -> Any:
        self.asked.append((symbol, timeframe, first, end))
        if symbol == self.broken:
            raise GridkeeperError("the exchange says no")
        if timeframe == FUNDING:
            step, begin = 8 * 3_600_000, ts_to_ms(first)
            return [(ms, Decimal("0.0001")) for ms in range(begin + -begin % step, ts_to_ms(end), step)]
        ts = np.arange(ts_to_ms(first), ts_to_ms(end), 60_000, dtype=np.int64)[: self.at_most]
        ones = np.ones(len(ts), dtype=np.int64)
        return ArraySeries(ts, ones * 5, ones * 6, ones * 4, ones * 5, ones, scale=0, volume_scale=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty market store."""
    with open_market(tmp_path) as con:
        yield con


def run(
    con: duckdb.DuckDBPyConnection, folder: Path, download: Download | None, now: datetime = NOW, kind: str = "live"
) -> list[Filled]:
    """Backfill two days."""
    return backfill(
        con, portfolio(kind), folder / "lab.yaml", folder, days=2, timeframe="1m", now=now, download=download
    )


def test_everything_wanted_is_fetched_once(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Two days of candles of each market and the funding of the swap; a second run asks for nothing."""
    exchange = Exchange()
    filled = run(store, tmp_path, exchange)
    assert [(str(one.key), one.added, one.ok) for one in filled] == [
        ("spot BTC/USDT 1m", 2_880, True),
        ("perp BTC/USDT:USDT 1m", 2_880, True),
        ("perp BTC/USDT:USDT funding", 6, True),
    ]
    newest = store.execute("SELECT max(ts) FROM ohlcv").fetchone()
    assert newest == (datetime(2026, 3, 4, 11, 59),)
    exchange.asked.clear()
    assert [one.added for one in run(store, tmp_path, exchange)] == [0, 0, 0]
    assert [timeframe for _, timeframe, _, _ in exchange.asked] == [FUNDING]


def test_a_day_later_only_the_new_day_is_asked_for(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """What is stored is not fetched again, and candles come without a hole."""
    exchange = Exchange()
    run(store, tmp_path, exchange)
    exchange.asked.clear()
    run(store, tmp_path, exchange, NOW + timedelta(days=1))
    assert exchange.asked[0] == ("BTC/USDT", "1m", datetime(2026, 3, 4, 12), datetime(2026, 3, 5, 12))
    count = store.execute("SELECT count(*) FROM ohlcv WHERE venue = 'spot'").fetchone()
    assert count == (3 * 1_440,)


def test_an_answer_that_ends_early_is_continued(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """What came is kept; the next run goes on after it."""
    first = run(store, tmp_path, Exchange(at_most=1_000))
    assert first[0].added == 1_000
    exchange = Exchange()
    again = run(store, tmp_path, exchange)
    assert again[0].added == 1_880
    assert exchange.asked[0][2] == datetime(2026, 3, 2, 12) + 1_000 * MINUTE


def test_a_market_that_fails_does_not_stop_the_other(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The failure names its series and its reason."""
    filled = run(store, tmp_path, Exchange(broken="BTC/USDT"))
    assert [one.ok for one in filled] == [False, True, True]
    assert "the exchange says no" in filled[0].says


def test_without_a_way_out_nothing_is_asked(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Synthetic prices have no past, and an installation that asks no exchange says so."""
    exchange = Exchange()
    assert all("synthetic" in one.says and one.ok for one in run(store, tmp_path, exchange, kind="synthetic"))
    assert exchange.asked == []
    assert all("no way" in one.says and one.ok for one in run(store, tmp_path, None))


def test_markets_are_listed_once() -> None:
    """Two bots on one market need its candles once."""
    assert markets_of(portfolio()) == [("spot", "BTC/USDT"), ("perp", "BTC/USDT:USDT")]


def test_a_payment_that_is_stored_keeps_its_rate(store: duckdb.DuckDBPyConnection) -> None:
    """Funding is counted once for each time, exact."""
    assert keep_funding(store, "perp", "X", []) == 0
    assert keep_funding(store, "perp", "X", [(0, Decimal("0.00012345")), (28_800_000, Decimal("-0.0003"))]) == 2
    assert keep_funding(store, "perp", "X", [(0, Decimal("0.5")), (57_600_000, Decimal(0))]) == 1
    rates = store.execute("SELECT rate FROM funding_rates ORDER BY ts").fetchall()
    assert rates == [(Decimal("0.000123450000"),), (Decimal("-0.000300000000"),), (Decimal(0),)]


D = datetime


@pytest.mark.parametrize(
    ("first", "last", "wanted", "expected"),
    [
        (None, None, (D(2026, 1, 1), D(2026, 1, 2)), [(D(2026, 1, 1), D(2026, 1, 2))]),
        (D(2026, 1, 1), D(2026, 1, 1, 23, 59), (D(2026, 1, 1), D(2026, 1, 2)), []),
        (
            D(2026, 1, 2),
            D(2026, 1, 3),
            (D(2026, 1, 1), D(2026, 1, 4)),
            [(D(2026, 1, 1), D(2026, 1, 2)), (D(2026, 1, 3, 0, 1), D(2026, 1, 4))],
        ),
        (D(2026, 2, 1), D(2026, 2, 2), (D(2026, 1, 1), D(2026, 1, 2)), [(D(2026, 1, 1), D(2026, 2, 1))]),
        (None, None, (D(2026, 1, 2), D(2026, 1, 2)), []),
    ],
    ids=["nothing stored", "all stored", "both ends", "stored is later", "nothing wanted"],
)
def test_missing_spans(
    first: datetime | None,
    last: datetime | None,
    wanted: tuple[datetime, datetime],
    expected: list[tuple[datetime, datetime]],
) -> None:
    """Only the ends of what is stored are asked for."""
    assert missing_spans(first, last, wanted, MINUTE) == expected


def test_windows_grow_what_is_stored_from_its_ends() -> None:
    """Windows after it come in order, those before it newest first, and together they are the spans."""
    day = timedelta(days=1)
    assert windows([(D(2026, 1, 1), D(2026, 1, 3))], None, MINUTE) == [(D(2026, 1, 1), D(2026, 1, 3))]
    late = windows([(D(2026, 1, 1), D(2026, 2, 10))], D(2026, 1, 1), MINUTE)
    early = windows([(D(2026, 1, 1), D(2026, 2, 10))], D(2026, 2, 10), MINUTE)
    assert early == late[::-1]
    assert (late[0][0], late[-1][1]) == (D(2026, 1, 1), D(2026, 2, 10))
    assert all(one[1] == other[0] for one, other in pairwise(late))
    assert all(end - begin <= 14 * day for begin, end in late)
