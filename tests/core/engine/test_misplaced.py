"""A trade booked to the wrong order shows, though every wallet agrees; a trade between two own bots is booked twice."""

from core.engine import Place, World, advance
from core.facts import Accepted, Fact, Fill, Seen, SeenAs
from core.orders import ClientId
from core.values import Side
from tests.core.worlds import SYMBOL, D, after, grid, instrument, quote, spec, world


def two_bots() -> World:
    """Two grids on one account and symbol, each with its two entries at rest; nothing has traded."""
    rules = instrument()
    bots = [spec(grid(id=name, start_price=96, end_price=100, levels=2), rules) for name in ("a", "b")]
    step = advance(world(*bots), [quote("101")], after(0))
    facts = [
        Accepted(one.order.client_id, one.order.client_id, after(0)) for one in step.intents if isinstance(one, Place)
    ]
    return advance(step.world, facts, after(1)).world


def trade(cid: str, number: str, side: Side, qty: str = "0.1", price: str = "98") -> Fill:
    """One execution."""
    return Fill(
        venue="spot", symbol=SYMBOL, trade_id=number, client_id=ClientId(cid), side=side, price=D(price), qty=D(qty),
        fee=D("0.01"), fee_asset="USDT", ts=after(2), maker=True,
    )  # fmt: skip


def misplaced(before: World, seconds: list[float], *facts: Fact) -> list[str]:
    """Tell the facts at each of these moments; returns the orders of which it is said that a trade is misplaced."""
    now = before
    for at in seconds:
        now = advance(now, facts, after(at)).world
    return sorted(one.subject for one in now.incidents.values() if one.kind == "trade_misplaced")


def test_a_part_booked_to_the_wrong_bot_is_an_incident() -> None:
    """Half of bot a's order is booked to bot b's, which the exchange shows untouched half a minute later."""
    wrong = advance(two_bots(), [trade("b-test-e1-0-0", "7", Side.BUY, "0.05")], after(2)).world
    seen = Seen(ClientId("b-test-e1-0-0"), "1", SeenAs.OPEN, D(0), after(3))
    assert misplaced(wrong, [3, 8], seen) == []
    assert misplaced(wrong, [3, 8, 33], seen) == ["b-test-e1-0-0"]


def test_an_order_that_rests_though_all_of_it_was_booked_is_an_incident() -> None:
    """A whole order's trade booked to another bot's: that one counts as over, and rests at the exchange for ever."""
    wrong = advance(two_bots(), [trade("b-test-e1-0-0", "7", Side.BUY)], after(2)).world
    seen = Seen(ClientId("b-test-e1-0-0"), "1", SeenAs.OPEN, D(0), after(3))
    assert misplaced(wrong, [3, 34], seen) == ["b-test-e1-0-0"]


def test_lists_that_lag_are_no_incident() -> None:
    """A list that shows an order as it was some seconds ago contradicts a trade; once it has caught up, nothing is said."""
    before = advance(two_bots(), [trade("b-test-e1-0-0", "7", Side.BUY, "0.05")], after(2)).world
    late = Seen(ClientId("b-test-e1-0-0"), "1", SeenAs.OPEN, D(0), after(3))
    before = advance(before, [late], after(3)).world
    before = advance(before, [Seen(late.client_id, "1", SeenAs.OPEN, D("0.05"), after(8))], after(8)).world
    again = advance(before, [trade("b-test-e1-0-0", "8", Side.BUY, "0.01")], after(60)).world
    assert misplaced(again, [61], Seen(late.client_id, "1", SeenAs.OPEN, D("0.05"), after(61))) == []


def test_a_trade_between_two_own_bots_is_booked_once_for_each() -> None:
    """One trade id, two sides: each bot books its own, told twice or not, and the wallet loses the two fees alone."""
    start = two_bots()
    bought = advance(start, [trade("a-test-e1-0-0", "7", Side.BUY)], after(2)).world
    both = [trade("a-test-x1-0-0", "9", Side.SELL, price="100"), trade("b-test-e1-0-0", "9", Side.BUY, price="100")]
    step = advance(bought, [*both, *both], after(3))
    assert [(owner, fill.side) for owner, fill in step.fills] == [("a", Side.SELL), ("b", Side.BUY)]
    assert (step.world.bots["a"].inventory, step.world.bots["b"].inventory) == (D(0), D("0.1"))
    moved = {asset: step.world.wallet[key] - bought.wallet[key] for key in step.world.wallet for asset in [key[1]]}
    assert (moved["BTC"], moved["USDT"]) == (D(0), D("-0.02"))
    assert advance(step.world, both, after(4)).fills == ()
