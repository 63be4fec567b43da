"""A small strategy in two markets for tests: it buys in the first and sells as much in the second, as fills come."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from core.engine import Bot, BotSpec, Limits, World
from core.facts import BarClosed
from core.machine import LegFilled, MachineEvent, Outcome, PlaceView, View
from core.market import Instrument
from core.orders import Kind, Leg, Role, leg_id
from core.values import ONE, ZERO, Side
from tests.core.worlds import D, instrument, swap

ENTRY, HEDGE = leg_id(Role.ENTRY, 0, 0), leg_id(Role.HEDGE, 0, 0)


@dataclass(frozen=True)
class Plan:
    """What to buy and at which price; with `group` both legs go out together or not at all."""

    first: Instrument
    second: Instrument
    qty: Decimal = D("0.1")
    price: Decimal = D(100)
    group: str = ""


@dataclass(frozen=True)
class State:
    """What was bought and what was sold, and the opening times of the candles that were told."""

    bought: Decimal = ZERO
    hedged: Decimal = ZERO
    bars: tuple[Any, ...] = field(default=())


def begin(plan: Plan, view: View) -> Outcome:
    """Want the purchase."""
    return Outcome(State(), wants(plan, State()), touched=(0,))


def step(plan: Plan, state: State, events: tuple[MachineEvent, ...], view: View) -> Outcome:
    """Count fills and let the hedge follow them."""
    for event in events:
        match event:
            case LegFilled(role=Role.ENTRY):
                state = replace(state, bought=state.bought + event.qty)
            case LegFilled(role=Role.HEDGE):
                state = replace(state, hedged=state.hedged + event.qty)
            case BarClosed():
                state = replace(state, bars=(*state.bars, event.candle.ts))
            case _:
                pass
    return Outcome(state, wants(plan, state), touched=(0,))


def wants(plan: Plan, state: State) -> dict[str, Leg]:
    """Both legs; the hedge's quantity is what shall ever have been sold."""
    a, b = plan.first, plan.second
    legs = {
        ENTRY: Leg(
            leg_id=ENTRY, venue=a.venue, symbol=a.symbol, side=Side.BUY, role=Role.ENTRY, kind=Kind.LIMIT, qty=plan.qty,
            price=plan.price, lot_id="0-0", group=plan.group,
        )
    }  # fmt: skip
    wanted = plan.qty if plan.group else state.bought
    if wanted > ZERO:
        legs[HEDGE] = Leg(
            leg_id=HEDGE, venue=b.venue, symbol=b.symbol, side=Side.SELL, role=Role.HEDGE, kind=Kind.MARKET, qty=wanted,
            price=b.floor_price(plan.price * (ONE - D("0.2"))), group=plan.group,
        )  # fmt: skip
    return legs


def prices(plan: Plan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:
    """One place."""
    return ((plan.price, plan.price, plan.qty),)


def place(plan: Plan, state: State, index: int) -> PlaceView:
    """Show it."""
    return PlaceView(
        place=index, phase="Entering", entry=ENTRY, exit=HEDGE, entry_price=plan.price, exit_price=plan.price,
        qty=plan.qty, held=state.bought, reason="", data={},
    )  # fmt: skip


def head(state: State) -> dict[str, Any]:
    """What it remembers."""
    return {"bought": str(state.bought), "hedged": str(state.hedged)}


def restore(plan: Plan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> State:
    """Read it back."""
    return State(Decimal(head["bought"]), Decimal(head["hedged"]))


def pair_spec(plan: Plan, machine: Any, **changes: Any) -> BotSpec:
    """Make the bot ready."""
    return BotSpec(
        bot_id="p", kind="pair", token="test", machine=machine, plan=plan, instrument=plan.first, others=(plan.second,),
        capital_quote=plan.price * plan.qty, places=1, **changes,
    )  # fmt: skip


def pair_plan(**changes: Any) -> Plan:
    """Spot and perpetual of one base."""
    return Plan(instrument(), swap(), **changes)


def pair_world(spec: BotSpec, **limits: Any) -> World:
    """A world before its first tick."""
    return World(specs={"p": spec}, bots={"p": Bot(bot_id="p")}, limits=Limits(**limits))
