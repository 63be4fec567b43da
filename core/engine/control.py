"""The words of control as data: what each mode lets a bot do, and which word leads to which mode (RULES)."""

from dataclasses import dataclass

from core.engine.draft import BotDraft, Draft
from core.engine.world import Mode, Unwind
from core.facts import Action, Command
from core.machine import Wake
from core.orders import Leg, Role

# The incident of a bot that was rebuilt from the exchange alone; it stands until the bot is released (RULES 9d).
REBUILT = "rebuilt"
# How the reason begins of a bot that was stopped with the whole account (core.engine.account).
ACCOUNT_TRIP = "account drawdown limit"


@dataclass(frozen=True, slots=True)
class Permit:
    """What a mode allows: placing and keeping of entries and of exits."""

    place_entries: bool
    keep_entries: bool
    place_exits: bool
    keep_exits: bool


PERMITS: dict[Mode, Permit] = {
    Mode.RUN: Permit(place_entries=True, keep_entries=True, place_exits=True, keep_exits=True),
    Mode.PAUSED: Permit(place_entries=False, keep_entries=True, place_exits=True, keep_exits=True),
    Mode.HALTED: Permit(place_entries=False, keep_entries=False, place_exits=False, keep_exits=True),
    Mode.TRIPPED: Permit(place_entries=False, keep_entries=False, place_exits=True, keep_exits=True),
    Mode.FLATTENING: Permit(place_entries=False, keep_entries=False, place_exits=False, keep_exits=False),
    # A bot that was taken out of the portfolio file, as its `on_stop` says.
    Mode.LEFT: Permit(place_entries=False, keep_entries=True, place_exits=False, keep_exits=True),
    Mode.STOPPED: Permit(place_entries=False, keep_entries=False, place_exits=False, keep_exits=False),
}


def may_keep(bot: BotDraft, leg: Leg) -> bool:
    """Whether a resting order of this leg may stay."""
    if leg.role in {Role.UNWIND, Role.STOP}:
        return True
    if bot.unwind is not None and leg.role is Role.EXIT and bot.unwind.lot_id in {"", leg.lot_id}:
        return False
    if leg.role in {Role.EXIT, Role.HEDGE}:
        return PERMITS[bot.mode].keep_exits
    return PERMITS[bot.mode].keep_entries and not bot.withdraw_entries


def may_place(draft: Draft, bot: BotDraft, leg: Leg) -> str | None:
    """Return why this leg may not be placed now, or None where it may."""
    if leg.role in {Role.UNWIND, Role.STOP}:
        return None
    if not may_keep(bot, leg):
        return bot.mode_reason or "cancelled by control"
    if leg.role in {Role.EXIT, Role.HEDGE}:
        return None if PERMITS[bot.mode].place_exits else bot.mode_reason
    if not PERMITS[bot.mode].place_entries:
        return bot.mode_reason
    if bot.cancelled_at == draft.now:
        return "cancelled by control; the next tick may place it again"
    venue = leg.venue
    return draft.blocked.get(venue) or draft.blocked.get(unread(venue)) or draft.blocked.get(bot.spec.bot_id)


def unread(venue: str) -> str:
    """Name the block that holds entries back while a venue's account cannot be read."""
    return f"{venue}:unread"


def obey(draft: Draft, bot: BotDraft, command: Command) -> None:
    """Apply one word of control, in order, and journal who said it and why."""
    said = f"{command.who}: {command.note}" if command.note else command.who
    if command.action is Action.RELEASE and bot.mode_reason.startswith(ACCOUNT_TRIP):
        # Measured from the old peak the account would trip again at once, and nobody could ever release it.
        draft.peak = None
        draft.all_clear("drawdown", "", "account")
    outcome = _apply(bot, command, said)
    bot.machine_wake = Wake(deadline=draft.now)  # whether entries may be placed is part of what a machine sees
    if command.action is Action.CANCEL:
        bot.cancelled_at = draft.now
    if command.action is Action.RELEASE:
        draft.all_clear(REBUILT, bot.spec.bot_id, "bot")
    draft.note(bot.spec.bot_id, "control", command.action.value, f"{outcome} ({said})")
    bot.dirty.update(bot.works)


def acknowledge(draft: Draft, command: Command) -> None:
    """Resolve an incident by hand, named by its key; where its cause still stands it is raised again. Blocks stay."""
    said = f"{command.who}: {command.note}" if command.note else command.who
    incident = draft.incidents.get(command.argument)
    if incident is None:
        known = ", ".join(sorted(draft.incidents)) or "none"
        outcome = f"not applied: no incident {command.argument!r} stands; standing are {known}"
    else:
        draft.all_clear(incident.kind, incident.bot_id, incident.subject)
        outcome = f"{incident.key} resolved by hand; it was: {incident.detail}"
    draft.note(command.bot_id, "control", command.action.value, f"{outcome} ({said})")


def _apply(bot: BotDraft, command: Command, said: str) -> str:
    match command.action:
        case Action.PAUSE:
            if bot.mode is not Mode.RUN:
                return f"not applied: the bot is {bot.mode.value}"
            _set(bot, Mode.PAUSED, f"paused by {said}")
            return "no new entries until resume"
        case Action.RESUME:
            if bot.mode is not Mode.PAUSED:
                return f"not applied: the bot is {bot.mode.value}; a latched halt ends by release"
            _set(bot, Mode.RUN, "")
            return "entries are placed again"
        case Action.HALT:
            _set(bot, Mode.HALTED, f"halted by {said}")
            return "entries cancelled, exits rest, nothing is placed until release"
        case Action.FLATTEN:
            _set(bot, Mode.FLATTENING, f"flattened by {said}")
            _unwind(bot, command, "")
            return "all orders cancelled and inventory closed at the market; halted afterwards until release"
        case Action.CANCEL:
            bot.withdraw_entries = True
            return "resting entries cancelled; the next tick may place them again"
        case Action.RELEASE:
            if bot.mode in {Mode.LEFT, Mode.STOPPED}:
                return f"not applied: the bot is {bot.mode.value}, since it is not in the portfolio file any more"
            _set(bot, Mode.RUN, "")
            bot.peak = None
            return "released"
        case Action.CLOSE_LOT:
            if command.argument not in bot.lots:
                known = ", ".join(sorted(bot.lots)) or "none"
                return f"not applied: no open lot {command.argument!r}; open are {known}"
            if bot.unwind is not None:
                return "not applied: another unwind is under way"
            _unwind(bot, command, command.argument)
            return f"lot {command.argument} is closed at the market"
        case Action.CLAIM:
            return "not applied: it is taken after all that was traded is booked (core.engine.claims)"
        case Action.ACKNOWLEDGE:
            return "not applied: an incident is acknowledged, not a bot"


def _set(bot: BotDraft, mode: Mode, reason: str) -> None:
    bot.mode = mode
    bot.mode_reason = reason


def _unwind(bot: BotDraft, command: Command, lot_id: str) -> None:
    bot.unwind = Unwind(command.action.value, command.ts, bot.episodes, lot_id)
    bot.episodes += 1
