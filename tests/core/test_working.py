"""The order layer's decisions as a table: what is proposed for a leg, given its order and the market."""

from dataclasses import replace
from decimal import Decimal

import pytest

from core.facts import Refusal
from core.orders import Kind, Leg, Order, Role, Status
from core.values import Side
from core.working import (
    BACKOFF_S,
    NEW,
    Rest,
    Send,
    Withdraw,
    Work,
    is_exit,
    price_to_send,
    propose,
    refused,
    started,
    wanted,
    with_order,
)
from tests.core.test_orders import order
from tests.core.worlds import T0, D, after, instrument, quote


def leg(**changes: object) -> Leg:
    """A post-only purchase of 1 at 100."""
    values: dict[str, object] = {
        "leg_id": "e0-0", "venue": "spot", "symbol": "BTC/USDT", "side": Side.BUY, "role": Role.ENTRY,
        "kind": Kind.LIMIT, "qty": D(1), "price": D(100), "post_only": True,
    }  # fmt: skip
    return Leg(**(values | changes))  # type: ignore[arg-type]


def work(of: Leg | None, at: Order | None = None, **changes: object) -> Work:
    """A leg under work whose order asked for the leg's price."""
    asked = of.price if of is not None else None
    values: dict[str, object] = {"done": D(0), "next_attempt": 1, "asked_price": asked}
    return Work(of, at, **(values | changes))  # type: ignore[arg-type]


def proposal(one: Work, price: str = "101", at_s: float = 0) -> object:
    """What the order layer proposes at a price."""
    return propose(one, quote(price), instrument(), after(at_s), D("0.001"))


@pytest.mark.parametrize(
    ("one", "price", "expected"),
    [
        (work(leg()), "101", Send(D(100), D(1), post_only=True)),
        (work(leg(), done=D("0.4")), "101", Send(D(100), D("0.6"), post_only=True)),
        (work(leg(), done=D(1)), "101", Rest()),
        (work(leg()), "99", Send(D("98.90"), D(1), post_only=True)),
        (work(leg(post_only=False)), "99", Send(D(100), D(1), post_only=False)),
        (work(leg(side=Side.SELL)), "101", Send(D("101.11"), D(1), post_only=True)),
        (work(leg(side=Side.SELL)), "99", Send(D(100), D(1), post_only=True)),
        (work(leg(kind=Kind.MARKET, price=None, post_only=False)), "99", Send(None, D(1), post_only=False)),
        (work(None), "101", Rest()),
    ],
    ids=[
        "new", "the rest of it", "all done", "behind the touch", "may take", "a sale behind the touch", "a sale rests",
        "market", "not wanted",
    ],
)  # fmt: skip
def test_a_leg_without_an_order(one: Work, price: str, expected: object) -> None:
    """What is left goes out at the leg's price, or behind the touch where a post-only order would cross."""
    assert proposal(one, price) == expected


@pytest.mark.parametrize(
    ("one", "price", "expected"),
    [
        (work(leg(), order()), "101", Rest()),
        (work(None, order()), "101", Withdraw("no longer wanted")),
        (work(leg(qty=D(2)), order()), "101", Withdraw("quantity changed to 2")),
        (work(leg(qty=D(2)), order(), done=D(1)), "101", Rest()),
        (work(leg(price=D(90)), order(), asked_price=D(100)), "101", Withdraw("price changed to 90")),
        (work(leg(), replace(order(), price=D(95))), "101", Withdraw("its own price 100 is free again")),
    ],
    ids=["as wanted", "not wanted", "grown", "its rest", "moved", "own price free again"],
)
def test_a_leg_with_an_open_order(one: Work, price: str, expected: object) -> None:
    """It stays while it is what is wanted; else it is withdrawn, never replaced before its end is known."""
    assert proposal(one, price) == expected


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN, Status.CANCELING])
@pytest.mark.parametrize("of", [leg(), None, leg(qty=D(2)), leg(price=D(90))], ids=["same", "none", "qty", "price"])
def test_an_order_of_unsettled_fate_blocks_its_leg(status: Status, of: Leg | None) -> None:
    """Until the venue has answered nothing is sent for that leg, whatever is wanted by now."""
    said = proposal(work(of, order(status), asked_price=D(100)))
    assert isinstance(said, Rest)
    assert said.reason


@pytest.mark.parametrize("status", [Status.FILLED, Status.CANCELED, Status.EXPIRED])
def test_an_order_whose_trades_are_missing_blocks_its_leg(status: Status) -> None:
    """How much is left is known once the trades are booked."""
    assert proposal(work(leg(), order(status, "1", "1"))) == Rest("over; its trades are still to come")


