"""Watches one bot's equity against its own drawdown limit."""

from core.engine.draft import BotDraft, Draft
from core.engine.world import Mode, value_of
from core.machine import Wake
from core.market import Market
from core.values import ONE, ZERO, ratio


def wake_of_drawdown(draft: Draft, bot: BotDraft) -> dict[Market, Wake]:
    """Trip on drawdown from the peak of the bot's equity; return the price bands inside which nothing can change.

    The peak moves in steps of a thousandth of capital: they bound how often a rising price wakes the bot, and drawdown is
    understated by at most one of them. A bot in several markets has its slack split over what is at stake in each.
    """
    most = bot.spec.max_drawdown
    value = None if most is None else value_of(bot, bot.spec, draft.quotes)
    if most is None or value is None:
        return {}
    profit, at_stake = value
    equity = bot.spec.capital_quote + profit
    step = bot.spec.capital_quote / 1000
    if bot.peak is None or equity >= bot.peak + step:
        bot.peak = equity
    trip = bot.peak * (ONE - most)
    if equity <= trip and bot.mode in {Mode.RUN, Mode.PAUSED}:
        bot.mode = Mode.TRIPPED
        bot.mode_reason = f"drawdown limit {most} from peak equity {bot.peak:.2f} reached; release to go on"
        draft.alarm("drawdown", bot.spec.bot_id, "bot", "critical", bot.mode_reason)
        bot.dirty.update(bot.works)
    if at_stake == ZERO:
        return {}
    down, up = trip - equity, bot.peak + step - equity
    if bot.beside:
        share = ratio(max(min(-down, up), ZERO), at_stake)
        return {
            one.market: Wake(low=quote.last * (ONE - share), high=quote.last * (ONE + share))
            for one in bot.spec.instruments
            if (quote := draft.quotes.get(one.market)) is not None
        }
    instrument, last = bot.spec.instrument, draft.quotes[bot.spec.instrument.market].last
    worse = instrument.ceil_price(last + ratio(down, bot.inventory))
    better = instrument.floor_price(last + ratio(up, bot.inventory))
    return {instrument.market: Wake(low=min(worse, better), high=max(worse, better))}
