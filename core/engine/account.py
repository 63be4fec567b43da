"""Watches the account as a whole: drawdown of all bots together, from the peak of their common equity."""

from decimal import Decimal

from core.engine.control import ACCOUNT_TRIP
from core.engine.draft import Draft, thaw
from core.engine.world import Mode, value_of
from core.machine import Wake
from core.values import ONE, ZERO, ratio


def watch_account(draft: Draft) -> None:
    """Trip every bot when the common equity has fallen by `max_drawdown` of its peak; latched until released.

    Prices that cannot have mattered since the last look are not looked at: the slack to the trip, and to the next step
    of the peak, is split over all open inventory, so each symbol has a band of its own (RULES 18c).
    """
    most = draft.limits.max_drawdown
    if most is None or not (draft.changed or _left_band(draft)):
        return
    capital = equity = at_stake = ZERO
    for bot_id, bot in draft.bots.items():
        spec = draft.world.specs[bot_id]
        capital += spec.capital_quote
        value = value_of(bot, spec, draft.quotes)
        if value is None:
            return
        equity += spec.capital_quote + value[0]
        at_stake += value[1]
    step = capital / 1000
    if draft.peak is None or equity >= draft.peak + step:
        draft.peak = equity
    trip = draft.peak * (ONE - most)
    if equity <= trip:
        _trip_all(draft, most)
    _set_bands(draft, min(equity - trip, draft.peak + step - equity), at_stake)


def _left_band(draft: Draft) -> bool:
    for key in draft.fresh:
        quote = draft.quotes[key]
        if draft.account_wake.get(key, Wake()).due(quote.lowest, quote.highest, draft.now):
            return True
    return False


def _set_bands(draft: Draft, slack: Decimal, at_stake: Decimal) -> None:
    if at_stake == ZERO:
        draft.account_wake = {}
        return
    share = ratio(max(slack, ZERO), at_stake)
    draft.account_wake = {
        key: Wake(low=quote.last * (ONE - share), high=quote.last * (ONE + share))
        for key, quote in draft.quotes.items()
    }


def _trip_all(draft: Draft, most: Decimal) -> None:
    reason = f"{ACCOUNT_TRIP} {most} from peak equity {draft.peak:.2f} reached; release to go on"
    draft.alarm("drawdown", "", "account", "critical", reason)
    for bot_id, bot in list(draft.bots.items()):
        if bot.mode not in {Mode.RUN, Mode.PAUSED}:
            continue
        tripped = thaw(bot, draft.world.specs[bot_id])
        tripped.mode, tripped.mode_reason = Mode.TRIPPED, reason
        tripped.restless.update(tripped.works)
        tripped.wake = Wake(deadline=draft.now)
        draft.keep(tripped)
