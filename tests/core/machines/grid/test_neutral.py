"""The neutral grid: buys below its start, sells above it, one net position on a swap."""

from decimal import Decimal

import pytest

from core.engine import Place, advance
from core.engine.world import World
from core.facts import Accepted, Fact, Fill, FundingPaid
from core.machine import LegFilled, LotCut
from core.machines.grid import machine
from core.machines.grid.adoption import adopted
from core.machines.grid.config import GridPlan, make_plan, prepare
from core.machines.grid.state import Entering, GridState, Holding, Pending, Waiting
from core.orders import Role
from core.recovery import Past
from core.values import Side, total
from tests.core.machines.grid.test_entries import at
from tests.core.worlds import T0, D, after, grid, instrument, quote, spec, swap, world

RULES = swap()
CONFIG = grid(side="NEUTRAL", venue="perp", symbol=RULES.symbol)


def neutral() -> GridPlan:
    """Cells 96-98, 98-100, 100-102, 102-104."""
    return make_plan(CONFIG, RULES)


def begun(price: str = "100.2") -> GridState:
    """A neutral grid that has started at a price."""
    return machine.begin(neutral(), at(price)).state


@pytest.mark.parametrize(
    ("price", "wanted"),
    [
        ("100.2", [("buy", 96), ("buy", 98), ("sell", 102), ("sell", 104)]),
        ("101.2", [("buy", 96), ("buy", 98), ("buy", 100), ("sell", 104)]),
        ("90", [("sell", 98), ("sell", 100), ("sell", 102), ("sell", 104)]),
        ("120", [("buy", 96), ("buy", 98), ("buy", 100), ("buy", 102)]),
    ],
)
def test_buys_below_and_sells_above_the_start(price: str, wanted: list[tuple[str, int]]) -> None:
    """Each cell is entered at its far end; the split is kept through restarts."""
    of, state = neutral(), begun(price)
    legs = [leg for _, leg in sorted(machine.wants(of, state).items())]
    assert [(leg.side.value, leg.price) for leg in legs] == wanted
    data = {i: machine.place(of, state, i).data for i in range(4)}
    assert machine.restore(of, machine.head(state), data) == state


def test_a_short_cell_exits_one_step_below() -> None:
    """Sold at 102, bought back at 100, reduce-only."""
    of = neutral()
    sold = LegFilled("e2-0", Role.ENTRY, "2-0", D("0.1"), D("0.1"), D(102), after(1), Side.SELL)
    state = machine.step(of, begun(), (sold,), at("102", 1)).state
    leg = machine.wants(of, state)["x2-0"]
    assert (leg.side, leg.price, leg.qty, leg.reduce_only) == (Side.BUY, 100, D("0.1"), True)
    shown = machine.place(of, state, 2)
    assert (shown.entry_price, shown.exit_price) == (102, 100)
    assert [D(one) for one in shown.data["planned"].split()] == [100, 102, D("0.1")]


def test_a_sale_that_closes_all_of_a_bought_cell_leaves_no_leg_of_either_cycle() -> None:
    """Sold at 102 against what was bought at 98: both cells are entered anew in the same step, and old legs are dropped."""
    of = neutral()
    bought = LegFilled("e1-0", Role.ENTRY, "1-0", D("0.1"), D("0.1"), D(98), after(1), Side.BUY)
    held = machine.step(of, begun(), (bought,), at("98.5", 1))
    sold = LegFilled("e2-0", Role.ENTRY, "2-0", D("0.1"), D(0), D(102), after(2), Side.SELL)
    told_of = machine.step(of, held.state, (LotCut("1-0", D("0.1"), after(2)), sold), at("101", 2))
    changed = dict(machine.wants(of, held.state)) | told_of.wants
    assert {name: leg for name, leg in changed.items() if leg is not None} == machine.wants(of, told_of.state)
    assert {"e1-1", "e2-1"} <= machine.wants(of, told_of.state).keys()


def test_it_needs_a_swap_and_stays_where_it_is() -> None:
    """On spot nobody is short; its range does not follow the price; a level through the market is not bought at once."""
    with pytest.raises(ValueError, match="needs a swap venue"):
        make_plan(grid(side="NEUTRAL"), instrument())
    for changes in (
        {"trailing_up": 110},
        {"limit_price": 90},
        {"initial_inventory": "market"},
        {"on_range_exit": "reset"},
    ):
        with pytest.raises(ValueError, match="NEUTRAL"):
            grid(side="NEUTRAL", **changes)
    assert prepare(CONFIG, {RULES.market: RULES}).nets
    assert CONFIG.direction_at(RULES.market) == ""


