"""Takes in trades that an exchange makes in our name: liquidation, auto-deleveraging, settlement of a delisted symbol.

They belong to the one net position, so each bot on it bears its part by the quantity it holds; the parts sum to the
trade (RULES 9). Whoever lost inventory in this way is latched until a person releases it.
"""

from decimal import Decimal

from core.engine.booking import STRANGER, book_trade, close_lots, fee_in_quote_of
from core.engine.draft import BotDraft, Draft
from core.engine.world import Mode
from core.facts import Fill
from core.values import ZERO, exact_product, floor_to, plain, ratio, share_of_cost

# Binance USD-M, user data streams: "clientOrderId: starts with autoclose-: liquidation order, adl_autoclose: ADL auto
# close order, settlement_autoclose-: settlement order for delisting or delivery".
FORCED = {"autoclose-": "liquidated", "adl_autoclose": "deleveraged", "settlement_autoclose-": "settled"}


def forced_word(client_id: str) -> str | None:
    """Name what the exchange did where it made an order itself, else None."""
    return next((word for prefix, word in FORCED.items() if client_id.startswith(prefix)), None)


def book_forced(draft: Draft, bots: list[BotDraft], fill: Fill, word: str) -> bool:
    """Book such a trade over the bots that hold against it; False where none does, and it is nobody's here."""
    market = (fill.venue, fill.symbol)
    holders = {
        bot.spec.bot_id: bot for bot in bots if bot.inventory_at(market) * fill.side.sign < ZERO
    }  # a sale takes from longs, a purchase from shorts
    if not holders:
        return False
    instrument = next(iter(holders.values())).spec.rule(market)
    owner = next(iter(holders)) if len(holders) == 1 else STRANGER
    if not book_trade(draft, fill, instrument, owner):
        return True
    held = {name: abs(bot.inventory_at(market)) for name, bot in holders.items()}
    fee = fee_in_quote_of(draft, fill, instrument)
    for name, qty in parts_of(min(fill.qty, sum(held.values(), ZERO)), held, instrument.lot_step).items():
        bot = holders[name]
        close_lots(draft, bot, fill, qty, share_of_cost(fee, qty, fill.qty))
        detail = f"{plain(qty)} of {fill.symbol} {word} by the exchange at {plain(fill.price)}; release to go on"
        if bot.mode in {Mode.RUN, Mode.PAUSED}:
            bot.mode, bot.mode_reason = Mode.TRIPPED, detail
        bot.dirty.update(bot.works)
        draft.alarm(word, name, fill.symbol, "critical", detail)
    return True


def parts_of(qty: Decimal, held: dict[str, Decimal], step: Decimal) -> dict[str, Decimal]:
    """Split a quantity by what each holds, in whole lot steps, largest remainder first; the parts sum to `qty`.

    No part is larger than what its bot holds; bots whose part is zero are left out. Raises nothing: `qty` must not exceed
    the sum of `held`.
    """
    whole = sum(held.values(), ZERO)
    exact = {name: ratio(exact_product(qty, mine), whole) for name, mine in held.items()}
    parts = {name: floor_to(share, step) for name, share in exact.items()}
    left = qty - sum(parts.values(), ZERO)
    for name in sorted(held, key=lambda one: (parts[one] - exact[one], one)):
        more = min(left, held[name] - parts[name])
        parts[name] += more
        left -= more
    return {name: part for name, part in parts.items() if part > ZERO}
