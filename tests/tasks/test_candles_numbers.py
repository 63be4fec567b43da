"""No digit is lost or invented between a file's cell and the whole number it becomes."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.candles_numbers import NumberRefusedError, Numbers, numbers_of, scale_down, volumes_of

D = Decimal
values = st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=6), min_size=1, max_size=40)
short = st.lists(st.tuples(st.integers(1, 10**10), st.integers(0, 8)), min_size=1, max_size=40)


def exact(numbers: Numbers) -> list[Decimal]:
    """Return units back as decimals."""
    return [D(int(unit)).scaleb(-numbers.scale) for unit in numbers.units]


@given(values)
def test_text_is_read_to_the_last_digit(numbers: list[Decimal]) -> None:
    """Plain and scientific spellings, signs and trailing zeros give the same number."""
    spelled = [f"{n:E}" if i % 3 == 0 else f" {n:f} " for i, n in enumerate(numbers)]
    assert exact(numbers_of(pa.chunked_array([pa.array(spelled)]))) == numbers


@given(values, st.integers(1, 7))
def test_decimals_are_read_from_every_chunk(numbers: list[Decimal], size: int) -> None:
    """Chunks and slices with an offset are read as they stand."""
    kind = pa.decimal128(30, 6)
    whole = pa.array([D(0), *numbers], kind).slice(1)
    column = pa.chunked_array([whole.slice(i, size) for i in range(0, len(numbers), size)], kind)
    assert exact(numbers_of(column)) == numbers


@given(short)
@example([(1, 8), (864329024, 1)])
def test_floats_become_the_digits_that_repr_shows(pairs: list[tuple[int, int]]) -> None:
    """A float stands for its shortest decimal form, found without going through text."""
    floats = [float(D(units).scaleb(-places)) for units, places in pairs]
    found = numbers_of(pa.chunked_array([pa.array(floats)]))
    assert found.rounded == 0
    assert exact(found) == [D(repr(value)) for value in floats]


def test_floats_with_a_few_last_bits_off_are_rounded_and_counted() -> None:
    """Sums of floats carry noise in the last bits; that is taken off and said."""
    found = numbers_of(pa.chunked_array([pa.array([0.1 + 0.2, 0.25, 1.1 * 3])]))
    assert (exact(found), found.rounded) == ([D("0.30"), D("0.25"), D("3.30")], 2)


def test_floats_of_very_different_size_are_exact_or_refused() -> None:
    """Computed prices keep all their digits; where 64 bits can't hold them in one scale, nothing is guessed."""
    roots = [2.0**0.5 * 10_000, 3.0**0.5 * 10_000]
    assert exact(numbers_of(pa.chunked_array([pa.array(roots)]))) == [D(repr(value)) for value in roots]
    with pytest.raises(NumberRefusedError, match="need more than 64 bits together"):
        numbers_of(pa.chunked_array([pa.array([2.0**0.5 * 1e-9, 3.0**0.5 * 1e9])]))


def test_absent_numbers_are_marked() -> None:
    """Null, not-a-number and words for them are invalid rows, not zeros."""
    text = numbers_of(pa.chunked_array([pa.array(["1", "NaN", None, "null", "2e0"])]))
    floats = numbers_of(pa.chunked_array([pa.array([1.0, float("nan"), None, float("inf"), 2.0])]))
    decimals = numbers_of(pa.chunked_array([pa.array([D(1), None, D(2)], pa.decimal128(10, 0))]))
    assert text.valid is not None
    assert floats.valid is not None
    assert decimals.valid is not None
    assert text.valid.tolist() == floats.valid.tolist() == [True, False, False, False, True]
    assert decimals.valid.tolist() == [True, False, True]


def test_a_needlessly_fine_scale_is_reduced() -> None:
    """DECIMAL(38, 18) of ordinary prices fits into 64 bits once the empty places are dropped."""
    found = numbers_of(pa.chunked_array([pa.array([D("61000.25"), D("-3")], pa.decimal128(38, 18))]))
    assert (found.scale, found.units.tolist()) == (2, [6_100_025, -300])


def test_scales_change_only_without_loss() -> None:
    """Finer until 64 bits are full, coarser while no digit is lost."""
    numbers = Numbers(np.array([150, 200], dtype=np.int64), 2)
    assert numbers.at(4).tolist() == [15_000, 20_000]
    assert scale_down(numbers, 1).units.tolist() == [15, 20]
    with pytest.raises(NumberRefusedError, match=r"1\.50 in row 1 has more than 0 decimals"):
        scale_down(numbers, 0)
    with pytest.raises(NumberRefusedError, match="64 bits"):
        numbers.at(19)


def test_a_column_of_no_numbers_is_refused() -> None:
    """Booleans and lists are no prices."""
    with pytest.raises(NumberRefusedError, match="type bool"):
        numbers_of(pa.chunked_array([pa.array([True])]))


def test_volumes_are_rounded_where_prices_would_be_refused() -> None:
    """A volume with more digits than 64 bits hold is rounded and counted; words are still refused."""
    found = volumes_of(pa.chunked_array([pa.array([2.0**0.5 * 1e-9, 3.0**0.5 * 1e5, 1.5])]))
    assert (exact(found), found.rounded) == ([D("0"), D("173205.08075689"), D("1.5")], 2)
    with pytest.raises(NumberRefusedError, match="'many' in row 1 is no number"):
        volumes_of(pa.chunked_array([pa.array(["many"])]))
