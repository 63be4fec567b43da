"""A position that executors left behind, folded from their trades: netted at its own cost, exact to the last digit.

A trade in the position's direction adds to it. One against it closes at the average: it takes its share of the cost,
floored to the ledger's places, and the last part takes all that is left; what is over opens the other way. Fees stand
beside and are part of every total.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from core.values import ZERO, Side, exact_product, ratio, share_of_cost


@dataclass(frozen=True, slots=True)
class Hold:
    """Signed base `qty` with its `cost` (quote, >= 0), what closing parts of it won before fees, fees, volumes in quote."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    bought: Decimal = ZERO
    sold: Decimal = ZERO

    @property
    def volume(self) -> Decimal:
        """Quote traded on both sides."""
        return self.bought + self.sold

    @property
    def average(self) -> Decimal:
        """Average entry price, without fees; zero where nothing is held."""
        return ratio(self.cost, abs(self.qty)) if self.qty != ZERO else ZERO

    def floating(self, mark: Decimal) -> Decimal:
        """Profit of what is held at `mark`, before fees."""
        return exact_product(mark, self.qty) - (self.cost if self.qty > ZERO else -self.cost)


def add(hold: Hold, side: Side, qty: Decimal, price: Decimal, fee: Decimal) -> Hold:
    """Fold one trade in: `qty` base (> 0, net of fees in base) at `price`, `fee` in quote."""
    quote = exact_product(price, qty)
    hold = replace(
        hold,
        fees=hold.fees + fee,
        bought=hold.bought + (quote if side is Side.BUY else ZERO),
        sold=hold.sold + (quote if side is Side.SELL else ZERO),
    )
    if hold.qty * side.sign >= ZERO:
        return replace(hold, qty=hold.qty + qty * side.sign, cost=hold.cost + quote)
    closing = min(qty, abs(hold.qty))
    cost = share_of_cost(hold.cost, closing, abs(hold.qty))
    won = (exact_product(price, closing) - cost) * -side.sign
    left = replace(hold, qty=hold.qty + closing * side.sign, cost=hold.cost - cost, realized=hold.realized + won)
    if qty > closing:
        over = qty - closing
        return replace(left, qty=over * side.sign, cost=exact_product(price, over))
    return left
