"""The ATR grid's places, transition by transition, what is written down of them, and its standing up from trades alone."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.facts import BarClosed, Refusal
from core.indicators import Gauge, follow
from core.machine import Held, LegFilled, LegRefused, LotCut, MachineEvent, View
from core.machines.atr_grid import machine
from core.machines.atr_grid.draft import Draft
from core.machines.atr_grid.state import (
    AtrGridState,
    Holding,
    Idle,
    Layout,
    Level,
    Money,
    Mood,
    Resting,
    Short,
    read_level,
)
from core.market import Candle
from core.orders import Role
from core.recovery import Past
from core.values import ZERO, Side
from tests.core.machines.atr_grid.bots import BAR_S, PERP, SPOT, history, plan_of, rules
from tests.core.worlds import T0, D, after, instrument, quote, swap

PLAN = plan_of()
LINES = tuple(D(one) for one in (95, 96, 97, 98, 99))


def view(price: str = "98", bag: str = "0", short: str = "0", futures: str | None = None) -> View:
    """What the machine sees: spot and futures at a price, a bag bought at 100, a short sold at 100."""
    beside = quote(futures or price, rules=swap())
    held = D(short)
    return View(
        now=after(0), started_at=T0, quote=quote(price), low=D(price), high=D(price), instrument=instrument(),
        inventory=D(bag), cost=D(bag) * 100, net_cost=D(bag) * 100, fees_open=ZERO,
        beside={PERP: Held(swap(), beside, -held, held * 100, -held * 100)},
    )  # fmt: skip


def state(*levels: Level, **changes: Any) -> AtrGridState:
    """A running grid with these first levels, the rest idle."""
    gauge: Gauge | None = None
    for one in history():
        gauge = follow(gauge, one)
    rest = tuple(Idle(0, "") for _ in range(5 - len(levels)))
    values: dict[str, Any] = {
        "levels": (*levels, *rest), "gauge": gauge, "bar_at": T0, "layout": Layout(D(100), D(1), LINES),
        "mood": Mood(trend="sideways"), "money": Money(D(4000)), "short": Short(),
    }  # fmt: skip
    return AtrGridState(**(values | changes))


def filled(name: str, qty: str, price: str = "98", net: str | None = None) -> LegFilled:
    """A fill of a level's leg."""
    role = Role.ENTRY if name.startswith("e") else Role.EXIT
    side = Side.BUY if role is Role.ENTRY else Side.SELL
    return LegFilled(name, role, name[1:], D(qty), D(net or qty), D(price), T0, side)


def resting(cycle: int = 0, **changes: str) -> Resting:
    """A level at 98 for 7."""
    return Resting(cycle, D(98), D(1), D(7), **{name: D(value) for name, value in changes.items()})


def holding(held: str = "7", sold: str = "0", cycle: int = 0, **changes: str) -> Holding:
    """A lot bought at 98, to be sold at 99."""
    more = {name: D(value) for name, value in changes.items()}
    return Holding(cycle, D(98), D(1), D(held), D(98), D(99), D(sold), **more)


@pytest.mark.parametrize(
    ("level", "event", "then"),
    [
        (resting(), filled("e0-0", "3"), resting(bought="3", held="3", entry="98")),
        (resting(bought="3", held="3", entry="98"), filled("e0-0", "4"), holding()),
        (resting(), filled("e0-0", "7", net="6.993"), holding("6.993")),
        (resting(), filled("e0-0", "7", "97.5"), Holding(0, D(98), D(1), D(7), D("97.5"), D("98.5"), ZERO)),
        (resting(bought="3", held="3", entry="98"), filled("x0-0", "2", "99"), resting(bought="3", held="1", entry="98", sold="2")),  # noqa: E501  one row of the table
        (Idle(1, "pending"), filled("e0-0", "2"), Holding(1, D(98), D(1), D(2), D(98), D(99), ZERO)),
        (holding(cycle=2), filled("e0-1", "1", "90"), Holding(2, D(98), D(1), D(8), D(97), D(99), ZERO)),
        (holding(), filled("x0-0", "4", "99"), holding("3", "4")),
        (holding("3", "4"), filled("x0-0", "3", "99"), resting(1)),
        (holding(), LotCut("0-0", D(7), T0), resting(1)),
        (holding(cycle=3), filled("x0-1", "2", "99"), holding("5", cycle=3)),
        (holding(cut_to="2", cap="90"), filled("x0-0", "2", "95"), holding("5", "2")),
        (holding(cut_to="4", cap="90"), filled("x0-0", "2", "95"), holding("5", "2", cut_to="4", cap="90")),
        (holding(), filled("e9-0", "1"), holding()),
        (holding(), LotCut("over-3", D(1), T0), holding()),
    ],
    ids=[
        "part bought", "all bought", "fee in base", "bought lower", "sold while buying", "outran withdrawal", "late purchase",
        "part sold", "all sold", "cut by hand", "late sale", "cut done", "cut in part", "no such level", "no level's lot",
    ],
)  # fmt: skip
def test_every_fill_has_an_answer(level: Level, event: MachineEvent, then: Level) -> None:
    """Fills and cuts in every state of a level, late ones of earlier cycles included."""
    draft = Draft.of(PLAN, state(level), view())
    machine._fold(draft, event)
    made = draft.levels[0]
    if isinstance(then, Resting) and then.cycle == 1:
        assert isinstance(made, Resting)
        assert (made.cycle, made.price, made.bought) == (1, 98, 0)
    else:
        assert made == then


