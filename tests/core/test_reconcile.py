"""Which orders and trades must be asked for, given what is known and what a list shows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.engine import World
from core.facts import Seen, SeenAs
from core.orders import ClientId, Order, Status
from core.reconcile import TRADE_OVERLAP_S, changed, ours, to_ask, trades_due, trades_since
from core.working import Work
from tests.core.test_orders import order
from tests.core.worlds import SYMBOL, T0, after, grid, instrument, spec, swap, world

CID = ClientId("g-test-e0-0-0")
NOBODY: frozenset[ClientId] = frozenset()


def known(*orders: Order) -> World:
    """A world in which these orders are under work, and another bot trades elsewhere."""
    other = spec(grid(id="p", venue="perp", symbol=swap().symbol), swap())
    empty = world(spec(grid(), instrument()), other)
    works = {one.leg_id: Work(None, one, one.filled_qty, 1) for one in orders}
    return replace(empty, bots=empty.bots | {"g": replace(empty.bots["g"], works=works)})


@pytest.mark.parametrize("status", list(Status))
def test_what_is_alive_and_not_listed_is_asked_for(status: Status) -> None:
    """Every live status, PENDING and UNKNOWN among them; what is over is not asked for again."""
    have = known(order(status))
    asked = to_ask(have, "spot", NOBODY, T0)
    assert [one.client_id for one in asked] == ([CID] if order(status).live else [])
    assert to_ask(have, "spot", frozenset({CID}), T0) == ()
    assert to_ask(have, "perp", NOBODY, T0) == ()


def test_the_longest_unheard_of_is_asked_for_first() -> None:
    """Where requests run short, nobody starves."""
    old = replace(order(), client_id=ClientId("g-test-e1-0-0"), leg_id="e1-0", updated_at=T0 - timedelta(seconds=9))
    assert [one.leg_id for one in to_ask(known(order(), old), "spot", NOBODY, T0)] == ["e1-0", "e0-0"]
    assert set(ours(known(order(), old), "spot")) == {CID, "g-test-e1-0-0"}


@pytest.mark.parametrize(
    ("have", "status", "executed", "news"),
    [
        (order(), SeenAs.OPEN, "0", False),
        (order(), SeenAs.OPEN, "0.1", True),
        (order(filled="0.1", traded="0.1"), SeenAs.OPEN, "0.1", False),
        (order(filled="0.1"), SeenAs.OPEN, "0.1", True),
        (order(), SeenAs.CANCELED, "0", True),
        (order(Status.FILLED, filled="1", traded="1"), SeenAs.FILLED, "1", False),
    ],
)
def test_what_is_seen_otherwise_than_known_is_news(have: Order, status: SeenAs, executed: str, news: bool) -> None:
    """More executed than booked, or over: the trades are due."""
    seen = Seen(CID, "1", status, type(have.qty)(executed), T0)
    assert changed(known(have), "spot", [seen]) == (frozenset({CID}) if news else NOBODY)
    assert changed(known(), "spot", [seen]) == NOBODY


@pytest.mark.parametrize(
    ("have", "moved", "walked_s", "due"),
    [
        (order(), NOBODY, -299, ()),
        (order(), NOBODY, -300, (SYMBOL,)),
        (order(), NOBODY, None, (SYMBOL,)),
        (order(), frozenset({CID}), -1, (SYMBOL,)),
        (order(filled="0.1"), NOBODY, -1, (SYMBOL,)),
        (order(Status.FILLED, filled="1", traded="0.5"), NOBODY, -1, (SYMBOL,)),
    ],
)
def test_trades_are_read_when_something_moved(
    have: Order, moved: frozenset[ClientId], walked_s: float | None, due: tuple[str, ...]
) -> None:
    """An order in the news, trades still missing, or a full walk that is five minutes old."""
    walked = {} if walked_s is None else {SYMBOL: after(walked_s)}
    assert trades_due(known(have), "spot", moved, T0, walked=walked) == due


def test_a_balance_that_differs_makes_its_symbols_due() -> None:
    """The missing trade may belong to nobody's order."""
    have = replace(known(order()), suspects={("spot", "USDT"): order().qty})
    assert trades_due(have, "spot", NOBODY, T0, walked={SYMBOL: T0}) == (SYMBOL,)
    assert trades_due(have, "perp", NOBODY, T0, walked={swap().symbol: T0}) == ()


@pytest.mark.parametrize(
    ("have", "walked_s", "since_s"),
    [
        (order(), -10, -10),
        (order(filled="0.1"), 50, 0),
        (order(), None, -300),
        (replace(order(), created_at=after(-9000)), None, -9000),
    ],
    ids=["last walk", "trades missing", "first walk", "first walk after a long stop"],
)
def test_trades_are_read_with_an_overlap(have: Order, walked_s: float | None, since_s: float) -> None:
    """From the last walk, or from the order whose trades are missing, and always a minute further back."""
    walked = None if walked_s is None else after(walked_s)
    since = trades_since(known(have), "spot", SYMBOL, T0, walked=walked)
    assert since == after(since_s - TRADE_OVERLAP_S)
