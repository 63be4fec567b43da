"""What happens on an account beside our own orders: strangers trade, money comes and goes, rules change, doors close.

All of it is real there: the books of the account move with it, so ledger and exchange must still agree in the end.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from core.facts import Fill, FundingPaid, SeenAs, Transfer
from core.market import Instrument
from core.orders import ClientId
from core.simbook import SimOrder
from core.simulation import Account
from core.values import ZERO, Side, exact_product, ratio, round_fee

if TYPE_CHECKING:
    from tests.simulation.hostile import HostileVenue

LONG_AGO = datetime(1970, 1, 1)
# Fees are sometimes taken in the venue's own coin, in one that nobody has heard of, or out of what was bought.
COINS = ("BNB", "XYZ")
# How long a door stays closed or a rule narrowed, in seconds; shorter and longer than any pause of ours.
CLOSED_S = (4.0, 90.0)
# How late the record of a payment may be, in seconds; it is read with an hour of overlap.
INCOME_LAG_S = 40.0


@dataclass(slots=True)
class Till(Account):
    """An account that sometimes takes its fee in another coin; `odd_fees` counts how often."""

    rng: Random = field(default_factory=Random)
    odd_fee: float = 0.0
    odd_fees: int = 0

    def trade(
        self, instrument: Instrument, client_id: str, side: Side, price: Decimal, qty: Decimal, now: datetime
    ) -> None:
        """Make one execution that no book of ours made: money, position and fee move, and a trade is written down."""
        settled = self.settle(instrument, side, price, qty)
        fee, fee_asset = self.fee(instrument, side, price, qty, maker=True)
        self.balances[fee_asset] = self.balances.get(fee_asset, ZERO) - fee
        made = Fill(
            venue=self.venue, symbol=instrument.symbol, trade_id=str(self.next_id), client_id=ClientId(client_id),
            side=side, price=price, qty=qty, fee=fee, fee_asset=fee_asset, ts=now, maker=True, settled=settled,
        )  # fmt: skip
        self.trades.append(made)
        self.next_id += 1

    def expire_in_match(self, order: SimOrder) -> None:
        """End an order that has just been accepted, as self-trade prevention does (EXPIRED_IN_MATCH)."""
        self._end(order, SeenAs.EXPIRED, "self-trade prevention")

    def fee(
        self, instrument: Instrument, side: Side, price: Decimal, qty: Decimal, *, maker: bool
    ) -> tuple[Decimal, str]:
        # By name, for a dataclass with slots is made anew and plain `super()` would look into the first make.
        fee, asset = Account.fee(self, instrument, side, price, qty, maker=maker)
        if self.odd_fee <= 0 or self.rng.random() >= self.odd_fee:
            return fee, asset
        self.odd_fees += 1
        if side is Side.BUY and not instrument.swap and self.rng.random() < 0.5:
            return round_fee(exact_product(qty, instrument.maker)), instrument.base
        return round_fee(ratio(fee, Decimal(600))), self.rng.choice(COINS)


@dataclass(slots=True)
class Beside:
    """What others have done so far, and until when doors are closed. `held` is what strangers bought, by symbol."""

    banned_until: datetime = LONG_AGO
    storm_until: datetime = LONG_AGO
    narrowed_until: datetime = LONG_AGO
    rules: dict[str, Instrument] = field(default_factory=dict[str, Instrument])
    held: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    incomes: list[tuple[datetime, FundingPaid | Transfer]] = field(default_factory=list)
    closed_s: tuple[float, float] = CLOSED_S

    def happen(self, venue: "HostileVenue", now: datetime) -> None:
        """Let one tick pass for everybody else."""
        if venue.chance("banned"):
            self.banned_until = now + self.a_while(venue.rng)
        if venue.chance("storm"):
            self.storm_until = now + self.a_while(venue.rng)
        if self.rules and now >= self.narrowed_until:
            venue.account.instruments.update(self.rules)
            self.rules = {}
        if not self.rules and venue.chance("narrowed"):
            self._narrow(venue, now)
        if venue.chance("stranger"):
            self.trade(venue, now)
        if venue.chance("transfer"):
            self._transfer(venue, now)
        if venue.chance("funding"):
            self._fund(venue, now)

    def trade(self, venue: "HostileVenue", now: datetime) -> None:
        """Let a person buy something by hand, or sell what was bought by hand before."""
        account, rng = venue.account, venue.rng
        symbol = rng.choice(list(account.instruments))
        price, held = account.prices.get(symbol), self.held.get(symbol, ZERO)
        if price is None:
            return
        if held > ZERO and rng.random() < 0.7:
            qty, side = held, Side.SELL
        else:
            qty, side = account.instruments[symbol].lot_step * rng.randrange(1, 80), Side.BUY
        # Only in quote: what a stranger's fee took of the coins would otherwise be missing when the rest is sold.
        odd, account.odd_fee = account.odd_fee, 0.0
        rules = replace(account.instruments[symbol], fee_in_base=False)
        account.trade(rules, f"web_{account.next_id}", side, price, qty, now)
        account.odd_fee = odd
        self.held[symbol] = held + qty * side.sign
        venue.note(now)

    def a_while(self, rng: Random) -> timedelta:
        """Draw for how long a door stays closed."""
        return timedelta(seconds=rng.uniform(*self.closed_s))

    def _transfer(self, venue: "HostileVenue", now: datetime) -> None:
        # Quote alone goes out, and never so much that our orders want for it: that is the owner's business.
        account, rng = venue.account, venue.rng
        asset = next(iter(account.instruments.values())).quote
        amount = Decimal(rng.randrange(-300, 900))
        account.balances[asset] = account.balances.get(asset, ZERO) + amount
        ref = f"transfer-{len(self.incomes)}"
        self._record(Transfer(account.venue, asset, amount, ref, now), rng, now)

    def _fund(self, venue: "HostileVenue", now: datetime) -> None:
        account, rng = venue.account, venue.rng
        open_swaps = [name for name, one in account.swaps.items() if one.qty != ZERO]
        if not open_swaps:
            venue.had_nothing_to_hit("funding")
            return
        symbol = rng.choice(open_swaps)
        rate = Decimal(rng.randrange(-30, 30)) / 100_000
        asset = account.instruments[symbol].quote
        amount = -round_fee(exact_product(rate, account.prices[symbol], account.swaps[symbol].qty))
        account.balances[asset] += amount
        ref = f"funding-{len(self.incomes)}"
        self._record(FundingPaid(account.venue, symbol, amount, asset, rate, ref, now), rng, now)

    def _record(self, income: FundingPaid | Transfer, rng: Random, now: datetime) -> None:
        self.incomes.append((now + timedelta(seconds=rng.uniform(0, INCOME_LAG_S)), income))

    def _narrow(self, venue: "HostileVenue", now: datetime) -> None:
        # The venue asks for larger orders from now on; what rests stays, what is sent may be refused as FILTER.
        self.narrowed_until = now + self.a_while(venue.rng)
        self.rules = dict(venue.account.instruments)
        for symbol, rules in self.rules.items():
            venue.account.instruments[symbol] = replace(rules, min_notional=rules.min_notional * 12)
