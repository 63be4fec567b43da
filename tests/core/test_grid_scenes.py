"""Scenes of the grid's further features as text, played as `test_transcripts.py` plays the others.

The texts lie in `transcripts/grid/`. After a change that is meant, write them anew with UPDATE_TRANSCRIPTS=1.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import SeenAs
from core.values import Side
from tests.core.transcript import Script
from tests.core.worlds import grid, swap

TEXTS = Path(__file__).parent / "transcripts" / "grid"


def trigger_then_trade() -> str:
    script = Script(grid(start_price=100, end_price=102, levels=1, trigger_price=99))
    script.say("Above the trigger nothing is wanted, also after a restart")
    script.price("101")
    script.restart()
    script.price("99.5", later_s=5)
    script.say("The trigger is reached: the grid begins, and goes on wherever the price goes")
    script.price("99", later_s=5)
    script.tell(script.accepted("g-test-e0-0-0"))
    script.restart()
    script.price("101", later_s=5)
    return script.text


def trailing_up_in_each_state() -> str:
    script = Script(grid(start_price=98, end_price=102, levels=2, trailing_up=104))
    script.price("101")
    script.tell(script.accepted("g-test-e0-0-0"), script.accepted("g-test-e1-0-0"))
    script.say("One step above the range: the farthest entry is cancelled, one is placed on the near side")
    script.price("104", later_s=5)
    script.say("The process ends while the cancel is under way; the range stands where it stood")
    script.restart()
    script.price("104", later_s=5)
    script.tell(script.seen("g-test-e0-0-0", SeenAs.CANCELED), script.accepted("g-test-e2-0-0"), later_s=1)
    script.say("At the limit it goes no further")
    script.price("110", later_s=5)
    script.say("The new level buys at 102 and sells at 104")
    script.tell(script.fill("g-test-e2-0-0", "0.1", "102"), later_s=5)
    script.restart()
    script.price("103", later_s=5)
    return script.text


def withdrawn_by_trailing_but_filled() -> str:
    script = Script(grid(start_price=98, end_price=102, levels=2, trailing_up=104))
    script.price("101")
    script.tell(script.accepted("g-test-e0-0-0"), script.accepted("g-test-e1-0-0"))
    script.price("104", later_s=5)
    script.say("The entry that the range left behind had filled before its cancel arrived: it is held and offered")
    script.tell(script.fill("g-test-e0-0-0", "0.1", "98"), later_s=1)
    script.price("104", later_s=5)
    script.say("Sold, the level waits: it is outside the range")
    script.tell(script.fill("g-test-x0-0-0", "0.1", "104", Side.SELL), later_s=5)
    return script.text


def stop_at_a_limit_first() -> str:
    barrier = {"stop_loss": "0.02", "stop_loss_order_type": "LIMIT"}
    script = Script(grid(start_price=100, end_price=102, levels=1, triple_barrier=barrier))
    script.price("101")
    script.tell(script.accepted("g-test-e0-0-0"))
    script.tell(script.fill("g-test-e0-0-0", "0.1", "100"), later_s=5)
    script.tell(script.accepted("g-test-x0-0-0"))
    script.say("The stop fires: the exit moves to the touch once its cancel is confirmed")
    script.price("97.9", later_s=5)
    script.tell(script.seen("g-test-x0-0-0", SeenAs.CANCELED), later_s=1)
    script.tell(script.accepted("g-test-x0-0-1"))
    script.say("Half a minute later what is left goes to the market")
    script.restart()
    script.price("97.5", later_s=30)
    script.tell(script.seen("g-test-x0-0-1", SeenAs.CANCELED), later_s=1)
    script.tell(script.fill("g-test-u0-0-0", "0.1", "97.4", Side.SELL), later_s=1)
    return script.text


def range_left_and_closed() -> str:
    script = Script(grid(start_price=98, end_price=102, levels=2, on_range_exit="close"))
    script.price("101")
    script.tell(script.accepted("g-test-e0-0-0"), script.accepted("g-test-e1-0-0"))
    script.tell(script.fill("g-test-e1-0-0", "0.1", "100"), later_s=5)
    script.tell(script.accepted("g-test-x1-0-0"))
    script.say("Below the range: everything is cancelled, what is held is sold, the grid is over")
    script.price("97.9", later_s=5)
    script.tell(script.seen("g-test-e0-0-0", SeenAs.CANCELED), script.seen("g-test-x1-0-0", SeenAs.CANCELED), later_s=1)
    script.tell(script.fill("g-test-u0-0-0", "0.1", "97.8", Side.SELL), later_s=1)
    script.price("101", later_s=60)
    return script.text


def neutral_across_its_start() -> str:
    rules = swap()
    script = Script(
        grid(side="NEUTRAL", venue="perp", symbol=rules.symbol, start_price=98, end_price=102, levels=2), rules
    )
    script.say("Buys below the start, sells above it")
    script.price("100.2")
    script.tell(script.accepted("g-test-e0-0-0"), script.accepted("g-test-e1-0-0"))
    script.tell(script.fill("g-test-e0-0-0", "0.1", "98"), later_s=5)
    script.tell(script.accepted("g-test-x0-0-0"))
    script.say("The price jumps: the short entry is reported first, and closes the long lot")
    script.tell(script.fill("g-test-e1-0-0", "0.1", "102", Side.SELL), later_s=5)
    script.price("102")
    script.say("The long exit is not needed any more; both cells begin a new cycle")
    script.tell(script.seen("g-test-x0-0-0", SeenAs.CANCELED), later_s=1)
    script.restart()
    script.price("101", later_s=5)
    return script.text


SCENES: list[Callable[[], str]] = [
    trigger_then_trade, trailing_up_in_each_state, withdrawn_by_trailing_but_filled, stop_at_a_limit_first,
    range_left_and_closed, neutral_across_its_start,
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_scene_plays_as_written(scene: Callable[[], str]) -> None:
    """The engine says what its transcript says, line by line, through restarts."""
    path, text = TEXTS / f"{scene.__name__}.txt", scene()
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_every_transcript_has_its_scene() -> None:
    """No text lies about that nothing plays."""
    assert {path.stem for path in TEXTS.glob("*.txt")} == {scene.__name__ for scene in SCENES}
