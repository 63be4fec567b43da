"""Books what happened: executions into ledger and lots, readings of balances against the ledger.

Every execution is booked once, whoever ordered it. What no record explains is never plugged: it raises an incident and
blocks entries at that venue until it is gone (RULES 18a).
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from core.engine.draft import BotDraft, Draft
from core.engine.world import Holding
from core.facts import BalanceRead, Fill, PositionRead, Transfer
from core.ledger import fill_postings, moved, transfer_postings
from core.lots import Lot, enlarge, fee_in_quote, is_hedge, net_qty, reduce, split_oldest_first
from core.machine import Claim, LegFilled, LotCut
from core.market import Instrument
from core.orders import Decoded, Role
from core.values import ZERO, Side, exact_product, plain, ratio, share_of_cost

STRANGER = "external"
# Differences that come and go within this are readings at two moments.
SUSPECT_AGE = timedelta(seconds=30)


def book_fill(
    draft: Draft, bot: BotDraft, fill: Fill, who: Decoded, spared: Mapping[str, Decimal] | None = None
) -> bool:
    """Book an execution of a bot's order into ledger and lots and tell its machine; False where it was booked before.

    `spared`: base by lot id that a sale at the market closes last; without it, what the lots' own exits may still sell.
    Given, as where the past is told again, an exit that sold more than its place holds closes other lots with the rest.
    """
    instrument = bot.spec.rule((fill.venue, fill.symbol))
    if not book_trade(draft, fill, instrument, bot.spec.bot_id):
        return False
    fee = fee_in_quote_of(draft, fill, instrument)
    bot.fees += fee
    net = net_qty(fill, instrument)
    lot_id = who.leg_id if who.role is Role.HEDGE else who.leg_id[1:]
    if who.role is Role.ENTRY:
        if bot.spec.nets:
            net, fee = _net(draft, bot, fill, net, fee)
        if net > ZERO:
            _open(draft, bot, lot_id, fill, net, fee)
        bot.events.append(LegFilled(who.leg_id, who.role, lot_id, fill.qty, net, fill.price, fill.ts, fill.side))
        return True
    against = _lots_to_close(bot, who, fill)
    if who.role not in {Role.UNWIND, Role.STOP}:
        held_back: Mapping[str, Decimal] = {}
    else:
        held_back = _spared(bot, against) if spared is None else spared
    parts, over = split_oldest_first(against, net, held_back)
    if over > ZERO and spared is not None and who.role is Role.EXIT:
        others = [lot for lot in _against(bot, fill) if lot not in against]
        more, over = split_oldest_first(others, over, spared)
        parts += more
    fee_left = fee
    own = ZERO
    for index, (one, part) in enumerate(parts):
        last = index == len(parts) - 1 and (over == ZERO or who.role is not Role.HEDGE)
        share = fee_left if last else share_of_cost(fee, part, net)
        fee_left -= share
        _store(draft, bot, one, reduce(one, fill.price, part, share, who.role, fill.ts))
        if who.role is Role.EXIT and _place_of(one) == str(who.place):
            own += part
        elif who.role is not Role.HEDGE:
            bot.events.append(LotCut(one.lot_id, part, fill.ts))
    if who.role is Role.EXIT:
        bot.events.append(LegFilled(who.leg_id, who.role, lot_id, fill.qty, own, fill.price, fill.ts, fill.side))
    if who.role is Role.HEDGE:
        # A hedge nets: it closes what stands against it, and what is over stands on its own.
        if over > ZERO:
            _open(draft, bot, lot_id, fill, over, fee_left)
        bot.events.append(LegFilled(who.leg_id, who.role, lot_id, fill.qty, net, fill.price, fill.ts, fill.side))
    elif over > ZERO:
        _over_filled(draft, bot, fill, over)
    return True


def _net(draft: Draft, bot: BotDraft, fill: Fill, qty: Decimal, fee: Decimal) -> tuple[Decimal, Decimal]:
    # An entry of a bot with one net position closes what stands against it first; returns what is over, and its fee.
    against = [lot for lot in bot.lots.values() if lot.side is not fill.side and lot.symbol == fill.symbol]
    parts, over = split_oldest_first(against, qty)
    for index, (one, part) in enumerate(parts):
        share = fee if over == ZERO and index == len(parts) - 1 else share_of_cost(fee, part, qty)
        fee, qty = fee - share, qty - part
        _store(draft, bot, one, reduce(one, fill.price, part, share, Role.ENTRY, fill.ts))
        bot.events.append(LotCut(one.lot_id, part, fill.ts))
    return over, fee


def _open(draft: Draft, bot: BotDraft, lot_id: str, fill: Fill, net: Decimal, fee: Decimal) -> None:
    before = bot.lots.get(lot_id)
    _store(draft, bot, before, enlarge(before, lot_id, bot.spec.bot_id, fill, net, fee))


def _lots_to_close(bot: BotDraft, who: Decoded, fill: Fill) -> list[Lot]:
    # An exit closes the lots of its place: its own cycle's, and what a late fill of an older one left there. With none
    # of those, as with an unwind, whatever is open is closed. A hedge closes hedges.
    if who.role is Role.EXIT:
        own = _at_place(bot, who.place, fill)
        if own:
            return own
    against = _against(bot, fill)
    if who.role is Role.HEDGE:
        return [lot for lot in against if is_hedge(lot.lot_id)]
    return against


def _against(bot: BotDraft, fill: Fill) -> list[Lot]:
    return [
        lot
        for lot in bot.lots.values()
        if lot.side is not fill.side and (lot.venue, lot.symbol) == (fill.venue, fill.symbol)
    ]


def _at_place(bot: BotDraft, place: int, fill: Fill) -> list[Lot]:
    prefix = f"{place}-"
    return [
        lot
        for name, lot in bot.lots.items()
        if name.startswith(prefix)
        and lot.side is not fill.side
        and (lot.venue, lot.symbol) == (fill.venue, fill.symbol)
    ]


def _spared(bot: BotDraft, lots: list[Lot]) -> dict[str, Decimal]:
    # A lot that is closed by its name gives all it has before any other lot gives the rest: an exit that several lots share
    # may have sold a part of it meanwhile.
    named = bot.unwind.lot_id if bot.unwind is not None else ""
    if any(lot.lot_id == named for lot in lots):
        return {lot.lot_id: lot.qty for lot in lots if lot.lot_id != named}
    return _awaiting_their_exits(bot, lots)


def _awaiting_their_exits(bot: BotDraft, lots: list[Lot]) -> dict[str, Decimal]:
    # What each lot's own exit may still sell, or has sold though its trades are still to come: an unwind takes the rest.
    spared: dict[str, Decimal] = {}
    for work in bot.works.values():
        order = work.order
        if order is None or order.role is not Role.EXIT or order.unbooked == ZERO:
            continue
        left = order.unbooked
        for lot in lots:
            if _place_of(lot) == _place_of_leg(order.leg_id) and (lot.venue, lot.symbol) == (order.venue, order.symbol):
                part = min(left, lot.qty - spared.get(lot.lot_id, ZERO))
                spared[lot.lot_id] = spared.get(lot.lot_id, ZERO) + part
                left -= part
    return spared


def close_lots(draft: Draft, bot: BotDraft, fill: Fill, qty: Decimal, fee: Decimal) -> None:
    """Close a bot's oldest lots against a trade that is booked already and no order of its own: `qty` base, `fee` quote."""
    bot.fees += fee
    parts, _ = split_oldest_first(_against(bot, fill), qty)
    for index, (one, part) in enumerate(parts):
        share = fee if index == len(parts) - 1 else share_of_cost(fee, part, qty)
        fee, qty = fee - share, qty - part
        _store(draft, bot, one, reduce(one, fill.price, part, share, Role.UNWIND, fill.ts))
        bot.events.append(LotCut(one.lot_id, part, fill.ts))


