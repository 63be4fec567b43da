"""Takes an edited portfolio file over while it runs: whole, between two ticks, or not at all with the reason said.

    file changed ──> read and check ──> compare ──> one commit: new world, journal, incidents ──> the next tick
                          └── refused: an incident; the old version goes on ──┘

A bot that the file does not name any more is stopped as its `on_stop` says and stays in the books until nothing of it
is left. A bot that is new starts at a market that is traded already.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.config import PlanRefused
from core.editing import edit_bot
from core.engine import Bot, BotSpec, Incident, Mode, Step, World
from core.engine.world import JournalRow, LevelRow, Unwind
from core.kinds import KINDS
from core.machine import Wake
from core.market import Instrument
from core.portfolio import Portfolio
from core.values import ZERO
from tasks import alerts
from tasks.assemble import limits_of, spec_of
from tasks.cadence import SEEN_MAX_S, refuse_bot
from tasks.errors import GridkeeperError, Refused
from tasks.reload_rules import Change, compare, differences
from tasks.roster import Roster, with_bots
from tasks.session import Session
from tasks.settings import load_portfolio
from tasks.store_open import StoreError

# A file that an editor is still writing is left alone until it has rested for so long.
REST_S = 1.0
REFUSED = "config_refused"
FORGOTTEN = "bot_forgotten"
_AT_ONCE = Wake(deadline=datetime(1970, 1, 1))
_LATCHED = {"leave": Mode.LEFT, "cancel": Mode.STOPPED}


async def keep_up(session: Session, clock: datetime) -> None:
    """Look whether the file changed or a stopped bot has ended; called at the beginning of a tick."""
    roster = session.roster
    if roster is None:
        return
    if not roster.settled:
        await _settle(session, roster, clock)
    found = roster.fingerprint()
    if found != roster.seen and (found is None or time.time() - found[0] / 1e9 >= REST_S):
        roster.seen = found
        await _take_over(session, roster, clock)
    if roster.stopping:
        await _let_go(session, roster, clock)


async def _settle(session: Session, roster: Roster, clock: datetime) -> None:
    # The first tick after a start: stop what left the file while nothing ran, name what nobody knows any more.
    roster.settled = True
    roster.seen = roster.fingerprint()
    now = session.take((), clock)
    bots = dict(session.world.bots)
    stopped = {
        name: _stopped(session.portfolio, bots[name], now) for name in roster.stopping if not _is_over(bots[name])
    }
    rows = [JournalRow(name, "bot", "STOP", bot.mode_reason) for name, bot in stopped.items()]
    lost = session.store.forgotten_bots(session.world.specs)
    text = "has orders or inventory, and neither the portfolio file nor bots.json knows it; put it back into the file"
    raised = [Incident(FORGOTTEN, name, "bot", "critical", f"bot {name!r} {text}", now) for name in lost]
    known = {FORGOTTEN + f"/{name}/bot" for name in lost}
    over = [key for key in session.world.incidents if key.startswith(f"{FORGOTTEN}/") and key not in known]
    world = replace(session.world, bots={**bots, **stopped})
    await _commit(session, world, now, rows, tuple(stopped.values()), raised, over)
    roster.write(session.portfolio)


async def _take_over(session: Session, roster: Roster, clock: datetime) -> None:
    now = session.take((), clock)
    standing = [key for key in session.world.incidents if key.startswith(f"{REFUSED}/")]
    try:
        file = load_portfolio(roster.file)
        alerts.check(file.alerts)
        mine = tuple(bot for bot in session.portfolio.bots if bot.id not in roster.stopping | roster.created)
        change = compare(session.portfolio.model_copy(update={"bots": mine}), file)
        if not change.words:
            await _commit(session, session.world, now, [], (), [], standing)
            return
        leaving = (roster.stopping | change.removed) - {bot.id for bot in file.bots}
        portfolio = with_bots(file, [bot for bot in session.portfolio.bots if bot.id in leaving | roster.created])
        world, touched, levels = _changed_world(session, portfolio, change, now)
    except (GridkeeperError, StoreError) as fault:
        text = f"the edited portfolio file is not taken over: {fault}"
        row = JournalRow("", "portfolio", "REFUSED", text)
        key = getattr(fault, "key", "") or "file"
        incident = Incident(REFUSED, "", f"{roster.file.name} {key}", "warning", text, now)
        others = [one for one in standing if one != incident.key]
        await _commit(session, session.world, now, [row], (), [incident], others)
        return
    row = JournalRow("", "portfolio", "CONFIG", "; ".join(change.words))
    # Before the commit: should it be the last thing that happens, the bot that leaves is known to the next start.
    roster.stopping = leaving
    roster.write(portfolio)
    await _commit(session, world, now, [row], touched, [], standing, levels)
    session.portfolio = portfolio
    session.store.remember(session.words())
    if change.alerts:
        _tell_elsewhere(session, file)


def _changed_world(
    session: Session, portfolio: Portfolio, change: Change, now: datetime
) -> tuple[World, tuple[Bot, ...], tuple[LevelRow, ...]]:
    # The world to come, and the bots and levels whose rows change with it. Raises `Refused` and changes nothing.
    world, limits = session.world, limits_of(portfolio)
    specs = _specs(session, portfolio, change)
    bots = dict(world.bots)
    stored = session.store.load_world(specs, limits) if change.added else None
    peak, touched, levels = world.peak, list[str](), list[LevelRow]()
    for name in change.changed & bots.keys():
        old, new = world.specs[name], specs[name]
        if old.plan != new.plan:
            bots[name], rows = _edited(portfolio, bots[name], old, new)
            levels += rows
            touched.append(name)
            peak = None if peak is None else peak + new.capital_quote - old.capital_quote
    for name in change.added:
        if name not in bots:
            bots[name] = stored.bots[name] if stored is not None else Bot(bot_id=name)
            peak = None if peak is None else peak + _worth(bots[name], specs[name])
        if bots[name].mode in _LATCHED.values():
            bots[name] = replace(bots[name], mode=Mode.RUN, mode_reason="")
            touched.append(name)
    for name in change.removed:
        bots[name] = _stopped(session.portfolio, bots[name], now)
        touched.append(name)
    awake = set(bots) if change.limits else {*change.changed, *change.added, *touched}
    for name in awake:
        bots[name] = replace(bots[name], restless=tuple(sorted(bots[name].works)), wake=_AT_ONCE, machine_wake=_AT_ONCE)
    looks = dict.fromkeys(world.quotes, _AT_ONCE)  # the account's limits are held against the next price
    after = replace(world, specs=specs, bots=bots, limits=limits, peak=peak, account_wake=looks)
    return after, tuple(bots[name] for name in touched), tuple(levels)


def _edited(portfolio: Portfolio, bot: Bot, old: BotSpec, new: BotSpec) -> tuple[Bot, tuple[LevelRow, ...]]:
    index = next(i for i, one in enumerate(portfolio.bots) if one.id == bot.bot_id)
    edit = KINDS[new.kind].edit
    if edit is None:
        raise Refused("would change the plan of a bot at work", key=f"bots[{index}]", accepted="another id")
    if new.places < old.places:
        raise Refused(
            f"{new.places} levels would drop some of {old.places} that are on record", key=f"bots[{index}].levels",
            accepted=f"{old.places} or more, or another id",
        )  # fmt: skip
    try:
        return edit_bot(bot, old, new, edit)
    except PlanRefused as refused:
        raise Refused(refused.reason, key=f"bots[{index}].{refused.key}") from None


def _specs(session: Session, portfolio: Portfolio, change: Change) -> dict[str, BotSpec]:
    world, before = session.world, {bot.id: bot for bot in session.portfolio.bots}
    rules: Mapping[tuple[str, str], Instrument] = {
        (one.venue, one.symbol): one for spec in world.specs.values() for one in spec.instruments
    }
    token = next(spec.token for spec in world.specs.values())
    specs: dict[str, BotSpec] = {}
    for index, bot in enumerate(portfolio.bots):
        old = world.specs.get(bot.id)
        if old is not None and bot.id not in change.changed | change.added:
            specs[bot.id] = old
            continue
        if old is not None:
            differences(before[bot.id], bot, f"bots[{index}]")  # one that was on its way out comes back as it was
        unknown = [market for market in bot.markets() if market not in rules]
        if unknown:
            raise Refused(
                f"{unknown[0][1]} is not traded at {unknown[0][0]} yet", key=f"bots[{index}].symbol",
                accepted="a restart, or a symbol that another bot trades there",
            )  # fmt: skip
        refuse_bot(portfolio, bot, session.gap_s or 0.0, key=f"bots[{index}]", most_s=SEEN_MAX_S)
        specs[bot.id] = spec_of(bot, rules, token, key=f"bots[{index}]")
    return specs


def _stopped(portfolio: Portfolio, bot: Bot, now: datetime) -> Bot:
    # A bot as its `on_stop` says. What was latched already by a stop stays as it is.
    config = next(one for one in portfolio.bots if one.id == bot.bot_id)
    if bot.mode in _LATCHED.values() or (bot.mode is Mode.FLATTENING and bot.unwind is not None):
        return bot
    reason = f"not in the portfolio file any more: on_stop {config.on_stop}"
    awake: dict[str, Any] = {"restless": tuple(sorted(bot.works)), "wake": _AT_ONCE, "mode_reason": reason}
    if config.on_stop == "flatten":
        unwind = Unwind("stopped", now, bot.episodes)
        return replace(bot, mode=Mode.FLATTENING, unwind=unwind, episodes=bot.episodes + 1, **awake)
    return replace(bot, mode=_LATCHED[config.on_stop], **awake)


async def _let_go(session: Session, roster: Roster, clock: datetime) -> None:
    # Take out of the world what has ended: no order that may still trade, nothing held. What has closed its position but
    # for a rest below the exchange's minimum is latched, so that no `release` lets it trade again.
    bots = session.world.bots
    idle = [bots[name] for name in roster.stopping if bots[name].mode is Mode.HALTED and bots[name].unwind is None]
    if idle:
        latched = {one.bot_id: replace(one, mode=Mode.STOPPED) for one in idle}
        world, now = replace(session.world, bots={**bots, **latched}), session.take((), clock)
        await _commit(session, world, now, [], tuple(latched.values()), [], [])
    ended = [name for name in sorted(roster.stopping) if _is_over(session.world.bots[name])]
    if not ended:
        return
    now = session.take((), clock)
    world, peak = session.world, session.world.peak
    if peak is not None:
        # The common peak goes on without what was the bot's, or its leaving would look like a loss.
        peak -= sum((_worth(world.bots[name], world.specs[name]) for name in ended), ZERO)
    world = replace(
        world, peak=peak, specs={name: spec for name, spec in world.specs.items() if name not in ended},
        bots={name: bot for name, bot in world.bots.items() if name not in ended},
    )  # fmt: skip
    rows = [
        JournalRow(name, "bot", "END", "nothing of it is left; it is not in the portfolio file any more")
        for name in ended
    ]
    await _commit(session, world, now, rows, (), [], [])
    left = tuple(bot for bot in session.portfolio.bots if bot.id not in ended)
    session.portfolio = session.portfolio.model_copy(update={"bots": left})
    roster.stopping -= set(ended)
    roster.write(session.portfolio)
    session.store.remember(session.words())


def _is_over(bot: Bot) -> bool:
    idle = all(work.order is None for work in bot.works.values())
    return idle and not bot.lots and (bot.unwind is None)


def _worth(bot: Bot, spec: BotSpec) -> Decimal:
    # Equity of a bot that holds nothing.
    return spec.capital_quote + bot.realized - bot.fees + bot.funding


async def _commit(
    session: Session,
    world: World,
    now: datetime,
    rows: Sequence[JournalRow],
    bots: tuple[Bot, ...],
    raised: Sequence[Incident],
    resolved: Sequence[str],
    levels: tuple[LevelRow, ...] = (),
) -> None:
    incidents = {key: one for key, one in world.incidents.items() if key not in resolved}
    new = [one for one in raised if one.key not in incidents]
    world = replace(world, incidents={**incidents, **{one.key: one for one in new}})
    step = Step(
        world=world, intents=(), journal=tuple(rows), orders=(), fills=(), entries=(), lots=(), levels=levels, bots=bots,
        raised=tuple(new), resolved=tuple(resolved),
    )  # fmt: skip
    if step.quiet:
        session.world = world
    else:
        await session.commit(step, (), now)


def _tell_elsewhere(session: Session, file: Portfolio) -> None:
    if session.teller is not None and file.alerts.urls:
        session.teller.change(file.alerts)
    elif file.alerts.urls:
        session.teller = alerts.Teller(session.data_dir, file.id, file.alerts, session.world.incidents)
    elif session.teller is not None:
        session.teller.close()
        session.teller = None