def test_without_a_price_nothing_is_sent() -> None:
    """A first quote comes before a first order; a withdrawal needs none."""
    assert propose(work(leg()), None, instrument(), T0, D(0)) == Rest("no price has been read yet")
    assert isinstance(propose(work(None, order()), None, instrument(), T0, D(0)), Withdraw)


def test_what_a_filter_would_refuse_is_not_sent() -> None:
    """The exchange's minimum is the reason, not a refused order."""
    said = proposal(work(leg(qty=D("0.005"))))
    assert isinstance(said, Rest)
    assert "below the minimum" in said.reason


def test_a_wide_cap_does_not_make_a_sale_too_small() -> None:
    """The cap goes up to where the notional suffices, never beyond the bid; below that the sale is no order."""
    sale = leg(role=Role.EXIT, side=Side.SELL, kind=Kind.MARKET, post_only=False, price=D("69.84"))
    rules = instrument(min_notional=D(1))
    sent = [propose(work(replace(sale, qty=D(qty))), quote("96"), rules, T0, D(0)) for qty in ("0.02", "0.014", "0.01")]
    assert [one.price if isinstance(one, Send) else one for one in sent] == [
        D("69.84"), D("71.43"), Rest("notional 0.96 USDT is below the minimum 1"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", list(Refusal))
def test_refusals_are_paced_and_bounded(kind: Refusal) -> None:
    """The waits double from the first to the longest; each keeps its reason, and nothing goes out before."""
    first, longest = BACKOFF_S[kind]
    one, waits = work(leg()), []
    for _ in range(25):
        one = refused(one, kind, "no", T0)
        assert one.not_before is not None
        waits.append((one.not_before - T0).total_seconds())
        assert isinstance(proposal(one, at_s=waits[-1] - 0.001), Rest)
        assert isinstance(proposal(one, at_s=waits[-1]), Send)
    assert waits[0] == first
    assert waits[-1] == longest
    assert waits == sorted(waits)
    assert "no" in one.reason


@pytest.mark.parametrize("kind", [kind for kind in Refusal if kind is not Refusal.FILTER])
def test_what_must_get_out_does_not_wait_longer_each_time(kind: Refusal) -> None:
    """An exit waits the first step, however often it was refused; a filter would refuse it for ever."""
    one = work(leg(role=Role.EXIT, side=Side.SELL))
    for _ in range(10):
        one = refused(one, kind, "no", T0)
    assert one.not_before == after(BACKOFF_S[kind][0])


def test_an_order_is_put_away_when_its_trades_are_booked() -> None:
    """Its executed part is carried into the next attempt, which has a number of its own."""
    one = started(wanted(NEW, leg()), order(Status.PENDING))
    assert (one.next_attempt, one.asked_price) == (1, D(100))
    waiting = with_order(one, order(Status.CANCELED, "1", "0.4", "0.1"))
    assert waiting.order is not None
    assert waiting.executed == D("0.4")
    away = with_order(waiting, order(Status.CANCELED, "1", "0.4", "0.4"))
    assert (away.order, away.done, away.next_attempt, away.executed) == (None, D("0.4"), 1, D("0.4"))


@pytest.mark.parametrize(
    ("side", "price", "bid", "ask", "sent"),
    [
        (Side.BUY, "100", "99", "101", "100"),
        (Side.BUY, "101", "99", "101", "98.90"),
        (Side.BUY, "102", "99", "101", "98.90"),
        (Side.SELL, "99", "99", "101", "101.11"),
        (Side.SELL, "100", "99", "101", "100"),
    ],
)
def test_a_post_only_price_never_crosses_and_never_worsens(
    side: Side, price: str, bid: str, ask: str, sent: str
) -> None:
    """Behind the touch by the safe spread, on the tick, and never worse for us than the leg's own price."""
    given = quote("100", bid=D(bid), ask=D(ask))
    made = price_to_send(leg(side=side, price=D(price)), given, instrument(), D("0.001"))
    assert made == D(sent)
    assert isinstance(made, Decimal)
    assert (D(price) - made) * side.sign >= 0


def test_exits_are_told_from_entries() -> None:
    """By what is wanted, or by what still lives."""
    assert is_exit(work(leg(role=Role.UNWIND)))
    assert not is_exit(work(leg()))
    assert not is_exit(work(None, order()))
    assert is_exit(work(None, replace(order(), role=Role.EXIT)))
