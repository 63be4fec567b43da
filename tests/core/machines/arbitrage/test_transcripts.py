"""Scenes of an arbitrage as text: what the engine is told, what it answers (see tests/core/executors/story.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import Refusal, SeenAs
from tests.core.executors.story import Story, check
from tests.core.hostile_pair import rules_of
from tests.core.machines.arbitrage.test_arbitrage import config

TEXTS = Path(__file__).parent / "transcripts"


def scene(**changes: object) -> Story:
    """Half a coin, bought at a and sold at b where that earns a tenth of a percent."""
    first, second = rules_of().values()
    return Story(config(**changes), first, others=(second,))


def sent(**changes: object) -> Story:
    """Both legs are out."""
    made = scene(**changes)
    made.prices("100", "100.1")
    made.prices("100", "101", later_s=5)
    return made


def life_of_a_round() -> str:
    made = scene()
    made.say("The difference would be eaten by fees: nothing is sent")
    made.prices("100", "100.1")
    made.say("It pays: both legs at once, each under a cap at which the round still earns its minimum")
    made.prices("100", "101", later_s=5)
    made.trade("e0-0-0", "0.5", "100.02", later_s=0.2)
    made.trade("h1-0-0", "0.5", "100.99", later_s=0.1)
    made.prices("100", "101", later_s=5)
    return made.text


def one_leg_in_part() -> str:
    made = sent()
    made.say("The purchase fills, the sale in part: its rest is sent again under the same cap until the time is up")
    made.trade("e0-0-0", "0.5", "100.02", later_s=0.2)
    made.trade("h1-0-0", "0.2", "100.99", later_s=0.1)
    made.tell(made.seen(made.cid("h1-0-0"), SeenAs.EXPIRED, "0.2"))
    made.prices("100", "100.2", later_s=1)
    made.tell(made.seen(made.cid("h1-0-1"), SeenAs.EXPIRED), later_s=0.2)
    made.prices("100", "100.2", later_s=4)
    made.say("What stands alone is sold where it costs less")
    made.tell(made.seen(made.cid("h1-0-2"), SeenAs.EXPIRED), later_s=0.2)
    made.prices("100", "100.2", later_s=1)
    made.trade("h1-0-3", "0.3", "100.1", later_s=0.2)
    made.prices("100", "100.2", later_s=5)
    return made.text


def sale_refused() -> str:
    made = sent()
    made.say("The venue has no coins for the sale: the purchase goes back, INSUFFICIENT_BALANCE, nothing stays naked")
    made.trade("e0-0-0", "0.5", "100.02", later_s=0.2)
    made.tell(made.refused(made.cid("h1-0-0"), Refusal.FUNDS, "insufficient balance"), later_s=0.1)
    made.trade("x0-0-0", "0.5", "99.9", later_s=0.5)
    made.prices("100", "101", later_s=5)
    return made.text


def restart_in_each_state() -> str:
    made = scene(rounds=2)
    made.prices("100", "100.1")
    made.say("Watching")
    made.restart()
    made.prices("100", "101", later_s=5)
    made.say("Both legs were sent, no answer yet: they are asked for, not sent again")
    made.restart()
    made.prices("100", "101", later_s=1)
    made.say("One leg is in when the process ends again")
    made.trade("e0-0-0", "0.5", "100.02", later_s=0.2)
    made.restart()
    made.prices("100", "101", later_s=1)
    made.tell(made.seen(made.cid("h1-0-0"), SeenAs.EXPIRED), later_s=0.2)
    made.say(
        "Its time is up when the process ends once more: what stands alone is sold, and it watches for the next round"
    )
    made.prices("100", "100.5", later_s=4)
    made.restart()
    made.prices("100", "100.1", later_s=1)
    made.tell(made.seen(made.cid("h1-0-1"), SeenAs.EXPIRED), later_s=0.2)
    made.trade("h1-0-2", "0.5", "100.1", later_s=0.2)
    made.restart()
    made.prices("100", "100.1", later_s=1)
    return made.text


SCENES: list[Callable[[], str]] = [life_of_a_round, one_leg_in_part, sale_refused, restart_in_each_state]


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    check(play, TEXTS)