def test_cash_follows_purchases_and_sales_with_their_fees() -> None:
    """What a level spends and brings back is what the next sizes are cut from."""
    draft = Draft.of(PLAN, state(resting()), view())
    machine._fold(draft, filled("e0-0", "7"))
    assert draft.money.cash == D(4000) - 686 * D("1.0002")
    machine._fold(draft, filled("x0-0", "7", "99"))
    assert draft.money.cash == D(4000) - 686 * D("1.0002") + 693 * D("0.9998")


def test_a_cut_at_a_loss_is_paid_by_the_budget() -> None:
    """The loss of the part that was sold, and its fee, come off what hedges earned."""
    draft = Draft.of(PLAN, state(holding(cut_to="2", cap="90"), money=Money(D(0), D(50))), view())
    machine._fold(draft, filled("x0-0", "2", "95"))
    assert draft.money.budget == D(50) - 2 * 3 - 2 * 95 * D("0.0005")


def test_a_candle_is_taken_in_once() -> None:
    """One that is not newer than the last, as history after a restart, changes nothing."""
    before = state(resting())
    old = BarClosed(SPOT, BAR_S, Candle(T0, D(1), D(1), D(1), D(1), ZERO))
    assert machine.step(PLAN, before, (old,), view()).state == before


def test_without_events_nothing_happens() -> None:
    """A look between candles leaves a grid whose hedge is in order as it is (the wake contract)."""
    before = state(resting(), holding())
    outcome = machine.step(PLAN, before, (), view(bag="7"))
    assert (outcome.state, outcome.wants, outcome.notes, outcome.touched) == (before, {}, (), ())


def test_a_hedge_without_a_price_is_told() -> None:
    """With the futures' price missing the short cannot be sold: after its deadline that is an incident."""
    short = Short(ratio=D("0.3"), zone="danger", off_since=after(-100))
    blind = view(bag="20")
    blind = type(blind)(
        **{**{n: getattr(blind, n) for n in blind.__dataclass_fields__}, "beside": {PERP: Held(swap(), None)}}
    )
    outcome = machine.step(PLAN, state(holding("20"), short=short), (), blind)
    assert [one.kind for one in outcome.alarms] == ["hedge_off_target"]
    assert "no price is known" in outcome.alarms[0].detail


def test_a_refusal_is_kept_for_the_incident() -> None:
    """Why the exchange does not take the hedge stands in the state, until something is sold."""
    refusal = LegRefused("h5-0", Refusal.FUNDS, "no margin", 1, T0)
    outcome = machine.step(PLAN, state(holding("20")), (refusal,), view(bag="20"))
    assert outcome.state.short.refusal == "no margin"


