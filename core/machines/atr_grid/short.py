"""The hedge: how large the short shall be, the two legs that bring it there, what it earned, and when nobody heard it.

The position follows the bag's own fills (RULES 9c): wanted = ratio x bag, never more than the bag or the margin. One leg
sells, one buys back; both only ever grow within a cycle, so that an order of unknown fate is never sent twice. Legs take
the book as capped immediate-or-cancel orders; a cap that did not fill is renewed, wider.
"""

from datetime import timedelta
from decimal import Decimal

from core.machine import Alarm, LegFilled, LegRefused, Wake
from core.machines.atr_grid.config import AtrGridPlan
from core.machines.atr_grid.draft import Draft
from core.machines.atr_grid.state import Short
from core.market import Quote
from core.orders import Kind, Leg, Role, leg_id
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

# A hedge order that did not fill gets a new cap after this.
RETRY_S = 5.0
# A first short is at least this much larger than the exchange's minimum: it must still be closable after a fall.
HEAD_ROOM = Decimal("1.25")
UNHEDGED, MARGIN = "hedge_off_target", "hedge_margin"


def legs_of(plan: AtrGridPlan, short: Short) -> dict[str, Leg]:
    """List the hedge's legs: what shall ever have been sold and bought back in this cycle."""
    if plan.futures is None:
        return {}
    found: dict[str, Leg] = {}
    for place, side, qty, cap in (
        (plan.hedge_place, Side.SELL, short.asked_sell, short.cap_sell),
        (plan.hedge_place + 1, Side.BUY, short.asked_buy, short.cap_buy),
    ):
        if qty > ZERO:
            name = leg_id(Role.HEDGE, place, short.cycle)
            found[name] = Leg(
                leg_id=name, venue=plan.futures.venue, symbol=plan.futures.symbol, side=side, role=Role.HEDGE,
                kind=Kind.MARKET, qty=qty, price=cap, reduce_only=side is Side.BUY,
            )  # fmt: skip
    return found


def traded(draft: Draft, event: LegFilled) -> None:
    """Take in a fill of the hedge, a late one of an earlier cycle included."""
    plan, short = draft.plan, draft.short
    assert plan.futures is not None  # noqa: S101  only a hedge has such fills
    own = event.qty if event.leg_id.endswith(f"-{short.cycle}") else ZERO
    moved = exact_product(event.price, event.qty)
    draft.hedge(
        sold=short.sold + (own if event.side is Side.SELL else ZERO),
        bought=short.bought + (own if event.side is Side.BUY else ZERO),
        proceeds=short.proceeds - moved * event.side.sign,
        costs=short.costs + exact_product(moved, max(plan.futures.taker, ZERO)),
        refusal="",
    )
    if short.opened_at is None:
        draft.hedge(opened_at=event.ts, funding_from=draft.view.funding)
        draft.note("hedge", "OPEN", f"sold {plain(event.qty)} at {plain(event.price)} for the {short.zone} zone")


def lost(draft: Draft, qty: Decimal) -> None:
    """Take in that something else than its own legs bought back part of the short."""
    quote = draft.futures_quote
    if quote is not None:
        draft.hedge(proceeds=draft.short.proceeds - exact_product(quote.ask, qty))


def refused(draft: Draft, event: LegRefused) -> None:
    """Keep why the exchange does not take the hedge."""
    if event.leg_id.startswith(Role.HEDGE.value):
        draft.hedge(refusal=event.reason)


def profit_at(draft: Draft, price: Decimal) -> Decimal:
    """Profit of the short as if bought back at `price`: all fees, that purchase's too, and funding counted."""
    plan, short, qty = draft.plan, draft.short, draft.short_qty
    fee = max(plan.futures.taker, ZERO) if plan.futures is not None else ZERO
    funding = draft.view.funding - short.funding_from if short.opened_at is not None else ZERO
    return short.proceeds - exact_product(price, qty, ONE + fee) - short.costs + funding


def round_trip(draft: Draft, price: Decimal) -> Decimal:
    """Fees of opening and closing a short of this size."""
    fee = max(draft.plan.futures.taker, ZERO) if draft.plan.futures is not None else ZERO
    return exact_product(Decimal(2), fee, price, draft.short_qty)


def close(draft: Draft, word: str, reason: str) -> None:
    """Want no short any more, and none for the cooldown."""
    rest = draft.plan.config.hedge.cooldown_bars
    draft.hedge(ratio=ZERO, zone="", cool_until=draft.count + rest)
    draft.note("hedge", word, reason)


