"""The step under way: a state being changed, what the bot holds in each swap, and what has to be said about it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.machine import Alarm, Note, View
from core.machines.funding_arb.config import FundingArbPlan
from core.machines.funding_arb.state import FundingArbState, Phase, Side
from core.market import Instrument, Quote
from core.orders import Kind, Leg, Role, leg_id
from core.pairing import SLIP_MAX, TRIES_MAX, Target
from core.values import ONE, ZERO, exact_product, ratio
from core.values import Side as Way


@dataclass(slots=True)
class Draft:
    """Mutable while one step runs."""

    plan: FundingArbPlan
    view: View
    state: FundingArbState
    notes: list[Note] = field(default_factory=list[Note])
    alarms: list[Alarm] = field(default_factory=list[Alarm])
    calm: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def now(self) -> datetime:
        """The time of the step."""
        return self.view.now

    def enter(self, phase: Phase, word: str, reason: str) -> None:
        """Change the phase, and say why."""
        self.state = replace(self.state, phase=phase)
        self.notes.append(Note("pair", word, reason))

    def change(self, **changes: Any) -> None:
        """Change the state."""
        self.state = replace(self.state, **changes)

    def feel(self, phase: Phase) -> None:
        """Change the phase without a word."""
        self.state = replace(self.state, phase=phase)

    def put(self, index: int, **changes: Any) -> None:
        """Change one swap's side."""
        sides = list(self.state.sides)
        sides[index] = replace(sides[index], **changes)
        self.state = replace(self.state, sides=tuple(sides))

    def side(self, index: int) -> Side:
        """One swap's side."""
        return self.state.sides[index]

    def held(self, index: int) -> Decimal:
        """Signed base held in a swap: by the bot's own lots, never by what was planned."""
        if index == 0:
            return self.view.inventory
        held = self.view.beside.get(self.plan.rules[index].market)
        return ZERO if held is None else held.inventory

    def net_cost(self, index: int) -> Decimal:
        """What is held cost, in quote; below zero for a short."""
        if index == 0:
            return self.view.net_cost
        held = self.view.beside.get(self.plan.rules[index].market)
        return ZERO if held is None else held.net_cost

    def quote(self, index: int) -> Quote | None:
        """A swap's prices, where they are known."""
        if index == 0:
            return self.view.quote
        held = self.view.beside.get(self.plan.rules[index].market)
        return None if held is None else held.quote

    def rate_h(self, index: int) -> Decimal | None:
        """A swap's rate by the hour; None where none is known or the newest is too old to say anything."""
        rate = self.side(index).rate
        return None if rate is None or self.now > rate.until else rate.hourly

    @property
    def edge_h(self) -> Decimal | None:
        """What the pair earns an hour by the newest rates; None where one is unknown."""
        low, high = self.rate_h(self.state.long), self.rate_h(self.state.short)
        return None if low is None or high is None else high - low

    @property
    def sizes(self) -> tuple[Decimal, Decimal]:
        """Base held long and base held short; below zero where a swap stands on the other side."""
        return self.held(self.state.long), -self.held(self.state.short)

    @property
    def balance(self) -> Decimal:
        """What the bot has won over its life, in quote, open lots aside."""
        return self.view.realized - self.view.fees + self.view.funding

    def closing_price(self, index: int) -> Decimal | None:
        """The price at which what is held could be closed now."""
        quote = self.quote(index)
        if quote is None:
            return None
        return quote.bid if self.held(index) >= ZERO else quote.ask

    def profit(self, before: Decimal) -> Decimal | None:
        """Funding and price profit since `before`, all fees counted, those of closing too; None without prices."""
        found = self.balance - before
        for index in (self.state.long, self.state.short):
            price = self.closing_price(index)
            if price is None:
                return None
            qty = self.held(index)
            fee = exact_product(abs(qty), price, max(self.plan.rules[index].taker, ZERO))
            found += exact_product(qty, price) - self.net_cost(index) - fee
        return found

    def cap(self, index: int, way: Way, tries: int, qty: Decimal) -> Decimal | None:
        """Return the worst price to accept, wider with every try; None without a price."""
        quote, rule = self.quote(index), self.plan.rules[index]
        if quote is None:
            return None
        slip = min(self.plan.slip * 2 ** min(tries, TRIES_MAX), SLIP_MAX)
        if way is Way.BUY:
            return rule.ceil_price(quote.ask * (ONE + slip))
        return max(rule.floor_price(quote.bid * (ONE - slip)), rule.ceil_price(ratio(rule.min_notional, qty)))

    def retry_due(self, asked_at: datetime | None) -> bool:
        """Whether a cap has stood long enough to be widened."""
        return asked_at is None or self.now >= asked_at + timedelta(seconds=self.plan.config.retry_s)


def closable(draft: Draft, index: int) -> Decimal:
    """Return how much of what is held in a swap an order could close, unsigned."""
    rule, price = draft.plan.rules[index], draft.closing_price(index)
    qty = abs(draft.held(index))
    return rule.sellable(price, qty) if price is not None else rule.floor_qty(qty)


def take_out(draft: Draft, index: int, qty: Decimal, tries: int) -> None:
    """Ask for `qty` of what is held to be closed, by the sign of what is held."""
    way = Way.SELL if draft.held(index) > ZERO else Way.BUY
    cap, before = draft.cap(index, way, tries, qty), draft.side(index).out
    if cap is not None:
        draft.put(index, out=Target(before.done + qty, before.done, cap))


def still(draft: Draft, index: int) -> None:
    """Ask nothing more of a swap than was executed."""
    side = draft.side(index)
    into, out = side.into, side.out
    if into.open or out.open:
        draft.put(index, into=replace(into, qty=into.done), out=replace(out, qty=out.done))


def name_into(state: FundingArbState, index: int) -> str:
    """Name the leg that enters: the long side is the entry, the short one its hedge, which no entry gate holds back."""
    return leg_id(Role.HEDGE if index == state.short else Role.ENTRY, index, state.cycle)


def name_out(state: FundingArbState, index: int) -> str:
    """Name the leg that closes."""
    return leg_id(Role.EXIT, index, state.cycle)


def legs_of(rule: Instrument, state: FundingArbState, index: int, *, grouped: bool) -> dict[str, Leg]:
    """List what is wanted in one swap."""
    side, found = state.sides[index], dict[str, Leg]()
    if side.into.open:
        name = name_into(state, index)
        short = index == state.short
        found[name] = Leg(
            leg_id=name, venue=rule.venue, symbol=rule.symbol, side=Way.SELL if short else Way.BUY,
            role=Role.HEDGE if short else Role.ENTRY, kind=Kind.MARKET, qty=side.into.qty, price=side.into.cap,
            group=f"f{state.cycle}" if grouped else "", lot_id="" if short else f"{index}-{state.cycle}",
        )  # fmt: skip
    if side.out.open:
        name = name_out(state, index)
        found[name] = Leg(
            leg_id=name, venue=rule.venue, symbol=rule.symbol, side=Way.SELL if side.sells else Way.BUY,
            role=Role.EXIT, kind=Kind.MARKET, qty=side.out.qty, price=side.out.cap, reduce_only=True,
            lot_id=f"{index}-{state.cycle}",
        )  # fmt: skip
    return found