def _place_of(lot: Lot) -> str:
    return lot.lot_id.partition("-")[0]


def _place_of_leg(name: str) -> str:
    return name[1:].partition("-")[0]


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


def book_claim(draft: Draft, bot: BotDraft, claim: Claim) -> None:
    """Make coins that the account holds and no bot's lot counts a lot of this bot: a transfer from external to it.

    Where so much is not free an incident says so, nothing is booked, and no exit of it can be approved.
    """
    instrument, name = bot.spec.instrument, bot.spec.bot_id
    venue, base = instrument.venue, instrument.base
    lots = [*bot.lots.values(), *(lot for b in draft.bots.values() if b.bot_id != name for lot in b.lots.values())]
    taken = sum((lot.qty for lot in lots if lot.venue == venue and lot.symbol.startswith(f"{base}/")), ZERO)
    free = draft.wallet.get((venue, base), ZERO) - taken
    if free < claim.qty:
        detail = f"{plain(claim.qty)} {base} are to be taken over, {plain(max(free, ZERO))} are free at {venue}"
        draft.alarm("claim_refused", name, claim.lot_id, "critical", detail)
        return
    lot = Lot(
        lot_id=claim.lot_id, bot_id=name, venue=venue, symbol=instrument.symbol, side=Side.BUY, opened_at=draft.now,
        updated_at=draft.now, opened_qty=claim.qty, qty=claim.qty, cost=exact_product(claim.price, claim.qty),
        realized=ZERO, grid_profit=ZERO, fees=ZERO, exits=0,
    )  # fmt: skip
    _store(draft, bot, None, lot)
    ref = f"{name} {claim.lot_id}"
    for owner, amount in ((name, claim.qty), ("", -claim.qty)):
        draft.post(transfer_postings(base, amount), ts=draft.now, bot_id=owner, venue=venue, kind="transfer", ref=ref)
    draft.note(name, claim.lot_id, "CLAIM", f"{plain(claim.qty)} {base} taken over at {plain(claim.price)}")


