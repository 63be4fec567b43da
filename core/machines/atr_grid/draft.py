"""The step under way: a state being changed, and what has to be said about it. Nothing outside this kind sees it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from operator import is_not
from typing import Any

from core.indicators import Gauge
from core.machine import Alarm, Held, Note, View
from core.machines.atr_grid.config import AtrGridPlan
from core.machines.atr_grid.state import AtrGridState, Holding, Layout, Level, Money, Mood, Short
from core.market import Quote
from core.values import ZERO, exact_product


@dataclass(slots=True)
class Draft:
    """Mutable while one step runs; `frozen` gives the state that it ends in."""

    plan: AtrGridPlan
    view: View
    levels: list[Level]
    gauge: Gauge | None
    bar_at: datetime | None
    layout: Layout | None
    mood: Mood
    money: Money
    short: Short
    before: tuple[Level, ...]
    # What stands in the futures market, and its prices; None where there is no such market, or nothing is known of it.
    beside: Held | None
    futures_quote: Quote | None
    notes: list[Note] = field(default_factory=list[Note])
    alarms: list[Alarm] = field(default_factory=list[Alarm])
    calm: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @classmethod
    def of(cls, plan: AtrGridPlan, state: AtrGridState, view: View) -> "Draft":
        """Start changing a state."""
        beside = None if plan.futures is None else view.beside.get(plan.futures.market)
        return cls(
            plan, view, list(state.levels), state.gauge, state.bar_at, state.layout, state.mood, state.money, state.short,
            state.levels, beside, None if beside is None else beside.quote, [], [], [],
        )  # fmt: skip

    def frozen(self) -> AtrGridState:
        """Return the state as it is now; levels that did not change stay the same tuple."""
        levels = self.before
        if any(map(is_not, self.levels, levels)):
            levels = tuple(self.levels)
        return AtrGridState(levels, self.gauge, self.bar_at, self.layout, self.mood, self.money, self.short)

    def note(self, subject: str, decision: str, reason: str) -> None:
        """Write a line for the journal."""
        self.notes.append(Note(subject, decision, reason))

    def feel(self, **changes: Any) -> None:
        """Change the mood."""
        self.mood = replace(self.mood, **changes)

    def hedge(self, **changes: Any) -> None:
        """Change the short."""
        self.short = replace(self.short, **changes)

    def pay(self, *, cash: Decimal = ZERO, budget: Decimal = ZERO, hedged: Decimal = ZERO) -> None:
        """Move money."""
        before = self.money
        self.money = Money(before.cash + cash, before.budget + budget, before.hedged + hedged)

    @property
    def count(self) -> int:
        """How many candles were taken in."""
        return 0 if self.gauge is None else self.gauge.count

    @property
    def bag(self) -> Decimal:
        """Base held in spot."""
        return max(self.view.inventory, ZERO)

    @property
    def spot_profit(self) -> Decimal:
        """Floating profit of the bag at the last price, before fees, in quote."""
        return exact_product(self.view.quote.last, self.view.inventory) - self.view.net_cost

    @property
    def short_qty(self) -> Decimal:
        """Base sold short; below zero were a long one, which nobody wants."""
        held = self.beside
        return ZERO if held is None else -held.inventory

    def held_levels(self) -> list[tuple[int, Holding]]:
        """List the places that hold a lot."""
        return [(index, level) for index, level in enumerate(self.levels) if isinstance(level, Holding)]
