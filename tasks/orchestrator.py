"""Creates, stops and stores executors while a portfolio runs, between two ticks, and reports what they are doing.

    action ──> queue (a file each) ──> next tick: checked, applied, committed ──> journal says done or refused, and why

What was created is kept in `bots.json` beside the store, so a start after any crash goes on with it. Reports come from the
same world that trades; positions are what the ledger holds, which the engine reconciles with the exchange.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.engine import Bot, Step, World
from core.engine.world import JournalRow, value_of
from core.executors.life import Status
from core.facts import Fill
from core.values import ZERO, plain
from tasks.assemble import spec_of
from tasks.cadence import SEEN_MAX_S, refuse_bot
from tasks.errors import GridkeeperError, Refused
from tasks.orchestrator_info import (
    ExecutorInfo,
    PerformanceReport,
    PositionSummary,
    info_of,
    performance_of,
    positions_of,
    standing,
)
from tasks.orchestrator_queue import (
    CreateExecutorAction,
    ExecutorAction,
    StopExecutorAction,
    StoreExecutorAction,
    config_of,
    done,
    pending,
)
from tasks.orchestrator_stop import by_hand, let_go
from tasks.orchestrator_store import fills_of, snapshot_rows
from tasks.roster import Roster, with_bots
from tasks.session import Session
from tasks.store_open import StoreError
from tasks.venue_stops import guarded


@dataclass(frozen=True, slots=True)
class _Applied:
    """What an action changes: the world, the portfolio and the roster's created ids; `said` goes to the journal."""

    world: World
    portfolio: Any
    created: frozenset[str]
    said: str
    touched: tuple[Bot, ...] = ()


async def take_up(session: Session, clock: datetime) -> None:
    """Obey what waits in the queue, and note every executor whose standing changed; called at the beginning of a tick."""
    if session.roster is None:
        return
    for name, action in pending(session.data_dir):
        await obey(session, action, session.take((), clock))
        done(session.data_dir, name)
    rows = snapshot_rows(session, lambda ids: executors(session, ids))
    if rows:
        await _commit(session, session.world, rows, (), session.take((), clock))


async def execute_action(session: Session, action: ExecutorAction) -> str:
    """Apply an action to an open session at once, between two ticks; returns what was done.

    Raises `Refused` for one that cannot be obeyed; nothing is changed then.
    """
    if session.roster is None:
        raise Refused("this session has no roster", key="session", accepted="a session of tasks.opening.open_session")
    applied = _apply(session, session.roster, action, session.take((), session.clock()))
    await _keep(session, session.roster, action, applied, session.take((), session.clock()))
    return applied.said


async def obey(session: Session, action: ExecutorAction | str, now: datetime) -> bool:
    """Apply an action; one that cannot be obeyed changes nothing and is journalled with the reason. Whether it was."""
    subject, roster = "", session.roster
    if roster is None:
        return False
    try:
        if isinstance(action, str):
            raise Refused(action, key="action")
        subject = _subject(action)
        applied = _apply(session, roster, action, now)
    except (GridkeeperError, StoreError) as fault:
        await _commit(session, session.world, [JournalRow(subject, "action", "NOT_OBEYED", str(fault))], (), now)
        return False
    await _keep(session, roster, action, applied, now)
    return True


async def _keep(session: Session, roster: Roster, action: ExecutorAction, applied: _Applied, now: datetime) -> None:
    # The roster before the commit: should the commit be the last thing that happens, the next start knows the executor.
    changed = applied.portfolio is not session.portfolio
    roster.created = applied.created
    if changed:
        roster.write(applied.portfolio)
    word = type(action).__name__.removesuffix("ExecutorAction").upper()
    await _commit(
        session, applied.world, [JournalRow(_subject(action), "action", word, applied.said)], applied.touched, now
    )
    if changed:
        session.portfolio = applied.portfolio
        session.store.remember(session.words())


