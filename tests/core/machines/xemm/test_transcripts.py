"""Scenes of market making across exchanges as text: what the engine is told and answers (see tests/core/executors/story.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import Refusal, SeenAs
from tests.core.executors.story import Story, check
from tests.core.hostile_pair import rules_of
from tests.core.machines.xemm.test_xemm import config

TEXTS = Path(__file__).parent / "transcripts"


def scene(**changes: object) -> Story:
    """Half a coin: bought as a maker at a, sold at b for a tenth of a percent."""
    first, second = rules_of().values()
    return Story(config(**changes), first, others=(second,))


def quoting(**changes: object) -> Story:
    """The maker order rests."""
    made = scene(**changes)
    made.prices("100", "100")
    made.ok("e0-0-0")
    return made


def life_of_a_round() -> str:
    made = scene()
    made.prices("100", "100")
    made.ok("e0-0-0")
    made.say("The price to hedge at moves a little: the order still earns enough, and stays")
    made.prices("100", "100.05", later_s=5)
    made.say("It moves further: the order is priced anew, after its cancel is confirmed")
    made.prices("100.4", "100.4", later_s=5)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED), later_s=0.2)
    made.ok("e0-0-1")
    made.say("A part fills and is hedged by as much, while the rest goes on resting")
    made.trade("e0-0-1", "0.2", "100.22")
    made.trade("h1-0-0", "0.2", "100.4", later_s=0.2)
    made.say("The rest fills: the same leg grows, and the round is over once it is sold")
    made.trade("e0-0-1", "0.3", "100.22", later_s=10)
    made.trade("h1-0-1", "0.3", "100.38", later_s=0.2)
    return made.text


def fill_during_the_cancel() -> str:
    made = quoting()
    made.trade("e0-0-0", "0.1", "99.83", later_s=5)
    made.trade("h1-0-0", "0.1", "100", later_s=0.2)
    made.say(
        "The order is withdrawn to be priced anew; it trades once more before the cancel arrives: hedged like any other"
    )
    made.prices("100", "99.7", later_s=5)
    made.tell(
        made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.3"), made.execution("e0-0-0", "0.2", "99.83"), later_s=0.3
    )
    made.ok("e0-0-1")
    made.trade("h1-0-1", "0.2", "99.7", later_s=0.2)
    made.prices("100", "99.7", later_s=5)
    return made.text


def no_hedge_to_be_had() -> str:
    made = quoting()
    made.say("The hedge does not fill: its cap is widened every second")
    made.trade("e0-0-0", "0.5", "99.83", later_s=5)
    for attempt in range(3):
        made.tell(made.seen(made.cid(f"h1-0-{attempt}"), SeenAs.EXPIRED), later_s=0.2)
        made.prices("100", "99.9", later_s=0.8)
    made.say(
        "Past its deadline a person is told; once it has stood open for half a minute it is sold where it was bought"
    )
    made.tell(made.unanswered(made.cid("h1-0-3")), later_s=0.2)
    made.prices("100", "99.9", later_s=3)
    made.tell(made.seen(made.cid("h1-0-3"), SeenAs.EXPIRED), later_s=24)
    made.prices("100", "99.9", later_s=0.5)
    made.trade("x0-0-0", "0.5", "99.95", later_s=0.2)
    made.prices("100", "99.9", later_s=1)
    return made.text


def hedge_refused() -> str:
    made = quoting()
    made.trade("e0-0-0", "0.2", "99.83", later_s=5)
    made.say("The venue has no money for the hedge: undone at once, INSUFFICIENT_BALANCE")
    made.tell(made.refused(made.cid("h1-0-0"), Refusal.FUNDS, "insufficient margin"), later_s=0.2)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.2"), later_s=0.2)
    made.trade("x0-0-0", "0.2", "99.9", later_s=0.2)
    return made.text


def restart_in_each_state() -> str:
    made = scene(rounds=2)
    made.prices("100", "100")
    made.say("The maker order was sent, no answer yet")
    made.restart()
    made.prices("100", "100", later_s=1)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.OPEN), later_s=0.2)
    made.say("It fills while nobody looks: the first reading hedges it")
    made.restart()
    made.trade("e0-0-0", "0.5", "99.83", later_s=3)
    made.prices("100", "100")
    made.say("The hedge was sent, no answer yet: it is asked for, never sent twice")
    made.restart()
    made.prices("100", "100", later_s=1)
    made.trade("h1-0-0", "0.5", "100", later_s=0.2)
    made.say("The second round quotes")
    made.restart()
    made.prices("100", "100", later_s=1)
    return made.text


SCENES: list[Callable[[], str]] = [
    life_of_a_round, fill_during_the_cancel, no_hedge_to_be_had, hedge_refused, restart_in_each_state,
]  # fmt: skip


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    check(play, TEXTS)
