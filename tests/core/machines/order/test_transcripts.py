"""Scenes of an order executor as text: what the engine is told, what it answers (see tests/core/executors/story.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import SeenAs
from tests.core.executors.bench import config_of
from tests.core.executors.story import Story, check

TEXTS = Path(__file__).parent / "transcripts"
CHASER = {"distance": "0.001", "refresh_threshold": "0.005"}


def scene(how: str, **changes: object) -> Story:
    """A purchase of 0.5 by a strategy."""
    return Story(config_of("order", amount="0.5", execution_strategy=how, **changes))


def chased() -> Story:
    """A chaser that rests 0.1 % below the bid."""
    made = scene("LIMIT_CHASER", chaser_config=CHASER)
    made.price("100")
    made.ok("e0-0-0")
    return made


def life_of_a_market_order() -> str:
    made = scene("MARKET")
    made.price("100")
    made.say("The book has less than was asked for up to the cap; only the rest is sent again")
    made.trade("e0-0-0", "0.2", "100.1")
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.EXPIRED, "0.2"))
    made.say("The book has run away beyond the cap: the order expires, and the cap follows")
    made.price("102", later_s=2)
    made.tell(made.seen(made.cid("e0-0-1"), SeenAs.EXPIRED))
    made.trade("e0-0-2", "0.3", "102")
    return made.text


def life_of_a_chaser() -> str:
    made = chased()
    made.say("The bid rises, but is near enough")
    made.price("100.3", later_s=5)
    made.say("Now it is too far: the order is cancelled, and the next one waits for the confirmation")
    made.price("100.5", later_s=5)
    made.price("100.6", later_s=5)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED), later_s=1)
    made.ok("e0-0-1")
    made.trade("e0-0-1", "0.5", "100.39", later_s=5)
    return made.text


def partial_then_cancel() -> str:
    made = chased()
    made.trade("e0-0-0", "0.2", "99.9", later_s=5)
    made.say("While the order is being replaced a part of it trades: the next one asks for what is missing alone")
    made.price("102", later_s=5)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.3"), made.execution("e0-0-0", "0.1", "99.9"), later_s=1)
    made.ok("e0-0-1")
    made.say("Somebody cancels that one at the exchange after another part: it is placed again for the rest")
    made.trade("e0-0-1", "0.1", "101.89", later_s=5)
    made.tell(made.seen(made.cid("e0-0-1"), SeenAs.CANCELED, "0.1"), later_s=1)
    made.ok("e0-0-2")
    made.trade("e0-0-2", "0.1", "101.89", later_s=5)
    return made.text


def lost_answer() -> str:
    made = scene("LIMIT", price=99)
    made.price("100")
    made.say("The answer is lost: nothing is sent again before the exchange says what became of it")
    made.tell(made.unanswered(made.cid("e0-0-0")))
    made.price("100", later_s=5)
    made.say("It never arrived: dead only after its quarantine")
    made.tell(made.not_found(made.cid("e0-0-0"), 5), later_s=5)
    made.price("100", later_s=24)
    made.tell(made.not_found(made.cid("e0-0-0"), 1), later_s=1)
    made.ok("e0-0-1")
    made.trade("e0-0-1", "0.5", "99", later_s=5)
    return made.text


def restart_in_each_state() -> str:
    made = scene("LIMIT_CHASER", chaser_config=CHASER)
    made.price("100")
    made.say("Sent, no answer yet")
    made.restart()
    made.price("100", later_s=2)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.OPEN), later_s=1)
    made.trade("e0-0-0", "0.2", "99.9", later_s=5)
    made.say("A part is held; the bid runs away, and the process ends while the cancel is under way")
    made.price("102", later_s=5)
    made.restart()
    made.price("102", later_s=2)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.2"), later_s=1)
    made.restart()
    made.price("102", later_s=2)
    made.tell(made.seen(made.cid("e0-0-1"), SeenAs.OPEN), later_s=1)
    made.trade("e0-0-1", "0.3", "101.89", later_s=5)
    made.say("Executed, and held for good")
    made.restart()
    made.price("50", later_s=60)
    return made.text


SCENES: list[Callable[[], str]] = [
    life_of_a_market_order, life_of_a_chaser, partial_then_cancel, lost_answer, restart_in_each_state,
]  # fmt: skip


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    check(play, TEXTS)
