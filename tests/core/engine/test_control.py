"""The words of control as the table of the rules has them: what each does to entries, exits and the latch."""

from dataclasses import dataclass

import pytest

from core.engine import Bot, Cancel, Mode, Place, Step
from core.engine.control import PERMITS
from core.facts import Accepted, Action, Command, Fill, Seen, SeenAs
from core.orders import ClientId
from core.values import Side
from tests.core.transcript import Script
from tests.core.worlds import T0, D, grid

ENTRY, EXIT = "g-test-e0-0-0", "g-test-x1-0-0"


def scene() -> Script:
    """Two levels: the lower entry rests at 98, the upper one holds and its exit rests at 102."""
    script = Script(grid(start_price=98, end_price=102, levels=2))
    script.price("101")
    script.tell(script.accepted(ENTRY), script.accepted("g-test-e1-0-0"))
    script.tell(script.fill("g-test-e1-0-0", "0.1", "100"), later_s=1)
    script.tell(script.accepted(EXIT))
    return script


def bot(script: Script) -> Bot:
    """The bot of the scene."""
    return script.state.bots["g"]


def cancelled(step: Step) -> set[str]:
    """The orders that a step cancels."""
    return {intent.order.client_id for intent in step.intents if isinstance(intent, Cancel)}


def placed(step: Step) -> set[str]:
    """The legs that a step sends an order for."""
    return {intent.order.leg_id for intent in step.intents if isinstance(intent, Place)}


@dataclass(frozen=True)
class Row:
    """One line of the table in RULES."""

    action: Action
    places_entries: bool
    places_exits: bool
    keeps_entries: bool
    keeps_exits: bool
    mode: Mode
    ends_with: Action | None


ROWS = [
    Row(Action.PAUSE, False, True, True, True, Mode.PAUSED, Action.RESUME),
    Row(Action.HALT, False, False, False, True, Mode.HALTED, Action.RELEASE),
    Row(Action.CANCEL, False, True, False, True, Mode.RUN, None),
    Row(Action.FLATTEN, False, False, False, False, Mode.FLATTENING, Action.RELEASE),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.action.value)
def test_what_a_word_does_to_what_rests(row: Row) -> None:
    """Entries and exits are kept or cancelled as the table says, in the same step."""
    script = scene()
    step = script.tell(script.command(row.action), later_s=1)
    assert cancelled(step) == {cid for cid, kept in ((ENTRY, row.keeps_entries), (EXIT, row.keeps_exits)) if not kept}
    assert placed(step) == set()
    assert bot(script).mode is row.mode


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.action.value)
def test_what_a_word_does_to_a_fill_that_follows(row: Row) -> None:
    """An entry that fills all the same gets its exit, or waits for it, as the table says."""
    script = scene()
    script.tell(script.command(row.action), later_s=1)
    step = script.tell(script.fill(ENTRY, "0.1", "98"), later_s=1)
    assert ("x0-0" in placed(step)) == row.places_exits


@pytest.mark.parametrize("row", [row for row in ROWS if row.mode is not Mode.RUN], ids=lambda row: row.action.value)
def test_no_entry_follows_until_the_word_that_ends_it(row: Row) -> None:
    """The latch holds over prices and fills, and over a restart; the word that ends it brings the entries back."""
    assert row.ends_with is not None
    script = scene()
    script.tell(script.command(row.action), later_s=1)
    script.tell(script.seen(ENTRY, SeenAs.CANCELED), script.seen(EXIT, SeenAs.CANCELED), later_s=1)
    script.restart()
    for price in ("101", "99.5", "101.5"):
        step = script.price(price, later_s=5)
        assert not any(leg.startswith("e") for leg in placed(step))
    if row.action is Action.FLATTEN:
        script.tell(script.fill("g-test-u0-0-0", "0.1", "101", Side.SELL), later_s=1)
        assert bot(script).mode is Mode.HALTED
    script.tell(script.command(row.ends_with), later_s=1)
    assert bot(script).mode is Mode.RUN
    assert any(work.order is not None and work.order.leg_id.startswith("e") for work in bot(script).works.values())


def test_cancel_is_over_with_the_next_tick() -> None:
    """The entries are withdrawn once, and may be placed again."""
    script = scene()
    script.tell(script.command(Action.CANCEL), later_s=1)
    step = script.tell(script.seen(ENTRY, SeenAs.CANCELED), later_s=1)
    assert placed(step) == {"e0-0"}


