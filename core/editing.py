"""Takes another configuration of a running bot into its state: range, sizes, money, without closing it.

What a kind allows stands in `core.kinds`; a kind without an `edit` keeps its plan for life.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.engine.bot import level_state
from core.engine.world import Bot, BotSpec, LevelRow
from core.orders import Leg
from core.working import NEW, wanted


@dataclass(frozen=True, slots=True)
class Editing:
    """How a kind takes an edit: fields that may change; the state under the new plan; what changes of what is wanted.

    `edited(old plan, new plan, state)` raises `PlanRefused`; `changes(old plan, state, new plan, new state)` names legs of
    the new plan, and None for those that are over.
    """

    fields: frozenset[str]
    edited: Callable[[Any, Any, Any], Any]
    changes: Callable[[Any, Any, Any, Any], Mapping[str, Leg | None]]


def edit_bot(bot: Bot, old: BotSpec, new: BotSpec, edit: Editing) -> tuple[Bot, tuple[LevelRow, ...]]:
    """Return the bot under its new plan, to be looked at at once, and every level as it stands now.

    Raises `PlanRefused` as the kind does. The drawdown's peak moves with the capital, so that more money is no profit.
    """
    if bot.state is None:
        return bot, ()
    state = edit.edited(old.plan, new.plan, bot.state)
    works = dict(bot.works)
    for name, leg in edit.changes(old.plan, bot.state, new.plan, state).items():
        if name in works or leg is not None:
            works[name] = wanted(works.get(name, NEW), leg)
    rows: dict[int, LevelRow] = {}
    for index in range(new.places):
        view = new.machine.place(new.plan, state, index)
        word, reason = level_state(view.phase, works.get(view.entry), works.get(view.exit), view.reason)
        rows[index] = LevelRow(bot.bot_id, view, word, reason)
    more = new.capital_quote - old.capital_quote
    peak = None if bot.peak is None else bot.peak + more
    after = replace(bot, state=state, works=works, restless=tuple(sorted(works)), shown=rows, peak=peak)
    return after, tuple(rows.values())