def _apply(session: Session, roster: Roster, action: ExecutorAction, now: datetime) -> _Applied:
    match action:
        case CreateExecutorAction():
            return _create(session, roster, action)
        case StopExecutorAction():
            return _stop(session, roster, action, now)
        case StoreExecutorAction():
            return _store(session, roster, action)


def _create(session: Session, roster: Roster, action: CreateExecutorAction) -> _Applied:
    config, world = _with_capital(config_of(action), session.world), session.world
    if config.id in world.specs:
        known = next(bot for bot in session.portfolio.bots if bot.id == config.id)
        if known.model_dump(exclude={"capital_quote"}) == config.model_dump(exclude={"capital_quote"}):
            return _Applied(world, session.portfolio, roster.created, "it runs already")
        raise Refused(f"another executor is called {config.id!r}", key="id", accepted="an id of its own")
    rules = {(one.venue, one.symbol): one for spec in world.specs.values() for one in spec.instruments}
    unknown = [market for market in config.markets() if market not in rules]
    if unknown:
        known_ones = ", ".join(f"{symbol} at {venue}" for venue, symbol in sorted(rules))
        raise Refused(f"{unknown[0][1]} is not traded at {unknown[0][0]}", key="symbol", accepted=known_ones)
    portfolio = with_bots(session.portfolio, [config])
    refuse_bot(portfolio, config, session.gap_s or 0.0, key="executor_config", most_s=SEEN_MAX_S)
    token = next(iter(world.specs.values())).token
    spec = guarded(portfolio.mode, config, spec_of(config, rules, token, key="executor_config"), key="executor_config")
    specs = {**world.specs, config.id: spec}
    stored = session.store.load_world(specs, world.limits)
    if stored is not None and stored.bots[config.id].state is not None:
        # Its client ids would begin anew and mean two things.
        raise Refused(f"the id {config.id!r} was used before", key="id", accepted="an id that was never used here")
    peak = None if world.peak is None else world.peak + spec.capital_quote
    after = replace(world, specs=specs, bots={**world.bots, config.id: Bot(bot_id=config.id)}, peak=peak)
    return _Applied(after, portfolio, roster.created | {config.id}, f"{config.kind} on {config.symbol}, {config.venue}")


def _with_capital(config: Any, world: World) -> Any:
    # Without a price in its configuration, an executor's capital is its amount at the price of this moment.
    amount, quote = getattr(config, "amount", None), world.quotes.get((config.venue, config.symbol))
    if quote is None or amount is None or getattr(config, "capital_quote", ZERO) is not None or config.about_price():
        return config
    return config.model_copy(update={"capital_quote": amount * quote.mid})


def _stop(session: Session, roster: Roster, action: StopExecutorAction, now: datetime) -> _Applied:
    bot = _known(session.world, action.executor_id)
    status, word = standing(bot)
    if action.close_hold and status is Status.TERMINATED and bot.lots:
        return _let_go(session, roster, bot, now)
    if status in {Status.TERMINATED, Status.SHUTTING_DOWN}:
        said = f"it is {status.name} already ({word.name if word else 'no reason'}); nothing is changed"
        return _Applied(session.world, session.portfolio, roster.created, said)
    kept = by_hand(bot, session.world.specs[bot.bot_id], now, keep=action.keep_position)
    said = "keeps its position" if action.keep_position else "closes its position"
    world = replace(session.world, bots={**session.world.bots, bot.bot_id: kept})
    return _Applied(world, session.portfolio, roster.created, said, (kept,))


def _let_go(session: Session, roster: Roster, bot: Bot, now: datetime) -> _Applied:
    # What an executor left behind is closed by the engine, in capped slices; how the executor ended stays as it was.
    freed = let_go(bot, now)
    world = replace(session.world, bots={**session.world.bots, bot.bot_id: freed})
    return _Applied(world, session.portfolio, roster.created, "closes what it still holds", (freed,))


