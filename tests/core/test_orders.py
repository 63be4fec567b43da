"""The transition table of an order, row by row, and client ids."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.orders import (
    TERMINAL,
    TRANSITIONS,
    ClientId,
    Event,
    Kind,
    Order,
    Role,
    Status,
    TargetLeg,
    apply,
    client_id,
    decode,
    leg_id,
    next_status,
)
from core.values import Side
from tests.core.worlds import T0, D, after

# Rows: status; columns: events. A dot is "unchanged". This is the table as a person would write it.
EVENTS = (
    "acked", "refused", "unanswered", "seen_open", "seen_canceled", "seen_expired", "completed", "never_arrived",
    "cancel_sent", "cancel_failed",
)  # fmt: skip
TABLE = """
PENDING    OPEN  REJECTED UNKNOWN OPEN  CANCELED EXPIRED FILLED REJECTED .         .
UNKNOWN    OPEN  .        .       OPEN  CANCELED EXPIRED FILLED REJECTED .         .
OPEN       .     .        .       .     CANCELED EXPIRED FILLED .        CANCELING .
CANCELING  .     .        .       .     CANCELED EXPIRED FILLED .        .         OPEN
FILLED     .     .        .       .     .        .       .      .        .         .
CANCELED   .     .        .       .     .        .       FILLED .        .         .
REJECTED   .     .        .       OPEN  .        .       FILLED .        .         .
EXPIRED    .     .        .       .     .        .       FILLED .        .         .
"""
CELLS = [
    (row.split()[0], event, row.split()[index + 1])
    for row in TABLE.strip().splitlines()
    for index, event in enumerate(EVENTS)
]


def order(status: Status = Status.OPEN, qty: str = "1", filled: str = "0", traded: str = "0") -> Order:
    """An order of a test."""
    return Order(
        client_id=ClientId("g-test-e0-0-0"), venue="spot", symbol="BTC/USDT", bot_id="g", leg_id="e0-0", attempt=0,
        role=Role.ENTRY, side=Side.BUY, kind=Kind.LIMIT, price=D(100), qty=D(qty), filled_qty=D(filled),
        traded_qty=D(traded), status=status, exchange_id="", reason="", created_at=T0, updated_at=T0,
    )  # fmt: skip


@pytest.mark.parametrize(("status", "event", "then"), CELLS)
def test_every_status_answers_every_event(status: str, event: str, then: str) -> None:
    """The table of the code is the table above: 8 statuses, 10 events, no cell left to chance."""
    expected = Status(status) if then == "." else Status(then)
    assert next_status(Status(status), Event(event)) is expected


def test_the_table_above_is_whole() -> None:
    """Every status and every event stands in it."""
    assert {cell[0] for cell in CELLS} == set(Status)
    assert set(EVENTS) == set(Event)
    assert set(TRANSITIONS) == set(Status)


@given(
    st.sampled_from(Status),
    st.lists(st.tuples(st.sampled_from(Event), st.integers(0, 12), st.integers(0, 3)), max_size=12),
)
def test_executed_quantity_never_falls_and_filled_means_filled(
    start: Status, reports: list[tuple[Event, int, int]]
) -> None:
    """Whatever is reported in whatever order: quantity grows, FILLED is what reached its quantity, and stays."""
    now = order(start, "10", "10" if start is Status.FILLED else "0")
    for count, (event, executed, traded) in enumerate(reports):
        then = apply(now, event, after(count), executed=D(executed), traded=D(traded))
        assert then.filled_qty >= now.filled_qty
        assert then.filled_qty >= then.traded_qty
        assert (then.status is Status.FILLED) == (then.filled_qty >= then.qty)
        if now.status is Status.FILLED:
            assert then.status is Status.FILLED
        now = then


@pytest.mark.parametrize(
    ("status", "filled", "traded", "remaining", "unbooked"),
    [
        (Status.PENDING, "0", "0", "1", "1"),
        (Status.OPEN, "0.4", "0.1", "0.6", "0.9"),
        (Status.CANCELING, "0.4", "0.4", "0.6", "0.6"),
        (Status.CANCELED, "0.4", "0.1", "0", "0.3"),
        (Status.FILLED, "1", "1", "0", "0"),
        (Status.REJECTED, "0", "0", "0", "0"),
    ],
)
def test_what_an_order_may_still_change(
    status: Status, filled: str, traded: str, remaining: str, unbooked: str
) -> None:
    """Remaining may still fill; unbooked may still change what is held, trades on their way included."""
    one = order(status, "1", filled, traded)
    assert (one.remaining, one.unbooked) == (D(remaining), D(unbooked))
    assert one.live == (status not in TERMINAL)


@given(
    st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), st.sampled_from(Role), st.integers(0, 1999), st.integers(0, 9999),
    st.integers(0, 999),
)  # fmt: skip
def test_a_client_id_says_what_it_is_for(bot: str, role: Role, place: int, cycle: int, attempt: int) -> None:
    """Bot, token, role, place, cycle and attempt can be read back; the longest fits in 32 characters."""
    name = leg_id(role, place, cycle)
    made = client_id(bot, "t0k3", name, attempt)
    read = decode(made)
    assert read is not None
    assert (read.bot_id, read.token, read.role, read.place, read.cycle, read.attempt) == (
        bot, "t0k3", role, place, cycle, attempt,
    )  # fmt: skip
    assert read.leg_id == name
    assert len(made) <= 32


@pytest.mark.parametrize(
    "text", ["", "x", "g-test-q0-0-0", "G-test-e0-0-0", "g-test-e0-0", "web_abc", "g-test-e0-0-0 "]
)
def test_a_foreign_id_is_not_ours(text: str) -> None:
    """Whatever does not read as an id of this house is none."""
    assert decode(text) is None


@pytest.mark.parametrize("bot", ["toolongid", "a b", ""])
def test_an_id_that_no_venue_would_take_is_refused(bot: str) -> None:
    """A client id outside of the narrowest venue's rules is never made."""
    with pytest.raises(ValueError, match="client id"):
        client_id(bot, "test", "e0-0", 0)


def test_a_target_leg_counts_what_is_on_its_way() -> None:
    """Missing is target less done less pending, signed."""
    assert TargetLeg(leg_id="h0-0", target=D(-3), done=D(-1), pending=D(-1)).missing == Decimal(-1)
