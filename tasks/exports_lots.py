"""Matches what was sold to what was bought, by a named method, for books that somebody else will check.

    fifo     what was acquired first is given up first
    lifo     what was acquired last is given up first
    average  every unit held costs the same: all cost by all quantity

Pure. Each (venue, symbol) is matched alone, in the order of time. A spot account can give up no more than it holds:
the rest has no known cost here and says so. A swap position may be short; then the sale opens and the purchase closes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum

from core.values import ZERO

PLACES = Decimal("1E-18")
_WIDE = Context(prec=76, rounding=ROUND_HALF_EVEN)


class Method(StrEnum):
    """How lots are chosen."""

    FIFO = "fifo"
    LIFO = "lifo"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True)
class Deal:
    """One execution: `qty` base that came (buy) or went (sell), `value` quote paid or received, fees already in it."""

    ts: datetime
    venue: str
    symbol: str
    buys: bool
    qty: Decimal
    value: Decimal
    trade_id: str
    bot_id: str


@dataclass(frozen=True, slots=True)
class Disposal:
    """A part of a lot that was given up. Money in quote. `opened_at` and `cost` are None where no purchase is known;
    with the average method `opened_at` is None. `short` says that the sale came first.
    """

    closed_at: datetime
    opened_at: datetime | None
    venue: str
    symbol: str
    short: bool
    qty: Decimal
    proceeds: Decimal
    cost: Decimal | None
    trade_id: str
    bot_id: str

    @property
    def gain(self) -> Decimal | None:
        """Proceeds less cost, None where the cost is not known."""
        return None if self.cost is None else _WIDE.subtract(self.proceeds, self.cost)


@dataclass(slots=True)
class _Lot:
    opened_at: datetime | None
    qty: Decimal
    value: Decimal


@dataclass(slots=True)
class _Position:
    # Lots oldest first, all of one direction; with the average method there is one at most.
    lots: list[_Lot]
    short: bool


def match(deals: Iterable[Deal], method: Method) -> Iterator[Disposal]:
    """Give the disposals in the order of the deals, which must come in the order of time."""
    positions: dict[tuple[str, str], _Position] = {}
    for deal in deals:
        position = positions.setdefault((deal.venue, deal.symbol), _Position([], short=False))
        yield from _apply(position, deal, method)


def _apply(position: _Position, deal: Deal, method: Method) -> Iterator[Disposal]:
    qty, value = deal.qty, deal.value
    # What has the position's own direction adds to it; an empty one takes any direction that it may have.
    while qty > ZERO and position.lots and deal.buys == position.short:
        place = -1 if method is Method.LIFO else 0
        lot = position.lots[place]
        taken = min(qty, lot.qty)
        part, lot_part = _share(value, taken, qty), _share(lot.value, taken, lot.qty)
        proceeds, cost = (lot_part, part) if position.short else (part, lot_part)
        yield Disposal(
            deal.ts, lot.opened_at, deal.venue, deal.symbol, position.short, taken, proceeds, cost, deal.trade_id, deal.bot_id
        )  # fmt: skip
        qty, value = _WIDE.subtract(qty, taken), _WIDE.subtract(value, part)
        lot.qty, lot.value = _WIDE.subtract(lot.qty, taken), _WIDE.subtract(lot.value, lot_part)
        if lot.qty == ZERO:
            position.lots.pop(place)
    if qty == ZERO:
        return
    if not deal.buys and ":" not in deal.symbol:
        yield Disposal(
            deal.ts, None, deal.venue, deal.symbol, short=False, qty=qty, proceeds=value, cost=None, trade_id=deal.trade_id,
            bot_id=deal.bot_id,
        )  # fmt: skip
        return
    position.short = not deal.buys
    if method is Method.AVERAGE:
        pool = position.lots[0] if position.lots else _Lot(None, ZERO, ZERO)
        position.lots = [_Lot(None, _WIDE.add(pool.qty, qty), _WIDE.add(pool.value, value))]
    else:
        position.lots.append(_Lot(deal.ts, qty, value))


def _share(value: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    # The last part takes what is left, so that the parts make the whole to the last digit.
    if part == whole:
        return value
    return _WIDE.quantize(_WIDE.divide(_WIDE.multiply(value, part), whole), PLACES)