@pytest.mark.parametrize(
    ("mode", "allowed"),
    [
        (Mode.RUN, (True, True, True, True)),
        (Mode.PAUSED, (False, True, True, True)),
        (Mode.HALTED, (False, False, False, True)),
        (Mode.TRIPPED, (False, False, True, True)),
        (Mode.FLATTENING, (False, False, False, False)),
    ],
)
def test_the_permits_of_each_mode(mode: Mode, allowed: tuple[bool, bool, bool, bool]) -> None:
    """Entries placed, entries kept, exits placed, exits kept."""
    one = PERMITS[mode]
    assert (one.place_entries, one.keep_entries, one.place_exits, one.keep_exits) == allowed


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (Action.HALT, Action.RESUME, "a latched halt ends by release"),
        (Action.HALT, Action.PAUSE, "not applied: the bot is halted"),
        (Action.PAUSE, Action.CLOSE_LOT, "no open lot '9-9'; open are 1-0"),
        (Action.PAUSE, Action.CLAIM, "not applied"),
    ],
)
def test_a_word_that_does_not_apply_says_so(first: Action, then: Action, said: str) -> None:
    """Nothing is ignored silently: the journal has who said it and why it did nothing."""
    script = scene()
    script.tell(script.command(first), later_s=1)
    step = script.tell(script.command(then, "9-9"), later_s=1)
    assert any(row.decision == then.value and said in row.reason and "anna" in row.reason for row in step.journal)


def test_one_lot_is_closed_while_the_other_orders_rest() -> None:
    """The lot's exit goes first, then the market order; the entry beside it is not touched, and the unwind ends."""
    script = scene()
    step = script.tell(script.command(Action.CLOSE_LOT, "1-0"), later_s=1)
    assert cancelled(step) == {EXIT}
    step = script.tell(script.seen(EXIT, SeenAs.CANCELED), later_s=1)
    assert placed(step) == {"u0-0"}
    script.tell(script.fill("g-test-u0-0-0", "0.1", "101", Side.SELL), later_s=1)
    assert bot(script).unwind is None
    assert bot(script).inventory == 0
    assert bot(script).mode is Mode.RUN


def test_a_flatten_takes_the_place_of_a_lot_being_closed() -> None:
    """The older unwind ends: after a release nothing of it is left to sell what is bought then."""
    script = scene()
    script.tell(script.command(Action.CLOSE_LOT, "1-0"), script.command(Action.FLATTEN), later_s=1)
    script.tell(script.seen(EXIT, SeenAs.CANCELED), script.seen(ENTRY, SeenAs.CANCELED), later_s=1)
    script.tell(script.fill("g-test-u0-1-0", "0.1", "101", Side.SELL), later_s=1)
    assert not [name for name in bot(script).works if name.startswith("u")]


def test_a_stop_takes_the_place_of_a_lot_being_closed() -> None:
    """All of it includes the one lot: the stop does not wait behind somebody's word."""
    script = Script(grid(start_price=98, end_price=102, levels=2, triple_barrier={"stop_loss": "0.02"}))
    script.price("101")
    script.tell(
        script.accepted(ENTRY), script.accepted("g-test-e1-0-0"),
        script.fill("g-test-e1-0-0", "0.1", "100"), script.fill(ENTRY, "0.1", "98"), later_s=1,
    )  # fmt: skip
    script.tell(script.accepted(EXIT), script.accepted("g-test-x0-0-0"))
    script.tell(script.command(Action.CLOSE_LOT, "1-0"), later_s=1)
    step = script.price("96", later_s=1)
    assert cancelled(step) == {"g-test-x0-0-0"}
    assert bot(script).unwind is not None
    assert bot(script).unwind.reason == "STOP_LOSS"


def test_drawdown_trips_a_bot_until_it_is_released() -> None:
    """Entries are cancelled, exits stay and are placed, and the peak starts over with the release."""
    script = Script(grid(start_price=98, end_price=102, levels=2, max_drawdown="0.02"))
    script.price("101")
    script.tell(script.accepted(ENTRY), script.accepted("g-test-e1-0-0"))
    script.tell(script.fill("g-test-e1-0-0", "0.1", "100"), later_s=1)
    script.tell(script.accepted(EXIT))
    # Capital is 19.8; bought at 100 with the price at 101, equity peaks at 19.9, and 2 % less is 19.502.
    assert not script.price("97.03", later_s=5).raised
    step = script.price("97.02", later_s=5)
    assert [one.kind for one in step.raised] == ["drawdown"]
    assert cancelled(step) == {ENTRY}
    assert bot(script).mode is Mode.TRIPPED
    script.tell(script.seen(ENTRY, SeenAs.CANCELED), later_s=1)
    script.tell(script.command(Action.RELEASE), later_s=1)
    assert bot(script).mode is Mode.RUN


def test_a_stranger_is_left_alone() -> None:
    """An id of another store's token, or of nobody, changes no order of ours; its trade still moves the wallet."""
    script = scene()
    before = bot(script)
    foreign = ClientId("g-othr-e0-0-0")
    script.tell(Accepted(foreign, "9", T0), Seen(foreign, "9", SeenAs.CANCELED, D(0), T0))
    assert bot(script) == before
    trade: Fill = script.fill("web_77", "2", "100")
    step = script.tell(trade)
    assert [owner for owner, _ in step.fills] == ["external"]
    assert script.state.wallet["spot", "BTC"] == D("2.1")
    assert bot(script).inventory == D("0.1")


def test_unknown_bots_are_ignored() -> None:
    """A word for nobody changes nothing."""
    assert scene().tell(Command(1, "nobody", Action.HALT, "", "anna", "", T0)).quiet
