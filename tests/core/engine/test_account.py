"""Several bots on one account: common drawdown, common exposure, and each bot's own books."""

from core.engine import Limits, Mode, Place, Step, World, advance
from core.engine.world import live_of
from core.facts import Accepted, Action, BalanceRead, Command, Fact, Seen, SeenAs, Transfer
from core.orders import ClientId
from tests.core.test_ledger import fill
from tests.core.worlds import D, after, grid, instrument, quote, spec, world


def pair(**limits: object) -> World:
    """Two bots of one level each, at 100 and at 98, on one account."""
    specs = [
        spec(grid(id=name, start_price=price, end_price=price + 2, levels=1), instrument())
        for name, price in (("a", 100), ("b", 98))
    ]
    return world(*specs, limits=Limits(**limits))  # type: ignore[arg-type]


def tell(before: World, *facts: Fact, at_s: float = 0) -> Step:
    """Advance by some facts."""
    return advance(before, facts, after(at_s))


def test_an_accounts_drawdown_trips_every_bot() -> None:
    """The loss of one counts against the equity of all; every bot stops entering, and each is journalled."""
    step = tell(pair(max_drawdown=D("0.01")), quote("101"))
    held = fill(client_id=ClientId("a-test-e0-0-0"), fee=D(0))
    rests = Accepted(ClientId("b-test-e0-0-0"), "2", after(1))
    step = tell(step.world, rests, held, quote("101", after(1)), at_s=1)
    # Capital is 19.8, the peak 19.9; one per cent is lost when the price reaches 99.01.
    step = tell(step.world, quote("99.02", after(2)), at_s=2)
    assert not step.raised
    step = tell(step.world, quote("99.01", after(3)), at_s=3)
    assert [one.subject for one in step.raised] == ["account"]
    assert {bot.mode for bot in step.world.bots.values()} == {Mode.TRIPPED}
    step = tell(step.world, quote("99.01", after(4)), at_s=4)
    assert [row.bot_id for row in step.journal if row.decision == "CANCEL"] == ["b"]


def test_exposure_is_shared_and_what_one_frees_the_other_may_use() -> None:
    """With room for one entry the second waits with its reason, until the first is gone."""
    step = tell(pair(max_exposure_quote=D(12)), quote("101"))
    assert [intent.order.bot_id for intent in step.intents] == ["a"]
    assert [(row.bot_id, row.reason) for row in step.journal if row.decision == "DECLINED"] == [
        ("b", "max_exposure_quote 12 would be passed")
    ]
    halt = Command(1, "a", Action.HALT, "", "anna", "", after(1))
    step = tell(step.world, halt, at_s=1)
    assert not any(isinstance(intent, Place) for intent in step.intents)
    accepted = tell(step.world, Accepted(ClientId("a-test-e0-0-0"), "1", after(1)), at_s=1)
    assert [intent.reason for intent in accepted.intents] == ["no longer wanted"]  # type: ignore[union-attr]
    gone = tell(accepted.world, Seen(ClientId("a-test-e0-0-0"), "1", SeenAs.CANCELED, D(0), after(2)), at_s=2)
    assert [intent.order.bot_id for intent in gone.intents if isinstance(intent, Place)] == ["b"]


def test_sums_over_live_orders_are_kept_right() -> None:
    """What the caps look at is what the orders say, after every step."""
    step = tell(pair(), quote("101"))
    for facts in ([fill(client_id=ClientId("a-test-e0-0-0"), qty=D("0.04"))], [quote("97", after(2))]):
        step = tell(step.world, *facts, at_s=2)
        for bot in step.world.bots.values():
            assert bot.live == live_of(bot.works)


def test_a_first_reading_opens_the_wallets_and_later_ones_are_compared() -> None:
    """An asset that shows up later without a record is a difference, not an opening; seen twice it blocks entries."""
    step = tell(pair(), BalanceRead("spot", "USDT", D(100), after(0)), BalanceRead("spot", "BNB", D(2), after(0)))
    assert step.world.wallet == {("spot", "USDT"): D(100), ("spot", "BNB"): D(2)}
    for at_s in (1, 2):
        step = tell(step.world, BalanceRead("spot", "BTC", D("0.1"), after(at_s)), at_s=at_s)
    assert [one.kind for one in step.raised] == ["balance_mismatch"]
    assert "0.1 is unexplained" in step.raised[0].detail
    step = tell(step.world, quote("101", after(3)), at_s=3)
    assert not step.intents
    step = tell(step.world, Transfer("spot", "BTC", D("0.1"), "d1", after(4)), at_s=4)
    step = tell(step.world, BalanceRead("spot", "BTC", D("0.1"), after(5)), quote("101", after(5)), at_s=5)
    assert step.resolved == ("balance_mismatch//spot BTC",)
    assert len(step.intents) == 2


def test_reports_wait_for_a_price() -> None:
    """After a start a fill is answered with the first quote, for a machine answers both together; nothing is lost."""
    running = tell(pair(), quote("101")).world
    blind = World(specs=running.specs, bots=running.bots)
    trade = fill(client_id=ClientId("a-test-e0-0-0"))
    waits = tell(blind, trade, at_s=1)
    assert waits.quiet
    step = tell(waits.world, quote("101", after(2)), at_s=2)
    assert [one for _, one in step.fills] == [trade]
    assert step.world.held == ()
    assert step.world.bots["a"].inventory == D("0.1")
    assert [intent.order.leg_id for intent in step.intents] == ["x0-0"]