def adopt_lot(draft: Draft, bot: BotDraft, lot: Lot) -> None:
    """Take a lot that no execution of the bot opened into its books; the caller posts what it moves."""
    _store(draft, bot, None, lot)


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
    if booked is None and _may_be_ours(draft, key):
        booked = ZERO
    if booked is not None:
        _hold_against(draft, key, read.qty, booked, "position_mismatch")
    else:
        # Nothing is written down too: forgotten in a crash, it would be opened later with what was traded meanwhile.
        postings = moved("position", "external", read.symbol, read.qty)
        ref = f"{read.venue} {read.symbol}"
        draft.post(postings, ts=read.ts, bot_id="", venue=read.venue, kind="opening", ref=ref)


def _may_be_ours(draft: Draft, market: tuple[str, str]) -> bool:
    # An order of ours may have made the position, though its trade is still to come: opened with it, it would count twice.
    return any(
        work.order is not None and (work.order.venue, work.order.symbol) == market
        for bot in draft.bots.values()
        for work in bot.works.values()
    )


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
    if before is not None:
        bot.realized -= before.realized
        bot.grid_profit -= before.grid_profit
        _count(bot, before, -1)
    bot.realized += after.realized
    bot.grid_profit += after.grid_profit
    draft.lots[after.bot_id, after.lot_id] = after
    if after.open:
        bot.lots[after.lot_id] = after
        _count(bot, after, 1)
        return
    bot.lots.pop(after.lot_id, None)
    bot.round_trips += 1


def _count(bot: BotDraft, lot: Lot, sign: int) -> None:
    # Takes a lot into the sums over open lots, or (sign -1) out of them.
    side = lot.side.sign * sign
    market = (lot.venue, lot.symbol)
    if market == bot.spec.instrument.market:
        bot.inventory += lot.qty * side
        bot.cost += lot.cost * sign
        bot.net_cost += lot.cost * side
        bot.fees_open += lot.fees * sign
        return
    held = bot.beside[market]
    bot.beside[market] = Holding(
        inventory=held.inventory + lot.qty * side,
        cost=held.cost + lot.cost * sign,
        net_cost=held.net_cost + lot.cost * side,
        hedged_cost=held.hedged_cost + (lot.cost * sign if is_hedge(lot.lot_id) else ZERO),
        fees_open=held.fees_open + lot.fees * sign,
        live=held.live,
    )


def fee_in_quote_of(draft: Draft, fill: Fill, instrument: Instrument) -> Decimal:
    """Value a fee in quote; one in an asset without a rate counts as zero and raises an incident (RULES 18a)."""
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
