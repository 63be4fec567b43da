"""Books what happened: executions into ledger and lots, readings of balances against the ledger.

Every execution is booked once, whoever ordered it. What no record explains is never plugged: it raises an incident and
blocks entries at that venue until it is gone (RULES 18a).
"""

from datetime import timedelta
from decimal import Decimal

from core.engine.draft import BotDraft, Draft
from core.facts import BalanceRead, Fill, FundingPaid, PositionRead, Transfer
from core.ledger import fill_postings, funding_postings, moved, transfer_postings
from core.lots import Lot, enlarge, fee_in_quote, net_qty, reduce, split_oldest_first
from core.machine import LegFilled, LotCut
from core.market import Instrument
from core.orders import Decoded, Role
from core.values import ZERO, exact_product, plain, ratio, share_of_cost

STRANGER = "external"
# Differences that come and go within this are readings at two moments.
SUSPECT_AGE = timedelta(seconds=30)


def book_fill(draft: Draft, bot: BotDraft, fill: Fill, who: Decoded) -> bool:
    """Book an execution of a bot's order into ledger and lots and tell its machine; False where it was booked before."""
    if not book_trade(draft, fill, bot.spec.instrument, bot.spec.bot_id):
        return False
    instrument = bot.spec.instrument
    fee = _fee_quote(draft, fill, instrument)
    bot.fees += fee
    net = net_qty(fill, instrument)
    lot_id = who.leg_id[1:]
    if who.role is Role.ENTRY:
        _store(draft, bot, bot.lots.get(lot_id), enlarge(bot.lots.get(lot_id), lot_id, bot.spec.bot_id, fill, net, fee))
        bot.events.append(LegFilled(who.leg_id, who.role, lot_id, fill.qty, net, fill.price, fill.ts))
        return True
    parts, over = split_oldest_first([one for one in _lots_to_close(bot, who) if one.side is not fill.side], net)
    fee_left = fee
    own = ZERO
    for index, (one, part) in enumerate(parts):
        share = fee_left if index == len(parts) - 1 else share_of_cost(fee, part, net)
        fee_left -= share
        _store(draft, bot, one, reduce(one, fill.price, part, share, who.role, fill.ts))
        if who.role is Role.EXIT and _place_of(one) == str(who.place):
            own += part
        else:
            bot.events.append(LotCut(one.lot_id, part, fill.ts))
    if who.role is Role.EXIT:
        bot.events.append(LegFilled(who.leg_id, who.role, lot_id, fill.qty, own, fill.price, fill.ts))
    if over > ZERO:
        _over_filled(draft, bot, fill, over)
    return True


def _lots_to_close(bot: BotDraft, who: Decoded) -> list[Lot]:
    # An exit closes the lots of its place: its own cycle's, and what a late fill of an older one left there. With none
    # of those, as with an unwind, whatever is open is closed.
    if who.role is Role.EXIT:
        placed = [lot for lot in bot.lots.values() if _place_of(lot) == str(who.place)]
        return placed or list(bot.lots.values())
    if bot.unwind is not None and bot.unwind.lot_id in bot.lots and who.role is Role.UNWIND:
        return [bot.lots[bot.unwind.lot_id]]
    return list(bot.lots.values())


def _place_of(lot: Lot) -> str:
    return lot.lot_id.partition("-")[0]


def book_trade(draft: Draft, fill: Fill, instrument: Instrument, bot_id: str) -> bool:
    """Store an execution and post it to the ledger, once; False where it was there already."""
    key = (fill.venue, fill.symbol, fill.trade_id, fill.side.value)
    if draft.seen(key):
        return False
    draft.new_trades.append(key)
    draft.fills.append((bot_id, fill))
    ref = f"{fill.symbol}#{fill.trade_id}"
    draft.post(fill_postings(fill, instrument), ts=fill.ts, bot_id=bot_id, venue=fill.venue, kind="fill", ref=ref)
    return True


def book_funding(draft: Draft, bot: BotDraft, paid: FundingPaid) -> None:
    """Book one funding payment of a bot's position."""
    draft.post(
        funding_postings(paid), ts=paid.ts, bot_id=bot.spec.bot_id, venue=paid.venue, kind="funding", ref=paid.ref
    )
    bot.funding += paid.amount


def book_transfer(draft: Draft, transfer: Transfer) -> None:
    """Book a deposit or withdrawal that the venue's own records show."""
    draft.post(
        transfer_postings(transfer.asset, transfer.amount),
        ts=transfer.ts,
        bot_id="",
        venue=transfer.venue,
        kind="transfer",
        ref=transfer.ref,
    )


