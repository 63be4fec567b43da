"""The gates that a leg passes before it is sent: mode and blocks, then the risk limits; groups pass together or not at all."""

from decimal import Decimal

from core.engine.control import may_keep, may_place
from core.engine.draft import BotDraft, Draft
from core.engine.protect import beyond_stop
from core.market import Market
from core.orders import Kind, Leg, Role
from core.risk import Approved, Caps, Declined, Exposure, check
from core.values import ZERO, exact_product, plain, total
from core.working import Proposal, Send, Work, propose, wanted


def market_of(bot: BotDraft, work: Work) -> Market:
    """Name the market in which a leg is worked; the bot's first where neither leg nor order says."""
    if work.leg is not None:
        return work.leg.venue, work.leg.symbol
    if work.order is not None:
        return work.order.venue, work.order.symbol
    return bot.spec.instrument.market


def proposal_for(draft: Draft, bot: BotDraft, work: Work) -> Proposal:
    """Ask the order layer what to do about a leg; one that control does not let rest is as good as not wanted."""
    market = market_of(bot, work)
    leg = work.leg
    if leg is not None and work.order is not None and not (may_keep(bot, leg) and beyond_stop(bot, leg) is None):
        work = wanted(work, None)
    return propose(work, draft.quotes.get(market), bot.spec.rule(market), draft.now, bot.spec.safe_spread)


def gate(
    draft: Draft, bot: BotDraft, leg: Leg, send: Send, *, beside_quote: Decimal = ZERO, beside_entries: int = 0
) -> Approved | Declined:
    """Approve or decline one leg. `beside_*` is what the rest of its group would add first."""
    beyond = beyond_stop(bot, leg)
    if beyond is not None:
        return Declined(beyond, passing=True)
    reason = may_place(draft, bot, leg)
    if reason is not None:
        return Declined(reason, passing=bot.cancelled_at == draft.now)
    market = (leg.venue, leg.symbol)
    quote = draft.quotes.get(market)
    if quote is None:
        return Declined(f"no price of {leg.symbol} has been read yet", passing=True)
    at = _at_stake(draft, bot, leg, beside_quote, beside_entries)
    verdict = check(leg, send, quote, at, _caps(draft, bot), draft.now, swap=bot.spec.rule(market).swap)
    if leg.role is not Role.EXIT or isinstance(verdict, Declined):
        return verdict
    reason = _outsold(bot, leg, send)
    return verdict if reason is None else Declined(reason)


class Groups:
    """Leg groups of one bot in one advance: approved all or none, as long as none of their legs has been sent (RULES 9b).

    Once one leg is out, the others are what completes it: each then passes the gates for itself.
    """

    def __init__(self, draft: Draft, bot: BotDraft) -> None:
        """Judge lazily: most bots have no groups."""
        self._draft = draft
        self._bot = bot
        self._verdicts: dict[str, Declined | None] = {}

    def verdict(self, leg: Leg, send: Send) -> Approved | Declined:
        """Approve or decline a leg of a group."""
        if leg.group not in self._verdicts:
            self._verdicts[leg.group] = self._judge(leg.group)
        declined = self._verdicts[leg.group]
        if declined is not None:
            return Declined(f"group {leg.group}: {declined.reason}", passing=True)
        return gate(self._draft, self._bot, leg, send)

    def _judge(self, group: str) -> Declined | None:
        members = [
            (name, work, work.leg)
            for name, work in sorted(self._bot.works.items())
            if work.leg is not None and work.leg.group == group
        ]
        if any(work.executed > ZERO or work.order is not None for _, work, _ in members):
            return None
        quote_sum = ZERO
        for entries, (name, work, leg) in enumerate(members):
            send = proposal_for(self._draft, self._bot, work)
            if not isinstance(send, Send):
                return Declined(f"{name} cannot be sent: {getattr(send, 'reason', '') or 'nothing is left of it'}")
            verdict = gate(self._draft, self._bot, leg, send, beside_quote=quote_sum, beside_entries=entries)
            if isinstance(verdict, Declined):
                return Declined(f"{name}: {verdict.reason}")
            price = send.price or self._draft.quotes[leg.venue, leg.symbol].mid
            quote_sum += exact_product(price, send.qty)
        return None


def only_reduces(draft: Draft, bot: BotDraft, leg: Leg, qty: Decimal) -> bool:
    """Whether the account's net position, less what live orders already take off it, leaves `qty` to take off (RULES 9).

    Bots share one net position: where another's trade or a hand has made it smaller than this bot's lots, the venue would
    refuse a reduce-only order, and the lots could never be closed. A position that was never read is believed to be ours.
    """
    market = (leg.venue, leg.symbol)
    position = draft.positions.get(market)
    if position is None or leg.kind is Kind.STOP_MARKET:  # a stop may never open anything, whatever else is so
        return True
    promised = bot.live_at(market).exit_qty + draft.promised_beside(bot.spec.bot_id, market)
    return -position * leg.side.sign - promised >= qty


def _outsold(bot: BotDraft, leg: Leg, send: Send) -> str | None:
    """Say why an exit would sell more than its place holds, beside other exits of the same place that are not over yet.

    A stop waits for the end of the target that it replaces even where the bot holds other lots: theirs are not its to sell.
    """
    place = leg.leg_id[: leg.leg_id.index("-") + 1]
    promised = ZERO
    for name in [name for name in bot.works if name.startswith(place) and name != leg.leg_id]:
        order = bot.works[name].order
        if order is not None:
            promised += order.unbooked
    if promised == ZERO:
        return None
    held = total(lot.qty for lot in bot.lots.values() if lot.lot_id.startswith(place[1:]))
    if promised + send.qty <= held:
        return None
    return f"waits: {plain(max(held - promised, ZERO))} of {plain(held)} of its lot is free of its other exits"


def _caps(draft: Draft, bot: BotDraft) -> Caps:
    return Caps(
        max_open_orders=bot.spec.max_open_orders,
        max_position_size=bot.spec.max_position_size,
        max_exposure_quote=draft.limits.max_exposure_quote,
        max_price_age_s=draft.limits.max_price_age_s,
        max_bound_quote=bot.spec.max_bound_quote,
    )


def _at_stake(draft: Draft, bot: BotDraft, leg: Leg, beside_quote: Decimal, beside_entries: int) -> Exposure:
    account = ZERO
    if not leg.role.reduces and draft.limits.max_exposure_quote is not None:
        account = draft.exposure_beside(bot.spec.bot_id) + bot.exposure + beside_quote
    market = (leg.venue, leg.symbol)
    live = bot.live_at(market)
    entries = live.entries if not bot.beside else bot.live.entries + sum(h.live.entries for h in bot.beside.values())
    return Exposure(
        inventory=bot.inventory_at(market), live_entries=entries + beside_entries, live_entry_qty=live.entry_qty,
        live_exit_qty=live.exit_qty, account_quote=account,
        bot_quote=bot.exposure + beside_quote if bot.spec.max_bound_quote is not None else ZERO,
    )  # fmt: skip
