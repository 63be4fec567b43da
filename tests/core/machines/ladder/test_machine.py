"""A ladder's trades step by step: the states of its document, maker offsets, partial fills, loops, restarts."""

from decimal import Decimal
from typing import Any

import pytest

from core.engine import BotSpec, World, advance
from core.engine.world import Cancel, Place
from core.facts import Fact, Fill
from core.machine import LegFilled, LotCut, MachineEvent, Outcome, View
from core.machines.ladder import machine
from core.machines.ladder.config import LadderPlan
from core.machines.ladder.state import Completed, Entering, Exiting, LadderState, Pending, Rung, read_rung
from core.market import Instrument
from core.orders import Order, Role
from core.recovery import Past
from core.simulation import Account
from core.values import ZERO, Side
from tests.core.machines.ladder.ladders import ladder, spec_of
from tests.core.worlds import SYMBOL, T0, D, account, after, instrument, quote, world


class Played:
    """A ladder on a simulated account, moved from price to price."""

    def __init__(self, rules: Instrument | None = None, **changes: Any) -> None:
        self.rules = rules or instrument(maker=D(0), taker=D(0))
        self.spec: BotSpec = spec_of(ladder(**changes), self.rules)
        self.at: Account = account(self.rules)
        self.world: World = world(self.spec)
        self.placed: list[Order] = []
        self.seconds = 0

    def move(self, price: str) -> "Played":
        """Let the price go somewhere, and answer until nothing is to be done."""
        self.seconds += 60
        now = after(self.seconds)
        self.at.move(self.rules.symbol, D(price), now)
        facts: list[Fact] = [*self.at.news(now), quote(price, now, self.rules)]
        while facts:
            step = advance(self.world, facts, now)
            self.world = step.world
            facts = []
            for intent in step.intents:
                if isinstance(intent, Place):
                    self.placed.append(intent.order)
                    facts.append(self.at.place(intent.order, now))
                elif isinstance(intent, Cancel):
                    answer = self.at.cancel(intent.order.client_id, now)
                    facts += [answer] if answer is not None else []
            facts += self.at.news(now) if step.intents else []
        return self

    @property
    def states(self) -> list[str]:
        """The public state of each trade."""
        shown = self.world.bots["l"].shown
        return [shown[index].state for index in range(self.spec.places)]

    @property
    def resting(self) -> dict[str, Decimal | None]:
        """The price at which each leg rests."""
        works = self.world.bots["l"].works
        return {name: w.order.price for name, w in works.items() if w.order is not None and w.order.live}


def test_a_trade_goes_through_the_states_of_its_document() -> None:
    """PENDING_ENTRY, PLACED_ENTRY, PLACED_EXIT, COMPLETED; what lies above the market waits, and says why."""
    play = Played(count=2, min_price=98, max_price=102).move("100")
    assert play.states == ["PLACED_ENTRY", "PENDING_ENTRY"]
    assert play.world.bots["l"].shown[1].reason == "waits for the price to rise above its entry"
    assert play.move("98").states == ["PLACED_EXIT", "PENDING_ENTRY"]
    assert play.resting == {"x0-0": D("98.98")}
    assert play.move("99").states == ["COMPLETED", "PENDING_ENTRY"]
    assert play.world.bots["l"].realized == D("0.098")
    assert play.move("97").resting == {}


def test_a_completed_trade_is_forgotten_but_for_its_cycle() -> None:
    """No leg, no lot and no order of it stays in memory; its row says COMPLETED."""
    play = Played(count=1, min_price=98, max_price=98).move("100").move("98").move("99")
    bot = play.world.bots["l"]
    assert (dict(bot.works), dict(bot.lots), bot.state.rungs) == ({}, {}, (Completed(1),))
    assert bot.round_trips == 1


def test_a_looping_trade_starts_again() -> None:
    """With loop a trade enters anew after its exit, under a leg of the next cycle."""
    play = Played(count=1, min_price=98, max_price=98, loop=True).move("100")
    for cycle in range(3):
        assert play.resting == {f"e0-{cycle}": 98}
        assert play.move("98").resting == {f"x0-{cycle}": D("98.98")}
        play.move("99")
    assert play.world.bots["l"].realized == D("0.098") * 3


