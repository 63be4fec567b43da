"""Runs a portfolio's controllers between two ticks: shows each its scene, and carries out what `decide` leaves of it.

What a controller remembers lies in `data_dir/controllers.json`, written before what it proposes is carried out: the ids
that it gives are never given twice, whatever happens in between. An executor that is over and holds nothing is stored,
its profit remembered, so that neither memory nor the world grows with time.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.controllers import AnyController
from core.controllers.protocol import Create, Mine, Proposals, Scene, Stop, decide
from core.engine import Bot, World
from core.engine.world import value_of
from core.executors.life import Status
from core.values import plain
from tasks.errors import Halted
from tasks.orchestrator import obey
from tasks.orchestrator_info import ended_at, standing
from tasks.orchestrator_queue import CreateExecutorAction, StopExecutorAction, StoreExecutorAction
from tasks.session import Session

FILE_NAME = "controllers.json"
# After a refused creation the same level is not proposed again for so long, doubled by each refusal that follows.
REFUSED_REST_S = 60.0
REFUSED_REST_MAX_S = 3600.0
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
# What this module keeps in a controller's memory beside the controller's own.
_OURS = ("next", "levels", "rests", "won", "leaving")


@dataclass(slots=True)
class _Memory:
    """All controllers' memories, by id, as the file has them."""

    path: Path
    said: dict[str, dict[str, Any]]

    def write(self) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self.said, indent=1), encoding="utf-8")
        beside.replace(self.path)


async def run_controllers(session: Session, now: datetime) -> None:
    """Let every controller of the portfolio decide once; nothing is written where nothing changes."""
    controllers: tuple[AnyController, ...] = session.portfolio.controllers
    if not controllers or session.roster is None:
        return
    memory = _read(session.data_dir)
    for controller in controllers:
        quote = session.world.quotes.get((controller.venue, controller.symbol))
        if quote is None or quote.objection(now, session.world.limits.max_price_age_s) is not None:
            continue
        said = memory.said.setdefault(controller.id, {})
        _settle(session.world, said)
        mine = tuple(_mine(session.world, said))
        if None in mine:
            continue  # without a price of what is held nothing is known of profit, and nothing is decided
        scene = Scene(
            now=now, quote=quote, mine=tuple(one for one in mine if one is not None), memory=_own(said),
            quotes=session.world.quotes, rates=session.told.newest, max_price_age_s=session.world.limits.max_price_age_s,
        )  # fmt: skip
        told = decide(controller, scene)
        await _carry_out(session, controller, told, memory, scene)


async def _carry_out(
    session: Session, controller: AnyController, told: Proposals, memory: _Memory, scene: Scene
) -> None:
    before = memory.said[controller.id]
    ours = {name: before[name] for name in _OURS if name in before}
    said: dict[str, Any] = json.loads(json.dumps({**dict(told.memory), **ours}))
    rests: dict[str, dict[str, float]] = said.setdefault("rests", {})
    moment = scene.now.replace(tzinfo=UTC).timestamp()
    create = [one for one in told.actions if isinstance(one, Create) and moment >= _rests_until(rests, one)]
    named = [(_next_id(controller.id, said), one) for one in create]
    known = {name: level for name, level in said.get("levels", {}).items() if name in session.world.bots}
    said["levels"] = known | {name: one.level_id for name, one in named}
    gone = [
        one
        for one in scene.mine
        if one.over and not session.world.bots[one.id].lots and _rested(controller, one, scene)
    ]
    if gone:
        said["leaving"] = {one.id: plain(one.net_pnl_quote) for one in gone}
    memory.said[controller.id] = said
    if said != before:
        memory.write()
    for one in told.actions:
        if isinstance(one, Stop):
            stop = StopExecutorAction(one.executor_id, one.keep_position, controller.id, one.close_hold)
            await obey(session, stop, scene.now)
    for one in gone:
        await obey(session, StoreExecutorAction(one.id, controller.id), scene.now)
    if gone:
        _settle(session.world, said)
        memory.write()
    for name, one in named:
        if await obey(session, CreateExecutorAction(_config(controller, name, one), "main"), scene.now):
            rested = rests.pop(one.level_id, None) is not None
        else:
            times = rests.get(one.level_id, {}).get("times", 0) + 1
            wait_s = min(REFUSED_REST_S * 2 ** (times - 1), REFUSED_REST_MAX_S)
            rests[one.level_id] = {"until": moment + wait_s, "times": times}
            del said["levels"][name]
            rested = True
        if rested:
            memory.write()


def _rests_until(rests: Mapping[str, Mapping[str, float]], one: Create) -> float:
    # A level whose creation was refused is left alone until then, in seconds of Unix time.
    return rests.get(one.level_id, {}).get("until", 0)


def _settle(world: World, said: dict[str, Any]) -> None:
    # What an executor won was written before it was stored: whether it was, the world says, after a crash too.
    for name, won in said.pop("leaving", {}).items():
        if name not in world.bots:
            said["won"] = plain(Decimal(said.get("won", "0")) + Decimal(won))
            said["levels"].pop(name, None)


def _rested(controller: AnyController, one: Mine, scene: Scene) -> bool:
    # While it rests its end is what the controller rests for.
    return one.closed_at is None or (scene.now - one.closed_at).total_seconds() >= controller.cooldown_time


def _config(controller: AnyController, name: str, one: Create) -> dict[str, Any]:
    told = {"id": name, "venue": controller.venue, "symbol": controller.symbol, **one.config}
    if told["kind"] in {"position", "dca", "twap", "order"}:
        told |= {"controller_id": controller.id, "level_id": one.level_id}
    return told


def _next_id(controller_id: str, said: dict[str, Any]) -> str:
    number = said["next"] = int(said.get("next", 0)) + 1
    text = ""
    for _ in range(8 - len(controller_id)):
        number, rest = divmod(number, len(_LETTERS))
        text = _LETTERS[rest] + text
    return controller_id + text


def _mine(world: World, said: Mapping[str, Any]) -> Iterator[Mine | None]:
    # None stands for one that holds something without a price.
    for name, level in said.get("levels", {}).items():
        bot: Bot | None = world.bots.get(name)
        if bot is None:
            continue
        status, word = standing(bot)
        value = value_of(bot, world.specs[name], world.quotes)
        if value is None and bot.lots:
            yield None
            continue
        net = bot.realized - bot.fees + bot.funding if value is None else value[0]
        yield Mine(
            id=name, level_id=level, status=status, close_type=word, created_at=bot.started_at,
            closed_at=ended_at(bot) if word is not None else None,
            net_pnl_quote=net, is_trading=status is Status.RUNNING and bool(bot.lots),
            holds=bool(bot.lots),
        )  # fmt: skip


def _own(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name not in _OURS or name == "won"}


def _read(folder: Path) -> _Memory:
    path = folder / FILE_NAME
    said: dict[str, dict[str, Any]] = {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _Memory(path, said)
    except ValueError as fault:
        # Without it ids would begin anew and latches would be forgotten.
        raise Halted(f"{path} cannot be read: {fault}", key="data_dir", accepted="the file from a backup") from None
    return _Memory(path, said)
