"""Scenes of a TWAP executor as text: what the engine is told, what it answers (see tests/core/executors/story.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import Refusal, SeenAs
from tests.core.executors.bench import config_of
from tests.core.executors.story import Story, check

TEXTS = Path(__file__).parent / "transcripts"


def scene(**changes: object) -> Story:
    """300 in three slices, a minute apart."""
    values: dict[str, object] = {"total_amount_quote": 300, "total_duration": 120, "order_interval": 60}
    return Story(config_of("twap", **(values | changes)))


def maker(**changes: object) -> Story:
    """The same, resting 0.1 % below the mid price and moved after twenty seconds."""
    return scene(mode="MAKER", limit_order_buffer="0.001", order_resubmission_time=20, **changes)


def life_of_three_slices() -> str:
    made = scene()
    made.price("100")
    made.trade("e0-0-0", "1", "100")
    made.say("Nothing is due before the minute is over")
    made.price("101", later_s=58)
    made.price("101", later_s=2)
    made.say("The book takes a part of the slice up to the cap: the rest of it goes out again")
    made.trade("e1-0-0", "0.4", "101")
    made.tell(made.seen(made.cid("e1-0-0"), SeenAs.EXPIRED, "0.4"))
    made.price("101", later_s=2)
    made.trade("e1-0-1", "0.59", "101")
    made.say("The last slice spends what is left")
    made.price("99", later_s=60)
    made.trade("e2-0-0", "1.01", "99")
    return made.text


def failed_slice() -> str:
    made = scene()
    made.price("100")
    made.trade("e0-0-0", "1", "100")
    made.price("100", later_s=60)
    made.say("The exchange refuses the second slice for good: its share is spread over those to come")
    made.tell(made.refused(made.cid("e1-0-0"), Refusal.FILTER, "price outside of its bounds"))
    made.price("100", later_s=60)
    made.trade("e2-0-0", "2", "100")
    return made.text


def maker_partial_then_moved() -> str:
    made = maker()
    made.price("100")
    made.ok("e0-0-0")
    made.trade("e0-0-0", "0.4", "99.9", later_s=5)
    made.say("After twenty seconds it is moved: cancelled first, and a part trades before the cancel arrives")
    made.price("101", later_s=16)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.5"), made.execution("e0-0-0", "0.1", "99.9"), later_s=1)
    made.say("The new order asks for what is missing alone")
    made.ok("e0-0-1")
    made.trade("e0-0-1", "0.5", "100.89", later_s=5)
    return made.text


def restart_in_each_state() -> str:
    made = maker()
    made.price("100")
    made.say("Sent, no answer yet")
    made.restart()
    made.price("100", later_s=2)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.OPEN), later_s=1)
    made.say("A part is held, the rest of the slice rests")
    made.trade("e0-0-0", "0.4", "99.9", later_s=5)
    made.restart()
    made.price("100", later_s=5)
    made.trade("e0-0-0", "0.6", "99.9", later_s=5)
    made.say("Away for two minutes: one slice was missed, one goes out, and none twice")
    made.restart()
    made.price("100", later_s=110)
    made.ok("e2-0-0")
    made.trade("e2-0-0", "1.5", "99.9", later_s=5)
    made.say("One interval after the last slice what nobody took is withdrawn and named")
    made.restart()
    made.price("100", later_s=60)
    made.tell(
        made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "1"), made.seen(made.cid("e2-0-0"), SeenAs.CANCELED, "1.5"),
        later_s=1,
    )  # fmt: skip
    return made.text


SCENES: list[Callable[[], str]] = [life_of_three_slices, failed_slice, maker_partial_then_moved, restart_in_each_state]


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    check(play, TEXTS)
