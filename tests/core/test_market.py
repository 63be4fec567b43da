"""Exchange filters, quotes that may not open risk, and the path inside a candle."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.market import Candle, Intrabar, path, path_times
from tests.core.worlds import T0, D, instrument, quote


@pytest.mark.parametrize(
    ("price", "qty", "word"),
    [
        ("100", "0.1", None),
        ("100.001", "0.1", "no multiple of tick 0.01"),
        ("100", "0.1001", "no multiple of lot 0.001"),
        ("100", "0", "below the minimum"),
        ("0", "0.1", "not a positive number"),
        ("-1", "0.1", "not a positive number"),
        ("NaN", "0.1", "not a positive number"),
        ("Infinity", "0.1", "not a positive number"),
        ("9.99", "0.1", "notional 0.999 USDT is below the minimum 1"),
    ],
)
def test_an_order_that_a_filter_would_refuse_is_named(price: str, qty: str, word: str | None) -> None:
    """Price and quantity on their grids, above the minimums, finite: else the filter is named with its number."""
    said = instrument().objection(D(price), D(qty))
    assert said is None if word is None else said is not None and word in said


@pytest.mark.parametrize(("qty", "sells"), [("0.1005", "0.1"), ("0.009", "0"), ("0.0004", "0"), ("0.01", "0.01")])
def test_what_is_left_is_sold_down_to_the_minimum(qty: str, sells: str) -> None:
    """The part of a holding that an order could trade: floored to the lot, nothing below the minimum notional."""
    assert instrument().sellable(D(100), D(qty)) == D(sells)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, None),
        ({"bid": D(0)}, "not positive"),
        ({"last": D(-1)}, "not positive"),
        ({"ask": D("NaN")}, "not a number"),
        ({"bid": D(101)}, "crossed"),
        ({"ts": T0 - timedelta(seconds=16)}, "16 s old, at most 15 s"),
    ],
)
def test_a_quote_that_may_not_open_risk_says_why(changes: dict[str, object], word: str | None) -> None:
    """Old, crossed, zero or not a number: no entry at such a price."""
    said = quote("100", **changes).objection(T0, 15)
    assert said is None if word is None else said is not None and word in said


def test_a_quote_tells_the_extremes_seen_with_it() -> None:
    """Low and high of the trades since the last reading widen what the touch shows, and never narrow it."""
    seen = quote("100", bid=D(99), ask=D(101), low=D(98), high=D(100))
    assert (seen.lowest, seen.highest, seen.mid) == (98, 101, 100)


CANDLE = Candle(T0, D(100), D(103), D(98), D(101), D(0))


@pytest.mark.parametrize(
    ("intrabar", "long", "points"),
    [
        (Intrabar.OHLC, True, (100, 103, 98, 101)),
        (Intrabar.OLHC, True, (100, 98, 103, 101)),
        (Intrabar.WORST, True, (100, 103, 98, 101)),
        (Intrabar.WORST, False, (100, 98, 103, 101)),
        (Intrabar.ADAPTIVE, True, (100, 98, 103, 101)),
    ],
)
def test_the_path_inside_a_candle(intrabar: Intrabar, long: bool, points: tuple[int, ...]) -> None:
    """Each rule visits the extremes in its own order; `adaptive` the nearer first."""
    assert path(CANDLE, intrabar, long=long) == points


@pytest.mark.parametrize(("high", "low", "first"), [("102", "97", "102"), ("103", "97", "97"), ("104", "97", "97")])
def test_adaptive_visits_the_nearer_extreme_first(high: str, low: str, first: str) -> None:
    """A tie goes to the low."""
    candle = Candle(T0, D(100), D(high), D(low), D(100), D(0))
    assert path(candle, Intrabar.ADAPTIVE)[1] == Decimal(first)


def test_the_close_belongs_to_its_own_candle() -> None:
    """The four points are spread over the interval, and the last comes before the next candle opens."""
    times = path_times(T0, 60)
    assert [(at - T0).total_seconds() for at in times] == [0, 20, 40, 59.999]