def test_a_trade_above_the_market_enters_once_the_price_has_passed_it() -> None:
    """At 102 the market must rise above the entry first; then it rests there and buys on the way back."""
    play = Played(count=1, min_price=102, max_price=102).move("100").move("102")
    assert play.states == ["PENDING_ENTRY"]
    assert play.move("103").resting == {"e0-0": 102}
    assert play.move("101.5").states == ["PLACED_EXIT"]


def test_a_maker_offset_keeps_entries_away_from_the_touch() -> None:
    """Entry 99.9 with offset 0.5 at a market of 100 rests at 99.5, and moves to its own price once that is 0.5 away."""
    play = Played(count=1, min_price="99.9", max_price="99.9", maker_offset_buy="0.5").move("100")
    assert play.resting == {"e0-0": D("99.5")}
    assert play.move("100.39").resting == {"e0-0": D("99.5")}
    assert play.move("100.4").resting == {"e0-0": D("99.9")}
    assert play.move("100.1").resting == {"e0-0": D("99.9")}


def test_above_the_market_enter_buys_behind_the_touch_and_keeps_its_exit() -> None:
    """`above_market: enter` bids at the ask less the offset; the exit stays where the trade's own entry put it."""
    play = Played(count=1, min_price=102, max_price=102, above_market="enter", maker_offset_buy="0.1").move("100")
    assert play.resting == {"e0-0": D("99.9")}
    play.move("99.9")
    assert play.resting == {"x0-0": D("103.02")}


def test_an_exit_that_the_price_has_passed_keeps_its_offset_and_comes_back() -> None:
    """An entry whose fill is told at 105 offers at 105.2, and at its own price again once the bid is below it."""
    rules = instrument(maker=D(0), taker=D(0))
    plan = spec_of(ladder(count=1, min_price=98, max_price=98, maker_offset_sell="0.2"), rules).plan
    state = LadderState((Exiting(0, D("0.1"), ZERO, T0, D("105.2")),))
    assert machine.wants(plan, state)["x0-0"].price == D("105.2")
    assert looked(plan, state, "99.5").wants == {}
    woken = looked(plan, state, "98.7")
    assert woken.wants["x0-0"] is not None
    assert woken.wants["x0-0"].price == D("98.98")


def view(price: str, seconds: float = 0) -> View:
    """What a machine sees at a price."""
    seen = quote(price)
    return View(
        now=after(seconds), started_at=T0, quote=seen, low=seen.lowest, high=seen.highest, instrument=instrument(),
        inventory=D("0.1"), cost=D(10), fees_open=ZERO,
    )  # fmt: skip


def looked(plan: LadderPlan, state: LadderState, price: str) -> Outcome:
    """One step without events at a price."""
    return machine.step(plan, state, (), view(price))


def test_part_of_an_entry_is_offered_at_once() -> None:
    """0.04 of 0.1 bought is offered while 0.06 still rest; what was filled is never bought again."""
    play = Played(count=1, min_price=98, max_price=98).move("100")
    part = Fill(
        venue="spot", symbol=SYMBOL, trade_id="p1", client_id=play.placed[-1].client_id, side=Side.BUY, price=D(98),
        qty=D("0.04"), fee=ZERO, fee_asset="USDT", ts=after(70), maker=True,
    )  # fmt: skip
    play.world = advance(play.world, [part, quote("98", after(70))], after(70)).world
    works = play.world.bots["l"].works
    leave, entry = works["x0-0"], works["e0-0"]
    assert leave.leg is not None
    assert leave.order is not None
    assert (leave.leg.qty, leave.order.qty, leave.order.price) == (D("0.04"), D("0.04"), D("98.98"))
    assert (entry.executed, play.states) == (D("0.04"), ["PLACED_ENTRY"])


def entering(bought: str = "0", held: str = "0", sold: str = "0") -> Entering:
    """An entry under way in cycle 1."""
    return Entering(1, D(bought), D(held), D(sold), T0)


