"""A funding payment is shared by what each held when it was made: exact sums, true sides, and a word where it is a guess."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine import Step, advance
from core.engine.payments import INEXACT, shares_of
from core.facts import Fill, FundingPaid
from core.values import AMOUNT_PLACES, ZERO, Side, ratio, total
from tests.core.engine.test_netting import trade, two_bots
from tests.core.worlds import SWAP, T0, D

PAID = FundingPaid("perp", SWAP, D("-3"), "USDT", D("0.0001"), "f1", T0 + timedelta(minutes=1))
LATER = T0 + timedelta(minutes=2)
HAND = "hand"
# The exits of the two bots' lots: 0.1 and 0.2 of the base are held.
EXIT_A, EXIT_B = "a-test-x2-0-0", "b-test-x2-0-0"

amounts = st.decimals(-1000, 1000, places=18, allow_nan=False)
quantities = st.dictionaries(
    st.text("abc", min_size=1, max_size=3), st.decimals(-9, 9, places=3, allow_nan=False), min_size=1, max_size=9
)


def shares(step: Step) -> dict[str, Decimal]:
    """What the wallets of each owner's ledger took."""
    return {one.bot_id: one.amount for one in step.entries if (one.kind, one.account) == ("funding", "wallet")}


def doubts(step: Step) -> list[str]:
    """What the journal says of shares that are not certain."""
    return [row.reason for row in step.journal if row.decision == INEXACT]


@given(amounts, quantities)
def test_shares_sum_to_the_payment_and_follow_their_side(amount: Decimal, held: dict[str, Decimal]) -> None:
    """To the last digit; none a unit away from its quotient, and who held the other side gets the other sign."""
    made, whole = shares_of(amount, held), total(held.values())
    assert total(made.values()) == amount
    if whole == ZERO:
        return
    for name, share in made.items():
        assert abs(share - ratio(amount * held[name], whole)) < AMOUNT_PLACES
        assert share * amount * held[name] * whole >= ZERO
        assert share == ZERO or held[name] != ZERO


def closed(*, of_a: str = "", of_b: str = "", by_hand: str = "") -> list[Fill]:
    """Sales a moment after the payment."""
    sold = [(EXIT_A, 21, of_a), (EXIT_B, 22, of_b), (HAND, 23, by_hand)]
    return [replace(trade(who, n, Side.SELL, "103", qty), ts=LATER) for who, n, qty in sold if qty]


@pytest.mark.parametrize(
    ("sales", "expected"),
    [
        ({}, {"a": D(-1), "b": D(-2)}),
        ({"of_a": "0.1"}, {"a": D(-1), "b": D(-2)}),
        ({"of_a": "0.1", "of_b": "0.2"}, {"a": D(-1), "b": D(-2)}),
        ({"of_b": "0.15"}, {"a": D(-1), "b": D(-2)}),
    ],
    ids=["nothing", "one is out", "both are out", "one holds less"],
)
@pytest.mark.parametrize("stored", [True, False], ids=["booked before", "booked with it"])
def test_a_payment_is_for_what_was_held_when_it_was_made(
    sales: dict[str, str], expected: dict[str, Decimal], stored: bool
) -> None:
    """What was traded before the payment was read changes no share, whether it was booked earlier or in the same advance."""
    before = two_bots()
    facts = closed(**sales)
    if stored:
        sold = tuple((fact.client_id[0], -fact.qty) for fact in facts)
        step = advance(advance(before, facts, LATER).world, [replace(PAID, traded_since=sold)], LATER)
    else:
        step = advance(before, [*facts, PAID], LATER)
    found = shares(step)
    assert total(found.values()) == D(-3)
    assert {name: round(share, 15) for name, share in found.items()} == expected
    assert doubts(step) == []


def test_what_was_traded_before_the_payment_counts() -> None:
    """A lot that was sold before it was paid for pays nothing."""
    sold = replace(trade(EXIT_A, 21, Side.SELL, "103"), ts=T0 + timedelta(seconds=30))
    assert shares(advance(two_bots(), [sold, PAID], LATER)) == {"b": D(-3)}


def test_a_trade_of_nobody_after_it_makes_the_shares_a_guess() -> None:
    """It is taken off the stranger's part, and the journal says that this is not certain."""
    step = advance(two_bots(), [*closed(by_hand="0.3"), PAID], LATER)
    assert {name: round(share, 15) for name, share in shares(step).items()} == {"a": D(-1), "b": D(-2)}
    assert doubts(step) == [
        f"{SWAP}: somebody else traded after it was paid; whose quantity that changed is not certain"
    ]


def test_quantities_that_sum_to_zero_are_said() -> None:
    """Bots that stand against each other, or hold nothing: all of it is the first's, and the journal says so."""
    sold = (("a", D("0.1")), ("b", D("0.2")))
    step = advance(two_bots(), [replace(PAID, traded_since=sold)], LATER)
    assert shares(step) == {"a": D(-3)}
    assert doubts(step) == [f"{SWAP}: what was held sums to zero, so all of -3 is booked to a"]


def test_a_payment_for_nothing_that_is_known_is_the_strangers() -> None:
    """No bot trades the market and nothing is held there: it is booked all the same, so that the wallet agrees."""
    step = advance(two_bots(), [replace(PAID, symbol="ETH/USDT:USDT")], LATER)
    assert shares(step) == {"external": D(-3)}
    assert doubts(step) == []


def test_a_payment_of_nothing_is_booked_once() -> None:
    """One entry of zero, so that it is known the next time it is read."""
    assert shares(advance(two_bots(), [replace(PAID, amount=D(0))], LATER)) == {"a": D(0)}
