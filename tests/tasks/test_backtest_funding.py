"""Funding in a backtest, against an account of its own; and nothing of the future reaches the past."""

import csv
import random
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

import pytest

from tasks.backtest_figures import funding_of
from tasks.backtest_funding import with_intervals
from tasks.backtesting import Options, Run, backtest
from tasks.errors import Refused
from tests.tasks.played import START, write_candles

CANDLES = 3000
EVERY_MINUTES = 480


def portfolio(folder: Path, side: str = "BUY") -> Path:
    """Write a portfolio with one swap grid around 100."""
    file = folder / "portfolio.yaml"
    file.write_text(
        f"""\
mode: backtest
venues:
  - id: perp
    exchange: binanceusdm
    market: swap
    instruments:
      COIN/USDT:USDT: {{tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 1, maker: 0.0002, taker: 0.0005}}
bots:
  - {{id: g1, kind: grid, side: {side}, venue: perp, symbol: "COIN/USDT:USDT", start_price: 80, end_price: 120,
     levels: 40, total_amount_quote: 2000, initial_inventory: market}}
"""
    )
    return file


def write_rates(file: Path, rates: list[tuple[datetime, str]]) -> Path:
    """Write funding payments as CSV."""
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("timestamp", "funding_rate"), *((at.isoformat(" "), rate) for at, rate in rates)])
    return file


def payments(count: int = 7) -> list[tuple[datetime, str]]:
    """Return seeded rates of both signs, every eight hours from the first candle on."""
    dice = random.Random(3)
    return [(START + timedelta(minutes=EVERY_MINUTES * i), f"{dice.uniform(-2, 3) / 1000:.6f}") for i in range(count)]


def played(folder: Path, side: str, funding: Path, *, jump: bool = True, candles: Path | None = None) -> Run:
    """Backtest the swap grid with funding."""
    data = candles or write_candles(folder / "candles.csv", CANDLES)
    made = backtest(portfolio(folder, side), None, [str(data)], Options(jump=jump), funding=[f"perp={funding}"])
    assert isinstance(made, Run)
    return made


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_funding_is_paid_on_the_position_held_before_that_moment(tmp_path: Path, side: str) -> None:
    """Each payment is rate times the position of all fills before it, at the last price before it."""
    rates = payments()
    made = played(tmp_path, side, write_rates(tmp_path / "rates.csv", rates))
    series, wanted = made.series, []
    for at, rate in rates[1:]:
        held = sum((f.qty * f.side.sign for f in made.fills if f.ts < at), Decimal(0))
        before = series.bar(int((at - START).total_seconds() // 60) - 1).close
        amount = (-held * before * Decimal(rate)).quantize(Decimal("0.00000001"), rounding=ROUND_FLOOR)
        if held:
            wanted.append((at, amount))
    assert len(wanted) >= 4
    assert funding_of(made) == wanted
    assert Decimal(made.figures["funding"]) == sum(amount for _, amount in wanted)
    assert (wanted[0][1] > 0) == ((side == "SELL") == (Decimal(rates[1][1]) > 0))


def test_jumping_over_quiet_bars_misses_no_payment(tmp_path: Path) -> None:
    """With and without jumps the same fills and payments come."""
    rates = write_rates(tmp_path / "rates.csv", payments())
    fast, slow = played(tmp_path, "BUY", rates), played(tmp_path, "BUY", rates, jump=False)
    assert fast.result.visited < slow.result.visited
    assert (fast.fills, funding_of(fast)) == (slow.fills, funding_of(slow))


@pytest.mark.parametrize("cut", [700, 1500, 2400])
def test_the_future_does_not_reach_the_past(tmp_path: Path, cut: int) -> None:
    """Other candles and other rates from a moment on leave every fill and payment before it as it was."""
    rates, moment = payments(), START + timedelta(minutes=cut)
    first = played(tmp_path, "BUY", write_rates(tmp_path / "rates.csv", rates))
    lines = (tmp_path / "candles.csv").read_text().splitlines()
    other = write_candles(tmp_path / "other.csv", CANDLES, seed=99, price=90.0).read_text().splitlines()
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("\n".join([*lines[: cut + 1], *other[cut + 1 :]]) + "\n")
    changed = [(at, rate if at < moment else "0.003") for at, rate in rates]
    second = played(tmp_path, "BUY", write_rates(tmp_path / "changed.csv", changed), candles=mixed)
    assert first.fills != second.fills
    for one, other_run in ((first, second), (second, first)):
        past = [fill for fill in one.fills if fill.ts < moment]
        assert past == [fill for fill in other_run.fills if fill.ts < moment]
        assert [p for p in funding_of(one) if p[0] < moment] == [p for p in funding_of(other_run) if p[0] < moment]
    assert len([fill for fill in first.fills if fill.ts < moment]) > 20


def test_intervals_come_from_the_times() -> None:
    """A venue that changes from eight hours to four is taken as it is."""
    hour = 3_600_000
    rows = with_intervals([(0, Decimal(1)), (8 * hour, Decimal(2)), (12 * hour, Decimal(3))])
    assert [row[2] for row in rows] == [28_800, 28_800, 14_400]
    assert with_intervals([(0, Decimal(1))])[0][2] == 28_800


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A wrong venue, a missing file and the same swap twice, each with one clear line."""
    file, candles = portfolio(tmp_path), str(write_candles(tmp_path / "candles.csv", 50))
    good = str(write_rates(tmp_path / "rates.csv", payments()))
    for funding, word in (
        [[f"spot={good}"], "no swap at spot"],
        [["none.csv"], "no file"],
        [[good, good], "not clear"],
    ):
        with pytest.raises(Refused, match=word) as caught:  # type: ignore[arg-type]
            backtest(file, None, [candles], Options(), funding=funding)
        assert caught.value.key == "--funding"