def told(leg: str, qty: str, net: str | None = None) -> LegFilled:
    """A fill of a leg."""
    role = Role(leg[0])
    side = Side.BUY if role is Role.ENTRY else Side.SELL
    return LegFilled(leg, role, leg[1:], D(qty), D(net or qty), D(98), after(60), side)


EXITING = Exiting(1, D("0.1"), ZERO, after(60))


@pytest.mark.parametrize(
    ("rung", "event", "then"),
    [
        (entering(), told("e0-1", "0.04"), entering("0.04", "0.04")),
        (entering("0.04", "0.04"), told("e0-1", "0.06"), EXITING),
        (entering(), told("e0-1", "0.1", "0.0999"), Exiting(1, D("0.0999"), ZERO, after(60))),
        (entering("0.04", "0.04"), told("x0-1", "0.01"), entering("0.04", "0.03", "0.01")),
        (entering("0.04", "0.04"), LotCut("0-1", D("0.04"), T0), entering("0.04")),
        (Pending(1), told("e0-1", "0.1"), EXITING),
        (Pending(1), told("e0-0", "0.1"), EXITING),
        (Completed(1), told("e0-0", "0.1"), EXITING),
        (Completed(1), told("x0-0", "0.1"), Completed(1)),
        (Pending(1), LotCut("0-0", D("0.1"), T0), Pending(1)),
        (EXITING, told("e0-0", "0.02"), Exiting(1, D("0.12"), ZERO, after(60))),
        (EXITING, told("x0-1", "0.04"), Exiting(1, D("0.06"), D("0.04"), after(60))),
        (EXITING, told("x0-0", "0.04"), Exiting(1, D("0.06"), ZERO, after(60))),
        (EXITING, told("x0-1", "0.1"), Completed(2)),
        (EXITING, LotCut("0-1", D("0.1"), T0), Completed(2)),
        (Exiting(1, D("0.1009"), ZERO, T0), told("x0-1", "0.1"), Completed(2)),
        (EXITING, told("x7-1", "0.1"), EXITING),
        (EXITING, LotCut("h0-1", D("0.1"), T0), EXITING),
    ],
    ids=[
        "part bought", "all bought", "fee in base", "part sold while buying", "cut while buying", "outran its leg",
        "late, next cycle waits", "late, completed", "late sale, completed", "cut of nothing", "late, next cycle sells",
        "part sold", "late sale", "all sold", "cut whole", "dust left", "no such trade", "no trade's lot",
    ],
)  # fmt: skip
def test_every_event_has_an_answer(rung: Rung, event: MachineEvent, then: Rung) -> None:
    """Fills and cuts in every state of a trade, late ones of earlier cycles included."""
    plan = spec_of(ladder(count=1, min_price=98, max_price=98), instrument()).plan
    outcome = machine.step(plan, LadderState((rung,)), (event,), view("98", 60))
    waits = Pending(1, "waits for the price to rise above its entry")
    assert outcome.state.rungs == (waits if then == Pending(1) else then,)


def test_a_ladder_stands_up_from_its_orders_alone() -> None:
    """Live and partly filled, held, completed, untouched: each trade is found in the state in which it was."""
    plan = spec_of(ladder(), instrument()).plan
    past = Past(
        now=after(90), started_at=T0, live=frozenset({"e0-0", "x1-0"}),
        events=(
            told("e0-0", "0.04"), told("e1-0", "0.1"), told("x1-0", "0.03"), told("e2-0", "0.1"), told("x2-0", "0.1"),
            told("e3-0", "0.06"),
        ),
        seen=frozenset({"e0-0", "x0-0", "e1-0", "x1-0", "e2-0", "x2-0", "e3-0"}),
    )  # fmt: skip
    assert machine.adopt(plan, past).rungs == (
        Entering(0, D("0.04"), D("0.04"), ZERO, after(90)),
        Exiting(0, D("0.07"), D("0.03"), after(90)),
        Completed(1),
        Exiting(0, D("0.06"), ZERO, after(90)),
        Pending(0),
    )


def test_an_unknown_state_is_refused() -> None:
    """A newer version's trade is not guessed at."""
    with pytest.raises(ValueError, match="unknown state of a trade 'Sleeping'"):
        read_rung({"is": "Sleeping", "cycle": "0"})
