"""Configuration of the `ladder` kind and the plan computed from it: where each trade enters and exits."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from statistics import NormalDist
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config import WIDE_FROM, BotBase, NotNegative, PlanRefused, Positive, WideFraction
from core.machine import Prepared
from core.market import Instrument, Market
from core.values import ONE, ZERO, exact_product, nearest_to, plain, ratio

COUNT_MAX = 2000
_STANDARD = NormalDist()
# A quantile is computed in floating point and cut to so many places: a ten-thousandth of a tick at any sensible range.
_QUANTILE_PLACES = Decimal("1E-12")


class LadderConfig(BotBase):
    """`count` independent trades of `qty` base each, entered between two prices and each exited `profit` above its entry.

    `mean`, `sigma` (its standard deviation) and the offsets are prices; without `sigma` it is the range / `sigma_divisor`.
    `above_market` says what a trade does whose entry lies above the market: wait until the price has risen above it, or
    buy behind the touch at once. `loop` starts a trade again once it has exited.
    """

    kind: Literal["ladder"] = "ladder"
    distribution: Literal["linear", "normal"] = "linear"
    min_price: Positive
    max_price: Positive
    count: Annotated[int, Field(ge=1, le=COUNT_MAX)]
    qty: Positive
    profit: WideFraction
    mean: Positive | None = None
    sigma: Positive | None = None
    sigma_divisor: Positive | None = None
    loop: bool = False
    maker_offset_buy: NotNegative = ZERO
    maker_offset_sell: NotNegative = ZERO
    above_market: Literal["wait", "enter"] = "wait"
    post_only: Literal[True] = True
    allow_wide: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = _objection_to(self)
        if objection is not None:
            raise ValueError(objection)
        return self

    def about_price(self) -> Decimal:
        """The centre of the distribution."""
        return self.center

    @property
    def center(self) -> Decimal:
        """The mean of a normal distribution, else the middle of the range."""
        return self.mean if self.mean is not None else (self.min_price + self.max_price) / 2

    @property
    def deviation(self) -> Decimal:
        """The standard deviation of a normal distribution, in price."""
        if self.sigma is not None:
            return self.sigma
        return ratio(self.max_price - self.min_price, self.sigma_divisor or Decimal(6))


def _objection_to(config: LadderConfig) -> str | None:
    if config.min_price > config.max_price or (config.min_price == config.max_price and config.count > 1):
        return f"max_price: {config.max_price} must be above min_price {config.min_price}"
    if config.distribution == "linear":
        for name in ("mean", "sigma", "sigma_divisor"):
            if getattr(config, name) is not None:
                return f"{name}: a linear ladder has none; distribution: normal does"
    if config.sigma is not None and config.sigma_divisor is not None:
        return "sigma_divisor: sigma is given too; keep one of the two"
    if not config.min_price <= config.center <= config.max_price:
        return f"mean: {config.mean} must lie between min_price {config.min_price} and max_price {config.max_price}"
    if config.profit > WIDE_FROM and not config.allow_wide:
        return f"profit: {config.profit} is more than {WIDE_FROM}; if it is meant, set allow_wide: true"
    for name in ("maker_offset_buy", "maker_offset_sell"):
        offset: Decimal = getattr(config, name)
        if offset >= config.min_price:
            return f"{name}: {offset} is a distance in price and must be below min_price {config.min_price}"
    return None


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade as planned: where it enters and exits, and its base quantity."""

    entry_price: Decimal
    exit_price: Decimal
    qty: Decimal


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """A ladder made ready for its instrument; trades ascend by entry price. The offsets are prices of at least a tick."""

    config: LadderConfig
    instrument: Instrument
    trades: tuple[Trade, ...]
    offset_buy: Decimal
    offset_sell: Decimal


