"""What a simulated account owns: balances, what orders have set aside, swap positions, their margin and liquidation.

A swap position is isolated: its margin is cost / leverage, and it is liquidated when what is left of the margin at the
mark falls to `maintenance` of its notional (Binance USD-M, "Liquidation Protocols"). The mark is the last price here, and
the whole margin is lost: what a better price than the bankruptcy price would leave goes to the exchange's fund.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.facts import FundingPaid
from core.market import Instrument
from core.simbook import FillRules, SimOrder, Swap
from core.values import ONE, ZERO, Side, exact_product, floor_to, ratio, round_fee, share_of_cost

# Funding is booked to eight decimals; what the payer owes is never rounded in his favour.
FUNDING_PLACES = Decimal("1E-8")


@dataclass(slots=True)
class Purse:
    """The money side of a simulated account; `core.simulation.Account` adds orders and prices."""

    venue: str
    instruments: dict[str, Instrument]
    rules: FillRules
    balances: dict[str, Decimal]
    leverage: int = 1
    swaps: dict[str, Swap] = field(default_factory=dict[str, Swap])
    locked: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    prices: dict[str, Decimal] = field(default_factory=dict[str, Decimal])

    def liquidation(self, symbol: str) -> tuple[Decimal | None, Decimal | None]:
        """Return the prices at or beyond which a position is liquidated: (below, above), for a long one or a short one."""
        swap = self.swaps.get(symbol)
        if swap is None or swap.qty == ZERO:
            return None, None
        margin = ratio(swap.cost, Decimal(self.leverage))
        if swap.qty > ZERO:
            at = ratio(swap.cost - margin, exact_product(swap.qty, ONE - self.rules.maintenance))
            return (at if at > ZERO else None), None
        return None, ratio(swap.cost + margin, exact_product(-swap.qty, ONE + self.rules.maintenance))

    def bankruptcy(self, symbol: str) -> Decimal:
        """Return the price at which a position's margin is gone, on the tick that is worse for it."""
        swap, instrument = self.swaps[symbol], self.instruments[symbol]
        margin = ratio(swap.cost, Decimal(self.leverage))
        if swap.qty > ZERO:
            return max(instrument.floor_price(ratio(swap.cost - margin, swap.qty)), instrument.tick_size)
        return instrument.ceil_price(ratio(swap.cost + margin, -swap.qty))

    def fund(self, symbol: str, rate: Decimal, now: datetime) -> FundingPaid | None:
        """Pay funding on the position held: notional at the last price times `rate`, from longs to shorts where > 0.

        None where nothing is held. Binance pays on position times mark price (its document "Introduction to Binance
        Futures Funding Rates"); the simulated venue's mark is its last price.
        """
        swap, last = self.swaps.get(symbol), self.prices.get(symbol)
        if swap is None or last is None or swap.qty == ZERO:
            return None
        amount = floor_to(-exact_product(swap.qty, last, rate), FUNDING_PLACES)
        asset = self.instruments[symbol].quote
        self.balances[asset] = self.balances.get(asset, ZERO) + amount
        return FundingPaid(self.venue, symbol, amount, asset, rate, f"{symbol} {now.isoformat()}", now)

    def fee(
        self, instrument: Instrument, side: Side, price: Decimal, qty: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        """Return a trade's fee and the asset that it is taken in, as the venue charges it."""
        rate = instrument.maker if maker else instrument.taker
        if instrument.fee_in_base and side is Side.BUY and not instrument.swap:
            return round_fee(exact_product(qty, rate)), instrument.base
        return round_fee(exact_product(price, qty, rate)), instrument.quote

    def settle(self, instrument: Instrument, side: Side, price: Decimal, qty: Decimal) -> Decimal:
        """Exchange base for quote, or move a swap's position; returns the cash that closing part of it settled."""
        notional = exact_product(price, qty)
        balances = self.balances
        if not instrument.swap:
            balances[instrument.base] = balances.get(instrument.base, ZERO) + qty * side.sign
            balances[instrument.quote] = balances.get(instrument.quote, ZERO) - notional * side.sign
            return ZERO
        swap = self.swaps.setdefault(instrument.symbol, Swap())
        signed = qty * side.sign
        if swap.qty * signed >= 0:
            swap.qty += signed
            swap.cost += notional
            return ZERO
        closing = min(qty, abs(swap.qty))
        cost = share_of_cost(swap.cost, closing, abs(swap.qty))
        value = exact_product(price, closing)
        settled = value - cost if swap.qty > 0 else cost - value
        swap.cost -= cost
        swap.qty += closing * side.sign
        if qty > closing:
            swap.qty = (qty - closing) * side.sign
            swap.cost = exact_product(price, qty - closing)
        balances[instrument.quote] = balances.get(instrument.quote, ZERO) + settled
        return settled

    def lock(self, order: SimOrder, last: Decimal) -> bool:
        """Set aside what the rest of an order needs; False where it is not free."""
        instrument, left = self.instruments[order.symbol], order.qty - order.filled
        price = order.price if order.price is not None else last
        fee = max(instrument.maker, instrument.taker, ZERO)
        if instrument.swap:
            held = self.swaps.get(order.symbol, Swap()).qty
            opening = left if held * order.side.sign >= 0 else max(left - abs(held), ZERO)
            need, asset = ratio(exact_product(price, opening), Decimal(self.leverage)), instrument.quote
            free = self.balances.get(asset, ZERO) - self.locked.get(asset, ZERO) - self.margin(asset)
        elif order.side is Side.BUY:
            need, asset = (
                exact_product(price, left, ONE if instrument.fee_in_base else ONE + fee),
                instrument.quote,
            )
            free = self.balances.get(asset, ZERO) - self.locked.get(asset, ZERO)
        else:
            need, asset = left, instrument.base
            free = self.balances.get(asset, ZERO) - self.locked.get(asset, ZERO)
        if need > free:
            return False
        order.locked = need
        self.locked[asset] = self.locked.get(asset, ZERO) + need
        return True

    def margin(self, asset: str) -> Decimal:
        """Sum the margin of all open positions in an asset: cost / leverage."""
        return sum(
            (
                ratio(s.cost, Decimal(self.leverage))
                for n, s in self.swaps.items()
                if self.instruments[n].quote == asset
            ),
            ZERO,
        )

    def unlock(self, order: SimOrder) -> None:
        """Give back what an order had set aside."""
        instrument = self.instruments[order.symbol]
        asset = instrument.quote if instrument.swap or order.side is Side.BUY else instrument.base
        self.locked[asset] = self.locked.get(asset, ZERO) - order.locked
        order.locked = ZERO
