"""Scenes of a position executor as text: what the engine is told, what it answers (see tests/core/executors/story.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import Action, Refusal, SeenAs
from tests.core.executors.bench import config_of
from tests.core.executors.story import Story, check

TEXTS = Path(__file__).parent / "transcripts"


def scene(**changes: object) -> Story:
    """A long of 0.5 at 100 with a resting target at +2 % and a stop at -2 %."""
    barriers = {"stop_loss": "0.02", "take_profit": "0.02", "take_profit_order_type": "LIMIT"}
    return Story(config_of("position", amount="0.5", entry_price=100, triple_barrier=barriers | changes))


def resting(**changes: object) -> Story:
    """Its entry rests below the price."""
    made = scene(**changes)
    made.price("101")
    made.ok("e0-0-0")
    return made


def life_with_its_target() -> str:
    made = resting()
    made.say("A part is bought: the target rests for it at once, and grows with the next part")
    made.trade("e0-0-0", "0.2", "100", later_s=5)
    made.ok("x0-0-0")
    made.trade("e0-0-0", "0.3", "100", later_s=5)
    made.tell(made.seen(made.cid("x0-0-0"), SeenAs.CANCELED))
    made.ok("x0-0-1")
    made.say("The target fills in two parts: TAKE_PROFIT, and nothing is held")
    made.trade("x0-0-1", "0.1", "102", later_s=60)
    made.trade("x0-0-1", "0.4", "102")
    made.price("90", later_s=60)
    return made.text


def partial_entry_then_the_stop() -> str:
    made = resting()
    made.trade("e0-0-0", "0.2", "100", later_s=5)
    made.ok("x0-0-0")
    made.say(
        "The stop fires while 0.3 of the entry and the target still rest: both are cancelled before anything is sold"
    )
    made.price("97.9", later_s=5)
    made.say("The entry traded once more before its cancel arrived: that part is sold with the rest")
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.3"), made.execution("e0-0-0", "0.1", "100"), later_s=1)
    made.tell(made.seen(made.cid("x0-0-0"), SeenAs.CANCELED))
    made.say("The book takes a part up to the cap; what is left goes out again, alone and with a wider cap")
    made.trade("u0-0-0", "0.2", "97.8")
    made.tell(made.seen(made.cid("u0-0-0"), SeenAs.EXPIRED, "0.2"))
    made.price("97.8", later_s=2)
    made.trade("u0-0-1", "0.1", "97.6")
    return made.text


def trailing_stop() -> str:
    made = resting(
        take_profit=None, take_profit_order_type=None, trailing_stop={"activation": "0.01", "delta": "0.004"}
    )
    made.trade("e0-0-0", "0.5", "100", later_s=5)
    made.say("One percent up it is armed; the peak moves with the price, and 0.4 % below it the position is sold")
    made.price("101.1", later_s=60)
    made.restart()
    made.price("103", later_s=60)
    made.price("102.7", later_s=60)
    made.price("102.5", later_s=60)
    made.trade("u0-0-0", "0.5", "102.5")
    return made.text


def money_missing_for_the_rest() -> str:
    made = resting()
    made.trade("e0-0-0", "0.2", "100", later_s=5)
    made.ok("x0-0-0")
    made.say("Somebody cancels the entry at the exchange, and the account has no money for the rest: asked again later")
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.2"), later_s=5)
    made.tell(made.refused(made.cid("e0-0-1"), Refusal.FUNDS, "insufficient balance"))
    made.price("101", later_s=5)
    made.say("What was bought keeps its target, and its stop")
    made.trade("x0-0-0", "0.2", "102", later_s=5)
    return made.text


def no_money_at_all() -> str:
    made = scene()
    made.price("101")
    made.say("Nothing was bought: INSUFFICIENT_BALANCE, said once, and nothing is sent again")
    made.tell(made.refused(made.cid("e0-0-0"), Refusal.FUNDS, "insufficient balance"))
    made.price("100", later_s=60)
    return made.text


def restart_in_each_state() -> str:
    made = scene()
    made.price("101")
    made.say("The entry was sent, no answer yet: it is asked for, not sent again")
    made.restart()
    made.price("101", later_s=5)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.OPEN), later_s=1)
    made.say("A part is held, the target rests for it")
    made.trade("e0-0-0", "0.2", "100", later_s=5)
    made.ok("x0-0-0")
    made.restart()
    made.price("100.5", later_s=5)
    made.say("A person pauses it: what fills is still offered, the barriers hold")
    made.tell(made.command(Action.PAUSE), later_s=5)
    made.restart()
    made.price("97.9", later_s=5)
    made.say("Closing: the cancels are under way")
    made.restart()
    made.price("97.9", later_s=2)
    made.tell(made.seen(made.cid("e0-0-0"), SeenAs.CANCELED, "0.2"), made.seen(made.cid("x0-0-0"), SeenAs.CANCELED))
    made.say("The closing was sent")
    made.restart()
    made.price("97.8", later_s=1)
    made.trade("u0-0-0", "0.2", "97.8")
    made.say("Closed")
    made.restart()
    made.price("101", later_s=60)
    return made.text


SCENES: list[Callable[[], str]] = [
    life_with_its_target, partial_entry_then_the_stop, trailing_stop, money_missing_for_the_rest, no_money_at_all,
    restart_in_each_state,
]  # fmt: skip


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    check(play, TEXTS)