def prepare(config: LadderConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a ladder ready for its instrument; raises `PlanRefused` as `make_plan` does."""
    plan = make_plan(config, instruments[config.venue, config.symbol])
    capital = sum((exact_product(one.entry_price, one.qty) for one in plan.trades), ZERO)
    step_min = min(one.exit_price - one.entry_price for one in plan.trades)
    return Prepared(plan=plan, capital_quote=capital, places=len(plan.trades), step_min=step_min)


def make_plan(config: LadderConfig, instrument: Instrument) -> LadderPlan:
    """Compute prices and check them; raises `PlanRefused` where the exchange would refuse them, with what would work."""
    entries = entry_prices(config, config.count, instrument.tick_size)
    if not _apart(entries):
        fits = _most(config, instrument.tick_size)
        raise PlanRefused(
            "count", f"{config.count} entries stand closer than one tick ({instrument.tick_size}); {fits} fit"
        )
    trades = tuple(
        Trade(
            price, max(instrument.ceil_price(price * (ONE + config.profit)), price + instrument.tick_size), config.qty
        )
        for price in entries
    )
    for trade in trades:
        _check(config, trade, instrument)
    tick = instrument.tick_size
    return LadderPlan(
        config, instrument, trades, max(config.maker_offset_buy, tick), max(config.maker_offset_sell, tick)
    )


def entry_prices(config: LadderConfig, count: int, tick: Decimal) -> list[Decimal]:
    """Return `count` ascending entry prices on the tick; both ends of the range are among them, a single one is the mean.

    Normal: quantiles of the normal distribution cut to the range, at the probabilities that part it evenly, so nothing is
    clipped to the ends: x(i) = mean + sigma z(i), where z(i) is the standard normal quantile of
    F(a) + i / (count - 1) (F(b) - F(a)) with a, b = (min - mean) / sigma, (max - mean) / sigma.
    """
    if count == 1:
        return [nearest_to(config.center, tick)]
    low, high = config.min_price, config.max_price
    if config.distribution == "linear":
        return [nearest_to(low + (high - low) * i / (count - 1), tick) for i in range(count)]
    below = _STANDARD.cdf(float(ratio(low - config.center, config.deviation)))
    above = _STANDARD.cdf(float(ratio(high - config.center, config.deviation)))
    inner = (below + (above - below) * i / (count - 1) for i in range(1, count - 1))
    prices = [low, *(config.center + config.deviation * _quantile(p) for p in inner), high]
    return [nearest_to(price, tick) for price in prices]


def _quantile(probability: float) -> Decimal:
    return Decimal(repr(_STANDARD.inv_cdf(probability))).quantize(_QUANTILE_PLACES)


def _apart(prices: list[Decimal]) -> bool:
    return all(a < b for a, b in pairwise(prices))


def _most(config: LadderConfig, tick: Decimal) -> int:
    # The largest count that works, found by halving: more entries only ever stand closer.
    works, fails = 1, config.count
    while fails - works > 1:
        middle = (works + fails) // 2
        if _apart(entry_prices(config, middle, tick)):
            works = middle
        else:
            fails = middle
    return works


def _check(config: LadderConfig, trade: Trade, instrument: Instrument) -> None:
    price = trade.entry_price
    if price <= ZERO:
        raise PlanRefused("min_price", f"an entry at {price} is not positive; {instrument.tick_size} works")
    if instrument.floor_qty(config.qty) != config.qty:
        works = max(instrument.floor_qty(config.qty), instrument.lot_step)
        raise PlanRefused(
            "qty", f"{config.qty} is no multiple of the lot step {instrument.lot_step}; {plain(works)} works"
        )
    # What a fee in base takes of the purchase must not leave less than the exchange lets us sell.
    left = config.qty * (ONE - max(instrument.maker, ZERO)) if instrument.fee_in_base else config.qty
    if instrument.sellable(price, left) <= ZERO:
        needed = max(instrument.min_qty, ratio(instrument.min_notional, config.min_price * instrument.contract_size))
        works = instrument.floor_qty(needed) + instrument.lot_step
        works += instrument.lot_step if instrument.fee_in_base else ZERO
        raise PlanRefused("qty", f"{config.qty} at {price} is below the exchange's minimum order; {plain(works)} works")
    fees = 2 * max(instrument.maker, ZERO) * trade.exit_price
    if trade.exit_price - price <= fees:
        least = (2 * instrument.maker * Decimal("1.1")).quantize(Decimal("0.00001"))
        raise PlanRefused(
            "profit",
            f"{config.profit} loses against two maker fees of {instrument.maker}; {plain(least)} or more earns",
        )