def tend(draft: Draft, *, news: bool) -> None:
    """Bring the asked quantities in line with what is wanted; renew caps; notice the end of a short, and silence."""
    if draft.plan.futures is None:
        return
    _end_if_flat(draft)
    again, quote = _retry_due(draft), draft.futures_quote
    if quote is not None and (news or again):
        _ask(draft, quote, again=again)
    elif quote is None and (again or (news and (draft.short.ratio > ZERO or draft.short_qty != ZERO))):
        draft.hedge(off_since=draft.short.off_since or draft.view.now, asked_at=draft.view.now)
    _watch(draft)


def wake_of(draft: Draft) -> Wake:
    """Return when the hedge must be looked at again, whatever the price does."""
    short = draft.short
    wake = Wake()
    if short.off_since is None:
        return wake
    told_at = short.off_since + timedelta(seconds=draft.plan.config.hedge.deadline_s)
    if draft.view.now < told_at:
        wake = Wake(deadline=told_at)
    if short.asked_at is not None:
        wake = wake.meet(Wake(deadline=short.asked_at + timedelta(seconds=_pause_s(short))))
    return wake


def stop_wakes(draft: Draft) -> tuple[Wake, Wake]:
    """Return the bands of spot and futures inside which the short's hard stop cannot be reached.

    It is reached with a loss above the bag's. Between the two losses lies `level`: while the short has lost less than that
    and the bag more, neither price alone can reach it.
    """
    quote, futures = draft.futures_quote, draft.plan.futures
    if quote is None or futures is None or draft.short_qty <= ZERO or draft.short.ratio == ZERO:
        return Wake(), Wake()
    profit, bag_loss = profit_at(draft, quote.ask), max(-draft.spot_profit, ZERO)
    by_capital, by_price = loss_limits(draft)
    level = max((bag_loss - profit) / 2, by_capital)
    slack = profit + min(level, by_price)
    high = quote.ask + ratio(slack, draft.short_qty * (ONE + max(futures.taker, ZERO)))
    spot = Wake()
    if level > by_capital and draft.bag > ZERO:
        spot = Wake(high=draft.plan.spot.floor_price(ratio(draft.view.net_cost - level, draft.bag)))
    return spot, Wake(high=futures.floor_price(high))


def loss_limits(draft: Draft) -> tuple[Decimal, Decimal]:
    """Return the losses that end a short, in quote: the share of capital (RULES: at least the bag's loss), the hard stop."""
    hedge = draft.plan.config.hedge
    sold_for = max(-draft.beside.net_cost, ZERO) if draft.beside is not None else ZERO
    return exact_product(hedge.max_loss, draft.plan.config.initial_capital), exact_product(
        hedge.stop_distance, sold_for
    )


def _end_if_flat(draft: Draft) -> None:
    # A short that was closed: what it earned pays for the bag, and the next one gets legs of its own.
    short = draft.short
    if short.opened_at is None or draft.short_qty != ZERO:
        return
    net = profit_at(draft, ZERO)
    draft.pay(budget=net, hedged=net)
    draft.note(
        "hedge",
        "CLOSED",
        f"net {_money(net)} after fees and funding; {_money(max(draft.money.budget, ZERO))} for the bag",
    )
    kept = draft.bag > ZERO  # without a bag there is no zone to be in
    draft.short = Short(
        cycle=short.cycle + 1, ratio=short.ratio if kept else ZERO, zone=short.zone if kept else "", off_since=short.off_since,
        cool_until=max(short.cool_until, draft.count + draft.plan.config.hedge.cooldown_bars),
    )  # fmt: skip


def _ask(draft: Draft, quote: Quote, *, again: bool) -> None:
    plan, short = draft.plan, draft.short
    move = _move(draft, quote)
    sell, buy = short.sold + max(move, ZERO), short.bought + max(-move, ZERO)
    if (sell, buy) != (short.asked_sell, short.asked_buy):
        slip = plan.config.max_slippage_bps / 10_000
        draft.hedge(
            asked_sell=sell, asked_buy=buy, cap_sell=_cap(plan, quote, Side.SELL, slip),
            cap_buy=_cap(plan, quote, Side.BUY, slip), asked_at=draft.view.now, tries=0,
        )  # fmt: skip
        if move != ZERO:
            word = "SELL" if move > ZERO else "BUY"
            why = (
                f"the {short.zone} zone wants {plain(short.ratio)} of the bag"
                if short.zone
                else "no zone wants a short"
            )
            draft.note(
                "hedge", word, f"{plain(abs(move))} to be short {_goal(draft, move)} of {plain(draft.bag)}: {why}"
            )
    elif again and move != ZERO:
        _renew(draft, quote)
    if move == ZERO:
        if draft.short.off_since is not None:
            draft.hedge(off_since=None, asked_at=None)
    elif draft.short.off_since is None:
        draft.hedge(off_since=draft.view.now)


def _goal(draft: Draft, move: Decimal) -> str:
    return plain(draft.short_qty + move)


