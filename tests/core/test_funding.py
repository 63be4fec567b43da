"""Rates by the hour, what a pair is worth, the book of payments, net delta, and the scanner."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.funding import (
    Candidate,
    FundingBook,
    Payment,
    ScanRules,
    Terms,
    best_pair,
    judge,
    net_delta,
    pays,
    per_hour,
    scan,
)
from core.market import Market

D = Decimal
T0 = datetime(2026, 1, 1)
A, B, C = (("a", "X/USDT:USDT"), ("b", "X/USDT:USDT"), ("c", "X/USDT:USDT"))
TERMS = Terms(D("0.001"), D(24), D("0.0002"), D("0.01"))


def candidate(market: Market, a_day: str | None, price: str | None = "100") -> Candidate:
    """A candidate with a rate by the day and a taker fee of 5 bp."""
    return Candidate(market, None if a_day is None else D(a_day) / 24, D("0.0005"), None if price is None else D(price))


def test_rates_are_by_the_hour_of_their_own_interval() -> None:
    """The same rate in one hour is eight times that in eight; an interval of nothing is refused."""
    assert per_hour(D("0.0008"), 28_800) == D("0.0001")
    assert per_hour(D("0.0001"), 3_600) == D("0.0001")
    assert per_hour(D("-0.0004"), 14_400) == D("-0.0001")
    with pytest.raises(ValueError, match="interval"):
        per_hour(D("0.0001"), 0)


def test_the_entry_test_takes_fees_slippage_and_basis_off() -> None:
    """0.006 a day, less 4 fees of 5 bp, 4 slippages of 2 bp, and what a short price 0.1 % below costs."""
    found = judge(TERMS, candidate(A, "0"), candidate(B, "0.006", "99.9"), 0, 1)
    assert found is not None
    assert abs(found.net - (D("0.006") - D("0.002") - D("0.0008") - D("0.001"))) < D("1E-20")
    kind = judge(TERMS, candidate(A, "0"), candidate(B, "0.006", "100.1"), 0, 1)
    assert kind is not None
    assert abs(kind.net - (D("0.006") - D("0.002") - D("0.0008"))) < D("1E-20")


def test_the_best_pair_is_found_in_any_direction_and_unknowns_allow_nothing() -> None:
    """Of three venues the widest difference; a rate or price that is not known takes part in no pair."""
    best = best_pair(TERMS, [candidate(A, "0.003"), candidate(B, "-0.004"), candidate(C, "0.001")])
    assert best is not None
    assert (best.long, best.short) == (1, 0)
    assert pays(TERMS, best)
    assert best_pair(TERMS, [candidate(A, "0.003"), candidate(B, None)]) is None
    assert best_pair(TERMS, [candidate(A, "0.003"), candidate(B, "-1", None)]) is None
    apart = best_pair(TERMS, [candidate(A, "0"), candidate(B, "0.1", "102")])
    assert apart is not None
    assert not pays(TERMS, apart)


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 50), st.integers(-1000, 1000)), max_size=60))
def test_a_payment_is_booked_once_and_sums_are_exact(told: list[tuple[Market, int, int]]) -> None:
    """However often a row is told it counts once; what differs from the venue's history is named."""
    first: dict[tuple[Market, datetime], Decimal] = {}
    book = FundingBook()
    for market, hour, cents in told:
        key = (market, T0 + timedelta(hours=hour))
        amount = first.setdefault(key, D(cents) / 100)
        before = key in book.rows
        assert book.book(Payment(*key, amount)) is not before
        assert not book.book(Payment(*key, amount))
    assert book.total() == sum(first.values(), D(0))
    assert book.total(A) + book.total(B) == book.total()
    rows = [Payment(*key, amount) for key, amount in first.items()]
    assert book.differences(rows) == []
    if rows:
        lost = book.differences(rows[1:])
        assert lost == [(rows[0].market, rows[0].at, rows[0].amount, None)]


def test_another_amount_at_a_booked_time_is_no_second_row() -> None:
    """Two amounts of one payment contradict each other: nothing is overwritten."""
    book = FundingBook()
    book.book(Payment(A, T0, D("-5")))
    with pytest.raises(ValueError, match="booked"):
        book.book(Payment(A, T0, D(5)))
    assert book.total() == -5


def test_net_delta_is_by_base_asset_over_all_venues() -> None:
    """Signed quantities of one base cancel; BTC and BTCDOM are two."""
    dom = ("a", "BTCDOM/USDT:USDT")
    found = net_delta({A: D(3), B: D("-2.9"), dom: D(1)}, {A: "BTC", B: "BTC", dom: "BTCDOM"})
    assert found == {"BTC": (D("0.1"), D(3)), "BTCDOM": (D(1), D(1))}


def rows(*rates: str) -> list[tuple[datetime, Decimal, float]]:
    """Rates every eight hours."""
    return [(T0 + timedelta(hours=8 * i), D(one), 28_800.0) for i, one in enumerate(rates)]


def test_the_scanner_earns_from_the_payment_after_its_entry_on() -> None:
    """A rate is known when it was paid: the pair earns the next ones, and leaves when the fade was seen twice."""
    found = scan(
        {A: rows("0", "0", "0", "0"), B: rows("0.003", "0.002", "0.001", "0.0004")}, ScanRules(TERMS, D("0.0005"))
    )
    assert len(found) == 1
    stay = found[0]
    assert (stay.entered, stay.left) == (T0, T0 + timedelta(hours=24))
    assert (stay.long, stay.short, stay.reason) == (A, B, "EROSION")
    assert stay.funding == D("0.002") + D("0.001") + D("0.0004")


def test_the_scanner_names_flips_and_age() -> None:
    """Two rates against it are a flip; at its age it leaves a pair that still pays."""
    rules = ScanRules(TERMS, D("0.0005"), erosion_ratio=D(0), max_age_h=D(16))
    turned = scan({A: rows("0", "0", "0"), B: rows("0.003", "-0.001", "-0.001")}, rules)
    assert [one.reason for one in turned] == ["FLIP"]
    old = scan({A: rows("0", "0", "0"), B: rows("0.003", "0.003", "0.003")}, rules)
    assert [one.reason for one in old] == ["TIME_LIMIT"]
