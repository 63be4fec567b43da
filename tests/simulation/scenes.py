"""Short scripted days of one account, for killing the process at every boundary between two side effects.

A scene says tick by tick where the price goes, which fault hits the next request or reading, and which word a person
says. `play` runs it, dying where it is told to, then lets it come to rest and holds every invariant against it.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from core.engine import Limits, Step
from core.facts import Action, Command, Fact
from core.simbook import FillRules
from tests.core.worlds import D, grid, instrument, spec, swap
from tests.simulation.beside import Beside, Till
from tests.simulation.hostile import CALM, HostileVenue
from tests.simulation.memory import Memory
from tests.simulation.trading import Trading

# What lies between truth and us when nothing else is said: requests that are late arrive within one tick.
SCRIPTED = replace(CALM, late_s=4.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One day. `prices` in hundredths, one a tick; `faults` and `words` by tick; `shows` tells whether it happened."""

    name: str
    prices: tuple[int, ...]
    shows: Callable[["Played"], bool]
    faults: Mapping[int, Mapping[str, int]] = field(default_factory=dict[int, Mapping[str, int]])
    words: Mapping[int, Action] = field(default_factory=dict[int, Action])
    bots: tuple[Mapping[str, Any], ...] = ({},)
    perp: bool = False
    limits: Limits = Limits()  # noqa: RUF009  a frozen value


@dataclass(slots=True)
class ScriptedVenue(HostileVenue):
    """A venue where faults happen as a script says: `due` counts, by kind, how many of the next draws hit."""

    due: Counter[str] = field(default_factory=Counter[str])

    def chance(self, kind: str) -> bool:
        """Whether the script wants this fault now."""
        hit = self.due[kind] > 0
        if hit:
            self.due[kind] -= 1
            self.by_kind[kind] += 1
        return hit


@dataclass(slots=True)
class Played(Trading):
    """A scene being played."""

    scene: Scene | None = None
    at: int = 0
    played: int = 0
    waiting: list[Command] = field(default_factory=list[Command])

    def set_up(self, scene: Scene) -> None:
        """Open the scene's account and store."""
        self.scene = scene
        rules = swap() if scene.perp else instrument()
        specs = [
            spec(grid(**{"id": name, "venue": rules.venue, "symbol": rules.symbol} | dict(about)), rules)
            for name, about in zip("ab", scene.bots, strict=False)
        ]
        balances = {"USDT": D(100_000), "BNB": D(5), "XYZ": D(5)}
        account = Till(rules.venue, {rules.symbol: rules}, FillRules(), balances, rng=self.rng)
        self.prices = {rules.symbol: scene.prices[0]}
        self.venue = ScriptedVenue(account, self.rng, SCRIPTED, Beside(closed_s=(9.0, 9.0)))
        self.memory = Memory({one.bot_id: one for one in specs}, scene.limits)
        self.world = self.memory.load()

    def go_on(self) -> None:
        """Do what the script says of this tick."""
        scene = self.scene
        if scene is None or not isinstance(self.venue, ScriptedVenue):
            return
        self.prices = dict.fromkeys(self.prices, scene.prices[self.at])
        self.venue.due.update(scene.faults.get(self.at, {}))
        if self.at in scene.words:
            self.waiting += [self.word(bot_id, scene.words[self.at]) for bot_id in self.world.bots]
        self.at += 1

    def words(self) -> list[Fact]:
        """What was said waits in the inbox until a step that heard it is stored."""
        return [replace(one, ts=self.now) for one in self.waiting]

    def committed(self, step: Step) -> None:
        """Take what was heard out of the inbox."""
        self.waiting.clear()
        Trading.committed(self, step)

    def sold(self) -> Decimal:
        """How much base the bots have sold so far."""
        return sum((f.qty for b, f in self.memory.fills.values() if b in self.world.bots and f.side.sign < 0), D(0))


def play(scene: Scene, crash_at: frozenset[int] = frozenset(), *, store_lost: bool = False) -> Played:
    """Play a scene to its end and let it come to rest; the process dies at the boundaries given."""
    run = Played(1, CALM, crash_at=crash_at)
    run.set_up(scene)
    for _ in scene.prices:
        run.lose_next = store_lost
        run.run(1)
    run.played = run.boundaries
    run.settle()
    return run


def _falls_and_comes_back() -> tuple[int, ...]:
    return (10_000, 9_900, 9_790, 9_850, 9_990, 10_010, 9_950, 9_790, 9_590, 9_700, 9_810, 10_010, 10_050, 10_000)