def _move(draft: Draft, quote: Quote) -> Decimal:
    """Return by how much the short shall grow (> 0) or shrink (< 0); zero inside the deadband or below the minimum."""
    plan, have = draft.plan, draft.short_qty
    futures = plan.futures
    assert futures is not None  # noqa: S101  asked for bots with a hedge alone
    want = _wanted(draft, quote)
    band = exact_product(plan.config.hedge.deadband, draft.bag)
    if want > ZERO and have > ZERO and abs(want - have) <= band and have <= draft.bag:
        return ZERO
    if want > have:
        step = futures.floor_qty(want - have)
        if have > ZERO:
            return step if futures.sellable(quote.bid, step) > ZERO else ZERO
        return step if futures.sellable(ratio(quote.bid, HEAD_ROOM), step) > ZERO else ZERO
    return want - have  # buying back is asked for however small: what the exchange will not take is told


def _wanted(draft: Draft, quote: Quote) -> Decimal:
    plan, short = draft.plan, draft.short
    futures = plan.futures
    assert futures is not None  # noqa: S101  asked for bots with a hedge alone
    if short.ratio == ZERO or draft.bag == ZERO:
        _tell_margin(draft, ZERO, ZERO)
        return ZERO
    if draft.short_qty <= ZERO and draft.count < short.cool_until:
        return ZERO
    wish = min(exact_product(short.ratio, draft.bag), draft.bag)
    margin = max(plan.margin_quote + min(draft.money.hedged, ZERO), ZERO)
    most = ratio(margin * plan.config.leverage, quote.bid)
    _tell_margin(draft, wish, most)
    want = futures.floor_qty(min(wish, most))
    # What could not be closed again is not opened; a short that has shrunk so far ends.
    return want if futures.sellable(quote.bid, want) > ZERO else ZERO


def _tell_margin(draft: Draft, wish: Decimal, most: Decimal) -> None:
    # Margin that does not reach for all of a falling bag is as configured; short of what a break wants it is news.
    futures, hedge = draft.plan.futures, draft.plan.config.hedge
    subject = futures.symbol if futures is not None else ""
    if most >= min(wish, exact_product(hedge.break_ratio, draft.bag)):
        draft.calm.append((MARGIN, subject))
        return
    share = plain(ratio(most, wish).quantize(Decimal("0.01")))
    detail = f"the hedge's margin of {_money(draft.plan.margin_quote)} covers {share} of the {plain(wish)} short that is wanted"
    draft.alarms.append(Alarm(MARGIN, subject, "warning", detail))


def _retry_due(draft: Draft) -> bool:
    short = draft.short
    if short.off_since is None or short.asked_at is None:
        return False
    return draft.view.now >= short.asked_at + timedelta(seconds=_pause_s(short))


def _pause_s(short: Short) -> float:
    return RETRY_S * 2 ** min(short.tries, 4)


def _renew(draft: Draft, quote: Quote) -> None:
    short, plan = draft.short, draft.plan
    tries = short.tries + 1
    slip = min(plan.config.max_slippage_bps / 10_000 * 2 ** min(tries, 6), Decimal("0.5"))
    draft.hedge(
        cap_sell=_cap(plan, quote, Side.SELL, slip), cap_buy=_cap(plan, quote, Side.BUY, slip),
        asked_at=draft.view.now, tries=tries,
    )  # fmt: skip


def _cap(plan: AtrGridPlan, quote: Quote, side: Side, slip: Decimal) -> Decimal:
    assert plan.futures is not None  # noqa: S101  asked for bots with a hedge alone
    if side is Side.SELL:
        return plan.futures.floor_price(quote.bid * (ONE - slip))
    return plan.futures.ceil_price(quote.ask * (ONE + slip))


def _watch(draft: Draft) -> None:
    # A hedge that cannot be placed is an incident, not a silence.
    short, futures = draft.short, draft.plan.futures
    assert futures is not None  # noqa: S101  asked for bots with a hedge alone
    if short.off_since is None:
        draft.calm.append((UNHEDGED, futures.symbol))
        return
    deadline_s = draft.plan.config.hedge.deadline_s
    if draft.view.now < short.off_since + timedelta(seconds=deadline_s):
        return
    why = short.refusal or ("no price is known" if draft.futures_quote is None else "no order could be filled")
    detail = (
        f"for {deadline_s:g} s the short is {plain(draft.short_qty)} of a bag of {plain(draft.bag)} instead of "
        f"{plain(short.asked_sell - short.asked_buy)} in this cycle: {why}"
    )
    draft.alarms.append(Alarm(UNHEDGED, futures.symbol, "critical", detail))


def _money(amount: Decimal) -> str:
    return plain(amount.quantize(Decimal("0.01")))
