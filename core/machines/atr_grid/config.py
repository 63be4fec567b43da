"""Configuration of the `atr_grid` kind, and what it needs of its instruments before it may start."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config import BotBase, Fraction, Number, PlanRefused, Positive, Seconds, Strict
from core.indicators import WARMUP
from core.machine import Bars, Prepared
from core.market import TIMEFRAME_S, Instrument, Market
from core.values import AMOUNT_PLACES, ONE, ZERO, exact_product, floor_to, plain, ratio

# What an order costs at most of the cash it is cut from: the rest pays fees and rounding.
CASH_USED = Decimal("0.9")
# The smallest order of the origin, in quote.
ORDER_LEAST = Decimal(5)
# A margin of this share of notional is lost before a position is liquidated (Binance's lowest tier is 0.4 %).
MAINTENANCE = Decimal("0.005")

# Candles read before the first decision: some more than the indicators need, for minutes that the exchange left out or
# lists late.
HISTORY = WARMUP + 20

Share = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10_000)]


class Shares(Strict):
    """How the capital is split, as fractions that sum to one: what the grid buys with, what rests, the short's margin."""

    grid: Share = Decimal("0.4")
    reserve: Share = Decimal("0.3")
    hedge: Share = Decimal("0.3")


class HedgeRules(Strict):
    """The short: how much of the bag it covers by zone, when it ends, how it is kept from churning.

    Ratios are fractions of the spot bag; `max_loss` and `recovery_*` of the initial capital; `stop_distance` of the
    short's own notional; `take_profit` and `reversal_loss` of the bag's floating loss. `*_atr` count ATRs.
    """

    enabled: bool = True
    danger_ratio: Share = Decimal("0.3")
    break_ratio: Share = Decimal("0.5")
    pending_ratio: Share = Decimal("0.5")
    break_atr: Annotated[Number, Field(ge=0, le=20)] = Decimal("0.5")
    leave_atr: Annotated[Number, Field(ge=0, le=20)] = Decimal("0.5")
    deadband: Fraction = Decimal("0.05")
    cooldown_bars: Annotated[int, Field(ge=1, le=10_000)] = 4
    max_loss: Fraction = Decimal("0.005")
    stop_distance: Annotated[Fraction, Field(gt=0)] = Decimal("0.2")
    take_profit: Fraction = Decimal("0.05")
    cost_multiple: Annotated[Number, Field(ge=0, le=100)] = Decimal(3)
    reversal_loss: Fraction = Decimal("0.1")
    cut_after_s: Seconds = 300
    deadline_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 60
    recovery_from: Fraction = Decimal("0.15")
    recovery_until: Fraction = Decimal("0.05")
    recovery_sale_from: Fraction = Decimal("0.3")
    recovery_sale: Fraction = Decimal("0.3")


class AtrGridConfig(BotBase):
    """A lower-only grid whose levels lie ATRs apart below the price. Its second market is the short that hedges it.

    `down_sale` is the part of the bag sold when the grid is left behind in a falling market; selling at a loss there, in a
    full recentre, and in recovery needs `allow_loss_sale`.
    """

    kind: Literal["atr_grid"] = "atr_grid"
    futures_venue: str | None = None
    futures_symbol: str | None = None
    timeframe: Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"] = "1h"
    initial_capital: Positive = Decimal(1000)
    levels: Annotated[int, Field(ge=2, le=200)] = 5
    atr_multiplier: Annotated[Number, Field(gt=0, le=50)] = Decimal(1)
    atr_smoothing: Literal["sma", "wilder"] = "sma"
    order_size_quote: Positive | None = None
    reserve_ratio: Fraction | None = None
    shares: Shares | None = None
    wild_from: Annotated[Number, Field(gt=1, le=10)] = Decimal("1.5")
    calm_below: Annotated[Number, Field(gt=0, lt=1)] = Decimal("0.7")
    adjust_from: Fraction = Decimal("0.2")
    adjust_cooldown_bars: Count = 24
    drift: Annotated[Number, Field(gt=0, le=50)] = Decimal("2.5")
    consumed_from: Annotated[Number, Field(gt=0, le=1)] = Decimal("0.7")
    recenter_cooldown_bars: Count = 24
    down_sale: Fraction = ZERO
    allow_loss_sale: bool = False
    hedge: HedgeRules = HedgeRules()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = _objection(self)
        if objection is not None:
            raise ValueError(objection)
        return self

    def markets(self) -> tuple[Market, ...]:
        """The spot market first, then the short's, if it hedges."""
        if self.hedge.enabled and self.futures_venue is not None and self.futures_symbol is not None:
            return (self.venue, self.symbol), (self.futures_venue, self.futures_symbol)
        return ((self.venue, self.symbol),)

    def direction_at(self, market: Market) -> str:
        """It is long in spot and short in futures."""
        return "BUY" if market == (self.venue, self.symbol) else "SELL"

    @property
    def split(self) -> Shares:
        """The shares of the capital: as given, or `reserve_ratio` for reserve and hedge each and the rest for the grid."""
        if self.shares is not None:
            return self.shares
        if self.reserve_ratio is None:
            return Shares()
        return Shares(grid=ONE - 2 * self.reserve_ratio, reserve=self.reserve_ratio, hedge=self.reserve_ratio)


