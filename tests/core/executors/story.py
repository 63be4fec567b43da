"""Scenes of any kind of bot as text, in one market or in several (see tests/core/test_transcripts.py).

A line that sends an order says where it goes when there are several markets, and whether it may only reduce. The texts lie
in `transcripts/` beside the test; after a change that is meant, write them anew with UPDATE_TRANSCRIPTS=1 and read the diff.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.engine import BotSpec, Step
from core.engine.world import holding_of
from core.facts import Fact, Fill, FundingPaid, PositionRead, RateSeen
from core.kinds import KINDS
from core.market import Instrument, Quote
from core.orders import ClientId, Order
from core.values import plain
from tests.core.transcript import Script
from tests.core.worlds import D, after, world
from tests.simulation.memory import Memory


def spec_of(config: Any, *rules: Instrument) -> BotSpec:
    """Make a bot of any kind ready, as the shell does."""
    kind = KINDS[config.kind]
    ready = kind.prepare(config, {one.market: one for one in rules})
    first, *others = rules
    return BotSpec(
        bot_id=config.id, kind=config.kind, token="test", machine=kind.machine, plan=ready.plan, instrument=first,
        others=tuple(others), capital_quote=ready.capital_quote, places=ready.places, safe_spread=ready.safe_spread,
        max_position_size=config.max_position_size, max_open_orders=ready.max_open_orders, max_drawdown=config.max_drawdown,
        slippage=config.max_slippage_bps / 10_000, rates=ready.rates, long=ready.long, hears_refusals=ready.hears_refusals,
        step_min=ready.step_min, nets=ready.nets, max_bound_quote=ready.max_bound_quote,
    )  # fmt: skip


@dataclass(slots=True)
class Story(Script):
    """A script of a bot of any kind; orders are named by their leg and attempt, `e0-0-0`."""

    others: tuple[Instrument, ...] = field(default=())

    def __post_init__(self) -> None:
        """Open the store of the scene and its world."""
        made = spec_of(self.config, self.rules, *self.others)
        self.state = world(made, limits=self.limits)
        self.memory = Memory({made.bot_id: made}, self.limits)

    def restart(self) -> None:
        """As `Script.restart`; what is held in each market is summed from the lots, as the store does it."""
        Script.restart(self)
        bot = self.state.bots[self.config.id]
        lots = bot.lots.values()
        own = holding_of(self.rules.market, lots, bot.works)
        beside = {one.market: holding_of(one.market, lots, bot.works) for one in self.others}
        bot = replace(
            bot, inventory=own.inventory, cost=own.cost, net_cost=own.net_cost, fees_open=own.fees_open, live=own.live,
            beside=beside,
        )  # fmt: skip
        self.state = replace(self.state, bots={bot.bot_id: bot})

    def cid(self, leg: str) -> str:
        """The client id of an order of this bot."""
        return f"{self.config.id}-test-{leg}"

    def ok(self, *legs: str) -> None:
        """The venues take these orders."""
        self.tell(*(self.accepted(self.cid(leg)) for leg in legs))

    def trade(self, leg: str, qty: str, price: str, later_s: float = 1, **changes: Any) -> Step:
        """An order trades: in its own market, on its own side."""
        self.now_s += later_s
        return self.tell(self.execution(leg, qty, price, **changes))

    def execution(self, leg: str, qty: str, price: str, **changes: Any) -> Fill:
        """One execution of an order, with the next trade id."""
        order = self.memory.orders[ClientId(self.cid(leg))]
        made = self.fill(self.cid(leg), qty, price, order.side)
        return replace(made, venue=order.venue, symbol=order.symbol, **changes)

    def prices(self, *prices: str, later_s: float = 0) -> Step:
        """Let the price of each market be read, in their order."""
        self.now_s += later_s
        markets = (self.rules, *self.others)
        return self.tell(*(self.quoted(one, price) for one, price in zip(markets, prices, strict=True)))

    def quoted(self, rules: Instrument, price: str) -> Quote:
        """A price, or `bid/ask`."""
        bid, _, ask = price.partition("/")
        return Quote(
            venue=rules.venue, symbol=rules.symbol, bid=D(bid), ask=D(ask or bid), last=D(bid), ts=after(self.now_s)
        )

    def books(self) -> None:
        """Write down what the bot's books say that it holds, and what funding it has had."""
        bot = self.state.bots[self.config.id]
        held = {self.rules.venue: bot.inventory} | {venue: one.inventory for (venue, _), one in bot.beside.items()}
        words = [f"{plain(qty)} at {venue}" for venue, qty in held.items()]
        self.lines.append(f"           holds {', '.join(words)}; funding so far {plain(bot.funding)}")

    def said(self, fact: Fact) -> str:
        """Name the market where there are several."""
        text = Script.said(self, fact)
        match fact:
            case Quote(venue=venue) if self.others:
                return f"{text} at {venue}"
            case RateSeen(market=(venue, _), rate=rate, interval_s=interval_s):
                return f"funding rate {plain(rate)} in {interval_s / 3600:g} h at {venue}"
            case PositionRead(venue=venue, qty=qty):
                return f"position {plain(qty)} at {venue}"
            case FundingPaid(venue=venue, amount=amount, asset=asset):
                return f"funding {plain(amount)} {asset} at {venue}"
            case _:
                return text

    def wanted(self, order: Order, *, sends: bool) -> str:
        """Name the market where there are several, and what may only reduce."""
        text = Script.wanted(self, order, sends=sends)
        where = f" at {order.venue}" if self.others else ""
        return f"{text}{where}{', reduce-only' if sends and order.reduce_only else ''}"


def check(play: Callable[[], str], texts: Path) -> None:
    """Assert that a scene's text is as it was read and approved."""
    text, path = play(), texts / f"{play.__name__}.txt"
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
