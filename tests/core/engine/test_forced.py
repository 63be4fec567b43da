"""What an exchange closes in our name: every bot on the position bears its part, and stands still afterwards."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from core.engine import Mode, Place, advance
from core.engine.forced import parts_of
from core.values import ZERO, Side
from tests.core.engine.test_netting import trade, two_bots
from tests.core.worlds import D, after, quote, swap


def test_a_liquidation_takes_each_bots_part_and_latches_both() -> None:
    """0.15 of 0.3 closed: a third of it from the first; both wait for a release, and an incident names each."""
    step = advance(two_bots(), [trade("autoclose-1", 50, Side.SELL, "60", "0.15")], after(5))
    bots = step.world.bots
    assert (bots["a"].inventory, bots["b"].inventory) == (D("0.05"), D("0.1"))
    assert {bot.mode for bot in bots.values()} == {Mode.TRIPPED}
    assert {incident.kind for incident in step.raised} == {"liquidated"}
    assert step.world.positions["perp", "BTC/USDT:USDT"] == D("0.15")
    assert bots["a"].realized == D("0.05") * (60 - 100)


def test_nothing_that_was_liquidated_is_offered_again() -> None:
    """The exits follow what is left: a bot that lost all of its lots offers none."""
    step = advance(two_bots(), [trade("autoclose-1", 50, Side.SELL, "60", "0.3")], after(5))
    step = advance(step.world, [quote("60", after(6), swap())], after(6))
    wanted = [w.leg for bot in step.world.bots.values() for w in bot.works.values() if w.leg is not None]
    assert not [leg for leg in wanted if leg.leg_id.startswith("x")]
    assert not [i for i in step.intents if isinstance(i, Place)]


def test_a_liquidation_is_booked_once() -> None:
    """The same trade read again changes nothing."""
    told = trade("adl_autoclose", 50, Side.SELL, "60", "0.15")
    once = advance(two_bots(), [told], after(5)).world
    again = advance(once, [told], after(6)).world
    assert again.bots["a"].inventory == once.bots["a"].inventory
    assert again.positions == once.positions


def test_more_than_we_hold_is_not_ours() -> None:
    """A trade on the other side of what is held belongs to a stranger's position."""
    step = advance(two_bots(), [trade("autoclose-2", 51, Side.BUY, "60", "0.1")], after(5))
    assert step.world.bots["a"].inventory == D("0.1")
    assert {incident.kind for incident in step.raised} == {"foreign_trade"}


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 999), min_size=1), st.data())
def test_the_parts_sum_to_the_trade(lots: dict[str, int], data: st.DataObject) -> None:
    """In whole lot steps, none more than its bot holds, and together exactly what was closed."""
    step = Decimal("0.001")
    held = {name: count * step for name, count in lots.items()}
    qty = data.draw(st.integers(1, sum(lots.values()))) * step
    parts = parts_of(qty, held, step)
    assert sum(parts.values(), ZERO) == qty
    assert all(ZERO < part <= held[name] and part % step == 0 for name, part in parts.items())
