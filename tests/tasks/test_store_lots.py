"""What an execution realised: by a bot's exit, by an entry that nets, by the exchange in the bot's name."""

from typing import Any

import pytest

from core.engine import Step
from core.facts import Fill
from core.lots import Lot, enlarge, reduce
from core.orders import ClientId, Role
from core.values import ZERO, Side
from tasks.store_lots import LotChange, realized_by_fill
from tests.core.worlds import SWAP, D, after, world


def fill(client_id: str, side: Side, price: int, trade_id: str) -> Fill:
    """One of 0.1 on the swap."""
    return Fill(
        venue="perp", symbol=SWAP, trade_id=trade_id, client_id=ClientId(client_id), side=side, price=D(price),
        qty=D("0.1"), fee=ZERO, fee_asset="USDT", ts=after(1), maker=True,
    )  # fmt: skip


def step_of(*fills: tuple[str, Fill]) -> Step:
    """A step in which nothing but these was booked."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("intents", "journal", "orders", "entries", "lots", "levels", "bots", "resolved", "raised"), ()
    )
    return Step(world=world(), fills=fills, **nothing)


@pytest.mark.parametrize("closer", ["g-test-x0-0-0", "g-test-e5-0-0", "g-test-u0-1-0", "autoclose-7", "adl_autoclose"])
def test_whoever_closes_a_lot_realises_its_profit(closer: str) -> None:
    """An exit, an entry of a bot with one net position, an unwind, a liquidation and deleveraging alike."""
    bought = fill("g-test-e0-0-0", Side.BUY, 100, "1")
    lot: Lot = enlarge(None, "0-0", "g", bought, D("0.1"), ZERO)
    closed = reduce(lot, D(110), D("0.1"), ZERO, Role.EXIT, after(2))
    sold = fill(closer, Side.SELL, 110, "2")
    others = fill("h-test-x0-0-0", Side.SELL, 110, "3")
    made = step_of(("g", bought), ("h", others), ("g", sold))
    assert realized_by_fill(made, [LotChange(closed, lot)]) == {2: D(1)}
