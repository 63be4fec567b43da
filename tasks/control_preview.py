"""What a word of control would do: the engine itself, on the published copy. Nothing is written and nothing is sent."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from pydantic import ValidationError

from core.engine import Cancel, Place, Step, World, advance
from core.facts import Action, Command, Fact, PositionRead, Seen, SeenAs
from core.market import Quote
from core.portfolio import Portfolio
from core.values import plain
from tasks.assemble import instruments_of, limits_of, specs_of
from tasks.errors import Refused
from tasks.opening import stored_rules
from tasks.sql_query import QueryRefused, open_published
from tasks.store_load import load_world
from tasks.store_open import StoreError
from tasks.store_rows import tidy
from tasks.yaml_strict import load

# Cancelled first, then sold at the market: two rounds show it all, a third shows that nothing follows.
ROUNDS_MAX = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done to one bot, valued at the last published price. `at` is the time of that price (naive UTC)."""

    outcome: str
    mode: str
    orders: tuple[dict[str, Any], ...]
    at: datetime

    def lines(self) -> list[str]:
        """Say it for people, an order a line."""
        done = [self.outcome, f"mode afterwards: {self.mode}"]
        done += [
            f"{one['do']} {one['side']} {one['qty']} at {one['price']} ({one['role']}, {one['leg']})"
            for one in self.orders
        ]
        return [*done, f"as of {self.at:%Y-%m-%d %H:%M:%S} UTC; the next tick decides on what it then sees"]


def preview(data_dir: Path, bot: str, action: str, argument: str, who: str, note: str) -> Preview:
    """Show what the next ticks would do. Raises `Refused` for an unknown bot, or where nothing was published yet."""
    try:
        with open_published(data_dir) as con:
            world, quotes = _world(con, data_dir)
    except (QueryRefused, StoreError, duckdb.Error) as fault:
        raise Refused(f"the published copy cannot be used: {fault}", key="--dry-run") from None
    if bot not in world.specs:
        raise Refused(f"there is no bot {bot!r}", key="BOT", accepted=", ".join(world.specs), given=bot)
    now = max((quote.ts for quote in quotes), default=datetime(1970, 1, 1))
    calm = advance(world, quotes, now).world
    word = Command(0, bot, Action(action), argument, who, note, now)
    step = advance(calm, [word, *_positions(calm, bot, quotes, now)], now)
    outcome = next((row.reason for row in step.journal if row.subject == "control"), "nothing")
    if word.action is Action.CLAIM and not outcome.startswith("not applied"):
        outcome += "; shown at the last price, the tick takes the exchange's own entry price"
    orders: list[dict[str, Any]] = []
    for _ in range(ROUNDS_MAX):
        mine = [one for one in step.intents if one.order.bot_id == bot]
        orders += [_told(one) for one in mine]
        confirmed = _confirmed(step, bot, now)
        if not confirmed:
            break
        step = advance(step.world, [*_again(quotes, now), *confirmed], now)
    return Preview(outcome, step.world.bots[bot].mode.value, tuple(orders), now)


def _world(con: duckdb.DuckDBPyConnection, data_dir: Path) -> tuple[World, list[Quote]]:
    row = con.execute(
        "SELECT (SELECT value FROM meta WHERE key = 'config'), (SELECT token FROM store_stamp)"
    ).fetchone()
    if row is None or row[0] is None:
        raise Refused("the published copy holds no configuration", key="--dry-run", accepted="a portfolio that has run")
    try:
        portfolio = Portfolio.model_validate(load(row[0], "the published copy"))
    except ValidationError as fault:
        raise Refused(f"its configuration is another version's: {fault.errors()[0]['msg']}", key="--dry-run") from None
    specs = specs_of(portfolio, instruments_of(portfolio, {}, stored_rules(data_dir)), row[1])
    world = load_world(con, specs, limits_of(portfolio))
    if world is None:
        raise Refused("nothing was traded yet", key="--dry-run", accepted="a portfolio that has run")
    marks = con.execute("SELECT bot_id, price, price_ts FROM marks WHERE price IS NOT NULL").fetchall()
    quotes: dict[tuple[str, str], Quote] = {}
    for bot_id, price, ts in marks:
        if bot_id in specs:
            rule = specs[bot_id].instrument
            quotes[rule.venue, rule.symbol] = _quote(rule.venue, rule.symbol, tidy(price), ts)
    return world, list(quotes.values())


def _quote(venue: str, symbol: str, price: Decimal, ts: datetime) -> Quote:
    return Quote(venue=venue, symbol=symbol, bid=price, ask=price, last=price, ts=ts)


def _positions(world: World, bot: str, quotes: list[Quote], now: datetime) -> list[PositionRead]:
    # The exchange's reading as the ledger has it: what a claim is held against.
    market = world.specs[bot].instrument.market
    return [
        PositionRead(one.venue, one.symbol, world.positions[market], now, one.last)
        for one in quotes
        if (one.venue, one.symbol) == market and market in world.positions
    ]


def _again(quotes: list[Quote], now: datetime) -> list[Quote]:
    return [replace(quote, ts=now) for quote in quotes]


def _confirmed(step: Step, bot: str, now: datetime) -> list[Fact]:
    # What the exchange would most likely answer: every cancel is confirmed, with nothing more executed.
    return [
        Seen(one.order.client_id, one.order.exchange_id, SeenAs.CANCELED, one.order.filled_qty, now)
        for one in step.intents
        if isinstance(one, Cancel) and one.order.bot_id == bot
    ]


def _told(intent: Place | Cancel) -> dict[str, Any]:
    order = intent.order
    return {
        "do": "cancel" if isinstance(intent, Cancel) else "place",
        "leg": order.leg_id,
        "role": order.role.name.lower(),
        "side": order.side.value,
        "qty": plain(order.qty - order.filled_qty),
        "price": "the market" if order.price is None else plain(order.price),
        "symbol": order.symbol,
    }
