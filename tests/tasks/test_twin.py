"""The twin of a paper day: the same fills from what was recorded, and a difference where there is one."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.simbook import FillRules
from core.values import Side
from tasks import inbox
from tasks.opening import open_session
from tasks.paper import PaperVenue
from tasks.session import Session
from tasks.ticking import tick
from tasks.twin import Done, Twin, pair_up, replay_day, write_twin
from tasks.twin_keep import starts_in

TICKS = 260
RULE = "{tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 1, maker: 0.0001, taker: 0.0002}"
PORTFOLIO = f"""\
id: lab
mode: paper
data_dir: data
venues:
  - {{id: spot, exchange: binance, instruments: {{COIN/USDT: {RULE}}}}}
  - {{id: perp, exchange: binanceusdm, market: swap, instruments: {{"COIN/USDT:USDT": {RULE}}}}}
feed: {{kind: synthetic, seed: 4, speed: candle}}
bots:
  - {{id: g1, kind: grid, venue: spot, symbol: COIN/USDT, start_price: 99, end_price: 101, levels: 40,
     total_amount_quote: 2000, initial_inventory: market}}
  - {{id: g2, kind: grid, venue: perp, symbol: "COIN/USDT:USDT", start_price: 99.5, end_price: 101, levels: 40,
     total_amount_quote: 2000, initial_inventory: market}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A paper portfolio of two markets on synthetic prices, a second a tick."""
    made = tmp_path / "lab.yaml"
    made.write_text(PORTFOLIO)
    return made


def live(file: Path, ticks: int, between: Callable[[int, Session], None] = lambda _tick, _session: None) -> date:
    """Trade for so many ticks, `between` called before each; returns the day of the first price."""

    async def loop() -> date:
        session = await open_session(file)
        try:
            for number in range(ticks):
                between(number, session)
                await tick(session)
            return min(one.now for one in session.venues.values() if isinstance(one, PaperVenue) and one.now).date()
        finally:
            await session.close()

    return asyncio.run(loop())


def said(made: Twin) -> dict:
    """Figures that a difference would show in."""
    names = ("missing", "surplus", "pnl_difference", "price_difference_max", "seconds_apart_max", "ok", "remarks")
    return {name: made.figures()[name] for name in names}


SAME = {
    "missing": 0, "surplus": 0, "pnl_difference": "0", "price_difference_max": "0", "seconds_apart_max": 0.0, "ok": True,
    "remarks": [],
}  # fmt: skip


def test_a_paper_day_and_its_twin_are_the_same(file: Path) -> None:
    """Every fill comes back from the record: level, side, price, fee and second, on spot and swap."""
    day = live(file, TICKS)
    made = replay_day(file.parent / "data", day)
    assert len(made.pairs) > 40
    assert {one.real.bot_id for one in made.pairs if one.real} == {"g1", "g2"}
    assert said(made) == SAME
    assert made.figures()["fees"] == made.figures()["fees_twin"]


def test_a_day_with_restarts_and_words_of_control_has_its_twin(file: Path) -> None:
    """Each session starts from the state that was put aside, its resting orders included; pauses are heard again."""
    data = file.parent / "data"

    def control(number: int, _session: Session) -> None:
        if number in {60, 120}:
            inbox.submit(data, "g1", "pause" if number == 60 else "resume", "anna", "a test")

    day = live(file, 200, control)
    live(file, 100)
    live(file, 60)
    assert list(starts_in(data)) == [0, 200, 300]
    made = replay_day(data, day)
    assert made.stretches == 3
    assert said(made) == SAME
    assert len(made.pairs) > 40


def test_a_venue_that_fills_otherwise_is_found_out(file: Path) -> None:
    """A venue that fills at a touch, though the portfolio counts on a trade through the price, is no twin of the record."""

    def plant(_number: int, session: Session) -> None:
        for venue in session.venues.values():
            assert isinstance(venue, PaperVenue)
            venue.account.rules = FillRules(cross=False)

    day = live(file, TICKS, plant)
    made = replay_day(file.parent / "data", day)
    assert made.ok is False
    assert made.figures()["missing"] > 5
    assert "fills match" in made.says()


def test_a_fee_that_was_not_agreed_is_found_out(file: Path) -> None:
    """Fills that cost ten times what the rules say match in level and side, and not in money."""

    def plant(_number: int, session: Session) -> None:
        for venue in session.venues.values():
            assert isinstance(venue, PaperVenue)
            dear = {s: replace(one, maker=Decimal("0.001")) for s, one in venue.account.instruments.items()}
            venue.account.instruments = dear

    day = live(file, 200, plant)
    made = replay_day(file.parent / "data", day)
    told = made.figures()
    assert told["share"] == 1.0
    assert made.ok is False
    assert Decimal(told["fees"]) > 2 * Decimal(told["fees_twin"])


def test_a_day_without_a_record_says_so(file: Path) -> None:
    """Without prices or without a state there is nothing to compare, which is no verdict."""
    day = live(file, 30)
    data = file.parent / "data"
    assert replay_day(data, day - timedelta(days=7)).says() == "no fill to compare; no prices were kept of that day"
    for path in starts_in(data).values():
        path.unlink()
    made = replay_day(data, day)
    assert made.ok is None
    assert "no state was put aside" in made.says()


def test_the_pairs_are_files_for_people_and_sql(file: Path) -> None:
    """The verdict is a JSON file, and each pair a row of `twin_fills` with both sides' price, fee and time."""
    day = live(file, 120)
    data = file.parent / "data"
    made = replay_day(data, day)
    told, table = write_twin(made, data)
    assert json.loads(told.read_text())["fills"] == made.figures()["fills"] > 20
    rows = pq.read_table(table).to_pylist()
    assert len(rows) == len(made.pairs)
    assert {row["status"] for row in rows} == {"matched"}
    assert all(row["real_price"] == row["twin_price"] and row["real_at"] == row["twin_at"] for row in rows)


def done(second: int, *, level: str = "e1", side: Side = Side.BUY, fee: str = "1") -> Done:
    """A fill at 100."""
    at = datetime(2026, 3, 4) + timedelta(seconds=second)
    return Done(
        "g1", ("spot", "COIN/USDT"), f"c{second}", level, side.value, Decimal(100), Decimal(1), Decimal(fee), at
    )


def test_pairs_are_of_one_level_one_side_and_near_in_time() -> None:
    """A fill is paired once, in order; what is far away in time is no pair."""
    pairs = pair_up([done(0), done(1000), done(2000)], [done(10), done(2001), done(5000)])
    assert [(one.status, one.real and one.real.client_id, one.twin and one.twin.client_id) for one in pairs] == [
        ("matched", "c0", "c10"), ("missing", "c1000", None), ("matched", "c2000", "c2001"), ("surplus", None, "c5000"),
    ]  # fmt: skip
    assert [one.status for one in pair_up([done(0)], [done(0, level="x1")])] == ["missing", "surplus"]
    assert [one.status for one in pair_up([done(0)], [done(0, side=Side.SELL)])] == ["missing", "surplus"]


@pytest.mark.parametrize(
    ("unmatched", "verdict"),
    [(5, True), (6, False)],
)
def test_the_gate_is_95_in_a_hundred(unmatched: int, verdict: bool) -> None:
    """Five fills of a hundred may differ, six may not; the money is held apart here, with fees that would allow it."""
    real = [done(i, level=f"e{i}", fee="100") for i in range(100)]
    twin = [one if i >= unmatched else replace(one, level="x") for i, one in enumerate(real)]
    made = Twin(date(2026, 3, 4), pair_up(real, twin))
    assert made.ok is verdict


@pytest.mark.parametrize(("more", "verdict"), [("0.1", True), ("0.1001", False)])
def test_the_money_may_differ_by_a_tenth_of_the_fees(more: str, verdict: bool) -> None:
    """One fill, one unit of fees: its twin's price may be a tenth of that away, and no more."""
    real = done(0)
    twin = replace(real, price=real.price + Decimal(more))
    made = Twin(date(2026, 3, 4), pair_up([real], [twin]), marks={real.market: Decimal(100)})
    assert made.figures()["pnl_difference"] == f"-{more}"
    assert made.ok is verdict
