"""Configuration of the `xemm` kind, and the price at which its maker order rests."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, field_validator, model_validator

from core.config import BotBase, ConnectorPair, Fraction, NotNegative, PlanRefused, Positive, led_by
from core.machine import Prepared
from core.market import Instrument, Market
from core.pairing import PATIENCE_LEAST_S, Ways
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

Patience = Annotated[float, Field(ge=PATIENCE_LEAST_S, le=3600, allow_inf_nan=False)]


class XemmConfig(BotBase):
    """A maker order in one market that follows the other one's price; what it trades is hedged there at once.

    Profitabilities are fractions of the maker price, after the fees of both legs: the order is placed at `target`, and
    replaced once what it would earn is below `min` or above `max`. `slippage_buffer` is expected of every hedge (fraction),
    `transaction_cost_quote` of every round (quote). Times are in seconds.
    """

    kind: Literal["xemm"] = "xemm"
    buying_market: ConnectorPair
    selling_market: ConnectorPair
    maker_side: Literal["BUY", "SELL"] = "BUY"
    order_amount: Positive
    min_profitability: Fraction
    target_profitability: Fraction
    max_profitability: Fraction
    transaction_cost_quote: NotNegative = ZERO
    slippage_buffer: Fraction = ZERO
    rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    post_only: bool = True
    hedge_deadline_s: Patience = 5
    retry_s: Patience = 1
    unwind_after_s: Patience = 30
    max_quote_age_s: Patience = 15
    capital_quote: Positive = Decimal(1000)

    @model_validator(mode="before")
    @classmethod
    def _of_its_maker(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        said = cast("dict[str, Any]", given)
        side = str(said.get("maker_side", "BUY"))
        return led_by(said, said.get("selling_market" if side.upper() == "SELL" else "buying_market"))

    @field_validator("maker_side", mode="before")
    @classmethod
    def _upper(cls, side: Any) -> Any:
        return side.upper() if isinstance(side, str) else side

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.min_profitability <= self.target_profitability <= self.max_profitability:
            message = "target_profitability: lies between min_profitability and max_profitability"
            raise ValueError(message)
        if self.min_profitability == self.max_profitability:
            message = "max_profitability: must be above min_profitability, or the order is replaced at every price"
            raise ValueError(message)
        if self.buying_market.market == self.selling_market.market:
            message = "selling_market: is the buying market; two markets are needed"
            raise ValueError(message)
        if (self.venue, self.symbol) != self.maker.market:
            message = f"venue: the maker trades {self.maker.symbol} at {self.maker.venue}; leave venue and symbol out"
            raise ValueError(message)
        if self.unwind_after_s < self.hedge_deadline_s:
            message = f"unwind_after_s: at least hedge_deadline_s {self.hedge_deadline_s:g}"
            raise ValueError(message)
        return self

    @property
    def maker(self) -> ConnectorPair:
        """Where the maker order rests."""
        return self.buying_market if self.maker_side == "BUY" else self.selling_market

    @property
    def taker(self) -> ConnectorPair:
        """Where it is hedged."""
        return self.selling_market if self.maker_side == "BUY" else self.buying_market

    def markets(self) -> tuple[Market, ...]:
        """The maker's market first, then the taker's."""
        return self.maker.market, self.taker.market

    def direction_at(self, market: Market) -> str:
        """It buys in one market and sells in the other."""
        return "BUY" if market == self.buying_market.market else "SELL"


@dataclass(frozen=True, slots=True)
class XemmPlan:
    """A configuration made ready. `cost` is the round's transaction cost in quote for one base."""

    config: XemmConfig
    ways: Ways
    cost: Decimal

    @property
    def maker(self) -> Instrument:
        """Rules of the maker's market."""
        return self.ways.first

    @property
    def taker(self) -> Instrument:
        """Rules of the taker's market."""
        return self.ways.second

    @property
    def buys(self) -> bool:
        """Whether the maker buys."""
        return self.ways.side is Side.BUY

    def proceeds(self, taker_price: Decimal) -> Decimal:
        """Return what hedging one base brings (maker buys) or takes (maker sells), fees and expected slippage included."""
        rate = max(self.taker.taker, ZERO) + self.config.slippage_buffer
        if self.buys:
            return exact_product(taker_price, ONE - rate) - self.cost
        return exact_product(taker_price, ONE + rate) + self.cost

    def profitability(self, price: Decimal, taker_price: Decimal) -> Decimal:
        """Return what a maker fill at `price` would earn, as a fraction of it, if hedged at `taker_price`."""
        fee = exact_product(price, self.maker.maker)
        hedged = self.proceeds(taker_price)
        return ratio(hedged - price - fee if self.buys else price - fee - hedged, price)

    def price_for(self, profitability: Decimal, taker_price: Decimal) -> Decimal:
        """Return the maker price that earns a profitability: the inverse of `profitability`, unrounded."""
        turned = profitability + self.maker.maker
        return ratio(self.proceeds(taker_price), ONE + turned if self.buys else ONE - turned)

    def taker_at(self, profitability: Decimal, price: Decimal) -> Decimal:
        """Return the taker price at which a maker order at `price` earns a profitability, unrounded."""
        rate = max(self.taker.taker, ZERO) + self.config.slippage_buffer
        turned = profitability + self.maker.maker
        if self.buys:
            return ratio(exact_product(price, ONE + turned) + self.cost, ONE - rate)
        return ratio(exact_product(price, ONE - turned) - self.cost, ONE + rate)


def prepare(config: XemmConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a configuration ready; raises `PlanRefused` where the markets do not fit together or the amount is too small."""
    maker, taker = (instruments[market] for market in config.markets())
    name = "selling_market" if config.maker_side == "BUY" else "buying_market"
    if (maker.base, maker.quote) != (taker.base, taker.quote):
        raise PlanRefused(
            name, f"{taker.symbol} does not hedge {maker.symbol}; a market of {maker.base} in {maker.quote} does"
        )
    for one in (maker, taker):
        if one.contract_size != ONE:
            raise PlanRefused(
                name, f"{one.symbol} trades in contracts of {plain(one.contract_size)}; base units are needed"
            )
    step = max(maker.lot_step, taker.lot_step)
    amount = maker.floor_qty(config.order_amount)
    if amount != config.order_amount or amount < max(maker.min_qty, taker.min_qty, step):
        works = plain(max(amount, maker.min_qty, taker.min_qty, step))
        raise PlanRefused(
            "order_amount",
            f"{plain(config.order_amount)} is no multiple of the lot {plain(maker.lot_step)} or is too small; {works} works",
        )
    side = Side.BUY if config.maker_side == "BUY" else Side.SELL
    ways = Ways(maker, taker, side, config.max_slippage_bps / 10_000, config.retry_s)
    plan = XemmPlan(config, ways, ratio(config.transaction_cost_quote, config.order_amount))
    return Prepared(
        plan=plan, capital_quote=config.capital_quote, places=2, long=config.maker_side == "BUY", hears_refusals=True
    )
