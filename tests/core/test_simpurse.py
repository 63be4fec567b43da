"""What a simulated account owns: when a position is gone, what it costs, and that nothing else costs more."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.facts import SeenAs
from core.orders import ClientId, Kind, Order, Role, Status
from core.simbook import FillRules
from core.simulation import Account
from core.values import Side
from tests.core.worlds import SWAP, D, after, swap


def order(client_id: str, side: Side, price: str | None, qty: str, **changes: Any) -> Order:
    """An order on the perpetual."""
    values: dict[str, Any] = {
        "client_id": ClientId(client_id), "venue": "perp", "symbol": SWAP, "bot_id": "b", "leg_id": "e0-0", "attempt": 0,
        "role": Role.ENTRY, "side": side, "kind": Kind.LIMIT, "price": None if price is None else D(price), "qty": D(qty),
        "filled_qty": D(0), "traded_qty": D(0), "status": Status.PENDING, "exchange_id": "", "reason": "",
        "created_at": after(0), "updated_at": after(0),
    }  # fmt: skip
    return Order(**(values | changes))


def holding(side: Side, leverage: int, price: str = "100") -> Account:
    """An account that holds one unit, bought or sold at a price."""
    at = Account("perp", {SWAP: swap(maker=D(0), taker=D(0))}, FillRules(cross=False), {"USDT": D(1000)}, leverage)
    at.jump(SWAP, D(price), after(0))
    at.place(order("b-test-e0-0-0", side, None, "1", kind=Kind.MARKET), after(0))
    at.drain()
    return at


@pytest.mark.parametrize(
    ("side", "leverage", "low", "high"),
    [
        (Side.BUY, 1, None, None),
        (Side.BUY, 10, "90.4522613065", None),
        (Side.SELL, 1, None, "199.0049751244"),
        (Side.SELL, 5, None, "119.4029850746"),
    ],
)
def test_where_a_position_is_liquidated(side: Side, leverage: int, low: str | None, high: str | None) -> None:
    """Cost less margin over one less the maintenance rate for a long, the mirror of it for a short; an unlevered long never."""
    found = holding(side, leverage).liquidation(SWAP)
    shown = tuple(None if one is None else str(one.quantize(D("1E-10"))) for one in found)
    assert shown == (low, high)


def test_a_liquidated_position_costs_its_margin_and_its_orders() -> None:
    """Ten times levered at 100: gone at 90.45, for ten quote, with every order of the symbol; then nothing is held."""
    at = holding(Side.BUY, 10)
    exit_ = order("b-test-x0-0-0", Side.SELL, "101", "1", reduce_only=True)
    at.place(exit_, after(1))
    at.move(SWAP, D("91"), after(2))
    assert at.swaps[SWAP].qty == 1
    at.move(SWAP, D("80"), after(3))
    touched, trades = at.drain()
    assert [trade.client_id.startswith("autoclose-") for trade in trades] == [True]
    assert at.balances["USDT"] == D(990)
    assert touched[exit_.client_id].status is SeenAs.CANCELED
    assert at.swaps[SWAP].qty == 0


def test_the_search_for_the_next_bar_stops_at_a_liquidation() -> None:
    """A jump over bars must not fly over the price at which the position is gone."""
    low, high = holding(Side.BUY, 10).edges(SWAP)
    assert (low is not None and low.quantize(D("0.01")), high) == (D("90.45"), None)


def test_a_reduce_only_order_never_turns_a_position_round() -> None:
    """With nothing held it expires; with less held than asked for it sells what is there."""
    at = holding(Side.BUY, 1)
    at.place(order("b-test-x0-0-0", Side.SELL, "105", "3", reduce_only=True), after(1))
    at.place(order("b-test-x1-0-0", Side.SELL, "106", "1", reduce_only=True), after(1))
    at.move(SWAP, D(110), after(2))
    touched, trades = at.drain()
    assert [trade.qty for trade in trades] == [D(1)]
    assert {one.status for one in touched.values()} == {SeenAs.EXPIRED}
    assert at.swaps[SWAP].qty == 0


@given(st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 50), st.lists(st.integers(50, 20_000), min_size=1))
def test_a_position_never_loses_more_than_its_margin(side: Side, leverage: int, cents: list[int]) -> None:
    """Whatever path the price takes, the account keeps all that was not margin, to the tick of the bankruptcy price."""
    at = holding(side, leverage)
    for i, price in enumerate(cents):
        at.move(SWAP, D(price) / 100, after(1 + i))
    margin = D(100) / Decimal(leverage)
    assert at.balances["USDT"] >= 1000 - margin - D("0.01")
