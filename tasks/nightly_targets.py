"""Document 002's targets at night: the view `report_targets` of the published copy, and a missed target is an incident.

The bounds, spans and least numbers of events stand in `sql/views/report_targets.sql`, so that a person and the night see
the same figures. The tick process raises and resolves the incidents (`tasks.targets`).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from core.machines.rolling_grid.config import RollingGridConfig
from core.values import plain
from tasks.nightly_steps import DONE, SKIPPED, Did
from tasks.sql_query import QueryRefused, query
from tasks.targets import Missed, read_missed, write_missed

NAMES = {
    "win_rate": "win rate", "average_profit": "average profit of a trade", "max_drawdown": "drawdown",
    "margin_use": "use of the margin", "margin_exhausted": "orders refused for lack of margin, or liquidations",
    "recovery_rate": "stuck lots that were freed", "mismatches": "mismatches", "stop_time": "time of a stop loss",
}  # fmt: skip


def measure_targets(data_dir: Path, bots: Iterable[Any], now: datetime) -> Did:
    """Hold every rolling grid of `bots` (configurations) against its targets and leave word of what is missed.

    Done, however many are missed; skipped where there is no rolling grid or nothing was published. `now` is UTC.
    """
    rolling = {bot.id: bot for bot in bots if isinstance(bot, RollingGridConfig)}
    before = read_missed(data_dir) or {}
    if not rolling:
        if before:
            write_missed(data_dir, {}, now)
        return Did(SKIPPED, "no bot is a rolling_grid")
    try:
        columns, rows = query(data_dir, "SELECT * FROM report_targets")
    except QueryRefused as refused:
        return Did(SKIPPED, str(refused))
    told = [dict(zip(columns, row, strict=True)) for row in rows]
    told = [row for row in told if row["bot_id"] in rolling]
    missed = missed_of(told, rolling, before)
    write_missed(data_dir, missed, now)
    judged = sum(1 for row in told if row["met"] is not None)
    said = [f"{bot}: {sentence}" for bot, each in missed.items() for sentence in each.values()]
    says = f"{judged - sum(1 for row in told if row['met'] is False)} of {judged} targets are met"
    return Did(DONE, "; ".join([says, *said]), {"judged": judged, "missed": missed})


def missed_of(
    told: Iterable[Mapping[str, Any]], bots: Mapping[str, RollingGridConfig], before: Mapping[str, Mapping[str, str]]
) -> Missed:
    """Return what each bot misses, a sentence for each target, from rows of `report_targets`.

    Where too little happened to judge, what was said `before` holds on.
    """
    missed: Missed = {}
    for row in told:
        bot, target = row["bot_id"], row["target"]
        if row["met"] is False:
            missed.setdefault(bot, {})[target] = sentence(row, bots[bot])
        elif row["met"] is None and target in before.get(bot, {}):
            missed.setdefault(bot, {})[target] = before[bot][target]
    return missed


def sentence(row: Mapping[str, Any], bot: RollingGridConfig) -> str:
    """Say what a row of `report_targets` measured, what was wanted, over which span and how many events."""
    wanted = f"{'above' if row['comparison'] == '>' else 'below'} {_shown(row['bound'], row['unit'])}"
    span = "today and the 7 days before" if row["span"] == "7 days" else "all that is known"
    counted = "" if row["counted"] == "incidents" else f", {row['samples']} {row['counted']}"
    text = f"{NAMES[row['target']]} {_shown(row['value'], row['unit'])}, to be {wanted} ({span}{counted})"
    if row["target"] == "average_profit":
        share = bot.take_profit if bot.profit_basis == "price" else bot.take_profit / bot.leverage
        if share <= row["bound"]:
            text += f"; its take_profit of {plain(share)} of the price cannot reach it"
    return text


def _shown(value: float, unit: str) -> str:
    return f"{value * 100:.4g} %" if unit == "fraction" else f"{value:.4g} {unit}"
