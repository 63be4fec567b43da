"""Double entry: what each kind of event posts, and that nothing unbalanced can be numbered."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.facts import Fill, FundingPaid
from core.ledger import Numbering, Posting, check_balanced, fill_postings, funding_postings, number, transfer_postings
from core.orders import ClientId
from core.values import Side
from tests.core.worlds import SWAP, SYMBOL, T0, D, instrument, swap


def fill(**changes: object) -> Fill:
    """A purchase of 0.1 at 100 with a fee of 0.02 quote."""
    values: dict[str, object] = {
        "venue": "spot", "symbol": SYMBOL, "trade_id": "1", "client_id": ClientId("g-test-e0-0-0"), "side": Side.BUY,
        "price": D(100), "qty": D("0.1"), "fee": D("0.02"), "fee_asset": "USDT", "ts": T0, "maker": True,
    }  # fmt: skip
    return Fill(**(values | changes))  # type: ignore[arg-type]


def sums(postings: tuple[Posting, ...]) -> dict[tuple[str, str], Decimal]:
    """Add postings up by account and asset."""
    found: dict[tuple[str, str], Decimal] = {}
    for line in postings:
        found[line.account, line.asset] = found.get((line.account, line.asset), D(0)) + line.amount
    return found


@pytest.mark.parametrize(
    ("changes", "wallet"),
    [
        ({}, {"BTC": "0.1", "USDT": "-10.02"}),
        ({"side": Side.SELL}, {"BTC": "-0.1", "USDT": "9.98"}),
        ({"fee": D("0.0001"), "fee_asset": "BTC"}, {"BTC": "0.0999", "USDT": "-10.0"}),
        ({"fee": D("0.001"), "fee_asset": "BNB"}, {"BTC": "0.1", "USDT": "-10.0", "BNB": "-0.001"}),
        ({"fee": D("-0.01")}, {"BTC": "0.1", "USDT": "-9.99"}),
    ],
    ids=["buy", "sell", "fee in base", "fee in a third asset", "rebate"],
)
def test_a_spot_trade_moves_both_wallets(changes: dict[str, object], wallet: dict[str, str]) -> None:
    """Base against quote, and the fee in whatever it was paid in."""
    found = sums(fill_postings(fill(**changes), instrument()))
    assert {asset: amount for (account, asset), amount in found.items() if account == "wallet"} == {
        asset: D(amount) for asset, amount in wallet.items()
    }


def test_a_swap_trade_moves_a_position_and_settles_cash() -> None:
    """No base changes hands: the position moves, realised cash and the fee reach the wallet."""
    found = sums(fill_postings(fill(symbol=SWAP, side=Side.SELL, settled=D(3)), swap()))
    assert found["position", SWAP] == D("-0.1")
    assert found["wallet", "USDT"] == D("2.98")
    assert found["settled", "USDT"] == D(-3)
    assert ("wallet", "BTC") not in found


def test_funding_and_transfers_have_accounts_of_their_own() -> None:
    """Received funding and deposits are positive in the wallet, and named on the other side."""
    paid = FundingPaid("perp", SWAP, D("-1.5"), "USDT", D("0.0001"), "f1", T0)
    assert sums(funding_postings(paid)) == {("wallet", "USDT"): D("-1.5"), ("funding", "USDT"): D("1.5")}
    assert sums(transfer_postings("BTC", D(2))) == {("wallet", "BTC"): D(2), ("external", "BTC"): D(-2)}


AMOUNTS = st.decimals(min_value="0.00000001", max_value="1000000", places=8)


@given(
    AMOUNTS, AMOUNTS, st.decimals("-1", "1", places=8), st.sampled_from(["BTC", "USDT", "BNB"]), st.sampled_from(Side)
)
def test_every_trade_balances_in_every_asset(
    price: Decimal, qty: Decimal, fee: Decimal, asset: str, side: Side
) -> None:
    """Σ = 0 per asset, whatever the numbers, on spot and on a swap."""
    one = fill(price=price, qty=qty, fee=fee, fee_asset=asset, side=side)
    check_balanced(fill_postings(one, instrument()))
    check_balanced(fill_postings(replace(one, symbol=SWAP, settled=fee), swap()))


def test_rows_are_numbered_without_gaps() -> None:
    """Each transaction takes the next number, each line the next sequence number."""
    at = Numbering()
    first, at = number(transfer_postings("USDT", D(5)), at, ts=T0, bot_id="", venue="spot", kind="t", ref="a")
    second, at = number(fill_postings(fill(), instrument()), at, ts=T0, bot_id="g", venue="spot", kind="fill", ref="b")
    assert [entry.seq for entry in (*first, *second)] == list(range(1, at.seq))
    assert {entry.txn_id for entry in first} == {1}
    assert {entry.txn_id for entry in second} == {2}


def test_an_unbalanced_transaction_stops_everything() -> None:
    """It can only be a fault of this house, so it is no fact but an error."""
    with pytest.raises(ArithmeticError, match="1 USDT left over"):
        number([Posting("wallet", "USDT", D(1))], Numbering(), ts=T0, bot_id="", venue="v", kind="k", ref="r")
