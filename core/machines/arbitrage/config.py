"""Configuration of the `arbitrage` kind, and what a purchase and a sale at the same moment would earn."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from core.config import BotBase, ConnectorPair, Fraction, NotNegative, PlanRefused, Positive, led_by
from core.machine import Prepared
from core.market import Instrument, Market
from core.pairing import PATIENCE_LEAST_S, Ways
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

Patience = Annotated[float, Field(ge=PATIENCE_LEAST_S, le=3600, allow_inf_nan=False)]


class ArbitrageConfig(BotBase):
    """Buys in one market and sells in another at once, where that earns more than `min_profitability` (fraction of the cost).

    Fees of both legs, `transaction_cost_quote` of a round and `slippage_buffer` (fraction of each price) are counted before.
    Both legs are capped so that the round keeps its profitability at the caps; what does not fill within `timeout_s` is
    given up, and a leg that stands alone is completed or undone, whichever is cheaper, and undone after `unwind_after_s`.
    """

    kind: Literal["arbitrage"] = "arbitrage"
    buying_market: ConnectorPair
    selling_market: ConnectorPair
    order_amount: Positive
    min_profitability: Fraction
    transaction_cost_quote: NotNegative = ZERO
    slippage_buffer: Fraction = ZERO
    rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    timeout_s: Patience = 5
    retry_s: Patience = 1
    unwind_after_s: Patience = 15
    max_quote_age_s: Patience = 15
    capital_quote: Positive = Decimal(1000)

    @model_validator(mode="before")
    @classmethod
    def _of_its_purchase(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        said = cast("dict[str, Any]", given)
        return led_by(said, said.get("buying_market"))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.buying_market.market == self.selling_market.market:
            message = "selling_market: is the buying market; two markets are needed"
            raise ValueError(message)
        if (self.venue, self.symbol) != self.buying_market.market:
            bought = self.buying_market
            message = f"venue: it buys {bought.symbol} at {bought.venue}; leave venue and symbol out"
            raise ValueError(message)
        return self

    def markets(self) -> tuple[Market, ...]:
        """The market where it buys first, then the one where it sells."""
        return self.buying_market.market, self.selling_market.market

    def direction_at(self, market: Market) -> str:
        """It buys in one market and sells in the other."""
        return "BUY" if market == self.buying_market.market else "SELL"


@dataclass(frozen=True, slots=True)
class ArbitragePlan:
    """A configuration made ready. `to_sell` is what a purchase of the whole amount leaves to sell, base fees taken off."""

    config: ArbitrageConfig
    ways: Ways
    cost: Decimal
    to_sell: Decimal

    @property
    def paid(self) -> Decimal:
        """What one quote of price costs when bought and held to the least profitability: 1 + fee + slippage + minimum."""
        config = self.config
        return ONE + self.ways.first.taker + config.slippage_buffer + config.min_profitability

    @property
    def got(self) -> Decimal:
        """What one quote of price brings when sold."""
        return ONE - self.ways.second.taker - self.config.slippage_buffer

    def slack(self, ask: Decimal, bid: Decimal) -> Decimal:
        """Return by how much quote a base earns more than it must, bought at `ask` and sold at `bid`; < 0 where it does not."""
        return exact_product(bid, self.got) - exact_product(ask, self.paid) - self.cost

    def limits(self, ask: Decimal, bid: Decimal) -> tuple[Decimal, Decimal]:
        """Return the prices, dearest to buy and cheapest to sell, at which a base still earns what it must.

        Half of the slack is given to each leg; with slack below zero they say how far each must still come.
        """
        half = self.slack(ask, bid) / 2
        return ask + ratio(half, self.paid), bid - ratio(half, self.got)


def prepare(config: ArbitrageConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a configuration ready; raises `PlanRefused` where the markets do not fit together or the amount is too small."""
    first, second = (instruments[market] for market in config.markets())
    if (first.base, first.quote) != (second.base, second.quote):
        raise PlanRefused(
            "selling_market", f"{second.symbol} does not sell what {first.symbol} buys: {first.base} in {first.quote}"
        )
    for one in (first, second):
        if one.contract_size != ONE:
            reason = f"{one.symbol} trades in contracts of {plain(one.contract_size)}; base units are needed"
            raise PlanRefused("selling_market", reason)
    fee = max(first.taker, ZERO) if first.fee_in_base and not first.swap else ZERO
    amount = first.floor_qty(config.order_amount)
    to_sell = second.floor_qty(exact_product(amount, ONE - fee))
    if amount != config.order_amount or amount < first.min_qty or to_sell < max(second.min_qty, second.lot_step):
        works = plain(max(amount, first.min_qty, second.min_qty, first.lot_step, second.lot_step))
        raise PlanRefused(
            "order_amount",
            f"{plain(config.order_amount)} is no multiple of the lot {plain(first.lot_step)} or is too small; {works} works",
        )
    ways = Ways(first, second, Side.BUY, config.max_slippage_bps / 10_000, config.retry_s)
    plan = ArbitragePlan(config, ways, ratio(config.transaction_cost_quote, amount), to_sell)
    return Prepared(plan=plan, capital_quote=config.capital_quote, places=2, hears_refusals=True)
