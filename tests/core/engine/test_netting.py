"""Bots that share one net position: reduce-only as the account allows, funding by what each holds."""

from datetime import timedelta

from core.engine import Place, World, advance
from core.facts import Accepted, Fill, FundingPaid, PositionRead
from core.orders import ClientId
from core.values import Side
from tests.core.worlds import SWAP, T0, D, grid, quote, spec, swap, world


def trade(client_id: str, number: int, side: Side, price: str, qty: str = "0.1") -> Fill:
    """An execution on the perpetual."""
    return Fill(
        venue="perp", symbol=SWAP, trade_id=str(number), client_id=ClientId(client_id), side=side, price=D(price), qty=D(qty),
        fee=D(0), fee_asset="USDT", ts=T0, maker=True,
    )  # fmt: skip


def two_bots() -> World:
    """Two long grids on one perpetual, each with its level at 100 bought: the first 0.1, the second 0.2."""
    bots = [grid(id=name, venue="perp", symbol=SWAP, amount_base=size) for name, size in (("a", "0.1"), ("b", "0.2"))]
    step = advance(world(*[spec(one, swap()) for one in bots]), [PositionRead("perp", SWAP, D(0), T0)], T0)
    step = advance(step.world, [quote("101", T0, swap())], T0)
    sent = [intent.order for intent in step.intents if isinstance(intent, Place)]
    facts = [Accepted(order.client_id, order.client_id, T0) for order in sent]
    fills = [
        trade(f"{name}-test-e2-0-0", i, Side.BUY, "100", size)
        for i, (name, size) in enumerate((("a", "0.1"), ("b", "0.2")))
    ]
    return advance(step.world, [*facts, *fills], T0).world


def exits(before: World) -> dict[str, bool]:
    """The reduce-only flag of each bot's exit."""
    sent: dict[str, bool] = {}
    for bot in before.bots.values():
        for work in bot.works.values():
            if work.order is not None and work.order.leg_id.startswith("x"):
                sent[bot.bot_id] = work.order.reduce_only
    return sent


def test_exits_of_two_bots_are_reduce_only_while_the_position_covers_both() -> None:
    """Each closes its own part of the one net position."""
    assert exits(two_bots()) == {"a": True, "b": True}


def test_an_exit_that_the_position_does_not_cover_is_sent_plainly() -> None:
    """Where a hand has sold part of the position, the venue would refuse a reduce-only exit for ever."""
    bots = [grid(id=name, venue="perp", symbol=SWAP) for name in ("a",)]
    before = advance(world(*[spec(one, swap()) for one in bots]), [PositionRead("perp", SWAP, D(0), T0)], T0).world
    step = advance(before, [quote("101", T0, swap())], T0)
    facts = [Accepted(i.order.client_id, "1", T0) for i in step.intents if isinstance(i, Place)]
    by_hand = trade("hand", 8, Side.SELL, "100", "0.05")
    step = advance(step.world, [*facts, by_hand], T0)
    step = advance(step.world, [trade("a-test-e2-0-0", 9, Side.BUY, "100")], T0 + timedelta(seconds=1))
    assert exits(step.world) == {"a": False}


def test_funding_of_one_position_is_shared_by_what_each_bot_holds() -> None:
    """0.3 held, a third of it by the first: it pays a third, and the parts add up to what the exchange took."""
    paid = FundingPaid("perp", SWAP, D("-1"), "USDT", D("0.0001"), "f1", T0)
    step = advance(two_bots(), [paid], T0 + timedelta(hours=1))
    shares = {entry.bot_id: entry.amount for entry in step.entries if entry.account == "wallet"}
    assert sum(shares.values()) == D(-1)
    assert abs(shares["a"] * 3 + 1) < D("1E-15")
    assert step.world.bots["b"].funding == shares["b"]


def test_funding_of_what_no_bot_holds_is_no_bots() -> None:
    """A short of 0.2 that stood there before stands against 0.3 of the bots: they get what they would alone, it pays its own."""
    bots = [grid(id=name, venue="perp", symbol=SWAP, amount_base=size) for name, size in (("a", "0.1"), ("b", "0.2"))]
    step = advance(world(*[spec(one, swap()) for one in bots]), [PositionRead("perp", SWAP, D("-0.2"), T0)], T0)
    step = advance(step.world, [quote("101", T0, swap())], T0)
    fills = [
        trade(f"{name}-test-e2-0-0", i, Side.BUY, "100", size)
        for i, (name, size) in enumerate((("a", "0.1"), ("b", "0.2")))
    ]
    held = advance(step.world, fills, T0).world
    paid = FundingPaid("perp", SWAP, D("-1"), "USDT", D("0.0001"), "f1", T0)
    after = advance(held, [paid], T0 + timedelta(hours=1))
    shares = {entry.bot_id: entry.amount for entry in after.entries if entry.account == "wallet"}
    assert shares == {"a": D(-1), "b": D(-2), "external": D(2)}
    alone = advance(step.world, [paid], T0 + timedelta(hours=1))
    assert {entry.bot_id for entry in alone.entries if entry.account == "wallet"} == {"external"}
    assert after.world.bots["b"].funding == D(-2)
