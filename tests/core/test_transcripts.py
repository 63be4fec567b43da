"""Scenes as text: what the engine is told, what it answers. A change of behaviour shows as a changed line.

The texts lie in `transcripts/`. After a change that is meant, write them anew with UPDATE_TRANSCRIPTS=1 and read the diff.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.facts import Action, CancelRefused, Refusal, SeenAs
from core.orders import ClientId
from core.values import Side
from tests.core.transcript import Script
from tests.core.worlds import after, grid, swap

TEXTS = Path(__file__).parent / "transcripts"
E0, X0 = "g-test-e0-0-0", "g-test-x0-0-0"


def one_level(**changes: object) -> Script:
    """A grid of a single level: buy 0.1 at 100, sell at 102."""
    return Script(grid(start_price=100, end_price=102, levels=1, **changes))


def holding(script: Script) -> Script:
    """Let the level buy all it wants and offer it again."""
    script.price("101")
    script.tell(script.accepted(E0))
    script.tell(script.fill(E0, "0.1", "100"), later_s=5)
    script.tell(script.accepted(X0))
    return script


def partial_fill_then_cancel() -> str:
    script = one_level(activation_bounds="0.02")
    script.say("A part is bought; it is offered at once, while the rest of the entry still rests")
    script.price("101")
    script.tell(script.accepted(E0))
    script.tell(script.fill(E0, "0.04", "100"), later_s=5)
    script.tell(script.accepted(X0))
    script.say("The price leaves the bounds: the entry is withdrawn, what was bought is kept")
    script.price("103", later_s=5)
    script.say("Another part trades before the cancel arrives; the exit grows with it")
    script.tell(script.seen(E0, SeenAs.CANCELED, "0.05"), script.fill(E0, "0.01", "100"), later_s=1)
    script.tell(script.seen(X0, SeenAs.CANCELED))
    script.tell(script.accepted("g-test-x0-0-1"))
    script.say("A part of the exit is cancelled by hand; only the rest is offered again")
    script.tell(
        script.fill("g-test-x0-0-1", "0.02", "102", Side.SELL),
        script.seen("g-test-x0-0-1", SeenAs.CANCELED, "0.02"),
        later_s=5,
    )
    script.tell(script.fill("g-test-x0-0-2", "0.03", "102", Side.SELL), later_s=5)
    return script.text


def post_only_storm() -> str:
    script = one_level()
    script.say("Each time the entry would cross by the time it arrives; the waits double up to four seconds")
    script.price("101")
    for attempt in range(7):
        wait_s = min(0.25 * 2**attempt, 4.0)
        script.tell(script.refused(f"g-test-e0-0-{attempt}", Refusal.POST_ONLY, "would immediately match"))
        script.price("100.5", later_s=wait_s)
    script.say("It rests at last, and fills")
    script.tell(script.accepted("g-test-e0-0-7"))
    script.tell(script.fill("g-test-e0-0-7", "0.1", "100"), later_s=5)
    return script.text


def stop_loss_with_resting_exits() -> str:
    script = holding(one_level(triple_barrier={"stop_loss": "0.02"}))
    script.say("The stop fires: the exit is cancelled first, the market order waits for the confirmation")
    script.price("97.9", later_s=5)
    script.price("97.8", later_s=5)
    script.say("Part of the exit had traded: only what is left goes out")
    script.tell(script.seen(X0, SeenAs.CANCELED, "0.03"), script.fill(X0, "0.03", "102", Side.SELL), later_s=1)
    script.say("The book takes a part up to the cap and the rest expires; the next slice has a wider cap")
    script.tell(
        script.fill("g-test-u0-0-0", "0.05", "97.7", Side.SELL),
        script.seen("g-test-u0-0-0", SeenAs.EXPIRED, "0.05"),
        later_s=1,
    )
    script.tell(script.fill("g-test-u0-0-1", "0.02", "97.6", Side.SELL), later_s=1)
    script.say("The stop is latched: a price inside the grid starts nothing")
    script.price("101", later_s=60)
    return script.text


def flatten() -> str:
    script = Script(grid(start_price=98, end_price=102, levels=2))
    script.say("One level holds, the other waits")
    script.price("101")
    script.tell(script.accepted("g-test-e0-0-0"), script.accepted("g-test-e1-0-0"))
    script.tell(script.fill("g-test-e1-0-0", "0.1", "100"), later_s=5)
    script.tell(script.accepted("g-test-x1-0-0"))
    script.say("Flatten: everything is cancelled, then what is held is sold, then the bot is halted")
    script.tell(script.command(Action.FLATTEN), later_s=5)
    script.tell(script.seen("g-test-e0-0-0", SeenAs.CANCELED), later_s=1)
    script.tell(script.seen("g-test-x1-0-0", SeenAs.CANCELED), later_s=1)
    script.tell(script.fill("g-test-u0-0-0", "0.1", "100.9", Side.SELL), later_s=1)
    script.price("99", later_s=5)
    script.say("Release: the grid starts over")
    script.tell(script.command(Action.RELEASE), later_s=5)
    return script.text


def pause_and_resume() -> str:
    script = one_level()
    script.price("101")
    script.tell(script.accepted(E0))
    script.say("Paused: the entry stays, and if it fills its exit is placed")
    script.tell(script.command(Action.PAUSE), later_s=5)
    script.tell(script.fill(E0, "0.1", "100"), later_s=5)
    script.tell(script.accepted(X0))
    script.say("The cycle ends; no new entry is placed")
    script.tell(script.fill(X0, "0.1", "102", Side.SELL), later_s=5)
    script.price("101", later_s=5)
    script.say("Resumed")
    script.tell(script.command(Action.RESUME), later_s=5)
    return script.text


def restart_in_each_state() -> str:
    script = one_level()
    script.price("101")
    script.say("Sent, no answer yet: nothing is sent again, the order is asked for")
    script.restart()
    script.price("101", later_s=5)
    script.tell(script.seen(E0, SeenAs.OPEN), later_s=1)
    script.say("The entry rests")
    script.restart()
    script.price("101", later_s=5)
    script.say("A part was bought while nobody looked; its trade comes with the first reading")
    script.restart()
    script.tell(script.fill(E0, "0.04", "100"), later_s=5)
    script.price("100.5")
    script.tell(script.accepted(X0))
    script.say("A part is held and offered, the rest of the entry rests")
    script.restart()
    script.price("100.5", later_s=5)
    script.tell(script.fill(E0, "0.06", "100"), later_s=5)
    script.say("The exit is being cancelled to grow")
    script.restart()
    script.price("100.5", later_s=5)
    script.tell(script.seen(X0, SeenAs.CANCELED), later_s=1)
    script.say("All is held, the new exit was sent")
    script.restart()
    script.price("100.5", later_s=5)
    script.tell(script.seen("g-test-x0-0-1", SeenAs.OPEN), later_s=1)
    script.say("The exit rests")
    script.restart()
    script.price("101", later_s=5)
    script.tell(script.fill("g-test-x0-0-1", "0.1", "102", Side.SELL), later_s=5)
    script.say("A new cycle has begun")
    script.restart()
    script.price("101", later_s=5)
    return script.text


def late_fill_after_cancel() -> str:
    script = one_level(activation_bounds="0.02")
    script.price("101")
    script.tell(script.accepted(E0))
    script.say("The entry is withdrawn and its end confirmed, with nothing executed")
    script.price("103", later_s=5)
    script.tell(script.seen(E0, SeenAs.CANCELED), later_s=1)
    script.say("A trade shows up that happened before: it is held and offered, and nothing more is bought")
    script.tell(script.fill(E0, "0.04", "100"), later_s=5)
    script.tell(script.accepted(X0))
    script.price("101", later_s=5)
    script.tell(script.fill(X0, "0.04", "102", Side.SELL), later_s=5)
    return script.text


def lost_answer() -> str:
    script = one_level()
    script.price("101")
    script.say("The answer is lost: the leg is blocked, not the bot; a query finds the order")
    script.tell(script.unanswered(E0))
    script.price("100.5", later_s=5)
    script.tell(script.seen(E0, SeenAs.OPEN), later_s=1)
    script.tell(script.fill(E0, "0.1", "100"), later_s=5)
    script.say("The exit's answer is lost as well, and it never arrived: dead only after the quarantine")
    script.tell(script.unanswered(X0, "connection reset"))
    script.tell(script.not_found(X0, 5), later_s=5)
    script.tell(script.not_found(X0, 24), later_s=24)
    script.tell(script.not_found(X0, 1), later_s=1)
    return script.text


def lost_cancel() -> str:
    script = one_level(activation_bounds="0.02")
    script.price("101")
    script.tell(script.accepted(E0))
    script.say("The cancel is lost; the list still shows the order, and after ten seconds the cancel goes out again")
    script.price("103", later_s=5)
    script.tell(script.unanswered(E0), later_s=1)
    script.tell(script.seen(E0, SeenAs.OPEN, later_s=4), later_s=4)
    script.tell(script.seen(E0, SeenAs.OPEN, later_s=6), later_s=6)
    script.say("The venue will not cancel what is already over: nothing is concluded from that; the query tells")
    script.tell(CancelRefused(ClientId(E0), "Unknown order sent.", after(script.now_s)))
    script.tell(script.seen(E0, SeenAs.FILLED, "0.1", 1), later_s=1)
    script.tell(script.fill(E0, "0.1", "100"), later_s=1)
    return script.text


def over_fill() -> str:
    script = holding(one_level())
    script.say("The venue reports more sold than was held: it is booked, kept apart and shown")
    script.tell(script.fill(X0, "0.12", "102", Side.SELL), later_s=5)
    return script.text


def short_grid() -> str:
    script = Script(
        grid(side="SELL", venue="perp", symbol=swap().symbol, start_price=100, end_price=102, levels=1), swap()
    )
    script.say("The mirror image on a swap: sell at 102, buy back at 100, reduce-only")
    script.price("101")
    script.tell(script.accepted(E0))
    script.tell(script.fill(E0, "0.1", "102", Side.SELL), later_s=5)
    script.tell(script.accepted(X0))
    script.tell(script.fill(X0, "0.1", "100"), later_s=5)
    return script.text


SCENES: list[Callable[[], str]] = [
    partial_fill_then_cancel, post_only_storm, stop_loss_with_resting_exits, flatten, pause_and_resume,
    restart_in_each_state, late_fill_after_cancel, lost_answer, lost_cancel, over_fill, short_grid,
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_scene_plays_as_written(scene: Callable[[], str]) -> None:
    """The engine says what its transcript says, line by line."""
    path, text = TEXTS / f"{scene.__name__}.txt", scene()
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(text)
    assert text == path.read_text()


def test_every_transcript_has_its_scene() -> None:
    """No text lies about that nothing plays."""
    assert {path.stem for path in TEXTS.glob("*.txt")} == {scene.__name__ for scene in SCENES}
