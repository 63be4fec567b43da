"""Worlds for the store's tests: a grid on a seeded path, against the simulated venue, each step handed on."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.backtest import settle
from core.engine import Bot, BotSpec, Limits, Step, World
from core.machines.grid import machine
from core.machines.grid.config import GridConfig, make_plan
from core.market import Instrument
from core.simbook import FillRules
from core.simulation import Account

START = datetime(2026, 3, 1)
SYMBOL = "BTC/USDT"
INSTRUMENT = Instrument(
    venue="spot", symbol=SYMBOL, base="BTC", quote="USDT", tick_size=Decimal("0.01"), lot_step=Decimal("0.00001"),
    min_qty=Decimal("0.00001"), min_notional=Decimal(5), maker=Decimal("0.0002"), taker=Decimal("0.0004"),
)  # fmt: skip


def grid_spec(bot_id: str = "g1", *, levels: int = 10, instrument: Instrument = INSTRUMENT, **options: Any) -> BotSpec:
    """A grid bot from 20,000 to 30,000 USDT."""
    config = GridConfig(
        id=bot_id, venue=instrument.venue, symbol=instrument.symbol, levels=levels,
        **{"amount_base": "0.1", "initial_inventory": "market", "start_price": 20000, "end_price": 30000, **options},
    )  # fmt: skip
    plan = make_plan(config, instrument)
    return BotSpec(
        bot_id=bot_id, kind="grid", token="abcd", machine=machine, plan=plan, instrument=instrument,
        capital_quote=plan.capital_quote, places=len(plan.lines), safe_spread=config.safe_extra_spread,
        nets=config.side == "NEUTRAL",
    )  # fmt: skip


def new_world(*specs: BotSpec, limits: Limits | None = None) -> World:
    """A world in which nothing has happened yet."""
    return World(
        specs={one.bot_id: one for one in specs},
        bots={one.bot_id: Bot(bot_id=one.bot_id) for one in specs},
        limits=limits or Limits(),
    )


def new_account(instrument: Instrument = INSTRUMENT, *, cross: bool = False) -> Account:
    """A simulated account with a million in quote."""
    return Account(
        instrument.venue,
        {instrument.symbol: instrument},
        FillRules(cross=cross),
        {instrument.quote: Decimal(1_000_000)},
    )


def walk(
    world: World,
    account: Account,
    *,
    prices: int,
    seed: int = 1,
    keep: Callable[[Step, datetime], None] | None = None,
    start: datetime = START,
    every: timedelta = timedelta(seconds=5),
    width: float = 400,
) -> tuple[World, datetime]:
    """Drive a world along a seeded random walk around 25,000; returns the last world and its time."""
    chance = random.Random(seed)
    price, now = 25_000.0, start
    for i in range(prices):
        price = min(max(price + chance.gauss(0, width), 19_000), 31_000)
        now = start + i * every
        account.move(SYMBOL, Decimal(f"{price:.2f}"), now)
        world = settle(world, {account.venue: account}, [(account.venue, SYMBOL)], now, keep)
    return world, now
