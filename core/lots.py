"""Lots: inventory that entry legs opened, kept at its own cost until exit legs close it.

A lot keeps quantity and cost, never an average (RULES 18a): closing a part takes its share of the cost, floored to the
ledger's places, and the last part takes all that is left, so realised profit over a lot's life is exact. Fees stand
beside, in quote; realised profit is before fees (RULES 15).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.facts import Fill
from core.market import Instrument
from core.orders import Role
from core.quick import quick
from core.values import ZERO, Side, exact_product, share_of_cost

NONE_SPARED: Mapping[str, Decimal] = {}


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Inventory opened by the fills of one entry leg. Quantities are base, `cost`, `realized`, `fees` quote.

    `side` is the entry's: a buy lot is long, a sell lot short. `fees` holds all that was paid on it so far.
    """

    lot_id: str
    bot_id: str
    venue: str
    symbol: str
    side: Side
    opened_at: datetime
    updated_at: datetime
    opened_qty: Decimal
    qty: Decimal
    cost: Decimal
    realized: Decimal
    grid_profit: Decimal
    fees: Decimal
    exits: int

    @property
    def open(self) -> bool:
        """Whether anything of it is left."""
        return self.qty > ZERO


def is_hedge(lot_id: str) -> bool:
    """Whether a lot was opened by a hedge, which takes risk off, and not by an entry."""
    return lot_id.startswith(Role.HEDGE.value)


def fee_in_quote(fill: Fill, instrument: Instrument) -> Decimal | None:
    """Value a fill's fee in quote at the fill's own price; None where the fee is in a third asset."""
    if fill.fee_asset == instrument.quote:
        return fill.fee
    if fill.fee_asset == instrument.base:
        return exact_product(fill.fee, fill.price)
    return None


def net_qty(fill: Fill, instrument: Instrument) -> Decimal:
    """Base quantity by which a fill changes the holding: a fee taken in base shrinks a buy and costs a sell more."""
    if fill.fee_asset != instrument.base or instrument.swap:
        return fill.qty
    return fill.qty - fill.fee if fill.side is Side.BUY else fill.qty + fill.fee


def enlarge(lot: Lot | None, lot_id: str, bot_id: str, fill: Fill, qty: Decimal, fee: Decimal) -> Lot:
    """Open a lot with a fill of its entry, or add to it. `qty` is net of base fees, `fee` is in quote."""
    cost = exact_product(fill.price, qty)
    if lot is None:
        return Lot(
            lot_id=lot_id, bot_id=bot_id, venue=fill.venue, symbol=fill.symbol, side=fill.side, opened_at=fill.ts,
            updated_at=fill.ts, opened_qty=qty, qty=qty, cost=cost, realized=ZERO, grid_profit=ZERO, fees=fee, exits=0,
        )  # fmt: skip
    return replace(
        lot,
        opened_qty=lot.opened_qty + qty,
        qty=lot.qty + qty,
        cost=lot.cost + cost,
        fees=lot.fees + fee,
        updated_at=fill.ts,
    )


def reduce(lot: Lot, price: Decimal, qty: Decimal, fee: Decimal, role: Role, ts: datetime) -> Lot:
    """Close `qty` of a lot at `price`. Profit by the lot's own exit leg is grid profit, by any other leg it is not.

    Raises `ValueError` when `qty` exceeds what is open; the caller splits an over-fill first.
    """
    cost = share_of_cost(lot.cost, qty, lot.qty)
    profit = (exact_product(price, qty) - cost) * lot.side.sign
    return Lot(
        lot_id=lot.lot_id, bot_id=lot.bot_id, venue=lot.venue, symbol=lot.symbol, side=lot.side, opened_at=lot.opened_at,
        updated_at=ts, opened_qty=lot.opened_qty, qty=lot.qty - qty, cost=lot.cost - cost, realized=lot.realized + profit,
        grid_profit=lot.grid_profit + (profit if role is Role.EXIT else ZERO), fees=lot.fees + fee, exits=lot.exits + 1,
    )  # fmt: skip


def split_oldest_first(
    lots: list[Lot], qty: Decimal, spared: Mapping[str, Decimal] = NONE_SPARED
) -> tuple[list[tuple[Lot, Decimal]], Decimal]:
    """Spread a closing quantity over open lots, oldest first; returns the parts and what no lot could take.

    `spared` holds back base of some lots, by lot id: it is taken only once nothing else is left.
    """
    oldest = sorted(lots, key=lambda one: (one.opened_at, one.lot_id))
    taken: dict[str, Decimal] = {}
    left = qty
    for kept in (spared, NONE_SPARED) if spared else (NONE_SPARED,):
        for lot in oldest:
            if left <= ZERO:
                break
            before = taken.get(lot.lot_id, ZERO)
            part = min(left, lot.qty - before - kept.get(lot.lot_id, ZERO))
            if part > ZERO:
                taken[lot.lot_id] = before + part
                left -= part
    return [(lot, taken[lot.lot_id]) for lot in oldest if lot.lot_id in taken], left


def unrealized(lot: Lot, mark: Decimal) -> Decimal:
    """Profit of what is left at `mark`, before fees and with no closing fee assumed (RULES 15)."""
    return (exact_product(mark, lot.qty) - lot.cost) * lot.side.sign
