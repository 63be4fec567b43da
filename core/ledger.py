"""Double entry, per asset and per bot. Rule: the amounts of one transaction sum to zero in every asset.

Accounts: `wallet` is what the venue holds for us, `position` a swap's signed base quantity, `trading` the other side of
every exchange of one asset for another, `fees` what was paid, `settled` a swap's realised cash, `funding` what perpetual
positions paid or received, `external` deposits and withdrawals, `unexplained` what no record accounts for (RULES 18a).
A wallet's sum must equal the venue's balance; nothing here is ever plugged to make it so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.facts import Fill, FundingPaid
from core.market import Instrument
from core.quick import quick
from core.values import ZERO, Side, exact_product


@quick
@dataclass(frozen=True, slots=True)
class Entry:
    """One line of one transaction. `seq` orders all lines of a store without gaps; `ref` names the cause."""

    seq: int
    txn_id: int
    ts: datetime
    bot_id: str
    venue: str
    account: str
    asset: str
    amount: Decimal
    kind: str
    ref: str


@quick
@dataclass(frozen=True, slots=True)
class Posting:
    """A line before it is numbered: account, asset, amount."""

    account: str
    asset: str
    amount: Decimal


def moved(debit: str, credit: str, asset: str, amount: Decimal) -> tuple[Posting, Posting]:
    """Move `amount` of `asset` from `credit` to `debit`: the only way in which postings are made."""
    return Posting(debit, asset, amount), Posting(credit, asset, -amount)


def fill_postings(fill: Fill, instrument: Instrument) -> tuple[Posting, ...]:
    """Book one execution. Spot exchanges base for quote; a swap changes a position and settles cash."""
    signed = fill.qty if fill.side is Side.BUY else -fill.qty
    if instrument.swap:
        lines = moved("position", "trading", fill.symbol, signed)
        if fill.settled:
            lines += moved("wallet", "settled", instrument.quote, fill.settled)
    else:
        notional = exact_product(fill.price, signed)
        lines = moved("wallet", "trading", instrument.base, signed)
        lines += moved("trading", "wallet", instrument.quote, notional)
    if fill.fee:
        lines += moved("fees", "wallet", fill.fee_asset, fill.fee)
    return lines


def funding_postings(paid: FundingPaid) -> tuple[Posting, ...]:
    """Book one funding payment; positive was received."""
    return moved("wallet", "funding", paid.asset, paid.amount)


def transfer_postings(asset: str, amount: Decimal, account: str = "external") -> tuple[Posting, ...]:
    """Book money that came in (> 0) or left (< 0) without a trade of ours."""
    return moved("wallet", account, asset, amount)


@quick
@dataclass(frozen=True, slots=True)
class Numbering:
    """The next free numbers of a ledger. Part of the world, so that a replay numbers alike."""

    seq: int = 1
    txn_id: int = 1


def number(
    postings: Iterable[Posting], at: Numbering, *, ts: datetime, bot_id: str, venue: str, kind: str, ref: str
) -> tuple[tuple[Entry, ...], Numbering]:
    """Turn postings into numbered entries of one transaction.

    Raises `ArithmeticError` where they do not balance: that is a fault of this house and must stop it.
    """
    lines = tuple(postings)
    check_balanced(lines)
    entries = tuple(
        [
            Entry(at.seq + i, at.txn_id, ts, bot_id, venue, p.account, p.asset, p.amount, kind, ref)
            for i, p in enumerate(lines)
        ]
    )
    return entries, Numbering(at.seq + len(entries), at.txn_id + 1)


def check_balanced(postings: Iterable[Posting]) -> None:
    """Raise `ArithmeticError` unless the amounts of every asset sum to zero."""
    sums: dict[str, Decimal] = {}
    for line in postings:
        sums[line.asset] = sums.get(line.asset, ZERO) + line.amount
    for asset, amount in sums.items():
        if amount != ZERO:
            message = f"transaction does not balance: {amount} {asset} left over"
            raise ArithmeticError(message)