_SMALL: Mapping[str, Any] = {"levels": 3, "start_price": 94, "end_price": 100, "amount_base": "0.1"}
_STOPPED = {**_SMALL, "triple_barrier": {"stop_loss": "0.02"}}

SCENES = (
    Scene(
        name="entry and exit", prices=_falls_and_comes_back(), bots=(_SMALL,),
        shows=lambda run: run.sold() >= D("0.3") and not run.venue.injected,
    ),
    Scene(
        name="partial fills", prices=_falls_and_comes_back(), bots=(_SMALL, {**_SMALL, "end_price": 103}),
        faults={tick: {"partial": 1} for tick in range(1, 12)},
        shows=lambda run: run.venue.by_kind["partial"] >= 8 and run.sold() > 0,
    ),
    Scene(
        name="lost before it arrived", prices=_falls_and_comes_back(), bots=(_SMALL,),
        faults={0: {"lost_before": 2}, 2: {"lost_before": 1, "read_fails": 1}, 4: {"late": 1}, 8: {"lost_before": 1}},
        shows=lambda run: run.venue.by_kind["lost_before"] >= 3 and run.sold() > 0,
    ),
    Scene(
        name="lost after it arrived", prices=_falls_and_comes_back(), bots=(_SMALL,),
        faults={0: {"lost_after": 2, "late": 1}, 2: {"lost_after": 1}, 5: {"lost_after": 2}, 9: {"truncated": 2}},
        shows=lambda run: run.venue.by_kind["lost_after"] >= 4 and run.sold() > 0,
    ),
    Scene(
        name="a fill outruns the cancel", bots=(_SMALL,),
        prices=(10_000, 9_900, 9_850, 9_790, 9_590, 9_590, 9_700, 9_850, 10_010, 10_050, 10_000, 10_000),
        words={2: Action.CANCEL, 4: Action.CANCEL}, faults={2: {"late": 2, "lost_after": 1}, 4: {"late": 1, "partial": 1}},
        shows=lambda run: run.venue.by_kind["late"] >= 2 and run.sold() > 0,
    ),
    Scene(
        name="stop and market exit", bots=(_STOPPED,),
        prices=(10_000, 9_790, 9_590, 9_450, 9_300, 9_250, 9_250, 9_300, 9_350, 9_300, 9_300, 9_300),
        faults={3: {"lost_after": 2}, 4: {"lost_after": 1, "late": 1}, 6: {"lost_before": 1}},
        shows=lambda run: run.sold() > 0 and not any(bot.inventory for bot in run.world.bots.values()),
    ),
    Scene(
        name="flatten and release", bots=(_SMALL, {**_SMALL, "end_price": 103}),
        prices=(10_000, 9_790, 9_590, 9_600, 9_620, 9_650, 9_640, 9_650, 9_660, 9_700, 9_700, 9_700),
        words={3: Action.FLATTEN, 8: Action.RELEASE}, faults={1: {"partial": 1}, 3: {"late": 1}, 4: {"lost_after": 1}},
        shows=lambda run: run.sold() > 0 and run.commands >= 4,
    ),
    Scene(
        name="post-only storm", prices=_falls_and_comes_back(), bots=(_SMALL,),
        faults={1: {"storm": 1}, 5: {"storm": 1, "partial": 1}, 8: {"narrowed": 1}},
        shows=lambda run: run.venue.by_kind["storm"] == 2 and run.sold() > 0,
    ),
    Scene(
        name="banned while it fills", prices=_falls_and_comes_back(), bots=(_SMALL,),
        faults={1: {"banned": 1}, 6: {"lost_after": 1}, 8: {"banned": 1}},
        shows=lambda run: run.venue.by_kind["banned"] == 2 and run.sold() > 0,
    ),
    Scene(
        name="short with funding and strangers", perp=True, limits=Limits(max_drawdown=D("0.02")),
        bots=({"side": "SELL", "levels": 3, "start_price": 100, "end_price": 106, "amount_base": "0.1"},),
        prices=(10_000, 10_210, 10_420, 10_300, 10_180, 9_990, 10_000, 10_210, 10_410, 10_300, 10_150, 9_990),
        # The stranger's coins net with the bot's: the account is flat while a part of the bot's exit still stands.
        faults={2: {"funding": 1, "stranger": 1}, 4: {"lost_after": 1, "transfer": 1, "funding": 1}},
        shows=lambda run: run.venue.by_kind["funding"] == 2 and run.sold() > 0,
    ),
)  # fmt: skip
