"""What may change in a portfolio file while it runs, as data; everything else asks for a restart."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from core.kinds import KINDS
from core.portfolio import Portfolio
from tasks.errors import Refused

# Limits that are asked for at every order, so that a new value counts from the next decision on.
RISK_FIELDS = frozenset({"max_exposure_quote", "max_drawdown", "max_price_age_s", "unknown_quarantine_s"})
BOT_FIELDS = frozenset({"max_position_size", "max_drawdown", "max_slippage_bps", "on_stop"})
# `id`, `kind` and the markets make another bot; what else of a kind may change is the kind's own word.
KIND_FIELDS = {name: kind.edit.fields for name, kind in KINDS.items() if kind.edit is not None}


@dataclass(frozen=True, slots=True)
class Change:
    """What differs between two versions of a portfolio file, all of it allowed. `words` say it for the journal."""

    words: tuple[str, ...]
    alerts: bool
    limits: bool
    changed: frozenset[str]
    added: frozenset[str]
    removed: frozenset[str]


def compare(old: Portfolio, new: Portfolio) -> Change:
    """Compare two versions; raises `Refused` naming the first field that may not change while the portfolio runs."""
    for name in Portfolio.model_fields:
        if name not in {"risk", "alerts", "bots"} and getattr(old, name) != getattr(new, name):
            raise _restart(name)
    words: list[str] = []
    for name in type(old.risk).model_fields:
        before, after = getattr(old.risk, name), getattr(new.risk, name)
        if before != after:
            if name not in RISK_FIELDS:
                raise _restart(f"risk.{name}")
            words.append(f"risk.{name} {before} -> {after}")
    limits = bool(words)
    if old.alerts != new.alerts:
        words.append("alerts")
    before_bots = {bot.id: bot for bot in old.bots}
    after_bots = {bot.id: bot for bot in new.bots}
    changed: set[str] = set()
    for index, bot in enumerate(new.bots):
        if bot.id in before_bots:
            found = differences(before_bots[bot.id], bot, f"bots[{index}]")
            words += [f"bot {bot.id}: {text}" for text in found]
            changed |= {bot.id} if found else set()
    added, removed = after_bots.keys() - before_bots.keys(), before_bots.keys() - after_bots.keys()
    words += [f"bot {name} added" for name in sorted(added)]
    words += [f"bot {name} removed: on_stop {before_bots[name].on_stop}" for name in sorted(removed)]
    return Change(
        tuple(words), old.alerts != new.alerts, limits, frozenset(changed), frozenset(added), frozenset(removed)
    )


def differences(old: Any, new: Any, key: str) -> list[str]:
    """Name a bot's changed fields with both values; raises `Refused` for one that may not change while it runs."""
    if type(old) is not type(new):
        raise _restart(f"{key}.kind")
    allowed = BOT_FIELDS | KIND_FIELDS.get(old.kind, frozenset())
    found: list[str] = []
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            if name not in allowed:
                raise _restart(f"{key}.{name}", allowed)
            found.append(f"{name} {before} -> {after}")
    return found


def _restart(key: str, allowed: Iterable[str] = ()) -> Refused:
    fields = ", ".join(sorted(allowed) or sorted({*(f"risk.{name}" for name in RISK_FIELDS), "alerts", "bots"}))
    return Refused(
        "does not change while the portfolio runs", key=key, accepted=f"a restart; at work these change: {fields}"
    )
