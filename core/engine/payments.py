"""Shares one funding payment among those who held the position that it was paid for.

The exchange pays the account's one net position. Each bot on it gets its share by what it held when the payment was
made, and so does what is of no bot; the shares sum to what the exchange paid, to the digit (RULES 9).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from core.engine.booking import STRANGER
from core.engine.draft import BotDraft, Draft
from core.facts import FundingPaid
from core.ledger import funding_postings
from core.machine import Wake
from core.values import AMOUNT_PLACES, ZERO, exact_product, floor_to, plain, ratio, total

# The journal's word for a payment whose shares could not be known exactly; its reason is the note of their rows.
INEXACT = "FUNDING_SHARES"


def share_funding(draft: Draft, bots: Iterable[BotDraft], paid: FundingPaid) -> None:
    """Book a payment to those who held the position at its time; `bots` are those that trade its market.

    Nobody is left out: what no bot held, and a payment for nothing that is known, is the stranger's. Where the shares are
    a guess, the journal says why.
    """
    drafts = {bot.spec.bot_id: bot for bot in bots}
    held, doubt = held_then(draft, drafts, paid)
    shares = {name: amount for name, amount in shares_of(paid.amount, held).items() if amount != ZERO}
    for name, amount in (shares or {min(held): ZERO}).items():
        _book(draft, drafts.get(name), paid, amount)
    if doubt and len(held) > 1:  # one owner alone has all of it, whatever it held
        draft.note("", paid.ref, INEXACT, f"{paid.symbol}: {doubt}")


def held_then(draft: Draft, bots: Mapping[str, BotDraft], paid: FundingPaid) -> tuple[dict[str, Decimal], str]:
    """Return signed base by owner at the time of a payment, and why that is not certain (else nothing).

    What was traded from that moment on is taken off what is held now: a payment is read some time after it was made, and
    belongs to what was held before that instant's fills (RULES 18b). Where nobody held anything, those who may have are
    listed with zero.
    """
    market = (paid.venue, paid.symbol)
    held = {name: bot.inventory_at(market) for name, bot in bots.items()}
    held[STRANGER] = draft.positions.get(market, ZERO) - total(held.values())
    foreign = False
    for owner, qty in _traded_since(draft, paid):
        known = owner if owner in bots else STRANGER
        held[known] -= qty
        foreign = foreign or known == STRANGER
    some = {name: qty for name, qty in held.items() if qty != ZERO}
    owners = some or dict.fromkeys(bots, ZERO) or {STRANGER: ZERO}
    doubt = ""
    if total(some.values()) == ZERO:
        doubt = f"what was held sums to zero, so all of {plain(paid.amount)} is booked to {min(owners)}"
    elif foreign:
        doubt = "somebody else traded after it was paid; whose quantity that changed is not certain"
    return owners, doubt


def _traded_since(draft: Draft, paid: FundingPaid) -> list[tuple[str, Decimal]]:
    now = [
        (owner, fill.qty * fill.side.sign)
        for owner, fill in draft.fills
        if (fill.venue, fill.symbol) == (paid.venue, paid.symbol) and fill.ts >= paid.ts
    ]
    return [*paid.traded_since, *now]


def shares_of(amount: Decimal, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Allocate money by signed quantity held, so that the shares sum to `amount` exactly (RULES 9).

    Quotients are floored to the ledger's places; the units that are left go to the largest remainders, one each, ties to
    the first by name: no share is a unit away from its quotient, and none is on the wrong side of zero. Where the quantities
    sum to zero the amount cannot be split by them; all of it goes to the first by name. `amount` has the ledger's places.
    """
    whole = total(held.values())
    names = sorted(held)
    if whole == ZERO:
        return {name: amount if name == names[0] else ZERO for name in names}
    exact = {name: ratio(exact_product(amount, held[name]), whole) for name in names}
    shares = {name: floor_to(exact[name], AMOUNT_PLACES) for name in names}
    left = amount - total(shares.values())
    for name in sorted(names, key=lambda one: shares[one] - exact[one]):
        unit = min(left, AMOUNT_PLACES)
        shares[name] += unit
        left -= unit
    shares[names[0]] += left
    return shares


def _book(draft: Draft, bot: BotDraft | None, paid: FundingPaid, amount: Decimal) -> None:
    # None: what the account holds for no bot.
    owner = STRANGER if bot is None else bot.spec.bot_id
    posts = funding_postings(replace(paid, amount=amount))
    draft.post(posts, ts=paid.ts, bot_id=owner, venue=paid.venue, kind="funding", ref=paid.ref)
    if bot is None:
        return
    bot.funding += amount
    bot.machine_wake = Wake(deadline=draft.now)  # a band may have been made of what the bot has won so far (RULES 18c)
