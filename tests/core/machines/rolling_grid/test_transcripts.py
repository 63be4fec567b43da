"""Scenes of a rolling grid as text: what the engine is told, what it answers (see tests/core/test_transcripts.py)."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.facts import Action, FundingPaid, PositionRead, Refusal, SeenAs
from core.machines.rolling_grid.config import RollingGridConfig
from core.values import Side
from tests.core.executors.story import Story
from tests.core.machines.rolling_grid.bots import ready, rolling
from tests.core.transcript import Script
from tests.core.worlds import T0, D, after, instrument, swap, world
from tests.simulation.memory import Memory

TEXTS = Path(__file__).parent / "transcripts"
HOUR = 3600


@dataclass(slots=True)
class Scene(Script):
    """A script of a rolling grid."""

    def __post_init__(self) -> None:
        """Open the store of the scene and its world."""
        assert isinstance(self.config, RollingGridConfig)
        made = ready(self.config, self.rules)
        self.state = world(made, limits=self.limits)
        self.memory = Memory({made.bot_id: made}, self.limits)

    def ok(self, leg: str) -> None:
        """The venue takes the first order of a leg."""
        self.tell(self.accepted(f"r-test-{leg}"))

    def trade(self, leg: str, qty: str, price: str, side: Side = Side.BUY, later_s: float = 1, fee: str = "0") -> None:
        """An order of a leg trades."""
        self.now_s += later_s
        self.tell(self.fill(f"r-test-{leg}", qty, price, side, fee))


def scene(**changes: object) -> Scene:
    """A bot with one place: 0.1 at a time, 1 % target, 2 % stop."""
    rules = changes.pop("rules", None) or instrument()
    return Scene(rolling(**({"max_orders": 1} | changes)), rules)  # pyright: ignore[reportArgumentType]  any kind's


def holding(**changes: object) -> Scene:
    """A bot that has bought 0.1 at 99.98 and offers it at 100.98."""
    made = scene(**changes)
    made.price("100")
    made.ok("e0-1-0")
    made.trade("e0-1-0", "0.1", "99.98")
    made.ok("x0-1-0")
    return made


def fill_while_paused() -> str:
    made = scene()
    made.price("100")
    made.ok("e0-1-0")
    made.say("A person pauses the bot; the entry that rests fills, and what it bought is offered at once")
    made.tell(made.command(Action.PAUSE), later_s=5)
    made.trade("e0-1-0", "0.1", "99.98")
    made.ok("x0-1-0")
    made.say("It sells while paused; nothing new is entered until the bot is resumed")
    made.trade("x0-1-0", "0.1", "100.98", Side.SELL)
    made.price("100.5", later_s=60)
    made.tell(made.command(Action.RESUME), later_s=60)
    return made.text


def partial_then_cancel() -> str:
    made = scene()
    made.price("100")
    made.ok("e0-1-0")
    made.say("A part is bought and offered at once; the price runs away, so the rest of the entry is given up")
    made.trade("e0-1-0", "0.04", "99.98")
    made.ok("x0-1-0")
    made.price("100.3", later_s=30)
    made.say("Another part trades before the cancel arrives: the exit grows with it")
    made.tell(
        made.seen("r-test-e0-1-0", SeenAs.CANCELED, "0.05"), made.fill("r-test-e0-1-0", "0.01", "99.98"), later_s=1
    )
    made.tell(made.seen("r-test-x0-1-0", SeenAs.CANCELED))
    made.ok("x0-1-1")
    made.say("The exit trades in part and is then cancelled at the exchange: only the rest is offered again")
    made.trade("x0-1-1", "0.02", "100.98", Side.SELL)
    made.tell(made.seen("r-test-x0-1-1", SeenAs.CANCELED, "0.02"), later_s=1)
    made.trade("x0-1-2", "0.03", "100.98", Side.SELL)
    return made.text


def post_only_storm() -> str:
    made = scene()
    made.say("Each time the entry would cross by the time it arrives; the waits double up to four seconds")
    made.price("100")
    for attempt in range(6):
        wait_s = min(0.25 * 2**attempt, 4.0)
        made.tell(made.refused(f"r-test-e0-1-{attempt}", Refusal.POST_ONLY, "would immediately match"))
        made.price("99.9", later_s=wait_s)
    made.say("It rests at last, and fills")
    made.ok("e0-1-6")
    made.trade("e0-1-6", "0.1", "99.89")
    return made.text


def dust() -> str:
    made = scene(rules=instrument(fee_in_base=True))
    made.say("The fee is taken in base: less than the lot step is left when the exit is over")
    made.price("100")
    made.ok("e0-1-0")
    made.now_s += 1
    bought = made.fill("r-test-e0-1-0", "0.1", "99.98", fee="0.0004")
    made.tell(type(bought)(**{name: getattr(bought, name) for name in bought.__slots__} | {"fee_asset": "BTC"}))
    made.trade("x0-1-0", "0.099", "100.98", Side.SELL)
    made.say("The next lot of the place takes it in: 0.1002 are held, and what makes whole lots is offered")
    made.ok("e0-2-0")
    made.now_s += 1
    bought = made.fill("r-test-e0-2-0", "0.1", "99.98", fee="0.0004")
    made.tell(type(bought)(**{name: getattr(bought, name) for name in bought.__slots__} | {"fee_asset": "BTC"}))
    return made.text


def lot_step_remainders() -> str:
    changes = {"quantity": "0.101", "stop_loss": "0.05", "max_position_size": "0.3"}
    made = scene(rules=instrument(fee_in_base=True), **changes)
    made.price("100")
    made.ok("e0-1-0")
    made.say("The fee is taken in base: 0.1006 are held, 0.1 can be offered")
    made.now_s += 1
    bought = made.fill("r-test-e0-1-0", "0.101", "99.98", fee="0.0004")
    made.tell(type(bought)(**{name: getattr(bought, name) for name in bought.__slots__} | {"fee_asset": "BTC"}))
    made.ok("x0-1-0")
    made.say("Stuck: three rungs of whole lots, the remainder of the division on the nearest")
    made.price("97.8", later_s=HOUR)
    made.tell(made.seen("r-test-x0-1-0", SeenAs.CANCELED), later_s=1)
    for number in (2, 3, 4):
        made.ok(f"x0-{number}-0")
    made.say("All rungs fill: what is less than a lot step stays behind, and the next lot takes it in")
    made.trade("x0-2-0", "0.034", "99.27", Side.SELL, later_s=60)
    made.trade("x0-3-0", "0.033", "100.74", Side.SELL)
    made.trade("x0-4-0", "0.033", "100.98", Side.SELL)
    made.price("100", later_s=60)
    made.ok("e0-5-0")
    made.now_s += 1
    bought = made.fill("r-test-e0-5-0", "0.101", "99.98", fee="0.0004")
    made.tell(type(bought)(**{name: getattr(bought, name) for name in bought.__slots__} | {"fee_asset": "BTC"}))
    return made.text


def netting_account_with_hedge() -> str:
    futures = swap(lot_step=D("0.01"), min_qty=D("0.01"))
    config = rolling(
        max_orders=1, recovery_mode="hedge", hedge_venue="perp", hedge_symbol=futures.symbol, stop_loss="0.06",
        position_timeout_minutes=5, stuck_distance="0.02", max_position_size="0.1",
    )  # fmt: skip
    made = Story(config, instrument(), others=(futures,))
    made.say("The futures account nets: somebody else is short of 0.2 there when the bot starts")
    made.tell(PositionRead("perp", futures.symbol, D("-0.2"), T0))
    made.prices("100", "100")
    made.ok("e0-1-0")
    made.trade("e0-1-0", "0.1", "99.98")
    made.ok("x0-1-0")
    made.say("Stuck: a short of as much is opened on the futures account, and the lot keeps its exit")
    made.prices("97.2", "97.2", later_s=400)
    made.trade("h0-2-0", "0.1", "97.2", later_s=0.5)
    made.tell(PositionRead("perp", futures.symbol, D("-0.3"), after(made.now_s)))
    made.books()
    made.say("Funding is paid for the one net position: the bot has a third of it")
    made.tell(
        FundingPaid("perp", futures.symbol, D("-0.3"), "USDT", D("0.0001"), "f1", after(made.now_s)), later_s=3600
    )
    made.books()
    made.say("A part of the exit trades: as much of the hedge is bought back, reduce-only, and nothing of the other's")
    made.trade("x0-1-0", "0.04", "100.98", later_s=60)
    made.prices("99.5", "99.5")
    made.trade("h0-3-0", "0.04", "99.5", later_s=0.5)
    made.restart()
    made.say("Within a target of the exit the hedge has done its work")
    made.prices("100", "100", later_s=60)
    made.trade("h0-3-1", "0.06", "100", later_s=0.5)
    made.tell(PositionRead("perp", futures.symbol, D("-0.2"), after(made.now_s)))
    made.trade("x0-1-0", "0.06", "100.98", later_s=60)
    made.books()
    return made.text


def stop_while_exits_rest() -> str:
    made = holding()
    made.say("The stop loss fires: the exit is cancelled first, the closing waits for the confirmation")
    made.price("97.9", later_s=5)
    made.say("Part of the exit had traded: only what is left goes to the market")
    made.tell(
        made.seen("r-test-x0-1-0", SeenAs.CANCELED, "0.03"),
        made.fill("r-test-x0-1-0", "0.03", "100.98", Side.SELL),
        later_s=1,
    )
    made.say("The book takes a part up to the cap and the rest expires; the next one has a wider cap")
    made.trade("x0-2-0", "0.05", "97.7", Side.SELL)
    made.tell(made.seen("r-test-x0-2-0", SeenAs.EXPIRED, "0.05"))
    made.price("97.5", later_s=5)
    made.trade("x0-2-1", "0.02", "97.4", Side.SELL)
    return made.text


def stop_loss_that_drags_on() -> str:
    made = holding()
    made.price("97.9", later_s=5)
    made.tell(made.seen("r-test-x0-1-0", SeenAs.CANCELED), later_s=1)
    made.say("Nobody buys at the cap, and none of the wider ones after it")
    for attempt in range(2):
        made.tell(made.seen(f"r-test-x0-2-{attempt}", SeenAs.EXPIRED), later_s=5)
        made.price("97.5", later_s=5)
    made.tell(made.seen("r-test-x0-2-2", SeenAs.EXPIRED), later_s=5)
    made.say("Half a minute after the stop loss fired a person is told; it goes on, and the incident ends with it")
    made.price("97.5", later_s=5)
    assert [one.kind for one in made.state.incidents.values()] == ["stop_loss_late"]
    made.trade("x0-2-3", "0.1", "96.5", Side.SELL)
    assert not made.state.incidents
    return made.text


def stop_price() -> str:
    made = holding(stop_price="97", stop_loss="0.05", rules=swap(), venue="perp", symbol="BTC/USDT:USDT")
    made.say("stop_price is passed: the exit goes, the position is closed, and the bot is latched")
    made.price("96.9", later_s=5)
    made.tell(made.seen("r-test-x0-1-0", SeenAs.CANCELED), later_s=1)
    made.trade("u0-0-0", "0.1", "96.8", Side.SELL)
    made.say("Released while the price is still beyond: nothing is entered")
    made.tell(made.command(Action.RELEASE), later_s=60)
    made.price("96.5", later_s=60)
    made.say("The price is back by the hysteresis")
    made.price("97.05", later_s=60)
    made.price("97.2", later_s=60)
    return made.text


def ladder() -> str:
    made = holding(stop_loss="0.05", recovery_escalation="market", max_position_size="0.1")
    made.say("Over an hour old and 3.1 % from its exit: three rungs take the place of the exit, each to the lot step")
    made.price("97.8", later_s=HOUR)
    made.tell(made.seen("r-test-x0-1-0", SeenAs.CANCELED), later_s=1)
    for number in (2, 3, 4):
        made.ok(f"x0-{number}-0")
    made.restart()
    made.price("97.8", later_s=1)
    made.say("The nearest rung trades; half an hour later the price is lower, and the rest is laid nearer")
    made.trade("x0-2-0", "0.034", "99.27", Side.SELL, later_s=60)
    made.price("96", later_s=1860)
    made.tell(made.seen("r-test-x0-3-0", SeenAs.CANCELED), made.seen("r-test-x0-4-0", SeenAs.CANCELED), later_s=1)
    for number in (5, 6, 7):
        made.ok(f"x0-{number}-0")
    made.say("Two hours after it began the episode escalates: what is left goes to the market, a person is told")
    made.price("96", later_s=2 * HOUR)
    made.restart()
    made.tell(*(made.seen(f"r-test-x0-{number}-0", SeenAs.CANCELED) for number in (5, 6, 7)), later_s=1)
    made.price("95.9", later_s=1)
    made.trade("x0-8-0", "0.066", "95.8", Side.SELL)
    return made.text


def loss_budget() -> str:
    made = holding(stop_loss="0.08", recovery_mode="aggressive", recovery_loss_budget="0.5", max_position_size="0.1")
    made.trade("x0-1-0", "0.1", "100.98", Side.SELL)
    made.say("0.1 were earned; the next lot is stuck, and half of that pays for closing a slice of it")
    made.ok("e0-2-0")
    made.trade("e0-2-0", "0.1", "99.98")
    made.ok("x0-2-0")
    made.price("97.8", later_s=HOUR)
    made.tell(made.seen("r-test-x0-2-0", SeenAs.CANCELED), later_s=1)
    made.trade("x0-3-0", "0.018", "97.7", Side.SELL)
    made.say("The rest is offered at its target again; the budget is asked again half an hour later")
    made.ok("x0-4-0")
    made.price("97.8", later_s=1900)
    return made.text


def exits_repaired() -> str:
    made = holding()
    made.say("Somebody cancels the exit at the exchange: the missing exit is there again at once")
    made.tell(made.seen("r-test-x0-1-0", SeenAs.CANCELED), later_s=5)
    made.ok("x0-1-1")
    made.say(
        "A person closes half by hand through control: the exit that is too large is withdrawn, the entry stays back"
    )
    made.tell(made.command(Action.CLOSE_LOT, "0-1"), later_s=5)
    made.tell(made.seen("r-test-x0-1-1", SeenAs.CANCELED), later_s=1)
    made.trade("u0-0-0", "0.05", "100", Side.SELL)
    made.tell(made.seen("r-test-u0-0-0", SeenAs.EXPIRED, "0.05"))
    made.trade("u0-0-1", "0.05", "99.9", Side.SELL)
    return made.text


def restart_in_each_state() -> str:
    made = scene()
    made.say("While the entry's answer is outstanding")
    made.price("100")
    made.restart()
    made.ok("e0-1-0")
    made.price("100", later_s=1)
    made.say("With a part bought, and offered")
    made.trade("e0-1-0", "0.04", "99.98")
    made.restart()
    made.price("100", later_s=1)
    made.ok("x0-1-0")
    made.trade("e0-1-0", "0.06", "99.98")
    made.tell(made.seen("r-test-x0-1-0", SeenAs.CANCELED))
    made.ok("x0-1-1")
    made.say("Holding")
    made.restart()
    made.price("100", later_s=1)
    made.say("Closing at the market")
    made.price("97.9", later_s=1)
    made.tell(made.seen("r-test-x0-1-1", SeenAs.CANCELED), later_s=1)
    made.restart()
    made.price("97.9", later_s=1)
    made.trade("x0-2-0", "0.1", "97.8", Side.SELL)
    return made.text


SCENES: list[Callable[[], str]] = [
    fill_while_paused, partial_then_cancel, post_only_storm, dust, lot_step_remainders,
    netting_account_with_hedge, stop_while_exits_rest, stop_loss_that_drags_on,
    stop_price, ladder, loss_budget,
    exits_repaired, restart_in_each_state,
]  # fmt: skip


@pytest.mark.parametrize("play", SCENES, ids=lambda play: play.__name__)
def test_a_scene_is_answered_as_written(play: Callable[[], str]) -> None:
    """Every line of the scene is as it was read and approved."""
    text, path = play(), TEXTS / f"{play.__name__}.txt"
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(text)
    assert text == path.read_text()
