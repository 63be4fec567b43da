"""`flatten --now`: closes a bot's position here and now where no tick process runs (RULES 5)."""

import asyncio
import os
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from core.engine import Bot, Mode
from tasks.alerts_outbox import utc_now
from tasks.errors import Busy, Halted
from tasks.heartbeat import last_beat
from tasks.opening import open_session
from tasks.session import Session
from tasks.ticking import tick

# A process that holds the store and has not ticked for so long does not obey any more.
SILENT_S = 60.0
# A sign of life of the last few ticks.
FRESH_S = 15.0
WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Flattened:
    """What came of it: whether this process acted, how many ticks it took, what is left (base, below the minimum)."""

    acted: bool
    ticks: int
    left: Decimal
    mode: str


async def flatten_now(file: Path, data_dir: Path, bot_id: str, timeout_s: float) -> Flattened:
    """Act on the word in the inbox: take the store and tick until the bot is flat and halted.

    Entries of all bots are refused meanwhile: after this nobody would watch them. Where a tick process holds the store
    and ticks, it obeys and nothing is done here. Raises `Halted` where that process is silent, where the bot is not
    flat within `timeout_s`, or where the exchange cannot be read.
    """
    if _ticks(data_dir):
        return Flattened(acted=False, ticks=0, left=Decimal(0), mode="")
    try:
        session = await open_session(file)
    except Busy as busy:
        beat = last_beat(data_dir)
        age_s = None if beat is None else (utc_now() - beat.at).total_seconds()
        if beat is None or age_s is None or age_s > SILENT_S:
            age = "has never ticked" if age_s is None else f"has not ticked for {age_s:.0f} s"
            raise Halted(
                f"the process that holds the store {age}: {busy.reason}", key="--now",
                accepted="end that process (kill PID, then kill -9 PID) and ask again; the word is in the inbox",
            ) from None  # fmt: skip
        return Flattened(acted=False, ticks=0, left=Decimal(0), mode="")
    try:
        return await _until_flat(session, bot_id, timeout_s)
    finally:
        await session.close()


async def _until_flat(session: Session, bot_id: str, timeout_s: float) -> Flattened:
    limits = replace(session.world.limits, max_exposure_quote=Decimal(0))
    session.world = replace(session.world, limits=limits)
    until, ticks = time.monotonic() + timeout_s, 0
    while True:
        await tick(session)
        ticks += 1
        bot = session.world.bots[bot_id]
        if ticks > 1 and _is_flat(bot):
            return Flattened(acted=True, ticks=ticks, left=bot.inventory, mode=bot.mode.value)
        if time.monotonic() > until or session.ended:
            orders = sum(work.order is not None for work in bot.works.values())
            raise Halted(
                f"bot {bot_id!r} is {bot.mode.value} after {timeout_s:g} s with inventory {bot.inventory:f} and {orders} "
                "orders that may still trade", key="--now", accepted="ask again, or close it at the exchange",
            )  # fmt: skip
        await asyncio.sleep(WAIT_S)


def _ticks(data_dir: Path) -> bool:
    # Whether a process has just ticked and is still there: it will obey sooner than its store could be waited for.
    beat = last_beat(data_dir)
    if beat is None or not timedelta(0) <= utc_now() - beat.at <= timedelta(seconds=FRESH_S):
        return False
    try:
        os.kill(beat.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's process
    return beat.pid != os.getpid()


def _is_flat(bot: Bot) -> bool:
    idle = all(work.order is None for work in bot.works.values())
    return bot.mode is Mode.HALTED and bot.unwind is None and idle