def _objection(config: AtrGridConfig) -> str | None:
    if config.shares is not None and config.reserve_ratio is not None:
        return "reserve_ratio: give either reserve_ratio or shares, not both"
    split = config.split
    whole = split.grid + split.reserve + split.hedge
    if whole != ONE:
        return f"shares: grid {split.grid}, reserve {split.reserve} and hedge {split.hedge} sum to {whole}, not to 1"
    if split.grid <= ZERO:
        key = "shares.grid" if config.shares is not None else "reserve_ratio"
        return f"{key}: leaves no money to buy with; below 0.5 for reserve_ratio, 0.3 is usual"
    hedge = config.hedge
    if not hedge.enabled:
        return None
    for name in ("futures_venue", "futures_symbol"):
        if getattr(config, name) is None:
            return f"{name}: the hedge needs it; without a hedge write hedge: {{enabled: false}}"
    if split.hedge <= ZERO:
        return "shares.hedge: a hedge needs margin; without a hedge write hedge: {enabled: false}"
    if not hedge.danger_ratio <= hedge.break_ratio <= hedge.pending_ratio:
        return "hedge.break_ratio: danger_ratio, break_ratio and pending_ratio may not fall"
    if hedge.recovery_until > hedge.recovery_from:
        return f"hedge.recovery_until: above recovery_from {hedge.recovery_from}, recovery would end before it begins"
    distance = ratio(ONE, Decimal(config.leverage)) - MAINTENANCE
    if distance < 2 * hedge.stop_distance:
        most = plain((distance / 2).quantize(Decimal("0.001")))
        return (
            f"leverage: liquidation lies {plain(distance.quantize(Decimal('0.001')))} of the price away, below twice "
            f"hedge.stop_distance {hedge.stop_distance}; a stop_distance of {most} works, or leverage 1"
        )
    return None


@dataclass(frozen=True, slots=True)
class AtrGridPlan:
    """A configuration made ready. Money in quote; `futures` is None without a hedge."""

    config: AtrGridConfig
    spot: Instrument
    futures: Instrument | None
    grid_quote: Decimal
    margin_quote: Decimal

    @property
    def hedge_place(self) -> int:
        """The place that shows the short's sales; its purchases stand one further."""
        return self.config.levels

    @property
    def bar_s(self) -> int:
        """Length of a candle in seconds."""
        return TIMEFRAME_S[self.config.timeframe]


def prepare(config: AtrGridConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a configuration ready; raises `PlanRefused` where the exchange's minimums do not allow it."""
    plan = make_plan(config, instruments)
    return Prepared(
        plan=plan, capital_quote=config.initial_capital,
        places=config.levels + (2 if plan.futures is not None else 0), long=True, hears_refusals=True,
        bars=(Bars(plan.spot.market, plan.bar_s, HISTORY),),
    )  # fmt: skip


def make_plan(config: AtrGridConfig, instruments: Mapping[Market, Instrument]) -> AtrGridPlan:
    """Split the money and hold it against the minimums; raises `PlanRefused` with what would work."""
    spot, *others = (instruments[market] for market in config.markets())
    futures = others[0] if others else None
    split = config.split
    grid = exact_product(config.initial_capital, split.grid)
    plan = AtrGridPlan(config, spot, futures, grid, exact_product(config.initial_capital, split.hedge))
    if spot.swap:
        raise PlanRefused("venue", f"the grid buys and holds; {spot.symbol} at {spot.venue} is no spot market")
    if futures is not None:
        if not futures.swap:
            raise PlanRefused("futures_venue", f"a short needs a swap; {futures.symbol} at {futures.venue} is none")
        if futures.base != spot.base or futures.quote != spot.quote:
            raise PlanRefused(
                "futures_symbol", f"{futures.symbol} does not hedge {spot.symbol}; {spot.symbol}:{spot.quote} does"
            )
    _check_sizes(plan)
    return plan


def order_quote(plan: AtrGridPlan, cash: Decimal, free: int) -> Decimal:
    """Return what one of `free` unfilled levels may spend, in quote: as configured, else its part of the cash.

    A part is rounded down to the ledger's places: a seventh has no end.
    """
    if plan.config.order_size_quote is not None:
        return plan.config.order_size_quote
    return floor_to(ratio(CASH_USED * cash, Decimal(free)), AMOUNT_PLACES) if free and cash > ZERO else ZERO


def _check_sizes(plan: AtrGridPlan) -> None:
    config, levels = plan.config, Decimal(plan.config.levels)
    least = max(plan.spot.min_notional, ORDER_LEAST)
    size = order_quote(plan, plan.grid_quote, config.levels)
    if config.order_size_quote is not None and size * levels > plan.grid_quote:
        works = plain((plan.grid_quote / levels).quantize(Decimal("0.01")))
        raise PlanRefused(
            "order_size_quote",
            f"{config.levels} orders of {plain(size)} are more than the grid's share of {plain(plan.grid_quote)}; {works} works",
        )
    if size < least:
        needed = _capital(plan, least, size)
        raise PlanRefused(
            "initial_capital", f"leaves {plain(size)} an order, below the minimum {plain(least)}; {needed} works"
        )
    if plan.futures is None:
        return
    # The first short covers the danger ratio of a bag that has all levels but the lowest; a fifth is kept in hand for
    # the fall of the price through the grid.
    first = exact_product(config.hedge.danger_ratio, size, levels - 1) * Decimal("0.8")
    if first > ZERO and first < plan.futures.min_notional:
        needed = _capital(plan, plan.futures.min_notional, first)
        raise PlanRefused(
            "initial_capital",
            f"the first hedge would be about {plain(first.quantize(ONE))}, below the minimum {plain(plan.futures.min_notional)} "
            f"of {plan.futures.symbol}; {needed} works",
        )


def _capital(plan: AtrGridPlan, least: Decimal, size: Decimal) -> str:
    # Every size is proportional to the capital, so is what is missing.
    needed = ratio(plan.config.initial_capital * least, size)
    return f"{plain((needed * Decimal('1.01')).quantize(ONE) + 1)} (or a larger order_size_quote within it)"
