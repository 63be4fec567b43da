"""Configuration of the `grid` kind and the plan computed from it: which price lines, which sizes (RULES 13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config import BotBase, Fraction, NotNegative, PlanRefused, Positive, Seconds, TripleBarrier
from core.machine import Prepared
from core.market import Instrument, Market
from core.values import ONE, ZERO, Side, exact_product, nearest_to, plain, ratio


class GridConfig(BotBase):
    """A grid between two prices. `levels` counts entry levels; each buys (or sells) once per cycle and exits one step away."""

    kind: Literal["grid"] = "grid"
    side: Literal["BUY", "SELL"] = "BUY"
    start_price: Positive
    end_price: Positive
    limit_price: Positive | None = None
    total_amount_quote: Positive | None = None
    amount_base: Positive | None = None
    spacing: Literal["arithmetic", "geometric"] = "arithmetic"
    levels: Annotated[int, Field(ge=1, le=2000)] | None = None
    min_spread_between_orders: Fraction | None = None
    exit: Literal["next_level", "take_profit"] = "next_level"
    initial_inventory: Literal["market", "resting", "none"] = "resting"
    min_order_amount_quote: NotNegative = Decimal(5)
    max_open_orders: Annotated[int, Field(ge=1)] | None = None
    max_orders_per_batch: Annotated[int, Field(ge=1)] | None = None
    order_frequency: Seconds = 0
    activation_bounds: Fraction | None = None
    safe_extra_spread: Fraction = Decimal("0.0001")
    coerce_tp_to_step: bool = False
    keep_position: bool = False
    triple_barrier: TripleBarrier = TripleBarrier()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = _objection(self)
        if objection is not None:
            raise ValueError(objection)
        return self

    def about_price(self) -> Decimal:
        """The middle of the range."""
        return (self.start_price + self.end_price) / 2

    def direction_at(self, market: tuple[str, str]) -> str:  # noqa: ARG002  it has one market
        """The side on which it holds a position."""
        return self.side

    @property
    def entry_side(self) -> Side:
        """The side of the grid's entries."""
        return Side.BUY if self.side == "BUY" else Side.SELL


def _objection(config: GridConfig) -> str | None:
    if config.start_price >= config.end_price:
        return f"start_price: {config.start_price} must be below end_price {config.end_price}"
    if (config.total_amount_quote is None) == (config.amount_base is None):
        return "total_amount_quote: give either total_amount_quote (for the whole grid) or amount_base (per level)"
    if config.levels is not None and config.min_spread_between_orders is not None:
        return "levels: give either levels or min_spread_between_orders, not both"
    if config.levels is None and config.min_spread_between_orders is None:
        return "levels: one of levels and min_spread_between_orders is needed"
    if config.min_spread_between_orders == ZERO:
        return "min_spread_between_orders: a fraction above 0 is needed, for example 0.01 for 1 %"
    if config.exit == "take_profit" and config.triple_barrier.take_profit is None:
        return "triple_barrier.take_profit: needed with exit: take_profit, for example 0.01 for 1 %"
    wide = config.triple_barrier.too_wide()
    if wide is not None:
        return f"triple_barrier.{wide}: above 0.2 (20 %) needs allow_wide: true"
    if config.limit_price is not None:
        below = config.limit_price < config.start_price
        if config.side == "BUY" and not below:
            return f"limit_price: a BUY grid stops below its start_price {config.start_price}"
        if config.side == "SELL" and config.limit_price <= config.end_price:
            return f"limit_price: a SELL grid stops above its end_price {config.end_price}"
    return None


@dataclass(frozen=True, slots=True)
class GridLine:
    """One level as planned: where it enters and exits, and its base quantity."""

    entry_price: Decimal
    exit_price: Decimal
    qty: Decimal


@dataclass(frozen=True, slots=True)
class GridPlan:
    """A grid made ready for its instrument: lines ascend by entry price."""

    config: GridConfig
    instrument: Instrument
    lines: tuple[GridLine, ...]

    @property
    def capital_quote(self) -> Decimal:
        """Quote needed when every level is filled at its entry price: what profit is measured against."""
        return sum((exact_product(line.entry_price, line.qty) for line in self.lines), ZERO)

    @property
    def step_min(self) -> Decimal:
        """The smallest distance in price between an entry and its exit."""
        return min(abs(line.exit_price - line.entry_price) for line in self.lines)


