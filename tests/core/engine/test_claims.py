"""A position that no bot holds, handed to one: a lot at the exchange's price, booked against external, closed like any."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from core.engine import Limits, Place, Step, World, advance
from core.facts import Action, Command, PositionRead
from core.values import Side
from tests.core.engine.test_netting import two_bots
from tests.core.worlds import SWAP, T0, D, after, grid, quote, spec, swap, world


def read(qty: str, at: datetime = T0, price: str | None = "90") -> PositionRead:
    """What the exchange tells of the position."""
    return PositionRead("perp", SWAP, D(qty), at, None if price is None else D(price))


def opened(qty: str = "0.3", **changes: Any) -> World:
    """A long grid on a perpetual whose position was there before it."""
    values: dict[str, Any] = {"venue": "perp", "symbol": SWAP}
    ready = spec(grid(**(values | changes)), swap())
    begun = advance(world(ready, limits=Limits(max_drawdown=D("0.5"))), [read(qty)], T0)
    return advance(begun.world, [quote("101", T0, swap())], T0).world


def say(before: World, *facts: Any, number: int = 7, action: Action = Action.CLAIM) -> Step:
    """The word, said at second 5 beside what is read then."""
    word = Command(number, "g", action, "", "ann", "mine", after(5))
    return advance(before, [word, quote("101", after(5), swap()), *facts], after(5))


def reason(step: Step) -> str:
    """What the journal says of the word."""
    (row,) = [row for row in step.journal if row.subject == "control"]
    return row.reason


def test_a_foreign_position_becomes_a_lot_at_the_exchanges_price() -> None:
    """Lot, cost, exposure and ledger; nothing is traded, and bots and external together still hold what the exchange does."""
    before = opened()
    step = say(before, read("0.3", after(5)))
    (lot,) = step.lots
    assert (lot.lot_id, lot.side, lot.qty, lot.cost, lot.realized) == ("claim-7", Side.BUY, D("0.3"), D("27.0"), 0)
    bot = step.world.bots["g"]
    assert (bot.inventory, bot.cost, bot.exposure - before.bots["g"].exposure) == (D("0.3"), D(27), D(27))
    booked = [(one.bot_id, one.account, one.amount, one.kind) for one in step.entries]
    assert booked == [
        ("g", "position", D("0.3"), "claim"), ("g", "external", D("-0.3"), "claim"),
        ("", "position", D("-0.3"), "claim"), ("", "external", D("0.3"), "claim"),
    ]  # fmt: skip
    assert step.world.positions["perp", SWAP] == D("0.3")
    assert reason(step) == f"long 0.3 {SWAP} taken over at 90 as lot claim-7 (ann: mine)"


def test_what_it_had_won_before_is_no_rise_of_the_bot() -> None:
    """The peaks from which drawdown is measured move by what the position brought with it."""
    before = opened(max_drawdown="0.5")
    after_it = say(before, read("0.3", after(5))).world
    brought = (D(101) - D(90)) * D("0.3")
    peaks = [before.peak, before.bots["g"].peak]
    assert None not in peaks
    assert [after_it.peak, after_it.bots["g"].peak] == [one + brought for one in peaks if one is not None]


def test_taken_over_it_is_closed_like_any_other() -> None:
    """`flatten` closes it at the market with a reducing order; a second claim finds nothing."""
    claimed = say(opened(), read("0.3", after(5))).world
    assert reason(say(claimed, read("0.3", after(5)), number=8)).startswith("not applied: there is no foreign position")
    word = Command(9, "g", Action.FLATTEN, "", "ann", "", after(6))
    step = advance(claimed, [word, quote("101", after(6), swap()), read("0.3", after(6))], after(6))
    for _ in range(3):
        sold = [i.order for i in step.intents if isinstance(i, Place) and i.order.side is Side.SELL]
        if sold:
            break
        step = advance(step.world, [quote("101", after(7), swap())], after(7))
    assert [(one.qty, one.reduce_only) for one in sold] == [(D("0.3"), True)]


def test_only_what_no_bot_holds_is_taken() -> None:
    """Of two bots on one position one takes the foreign rest; the other's lots stay its own."""
    both = replace(two_bots(), positions={("perp", SWAP): D("0.5")})
    word = Command(1, "a", Action.CLAIM, "", "ann", "", after(5))
    step = advance(both, [word, quote("101", after(5), swap()), read("0.5", after(5))], after(5))
    assert {name: bot.inventory for name, bot in step.world.bots.items()} == {"a": D("0.3"), "b": D("0.2")}


@pytest.mark.parametrize(
    ("held", "facts", "says"),
    [
        ("0.3", [], "was not read in this tick"),
        ("0.3", [read("0.4", after(5))], "holds 0.4, the ledger 0.3"),
        ("0", [read("0", after(5))], "no foreign position"),
        ("0.3", [read("0.3", after(5), None)], "no entry price"),
        ("-0.3", [read("-0.3", after(5))], "is short, the bot is not"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_is_said(held: str, facts: list[Any], says: str) -> None:
    """Nothing is booked and no lot appears; the journal names the reason."""
    step = say(opened(held), *facts)
    assert says in reason(step)
    assert reason(step).startswith("not applied")
    assert (step.lots, step.entries) == ((), ())


def test_coins_are_no_position() -> None:
    """On spot the word says how coins are taken."""
    begun = advance(world(spec(grid(), swap(venue="spot", symbol="BTC/USDT", swap=False))), [quote("101")], T0)
    word = Command(1, "g", Action.CLAIM, "", "ann", "", after(5))
    step = advance(begun.world, [word, quote("101", after(5))], after(5))
    assert "initial_inventory: owned" in reason(step)
    assert Decimal(0) == step.world.bots["g"].inventory
