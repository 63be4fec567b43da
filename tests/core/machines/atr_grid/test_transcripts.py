"""Stories of the ATR grid, each checked in as text; played a second time with a restart after every candle.

UPDATE_TRANSCRIPTS=1 writes them anew; then read what changed.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.market import Candle
from tests.core.machines.atr_grid.bots import config
from tests.core.machines.atr_grid.story import Story, rising
from tests.core.worlds import D

TEXTS = Path(__file__).parent / "transcripts"


# A hedge that waits for the trend: it neither leaves its zone nor takes small profits.
PATIENT = {"leave_atr": 20, "max_loss": "0.5", "take_profit": "0.5", "cost_multiple": 100}


def zones(restarts: bool) -> Story:
    story = Story(config(), restarts)
    story.say(
        "The price falls through the grid into the danger zone: 30 % of the bag is sold short, and follows the bag"
    )
    story.go(100, 98.5, 97.5, 96.5, 95.6, 95.5)
    story.say("It leaves the zone upwards: the short is closed")
    story.go(96.4, 96.9, 97.2)
    story.say("After the cooldown it breaks out below: half of the bag")
    story.go(96, 95.2, 94.9, 94.4, 94.3, 94.4)
    return story


def take_profit_pays_for_the_bag(restarts: bool) -> Story:
    story = Story(config(), restarts)
    story.say("Danger zone, then a fall: the short has earned 5 % of what the bag lost, and is closed")
    story.go(100, 98.5, 97.5, 96.5, 95.6, 95.2, 94.2, 93.5)
    story.say("What it earned pays for a part of the dearest lot")
    story.go(93.4, 93.5)
    return story


def falling_market(restarts: bool) -> Story:
    story = Story(config(), restarts)
    story.say("The grid is left behind in a falling market: purchases wait, half of the bag is hedged")
    story.go(100, 98.5, 97.5, 96.5, 95.6, 95.2, 94.2, 93.5, 92, 91, 90, 88)
    story.say(
        "The hedge pays for part of the dearest lot; a fall is answered once, nothing waits again while the price is down"
    )
    story.go(89, 91)
    story.say("The price comes back into the grid: lots are sold at their targets, and their levels buy again")
    story.go(94, 96, 99)
    return story


def rising_market(restarts: bool) -> Story:
    story = Story(config(), restarts, before=rising())
    story.say("A lot is bought; the price rises away from the grid: the lot is sold at its target, the grid follows")
    story.go(100, 98.7, 99.6, 100.4, 101.2, 102, 103.5, 104)
    return story


def sideways_consumed(restarts: bool) -> Story:
    story = Story(config(recenter_cooldown_bars=3), restarts, before=rising())
    story.say("Four of five levels fill in a market without a trend: the free one moves, losing lots are kept")
    story.go(100, 98.6, 97.6, 96.7, 95.9, 95.8, 96.1)
    return story


def sideways_while_hedged(restarts: bool) -> Story:
    told = config(recenter_cooldown_bars=20, hedge=PATIENT)
    story = Story(told, restarts)
    story.say("Most levels are filled and the market has no trend, but the short stands below zero: the grid stays")
    story.go(100, 98.5, 97.5, 96.5, 95.6, *[95.5] * 13, *[96.6] * 4)
    story.say("Later the short stands above zero: it is closed, the grid is laid anew")
    story.go(*[96.6] * 22, basis="-1.3")
    return story


def sideways_with_loss_sale(restarts: bool) -> Story:
    story = Story(config(recenter_cooldown_bars=3, allow_loss_sale=True), restarts, before=rising())
    story.say("The same with allow_loss_sale: the whole bag is sold before the grid is laid anew")
    story.go(100, 98.6, 97.6, 96.7, 95.9, 95.8, 96.1, 96)
    return story


def regimes(restarts: bool) -> Story:
    story = Story(config(adjust_cooldown_bars=3), restarts)
    story.say("Volatility rises: the grid widens, the lot keeps its target")
    story.go(100, 98.8)
    story.go(*[99.2, 98.9] * 6, reach="1.6")
    story.say("It falls asleep: the grid narrows")
    story.go(*[98.9] * 30, reach="0.05")
    story.say("The price rises out of the narrow grid: a lot whose target is still far is sold with a profit")
    story.go(99.2, 99.6, 99.7, 99.7, 99.75, 99.8, 99.88, 99.92, 99.95, reach="0.04")
    return story


def max_loss(restarts: bool) -> Story:
    story = Story(config(), restarts)
    story.say(
        "A short is opened in the danger zone, and the futures jump away: it lost what it may, between two candles"
    )
    story.go(100, 98.5, 97.5, 96.5, 95.6, 95.5)
    story.go(95.6, basis="9")
    story.go(95.7, 95.8, basis="9")
    return story


def reversal_stop(restarts: bool) -> Story:
    story = Story(config(levels=2, atr_multiplier=5, hedge=PATIENT), restarts)
    story.say(
        "A short from the danger zone; an hour later the trend turns up and it has lost more than a tenth of the bag's loss"
    )
    story.go(100, 96, 94.2, 94, 92)
    story.go(*["92.1", "92"] * 30, reach="0.1")
    story.go(93, 94, 94.9, 95.3, 95.6, 95.6, 95.6)
    return story


def reversal_cut(restarts: bool) -> Story:
    story = Story(config(levels=2, atr_multiplier=5, hedge=PATIENT | {"reversal_loss": "0.5"}), restarts)
    story.say("The same, but it stands only a little below zero: it is older than five minutes and is cut")
    story.go(100, 96, 94.2, 94, 92)
    story.go(*["92.1", "92"] * 30, reach="0.1")
    story.go(93, 93.6, *["94.3", "94.35"] * 4)
    return story


def bag_sold_while_short(restarts: bool) -> Story:
    story = Story(config(levels=2, hedge={"leave_atr": 20}), restarts)
    story.say("Both levels fill, and the danger zone opens a short")
    story.go(100, 98.6, 98.3, 98.2)
    story.say(
        "Both lots are sold at their targets within one candle: the short is bought back with the fills, to nothing"
    )
    story.go(98.4, 100.6, 100.7)
    return story


def short_left_alone(restarts: bool) -> Story:
    story = Story(config(levels=2, hedge={"leave_atr": 20, "deadline_s": 40}), restarts)
    story.say("Both levels fill, and the danger zone opens a short")
    story.go(100, 98.6, 98.3, 98.2)
    story.say(
        "The futures market closes while both lots are sold: nothing is held, a short is open, and everybody knows"
    )
    story.go(98.4)
    story.go(100.6, 100.7, shut=True)
    story.say("It trades again: the short is bought back though there is no bag, and the incident is over")
    story.go(100.6, 100.7)
    return story


def margin_missing(restarts: bool) -> Story:
    story = Story(config(hedge={"deadline_s": 40}), restarts, opening={"perp": 100})
    story.say("The futures account has 100 USDT: the exchange refuses the short, and after 40 s everybody knows")
    story.go(100, 98.5, 97.5, 96.5, 95.6, 95.5, 95.4)
    story.say("The zone is left: nothing is wanted, the incident is over")
    story.go(96.9, 97)
    return story


def share_too_small(restarts: bool) -> Story:
    told = config(shares={"grid": "0.8", "reserve": "0.1", "hedge": "0.1"}, hedge={"cooldown_bars": 1})
    story = Story(told, restarts)
    story.say("The hedge's share of the capital is a tenth: a break wants more than its margin covers, which is said")
    story.go(100, 98.5, 97.5, 96.5, 95.2, 94.6, 94.2, 94.2)
    return story


def gap(restarts: bool) -> Story:
    story = Story(config(), restarts)
    story.say("The market opens below four levels at once: each fills at its own price or better, the hedge follows")
    story.go(100, 99.6)
    story.bar(D("95.4"), D("95.9"), D("95.2"), D("95.5"))
    story.go(95.4, 95.3)
    return story


def recovery(restarts: bool) -> Story:
    hedge = {"recovery_from": "0.005", "recovery_until": "0.002", "max_loss": "0.001"}
    story = Story(config(hedge=hedge), restarts)
    story.say("The short is stopped out while the bag lost more than 0.5 % of the capital: nothing is bought any more")
    story.go(100, 98.5, 97.5, 96.5, 95.6, 95.5)
    story.go(95.6, basis="11")
    story.go(95.3, 95, 95.1)
    story.say("The bag's loss is below 0.2 % again: a new grid")
    story.go(96.2, 96.9, 97.9, 98)
    return story


def grid_alone(restarts: bool) -> Story:
    told = config(hedge={"enabled": False}, recenter_cooldown_bars=4)
    story = Story(told, restarts)
    story.say(
        "Without a hedge: four of five levels fill in a fall, the fifth waits, and is laid anew when the trend has ended"
    )
    story.go(100, 98.5, 97.5, 96.5, 95.6, 95.5, 95.4, 95.3, 96.3, 96.8, 96.9)
    return story


SCENES: list[Callable[[bool], Story]] = [
    zones, take_profit_pays_for_the_bag, falling_market, rising_market, sideways_consumed, sideways_while_hedged,
    sideways_with_loss_sale,
    regimes, max_loss, reversal_stop, reversal_cut, bag_sold_while_short, short_left_alone,
    margin_missing, share_too_small, gap, recovery,
    grid_alone,
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_scene_plays_as_written(scene: Callable[[bool], Story]) -> None:
    """The grid does what its transcript says, line by line."""
    path, text = TEXTS / f"{scene.__name__}.txt", scene(False).text
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_restart_after_every_candle_changes_nothing(scene: Callable[[bool], Story]) -> None:
    """Lots, grid, hedge, regimes and waits come back from the store in every state that the scenes reach."""
    assert scene(True).text == scene(False).text


def test_every_transcript_has_its_scene() -> None:
    """No text lies about that nothing plays."""
    assert {path.stem for path in TEXTS.glob("*.txt")} == {scene.__name__ for scene in SCENES}


def test_every_word_of_the_grid_is_in_some_transcript() -> None:
    """Each regime, each way to recentre, each zone and each exit of the hedge happens in front of a reader."""
    told = "\n".join(path.read_text() for path in TEXTS.glob("*.txt"))
    words = [
        "regime WILD", "regime CALM", "trend DOWN", "trend UP", "trend SIDEWAYS", "grid LAID", "recenter PENDING:",
        "recenter PENDING_END", "recenter SKIPPED", "recenter FULL", "zone DANGER", "zone BREAK", "zone PENDING",
        "hedge OPEN", "hedge CLOSED", "hedge ZONE_LEFT", "hedge MAX_LOSS", "hedge TAKE_PROFIT", "hedge PENDING_DONE",
        "hedge REVERSAL_STOP", "hedge REVERSAL_CUT", "hedge RECENTER", "recovery BEGIN", "recovery END", " CUT:", " REDUCE:",
        " TAKE_PROFIT: bought", " COMPLETE:", "INCIDENT hedge_off_target", "resolved hedge_off_target", "INCIDENT hedge_margin",
    ]  # fmt: skip
    assert {word for word in words if word not in told} == set()


def test_candles_are_what_they_say() -> None:
    """The history rises evenly and ends where the scenes begin."""
    made = rising()
    assert isinstance(made[-1], Candle)
    assert made[-1].close == 100