def prepare(config: GridConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a grid ready for its instrument; raises `PlanRefused` as `make_plan` does."""
    plan = make_plan(config, instruments[config.venue, config.symbol])
    return Prepared(
        plan=plan, capital_quote=plan.capital_quote, places=len(plan.lines), safe_spread=config.safe_extra_spread,
        max_open_orders=config.max_open_orders, step_min=plan.step_min, long=config.side == "BUY",
    )  # fmt: skip


def make_plan(config: GridConfig, instrument: Instrument) -> GridPlan:
    """Compute price lines and sizes; raises `PlanRefused` where the exchange would refuse them, with what would work."""
    if config.side == "SELL" and not instrument.swap:
        raise PlanRefused("side", "a SELL grid opens shorts and needs a swap venue; use BUY on spot")
    prices = _lines(config, instrument)
    entries, exits = _entries_and_exits(config, prices, instrument)
    sizes = _sizes(config, entries, instrument)
    lines = tuple(GridLine(a, b, q) for a, b, q in zip(entries, exits, sizes, strict=True))
    _check(config, lines, instrument)
    return GridPlan(config, instrument, lines)


def _count(config: GridConfig) -> int:
    if config.levels is not None:
        return config.levels
    spread = config.min_spread_between_orders or ZERO
    if config.spacing == "arithmetic":
        steps = ratio(config.end_price - config.start_price, config.start_price * spread)
    else:
        steps = ratio((config.end_price / config.start_price).ln(), (ONE + spread).ln())
    count = int(steps) + (1 if config.exit == "take_profit" else 0)
    if config.total_amount_quote is not None and config.min_order_amount_quote > 0:
        count = min(count, int(config.total_amount_quote / config.min_order_amount_quote))
    if count < 1:
        width = plain(ratio(config.end_price - config.start_price, config.start_price).quantize(Decimal("0.0001")))
        raise PlanRefused(
            "min_spread_between_orders", f"{spread} leaves no level in a range of width {width}; at most {width} fits"
        )
    return count


def _lines(config: GridConfig, instrument: Instrument) -> list[Decimal]:
    # next_level needs one line more than levels: the last exit is end_price.
    count = _count(config)
    steps = count if config.exit == "next_level" else count - 1
    if steps == 0:
        return [nearest_to((config.start_price + config.end_price) / 2, instrument.tick_size)]
    span = config.end_price - config.start_price
    if config.spacing == "arithmetic":
        raw = [config.start_price + span * i / steps for i in range(steps + 1)]
    else:
        growth = config.end_price / config.start_price
        raw = [config.start_price * growth ** (Decimal(i) / steps) for i in range(steps + 1)]
    lines = [nearest_to(price, instrument.tick_size) for price in raw]
    if any(b <= a for a, b in pairwise(lines)):
        most = int(span / instrument.tick_size)
        raise PlanRefused(
            "levels", f"{count} levels stand closer than one tick ({instrument.tick_size}); at most {most} fit"
        )
    return lines


def _entries_and_exits(
    config: GridConfig, prices: list[Decimal], instrument: Instrument
) -> tuple[list[Decimal], list[Decimal]]:
    long = config.side == "BUY"
    if config.exit == "next_level":
        return (prices[:-1], prices[1:]) if long else (prices[1:], prices[:-1])
    profit = config.triple_barrier.take_profit or ZERO
    if config.coerce_tp_to_step and len(prices) > 1:
        profit = max(profit, ratio(prices[1] - prices[0], prices[0]))
    if long:
        return prices, [instrument.ceil_price(price * (ONE + profit)) for price in prices]
    return prices, [instrument.floor_price(price * (ONE - profit)) for price in prices]


def _sizes(config: GridConfig, entries: list[Decimal], instrument: Instrument) -> list[Decimal]:
    if config.amount_base is not None:
        return [config.amount_base] * len(entries)
    share = (config.total_amount_quote or ZERO) / len(entries)
    return [instrument.floor_qty(share / price) for price in entries]


def _check(config: GridConfig, lines: tuple[GridLine, ...], instrument: Instrument) -> None:
    least = max(instrument.min_notional, config.min_order_amount_quote)
    for line in lines:
        if line.qty % instrument.lot_step != 0:
            raise PlanRefused("amount_base", f"{line.qty} is no multiple of the lot step {instrument.lot_step}")
        # The cheaper of the two prices decides: an exit below the minimum could never be placed.
        price = min(line.entry_price, line.exit_price)
        if price <= ZERO:
            raise PlanRefused("start_price", f"a level at {price} is not positive")
        notional = instrument.notional(price, line.qty)
        if line.qty < instrument.min_qty or notional < least:
            _refuse_small(config, len(lines), price, least, instrument)
        distance = abs(line.exit_price - line.entry_price)
        fees = 2 * max(instrument.maker, ZERO) * line.entry_price
        if distance <= fees:
            needed = plain(instrument.ceil_price(fees))
            raise PlanRefused(
                "levels",
                f"a step of {plain(distance)} loses against two maker fees of {plain(fees)}; above {needed} earns",
            )


def _refuse_small(config: GridConfig, count: int, price: Decimal, least: Decimal, instrument: Instrument) -> None:
    # One lot step of head-room: the size is floored to the step after the money is divided.
    base = max(instrument.min_qty, least / price) + instrument.lot_step
    if config.amount_base is not None:
        raise PlanRefused(
            "amount_base",
            f"below the minimum order of {least} {instrument.quote} at {price}; {plain(instrument.floor_qty(base))} works",
        )
    works = (base * max(config.end_price, price) * count).quantize(ONE) + 1
    fewer = int((config.total_amount_quote or ZERO) / (base * config.end_price))
    raise PlanRefused(
        "total_amount_quote",
        f"{config.total_amount_quote} over {count} levels is below the minimum order of {least} {instrument.quote} each; "
        f"{plain(works)} works, or at most {fewer} levels",
    )