def _store(session: Session, roster: Roster, action: StoreExecutorAction) -> _Applied:
    world, name = session.world, action.executor_id
    if name not in world.bots and name not in {bot.id for bot in session.portfolio.bots}:
        return _Applied(world, session.portfolio, roster.created, "it is stored already, or was never here")
    bot = world.bots[name]
    status, _ = standing(bot)
    if status is not Status.TERMINATED:
        raise Refused(
            f"it is {status.name}", key="executor_id", accepted="an executor that is TERMINATED; stop it first"
        )
    if name not in roster.created:
        raise Refused("it stands in the portfolio file", key="executor_id", accepted="the bot taken out of the file")
    if bot.lots or any(work.order is not None for work in bot.works.values()):
        raise Refused(
            f"it holds {plain(bot.inventory)}, which has to stay in the books", key="executor_id",
            accepted="`control BOT flatten` or close-lot first",
        )  # fmt: skip
    worth = world.specs[name].capital_quote + bot.realized - bot.fees + bot.funding
    after = replace(
        world, peak=None if world.peak is None else world.peak - worth,
        specs={key: spec for key, spec in world.specs.items() if key != name},
        bots={key: one for key, one in world.bots.items() if key != name},
    )  # fmt: skip
    left = tuple(one for one in session.portfolio.bots if one.id != name)
    portfolio = session.portfolio.model_copy(update={"bots": left})
    return _Applied(after, portfolio, roster.created - {name}, "its rows stay in the store")


def _known(world: World, name: str) -> Bot:
    if name not in world.bots:
        known = ", ".join(sorted(world.bots))
        raise Refused(f"there is no executor {name!r}", key="executor_id", accepted=known, given=name)
    return world.bots[name]


def _subject(action: ExecutorAction) -> str:
    match action:
        case CreateExecutorAction():
            return str(config_of(action).id)
        case StopExecutorAction(executor_id=name) | StoreExecutorAction(executor_id=name):
            return name


async def _commit(session: Session, world: World, rows: list[JournalRow], bots: tuple[Bot, ...], now: datetime) -> None:
    step = Step(
        world=world, intents=(), journal=tuple(rows), orders=(), fills=(), entries=(), lots=(), levels=(), bots=bots,
        raised=(), resolved=(),
    )  # fmt: skip
    await session.commit(step, (), now)


def executors(session: Session, ids: Iterable[str] | None = None) -> list[ExecutorInfo]:
    """Take a snapshot of every executor of a session, or of those named."""
    world, configs = session.world, {bot.id: bot for bot in session.portfolio.bots}
    names = [name for name in (world.specs if ids is None else ids) if name in configs]
    traded = fills_of(session.store, names)
    return [
        info_of(configs[name], world.specs[name], world.bots[name], world.quotes, traded.get(name, ()))
        for name in names
    ]


def get_executors_report(session: Session) -> dict[str, list[ExecutorInfo]]:
    """List the executors of every controller."""
    found: dict[str, list[ExecutorInfo]] = {}
    for info in executors(session):
        found.setdefault(info.controller_id, []).append(info)
    return found


def get_positions_report(session: Session) -> dict[str, list[PositionSummary]]:
    """List what ended executors still hold, per controller: netted by market, per side where a venue is in hedge mode."""
    infos = executors(session)
    hedge = [venue.id for venue in session.portfolio.venues if venue.position_mode == "hedge"]
    traded: dict[str, list[Fill]] = fills_of(session.store, [info.id for info in infos])
    return positions_of(infos, session.world, traded, hedge=hedge)


def generate_performance_report(session: Session, controller_id: str = "main") -> PerformanceReport:
    """Sum up one controller: its executors and what they left behind."""
    infos = [info for info in executors(session) if info.controller_id == controller_id]
    return performance_of(infos, session.world, get_positions_report(session).get(controller_id, []))


def profit_of(world: World, names: Iterable[str]) -> Decimal:
    """Sum what bots have won in quote, held positions included, at the last prices."""
    values = [value_of(world.bots[name], world.specs[name], world.quotes) for name in names]
    return sum((value[0] for value in values if value is not None), ZERO)
