"""How a running bot is ended by hand: what becomes of its state and its legs, so that its next step closes or keeps.

Stopping never leaves a leg of a pair alone: what trades while orders are being cancelled is balanced before the end.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from core.engine import Bot, BotSpec, Mode
from core.engine.world import Unwind
from core.executors.executor import stopped
from core.executors.life import CloseType
from core.executors.state import ExecutorState
from core.machine import Wake
from core.machines.arbitrage import machine as arbitrage
from core.machines.arbitrage.state import ArbitrageState
from core.machines.funding_arb.state import FundingArbState, Open
from core.machines.xemm import machine as xemm
from core.machines.xemm.state import XemmState
from core.working import wanted

_AT_ONCE = Wake(deadline=datetime(1970, 1, 1))


def by_hand(bot: Bot, spec: BotSpec, now: datetime, *, keep: bool) -> Bot:
    """End a bot: with `keep` its orders are cancelled and what it holds stays, else that is closed at the market."""
    match bot.state:
        case ExecutorState():
            return _with_state(bot, spec, stopped(bot.state, now, keep_position=keep))
        case XemmState() if keep:
            return _with_state(bot, spec, xemm.stopped(bot.state, now))
        case ArbitrageState() if keep:
            return _with_state(bot, spec, arbitrage.stopped(bot.state, now))
        case FundingArbState(phase=phase) if not isinstance(phase, Open):
            keep = False  # half of a pair is never kept
        case _:
            pass
    reason = f"stopped by an action, {'position kept' if keep else 'position closed'}"
    if keep or bot.state is None:
        return _awake(replace(bot, mode=Mode.STOPPED, mode_reason=reason))
    closing = replace(bot, mode=Mode.FLATTENING, mode_reason=f"flattened: {reason}")
    return _unwinding(closing, CloseType.EARLY_STOP, now)


def let_go(bot: Bot, now: datetime) -> Bot:
    """Close what a bot that is over still holds; how it ended stays as it was."""
    return _unwinding(bot, CloseType.POSITION_HOLD, now)


def _unwinding(bot: Bot, word: CloseType, now: datetime) -> Bot:
    return _awake(replace(bot, unwind=Unwind(word.name, now, bot.episodes), episodes=bot.episodes + 1))


def _with_state(bot: Bot, spec: BotSpec, state: Any) -> Bot:
    # A machine returns changes of what it wants, and this change is none of its own: what it wants no more is let go here.
    wants = spec.machine.wants(spec.plan, state)
    works = {name: wanted(work, wants.get(name)) if work.leg is not None else work for name, work in bot.works.items()}
    return _awake(replace(bot, state=state, works=works))


def _awake(bot: Bot) -> Bot:
    return replace(bot, restless=tuple(sorted(bot.works)), wake=_AT_ONCE, machine_wake=_AT_ONCE)
