"""Scenes of a funding arbitrage as text: what the engine is told, what it answers (see tests/core/executors/story.py)."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from core.facts import RateSeen, SeenAs
from core.market import Market
from core.orders import ClientId
from core.values import Side
from tests.core.executors.story import Story, check
from tests.core.machines.funding_arb.fundings import RULES, A, B, config
from tests.core.worlds import D, after

TEXTS = Path(__file__).parent / "transcripts"
HOUR = 3600


def scene(**changes: object) -> Story:
    """A thousand in each of two swaps."""
    first, second = RULES.values()
    return Story(config(**changes), first, others=(second,))


def rates(made: Story, one: str, two: str, later_s: float = 0) -> None:
    """Both exchanges tell what they will next pay."""
    made.now_s += later_s

    def told(market: Market, rate: str) -> RateSeen:
        now = after(made.now_s)
        return RateSeen(market, D(rate), 8 * HOUR, now + timedelta(hours=8), now)

    made.tell(told(A, one), told(B, two))


def opening(**changes: object) -> Story:
    """The rates pay, both legs are out."""
    made = scene(**changes)
    made.prices("100", "100")
    rates(made, "0", "0.002", later_s=1)
    return made


def inside(**changes: object) -> Story:
    """Ten are long at pa and short at pb."""
    made = opening(**changes)
    made.trade("e0-1-0", "10", "100", later_s=0.2)
    made.trade("h1-1-0", "10", "100", later_s=0.2)
    return made


def life_of_a_pair() -> str:
    made = scene()
    made.prices("100", "100")
    made.say("The difference of the rates is less than four fees cost over a day: it stays out")
    rates(made, "0", "0.0001", later_s=1)
    made.say("It pays: long where funding is low, short where it is high, both at once")
    made.prices("100", "100", later_s=HOUR)
    rates(made, "0", "0.002", later_s=1)
    made.trade("e0-1-0", "10", "100", later_s=0.2)
    made.trade("h1-1-0", "10", "100", later_s=0.2)
    made.say("Half of the difference is gone; once is no reason, twice is: both legs are closed, reduce-only")
    made.prices("100", "100", later_s=8 * HOUR)
    rates(made, "0", "0.0009")
    made.prices("100", "100", later_s=8 * HOUR)
    rates(made, "0", "0.0009")
    made.trade("x0-1-0", "10", "100", later_s=0.2)
    made.trade("x1-1-0", "10", "100", later_s=0.2)
    return made.text


def leg_alone_then_back() -> str:
    made = opening()
    made.say("One leg fills in part, the other not at all: the first stops, the second follows to its quantity")
    made.trade("e0-1-0", "4", "100", later_s=0.2)
    made.tell(made.seen(made.cid("e0-1-0"), SeenAs.EXPIRED, "4"), made.seen(made.cid("h1-1-0"), SeenAs.EXPIRED))
    made.prices("100", "99.8", later_s=1)
    made.tell(made.seen(made.cid("e0-1-1"), SeenAs.EXPIRED), made.seen(made.cid("h1-1-1"), SeenAs.EXPIRED), later_s=0.2)
    made.prices("100", "99.8", later_s=5)
    made.tell(made.seen(made.cid("e0-1-2"), SeenAs.EXPIRED), made.seen(made.cid("h1-1-2"), SeenAs.EXPIRED), later_s=0.2)
    made.say("Its answer is lost: no second one is sent; the deadline passes, and what is held goes back, reduce-only")
    made.tell(made.unanswered(made.cid("h1-1-3")), later_s=0.2)
    made.prices("100", "99.8", later_s=24)
    made.tell(made.seen(made.cid("h1-1-3"), SeenAs.EXPIRED), later_s=0.2)
    made.trade("x0-1-0", "4", "99.9", later_s=0.2)
    return made.text


def leg_gone() -> str:
    made = inside()
    made.say(
        "The exchange deleverages the short: believed once it was seen for five seconds, then the other leg is closed"
    )
    made.now_s += 60
    made.tell(made.execution("h1-1-0", "10", "101", side=Side.BUY, client_id=ClientId("adl_autoclose")))
    made.prices("101", "101", later_s=1)
    made.prices("101", "101", later_s=5)
    made.trade("x0-1-0", "10", "101", later_s=0.2)
    return made.text


def restart_in_each_state() -> str:
    made = scene()
    made.prices("100", "100")
    made.say("Scanning; then both legs were sent, no answer yet")
    made.restart()
    made.prices("100", "100", later_s=1)
    rates(made, "0", "0.002")
    made.restart()
    made.prices("100", "100", later_s=1)
    made.say("One leg is in")
    made.trade("e0-1-0", "10", "100", later_s=0.2)
    made.restart()
    made.prices("100", "100", later_s=1)
    made.trade("h1-1-0", "10", "100", later_s=0.2)
    made.say("The pair stands; a week later its time is over")
    made.restart()
    made.prices("100", "100", later_s=168 * HOUR + 5)
    made.say("Closing, with one leg out")
    made.trade("x0-1-0", "10", "100", later_s=0.2)
    made.restart()
    made.prices("100", "100", later_s=1)
    made.trade("x1-1-0", "10", "100", later_s=0.2)
    made.say("Out again: it looks for the next one when it has rested for an hour")
    made.restart()
    made.prices("100", "100", later_s=1)
    return made.text


SCENES: list[Callable[[], str]] = [life_of_a_pair, leg_alone_then_back, leg_gone, restart_in_each_state]


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    check(play, TEXTS)
