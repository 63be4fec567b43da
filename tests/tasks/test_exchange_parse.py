"""Answers of any exchange become facts in base units, exactly, or are refused with the field that is wrong."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.facts import SeenAs
from core.orders import ClientId
from core.values import Side
from tasks.exchange_parse import contract_size, fill_of, instrument_of, number, seen_of
from tasks.exchange_wire import BadAnswer

D = Decimal
NOW = datetime.fromisoformat("2026-03-01 12:00:00")
SYMBOL = "BTC/USDT:USDT"


def unified_order(**changes: Any) -> dict[str, Any]:
    order = {
        "id": "77", "clientOrderId": "b1-abcd-e0-0-0", "symbol": SYMBOL, "amount": "30", "filled": "10",
        "status": "open",
        "info": {"x": "1"},
    }  # fmt: skip
    return order | changes


def unified_trade(**changes: Any) -> dict[str, Any]:
    trade = {
        "id": "9", "symbol": SYMBOL, "side": "sell", "price": "60000.5", "amount": "3", "timestamp": 1_772_366_400_123,
        "takerOrMaker": "maker", "fee": {"cost": "-0.018", "currency": "USDT"}, "info": {"closedPnl": "1.5"},
    }  # fmt: skip
    return trade | changes


def test_contracts_become_base_units() -> None:
    """An exchange that counts contracts of 0.01 BTC is told of and tells in BTC."""
    size = contract_size({"contract": True, "contractSize": 0.01})
    seen = seen_of(unified_order(), SYMBOL, size, NOW, binance=False)
    assert (seen.executed, seen.status, seen.client_id) == (D("0.10"), SeenAs.OPEN, ClientId("b1-abcd-e0-0-0"))
    fill = fill_of(unified_trade(), "v", SYMBOL, "b1-abcd-e0-0-0", size, swap=True)
    assert (fill.qty, fill.price, fill.fee, fill.settled, fill.side, fill.maker) == (
        D("0.03"), D("60000.5"), D("-0.018"), D("1.5"), Side.SELL, True,
    )  # fmt: skip
    assert fill.ts == datetime.fromisoformat("2026-03-01 12:00:00.123")
    market = {
        "symbol": SYMBOL, "base": "BTC", "quote": "USDT", "contract": True, "swap": True, "contractSize": 0.01,
        "precision": {"amount": "1", "price": "0.10"}, "limits": {"amount": {"min": "1"}, "cost": {"min": None}},
        "maker": 0.0002, "taker": 0.0005,
    }  # fmt: skip
    rules = instrument_of(market, "v", 4, {"taker": D("0.0004")})
    assert (rules.lot_step, rules.min_qty, rules.contract_size, rules.tick_size) == (
        D("0.01"),
        D("0.01"),
        D(1),
        D("0.1"),
    )
    assert (rules.maker, rules.taker) == (D("0.0002"), D("0.0004"))


STATUSES = [
    ("open", "10", SeenAs.OPEN), ("canceling", "10", SeenAs.OPEN), ("closed", "30", SeenAs.FILLED),
    ("closed", "10", SeenAs.CANCELED), ("canceled", "10", SeenAs.CANCELED), ("expired", "0", SeenAs.EXPIRED),
    ("rejected", "0", SeenAs.EXPIRED),
]  # fmt: skip


@pytest.mark.parametrize(("status", "filled", "seen_as"), STATUSES)
def test_unified_statuses_are_read(status: str, filled: str, seen_as: SeenAs) -> None:
    """An order that is closed but not filled was cancelled, whatever it is called."""
    assert seen_of(unified_order(status=status, filled=filled), SYMBOL, D(1), NOW, binance=False).status is seen_as


WRONG_ORDERS: list[dict[str, Any]] = [
    {"status": "odd"}, {"status": None}, {"filled": "31"}, {"filled": None}, {"amount": "NaN"}, {"amount": -1},
    {"symbol": "ETH/USDT"}, {"id": None}, {"id": ""}, {"info": None}, {"amount": 0.1}, {"clientOrderId": "else"},
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG_ORDERS)
def test_an_order_with_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    """No field is guessed, and none of another order is taken."""
    with pytest.raises(BadAnswer):
        seen_of(unified_order(**change), SYMBOL, D(1), NOW, binance=False, client_id="b1-abcd-e0-0-0")


WRONG_TRADES: list[dict[str, Any]] = [
    {"fee": None}, {"fee": {"cost": None, "currency": "USDT"}}, {"fee": {"cost": "1", "currency": None}},
    {"side": None},
    {"price": "0"}, {"amount": "0"}, {"timestamp": None}, {"timestamp": 1_772_366_400}, {"id": None},
    {"symbol": "ETH/USDT:USDT"}, {"info": {"nothing": "1"}}, {"info": None},
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG_TRADES)
def test_a_trade_with_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    """An unknown fee is not zero, an unknown profit of a swap neither, and seconds are no milliseconds."""
    with pytest.raises(BadAnswer):
        fill_of(unified_trade(**change), "v", SYMBOL, "x", D(1), swap=True)


@pytest.mark.parametrize("garbage", [None, [], {}, "text", 7, [{"id": 1}]])
def test_what_is_no_object_is_refused(garbage: Any) -> None:
    """Neither an order nor a trade is made of a list, a text or nothing."""
    with pytest.raises(BadAnswer):
        seen_of(garbage, SYMBOL, D(1), NOW, binance=False)
    with pytest.raises(BadAnswer):
        fill_of(garbage, "v", SYMBOL, "x", D(1), swap=False)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18, min_value=-(10**12), max_value=10**12))
def test_amounts_are_read_to_the_last_digit(amount: Decimal) -> None:
    """What the exchange wrote is what is booked."""
    assert number({"x": f"{amount:f}"}, "x") == amount


@given(
    st.one_of(
        st.none(), st.booleans(), st.floats(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.text())
    )
)
def test_nothing_but_a_number_is_a_number(value: Any) -> None:
    """Any other JSON value is refused or is a finite decimal, never something between."""
    try:
        found = number({"x": value}, "x")
    except BadAnswer:
        return
    assert found.is_finite()
