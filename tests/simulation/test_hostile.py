"""Thousands of faulted ticks against a hostile account, each from a seed; and proof that a mistake would show."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import pytest

from benchmarks import faults
from core.engine import Limits
from tests.simulation import trading
from tests.simulation.hostile import Faults
from tests.simulation.kinds import EVERY_KIND
from tests.simulation.trading import Trading

TICKS = 150
# Together 200,000 ticks, each seed with a swarm of faults of its own, settled and compared with the exchange at its end.
SEEDS_PER_TEST = 50
BLOCKS = [range(start, start + SEEDS_PER_TEST) for start in range(0, 200_000 // faults.TICKS_PER_SEED, SEEDS_PER_TEST)]
FOUND = [
    60_008_806, 60_019_159, 90_002_347, 90_004_476, 90_005_112, 120_001_334, 120_004_150, 150_001_482, 150_006_882,
    200_011_157, 200_015_288, 300_008_256,
]  # fmt: skip
HEAVY = Faults(
    lost_before=0.2, lost_after=0.2, late=0.2, refused=0.08, read_fails=0.2, truncated=0.2, by_hand=0.08, partial=0.6,
    crash=0.05,
)  # fmt: skip


def trade(seed: int, faults: Faults, ticks: int = TICKS, **limits: Any) -> Trading:
    """Trade a seed through all its faults, then let it come to rest."""
    one = Trading(seed, faults)
    if limits:
        one.memory.limits = Limits(**limits)
        one.world = one.memory.load()
    one.run(ticks)
    one.settle()
    return one


@pytest.mark.parametrize("seeds", BLOCKS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_no_fault_breaks_an_invariant(seeds: range) -> None:
    """Lost, late, doubled, cut, lagging, strangers, a lost database: the books agree and no leg is worked twice."""
    tally = faults.trade_block(seeds)
    assert tally.broken == []
    assert tally.ticks == SEEDS_PER_TEST * faults.TICKS_PER_SEED
    assert tally.crashes_store_lost > 10


@pytest.mark.parametrize("seed", FOUND)
def test_what_long_runs_found_stays_repaired(seed: int) -> None:
    """Each of these seeds had broken an invariant once, after millions of ticks without one."""
    assert faults.trade(seed).broken == []


@pytest.mark.parametrize("kind", EVERY_KIND[1:])
def test_no_fault_breaks_an_invariant_of_any_kind(kind: str) -> None:
    """Rolling grids, ladders and executors meet the same weather; what they held is closed or offered in the end."""
    tally = faults.trade_block(range(2_000, 2_010), kind)
    assert tally.broken == []
    assert tally.fills > 20


def test_bad_weather_breaks_no_invariant() -> None:
    """With every second request in trouble and a crash every twenty steps it is the same."""
    for seed in range(500, 525):
        one = trade(seed, HEAVY)
        assert one.found == [], f"seed {seed}"
        assert one.crashes > 0


def test_the_faults_do_happen() -> None:
    """A run without faults proves nothing: over these seeds there are some of each kind, and bots that trade."""
    runs = [trade(seed, Faults()) for seed in range(40)]
    happened = {kind for one in runs for kind, count in one.venue.by_kind.items() if count > 0}
    assert happened == {name for name in asdict(Faults()) if not name.endswith("_s")}
    assert sum(one.venue.injected for one in runs) > 1000
    assert sum(one.crashes for one in runs) > 10
    assert sum(one.commands for one in runs) > 5
    assert sum(len(one.memory.fills) for one in runs) > 150
    assert any(len(one.prices) == 2 for one in runs)


def test_a_seed_repeats_itself() -> None:
    """I-26: the same seed sends the same requests, to the byte, and stores the same rows."""
    one, two = trade(7, Faults()), trade(7, Faults())
    assert one.digest() == two.digest()
    assert one.memory.fills == two.memory.fills
    assert one.memory.entries == two.memory.entries


def found_by(change: Callable[[pytest.MonkeyPatch], None], seeds: range, **limits: Any) -> list[str]:
    """Break a rule of the protocol and return what the invariants say of it."""
    with pytest.MonkeyPatch.context() as patch:
        change(patch)
        for seed in seeds:
            try:
                one = trade(seed, HEAVY, **limits)
            except ValueError as error:
                return [f"load {error}"]
            if one.found:
                return one.found
    return []


def no_change(_: pytest.MonkeyPatch) -> None:
    """Break nothing."""


def without_overlap(patch: pytest.MonkeyPatch) -> None:
    """Read trades from the last reading on, and not a second before."""

    def since(_world: Any, _venue: str, _symbol: str, now: datetime, *, walked: datetime | None) -> datetime:
        return walked or now

    patch.setattr(trading, "trades_since", since)


def without_asking(patch: pytest.MonkeyPatch) -> None:
    """Never ask for an order that the list does not show."""
    patch.setattr(trading, "to_ask", lambda *_: ())


def forgetting_the_past(patch: pytest.MonkeyPatch) -> None:
    """Start every leg anew after a crash, as if it had never been tried."""
    real = trading.Memory.load

    def load(self: trading.Memory) -> Any:
        world = real(self)
        bots = {
            name: replace(bot, works={leg: replace(w, next_attempt=0) for leg, w in bot.works.items()})
            for name, bot in world.bots.items()
        }
        return replace(world, bots=bots)

    patch.setattr(trading.Memory, "load", load)


def committing_after_sending(patch: pytest.MonkeyPatch) -> None:
    """Send first and commit after the answers, so that a crash in between forgets the order."""
    act = Trading.act

    def send_first(self: Trading, step: Any) -> list[Any]:
        self.venue.committed.update(o.client_id for o in step.orders)
        answers = act(self, step)
        commit(self.memory, step, self.now)
        return answers

    commit = trading.Memory.commit
    patch.setattr(trading.Memory, "commit", lambda *_: None)
    patch.setattr(Trading, "act", send_first)


@pytest.mark.parametrize(
    ("change", "limits", "invariant"),
    [
        (no_change, {"unknown_quarantine_s": 0.0}, "I-"),
        (without_overlap, {}, "I-0"),
        (without_asking, {}, "I-0"),
        (forgetting_the_past, {}, "I-"),
        (committing_after_sending, {}, "I-"),
    ],
    ids=["no quarantine", "no overlap", "no asking", "attempts forgotten", "no write-ahead"],
)
def test_a_broken_rule_is_caught(
    change: Callable[[pytest.MonkeyPatch], None], limits: dict[str, Any], invariant: str
) -> None:
    """Each rule of the order protocol is needed: without it the same seeds break an invariant."""
    found = found_by(change, range(40), **limits)
    assert found
    assert any(invariant in line or line.startswith("load") for line in found)


def test_without_a_change_nothing_is_found() -> None:
    """The seeds that catch the broken rules are clean with the rules in place."""
    assert found_by(no_change, range(6)) == []
