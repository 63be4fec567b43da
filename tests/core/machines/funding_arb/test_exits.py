"""Funding arbitrage, out of a pair: each exit, their order, the bands that hide none, a close that drags on."""

from dataclasses import replace

from core.machines.funding_arb import machine
from core.values import Side
from tests.core.machines.funding_arb.fundings import (
    A,
    B,
    on,
    opened,
    plan,
    rate,
    reason_of,
    view,
)
from tests.core.worlds import D


def test_it_leaves_near_a_liquidation() -> None:
    """At twice the leverage a short is liquidated 49 % up: at 36 % the price is within a tenth of it."""
    about = plan(leverage=2, max_loss="0.5")
    state = opened(about)
    assert reason_of(on(about, state, a="135", b="135", at=10)) == ""
    assert reason_of(on(about, state, a="136", b="136", at=10)) == "LIQUIDATION"


def test_a_leg_that_is_gone_is_believed_when_seen_twice() -> None:
    """One reading without the short is no decision; five seconds later it is, and the long leg is closed."""
    about = plan()
    once = on(about, opened(about), held=("10", "0"), at=10)
    assert reason_of(once) == ""
    back = on(about, once.state, at=12)
    assert reason_of(on(about, back.state, held=("10", "0"), at=16)) == ""
    twice = on(about, once.state, held=("10", "0"), at=15)
    assert reason_of(twice) == "LEG_MISSING"
    assert set(machine.wants(about, twice.state)) == {"x0-1"}


def test_an_imbalance_is_told_then_reduced_then_left() -> None:
    """Above 1 % it is said, above 2 % the larger leg is reduced, above 5 % the pair is left."""
    about = plan()
    state = opened(about)
    told = on(about, state, held=("10", "-9.85"), at=10)
    assert [alarm.kind for alarm in told.alarms] == ["funding_imbalance"]
    assert machine.wants(about, told.state) == {}
    less = machine.wants(about, on(about, state, held=("10", "-9.7"), at=10).state)
    assert (less["x0-1"].side, less["x0-1"].qty, less["x0-1"].reduce_only) == (Side.SELL, D("0.3"), True)
    assert reason_of(on(about, state, held=("10", "-9.4"), at=10)) == "IMBALANCE"


def test_a_flip_counts_when_it_was_seen_twice() -> None:
    """One rate against the pair may be a slip; the next one of another time is none. The same time counts once."""
    about = plan(erosion_ratio=0)
    state = opened(about)
    bad = (rate(A, "0.001", at=100), rate(B, "0", at=100))
    once = on(about, state, *bad, at=100)
    assert reason_of(once) == ""
    assert reason_of(on(about, once.state, *bad, at=101)) == ""
    good = on(about, once.state, rate(B, "0.002", at=200), at=200)
    assert reason_of(on(about, good.state, rate(B, "0", at=300), at=300)) == ""
    assert reason_of(on(about, once.state, rate(B, "0", at=200), at=200)) == "FLIP"


def test_it_leaves_a_difference_that_has_eroded() -> None:
    """Below half of the entry's difference, seen twice in a row, it leaves; a zero is eroded too."""
    about = plan()
    state = on(about, opened(about), rate(B, "0.0009", at=100), at=100).state
    assert reason_of(on(about, state, rate(B, "0.0009", at=200), at=200)) == "EROSION"
    assert reason_of(on(about, state, rate(B, "0", at=200), at=200)) == "EROSION"
    better = on(about, state, rate(B, "0.0011", at=200), at=200).state
    assert reason_of(on(about, better, rate(B, "0.0009", at=300), at=300)) == ""


def test_profit_and_loss_count_funding_prices_and_all_fees() -> None:
    """The fees of closing (1,000 at 5 bp, twice) stand between the funding and the target, and before the loss."""
    about = plan(profit_target="0.01")
    state = opened(about)
    assert reason_of(on(about, state, funding="10.99", at=10)) == ""
    assert reason_of(on(about, state, funding="11", at=10)) == "TAKE_PROFIT"
    assert reason_of(on(about, state, a="99.11", at=10)) == ""
    assert reason_of(on(about, state, a="99.09", at=10)) == "STOP_LOSS"


def test_it_leaves_when_its_time_is_over() -> None:
    """A week after the entry."""
    about = plan()
    state = opened(about)
    assert reason_of(on(about, state, at=7 * 86_400)) == ""
    assert reason_of(on(about, state, at=7 * 86_400 + 1)) == "TIME_LIMIT"


def test_exits_hold_in_their_order() -> None:
    """Where several hold at once, the first of the list names the reason."""
    about = plan(leverage=2, profit_target="0.001")
    state = opened(about)
    state = on(about, state, rate(B, "-0.003", at=90), at=90).state
    flipped = (rate(A, "0.003", at=100), rate(B, "0", at=100))
    every = on(about, state, *flipped, a="136", b="136", held=("10", "-9"), at=700_000)
    assert reason_of(every) == "LIQUIDATION"
    assert reason_of(on(about, state, *flipped, held=("10", "-9"), at=700_000)) == "IMBALANCE"
    assert reason_of(on(about, state, *flipped, funding="50", at=101)) == "FLIP"
    assert reason_of(on(about, state, funding="50", at=700_000)) == "TAKE_PROFIT"


def test_without_a_price_nothing_is_decided_by_price() -> None:
    """An unknown price is unknown: neither a profit nor a loss nor a missing leg is made of it."""
    about = plan(profit_target="0.001")
    seen = view(about, held=("10", "-10"), funding="50", at=10)
    blind = replace(seen, beside={B: replace(seen.beside[B], quote=None)})
    assert reason_of(machine.step(about, opened(about), (), blind)) == ""


def test_the_band_of_an_open_pair_hides_no_exit() -> None:
    """At every corner just inside both bands, no exit holds."""
    about = plan(profit_target="0.005")
    state = opened(about)
    wake = on(about, state, at=10)
    first, second = wake.wake, wake.wakes[B]
    assert first.low is not None
    assert first.high is not None
    assert second.low is not None
    assert second.high is not None
    for a in (first.low + D("0.01"), first.high - D("0.01")):
        for b in (second.low + D("0.01"), second.high - D("0.01")):
            inside = on(about, state, a=str(a), b=str(b), at=20)
            assert reason_of(inside) == ""
            assert inside.state == state


def test_a_close_that_drags_on_is_an_incident() -> None:
    """After a minute a person is told what is still open; caps have widened."""
    about = plan()
    left = on(about, opened(about), at=700_000)
    caps = [machine.wants(about, left.state)["x0-1"].price]
    state = left.state
    for second in range(1, 62):
        after = on(about, state, at=700_000 + second)
        state = after.state
        caps.append(machine.wants(about, state)["x0-1"].price)
    assert caps[-1] < caps[0]
    assert [alarm.kind for alarm in after.alarms] == ["funding_unclosed"]