def told(before: World, *facts: Fact, at_s: float) -> World:
    """One advance in which every order that is sent is accepted at once."""
    step = advance(before, facts, after(at_s))
    sent = [Accepted(one.order.client_id, "1", after(at_s)) for one in step.intents if isinstance(one, Place)]
    return advance(step.world, sent, after(at_s)).world if sent else step.world


def fill(cid: str, side: Side, qty: str, price: str, number: int) -> Fill:
    """A trade of one of its orders."""
    return Fill(
        venue="perp", symbol=RULES.symbol, trade_id=str(number), client_id=cid, side=side, price=D(price),  # type: ignore[arg-type]
        qty=D(qty), fee=D("0.02"), fee_asset="USDT", ts=after(number), maker=True,
    )  # fmt: skip


def test_an_entry_closes_first_what_stands_against_it() -> None:
    """Long 0.1 from the cell at 98; then both short entries fill at once: 0.1 is closed, 0.1 stands short; books to the cent."""
    now = told(world(spec(CONFIG, RULES)), quote("100.2", T0, RULES), at_s=0)
    now = told(now, fill("g-test-e1-0-0", Side.BUY, "0.1", "98", 1), quote("98", after(1), RULES), at_s=1)
    assert now.bots["g"].inventory == D("0.1")
    jumped = (
        fill("g-test-e2-0-0", Side.SELL, "0.1", "102", 2),
        fill("g-test-e3-0-0", Side.SELL, "0.1", "104", 3),
        quote("104", after(3), RULES),
    )
    now = told(now, *jumped, at_s=3)
    bot = now.bots["g"]
    assert bot.inventory == D("-0.1")
    assert {lot.lot_id: lot.qty * lot.side.sign for lot in bot.lots.values()} == {"3-0": D("-0.1")}
    assert (bot.realized, bot.fees) == (D("0.4"), D("0.06"))
    assert total(lot.fees for lot in bot.lots.values()) == D("0.02")
    levels = bot.state.levels
    assert isinstance(levels[1], Entering)
    assert levels[1].cycle == 1
    assert isinstance(levels[2], Waiting | Entering)
    assert levels[2].cycle == 1
    assert levels[3] == Holding(0, D("0.1"), Decimal(0), after(3))


def test_funding_wakes_a_band_that_was_made_of_profit() -> None:
    """A payment that carries the bot over its target ends it at once, though no price moved."""
    config = grid(side="NEUTRAL", venue="perp", symbol=RULES.symbol, bot_take_profit=1)
    now = told(world(spec(config, RULES)), quote("100.2", T0, RULES), at_s=0)
    now = told(now, fill("g-test-e1-0-0", Side.BUY, "0.1", "98", 1), quote("98", after(1), RULES), at_s=1)
    paid = FundingPaid(
        venue="perp", symbol=RULES.symbol, asset="USDT", amount=D("1.5"), rate=D("0.01"), ts=after(2), ref="f1"
    )
    step = advance(now, [paid], after(2))
    assert "BOT_TAKE_PROFIT" in [row.decision for row in step.journal]


def test_it_stands_up_from_what_it_traded() -> None:
    """Rebuilt from the exchange alone: its fills say where it was split; without any, the next price does."""
    of = neutral()
    sold = LegFilled("e2-0", Role.ENTRY, "2-0", D("0.1"), D("0.1"), D(102), after(1), Side.SELL)
    past = Past(now=after(9), started_at=T0, events=(sold,), live=frozenset({"e1-0", "e3-0"}), seen=frozenset({"e2-0"}))
    state = adopted(of, past)
    assert (state.pivot, state.levels[2]) == (2, Holding(0, D("0.1"), Decimal(0), after(9), None))
    none = Past(now=after(9), started_at=T0, events=(), live=frozenset({"e1-0"}), seen=frozenset({"e1-0"}))
    unsplit = adopted(of, none)
    assert isinstance(unsplit.phase, Pending)
    assert machine.step(of, unsplit, (), at("100.2", 12)).state.pivot == 2
