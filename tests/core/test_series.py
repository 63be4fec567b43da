"""The plain candle series: its own contract, and the exact step from decimals to whole units."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.market import Candle
from core.series import (
    ListSeries,
    ceil_units,
    exact_units,
    finest_places,
    floor_units,
    ms_to_ts,
    places,
    ts_to_ms,
)

D = Decimal
T0 = datetime.fromisoformat("2024-02-29 23:58")


def candle(minute: int, low: str, high: str) -> Candle:
    """Build a one-minute candle that opens at its low and closes at its high."""
    return Candle(T0 + timedelta(minutes=minute), D(low), D(high), D(low), D(high), D("1.5"))


BARS = ListSeries([candle(0, "10", "11"), candle(1, "10.5", "12"), candle(3, "9.25", "10.75")])


@pytest.mark.parametrize(
    ("start", "low", "high", "expected"),
    [
        (0, D("9"), D("13"), 3),
        (0, D("10"), None, 0),
        (1, D("10"), None, 2),
        (0, None, D("12"), 1),
        (2, None, D("12"), 3),
        (0, D("9.25"), D("11.5"), 1),
        (0, None, None, 3),
        (3, D("100"), None, 3),
        (99, D("100"), None, 3),
    ],
)
def test_search_stops_at_the_first_bar_that_touches_an_edge(
    start: int, low: Decimal | None, high: Decimal | None, expected: int
) -> None:
    """Edges belong to the outside, a missing edge never wakes, and nothing found is the length."""
    assert BARS.next_outside(start, low, high) == expected


def test_index_at_finds_the_bar_that_opens_then_or_next() -> None:
    """A time inside a hole finds the first bar after it; one past the end finds the length."""
    first = ts_to_ms(T0)
    asked = [first - 1, first, first + 1, first + 120_000, first + 180_000, first + 180_001]
    assert [BARS.index_at(ms) for ms in asked] == [0, 0, 1, 2, 2, 3]


@pytest.mark.parametrize("i", [-1, 3])
def test_a_bar_outside_the_series_is_an_error(i: int) -> None:
    """A negative index never reads the far end of history."""
    with pytest.raises(IndexError, match="bars 0 to 2"):
        BARS.bar(i)
    with pytest.raises(IndexError, match="bars 0 to 2"):
        BARS.ts_ms(i)


def test_a_search_before_the_first_bar_is_an_error() -> None:
    """A negative start is a mistake of the caller."""
    with pytest.raises(IndexError, match="bar 0 or later"):
        BARS.next_outside(-1, None, D(1))


def test_candles_must_rise_in_time() -> None:
    """Two candles of the same time are refused with both named."""
    with pytest.raises(ValueError, match="candle 1 opens at 2024-02-29 23:58:00, not after candle 0"):
        ListSeries([candle(0, "1", "2"), candle(0, "1", "2")])


@pytest.mark.parametrize(
    ("price", "scale", "below", "above"),
    [
        ("1.23", 2, 123, 123),
        ("1.234", 2, 123, 124),
        ("-1.234", 2, -124, -123),
        ("1E+3", 1, 10000, 10000),
        ("0", 8, 0, 0),
        ("12345678901234567890.123456789", 8, 1234567890123456789012345678, 1234567890123456789012345679),
    ],
)
def test_units_round_outwards_by_name(price: str, scale: int, below: int, above: int) -> None:
    """The lower edge floors and the upper ceils, at any number of digits."""
    assert (floor_units(D(price), scale), ceil_units(D(price), scale)) == (below, above)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_an_edge_that_is_no_number_is_refused(bad: str) -> None:
    """Not-a-number as an edge would never wake; the message names what to use instead."""
    for convert in (floor_units, ceil_units, exact_units):
        with pytest.raises(ValueError, match="use None"):
            convert(D(bad), 2)


def test_exact_units_refuse_to_lose_a_digit() -> None:
    """A price finer than the scale is an error, trailing zeros are not."""
    assert exact_units(D("1.2300"), 2) == 123
    with pytest.raises(ValueError, match="more than 2 decimal places"):
        exact_units(D("1.234"), 2)


def test_places_ignore_trailing_zeros() -> None:
    """Decimal places are those that carry something."""
    assert [places(D(t)) for t in ("1", "1.10", "100", "1E+2", "0.00", "1E-8")] == [0, 1, 0, 0, 0, 8]
    assert finest_places([candle(0, "1.125", "2")]) == 3
    assert finest_places([]) == 0


def test_times_go_to_milliseconds_and_back() -> None:
    """Naive UTC times survive; a time with a zone is refused."""
    assert ts_to_ms(datetime.fromisoformat("1970-01-01 00:00:01")) == 1000
    assert ms_to_ts(ts_to_ms(T0)) == T0
    with pytest.raises(ValueError, match="naive UTC"):
        ts_to_ms(T0.replace(tzinfo=UTC))
