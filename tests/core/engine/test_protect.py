"""The stop that rests at the exchange while a swap position is open."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.engine import Cancel, Mode, Place, World, advance
from core.engine.world import Step
from core.facts import Action, Command, Fact, PositionRead, Refusal, Refused, SeenAs
from core.orders import Kind, Order, Role
from core.simulation import Account
from core.values import Side
from tests.core.worlds import SWAP, T0, D, account, grid, spec, swap, world

RULES = swap()
STOPPED = replace(
    spec(grid(venue="perp", symbol=SWAP, side="BUY", start_price=96, end_price=104), RULES), venue_stop=D("0.1")
)


@dataclass
class Life:
    """A bot at a simulated swap account, tick by tick."""

    world: World = field(default_factory=lambda: world(STOPPED))
    venue: Account = field(default_factory=lambda: account(RULES))
    now: datetime = T0
    sent: list[tuple[str, Order]] = field(default_factory=list[tuple[str, Order]])
    refuse_stops: bool = False

    def tick(self, price: str | Decimal, *more: Fact, rounds: int = 4) -> None:
        """Move the price and let the bot answer until it is quiet."""
        self.now += timedelta(seconds=5)
        self.venue.move(SWAP, D(price), self.now)
        seen = self.venue.quote(SWAP, self.now)
        assert seen is not None
        facts: list[Fact] = [seen, *more, *self.venue.news(self.now)]
        for _ in range(rounds):
            step = advance(self.world, facts, self.now)
            self.world = step.world
            facts = self.act(step)
            if not facts:
                return

    def act(self, step: Step) -> list[Fact]:
        """Send what was decided."""
        answers: list[Fact] = []
        for intent in step.intents:
            order = intent.order
            self.sent.append((type(intent).__name__, order))
            if isinstance(intent, Cancel):
                told = self.venue.cancel(order.client_id, self.now)
                answers += [told] if told is not None else []
            elif isinstance(intent, Place) and self.refuse_stops and order.kind is Kind.STOP_MARKET:
                answers.append(Refused(order.client_id, Refusal.OTHER, "too many", self.now))
            else:
                answers.append(self.venue.place(order, self.now))
        return [*answers, *self.venue.news(self.now)]

    def stops(self) -> list[tuple[Decimal, Decimal | None]]:
        """Quantity and trigger of every stop that rests at the exchange."""
        return [
            (one.qty, one.stop_price) for one in self.venue.orders.values()
            if one.kind is Kind.STOP_MARKET and one.status is SeenAs.OPEN
        ]  # fmt: skip

    @property
    def bot(self):  # noqa: ANN201
        """The bot as it stands."""
        return self.world.bots["g"]


def test_one_stop_covers_the_position_and_what_may_come_to_it() -> None:
    """It lies a tenth from the average entry and covers the entries on the way to it; nothing held, no stop."""
    life = Life()
    life.tick("105")
    assert life.stops() == []
    life.tick("101.5")
    assert life.stops() == [(D("0.4"), D("91.80"))]
    life.tick("99.5")
    assert life.stops() == [(D("0.4"), D("90.90"))]
    life.tick("102.5")
    assert life.stops() == [(D("0.4"), D("91.80"))]
    life.tick("104.5")
    assert life.stops() == []


def test_the_new_stop_is_placed_before_the_old_one_goes() -> None:
    """In every resize the placement comes first, and the old one is cancelled once the new one rests."""
    life = Life()
    life.tick("105")
    life.tick("101.5")
    life.tick("99.5")
    moves = [(word, order.stop_price) for word, order in life.sent if order.role is Role.STOP]
    assert moves == [("Place", D("91.80")), ("Place", D("90.90")), ("Cancel", D("91.80"))]


def test_an_executed_stop_latches_the_bot() -> None:
    """A fall past the stop closes all there is, at the trigger; nothing is entered again before a release."""
    life = Life()
    life.tick("105")
    life.tick("95")
    assert life.bot.inventory == D("0.4")
    life.tick("85")
    life.tick("85")
    assert life.bot.inventory == 0
    assert life.venue.swaps[SWAP].qty == 0
    assert life.bot.mode is Mode.TRIPPED
    assert "venue_stop/g/bot" in life.world.incidents
    before = len(life.sent)
    life.tick("99")
    assert [word for word, _ in life.sent[before:]] == []
    life.tick("105", Command(1, "g", Action.RELEASE, "", "test", "", life.now))
    assert [order.role for word, order in life.sent[before:] if word == "Place"] == [Role.ENTRY] * 4


def test_a_position_without_a_stop_is_an_incident_that_holds_entries_back() -> None:
    """Ten seconds bare: an incident and no entries; exits go on, and the first stop that rests ends it."""
    life = Life(refuse_stops=True)
    life.tick("105")
    life.tick("101.5")
    assert "unprotected/g/BTC/USDT:USDT" not in life.world.incidents
    life.tick("101.5")
    life.tick("101.5")
    assert "unprotected/g/BTC/USDT:USDT" in life.world.incidents
    assert "no stop covers" in life.world.blocked["g"]
    life.refuse_stops = False
    for _ in range(4):
        life.tick("101.5")
    assert life.stops() == [(D("0.4"), D("91.80"))]
    assert life.world.incidents == {}
    assert life.world.blocked == {}


def test_a_stop_that_was_cancelled_by_hand_is_placed_again() -> None:
    """What a person takes away is put back with the next look at the exchange's own list."""
    life = Life()
    life.tick("105")
    life.tick("101.5")
    first = next(one for one in life.venue.orders.values() if one.kind is Kind.STOP_MARKET)
    life.venue.cancel(first.client_id, life.now)
    life.tick("101.5")
    assert life.stops() == [(D("0.4"), D("91.80"))]
    ids = [order.client_id for word, order in life.sent if word == "Place"]
    assert len(ids) == len(set(ids))


def test_where_the_price_is_past_the_stop_the_position_is_closed() -> None:
    """No exchange takes a stop that would fire at once: the bot closes at the market and latches instead."""
    life = Life(refuse_stops=True)
    life.tick("105")
    life.tick("95")
    life.tick("80")
    life.tick("80")
    assert life.bot.inventory == 0
    assert life.bot.mode is Mode.TRIPPED
    assert PositionRead("perp", SWAP, life.venue.swaps[SWAP].qty, life.now).qty == 0


def test_a_bot_without_a_stop_places_none() -> None:
    """Spot bots and those without the setting are as they were."""
    life = Life(world=world(replace(STOPPED, venue_stop=None)))
    life.tick("105")
    life.tick("95")
    assert {order.role for _, order in life.sent} == {Role.ENTRY, Role.EXIT}


def test_entries_beyond_the_stop_do_not_rest() -> None:
    """With a stop inside the range, the levels below it are withdrawn while something is held, and come back after."""
    life = Life(world=world(replace(STOPPED, venue_stop=D("0.05"))))
    life.tick("105")
    assert len([one for one in life.venue.orders.values() if one.status is SeenAs.OPEN]) == 4
    life.tick("101.5")
    assert life.stops() == [(D("0.3"), D("96.90"))]
    entries = [one.price for one in life.venue.orders.values() if one.status is SeenAs.OPEN and one.side is Side.BUY]
    assert sorted(price for price in entries if price is not None) == [D("98.00"), D("100.00")]
    life.tick("104.5")
    life.tick("104.5")
    assert len([one for one in life.venue.orders.values() if one.status is SeenAs.OPEN]) == 4
