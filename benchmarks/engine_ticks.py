"""Times one tick of the engine over 200 grids of 100 levels: all quiet, all awake, and all awake with a fill each.

Quiet: a price inside every bot's band. Awake: the same price, but every bot's band is said to have been left, so that
every machine looks at its levels. Trading: the price falls by one step, every bot buys one level, and all of it is
booked and answered. The account is a simulated one; its own time is not counted. Times are CPU times.

Prints a table and one JSON line.

    python benchmarks/engine_ticks.py
"""

import gc
import json
import statistics
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.engine import Bot, BotSpec, Limits, Place, Step, World, advance
from core.facts import Fact
from core.kinds import KINDS
from core.machine import Wake
from core.machines.grid.config import GridConfig, prepare
from core.market import Instrument
from core.simbook import FillRules
from core.simulation import Account

BOTS, LEVELS, TICKS = 200, 100, 30
AWAKE_MS_MAX, QUIET_MS_MAX = 200.0, 10.0
START, SYMBOL, PRICE, STEP = datetime(2026, 1, 1), "BTC/USDT:USDT", Decimal(60_000), Decimal(200)
MARK = "tick"
DUE = Wake(deadline=START)
RULES = Instrument(
    venue="perp", symbol=SYMBOL, base="BTC", quote="USDT", tick_size=Decimal("0.1"), lot_step=Decimal("0.001"),
    min_qty=Decimal("0.001"), min_notional=Decimal(5), maker=Decimal("0.0002"), taker=Decimal("0.0005"), swap=True,
)  # fmt: skip


def spec_of(index: int) -> BotSpec:
    """One grid of 100 levels around 60,000 with a stop and a trailing stop, each a little beside the others."""
    config = GridConfig(
        id=f"b{index}", venue="perp", symbol=SYMBOL, start_price=50_000 + index, end_price=70_000 + index, levels=LEVELS,
        amount_base="0.001", initial_inventory="market",
        triple_barrier={"stop_loss": "0.19", "trailing_stop": {"activation": "0.15", "delta": "0.05"}},
    )  # fmt: skip
    ready = prepare(config, {RULES.market: RULES})
    return BotSpec(
        bot_id=config.id, kind="grid", token=MARK, machine=KINDS["grid"].machine, plan=ready.plan, instrument=RULES,
        capital_quote=ready.capital_quote, places=ready.places, safe_spread=ready.safe_spread, step_min=ready.step_min,
        max_drawdown=Decimal("0.4"),
    )  # fmt: skip


@dataclass(slots=True)
class Play:
    """The world and its account; `times_ms` are those of the advances of each tick, without the account's own."""

    world: World
    account: Account
    now: datetime = START
    fills: int = 0
    times_ms: list[float] = field(default_factory=list[float])

    def tick(self, price: Decimal, *, awake: bool = False) -> float:
        """Let the price go there and answer until nothing is left; returns the engine's milliseconds of CPU."""
        self.now += timedelta(seconds=5)
        self.account.move(SYMBOL, price, self.now)
        quote = self.account.quote(SYMBOL, self.now)
        if awake:
            bots = {name: replace(bot, wake=DUE, machine_wake=DUE) for name, bot in self.world.bots.items()}
            self.world = replace(self.world, bots=bots)
        facts: list[Fact] = [*self.account.news(self.now), *([quote] if quote is not None else [])]
        took = 0.0
        while facts:
            began = time.process_time()
            step = advance(self.world, facts, self.now)
            took += time.process_time() - began
            self.world = step.world
            self.fills += len(step.fills)
            facts = self._answers(step)
        return took * 1000

    def _answers(self, step: Step) -> list[Fact]:
        answers: list[Fact] = []
        for intent in step.intents:
            if isinstance(intent, Place):
                answers.append(self.account.place(intent.order, self.now))
            else:
                seen = self.account.cancel(intent.order.client_id, self.now)
                answers += [seen] if seen is not None else []
        return [*answers, *self.account.news(self.now)] if step.intents else []


def opened() -> Play:
    """Two hundred grids that have laid their levels and bought their opening inventory."""
    specs = {spec.bot_id: spec for spec in (spec_of(index) for index in range(BOTS))}
    world = World(
        specs=specs, bots={name: Bot(bot_id=name) for name in specs}, limits=Limits(max_drawdown=Decimal("0.4"))
    )
    account = Account("perp", {SYMBOL: RULES}, FillRules(cross=False), {"USDT": Decimal(10_000_000)}, leverage=5)
    play = Play(world, account)
    play.tick(PRICE)
    return play


def measure(play: Play, prices: list[Decimal], *, awake: bool = False) -> list[float]:
    """Milliseconds of each tick."""
    gc.collect()
    return [play.tick(price, awake=awake) for price in prices]


def main() -> None:
    """Measure and print; raises `ArithmeticError` where a tick does not do what its name says."""
    play = opened()
    around = [PRICE + Decimal(i % 5) / 10 for i in range(TICKS)]
    before = play.fills
    rows = {"quiet": measure(play, around), "awake": measure(play, around, awake=True)}
    if play.fills != before:
        raise ArithmeticError("a quiet tick has traded")
    falling = [PRICE - STEP * (i + 1) for i in range(10)]
    rows["trading"] = measure(play, falling)
    if play.fills - before < BOTS * len(falling):
        raise ArithmeticError(f"only {play.fills - before} fills of {BOTS * len(falling)}")
    print(f"{BOTS} bots of {LEVELS} levels\n{'tick':<10} {'median ms':>10} {'worst ms':>10}")
    for name, times in rows.items():
        print(f"{name:<10} {statistics.median(times):>10.2f} {max(times):>10.2f}")
    figures = {name: round(statistics.median(times), 2) for name, times in rows.items()}
    within = figures["awake"] <= AWAKE_MS_MAX and figures["quiet"] <= QUIET_MS_MAX
    print(json.dumps({"benchmark": "engine_ticks", **figures, "within": within}))


if __name__ == "__main__":
    main()
