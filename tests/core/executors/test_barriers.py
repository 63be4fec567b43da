"""The triple barrier by itself: signs, order, extremes, latches of the trailing stop, and its wake bands."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import TripleBarrier
from core.executors.barriers import (
    Seen,
    Stake,
    barrier_hit,
    barrier_wake,
    peak_of,
    price_at,
    profit_fraction,
    resting_take_profit,
    seen_by,
)
from core.executors.life import CloseType
from core.machine import View
from tests.core.worlds import T0, D, instrument, quote, swap

LONG = Stake(D(2), D(200), D("0.2"), long=True)
SHORT = Stake(D(2), D(200), D("0.2"), long=False)


def barriers(**told: Any) -> TripleBarrier:
    """A triple barrier of these fields."""
    return TripleBarrier.model_validate(told)


def hit(stake: Stake | None, low: str, high: str, peak: Decimal | None = None, **told: Any) -> CloseType | None:
    """Which barrier fires on prices between `low` and `high`."""
    worst, best = (low, high) if stake is None or stake.long else (high, low)
    found = barrier_hit(barriers(**told), stake, Seen(D(worst), D(best)), peak, T0, None)
    return None if found is None else found.word


def view(bid: str, ask: str | None = None, **changes: Any) -> View:
    """A view of these prices."""
    about = changes.pop("about", instrument())
    seen = quote(bid, T0, about, ask=D(ask or bid), **changes)
    return View(
        now=T0, started_at=T0, quote=seen, low=seen.lowest, high=seen.highest, instrument=about, inventory=D(2), cost=D(200),
        fees_open=D("0.2"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stake", "price", "profit"),
    [
        (LONG, "101", "0.009"),  # (1 x 2 - 0.2) / 200
        (LONG, "99", "-0.011"),
        (SHORT, "99", "0.009"),
        (SHORT, "101", "-0.011"),
    ],
)
def test_profit_is_after_fees_and_unlevered(stake: Stake, price: str, profit: str) -> None:
    """p(P) = (s (P - E) q - f) / (E q), with the sign of the side."""
    assert profit_fraction(stake, D(price)) == D(profit)
    assert price_at(stake, D(profit)) == D(price)


@pytest.mark.parametrize(
    ("stake", "low", "high", "word"),
    [
        (LONG, "99.1", "100", CloseType.STOP_LOSS),  # exactly -1 % after fees
        (LONG, "99.11", "100", None),
        (SHORT, "100", "100.9", CloseType.STOP_LOSS),
        (SHORT, "100", "100.89", None),
        (LONG, "100", "102.1", CloseType.TAKE_PROFIT),
        (LONG, "100", "102.09", None),
        (SHORT, "97.9", "100", CloseType.TAKE_PROFIT),
        (SHORT, "97.91", "100", None),
        (LONG, "99", "103", CloseType.STOP_LOSS),  # both in one look: the worse one is taken to have come first
        (None, "1", "1000", None),  # nothing is held
    ],
)
def test_stop_and_target_of_both_sides(stake: Stake | None, low: str, high: str, word: CloseType | None) -> None:
    """The stop at -1 %, the target at +2 %, mirrored for a short; the stop is tested first."""
    assert hit(stake, low, high, stop_loss="0.01", take_profit="0.02") is word


def test_extremes_between_two_looks_count() -> None:
    """A price that was reached and left between two looks fires the stop; a single sample would not have seen it."""
    told = barriers(stop_loss="0.01")
    now = view("100", low=D(99), high=D(100))
    seen = seen_by(told, instrument(), now, long=True)
    assert (seen.worst, seen.best) == (D(99), D(100))
    found = barrier_hit(told, LONG, seen, None, T0, None)
    assert found is not None
    assert found.word is CloseType.STOP_LOSS


@pytest.mark.parametrize(
    ("source", "long", "worst"), [(None, True, "99"), (None, False, "101"), ("mid", True, "100"), ("last", True, "99")]
)
def test_reference_price(source: str | None, long: bool, worst: str) -> None:
    """A long looks at the bid and a short at the ask, unless a source is configured."""
    told = barriers(stop_loss="0.01", price_source=source)
    assert seen_by(told, instrument(), view("99", "101"), long=long).worst == D(worst)


def test_a_swap_looks_at_the_mark_where_it_is_told() -> None:
    """Mark on swaps (RULES 9e), and the touch where the venue does not tell it."""
    about, told = swap(), barriers(stop_loss="0.01")
    assert seen_by(told, about, view("99", "101", about=about, mark=D(98)), long=True).worst == D(98)
    assert seen_by(told, about, view("99", "101", about=about), long=True).worst == D(99)
    assert barrier_wake(told, LONG, about, view("99", about=about, mark=D(98)), None, None).deadline == T0


def test_trailing_stop_is_armed_ratchets_and_fires() -> None:
    """Armed at the activation, it fires `delta` below the best, and a trigger of exactly zero is a trigger."""
    trail = {"trailing_stop": {"activation": "0.01", "delta": "0.01"}}
    assert hit(LONG, "100.1", "100.5", **trail) is None
    # The trigger is 0.01 - 0.01 = 0: the original takes that for unset and never fires.
    assert hit(LONG, "100.1", "101.1", peak=D("0.01"), **trail) is CloseType.TRAILING_STOP
    assert hit(LONG, "100.11", "101.1", peak=D("0.01"), **trail) is None
    assert hit(SHORT, "97", "97.8", peak=D("0.03"), **trail) is None
    assert hit(SHORT, "97", "99.9", peak=D("0.03"), **trail) is CloseType.TRAILING_STOP
    told = barriers(**trail)
    assert peak_of(told, D("0.02"), LONG, Seen(D(99), D(101))) == D("0.02")
    assert peak_of(told, D("0.02"), LONG, Seen(D(99), D(103))) == D("0.029")
    assert peak_of(told, None, LONG, Seen(D(99), D(101))) is None
    assert peak_of(told, D("0.02"), None, Seen(D(99), D(101))) is None


def test_order_of_the_barriers() -> None:
    """Stop loss, trailing stop, take profit, time limit."""
    all_of_them = barriers(
        stop_loss="0.01", take_profit="0.005", time_limit=1, trailing_stop={"activation": "0.01", "delta": "0.001"}
    )
    late = T0 + timedelta(seconds=2)
    found = [
        barrier_hit(all_of_them, stake, seen, peak, late, T0)
        for stake, seen, peak in (
            (LONG, Seen(D(99), D(102)), D("0.02")),
            (LONG, Seen(D(100), D(102)), D("0.02")),
            (LONG, Seen(D("100.5"), D("100.59")), None),
            (LONG, Seen(D("100.5"), D("101")), None),
            (None, Seen(D(1), D(1)), None),
        )
    ]
    words = [one.word.name if one else "" for one in found]
    assert words == ["STOP_LOSS", "TRAILING_STOP", "TIME_LIMIT", "TAKE_PROFIT", "TIME_LIMIT"]


def test_resting_target_is_gross_and_rounded_away() -> None:
    """It rests at entry (1 + take_profit) for a long, below for a short; a MARKET target rests nowhere."""
    told = barriers(take_profit="0.0123", take_profit_order_type="LIMIT")
    long, short = Stake(D(3), D("300.01"), D(0), long=True), Stake(D(3), D("300.01"), D(0), long=False)
    assert resting_take_profit(told, instrument(), long) == D("101.24")
    assert resting_take_profit(told, instrument(), short) == D("98.77")
    assert resting_take_profit(barriers(take_profit="0.0123"), instrument(), LONG) is None


@given(st.integers(9000, 11000), st.integers(9000, 11000), st.booleans(), st.one_of(st.none(), st.integers(0, 300)))
def test_no_barrier_fires_inside_its_band(here: int, there: int, long: bool, peak: int | None) -> None:
    """Wherever the price goes, a barrier that fires had a band that was left (RULES 18c)."""
    stake = LONG if long else SHORT
    told = barriers(
        stop_loss="0.03",
        take_profit="0.04",
        trailing_stop={"activation": "0.01", "delta": "0.005"},
        price_source="touch",
    )
    before, after = view(str(D(here) / 100)), view(str(D(there) / 100))
    seen_before, seen = (seen_by(told, instrument(), one, long=long) for one in (before, after))
    best = peak_of(told, None if peak is None else D(peak + 100) / 10_000, stake, seen_before)
    if barrier_hit(told, stake, seen_before, best, T0, None) is not None:
        return
    wake = barrier_wake(told, stake, instrument(), before, best, None)
    new = peak_of(told, best, stake, seen)
    if barrier_hit(told, stake, seen, new, T0, None) is not None or new != best:
        assert wake.due(after.quote.lowest, after.quote.highest, T0)