def compare_balance(draft: Draft, read: BalanceRead) -> None:
    """Hold a balance reading against the ledger. A venue's first reading opens its wallets.

    An asset that shows up later was bought, sent or won: without a record it is a difference like any other, for it may
    belong to a trade that is still to be read.
    A difference must be seen twice, unchanged, before it counts, for trades and balances are two readings at two moments;
    one that changes all the time, as a leak in every trade does, counts once it has stood for half a minute.
    """
    key = (read.venue, read.asset)
    booked = draft.wallet.get(key)
    if booked is None and not any(venue == read.venue for venue, _ in draft.world.wallet):
        if read.total != ZERO:
            postings = transfer_postings(read.asset, read.total)
            draft.post(
                postings, ts=read.ts, bot_id="", venue=read.venue, kind="opening", ref=f"{read.venue} {read.asset}"
            )
        else:
            draft.wallet[key] = ZERO
        return
    _hold_against(draft, key, read.total, booked or ZERO, "balance_mismatch")


def compare_position(draft: Draft, read: PositionRead) -> None:
    """Hold a swap's position against the ledger; the first reading of a symbol opens it, whoever it belongs to.

    Σ bots + external = the exchange's position is an invariant (RULES 9): a wrong contract size, a hedge sent twice or a
    position that the exchange closed shows here, though every wallet agrees.
    """
    key = (read.venue, read.symbol)
    booked = draft.positions.get(key)
    if booked is not None:
        _hold_against(draft, key, read.qty, booked, "position_mismatch")
    elif read.qty == ZERO:
        draft.positions[key] = ZERO
    else:
        postings = moved("position", "external", read.symbol, read.qty)
        ref = f"{read.venue} {read.symbol}"
        draft.post(postings, ts=read.ts, bot_id="", venue=read.venue, kind="opening", ref=ref)


def _hold_against(draft: Draft, key: tuple[str, str], told: Decimal, booked: Decimal, kind: str) -> None:
    venue, what = key
    subject = f"{venue} {what}"
    difference = told - booked
    if difference == ZERO:
        draft.suspect_since.pop(key, None)
        if draft.suspects.pop(key, None) is not None:
            if all(place != venue for place, _ in draft.suspects):
                draft.blocked.pop(venue, None)
                draft.room_freed = True
            draft.all_clear(kind, "", subject)
        return
    since = draft.suspect_since.setdefault(key, draft.now)
    if draft.suspects.get(key) == difference or draft.now >= since + SUSPECT_AGE:
        detail = (
            f"{subject}: the venue holds {plain(told)}, the ledger {plain(booked)}; {plain(difference)} is unexplained"
        )
        draft.alarm(kind, "", subject, "critical", detail)
        draft.blocked[venue] = f"{subject} differs from the ledger by {plain(difference)}"
    draft.suspects[key] = difference


def _store(draft: Draft, bot: BotDraft, before: Lot | None, after: Lot) -> None:
    sign = after.side.sign
    if before is not None:
        bot.inventory -= before.qty * sign
        bot.cost -= before.cost
        bot.realized -= before.realized
        bot.grid_profit -= before.grid_profit
        bot.fees_open -= before.fees
    bot.realized += after.realized
    bot.grid_profit += after.grid_profit
    draft.lots[after.bot_id, after.lot_id] = after
    if after.open:
        bot.lots[after.lot_id] = after
        bot.inventory += after.qty * sign
        bot.cost += after.cost
        bot.fees_open += after.fees
        return
    bot.lots.pop(after.lot_id, None)
    bot.round_trips += 1


def _fee_quote(draft: Draft, fill: Fill, instrument: Instrument) -> Decimal:
    fee = fee_in_quote(fill, instrument)
    if fee is not None:
        return fee
    quote = draft.quotes.get((fill.venue, f"{fill.fee_asset}/{instrument.quote}"))
    if quote is None:
        detail = f"fee of {plain(fill.fee)} {fill.fee_asset} on trade {fill.trade_id} has no rate in {instrument.quote}"
        draft.alarm("fee_rate_missing", "", fill.fee_asset, "warning", detail)
        return ZERO
    return exact_product(fill.fee, quote.mid)


def _over_filled(draft: Draft, bot: BotDraft, fill: Fill, over: Decimal) -> None:
    # More was closed than was open. The excess is inventory the other way; it is kept, shown, and never assumed away.
    lot_id = f"over-{fill.trade_id}"
    share = ratio(over, fill.qty)
    excess = enlarge(None, lot_id, bot.spec.bot_id, fill, over, ZERO)
    _store(draft, bot, None, excess)
    detail = f"trade {fill.trade_id} closed {plain(over)} more than was open ({share:.0%} of it)"
    draft.alarm("over_filled", bot.spec.bot_id, lot_id, "critical", detail)
