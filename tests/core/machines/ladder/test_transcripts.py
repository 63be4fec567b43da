"""Scenes of a ladder as text: what the engine is told, what it answers (see tests/core/test_transcripts.py)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.facts import Action, Refusal, SeenAs
from core.machines.ladder.config import LadderConfig
from core.values import Side
from tests.core.machines.ladder.ladders import ladder, spec_of
from tests.core.transcript import Script
from tests.core.worlds import instrument, world
from tests.simulation.memory import Memory

TEXTS = Path(__file__).parent / "transcripts"


@dataclass(slots=True)
class Scene(Script):
    """A script of a ladder."""

    def __post_init__(self) -> None:
        """Open the store of the scene and its world."""
        assert isinstance(self.config, LadderConfig)
        made = spec_of(self.config, self.rules)
        self.state = world(made, limits=self.limits)
        self.memory = Memory({made.bot_id: made}, self.limits)

    def ok(self, leg: str) -> None:
        """The venue takes an order of a leg."""
        self.tell(self.accepted(f"l-test-{leg}"))

    def trade(self, leg: str, qty: str, price: str, side: Side = Side.BUY, later_s: float = 1, fee: str = "0") -> None:
        """An order of a leg trades."""
        self.now_s += later_s
        self.tell(self.fill(f"l-test-{leg}", qty, price, side, fee))


def scene(**changes: object) -> Scene:
    """A ladder of one trade: 0.1 at 98, out again at 98.98."""
    rules = changes.pop("rules", None) or instrument()
    values: dict[str, object] = {"min_price": 98, "max_price": 98, "count": 1}
    return Scene(ladder(**(values | changes)), rules)  # pyright: ignore[reportArgumentType]  any kind's


def resting(**changes: object) -> Scene:
    """Its entry rests below the price."""
    made = scene(**changes)
    made.price("100")
    made.ok("e0-0-0")
    made.price("98.2", later_s=5)
    return made


def holding(**changes: object) -> Scene:
    """It has bought 0.1 at 98 and offers it."""
    made = resting(**changes)
    made.trade("e0-0-0", "0.1", "98")
    made.ok("x0-0-0")
    return made


def fill_while_paused() -> str:
    made = resting(loop=True)
    made.say("A person pauses the bot; the entry that rests fills, and what it bought is offered at once")
    made.tell(made.command(Action.PAUSE), later_s=5)
    made.trade("e0-0-0", "0.1", "98")
    made.ok("x0-0-0")
    made.say("It sells while paused; the trade begins anew once the bot is resumed")
    made.trade("x0-0-0", "0.1", "98.98", Side.SELL)
    made.tell(made.command(Action.RESUME), later_s=60)
    made.price("99", later_s=1)
    return made.text


def partial_then_cancel() -> str:
    made = resting()
    made.say("A part is bought and offered; a person cancels the rest at the exchange: it is ordered again")
    made.trade("e0-0-0", "0.04", "98")
    made.ok("x0-0-0")
    made.tell(made.seen("l-test-e0-0-0", SeenAs.CANCELED, "0.04"), later_s=1)
    made.ok("e0-0-1")
    made.say("The exit trades in part and is cancelled as well: only what is left of it is offered again")
    made.trade("x0-0-0", "0.03", "98.98", Side.SELL)
    made.tell(made.seen("l-test-x0-0-0", SeenAs.CANCELED, "0.03"), later_s=1)
    made.ok("x0-0-1")
    made.say("The rest of the entry fills; the exit grows to all that is held")
    made.trade("e0-0-1", "0.06", "98")
    made.tell(made.seen("l-test-x0-0-1", SeenAs.CANCELED), later_s=1)
    made.ok("x0-0-2")
    made.trade("x0-0-2", "0.07", "98.98", Side.SELL)
    return made.text


def post_only_storm() -> str:
    made = scene()
    made.say("Each time the entry would cross by the time it arrives; the waits double up to four seconds")
    made.price("98.1")
    for attempt in range(5):
        wait_s = min(0.25 * 2**attempt, 4.0)
        made.tell(made.refused(f"l-test-e0-0-{attempt}", Refusal.POST_ONLY, "would immediately match"))
        made.price("98.1", later_s=wait_s)
    made.say("It rests at last, and fills")
    made.ok("e0-0-5")
    made.trade("e0-0-5", "0.1", "98")
    return made.text


def lot_step_remainders() -> str:
    made = resting(rules=instrument(fee_in_base=True), loop=True)
    made.say("The fee is taken in base: 0.0996 are held, 0.099 can be offered, less than a lot step stays behind")
    for cycle in range(2):
        if cycle:
            made.price("98.2", later_s=5)
            made.ok(f"e0-{cycle}-0")
        made.now_s += 1
        bought = made.fill(f"l-test-e0-{cycle}-0", "0.1", "98", fee="0.0004")
        made.tell(type(bought)(**{name: getattr(bought, name) for name in bought.__slots__} | {"fee_asset": "BTC"}))
        made.ok(f"x0-{cycle}-0")
        made.trade(f"x0-{cycle}-0", "0.099", "98.98", Side.SELL)
    made.say("What stays behind waits as lots of its own; no order is ever too small")
    return made.text


def stop_while_exits_rest() -> str:
    made = holding()
    made.say("A person flattens the bot: the exit is cancelled first, the closing waits for the confirmation")
    made.tell(made.command(Action.FLATTEN), later_s=5)
    made.say("A part of the exit had traded: only what is left goes to the market")
    made.tell(
        made.seen("l-test-x0-0-0", SeenAs.CANCELED, "0.03"),
        made.fill("l-test-x0-0-0", "0.03", "98.98", Side.SELL),
        later_s=1,
    )
    made.price("98.5", later_s=1)
    made.trade("u0-0-0", "0.07", "98.4", Side.SELL)
    made.price("98.5", later_s=5)
    return made.text


def restart_in_each_state() -> str:
    made = scene(loop=True)
    made.say("PENDING_ENTRY: no price yet")
    made.restart()
    made.say("PENDING_ENTRY: the answer is outstanding")
    made.price("100")
    made.restart()
    made.price("98.2", later_s=5)
    made.say("PLACED_ENTRY")
    made.ok("e0-0-0")
    made.restart()
    made.price("98.2", later_s=1)
    made.say("A part is bought and offered")
    made.trade("e0-0-0", "0.04", "98")
    made.ok("x0-0-0")
    made.restart()
    made.price("98.2", later_s=1)
    made.say("FILLED_WAIT: the exit grows")
    made.trade("e0-0-0", "0.06", "98")
    made.restart()
    made.price("98.2", later_s=1)
    made.tell(made.seen("l-test-x0-0-0", SeenAs.CANCELED), later_s=1)
    made.ok("x0-0-1")
    made.say("PLACED_EXIT")
    made.restart()
    made.price("98.5", later_s=1)
    made.say("COMPLETED, and begun again")
    made.trade("x0-0-1", "0.1", "98.98", Side.SELL)
    made.restart()
    made.price("99", later_s=1)
    return made.text


SCENES: list[Callable[[], str]] = [
    fill_while_paused, partial_then_cancel, post_only_storm, lot_step_remainders, stop_while_exits_rest, restart_in_each_state,
]  # fmt: skip


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    text, path = play(), TEXTS / f"{play.__name__}.txt"
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(text)
    assert text == path.read_text()
