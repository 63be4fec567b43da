"""One tick: gather, decide, commit, act, in rounds. Plain Python, the same with and without Prefect.

    moment ──> gather ──> decide (pure) ──> commit ──> act ──> answers are facts of the next round ──┐
                 ^───────────────────────────────────────────────────────────────────────────────────┘

A tick looks at every moment that its feeds have brought (a candle has four, a live market one) and goes up to five
rounds at each: what an answer makes necessary, such as the exit of a fill, need not wait for the next tick. Start,
crash and stuck have no path of their own; they are ticks whose facts differ.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from core.engine import Step, advance
from core.facts import Fact
from tasks.controlling import run_controllers
from tasks.feeds import Moment
from tasks.gather import answer_reads, gather
from tasks.orchestrator import take_up
from tasks.reload import keep_up
from tasks.session import Session

# RULES 6: up to five rounds; what is left then is the next tick's.
ROUNDS_MAX = 5

Stage = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class TickSummary:
    """What a tick did: counts, and how long it took in seconds of wall time."""

    tick_id: int
    quiet: bool
    orders_placed: int
    orders_cancelled: int
    fills: int
    incidents: int
    duration_s: float


@dataclass(slots=True)
class _Tally:
    """Counts of the tick under way."""

    placed: int = 0
    cancelled: int = 0
    fills: int = 0
    incidents: int = 0
    rounds: int = 0
    quiet: bool = True

    def add(self, step: Step) -> None:
        placed = sum(1 for intent in step.intents if type(intent).__name__ == "Place")
        self.placed += placed
        self.cancelled += len(step.intents) - placed
        self.fills += len(step.fills)
        self.incidents += len(step.raised)
        self.rounds += 1
        self.quiet = self.quiet and step.quiet


async def run_plainly(name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:  # noqa: ARG001  a stage's signature
    """Run a stage without showing it anywhere."""
    return await fn(*args)


async def tick(session: Session, stage: Stage = run_plainly) -> TickSummary:
    """Tick once. Stages `commit`, `act` and `settle` run at most once each, and only where something is to be done."""
    began = time.perf_counter()
    clock = session.clock()
    tally = _Tally()
    tick_id = session.begin_tick(clock)
    await keep_up(session, clock)
    await take_up(session, clock)
    await run_controllers(session, session.take((), clock))
    pending = _by_time(await session.moments(clock)) or [()]
    while pending:
        now = session.take(pending.pop(0), clock)
        facts = await gather(session, now)
        step = await _look(session, facts, now, tally)
        if not step.quiet:
            await stage("commit", session.commit, step, facts, now)
            answers = await stage("act", session.act, step, now)
            await stage("settle", _settle, session, answers, now, pending, clock, tally)
            break
    session.end_tick(
        quiet=tally.quiet, rounds=tally.rounds, placed=tally.placed, cancelled=tally.cancelled, fills=tally.fills
    )
    took = time.perf_counter() - began
    return TickSummary(tick_id, tally.quiet, tally.placed, tally.cancelled, tally.fills, tally.incidents, took)


def _by_time(moments: Sequence[Moment]) -> list[tuple[Moment, ...]]:
    # Markets that move at one moment are seen together: a bot in both decides on both.
    return [tuple(group) for _, group in groupby(moments, key=lambda moment: moment.at)]


async def _look(session: Session, facts: list[Fact], now: datetime, tally: _Tally) -> Step:
    step = advance(session.world, facts, now)
    tally.add(step)
    if step.quiet:
        session.world = step.world
    return step


async def _settle(
    session: Session,
    answers: list[Fact],
    now: datetime,
    pending: list[tuple[Moment, ...]],
    clock: datetime,
    tally: _Tally,
) -> None:
    """Answer what acting brought, then go through the moments that are left, each to its end."""
    await _rounds(session, answers, now, tally, ROUNDS_MAX - 1)
    while pending:
        now = session.take(pending.pop(0), clock)
        facts = await gather(session, now)
        step = await _look(session, facts, now, tally)
        if not step.quiet:
            await session.commit(step, facts, now)
            await _rounds(session, await session.act(step, now), now, tally, ROUNDS_MAX - 1)


async def _rounds(session: Session, answers: list[Fact], now: datetime, tally: _Tally, most: int) -> None:
    for _ in range(most):
        if not answers:
            return
        facts = [*answers, *await answer_reads(session, answers, now)]
        step = await _look(session, facts, now, tally)
        if step.quiet:
            return
        await session.commit(step, facts, now)
        answers = await session.act(step, now)
    # What the last round's answers said must not be lost: they are the first facts of the next tick.
    session.carry(answers)
