"""Writes down what an engine is told and what it answers, as text that a person can check line by line."""

from dataclasses import dataclass, field
from decimal import Decimal

from core.engine import Limits, Place, Step, World, advance
from core.facts import (
    Accepted,
    Action,
    CancelRefused,
    Command,
    Fact,
    Fill,
    NotFound,
    Refusal,
    Refused,
    Seen,
    SeenAs,
    Unanswered,
)
from core.machines.grid.config import GridConfig
from core.market import Instrument, Quote
from core.orders import ClientId, Order
from core.values import ZERO, Side, plain
from tests.core.worlds import D, after, instrument, quote, spec, world
from tests.simulation.memory import Memory


@dataclass(slots=True)
class Script:
    """A scene under way: every `tell` is one advance, written down with all that came of it."""

    config: GridConfig
    rules: Instrument = field(default_factory=instrument)
    limits: Limits = field(default_factory=Limits)
    lines: list[str] = field(default_factory=list[str])
    trades: int = 0
    now_s: float = 0
    state: World = field(init=False)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        """Open the store of the scene and its world."""
        ready = spec(self.config, self.rules)
        self.state = world(ready, limits=self.limits)
        self.memory = Memory({ready.bot_id: ready}, self.limits)

    def say(self, text: str) -> None:
        """Write a heading."""
        self.lines += ["", f"# {text}"]

    def tell(self, *facts: Fact, later_s: float = 0) -> Step:
        """Advance by these facts, so many seconds later, and write down facts, journal, levels and incidents."""
        self.now_s += later_s
        now = after(self.now_s)
        step = advance(self.state, facts, now)
        self.state = step.world
        self.memory.commit(step, now)
        self.lines += [f"{now:%H:%M:%S} {self.said(fact)}" for fact in facts]
        self.lines += [f"           {row.subject} {row.decision}: {row.reason}" for row in step.journal]
        self.lines += [
            f"        -> {self.wanted(intent.order, sends=isinstance(intent, Place))}" for intent in step.intents
        ]
        for row in step.levels:
            level = f"level {row.view.place} {row.state} {_held(row.view.held)}{row.reason}"
            self.lines.append(f"           {level}".rstrip())
        self.lines += [f"           INCIDENT {one.kind}: {one.detail}" for one in step.raised]
        return step

    def said(self, fact: Fact) -> str:
        """A fact in words."""
        return _fact(fact)

    def wanted(self, order: Order, *, sends: bool) -> str:
        """An order that goes out, or whose cancel does, in words."""
        price = "the market" if order.price is None else plain(order.price)
        return f"{'send' if sends else 'cancel'} {order.client_id}: {order.side} {plain(order.qty)} at {price}"

    def price(self, price: str, later_s: float = 0) -> Step:
        """Let the price be read."""
        return self.tell(quote(price, after(self.now_s + later_s), self.rules), later_s=later_s)

    def restart(self) -> None:
        """Throw the world away and take up what the store has."""
        assert self.memory.problems == []
        self.state = self.memory.load()
        self.lines.append(f"{after(self.now_s):%H:%M:%S} the process ends and another one starts")

    def fill(self, cid: str, qty: str, price: str, side: Side = Side.BUY, fee: str = "0") -> Fill:
        """One execution with the next trade id."""
        self.trades += 1
        return Fill(
            venue=self.rules.venue, symbol=self.rules.symbol, trade_id=str(self.trades), client_id=ClientId(cid), side=side,
            price=D(price), qty=D(qty), fee=D(fee), fee_asset=self.rules.quote, ts=after(self.now_s), maker=True,
        )  # fmt: skip

    def accepted(self, cid: str) -> Accepted:
        """The venue took an order."""
        return Accepted(ClientId(cid), "1", after(self.now_s))

    def refused(self, cid: str, kind: Refusal, reason: str) -> Refused:
        """The venue refused an order."""
        return Refused(ClientId(cid), kind, reason, after(self.now_s))

    def unanswered(self, cid: str, reason: str = "time-out") -> Unanswered:
        """No answer came."""
        return Unanswered(ClientId(cid), reason, after(self.now_s))

    def seen(self, cid: str, status: SeenAs, executed: str = "0", later_s: float = 0) -> Seen:
        """A query or a list showed an order."""
        return Seen(ClientId(cid), "1", status, D(executed), after(self.now_s + later_s))

    def not_found(self, cid: str, later_s: float = 0) -> NotFound:
        """A query found nothing."""
        return NotFound(ClientId(cid), after(self.now_s + later_s))

    def command(self, action: Action, argument: str = "") -> Command:
        """A person said a word."""
        return Command(1, self.config.id, action, argument, "anna", "", after(self.now_s))

    @property
    def text(self) -> str:
        """The transcript so far."""
        return "\n".join(self.lines).strip() + "\n"


def _held(held: Decimal) -> str:
    return f"holds {plain(held)} " if held > ZERO else ""


def _fact(fact: Fact) -> str:
    match fact:
        case Quote(bid=bid, ask=ask):
            return f"price {plain(bid)}" if bid == ask else f"price {plain(bid)} / {plain(ask)}"
        case Accepted(client_id=cid, executed=executed):
            return f"{cid} accepted{_part(executed)}"
        case Refused(client_id=cid, kind=kind, reason=reason):
            return f"{cid} refused, {kind.value}: {reason}"
        case Unanswered(client_id=cid, reason=reason):
            return f"{cid} no answer: {reason}"
        case Seen(client_id=cid, status=status, executed=executed):
            return f"{cid} seen {status.value}{_part(executed)}"
        case NotFound(client_id=cid):
            return f"{cid} not found"
        case CancelRefused(client_id=cid, reason=reason):
            return f"{cid} not cancelled: {reason}"
        case Fill(client_id=cid, side=side, qty=qty, price=price, trade_id=trade):
            return f"{cid} trade {trade}: {side} {plain(qty)} at {plain(price)}"
        case Command(action=action, argument=argument):
            return f"a person says {action.value} {argument}".rstrip()
        case _:
            return repr(fact)


def _part(executed: Decimal) -> str:
    return f", {plain(executed)} of it executed" if executed > ZERO else ""
