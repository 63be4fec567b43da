"""Configuration of the `funding_arb` kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from core.config import BotBase, ConnectorPair, Fraction, Number, PlanRefused, Positive, led_by
from core.funding import Terms
from core.machine import Prepared
from core.market import Instrument, Market
from core.pairing import PATIENCE_LEAST_S
from core.values import ONE, ZERO, on_grid, plain, ratio

# Maintenance margin as a fraction of notional: the first brackets of Binance USD-M ask 0.4 to 1 %.
MAINTENANCE = Decimal("0.01")
Patience = Annotated[float, Field(ge=PATIENCE_LEAST_S, le=3600, allow_inf_nan=False)]
Hours = Annotated[Number, Field(gt=0, le=87_600)]


class FundingArbConfig(BotBase):
    """Long the swap whose funding is low, short the one whose funding is high, as long as the difference pays.

    `legs` are the swaps to choose from, two to eight of one base. Fractions are of `size_quote`, one leg's value;
    `flip_margin` is a rate by the hour; hours and seconds as named.
    """

    kind: Literal["funding_arb"] = "funding_arb"
    legs: Annotated[tuple[ConnectorPair, ...], Field(min_length=2, max_length=8)]
    size_quote: Positive
    min_profit: Fraction = Decimal("0.001")
    horizon_hours: Hours = Decimal(24)
    slippage_buffer: Fraction = Decimal("0.0002")
    max_basis: Fraction = Decimal("0.01")
    flip_margin: Fraction = ZERO
    erosion_ratio: Annotated[Number, Field(ge=0, lt=1)] = Decimal("0.5")
    profit_target: Fraction | None = None
    max_loss: Annotated[Fraction, Field(gt=0)] = Decimal("0.01")
    max_age_hours: Hours = Decimal(168)
    liquidation_distance: Annotated[Fraction, Field(gt=0)] = Decimal("0.1")
    imbalance_alert: Fraction = Decimal("0.01")
    imbalance_rebalance: Fraction = Decimal("0.02")
    imbalance_exit: Fraction = Decimal("0.05")
    open_deadline_s: Patience = 30
    single_leg_s: Patience = 5
    close_deadline_s: Patience = 60
    confirm_s: Patience = 5
    retry_s: Patience = 1
    recheck_s: Patience = 60
    cooldown_hours: Annotated[Number, Field(ge=0, le=8_760)] = ONE
    max_quote_age_s: Patience = 15

    @model_validator(mode="before")
    @classmethod
    def _of_its_first(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        said = cast("dict[str, Any]", given)
        legs = said.get("legs")
        return led_by(said, legs[0]) if isinstance(legs, list | tuple) and legs else said

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = _objection(self)
        if objection:
            raise ValueError(objection)
        return self

    @property
    def terms(self) -> Terms:
        """When a pair may be entered."""
        return Terms(self.min_profit, self.horizon_hours, self.slippage_buffer, self.max_basis)

    def markets(self) -> tuple[Market, ...]:
        """Every candidate, in the order given; the first one wakes and values the bot."""
        return tuple(leg.market for leg in self.legs)

    def direction_at(self, market: Market) -> str:  # noqa: ARG002  rates decide on which side it stands
        """It may stand on either side of each."""
        return ""


def _objection(config: FundingArbConfig) -> str:
    markets = config.markets()
    if len(set(markets)) < len(markets):
        return "legs: one of them is named twice"
    if (config.venue, config.symbol) != markets[0]:
        return f"venue: the first leg trades {markets[0][1]} at {markets[0][0]}; leave venue and symbol out"
    if not config.imbalance_alert <= config.imbalance_rebalance <= config.imbalance_exit:
        return "imbalance_rebalance: imbalance_alert, imbalance_rebalance and imbalance_exit may not fall"
    if config.single_leg_s > config.open_deadline_s:
        return f"single_leg_s: at most open_deadline_s {config.open_deadline_s:g}"
    distance = ratio(ONE, Decimal(config.leverage)) - MAINTENANCE
    if distance < 2 * config.liquidation_distance:
        most = int(ONE / (2 * config.liquidation_distance + MAINTENANCE))
        return (
            f"leverage: liquidation lies {plain(distance.quantize(Decimal('0.001')))} of the price away, below twice "
            f"liquidation_distance {plain(config.liquidation_distance)}; leverage {most} works"
        )
    return ""


@dataclass(frozen=True, slots=True)
class FundingArbPlan:
    """A configuration made ready: the candidates' rules, and the step in which all of them can trade."""

    config: FundingArbConfig
    rules: tuple[Instrument, ...]
    step: Decimal

    @property
    def slip(self) -> Decimal:
        """How far beyond the touch an order may fill at first, as a fraction."""
        return self.config.max_slippage_bps / 10_000


def prepare(config: FundingArbConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a configuration ready; raises `PlanRefused` where the legs are no swaps of one base with one common step."""
    rules = tuple(instruments[market] for market in config.markets())
    first = rules[0]
    for index, one in enumerate(rules):
        if not one.swap:
            raise PlanRefused(f"legs[{index}]", f"{one.symbol} at {one.venue} is no perpetual: it pays no funding")
        if (one.base, one.quote) != (first.base, first.quote):
            raise PlanRefused(
                f"legs[{index}]", f"{one.symbol} is not {first.base} in {first.quote}, as the first leg is"
            )
        if one.contract_size != ONE:
            raise PlanRefused(f"legs[{index}]", f"{one.symbol} trades in contracts of {plain(one.contract_size)}")
        if config.size_quote < 2 * one.min_notional:
            works = plain(2 * one.min_notional)
            raise PlanRefused(
                "size_quote", f"{plain(config.size_quote)} could not be closed at {one.venue}; {works} works"
            )
    step = max(one.lot_step for one in rules)
    for index, one in enumerate(rules):
        if not on_grid(step, one.lot_step):
            raise PlanRefused(
                f"legs[{index}]", f"its lot {plain(one.lot_step)} is no part of another leg's {plain(step)}"
            )
    plan = FundingArbPlan(config, rules, step)
    return Prepared(
        plan=plan, capital_quote=ratio(2 * config.size_quote, Decimal(config.leverage)), places=len(rules),
        rates=config.markets(), hears_refusals=True,
    )  # fmt: skip
