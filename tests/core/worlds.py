"""Small worlds for tests of the core: instruments, grids, accounts, candle paths, and runs over them."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core import backtest
from core.engine import Bot, BotSpec, Limits, Step, World
from core.lots import unrealized
from core.machines.grid import machine
from core.machines.grid.config import GridConfig, make_plan
from core.market import Candle, Instrument, Intrabar, Quote
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, total

D = Decimal
T0 = datetime(2026, 1, 1)
SYMBOL = "BTC/USDT"
SWAP = "BTC/USDT:USDT"
TICK = D("0.01")


def after(seconds: float) -> datetime:
    """The moment so many seconds after the start of the test's time."""
    return T0 + timedelta(seconds=seconds)


def instrument(**changes: Any) -> Instrument:
    """A spot instrument with a tick of 0.01 and a lot of 0.001."""
    values: dict[str, Any] = {
        "venue": "spot", "symbol": SYMBOL, "base": "BTC", "quote": "USDT", "tick_size": TICK,
        "lot_step": D("0.001"), "min_qty": D("0.001"), "min_notional": D(1), "maker": D("0.0002"), "taker": D("0.0005"),
    }  # fmt: skip
    return Instrument(**(values | changes))


def swap(**changes: Any) -> Instrument:
    """A linear perpetual with the same steps."""
    return instrument(**({"venue": "perp", "symbol": SWAP, "swap": True} | changes))


def grid(**changes: Any) -> GridConfig:
    """A grid of four levels of 0.1 between 96 and 104, unless told otherwise."""
    values: dict[str, Any] = {
        "id": "g", "venue": "spot", "symbol": SYMBOL, "start_price": 96, "end_price": 104, "levels": 4,
        "amount_base": "0.1", "min_order_amount_quote": 1,
    }  # fmt: skip
    values |= changes
    return GridConfig(**{name: value for name, value in values.items() if value is not None})


def spec(config: GridConfig, rules: Instrument) -> BotSpec:
    """Make the bot ready that a configuration describes."""
    plan = make_plan(config, rules)
    return BotSpec(
        bot_id=config.id, kind="grid", token="test", machine=machine, plan=plan, instrument=rules,
        capital_quote=plan.capital_quote, places=len(plan.lines), safe_spread=config.safe_extra_spread,
        max_open_orders=config.max_open_orders, long=config.side != "SELL", step_min=plan.step_min, nets=config.side == "NEUTRAL",
        max_position_size=config.max_position_size, max_drawdown=config.max_drawdown,
    )  # fmt: skip


def world(*specs: BotSpec, limits: Limits | None = None) -> World:
    """A world before its first tick."""
    return World(
        specs={one.bot_id: one for one in specs}, bots={one.bot_id: Bot(bot_id=one.bot_id) for one in specs},
        limits=limits or Limits(),
    )  # fmt: skip


def quote(price: str | Decimal, at: datetime = T0, rules: Instrument | None = None, **changes: Any) -> Quote:
    """A quote without a spread."""
    about, last = rules or instrument(), D(price)
    values: dict[str, Any] = {
        "venue": about.venue, "symbol": about.symbol, "bid": last, "ask": last, "last": last, "ts": at,
    }  # fmt: skip
    return Quote(**(values | changes))


def account(rules: Instrument, fills: FillRules | None = None, **balances: int) -> Account:
    """A simulated account with a million of quote, or the balances given."""
    opening = {name: D(amount) for name, amount in balances.items()} or {rules.quote: D(1_000_000)}
    return Account(rules.venue, {rules.symbol: rules}, fills or FillRules(cross=False), opening)


def candles(ticks: Sequence[int], start: int = 10_000, *, points: int = 4, timeframe_s: int = 60) -> ListSeries:
    """Candles from a walk: `ticks` are its steps and `start` its origin in ticks of 0.01; `points` steps make a bar."""
    made: list[Candle] = []
    here = start
    for index in range(len(ticks) // points):
        opened = here
        walk = [here := max(here + step, 1) for step in ticks[index * points : (index + 1) * points]]
        seen = [opened, *walk]
        low, high = D(min(seen)) * TICK, D(max(seen)) * TICK
        ts = T0 + timedelta(seconds=timeframe_s * index)
        made.append(Candle(ts, D(opened) * TICK, high, low, D(here) * TICK, ZERO))
    return ListSeries(made, scale=2)


def random_steps(seed: int, count: int, widest: int) -> list[int]:
    """A seeded walk of uniform steps of up to `widest` ticks."""
    rng = random.Random(seed)
    return [rng.randint(-widest, widest) for _ in range(count)]


@dataclass(slots=True)
class Run:
    """What a run produced, in order, each with its time."""

    result: backtest.Result
    steps: list[tuple[Step, datetime]] = field(default_factory=list[tuple[Step, datetime]])

    @property
    def record(self) -> dict[str, list[Any]]:
        """Everything that a store would hold of the run."""
        kinds = ("journal", "orders", "fills", "entries", "lots", "levels", "raised", "resolved")
        return {kind: [(at, row) for step, at in self.steps for row in getattr(step, kind)] for kind in kinds}

    @property
    def fills(self) -> list[Any]:
        """The executions, in order."""
        return [fill for step, _ in self.steps for _, fill in step.fills]


def run(
    before: World, at: Account, series: Any, *, jump: bool = True, intrabar: Intrabar = Intrabar.OHLC, **how: Any
) -> Run:
    """Run candles through the engine and the simulated account, and keep every step that was not quiet."""
    steps: list[tuple[Step, datetime]] = []
    symbol = next(iter(at.instruments))
    long = how.pop("long", True)
    scene = backtest.Scene(
        tracks=(backtest.Track((at.venue, symbol), series),), timeframe_s=60, intrabar=intrabar, long=long
    )
    result = backtest.run(
        before, {at.venue: at}, scene, jump=jump, keep=lambda step, now: steps.append((step, now)), **how
    )
    return Run(result, steps)


def floating(bots: Iterable[Bot], mark: Decimal) -> Decimal:
    """Profit of all open lots at a price, before fees."""
    return total(unrealized(lot, mark) for bot in bots for lot in bot.lots.values())
