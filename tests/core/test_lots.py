"""Lots keep cost and quantity exactly over any sequence of partial exits."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.lots import Lot, enlarge, fee_in_quote, net_qty, reduce, split_oldest_first, unrealized
from core.orders import Role
from core.values import Side, exact_product
from tests.core.test_ledger import fill
from tests.core.worlds import T0, D, instrument, swap


def lot(side: Side = Side.BUY, qty: str = "0.3", price: str = "100", name: str = "0-0", age_s: int = 0) -> Lot:
    """A lot that one fill opened."""
    opening = fill(side=side, qty=D(qty), price=D(price), ts=T0 - timedelta(seconds=age_s))
    return enlarge(None, name, "g", opening, D(qty), D("0.01"))


@pytest.mark.parametrize(("side", "profit"), [(Side.BUY, "0.6"), (Side.SELL, "-0.6")])
def test_a_round_trip_earns_the_difference(side: Side, profit: str) -> None:
    """Bought at 100 and sold at 102, 0.3 earn 0.6 before fees; the mirror image loses it."""
    done = reduce(lot(side), D(102), D("0.3"), D("0.02"), Role.EXIT, T0)
    assert (done.realized, done.grid_profit, done.fees, done.open) == (D(profit), D(profit), D("0.03"), False)


def test_profit_of_an_unwind_is_no_grid_profit() -> None:
    """Only the lot's own exit makes grid profit; a stop realises without it."""
    done = reduce(lot(), D(98), D("0.3"), D(0), Role.UNWIND, T0)
    assert (done.realized, done.grid_profit) == (D("-0.6"), D(0))


@given(
    st.sampled_from(Side),
    st.lists(st.tuples(st.integers(1, 500), st.decimals("0.01", "99999", places=2)), min_size=1, max_size=8),
    st.decimals("0.01", "99999", places=2),
)
def test_any_sequence_of_exits_is_exact(side: Side, exits: list[tuple[int, Decimal]], price: Decimal) -> None:
    """Realised profit over a lot's life is proceeds less cost, to the last digit; nothing is left of its cost."""
    whole = D(sum(part for part, _ in exits)) / 1000
    one = lot(side, str(whole), str(price))
    proceeds = sum((exact_product(at, D(part) / 1000) for part, at in exits), D(0))
    for part, at in exits:
        one = reduce(one, at, D(part) / 1000, D(0), Role.EXIT, T0)
    assert one.realized == (proceeds - exact_product(price, whole)) * side.sign
    assert (one.qty, one.cost, one.exits) == (0, 0, len(exits))


def test_a_lot_grows_with_the_fills_of_its_entry() -> None:
    """Quantity, cost and fees add up; no average is kept."""
    grown = enlarge(lot(), "0-0", "g", fill(price=D(90)), D("0.1"), D("0.5"))
    assert (grown.qty, grown.cost, grown.fees, grown.opened_qty) == (D("0.4"), D(39), D("0.51"), D("0.4"))
    assert unrealized(grown, D(100)) == D(1)


def test_closing_quantity_is_spread_oldest_first() -> None:
    """The oldest lots go first, and what no lot can take is said."""
    lots = [lot(name="young"), lot(name="old", age_s=60)]
    parts, over = split_oldest_first(lots, D("0.4"))
    assert [(one.lot_id, qty) for one, qty in parts] == [("old", D("0.3")), ("young", D("0.1"))]
    assert over == 0
    assert split_oldest_first(lots, D(1))[1] == D("0.4")


@pytest.mark.parametrize(
    ("asset", "fee", "side", "quote", "net"),
    [
        ("USDT", "0.02", Side.BUY, "0.02", "0.1"),
        ("BTC", "0.0001", Side.BUY, "0.01", "0.0999"),
        ("BTC", "0.0001", Side.SELL, "0.01", "0.1001"),
        ("BNB", "0.001", Side.BUY, None, "0.1"),
    ],
)
def test_what_a_fee_does_to_quantity_and_worth(asset: str, fee: str, side: Side, quote: str | None, net: str) -> None:
    """A fee in base shrinks a purchase and costs a sale more; in a third asset it needs a rate from elsewhere."""
    one = fill(fee=D(fee), fee_asset=asset, side=side)
    worth = fee_in_quote(one, instrument())
    assert worth == (None if quote is None else D(quote))
    assert net_qty(one, instrument()) == D(net)
    assert net_qty(one, swap()) == D("0.1")


def test_what_is_spared_is_taken_last() -> None:
    """Held back as long as anything else is left; a lot is named once, whatever it gave in two turns."""
    lots = [lot(name="young"), lot(name="old", age_s=60)]
    parts, over = split_oldest_first(lots, D("0.4"), {"old": D("0.2"), "young": D("0.1")})
    assert [(one.lot_id, qty) for one, qty in parts] == [("old", D("0.2")), ("young", D("0.2"))]
    assert over == 0
    assert split_oldest_first(lots, D(1), {"old": D("0.3")})[1] == D("0.4")
