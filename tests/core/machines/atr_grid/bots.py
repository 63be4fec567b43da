"""ATR grids for tests: configurations, candles, two simulated accounts, and runs over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core import backtest
from core.engine import BotSpec, Limits, Step, World
from core.engine.world import holding_of
from core.kinds import KINDS
from core.machines.atr_grid.config import AtrGridConfig, AtrGridPlan, prepare
from core.market import Candle, Instrument, Intrabar, Market, Quote
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, total
from tests.core.worlds import SWAP, SYMBOL, T0, D, Run, instrument, random_steps, swap, world
from tests.simulation.memory import Memory

SPOT: Market = ("spot", SYMBOL)
PERP: Market = ("perp", SWAP)
BAR_S = 60
HISTORY = 200


def config(**changes: Any) -> AtrGridConfig:
    """Five levels on candles of a minute, with 10,000 of capital, hedged."""
    values: dict[str, Any] = {
        "id": "a", "venue": "spot", "symbol": SYMBOL, "futures_venue": "perp", "futures_symbol": SWAP,
        "timeframe": "1m", "initial_capital": 10_000,
    }  # fmt: skip
    return AtrGridConfig(**(values | changes))


def rules(**changes: Any) -> dict[Market, Instrument]:
    """The rules of both markets; `changes` are those of both."""
    return {SPOT: instrument(**changes), PERP: swap(**changes)}


def spec_of(told: AtrGridConfig, about: Mapping[Market, Instrument] | None = None) -> BotSpec:
    """Make the bot ready."""
    known = about or rules()
    mine = {market: known[market] for market in told.markets()}
    ready = prepare(told, mine)
    first, *others = mine.values()
    return BotSpec(
        bot_id=told.id, kind="atr_grid", token="test", machine=KINDS["atr_grid"].machine, plan=ready.plan, instrument=first,
        others=tuple(others), capital_quote=ready.capital_quote, places=ready.places, bars=ready.bars,
        hears_refusals=ready.hears_refusals, max_drawdown=told.max_drawdown,
        max_position_size=told.max_position_size,
    )  # fmt: skip


def plan_of(**changes: Any) -> AtrGridPlan:
    """The plan of a configuration."""
    return spec_of(config(**changes)).plan


def history(price: Decimal = D(100), reach: Decimal = D("0.5")) -> list[Candle]:
    """Candles before the first one that is played: flat, each of them twice `reach` wide."""
    start = T0 - timedelta(seconds=BAR_S * HISTORY)
    return [
        Candle(start + timedelta(seconds=BAR_S * i), price, price + reach, price - reach, price, ZERO)
        for i in range(HISTORY)
    ]


def bars_from(prices: Sequence[Decimal], reach: Decimal = D(0)) -> list[Candle]:
    """Candles that go from each price to the next one, `reach` beyond both."""
    made: list[Candle] = []
    for i in range(len(prices) - 1):
        a, b = prices[i], prices[i + 1]
        made.append(Candle(T0 + timedelta(seconds=BAR_S * i), a, max(a, b) + reach, min(a, b) - reach, b, ZERO))
    return made


def walk(seed: int, count: int, widest: int) -> list[Candle]:
    """A seeded walk of candles around 100: four steps of up to `widest` ticks each, never below half the start."""
    prices, here = [D(100)], D(100)
    steps = random_steps(seed, count * 4, widest)
    made: list[Candle] = []
    for i in range(count):
        seen = [here]
        for step in steps[i * 4 : i * 4 + 4]:
            here = max(here + D(step) / 100, D(50))
            seen.append(here)
        prices.append(here)
        made.append(Candle(T0 + timedelta(seconds=BAR_S * i), seen[0], max(seen), min(seen), here, ZERO))
    return made


def beside(candles: Sequence[Candle], shifts: Sequence[Decimal]) -> list[Candle]:
    """The futures' candles: spot's, each a little to the side, on the futures' tick."""
    made: list[Candle] = []
    for i, one in enumerate(candles):
        by = shifts[i % len(shifts)]
        made.append(Candle(one.ts, one.open + by, one.high + by, one.low + by, one.close + by, one.volume))
    return made


