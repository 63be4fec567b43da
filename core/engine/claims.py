"""`control BOT claim`: a swap position that no bot holds becomes a lot of a bot, at the exchange's entry price.

What is foreign is the ledger's position less the lots of all bots: what stood there at the first reading, and what
others traded since. It must agree with what the exchange told in the same advance, and so must its side with the bot's.
The lot moves from external to the bot without a trade; it counts in the bot's exposure and limits from then on and is
closed by `close-lot`, `flatten`, or the stop at the exchange, since no level of a strategy owns it.
"""

from collections.abc import Iterable
from decimal import Decimal

from core.engine.booking import adopt_lot
from core.engine.draft import BotDraft, Draft
from core.facts import Command, Fact, PositionRead
from core.ledger import moved
from core.lots import Lot, unrealized
from core.machine import Wake
from core.market import Market
from core.values import ZERO, Side, exact_product, plain, total


def claim(draft: Draft, bot: BotDraft, command: Command, told: Iterable[Fact]) -> None:
    """Hand the foreign part of the position of a bot's first market to the bot, or journal why not."""
    said = f"{command.who}: {command.note}" if command.note else command.who
    market = bot.spec.instrument.market
    read = next((one for one in told if isinstance(one, PositionRead) and (one.venue, one.symbol) == market), None)
    foreign = foreign_qty(draft, bot, market)
    outcome = _refused(draft, bot, read, foreign)
    if outcome is None and read is not None and read.entry_price is not None:
        lot_id = f"claim-{command.command_id}"
        _book(draft, bot, lot_id, foreign, read.entry_price)
        side = "long" if foreign > ZERO else "short"
        outcome = f"{side} {plain(abs(foreign))} {market[1]} taken over at {plain(read.entry_price)} as lot {lot_id}"
    draft.note(bot.spec.bot_id, "control", command.action.value, f"{outcome} ({said})")


def foreign_qty(draft: Draft, bot: BotDraft, market: Market) -> Decimal:
    """Return the signed base quantity of a swap's position that no bot's lot counts."""
    name = bot.spec.bot_id
    lots = [
        *bot.lots.values(),
        *(lot for one in draft.bots.values() if one.bot_id != name for lot in one.lots.values()),
    ]
    held = total(lot.qty * lot.side.sign for lot in lots if (lot.venue, lot.symbol) == market)
    return draft.positions.get(market, ZERO) - held


def _refused(draft: Draft, bot: BotDraft, read: PositionRead | None, foreign: Decimal) -> str | None:
    instrument = bot.spec.instrument
    where = f"{instrument.symbol} at {instrument.venue}"
    if not instrument.swap:
        return "not applied: only a swap has a position; a grid takes coins with initial_inventory: owned"
    if read is None:
        return f"not applied: the position of {where} was not read in this tick; say it again"
    booked = draft.positions.get(instrument.market, ZERO)
    if read.qty != booked:
        return f"not applied: {where} holds {plain(read.qty)}, the ledger {plain(booked)}; say it again once they agree"
    if foreign == ZERO:
        return f"not applied: there is no foreign position of {where}"
    if read.entry_price is None or read.entry_price <= ZERO:
        return f"not applied: the exchange tells no entry price of {where}"
    held = bot.inventory or (foreign if bot.spec.nets else Decimal(1 if bot.spec.long else -1))
    if held * foreign < ZERO:
        return f"not applied: the foreign position is {'long' if foreign > ZERO else 'short'}, the bot is not"
    return None


def _book(draft: Draft, bot: BotDraft, lot_id: str, foreign: Decimal, price: Decimal) -> None:
    venue, symbol = bot.spec.instrument.market
    qty, name = abs(foreign), bot.spec.bot_id
    lot = Lot(
        lot_id=lot_id, bot_id=name, venue=venue, symbol=symbol, side=Side.BUY if foreign > ZERO else Side.SELL,
        opened_at=draft.now, updated_at=draft.now, opened_qty=qty, qty=qty, cost=exact_product(price, qty), realized=ZERO,
        grid_profit=ZERO, fees=ZERO, exits=0,
    )  # fmt: skip
    adopt_lot(draft, bot, lot)
    for owner, amount in ((name, foreign), ("", -foreign)):
        postings = moved("position", "external", symbol, amount)
        draft.post(postings, ts=draft.now, bot_id=owner, venue=venue, kind="claim", ref=f"{name} {lot_id}")
    quote = draft.quote_of(bot)
    if quote is not None:
        # What it had won or lost before is no loss of the bot's: drawdown is measured net of what comes from outside.
        brought = unrealized(lot, quote.last)
        bot.peak = None if bot.peak is None else bot.peak + brought
        draft.peak = None if draft.peak is None else draft.peak + brought
    bot.machine_wake = Wake(deadline=draft.now)
    bot.dirty.update(bot.works)
