"""A funding arbitrage in two swaps for tests: its plan, what it sees, rates and fills, a pair that is in."""

from datetime import timedelta
from random import Random
from typing import Any

from core.facts import RateSeen
from core.machine import Held, LegFilled, Outcome, View
from core.machines.funding_arb import machine
from core.machines.funding_arb.config import FundingArbConfig, FundingArbPlan, prepare
from core.machines.funding_arb.state import Closing, FundingArbState, Open
from core.market import Market
from core.orders import Role
from core.values import ZERO, Side
from tests.core.hostile_pair import Played, Weather, played, spec_of
from tests.core.worlds import SWAP, T0, D, quote, swap

A: Market = ("pa", SWAP)
B: Market = ("pb", SWAP)
RULES = {A: swap(venue="pa"), B: swap(venue="pb")}


def config(**changes: Any) -> FundingArbConfig:
    """A thousand in each of two swaps, entered for a tenth of a percent over a day."""
    legs = [{"connector_name": "pa", "trading_pair": SWAP}, {"venue": "pb", "symbol": SWAP}]
    return FundingArbConfig(**({"id": "f", "legs": legs, "size_quote": 1000} | changes))


def plan(**changes: Any) -> FundingArbPlan:
    """The plan of a configuration."""
    return prepare(config(**changes), RULES).plan


def view(
    about: FundingArbPlan, *, a: str = "100", b: str = "100", held: tuple[str, str] = ("0", "0"),
    at: float = 0, funding: str = "0", cost: str = "100",
) -> View:  # fmt: skip
    """What the machine sees: prices, what is held (at `cost` each), funding so far."""
    now = T0 + timedelta(seconds=at)
    first, second = about.rules
    here, there = D(held[0]), D(held[1])
    mine = quote(a, now, first)
    beside = Held(second, quote(b, now, second), there, abs(there) * D(cost), there * D(cost))
    return View(
        now=now, started_at=T0, quote=mine, high=mine.ask, low=mine.bid, instrument=first, inventory=here,
        cost=abs(here) * D(cost), fees_open=ZERO, net_cost=here * D(cost), funding=D(funding), beside={second.market: beside},
    )  # fmt: skip


def rate(market: Market, text: str, at: float = 0, interval_h: float = 8) -> RateSeen:
    """A rate told so many seconds after the start."""
    ts = T0 + timedelta(seconds=at)
    return RateSeen(market, D(text), interval_h * 3600, ts + timedelta(hours=interval_h), ts)


def filled(leg: str, qty: str, side: Side) -> LegFilled:
    """A fill of one of its legs."""
    return LegFilled(leg, Role(leg[0]), leg[1:], D(qty), D(qty), D(100), T0, side)


GOOD = (rate(A, "0"), rate(B, "0.002"))


def opened(about: FundingArbPlan) -> FundingArbState:
    """A pair that is in: 10 long at pa, 10 short at pb, since second 1."""
    state = machine.begin(about, view(about)).state
    state = machine.step(about, state, GOOD, view(about)).state
    events = (filled("e0-1", "10", Side.BUY), filled("h1-1", "10", Side.SELL))
    inside = machine.step(about, state, events, view(about, held=("10", "-10"), at=1)).state
    assert isinstance(inside.phase, Open)
    return inside


def on(about: FundingArbPlan, state: FundingArbState, *events: Any, **seen: Any) -> Outcome:
    """A step of a pair that holds ten on each side, unless told otherwise."""
    return machine.step(about, state, events, view(about, **({"held": ("10", "-10")} | seen)))


def reason_of(outcome: Outcome) -> str:
    """Why it leaves, or nothing."""
    phase = outcome.state.phase
    return phase.reason if isinstance(phase, Closing) else ""


def shaken(seed: int, ticks: int = 60) -> Played:
    """A life of several pairs in bad weather: rates come and go, orders are lost, refused, filled in parts."""
    told = config(cooldown_hours=0, open_deadline_s=12, max_age_hours="0.01", erosion_ratio="0.2", size_quote=500)
    run = played(spec_of(told, RULES), seed, Weather(late_s=1.0))
    rng = Random(seed + 5)
    mid = D(100)
    for count in range(ticks + 90):
        calm = count >= ticks
        for one in run.venues.values():
            one.calm = calm
        mid = max(mid + D(rng.randint(-10, 10)) / 100, D(50))
        for one in run.venues.values():
            one.move(mid + D(rng.randint(-5, 5)) / 100, D("0.01"), run.now)
        if not calm and count % 10 == 0:
            _tell(run, rng.choice(["0.004", "0.002", "0", "-0.004"]))
        elif calm and count == ticks:
            _tell(run, "0")
        run.tick()
    return run


def _tell(run: Played, text: str) -> None:
    ts = run.now
    for market, value in ((A, "0"), (B, text)):
        run.told.append(RateSeen(market, D(value), 28_800, ts + timedelta(hours=8), ts))
