"""Starting with coins that the account already holds: taken over as lots, declared in the ledger, sold at the levels."""

from typing import Any

import pytest

from core.engine import Step, advance
from core.engine.world import World
from core.facts import BalanceRead, Fact, Fill
from core.machines.grid.adoption import adopted
from core.machines.grid.state import Closing
from core.recovery import Past, RebuildRefused
from core.values import Side, total
from tests.core.machines.grid.test_entries import plan
from tests.core.transcript import Script
from tests.core.worlds import T0, D, account, after, candles, floating, grid, instrument, quote, run, spec, world
from tests.simulation.memory import Memory

# Levels at 96, 98, 100, 102 of 0.1 each; at 99 the upper two are through the market.


def owned(**changes: Any) -> Any:
    """The usual grid with coins to start from."""
    return grid(initial_inventory="owned", **({"owned_base": "0.15"} | changes))


def begun(held: str = "1", **changes: Any) -> tuple[Step, World]:
    """Its first advance, with so much of the coin in the account."""
    ready = spec(owned(**changes), instrument())
    facts: list[Fact] = [BalanceRead("spot", "BTC", D(held), T0), BalanceRead("spot", "USDT", D(1000), T0)]
    step = advance(world(ready), [*facts, quote("99")], T0)
    return step, step.world


@pytest.mark.parametrize(("price", "cost"), [(None, "99"), (80, "80")])
def test_coins_already_held_are_offered_by_the_levels_above(price: int | None, cost: str) -> None:
    """0.1 exits at 102, 0.05 at 104; the cost is the price given or the present one; nothing is bought for them."""
    step, now = begun(owned_price=price)
    bot = now.bots["g"]
    assert {lot.lot_id: (lot.qty, lot.cost) for lot in bot.lots.values()} == {
        "2-0": (D("0.1"), D(cost) / 10), "3-0": (D("0.05"), D(cost) / 20),
    }  # fmt: skip
    sent = {one.order.leg_id: (one.order.side, one.order.qty, one.order.price) for one in step.intents}
    assert sent["x2-0"] == (Side.SELL, D("0.1"), 102)
    assert sent["x3-0"] == (Side.SELL, D("0.05"), 104)
    assert set(sent) == {"e0-0", "e1-0", "x2-0", "x3-0"}


def test_the_ledger_declares_a_transfer_from_external() -> None:
    """The bot's sub-ledger gains the coins, nobody's loses them, and the wallet is what the exchange says."""
    step, now = begun()
    assert now.wallet["spot", "BTC"] == 1
    mine = [e for e in step.entries if e.kind == "transfer"]
    assert total(e.amount for e in mine if e.bot_id == "g" and e.account == "wallet") == D("0.15")
    assert total(e.amount for e in mine if e.bot_id == "" and e.account == "wallet") == D("-0.15")
    assert total(e.amount for e in mine) == 0


def test_coins_that_are_not_there_are_not_taken() -> None:
    """An incident says what is free; no exit is sent for coins of somebody else."""
    step, now = begun(held="0.12")
    assert [one.kind for one in step.raised] == ["claim_refused"]
    assert now.bots["g"].inventory == D("0.1")
    assert "x3-0" not in {one.order.leg_id for one in step.intents}


def test_a_sold_level_buys_back_and_profit_counts_from_the_price() -> None:
    """0.1 taken at 99 and sold at 102 earns 0.3; then the level buys as any other."""
    _, now = begun()
    sold = Fill(
        venue="spot", symbol="BTC/USDT", trade_id="1", client_id="g-test-x2-0-0", side=Side.SELL, price=D(102),  # type: ignore[arg-type]
        qty=D("0.1"), fee=D(0), fee_asset="USDT", ts=after(1), maker=True,
    )  # fmt: skip
    step = advance(now, [sold, quote("102", after(1))], after(1))
    assert step.world.bots["g"].realized == D("0.3")
    assert "e2-1" in {one.order.leg_id for one in step.intents}


def test_barriers_see_what_was_taken_over() -> None:
    """Taken at 120, the stop loss fires with the second look."""
    _, now = begun(owned_price=120, triple_barrier={"stop_loss": "0.1"})
    step = advance(now, [quote("99", after(1))], after(1))
    assert isinstance(step.world.bots["g"].state.phase, Closing)


def test_it_survives_a_restart() -> None:
    """From the store: the same lots, levels and ledger."""
    ready = spec(owned(), instrument())
    memory = Memory({"g": ready}, world(ready).limits)
    step, now = begun()
    memory.commit(step, T0)
    assert memory.load().bots["g"].state == now.bots["g"].state
    assert memory.load().bots["g"].lots == now.bots["g"].lots


def test_a_whole_run_balances() -> None:
    """Over a random walk: lots, inventory, wallet and equity agree to the last digit."""
    rules = instrument()
    at = account(rules, USDT=1000, BTC=1)
    start = advance(
        world(spec(owned(), rules)), [BalanceRead("spot", a, n, T0) for a, n in at.balances.items()], T0
    ).world
    series = candles([(-1) ** (i // 7) * 60 for i in range(400)], 9900)
    done = run(start, at, series)
    bot, mark = done.result.world.bots["g"], at.prices[rules.symbol]
    assert done.fills
    assert at.balances["BTC"] - 1 + D("0.15") == bot.inventory
    worth = at.balances["USDT"] - 1000 + at.balances["BTC"] * mark - mark
    # From the claim on: what the coins taken over were worth then was put in.
    assert worth - D("0.15") * (D(99) - mark) == bot.realized + floating([bot], mark) - bot.fees


def test_what_it_needs_is_said() -> None:
    """How much, a BUY grid, and no rebuild from orders that do not tell it."""
    with pytest.raises(ValueError, match="owned_base: with initial_inventory: owned"):
        grid(initial_inventory="owned")
    with pytest.raises(ValueError, match="only with initial_inventory: owned"):
        grid(owned_base="0.1")
    with pytest.raises(RebuildRefused, match="cannot be told"):
        adopted(
            plan(initial_inventory="owned", owned_base="0.1"),
            Past(now=T0, started_at=T0, events=(), live=frozenset(), seen=frozenset()),
        )


def test_a_trigger_takes_over_when_it_fires() -> None:
    """Before, the coins are nobody's of ours."""
    script = Script(owned(trigger_price=99))
    script.tell(BalanceRead("spot", "BTC", D(1), T0), BalanceRead("spot", "USDT", D(1000), T0), quote("101"))
    assert not script.state.bots["g"].lots
    script.price("99", later_s=5)
    assert set(script.state.bots["g"].lots) == {"2-0", "3-0"}