AMOUNTS = st.integers(0, 120).map(lambda n: D(n) / 1000)
PRICES = st.integers(9000, 10500).map(lambda n: D(n) / 100)
LEVELS = st.one_of(
    st.builds(Idle, st.integers(0, 3), st.text(max_size=9)),
    st.builds(Resting, st.integers(0, 3), PRICES, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, PRICES, AMOUNTS),
    st.builds(Holding, st.integers(0, 3), PRICES, AMOUNTS, AMOUNTS, PRICES, PRICES, AMOUNTS, AMOUNTS, PRICES),
)
TIMES = st.none() | st.just(after(7))
STATES = st.builds(
    state, LEVELS, LEVELS, LEVELS,
    layout=st.none() | st.just(Layout(D(100), D(1), LINES)), bar_at=TIMES,
    mood=st.builds(
        Mood, st.sampled_from(["", "wild"]), st.sampled_from(["", "up", "down"]), TIMES, st.booleans(), st.booleans(),
        st.integers(0, 9), st.integers(0, 9),
    ),
    money=st.builds(Money, AMOUNTS, AMOUNTS, AMOUNTS),
    short=st.builds(
        Short, st.integers(0, 3), AMOUNTS, st.sampled_from(["", "danger"]), AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, PRICES, PRICES,
        TIMES, st.integers(0, 3), AMOUNTS, AMOUNTS, AMOUNTS, TIMES, TIMES, st.text(max_size=5), st.integers(0, 9),
    ),
)  # fmt: skip


@settings(deadline=None)
@given(STATES)
def test_a_grid_stands_up_again_from_what_is_written_down(made: AtrGridState) -> None:
    """Head and places as plain data give back the same state, to the digit."""
    places = {i: machine.place(PLAN, made, i).data for i in range(7)}
    assert machine.restore(PLAN, json.loads(json.dumps(machine.head(made))), places) == made


@settings(deadline=None)
@given(STATES, st.lists(st.tuples(st.sampled_from("ex"), st.integers(0, 6), st.integers(0, 4), AMOUNTS), max_size=5))
def test_what_is_wanted_is_the_sum_of_all_changes(made: AtrGridState, told: list[tuple[str, int, int, Any]]) -> None:
    """Whatever is told in whatever state: the changes lead from what was wanted to what is."""
    events = tuple(filled(f"{role}{place}-{cycle}", str(qty)) for role, place, cycle, qty in told if qty > 0)
    outcome = machine.step(PLAN, made, events, view(bag="0.3", short="0.1"))
    wanted = dict(machine.wants(PLAN, made))
    for name, leg in outcome.wants.items():
        if leg is None:
            wanted.pop(name)
        else:
            wanted[name] = leg
    assert wanted == machine.wants(PLAN, outcome.state)


def test_it_stands_up_from_trades_alone() -> None:
    """Lots, cash and the short are those of the trades; latches take what acts least."""
    events = (
        filled("e0-0", "7"), filled("x0-0", "7", "99"), filled("e1-2", "5", "97"),
        LegFilled("h5-1", Role.HEDGE, "h5-1", D(2), D(2), D(96), T0, Side.SELL),
    )  # fmt: skip
    past = Past(
        now=after(9), started_at=T0, events=events, live=frozenset(), seen=frozenset({"e0-0", "e1-2", "x0-0", "h5-1"})
    )
    made = machine.adopt(PLAN, past)
    assert made.levels[0] == Idle(1, "rebuilt from the exchange: the next candle lays the grid")
    assert made.levels[1] == Holding(2, D(97), D("1.94"), D(5), D(97), D("98.94"), ZERO)
    assert made.money.cash == D(4000) - D(686) * D("1.0002") + D(693) * D("0.9998") - D(485) * D("1.0002")
    assert (made.short.cycle, made.short.sold, made.short.ratio, made.mood.recovery) == (1, 2, D("0.4"), True)
    assert "e1-2" not in machine.wants(PLAN, made)


@pytest.mark.parametrize(("bag", "lays"), [("300", False), ("100", True)])
def test_after_a_rebuild_a_deep_loss_lays_no_grid(bag: str, lays: bool) -> None:
    """In recovery, as after a rebuild, the first grid waits until the bag's loss is at most 5 % of the capital."""
    made = state(holding(bag), layout=None, mood=Mood(recovery=True))
    bar = BarClosed(SPOT, BAR_S, Candle(after(60), D(98), D(98), D(98), D(98), ZERO))
    levels = machine.step(PLAN, made, (bar,), view(bag=bag)).state.levels
    assert any(isinstance(level, Resting) for level in levels) is lays


def test_an_unknown_state_is_refused() -> None:
    """A newer version's level is not guessed at."""
    with pytest.raises(ValueError, match="unknown level state 'Frozen'"):
        read_level({"is": "Frozen", "cycle": "0"})


def test_places_say_what_they_are_planned_for() -> None:
    """A store with other places is another configuration's: a restart with fewer levels would forget lots."""
    assert len(machine.prices(PLAN)) == 7
    assert machine.prices(PLAN)[:5] != machine.prices(plan_of(levels=4))[:5]
    assert rules()[PERP].swap