def accounts(
    told: AtrGridConfig, about: Mapping[Market, Instrument], fills: FillRules, **opening: int
) -> dict[str, Account]:
    """One account for each venue, with `opening` quote in each (100,000 where nothing is said)."""
    return {
        market[0]: Account(
            market[0], {market[1]: about[market]}, fills, {"USDT": D(opening.get(market[0], 100_000))}, told.leverage
        )
        for market in told.markets()
    }


@dataclass(slots=True, repr=False)
class Play:
    """A run of an ATR grid over candles; `before` are the candles of history that come as one."""

    told: AtrGridConfig
    candles: Sequence[Candle]
    shifts: Sequence[Decimal] = (D(0),)
    about: Mapping[Market, Instrument] = field(default_factory=rules)
    fills: FillRules = field(default_factory=lambda: FillRules(cross=False))
    limits: Limits = field(default_factory=Limits)
    rates: Sequence[tuple[int, Decimal, float]] = ()
    intrabar: Intrabar = Intrabar.ADAPTIVE
    opening: Mapping[str, int] = field(default_factory=dict[str, int])
    before: Sequence[Candle] = field(default_factory=history)

    def __repr__(self) -> str:
        """Name what makes it, without its candles: hundreds of lines tell nobody anything."""
        told = self.told.model_dump(exclude_defaults=True)
        return f"Play({told}, {len(self.candles)} candles, {self.shifts}, {self.fills}, {self.opening})"

    def open(self) -> tuple[World, dict[str, Account]]:
        """A fresh world and fresh accounts."""
        start = world(spec_of(self.told, self.about), limits=self.limits)
        return start, accounts(self.told, self.about, self.fills, **self.opening)

    def scene(self) -> backtest.Scene:
        """The candles of all markets, and the history."""
        markets = self.told.markets()
        series = [ListSeries(self.candles, scale=2)]
        if len(markets) > 1:
            series.append(ListSeries(beside(self.candles, self.shifts), scale=2))
        tracks = tuple(backtest.Track(market, one) for market, one in zip(markets, series, strict=True))
        told = ListSeries([*self.before, *self.candles], scale=2)
        rates = {PERP: self.rates} if len(markets) > 1 else {}
        return backtest.Scene(
            tracks=tracks, timeframe_s=BAR_S, intrabar=self.intrabar, bars={(SPOT, BAR_S): told}, rates=rates
        )

    def run(self, *, jump: bool = True, at: dict[str, Account] | None = None) -> Run:
        """Run it from the start; `at` are accounts to be looked at afterwards."""
        start, fresh = self.open()
        steps: list[tuple[Step, datetime]] = []
        result = backtest.run(
            start, at if at is not None else fresh, self.scene(), jump=jump,
            keep=lambda step, now: steps.append((step, now)),
        )  # fmt: skip
        return Run(result, steps)


def reloaded(memory: Memory, spec: BotSpec, quotes: Mapping[Market, Quote]) -> World:
    """The world as a process finds it that starts now: from the tables, with the prices it then reads."""
    loaded = memory.load()
    bot = loaded.bots[spec.bot_id]
    here = [lot for lot in bot.lots.values() if (lot.venue, lot.symbol) == spec.instrument.market]
    kept = holding_of(spec.instrument.market, here, bot.works)
    others = {one.market: holding_of(one.market, bot.lots.values(), bot.works) for one in spec.others}
    bot = replace(
        bot, inventory=kept.inventory, cost=kept.cost, net_cost=kept.net_cost, fees_open=kept.fees_open, live=kept.live,
        beside=others, wakes={one.market: bot.wake for one in spec.others},
        machine_wakes={one.market: bot.wake for one in spec.others},
    )  # fmt: skip
    return replace(loaded, bots={spec.bot_id: bot}, quotes=dict(quotes))


def worth(at: Mapping[str, Account], told: AtrGridConfig) -> Decimal:
    """What the accounts are worth at their last prices: cash, coins, and the swap's floating profit."""
    whole = total(account.balances.get("USDT", ZERO) for account in at.values())
    spot = at["spot"]
    whole += spot.balances.get("BTC", ZERO) * spot.prices[SYMBOL]
    if len(told.markets()) > 1 and SWAP in at["perp"].swaps:
        held, price = at["perp"].swaps[SWAP], at["perp"].prices[SWAP]
        whole += held.qty * price - (held.cost if held.qty > 0 else -held.cost)
    return whole
