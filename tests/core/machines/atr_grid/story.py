"""Plays candles one by one through the engine and two simulated accounts, and writes down what the ATR grid made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from core.backtest import settle
from core.engine import Limits, Step, World
from core.facts import BarClosed
from core.machines.atr_grid.config import AtrGridConfig
from core.machines.atr_grid.state import AtrGridState, Holding, Resting
from core.market import Candle, Instrument, Intrabar, Market, path, path_times
from core.orders import decode
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, plain
from tests.core.machines.atr_grid.bots import BAR_S, PERP, SPOT, accounts, history, reloaded, rules, spec_of
from tests.core.worlds import T0, D, world
from tests.simulation.memory import Memory


@dataclass(slots=True)
class Story:
    """A scene under way. With `restarts` the process ends after every candle and another one reads the store."""

    told: AtrGridConfig
    restarts: bool = False
    before: Sequence[Candle] = field(default_factory=history)
    about: Mapping[Market, Instrument] = field(default_factory=rules)
    opening: Mapping[str, int] = field(default_factory=dict[str, int])
    lines: list[str] = field(default_factory=list[str])
    at: dict[str, Account] = field(init=False)
    world: World = field(init=False)
    memory: Memory = field(init=False)
    news: list[Candle] = field(init=False)
    count: int = 0
    standing: str = ""

    def __post_init__(self) -> None:
        """Open the accounts and the store."""
        ready = spec_of(self.told, self.about)
        self.world = world(ready)
        self.at = accounts(self.told, self.about, FillRules(cross=False), **self.opening)
        self.memory = Memory({ready.bot_id: ready}, Limits())
        self.news = list(self.before)

    @property
    def state(self) -> AtrGridState:
        """The machine's state now."""
        return self.world.bots["a"].state

    def say(self, text: str) -> None:
        """Write a heading."""
        self.lines += ["", f"# {text}"]

    def go(self, *closes: float | str, reach: str = "0.3", basis: str = "0", shut: bool = False) -> None:
        """Play candles that go from the last close to each of these, `reach` beyond both ends."""
        for close in closes:
            opened = self.news[-1].close if self.news else D(100)
            here = D(str(close))
            self.bar(opened, max(opened, here) + D(reach), min(opened, here) - D(reach), here, basis=basis, shut=shut)

    def bar(
        self, open_: Decimal, high: Decimal, low: Decimal, close: Decimal, *, basis: str = "0", shut: bool = False
    ) -> None:
        """Play one candle; the futures' prices stand `basis` beside spot's. Candles without an event leave no line.

        `shut`: the futures market has no price and takes no order.
        """
        ts = T0 + timedelta(seconds=BAR_S * self.count)
        candle = Candle(ts, open_, high, low, close, ZERO)
        self.count += 1
        before, first = self.standing, len(self.lines)
        told = [BarClosed(SPOT, BAR_S, one) for one in self.news]
        markets = self.told.markets()
        for price, now in zip(path(candle, Intrabar.ADAPTIVE), path_times(ts, BAR_S), strict=True):
            for venue, symbol in markets:
                if shut and (venue, symbol) == PERP:
                    self.at[venue].prices.pop(symbol, None)
                    continue
                self.at[venue].move(symbol, price + (D(basis) if (venue, symbol) == PERP else ZERO), now)
            self.world = settle(self.world, self.at, markets, now, self._keep, told)
            told = []
        self.news = [candle]
        self.standing = self._standing()
        if len(self.lines) > first or self.standing != before:
            self.lines.insert(first, f"{ts:%H:%M} {' '.join(plain(one) for one in (open_, high, low, close))}")
            self.lines.append(f"      = {self.standing}")
        if self.restarts:
            assert self.memory.problems == []
            before = self.world
            self.world = reloaded(self.memory, before.specs["a"], before.quotes)
            assert self.world.bots["a"].state == before.bots["a"].state
            assert self.world.bots["a"].beside == before.bots["a"].beside

    def _keep(self, step: Step, now: datetime) -> None:
        self.memory.commit(step, now)
        # What the order layer does about a refusal is paced, and a restart forgets the pace.
        quiet = {"PLACE", "CANCEL", "DECLINED", "REFUSED"}
        for row in step.journal:
            if row.decision not in quiet and row.subject not in {"bot", "candle"}:
                self.lines.append(f"      {row.subject} {row.decision}: {row.reason}")
        for _, fill in step.fills:
            who = decode(fill.client_id)
            leg = who.leg_id if who is not None else "?"
            self.lines.append(f"      fill {leg}: {fill.side.value} {plain(fill.qty)} at {plain(fill.price)}")
        self.lines += [f"      INCIDENT {one.kind}: {one.detail}" for one in step.raised]
        self.lines += [f"      resolved {name.partition('/')[0]}" for name in step.resolved]

    def _standing(self) -> str:
        if self.state is None:
            return "nothing"
        rests = [plain(one.price) for one in self.state.levels if isinstance(one, Resting)]
        lots = [
            f"{plain(one.held)}@{plain(one.entry)}>{plain(one.target)}"
            for one in self.state.levels
            if isinstance(one, Holding)
        ]
        bot = self.world.bots["a"]
        short = -sum((one.inventory for one in bot.beside.values()), ZERO)
        parts = [f"buys at {' '.join(sorted(rests, key=D, reverse=True))}" if rests else "no purchase rests"]
        parts += [f"lots {' '.join(lots)}"] if lots else []
        parts += [f"short {plain(short)}"] if short else []
        parts += ["pending"] if self.state.mood.pending_since else []
        parts += ["recovery"] if self.state.mood.recovery else []
        return ", ".join(parts)

    @property
    def text(self) -> str:
        """The transcript so far."""
        return "\n".join(self.lines).strip() + "\n"


def rising(start: str = "80", end: str = "100") -> list[Candle]:
    """A history that rises evenly, so that the slow averages lie far below the price."""
    flat = history()
    step = (D(end) - D(start)) / len(flat)
    made: list[Candle] = []
    for i, one in enumerate(flat):
        a, b = (D(start) + step * i).quantize(D("0.01")), (D(start) + step * (i + 1)).quantize(D("0.01"))
        made.append(Candle(one.ts, a, b + D("0.4"), a - D("0.4"), b, ZERO))
    return made
