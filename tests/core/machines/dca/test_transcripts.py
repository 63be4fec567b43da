"""Scenes of a DCA executor as text: what the engine is told, what it answers (see tests/core/executors/story.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import SeenAs
from tests.core.executors.bench import config_of
from tests.core.executors.story import Story, check

TEXTS = Path(__file__).parent / "transcripts"


def scene(**changes: object) -> Story:
    """1 at 100, 2 at 99, 3 at 98; out at +2 % of the average, stopped at -3 % of it."""
    values: dict[str, object] = {
        "amounts_quote": [100, 198, 294], "prices": [100, 99, 98], "take_profit": "0.02", "take_profit_order_type": "LIMIT",
        "stop_loss": "0.03",
    }  # fmt: skip
    return Story(config_of("dca", **(values | changes)))


def started(**changes: object) -> Story:
    """All three levels rest."""
    made = scene(**changes)
    made.price("101")
    made.ok("e0-0-0", "e1-0-0", "e2-0-0")
    return made


def life_of_three_levels() -> str:
    made = started()
    made.say("The first level fills: the target is 2 % above it")
    made.trade("e0-0-0", "1", "100", later_s=5)
    made.ok("x3-0-0")
    made.say("The second fills: the target moves to 2 % above the average, for all that is held")
    made.trade("e1-0-0", "2", "99", later_s=60)
    made.tell(made.seen(made.cid("x3-0-0"), SeenAs.CANCELED))
    made.ok("x3-0-1")
    made.say("The target fills: the third level is withdrawn, TAKE_PROFIT")
    made.trade("x3-0-1", "3", "101.32", later_s=60)
    made.tell(made.seen(made.cid("e2-0-0"), SeenAs.CANCELED), later_s=1)
    return made.text


def partial_level_then_the_stop() -> str:
    made = started()
    made.trade("e0-0-0", "1", "100", later_s=5)
    made.ok("x3-0-0")
    made.trade("e1-0-0", "0.5", "99", later_s=60)
    made.tell(made.seen(made.cid("x3-0-0"), SeenAs.CANCELED))
    made.ok("x3-0-1")
    made.say("The price jumps through the stop of what is held: three orders are cancelled first")
    made.price("96.5", later_s=5)
    made.say("A level traded a part before its cancel arrived, another was cancelled with nothing")
    made.tell(
        made.seen(made.cid("e1-0-0"), SeenAs.CANCELED, "0.7"), made.execution("e1-0-0", "0.2", "99"),
        made.seen(made.cid("e2-0-0"), SeenAs.CANCELED), later_s=1,
    )  # fmt: skip
    made.tell(made.seen(made.cid("x3-0-1"), SeenAs.CANCELED), later_s=1)
    made.trade("u0-0-0", "1.7", "96.4")
    return made.text


def restart_in_each_state() -> str:
    made = scene(activation_bounds="0.015")
    made.say("The first two levels are near enough")
    made.price("100.5")
    made.restart()
    made.price("100.5", later_s=2)
    made.ok("e0-0-0", "e1-0-0")
    made.say("One level is held; the third comes near")
    made.trade("e0-0-0", "1", "100", later_s=5)
    made.ok("x3-0-0")
    made.restart()
    made.price("99.4", later_s=5)
    made.ok("e2-0-0")
    made.say("The target moves to the new average when the process ends")
    made.trade("e1-0-0", "2", "99", later_s=5)
    made.restart()
    made.price("99", later_s=5)
    made.tell(made.seen(made.cid("x3-0-0"), SeenAs.CANCELED), later_s=1)
    made.ok("x3-0-1")
    made.restart()
    made.say("The target fills while nobody looks; its trade comes with the first reading")
    made.trade("x3-0-1", "3", "101.32", later_s=60)
    made.price("101.4")
    made.restart()
    made.tell(made.seen(made.cid("e2-0-0"), SeenAs.CANCELED), later_s=1)
    made.price("101.4", later_s=1)
    return made.text


SCENES: list[Callable[[], str]] = [life_of_three_levels, partial_level_then_the_stop, restart_in_each_state]


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    check(play, TEXTS)
